//! Maps in text for `trm plan`.

use super::measured::{all, bomb, filled, option};
use super::{LONGEST, TRM, write};

const INFO: &str = r#""info": {"resolution": 0.05, "width": 3, "height": 1, "origin": {"position": {"x": 0, "y": 0, "z": 0}, "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}}}"#;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn texts_of_maps() {
    let map = |name: &str, file: &str, parts: [&str; 3], length, says| {
        let line = format!("plan --map {file} --start 1,1 --goal 2,2");
        filled(&format!("plan: {name}"), &line, file, parts, length, says)
    };
    let whole = |name: &'static str, file: &'static str, text: String, says| {
        let line = format!("plan --map {file} --start 1,1 --goal 2,2");
        bomb(&format!("plan: {name}"), &line, says, move |folder| write(folder, file, &text))
    };
    // Each line has ten of the line before.
    let laughs: String = std::iter::once("a0: &a0 lol\n".to_owned())
        .chain(
            (1..12).map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "))),
        )
        .collect();
    let grid_json = format!("{{{INFO}, \"data\": [");
    let grid_yaml = "info: {resolution: 0.05, width: 3, height: 1, origin: {position: {x: 0, y: 0, z: 0}, orientation: {x: 0, y: 0, z: 0, w: 1}}}\n";
    let flow = format!("{grid_yaml}data: [");
    let block = format!("{grid_yaml}data:\n");
    let huge = r#"{"info": {"resolution": 0.05, "width": 4294967295, "height": 4294967295, "origin": {"position": {"x": 0, "y": 0, "z": 0}, "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}}}, "data": []}"#;
    let text = 128 << 20;
    all(
        TRM,
        &[
            whole("a yaml of aliases of aliases", "m.yaml", format!("{laughs}image: m.pgm\n"), "not the yaml of a map"),
            map(
                "a yaml of 64 MB",
                "m.yaml",
                ["image: ", "m", ".pgm\n"],
                LONGEST,
                "bytes are more than the limit of 1048576",
            ),
            map("a yaml a million lists deep", "m.yaml", ["image: ", "[", "\n"], 1_000_000, "not the yaml of a map"),
            map("a yaml of many keys", "m.yaml", ["", "a: b\n", ""], 1 << 20, "not the yaml of a map"),
            whole(
                "a grid that says 2^32 squared",
                "m.json",
                huge.to_owned(),
                "4294967295x4294967295 cells are more than the limit",
            ),
            map(
                "a grid of 60 million values",
                "m.json",
                [&grid_json, "0,", "0]}"],
                120 << 20,
                "items are more than the limit of 25000000",
            ),
            map(
                "a grid of more than 128 MiB",
                "m.json",
                [&grid_json, "0,", "0]}"],
                text + 10,
                "bytes are more than the limit of 134217728",
            ),
            map(
                "a grid a million lists deep",
                "m.json",
                [&grid_json, "[", ""],
                1_000_000,
                "levels of nesting are more than the limit",
            ),
            map("a grid of lists", "m.json", [&grid_json, "[],", "0]}"], text, "items are more than the limit of 1000"),
            map(
                "a grid whose frame has 100 MB",
                "m.json",
                ["{\"header\": {\"frame_id\": \"", "f", "\"}}"],
                100 << 20,
                "bytes of one text are more",
            ),
            map(
                "a printed grid of 60 MB in a line",
                "m.yaml",
                [&flow, "0,", "0]\n"],
                60 << 20,
                "items are more than the limit of 25000000",
            ),
            map(
                "a printed grid of 100 MB",
                "m.yaml",
                [&block, "- 0\n", ""],
                100 << 20,
                "bytes are more than the limit of 67108864",
            ),
            map(
                "a printed grid whose frame has 60 MB",
                "m.yaml",
                ["header: {frame_id: ", "f", "}\ninfo: {}\n"],
                60 << 20,
                "hint: ",
            ),
            map(
                "a .map of 10^9 rows",
                "m.map",
                ["type octile\nheight 1000000000\nwidth 5\nmap\n", ".", "\n"],
                100,
                "from 1 to 4096",
            ),
            map(
                "a maze of one line of 100 MB",
                "m.txt",
                ["", "#", "\n"],
                100 << 20,
                "bytes is more than the limit of 67108864",
            ),
            map("a maze of blank lines", "m.txt", ["", "\n", ""], LONGEST, "lines is more than the limit"),
            option("plan --map /dev/zero --start 1,1 --goal 2,2", "bytes are more than the limit of 134217728"),
            option("plan --map warehouse:1000000000x1000000000 --pairs 1", "cells are more than the limit"),
            option("plan --map warehouse:18446744073709551615x2 --pairs 1", "cells are more than the limit"),
            option("plan --map warehouse:99999999999999999999x2 --pairs 1", "cannot be read"),
        ],
    );
}
