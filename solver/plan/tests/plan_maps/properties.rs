//! Written maps are read back; bytes that are no map are an error at worst.

use std::fs;

use proptest::prelude::*;
use trm_plan::map::{LoadedMap, scenarios};
use trm_plan::{OccupancyMap, Pose};

use crate::{fixture, folder_with};

fn map(values: impl Strategy<Value = i8> + Clone) -> impl Strategy<Value = OccupancyMap> {
    let number = || -1e4..1e4;
    (1_usize..12, 1_usize..12, 1e-3..10.0, (number(), number(), -7.0..7.0)).prop_flat_map(
        move |(width, height, resolution, (x, y, yaw))| {
            prop::collection::vec(values.clone(), width * height).prop_map(move |values| {
                OccupancyMap::new("made", (width, height), resolution, Pose { x, y, yaw }, values).expect("a map")
            })
        },
    )
}

/// Writes and reads a map; its yaml and the map that came back.
fn there_and_back(map: &OccupancyMap, name: &str) -> (String, LoadedMap) {
    let (folder, _) = folder_with("kept", "");
    let path = folder.path().join(name);
    map.write_map_server(&path).expect("written");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3, "the yaml, the image and nothing else");
    (fs::read_to_string(&path).expect("a yaml"), LoadedMap::read(&path).expect("a map"))
}

fn assert_same(map: &OccupancyMap, back: &OccupancyMap) {
    assert_eq!(map.values(), back.values());
    assert_eq!((map.width(), map.height()), (back.width(), back.height()));
    assert_eq!(map.resolution().to_bits(), back.resolution().to_bits());
    let (origin, found) = (map.origin(), back.origin());
    assert_eq!((origin.x.to_bits(), origin.y.to_bits()), (found.x.to_bits(), found.y.to_bits()));
    assert!((origin.yaw - found.yaw).abs() < 1e-14, "{origin:?} {found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn maps_of_three_values_survive_as_trinary(map in map(prop::sample::select(vec![0, 100, -1]))) {
        let (yaml, back) = there_and_back(&map, "a.yaml");
        assert_same(&map, &back.map);
        prop_assert!(yaml.contains("image: a.pgm\nmode: trinary\n"), "{yaml}");
        prop_assert_eq!(back.note, None);
    }

    #[test]
    fn maps_of_any_values_survive(map in map(-1_i8..=100)) {
        assert_same(&map, &there_and_back(&map, "1 #a: b.yml").1.map);
    }

    #[test]
    fn nothing_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), form in 0..FORMS.len()) {
        let (name, start) = FORMS[form];
        let (folder, path) = folder_with(name, [start.as_bytes(), &bytes].concat());
        let image = [b"P5 3 2 255\n".as_slice(), &bytes].concat();
        fs::write(folder.path().join("m.pgm"), image).expect("an image");
        let _ = LoadedMap::read(&path);
        let arena = OccupancyMap::read(&fixture("arena.map")).expect("a map");
        let _ = scenarios(&path, &arena);
    }

    #[test]
    fn nothing_makes_an_image_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), form in 0..IMAGES.len()) {
        let settings = "image: m.pgm\nresolution: 1\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.2\n";
        let (folder, path) = folder_with("m.yaml", settings);
        fs::write(folder.path().join("m.pgm"), [IMAGES[form], &bytes].concat()).expect("an image");
        let _ = LoadedMap::read(&path);
    }

    #[test]
    fn a_damaged_image_makes_nothing_panic(at in 0..10_000_usize, byte in any::<u8>(), cut in any::<bool>()) {
        let settings = fs::read_to_string(fixture("depot.yaml")).expect("a yaml");
        let (folder, path) = folder_with("depot.yaml", settings);
        let mut image = fs::read(fixture("depot.png")).expect("an image");
        let at = at % image.len();
        if cut { image.truncate(at) } else { image[at] = byte }
        fs::write(folder.path().join("depot.png"), image).expect("an image");
        let _ = LoadedMap::read(&path);
    }
}

/// Names and beginnings that lead to each reader.
const FORMS: [(&str, &str); 14] = [
    ("a.yaml", ""),
    ("a.yaml", "image: m.pgm\n"),
    (
        "a.yaml",
        "image: m.pgm\nresolution: 1\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.2\nmode: ",
    ),
    ("a.yaml", "image: m.pgm\nresolution: "),
    ("a.json", ""),
    ("a.json", "{\"info\": {"),
    (
        "a.json",
        "{\"info\":{\"resolution\":1,\"width\":2,\"height\":1,\"origin\":{\"position\":{\"x\":0,\"y\":0},\"orientation\":{\"x\":0,\"y\":0,\"z\":0,\"w\":1}}},\"data\":[",
    ),
    (
        "a.yaml",
        "info: {resolution: 1, width: 2, height: 1, origin: {position: {x: 0, y: 0}, orientation: {x: 0, y: 0, z: 0, w: 1}}}\ndata:\n- ",
    ),
    ("a.map", "type octile\nheight 2\nwidth 3\nmap\n"),
    ("a.map", ""),
    ("a.scen", "version 1\n0\tm\t49\t49\t"),
    ("a.txt", ""),
    ("a.txt", "###\n#S#\n"),
    ("a.txt", "o---o---o\n| S "),
];

const IMAGES: [&[u8]; 8] = [
    b"P5 ",
    b"P5 3 2 255\n",
    b"P5 3 2 65535\n",
    b"P2 3 2 255\n",
    b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH ",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"BM",
    b"",
];
