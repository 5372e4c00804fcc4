//! Everything that is no map, and the messages about it.

use std::fs;

use trm_intake::explained;
use trm_plan::map::LoadedMap;
use trm_plan::{OccupancyMap, PlanError, Pose};

use crate::{folder_with, refusal};

const SETTINGS: &str =
    "image: map.pgm\nresolution: 0.05\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n";

const IMAGE: &[u8] = b"P5 2 1 255\n\x00\xff";

/// The message that refuses a map with a line of [`SETTINGS`] changed, or taken away by "".
fn with(key: &str, line: &str) -> String {
    let before = SETTINGS.lines().find(|line| line.starts_with(&format!("{key}:")));
    let settings = match before {
        Some(before) => SETTINGS.replace(&format!("{before}\n"), &format!("{line}\n")),
        None => format!("{SETTINGS}{line}\n"),
    };
    message(&settings, Some(IMAGE))
}

fn message(settings: &str, image: Option<&[u8]>) -> String {
    let (folder, path) = folder_with("map.yaml", settings);
    if let Some(image) = image {
        fs::write(folder.path().join("map.pgm"), image).expect("an image");
    }
    let message = explained(&LoadedMap::read(&path).expect_err("refused"));
    message.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn the_settings_that_the_others_are_made_of_are_a_map() {
    let (folder, path) = folder_with("map.yaml", SETTINGS);
    fs::write(folder.path().join("map.pgm"), IMAGE).expect("an image");
    assert_eq!(LoadedMap::read(&path).expect("a map").map.values(), [100, 0]);
}

#[test]
fn numbers_that_mean_nothing() {
    for (line, shown) in
        [("0", "0"), ("-0.05", "-0.05"), (".nan", "NaN"), ("nan", "NaN"), (".inf", "inf"), ("-.inf", "-inf")]
    {
        let message = with("resolution", &format!("resolution: {line}"));
        let expected = format!("map.yaml: the resolution is {shown}, expected metres a cell above zero, such as 0.05");
        assert_eq!(message, expected);
    }
    assert_eq!(
        with("resolution", "resolution: fine"),
        "map.yaml: `resolution` is \"fine\", expected a number such as 0.05"
    );
    assert_eq!(
        with("origin", "origin: [1.0, 2.0]"),
        "map.yaml: `origin` has 2 numbers, expected three: x, y and yaw of the bottom left corner, in metres and radians"
    );
    assert!(with("origin", "origin: [1, 2, 3, 4]").contains("`origin` has 4 numbers"));
    assert_eq!(
        with("origin", "origin: [1, east, 0]"),
        "map.yaml: `origin` is [1,\"east\",0], expected three numbers such as [-10.0, -10.0, 0.0]"
    );
    assert!(with("origin", "origin: 0").contains("`origin` is 0, expected three numbers"));
    assert_eq!(with("origin", "origin: [0, .nan, 0]"), "map.yaml: the origin [0, NaN, 0] is not finite");
    assert_eq!(with("negate", "negate: maybe"), "map.yaml: `negate` is \"maybe\", expected 0, 1, true or false");
    assert!(with("negate", "negate: 0.5").contains("`negate` is 0.5"));
    assert_eq!(with("mode", "mode: binary"), "map.yaml: `mode` is \"binary\", expected trinary, scale or raw");
    assert!(with("mode", "mode: 3").contains("`mode` is 3"));
}

#[test]
fn thresholds_that_leave_open_what_a_pixel_is() {
    let out_of_order = with("free_thresh", "free_thresh: 0.7");
    assert!(
        out_of_order.starts_with("map.yaml: free_thresh 0.7 is not below occupied_thresh 0.65\nhint: "),
        "{out_of_order}"
    );
    assert!(with("free_thresh", "free_thresh: 0.65").contains("free_thresh 0.65 is not below"));
    assert_eq!(
        with("occupied_thresh", "occupied_thresh: 65"),
        "map.yaml: `occupied_thresh` is 65, expected a share from 0 to 1 such as 0.65 or 0.196"
    );
    assert!(with("free_thresh", "free_thresh: -0.1").contains("`free_thresh` is -0.1, expected a share"));
    assert!(with("free_thresh", "free_thresh: .nan").contains("`free_thresh` is NaN"));
}

#[test]
fn keys_that_are_missing() {
    for (key, example) in [
        ("image", "map.pgm"),
        ("resolution", "0.05"),
        ("origin", "[-10.0, -10.0, 0.0]"),
        ("negate", "0"),
        ("occupied_thresh", "0.65"),
        ("free_thresh", "0.196"),
    ] {
        let expected = format!("map.yaml: `{key}` is missing\nhint: a map has a line such as {key}: {example}");
        assert_eq!(with(key, ""), expected);
        assert_eq!(with(key, &format!("{key}:")), expected);
    }
    assert_eq!(with("image", "image: ''"), "map.yaml: `image` is \"\", expected the path of a pgm, png or bmp image");
    assert!(message("", None).starts_with("map.yaml: not the yaml of a map"), "{}", message("", None));
    assert!(message("- a\n- b\n", None).starts_with("map.yaml: not the yaml of a map: it has no keys\nhint: "));
    assert!(message("image: [", None).starts_with("map.yaml: not the yaml of a map: "));
    assert!(message(&format!("{SETTINGS}negate: 1\n"), None).contains("negate"), "a key given twice");
    assert!(refusal("map.yaml", b"image: \xff\n").contains("not UTF-8 text, where yaml is expected"));
}

#[test]
fn images_that_are_missing_or_damaged() {
    let missing = message(SETTINGS, None);
    assert!(missing.starts_with("map.yaml: its image map.pgm cannot be read: No such file"), "{missing}");
    assert!(missing.contains("\nhint: `image` is a path from the yaml's folder"), "{missing}");
    for damaged in [
        b"P5 2 2 255\n\x00\xff".as_slice(),
        b"P5 2 1 255",
        b"P2 2 1 255\n0 x",
        b"P5 2 1 0\n\x00\x00",
        b"P5 2 1 70000\n",
    ] {
        let message = message(SETTINGS, Some(damaged));
        assert!(message.starts_with("map.yaml: its image map.pgm cannot be decoded: "), "{message}");
        assert!(message.contains("\nhint: is the file whole? maps are pgm, png or bmp images"), "{message}");
    }
    let text = message(SETTINGS, Some(b"a text"));
    assert!(text.starts_with("map.yaml: its image map.pgm cannot be decoded: "), "{text}");
    let png = fs::read(crate::fixture("depot.png")).expect("an image");
    let cut = message(SETTINGS, Some(&png[..png.len() / 2]));
    assert!(cut.starts_with("map.yaml: its image map.pgm cannot be decoded: "), "{cut}");
    let empty = message(SETTINGS, Some(b"P5 0 5 255\n"));
    assert!(
        empty.contains("map.pgm: a map of 0x5 cells has no cells") || empty.contains("cannot be decoded"),
        "{empty}"
    );
}

/// A png's header, with nothing behind it.
fn huge_png() -> Vec<u8> {
    let mut png = vec![];
    image::ImageEncoder::write_image(
        image::codecs::png::PngEncoder::new(&mut png),
        &[0; 4],
        2,
        2,
        image::ExtendedColorType::L8,
    )
    .expect("a png");
    png[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    // The checksum of IHDR, as zlib's crc32 has it for 20,000 x 20,000, 8 bits, grey.
    png[29..33].copy_from_slice(&0xc61b_19e5_u32.to_be_bytes());
    png
}

#[test]
fn an_image_that_is_too_large_is_refused_by_its_header() {
    for image in [b"P5 20000 20000 255\n".to_vec(), b"P2\n20000 20000\n65535\n".to_vec(), huge_png()] {
        assert_eq!(
            message(SETTINGS, Some(&image)),
            "map.pgm: 20000x20000 cells are more than the limit of 25000000\nhint: crop the map, or give it a coarser \
             resolution"
        );
    }
    let (folder, path) = folder_with("map.yaml", SETTINGS);
    fs::write(folder.path().join("map.pgm"), b"P5 5001 5000 255\n").expect("an image");
    let error = LoadedMap::read(&path).expect_err("refused");
    assert!(matches!(error, PlanError::MapTooLarge { width: 5001, height: 5000, .. }), "{error}");
}

#[test]
fn an_image_without_its_yaml() {
    let alone = refusal("hall.pgm", IMAGE);
    assert!(
        alone.starts_with("hall.pgm: an image alone tells neither scale nor origin\nhint: give the map_server yaml"),
        "{alone}"
    );
    for image in [b"P2\n# no yaml\n".as_slice(), b"\x89PNG\r\n\x1a\n", b"BM......", b"\xff\xd8\xff\xe0...."] {
        assert!(refusal("hall", image).contains("an image alone tells neither"));
    }
    let (folder, path) = folder_with("hall.png", b"\x89PNG\r\n\x1a\n");
    let yaml = folder.path().join("hall.yaml");
    fs::write(&yaml, SETTINGS).expect("a yaml");
    let message = explained(&LoadedMap::read(&path).expect_err("refused"));
    assert!(message.ends_with(&format!("\nhint: give {}", yaml.display())), "{message}");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gone.yaml");
    let message = explained(&OccupancyMap::read(&path).expect_err("refused"));
    assert!(message.starts_with(&format!("{}: cannot be read: No such file", path.display())), "{message}");
    let message = explained(&OccupancyMap::read(folder.path()).expect_err("refused"));
    assert!(message.contains("cannot be read: Is a directory"), "{message}");
    assert!(refusal("empty.txt", "").contains("empty.txt: no map in the file\nhint: a map is a map_server yaml"));
    assert!(refusal("blank", "\n \n\n").contains("blank: no map in the file"));
    assert!(refusal("a.bin", b"##\n\xff\xfe\n").contains("not text"));
    assert!(refusal("a.map.scen", "version 1\n").contains("a.map.scen: scenarios are no map\nhint: give the .map"));
}

#[test]
fn drawings_that_are_none() {
    let ragged = refusal("hall.txt", "####\n#  \n####\n");
    assert!(
        ragged.starts_with("hall.txt:2: this row has 3 cells, the grid's first row (line 1) has 4\nhint: "),
        "{ragged}"
    );
    let unknown = refusal("hall.txt", "####\n# x#\n####\n");
    assert!(unknown.starts_with("hall.txt:2:3: unknown character 'x'\nhint: a maze is drawn with #"), "{unknown}");
    assert_eq!(
        refusal("two.txt", "###\n#S#\n\n###\n#G#\n"),
        "two.txt: 2 mazes, parted by blank lines, where one map is expected"
    );
    assert_eq!(refusal("starts.txt", "S..\n..S\n"), "starts.txt: two cells are S: row 1 column 1, and row 2 column 3");
    assert!(refusal("goals.txt", "G.G\n").contains("two cells are G: row 1 column 1, and row 1 column 3"));
    assert!(refusal("mouse.txt", "o---o---o\n|       |\n").contains("its last wall is missing"));
    assert!(refusal("a.map", "##\n##\n").contains("a.map:1: expected type octile, height, width or map"));
    assert!(refusal("a.map", "type octile\nheight 2\nwidth 2\nmap\n..\n.\n").contains("a.map:6: this row has 1 cells"));
    assert!(
        refusal("a.map", "type octile\nheight 20000\nwidth 2\nmap\n")
            .contains("a.map:2: expected a number of cells from 1 to 4096")
    );
}

fn grid(resolution: &str, size: (u64, u64), orientation: [&str; 4], data: &str) -> String {
    let [x, y, z, w] = orientation;
    format!(
        r#"{{"info":{{"resolution":{resolution},"width":{},"height":{},"origin":{{"position":{{"x":0,"y":0,"z":0}},"orientation":{{"x":{x},"y":{y},"z":{z},"w":{w}}}}}}},"data":[{data}]}}"#,
        size.0, size.1
    )
}

#[test]
fn occupancy_grids_that_are_none() {
    const LEVEL: [&str; 4] = ["0", "0", "0", "1"];
    let json = |resolution, size, orientation, data| refusal("g.json", grid(resolution, size, orientation, data));
    assert_eq!(json("0.1", (2, 1), LEVEL, "0"), "g.json: 1 values, a map of 2x1 cells has 2");
    assert_eq!(
        json("0.1", (2, 1), LEVEL, "0,101"),
        "g.json: cell 1 holds 101, expected 0 (free) to 100 (occupied), or -1 (unknown)"
    );
    assert!(json("0.1", (2, 1), LEVEL, "0,-2").contains("cell 1 holds -2"));
    let wide = json("0.1", (2, 1), LEVEL, "0,255");
    assert!(
        wide.starts_with("g.json: not an OccupancyGrid in json: invalid value: integer `255`, expected i8 at line 1"),
        "{wide}"
    );
    assert!(wide.contains("\nhint: it is an object with info"), "{wide}");
    assert!(json("-1", (2, 1), LEVEL, "0,0").contains("the resolution is -1"));
    assert!(json("0.1", (0, 1), LEVEL, "").contains("a map of 0x1 cells has no cells"));
    assert!(json("0.1", (20_000, 20_000), LEVEL, "0").contains("20000x20000 cells are more than the limit"));
    assert!(json("0.1", (u64::MAX, u64::MAX), LEVEL, "0").contains("more than the limit"));
    assert_eq!(
        json("0.1", (1, 1), ["0", "0", "0", "0"], "0"),
        "g.json: the origin's orientation (x 0, y 0, z 0, w 0) has the length 0, expected 1\nhint: w: 1 and the others 0 \
         is no rotation"
    );
    assert!(json("0.1", (1, 1), ["0", "0", "0.8", "0.7"], "0").contains("has the length 1.06"));
    assert_eq!(
        json("0.1", (1, 1), ["0.6", "0", "0", "0.8"], "0"),
        "g.json: the origin's orientation (x 0.6, y 0, z 0, w 0.8) tilts the map, expected a rotation about z: x and y \
         within 0.001 of 0"
    );
    assert!(refusal("g.json", r#"{"info": {}, "data": []}"#).contains("missing field `resolution`"));
    assert!(refusal("g.json", r#"{"data": []}"#).contains("missing field `info`"));
    assert!(refusal("g.json", "[1, 2]").contains("not an OccupancyGrid in json"));
    assert!(refusal("g.json", "").contains("not an OccupancyGrid in json"));
}

#[test]
fn printed_occupancy_grids_that_are_none() {
    // Flow style: what stands in json's braces is yaml as well.
    let printed = |grid: &str| {
        refusal(
            "g.yaml",
            grid.replacen("{\"info\":", "info: ", 1).replacen(",\"data\":", "\ndata: ", 1).trim_end_matches('}'),
        )
    };
    let level = |data| grid("0.1", (3, 1), ["0", "0", "0", "1"], data);
    let message = printed(&level("0, 0, '...'"));
    assert!(message.starts_with("g.yaml: not an OccupancyGrid in yaml: "), "{message}");
    assert!(message.contains("\nhint: `ros2 topic echo --once --full-length /map` prints one"), "{message}");
    assert!(printed(&level("0, 0")).contains("g.yaml: 2 values, a map of 3x1 cells has 3"));
    assert!(printed(&grid(".nan", (1, 1), ["0", "0", "0", "1"], "0")).contains("the resolution is NaN"));
    assert!(printed(&grid("1", (1, 1), ["0", "0", "0", ".nan"], "0")).contains("has the length NaN, expected 1"));
}

#[test]
fn what_cannot_be_written() {
    let map = OccupancyMap::new("made", (1, 1), 1.0, Pose::default(), vec![0]).expect("a map");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("map.pgm");
    let message = explained(&map.write_map_server(&path).expect_err("refused"));
    assert_eq!(message, format!("{}: a map is written to a path that ends in .yaml", path.display()));
    let path = folder.path().join("none/map.yaml");
    let message = explained(&map.write_map_server(&path).expect_err("refused"));
    assert!(message.contains("cannot write") && message.contains("none/map.pgm"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
