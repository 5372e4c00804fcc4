//! Recordings by writers of others, tables, and recordings that are damaged.

mod damaged;

use std::path::{Path, PathBuf};

use trm_intake::explained;
use trm_plan::PlanError;
use trm_plan::map::LoadedMap;
use trm_plan::recording::{Cuts, MapFit, MessageType, PoseStream, Recording, Tracks};

/// The way of `fixtures/recordings/make.py`, with its stop at the second corner.
const WAY: [[f64; 2]; 4] = [[2.0, 7.0], [14.725, 4.544], [22.947, 4.452], [25.0, 4.0]];
/// Metres a place.
const SPACING: f64 = 0.05;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings").join(name)
}

fn read(name: &str) -> Recording {
    Recording::read(&fixture(name), None, None).unwrap_or_else(|error| panic!("{name}: {}", explained(&error)))
}

fn stream<'r>(recording: &'r Recording, topic: &str) -> &'r PoseStream {
    recording.streams.iter().find(|stream| stream.topic == topic).expect("a topic of this name")
}

fn drives(stream: &PoseStream) -> Vec<Vec<[f64; 2]>> {
    stream.drives(&Cuts::default(), SPACING).expect("drives")
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Metres from a place to the nearest of the way's lines.
fn off_way(place: [f64; 2]) -> f64 {
    let points = |pair: &[[f64; 2]]| -> Vec<[f64; 2]> {
        let at = |t: f64| [0, 1].map(|axis| pair[0][axis] + t * (pair[1][axis] - pair[0][axis]));
        (0..=1000).map(|step| at(f64::from(step) / 1000.0)).collect()
    };
    WAY.windows(2).flat_map(points).map(|point| distance(point, place)).fold(f64::INFINITY, f64::min)
}

/// The drive of the fixtures: two pieces, the stop between them, places evenly along the way.
fn assert_is_the_way(drives: &[Vec<[f64; 2]>]) {
    let [first, second] = drives else { panic!("{} drives", drives.len()) };
    for (drive, begin, end) in [(first, WAY[0], WAY[1]), (second, WAY[1], WAY[3])] {
        assert!(distance(drive[0], begin) < 0.11, "{:?}", drive[0]);
        assert!(distance(drive[drive.len() - 1], end) < 0.11, "{:?}", drive.last());
        assert!(drive.iter().all(|&place| off_way(place) < 0.02));
        let even = drive.windows(2).rev().skip(1).all(|pair| (distance(pair[0], pair[1]) - SPACING).abs() < 1e-3);
        assert!(even, "places are evenly apart");
    }
}

#[test]
fn recordings_of_other_writers_give_the_drives_that_are_in_them() {
    for (name, topic, kind, messages) in [
        ("amcl_lz4.mcap", "/amcl_pose", MessageType::PoseWithCovarianceStamped, 274),
        ("amcl_zstd.mcap", "/amcl_pose", MessageType::PoseWithCovarianceStamped, 274),
        ("big_endian.mcap", "/pose", MessageType::PoseStamped, 55),
        ("bag", "/odometry/filtered", MessageType::Odometry, 55),
    ] {
        let recording = read(name);
        let stream = stream(&recording, topic);
        assert_eq!((stream.kind, &stream.frames[..]), (Some(kind), &["map".to_owned()][..]), "{name}");
        assert_eq!(stream.messages, messages, "{name}");
        assert!(recording.notes.is_empty(), "{name}: {:?}", recording.notes);
        assert_is_the_way(&drives(stream));
    }
    assert_eq!(read("amcl_lz4.mcap").others, [("/battery".to_owned(), "std_msgs/msg/Float32".to_owned())]);
}

#[test]
fn a_trajectory_is_a_topic_without_a_name() {
    let recording = read("trajectory.tum");
    assert_eq!((recording.streams[0].topic.as_str(), recording.streams[0].kind), ("", None));
    assert_is_the_way(&drives(&recording.streams[0]));
}

#[test]
fn a_plan_that_is_repeated_is_one_drive_and_the_way_back_another() {
    let recording = read("plan.mcap");
    let stream = stream(&recording, "/plan");
    assert_eq!(stream.messages, 5);
    let Tracks::Paths(paths) = &stream.tracks else { panic!("paths") };
    assert_eq!(*paths, [WAY.to_vec(), WAY.iter().rev().copied().collect()]);
    // Its places are metres apart, and no jumps.
    assert_eq!(drives(stream).len(), 2);
}

#[test]
fn topics_are_chosen_by_name() {
    let all = read("two_topics.mcap");
    let topics: Vec<_> = all.streams.iter().map(|stream| (stream.topic.as_str(), stream.messages)).collect();
    assert_eq!(topics, [("/odom", 55), ("/pose", 55)]);
    let one = Recording::read(&fixture("two_topics.mcap"), Some("/odom"), None).expect("read");
    assert_eq!(one.streams.len(), 1);
    assert_eq!(one.streams[0].frames, ["odom"]);
}

#[test]
fn a_drive_in_another_frame_is_off_the_map() {
    let map = LoadedMap::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/maps/depot.yaml"))
        .expect("a map")
        .map;
    let recording = read("two_topics.mcap");
    let fits = |topic: &str| -> Vec<MapFit> {
        drives(stream(&recording, topic)).iter().map(|drive| MapFit::new(&map, drive)).collect()
    };
    assert!(fits("/pose").iter().all(|fit| fit.places > 100 && fit.off_share() == 0.0), "{:?}", fits("/pose"));
    // Its origin is where the robot began: nearly all of the way lies below the map.
    assert!(fits("/odom").iter().all(|fit| fit.off_share() > 0.9 && fit.outside > 100), "{:?}", fits("/odom"));
}

#[test]
fn what_is_no_recording_is_refused_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, content).expect("written");
        let path = if name.starts_with("bag") { path.parent().expect("a folder").to_owned() } else { path };
        let error = Recording::read(&path, None, None).expect_err("refused");
        assert!(matches!(error, PlanError::BadRecording { .. }), "{error:?}");
        explained(&error)
    };
    let bag = |storage: &str, mode: &str| {
        format!(
            "rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: {storage}\n  compression_mode: '{mode}'\n  \
             relative_file_paths:\n    - a_0.db3\n"
        )
    };
    for (name, content, expected) in [
        (
            "bag1/metadata.yaml",
            bag("sqlite3", "").into_bytes(),
            "a bag of the storage `sqlite3`, expected mcap\nhint: convert it: `ros2 bag convert",
        ),
        ("bag2/metadata.yaml", bag("mcap", "FILE").into_bytes(), "whose files are compressed by rosbag2"),
        ("bag3/metadata.yaml", b"a: 1".to_vec(), "not the description of a bag"),
        ("bag4/a.db3", b"".to_vec(), "no .mcap file\nhint: convert it"),
        ("a.db3", b"SQLite format 3\0 and so on".to_vec(), "sqlite3, expected mcap\nhint: convert it"),
        ("a.bag", b"#ROSBAG V2.0\n and so on".to_vec(), "a bag of ROS 1, expected one of ROS 2\nhint: convert it"),
        ("a.mcap", b"x,y\n1,2\n".to_vec(), "it does not begin as an MCAP file does"),
    ] {
        let refused = refused(name, &content);
        assert!(refused.contains(expected), "{name}: {refused}");
    }
}

#[test]
fn a_bag_that_was_not_closed_has_its_files_read_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["run_10.mcap", "run_9.mcap"] {
        std::fs::copy(fixture("bag/bag.mcap"), folder.path().join(name)).expect("copied");
    }
    let recording = Recording::read(folder.path(), None, None).expect("read");
    assert_eq!(recording.streams[0].messages, 2 * 55);
    assert!(recording.notes[0].to_string().contains("there is no metadata.yaml"), "{:?}", recording.notes);
}
