//! `trm plan`: what it prints, how it ends, what it refuses.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Runs `trm plan` with these words, in the folder of the maps.
fn plan(arguments: &[&str]) -> Output {
    let maps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plan/../plan/tests/fixtures/maps");
    Command::new(env!("CARGO_BIN_EXE_trm"))
        .env_remove("ORT_DYLIB_PATH")
        .current_dir(maps)
        .args(["plan", "--backend", "tract"])
        .args(arguments)
        .output()
        .expect("trm runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

#[test]
fn a_plan_in_json_has_what_programs_rely_on() {
    let folder = TempDir::new().expect("a folder");
    let png = folder.path().join("plan.png");
    let png_name = png.to_str().expect("UTF-8");
    let output = plan(&[
        "--map",
        "depot.yaml",
        "--start",
        "2,7",
        "--goal",
        "25,4,-1.5",
        "--json",
        "--network-limit",
        "0",
        "--png",
        png_name,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let plan = json(&output);
    assert_eq!(plan["status"], "planned");
    let path: Vec<[f64; 3]> = serde_json::from_value(plan["path"].clone()).expect("poses");
    assert_eq!((path[0][0], path[0][1]), (2.0, 7.0));
    assert_eq!(path.last(), Some(&[25.0, 4.0, -1.5]));
    let length: f64 = path.windows(2).map(|pair| (pair[0][0] - pair[1][0]).hypot(pair[0][1] - pair[1][1])).sum();
    assert!((length - plan["length_m"].as_f64().expect("a length")).abs() < 1e-6);
    let ratio = length / plan["optimal_length_m"].as_f64().expect("a length");
    assert!((0.9..1.05).contains(&ratio), "{ratio}");
    assert_eq!(plan["network_share"], 1.0);
    assert!(plan["steps"].as_u64() >= plan["segments"].as_u64() && plan["segments"].as_u64() > Some(3));
    assert!(plan["ms"].as_f64() > Some(0.0));
    assert!(plan["clearance_m"].as_f64() > Some(0.22));
    assert_eq!(plan["by_network"].as_array().map(Vec::len), Some(path.len()));
    assert_eq!((&plan["frame"], &plan["model"], &plan["backend"]), (&"map".into(), &"maze".into(), &"tract".into()));
    // The map's own warning goes to stderr.
    assert!(text(&output.stderr).starts_with("note: "), "{}", text(&output.stderr));

    let picture = image::open(&png).expect("a picture").to_rgb8();
    assert_eq!(picture.dimensions(), (604, 307));
    let blue = picture.pixels().filter(|pixel| pixel.0 == [25, 113, 194]).count();
    let red = picture.pixels().filter(|pixel| pixel.0 == [224, 49, 49]).count();
    assert!(blue > 400 && red == 0, "{blue} blue, {red} red");
}

#[test]
fn waypoints_come_as_close_as_asked() {
    let output = plan(&[
        "--map",
        "depot.yaml",
        "--start",
        "2,7",
        "--goal",
        "25,4",
        "--json",
        "--spacing",
        "0.1",
        "--no-optimum",
    ]);
    let plan = json(&output);
    let path: Vec<[f64; 3]> = serde_json::from_value(plan["path"].clone()).expect("poses");
    assert!(path.len() > 220);
    assert!(path.windows(2).all(|pair| (pair[0][0] - pair[1][0]).hypot(pair[0][1] - pair[1][1]) <= 0.1 + 1e-9));
    assert_eq!(plan["optimal_length_m"], Value::Null);
}

#[test]
fn a_goal_that_cannot_be_reached_is_said_so() {
    let folder = TempDir::new().expect("a folder");
    let maze = folder.path().join("closed.txt");
    std::fs::write(&maze, "#######\n#S   ##\n#   #G#\n#######\n").expect("written");
    let output = plan(&["--map", maze.to_str().expect("UTF-8"), "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let plan = json(&output);
    assert_eq!(
        (&plan["status"], &plan["path"], &plan["length_m"]),
        (&"unreachable".into(), &serde_json::json!([]), &Value::Null)
    );
    let reason = plan["reason"].as_str().expect("a reason");
    assert!(reason.contains("the 7 free cells that can be reached from the start"), "{reason}");
}

#[test]
fn pairs_are_measured_against_exact_search() {
    let output = plan(&["--map", "tb3_sandbox.yaml", "--pairs", "20", "--seed", "4", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let trial = json(&output);
    let count = |key: &str| trial[key].as_u64().unwrap_or_else(|| panic!("{key} in {trial}"));
    assert_eq!((count("pairs"), count("planned"), count("collision_free"), count("disagreements")), (20, 20, 20, 0));
    assert!(trial["length_ratio"]["max"].as_f64() <= Some(1.25));
    for who in ["plan_ms", "astar_ms", "dijkstra_ms"] {
        let spread = &trial[who];
        assert!(spread["p50"].as_f64() > Some(0.0) && spread["p50"].as_f64() <= spread["p99"].as_f64(), "{who}");
    }
    let again = json(&plan(&["--map", "tb3_sandbox.yaml", "--pairs", "20", "--seed", "4", "--json"]));
    assert_eq!(trial["length_ratio"], again["length_ratio"]);

    let table = plan(&["--map", "arena.map", "--scenarios"]);
    assert_eq!(table.status.code(), Some(0), "{}", text(&table.stderr));
    let table = text(&table.stdout);
    assert!(table.contains("160: 160 planned, 0 unreachable"), "{table}");
    assert!(table.contains("lengths differ from exact search for 0 of 160"), "{table}");
}

#[test]
fn a_robot_smaller_than_a_cell_keeps_its_distance() {
    let maze = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/maze.txt");
    let output = plan(&["--map", maze.to_str().expect("UTF-8"), "--radius", "0.4", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("each is divided into 10 x 10"), "{}", text(&output.stderr));
    let plan = json(&output);
    let clearance = plan["clearance_m"].as_f64().expect("a clearance");
    assert!(clearance > 0.4 && clearance < 0.6, "{clearance}");
    // Passages are 1 m wide.
    let wide = self::plan(&["--map", maze.to_str().expect("UTF-8"), "--radius", "0.6"]);
    assert_eq!(wide.status.code(), Some(2));
    assert!(text(&wide.stderr).contains("too close for a robot of radius 0.6 m"), "{}", text(&wide.stderr));
}

/// Exit code 2, one line that says what is wrong, mostly a hint, nothing on stdout.
#[test]
fn bad_input_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let no_image = file(
        "no-image.yaml",
        "image: gone.pgm\nresolution: 0.05\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.25\n",
    );
    std::fs::write(folder.path().join("short.pgm"), b"P5\n100 100\n255\nxyz").expect("written");
    let truncated = file(
        "short.yaml",
        "image: short.pgm\nresolution: 0.05\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.25\n",
    );
    std::fs::write(folder.path().join("huge.pgm"), b"P5\n20000 20000\n255\n").expect("written");
    let huge = file(
        "huge.yaml",
        "image: huge.pgm\nresolution: 0.05\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.25\n",
    );
    let depot = ["--map", "depot.yaml", "--start", "2,7", "--goal"];
    let with = |rest: &[&str]| [&depot[..], rest].concat().iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let map = |name: &str| ["--map", name, "--start", "1,1", "--goal", "2,2"].map(str::to_owned).to_vec();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let cases: &[(Vec<String>, &str)] = &[
        (map(&no_image), "gone.pgm"),
        (map(&truncated), "short.pgm"),
        (map(&huge), "20000x20000 cells are more than the limit of 25000000\nhint: crop the map"),
        (map("gone.yaml"), "gone.yaml"),
        (map("depot.png"), "yaml"),
        (with(&["25,NaN"]), "expected x,y or x,y,yaw in metres and radians"),
        (with(&["25"]), "expected x,y or x,y,yaw in metres and radians"),
        (with(&["250,4"]), "the goal 250,4 is outside of the map\nhint: the map reaches from x 0.00 to 30.2"),
        (with(&["15.1,4.8"]), "hint: the nearest free place is"),
        (with(&["25,4", "--radius", "-0.1"]), "--radius: the robot's radius is -0.1"),
        (with(&["25,4", "--radius", "NaN"]), "--radius: the robot's radius is NaN"),
        (with(&["25,4", "--resolution", "0"]), "the resolution is 0"),
        (with(&["25,4", "--spacing", "0"]), "--spacing 0: expected metres above zero"),
        (with(&["25,4", "--max-detour", "0.9"]), "--max-detour 0.9: expected a factor of 1 or more"),
        (with(&["25,4", "--model", "sudoku-4"]), "sudoku-4 solves a sudoku of 4x4, planning needs a maze model"),
        (with(&["25,4", "--png", "plan.jpg"]), "pictures are written as PNG"),
        (words("--map depot.yaml --goal 25,4"), "--start is missing, and depot.yaml has no S"),
        (words("--map depot.yaml --start 2,7"), "--goal is missing, and depot.yaml has no G"),
        (words("--map depot.yaml --pairs 0"), "--pairs 0: nothing to measure"),
        (words("--map depot.yaml --pairs 5 --radius 20"), "no two free places more than 3 m apart"),
        (words("--map depot.yaml --scenarios --radius 0"), "depot.yaml.scen"),
        (words("--map arena.map --scenarios --radius 0.2"), "the lengths of scenarios are for a point"),
        (words("--map warehouse:9x9 --pairs 1"), "a warehouse has at least 400 cells a side"),
    ];
    for (arguments, message) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = plan(&arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(stderr.contains("error: ") && stderr.contains(message), "{arguments:?}: {stderr}");
    }
}

#[test]
fn no_map_is_drawn_over() {
    let folder = TempDir::new().expect("a folder");
    let maps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plan/../plan/tests/fixtures/maps");
    for file in ["depot.yaml", "depot.png"] {
        std::fs::copy(maps.join(file), folder.path().join(file)).expect("copied");
    }
    let [map, png] = ["depot.yaml", "depot.png"].map(|file| folder.path().join(file).display().to_string());
    let output = plan(&["--map", &map, "--start", "2,7", "--goal", "25,4", "--png", &png]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("would be overwritten"), "{said}");
    let same = |file: &str| std::fs::read(folder.path().join(file)).ok() == std::fs::read(maps.join(file)).ok();
    assert!(same("depot.png"));
}

#[test]
fn inflation_keeps_paths_off_the_walls_and_says_what_they_cost() {
    let ends = ["--map", "depot.yaml", "--start", "2,7", "--goal", "25,4"];
    let output = plan(&[&ends[..], &["--inflation", "1.5,2", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let inflated = json(&output);
    let number = |plan: &Value, key: &str| plan[key].as_f64().unwrap_or_else(|| panic!("{key} in {plan}"));
    assert!(number(&inflated, "clearance_m") > 0.5 && number(&inflated, "clearance_median_m") > 1.0);
    assert!(number(&inflated, "cost") > number(&inflated, "length_m"));
    let ratio = number(&inflated, "cost") / number(&inflated, "optimal_cost");
    assert!((0.9..1.0001).contains(&ratio), "{ratio}");
    assert_eq!(inflated["model"], Value::Null);
    assert_eq!(inflated["network_share"], Value::Null);

    let output = plan(&[&ends[..], &["--inflation", "1.5,2"]].concat());
    assert!(text(&output.stdout).contains("by exact search"), "{}", text(&output.stdout));
    for (options, message) in [
        (&["--inflation", "wide"][..], "expected metres, or metres and a scaling, such as 0.55,10; found `wide`"),
        (&["--inflation", "1", "--model", "maze-9"], "maze-9 solves mazes, and these know of no costs"),
        (&["--inflation", "1", "--cost-factor", "NaN"], "the costs have a factor of NaN"),
        (&["--costs", "missing.yaml"], "missing.yaml: cannot be read"),
        (&["--footprint", "[[1,1],[2,1],[2,2]]"], "the footprint has its centre, 0,0, outside of it"),
    ] {
        let output = plan(&[&ends[..], options].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(text(&output.stderr).contains(message), "{options:?}: {}", text(&output.stderr));
    }
}

#[test]
fn measuring_with_costs_compares_them_with_exact_search() {
    let output = plan(&["--map", "tb3_sandbox.yaml", "--pairs", "30", "--seed", "1", "--inflation", "1,3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let trial = json(&output);
    assert_eq!((trial["planned"].as_u64(), trial["collision_free"].as_u64()), (Some(30), Some(30)));
    assert!(trial["cost_ratio"]["max"].as_f64() < Some(1.0001) && trial["cost_ratio"]["p50"].as_f64() > Some(0.9));
    assert!(trial["clearance_median_m"].as_f64() > Some(0.44), "{trial}");
}

#[test]
fn a_footprint_drives_where_its_circle_cannot_and_not_where_it_cannot_turn() {
    let folder = TempDir::new().expect("a folder");
    // A corridor of 0.6 m between two rooms, in cells of 0.05 m.
    let rows = (0..40).map(|y| {
        let cells = (0..120).map(|x| {
            let in_room = (2..38).contains(&y) && ((2..40).contains(&x) || (80..118).contains(&x));
            if in_room || (14..26).contains(&y) && (2..118).contains(&x) { "254" } else { "0" }
        });
        cells.collect::<Vec<_>>().join(" ")
    });
    let pgm = format!("P2\n120 40\n255\n{}\n", rows.collect::<Vec<_>>().join("\n"));
    std::fs::write(folder.path().join("c.pgm"), pgm).expect("written");
    let yaml =
        "image: c.pgm\nresolution: 0.05\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n";
    let map = folder.path().join("c.yaml");
    std::fs::write(&map, yaml).expect("written");
    let map = map.to_str().expect("UTF-8");
    let ends = |goal| ["--map", map, "--start", "1,1", "--goal", goal, "--inflation", "0.3", "--json"];
    // 0.9 m long: its circle of 0.49 m does not fit into the corridor.
    let long = ["--footprint", "[[0.45,0.2],[0.45,-0.2],[-0.45,-0.2],[-0.45,0.2]]"];
    let round = plan(&[&ends("5,1")[..], &["--radius", "0.49"]].concat());
    assert_eq!((round.status.code(), json(&round)["status"].as_str()), (Some(1), Some("unreachable")));
    let through = plan(&[&ends("5,1")[..], &long].concat());
    assert_eq!(through.status.code(), Some(0), "{}", text(&through.stderr));
    // A goal in the corridor across it: there it cannot turn.
    let across = plan(&[&ends("3,1,1.57")[..], &long].concat());
    let across_json = json(&across);
    assert_eq!((across.status.code(), across_json["status"].as_str()), (Some(1), Some("failed")), "{across_json}");
    let reason = across_json["reason"].as_str().expect("a reason");
    assert!(reason.contains("the footprint touches the obstacle in cell"), "{reason}");
    // Wider than the corridor.
    let wide =
        plan(&[&ends("5,1")[..], &["--footprint", "[[0.4,0.35],[0.4,-0.35],[-0.4,-0.35],[-0.4,0.35]]"]].concat());
    assert_eq!(wide.status.code(), Some(1), "{}", text(&wide.stdout));
}

#[test]
fn a_docked_robot_is_led_out_and_the_output_says_so() {
    let ends = ["--map", "tb3_sandbox.yaml", "--goal", "0.5,0.5", "--json"];
    let refused = plan(&[&ends[..], &["--start", "-2.0,-1.05", "--radius", "0.3"]].concat());
    let hint = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{hint}");
    assert!(hint.contains("too close for a robot of radius 0.3 m"), "{hint}");
    let led =
        plan(&[&ends[..], &["--start", "-2.0,-1.05", "--radius", "0.3", "--escape", "--inflation", "0.6"]].concat());
    assert_eq!(led.status.code(), Some(0), "{}", text(&led.stderr));
    let led = json(&led);
    assert!(led["way_out"].as_u64() >= Some(1) && led["clearance_m"].as_f64() < Some(0.3), "{led}");
}
