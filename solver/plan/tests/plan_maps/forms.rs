//! Maps as text: `OccupancyGrid`, mazes; and the facts in them beside their cells.

use std::f64::consts::FRAC_PI_2;

use trm_plan::map::{FREE, LoadedMap, OCCUPIED, UNKNOWN};
use trm_plan::{OccupancyMap, Pose};

use crate::{at, folder_with, read};

/// As rosbridge sends it.
const JSON: &str = r#"{
  "header": {"stamp": {"sec": 1, "nanosec": 2}, "frame_id": "hall"},
  "info": {
    "map_load_time": {"sec": 0, "nanosec": 0}, "resolution": 0.25, "width": 3, "height": 2,
    "origin": {
      "position": {"x": -1.0, "y": 2.5, "z": 0.0},
      "orientation": {"x": 0.0, "y": 0.0, "z": 0.7071067811865476, "w": 0.7071067811865476}
    }
  },
  "data": [0, 100, -1, 0, 37, 0]
}"#;

/// As `ros2 topic echo --once --full-length /map` prints it.
const YAML: &str = "header:
  stamp:
    sec: 1
    nanosec: 2
  frame_id: hall
info:
  map_load_time:
    sec: 0
    nanosec: 0
  resolution: 0.25
  width: 3
  height: 2
  origin:
    position:
      x: -1.0
      y: 2.5
      z: 0.0
    orientation:
      x: 0.0
      y: 0.0
      z: 0.7071067811865476
      w: 0.7071067811865476
data:
- 0
- 100
- -1
- 0
- 37
- 0
---
";

#[test]
fn occupancy_grids_in_json_and_yaml() {
    for (name, text) in [("map.json", JSON), ("map", JSON), ("map.yaml", JSON), ("map.yaml", YAML), ("map.txt", YAML)] {
        let loaded = read(name, text);
        let map = &loaded.map;
        assert_eq!((map.width(), map.height(), map.frame()), (3, 2, "hall"), "{name}");
        // The message's own order: the first value is the bottom left cell's.
        assert_eq!(map.values(), [FREE, OCCUPIED, UNKNOWN, FREE, 37, FREE]);
        assert_eq!(at(map, 1, 0), OCCUPIED);
        assert!((map.origin().yaw - FRAC_PI_2).abs() < 1e-12);
        assert_eq!((map.origin().x, map.origin().y), (-1.0, 2.5));
        assert_eq!((loaded.start, loaded.goal), (None, None));
    }
}

#[test]
fn an_occupancy_grid_without_a_header_is_in_the_frame_map() {
    let start = JSON.find("\"header\"").expect("a header");
    let end = JSON.find("\"info\"").expect("info");
    let bare = format!("{}{}", &JSON[..start], &JSON[end..]);
    assert_eq!(read("map.json", bare).map.frame(), "map");
    assert_eq!(read("map.json", JSON.replace("hall", "")).map.frame(), "map");
    // A half turn the other way round is the same; -q is q.
    let turned = JSON.replace("0.7071067811865476", "-0.7071067811865476");
    assert!((read("map.json", turned).map.origin().yaw - FRAC_PI_2).abs() < 1e-12);
}

#[test]
fn a_drawn_maze_brings_start_and_goal() {
    let maze = "#####\n#S.##\n#   #\n##G##\n#####\n";
    let loaded = read("maze.txt", maze);
    assert_eq!((loaded.map.width(), loaded.map.height()), (5, 5));
    // From the top left: S in row 1 column 1, G in row 3 column 2.
    assert_eq!(loaded.start, Some(Pose::new(1.5, 3.5, 0.0)));
    assert_eq!(loaded.goal, Some(Pose::new(2.5, 1.5, 0.0)));
    assert_eq!((at(&loaded.map, 3, 3), at(&loaded.map, 3, 1), at(&loaded.map, 2, 3)), (OCCUPIED, OCCUPIED, FREE));
    assert_eq!((at(&loaded.map, 1, 2), at(&loaded.map, 1, 1)), (FREE, OCCUPIED));

    let small = loaded.with_resolution(0.1).expect("a size");
    let start = small.start.expect("a start");
    assert!((start.x - 0.15).abs() < 1e-12 && (start.y - 0.35).abs() < 1e-12, "{start:?}");
    assert_eq!(small.map.cell_at(start.x, start.y), Some(trm_plan::MapCell { x: 1, y: 3 }));
    let error = small.with_resolution(0.0).expect_err("refused").to_string();
    assert!(error.contains("the resolution is 0, expected metres a cell above zero"), "{error}");
}

#[test]
fn a_drawn_map_needs_no_start_and_no_walls() {
    let loaded = read("hall.txt", "@@@@\n@..@\n@ .@\n");
    assert_eq!((loaded.start, loaded.goal), (None, None));
    assert_eq!(loaded.map.values(), [100, 0, 0, 100, 100, 0, 0, 100, 100, 100, 100, 100]);
    assert_eq!(read("open.txt", "...\n...\n").map.values(), [0; 6]);
    // Windows' line ends, and a byte order mark.
    assert_eq!(read("hall.txt", "\u{feff}##\r\n. \r\n").map.values(), [0, 0, 100, 100]);
}

#[test]
fn a_micromouse_maze_brings_start_and_goal() {
    let maze = "o---o---o\n|       |\no   o---o\n| S   G |\no---o---o\n";
    let loaded = read("mouse.maz", maze);
    assert_eq!((loaded.map.width(), loaded.map.height()), (5, 5));
    assert_eq!(loaded.start, Some(Pose::new(1.5, 1.5, 0.0)));
    assert_eq!(loaded.goal, Some(Pose::new(3.5, 1.5, 0.0)));
    assert_eq!((at(&loaded.map, 3, 2), at(&loaded.map, 1, 2)), (OCCUPIED, FREE));
}

#[test]
fn what_is_read_is_told_by_content_where_the_name_tells_nothing() {
    let arena = std::fs::read(crate::fixture("arena.map")).expect("a file");
    assert_eq!(read("arena", arena).map.width(), 49);
    let (folder, yaml) = folder_with(
        "settings",
        "image: m.pgm\nresolution: 1\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.2\n",
    );
    std::fs::write(folder.path().join("m.pgm"), b"P5 1 1 255\n\x00").expect("an image");
    assert_eq!(OccupancyMap::read(&yaml).expect("a map").values(), [100]);
    let json = r#"{"image": "m.pgm", "resolution": 1, "origin": [0, 0, 0], "negate": false, "occupied_thresh": 0.65, "free_thresh": 0.2}"#;
    let path = folder.path().join("settings.json");
    std::fs::write(&path, json).expect("settings");
    assert_eq!(OccupancyMap::read(&path).expect("a map").values(), [100]);
}

#[test]
fn a_message_in_rosbridges_envelope_is_the_message() {
    let message = r#"{"header": {"frame_id": "odom"}, "info": {"resolution": 0.10000000149011612, "width": 2, "height": 1,
        "origin": {"position": {"x": 1, "y": 2, "z": 0}, "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}}}, "data": [0, 100]}"#;
    let envelopes = [
        message.to_owned(),
        format!(r#"{{"op": "publish", "topic": "/map", "msg": {message}}}"#),
        format!(
            r#"{{"op": "service_response", "service": "/map_server/map", "values": {{"map": {message}}}, "result": true}}"#
        ),
    ];
    for envelope in envelopes {
        let (_folder, path) = folder_with("wire.json", &envelope);
        let map = LoadedMap::read(&path).expect("a map").map;
        assert_eq!((map.values(), map.frame(), map.origin().x), (&[0, 100][..], "odom", 1.0));
        // Of single precision in the message.
        assert_eq!(map.resolution().to_bits(), 0.1_f64.to_bits());
    }
    let (_folder, path) = folder_with("wire.json", r#"{"op": "publish", "msg": {"info": 3}}"#);
    let refused = LoadedMap::read(&path).expect_err("no map").to_string();
    assert!(refused.contains("not an OccupancyGrid in json"), "{refused}");
}

#[test]
fn a_micromouse_maze_may_be_called_a_map() {
    let (_folder, path) = folder_with("mouse.map", "+---+---+\n| S   G |\n+---+---+\n");
    let loaded = LoadedMap::read(&path).expect("a map");
    assert!(loaded.start.is_some() && loaded.goal.is_some());
}
