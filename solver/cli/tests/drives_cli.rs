//! `trm drives`, and the recordings that `trm plan` writes.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod program;

use std::path::{Path, PathBuf};

use program::{json_lines, run, text};
use tempfile::TempDir;
use trm_plan::recording::{Recording, Tracks};
use trm_plan::{Drive, LayerSource};

/// A file of the planner's fixtures, from the folder that the program runs in.
fn fixture(name: &str) -> String {
    format!("../plan/tests/fixtures/{name}")
}

fn drives(arguments: &[&str], recording: &str) -> std::process::Output {
    let (map, recording) = (fixture("maps/depot.yaml"), fixture(recording));
    let words = [&["drives", "--map", &map, &recording], arguments].concat();
    run(&words, b"")
}

fn name(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn drives_are_written_so_that_they_are_read_again() {
    let output = drives(&["--layer", "hour=14"], "recordings/amcl_zstd.mcap");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).ends_with("2 drives, 23.3 m in 469 places\n"), "{}", text(&output.stderr));
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("drives.jsonl");
    std::fs::write(&path, &output.stdout).expect("written");
    let read = Drive::read(&path).expect("drives");
    assert_eq!(read.len(), 2);
    assert!(read[0].map.is_absolute() && read[0].map.is_file(), "{}", read[0].map.display());
    assert_eq!(read[0].layers["hour"], LayerSource::Value(14.0));
    let [x, y] = read[0].path[0];
    assert!((x - 2.0).abs() < 1e-6 && (y - 7.0).abs() < 1e-6);
}

#[test]
fn a_file_of_drives_names_what_lies_beside_it_from_there() {
    let folder = TempDir::new().expect("a folder");
    let inside = |name: &str| folder.path().join(name);
    std::fs::create_dir(inside("site")).expect("made");
    for file in ["depot.yaml", "depot.png"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture("maps")).join(file);
        std::fs::copy(from, inside("site").join(file)).expect("copied");
    }
    let (map, out) = (inside("site/depot.yaml"), inside("drives.jsonl"));
    let ground = format!("ground={}", name(&inside("site/depot.png")));
    let bag = fixture("recordings/bag");
    let output = run(&["drives", &bag, "--map", name(&map), "--layer", &ground, "--out", name(&out), "--json"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let line = std::fs::read_to_string(&out).expect("drives");
    assert!(line.starts_with(r#"{"map":"site/depot.yaml","layers":{"ground":"site/depot.png"},"path":[[2.0,7.0],"#));
    let read = Drive::read(&out).expect("drives");
    assert!(read.iter().all(|drive| drive.map.is_file()));
    let summary = &json_lines(&output)[0];
    assert_eq!((&summary["drives"], &summary["left_out"]), (&2.into(), &0.into()));
    let recording = &summary["recordings"][0];
    assert_eq!(recording["topic"], "/odometry/filtered");
    assert_eq!(recording["message_type"], "nav_msgs/msg/Odometry");
    assert_eq!(recording["drives"][0]["places"], read[0].path.len());
}

#[test]
fn which_topic_is_meant_has_to_be_said() {
    let output = drives(&[], "recordings/two_topics.mcap");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    let expected = "poses on 2 topics: /odom (nav_msgs/msg/Odometry, 55 messages), /pose (geometry_msgs/msg/PoseStamped, 55 \
                    messages)\nhint: name the one that is meant, such as --topic /odom\n";
    assert!(said.ends_with(expected), "{said}");
    for (topic, expected) in [
        (
            "/tf",
            "has no messages on it\nhint: its topics: /amcl_pose (geometry_msgs/msg/PoseWithCovarianceStamped), /battery",
        ),
        ("/battery", "--topic /battery: its messages are std_msgs/msg/Float32, which hold no poses"),
    ] {
        let output = drives(&["--topic", topic], "recordings/amcl_lz4.mcap");
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn what_lies_off_the_map_is_left_out() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("drives.jsonl");
    let output = drives(&["--topic", "/odom", "--out", name(&out)], "recordings/two_topics.mcap");
    assert_eq!(output.status.code(), Some(1));
    assert!(!out.exists());
    let said = text(&output.stderr);
    assert!(said.contains("drive 1 of 13.0 m: 99.6 % outside of the map: left out\n"), "{said}");
    assert!(said.contains("its poses are in the frame `odom`, the map is in `map`\nhint: choose a topic"), "{said}");
    assert!(said.ends_with("0 drives, 0.0 m in 0 places, 2 left out\nnothing is written\n"), "{said}");
    let all = drives(&["--topic", "/odom", "--off-map", "1"], "recordings/two_topics.mcap");
    assert_eq!((all.status.code(), text(&all.stdout).lines().count()), (Some(0), 2));
}

#[test]
fn options_that_cannot_be_are_refused() {
    for (words, expected) in [
        (&["--pause", "0"][..], "--pause: 0: expected a number above zero"),
        (&["--off-map", "20"], "--off-map: 20: expected a share of 0 to 1"),
        (&["--layer", "ground"], "expected a name and a file or a number"),
        (&["--layer", "a=1", "--layer", "a=2"], "--layer: a is given twice"),
        (&["--layer", "a=nothing.png"], "--layer: nothing.png: there is no such file"),
        (&["--out", "../plan/tests/fixtures/maps/depot.yaml"], "--out: "),
    ] {
        let output = drives(words, "recordings/trajectory.tum");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output.stderr).contains(expected), "{words:?}: {}", text(&output.stderr));
    }
}

/// Plans with these options beside, and returns the recording's file.
fn planned(folder: &TempDir, arguments: &[&str]) -> PathBuf {
    let path = folder.path().join("plan.mcap");
    let map = fixture("maps/depot.yaml");
    let words =
        [&["plan", "--map", &map, "--start", "2,7", "--goal", "25,4", "--mcap", name(&path)], arguments].concat();
    let output = run(&words, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    path
}

#[test]
fn a_plan_is_a_recording_that_is_read_again() {
    let folder = TempDir::new().expect("a folder");
    let path = planned(&folder, &["--inflation", "0.55", "--spacing", "0.5"]);
    let recording = Recording::read(&path, None, None).expect("a recording");
    assert!(recording.notes.is_empty(), "{:?}", recording.notes);
    let topics: Vec<_> = recording.streams.iter().map(|stream| stream.topic.as_str()).collect();
    assert_eq!(topics, ["/goal", "/plan", "/start"]);
    let others: Vec<_> = recording.others.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(others, ["/costs", "/map"]);
    let Tracks::Paths(paths) = &recording.streams[1].tracks else { panic!("a path") };
    assert_eq!((paths[0][0], paths[0][paths[0].len() - 1]), ([2.0, 7.0], [25.0, 4.0]));
    assert!(paths[0].len() > 40, "{}", paths[0].len());
    let by_network = Recording::read(&planned(&folder, &[]), Some("/plan"), None).expect("a recording");
    assert!(
        by_network
            .others
            .iter()
            .any(|(topic, kind)| topic == "/windows" && kind == "visualization_msgs/msg/MarkerArray")
    );

    let map = folder.path().join("map.yaml");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture("maps/tb3_sandbox.yaml")), &map).expect("copied");
    let image = fixture("maps/tb3_sandbox.pgm");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(image), folder.path().join("tb3_sandbox.pgm"))
        .expect("copied");
    let output = run(&["plan", "--map", name(&map), "--start", "0,0", "--goal", "1,1", "--mcap", name(&map)], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("it is read from, and would be overwritten"), "{}", text(&output.stderr));
}
