//! Texts, JSON and MovingAI maps for `trm solve`.

use super::measured::{all, bomb, filled, repeated, sparse};
use super::{LONGEST, TRM, write};

#[test]
fn texts() {
    let file = |name: &str, parts, length, says| {
        filled(&format!("solve: {name}"), "solve p.txt", "p.txt", parts, length, says)
    };
    let text = |name, piece, says| file(name, ["", piece, ""], LONGEST, says);
    let line = |name, piece, says| file(name, ["", piece, "\n"], LONGEST, says);
    all(
        TRM,
        &[
            text("64 MiB of # alone", "#\n", "33554433 lines is more than the limit of 2097152\nhint: split"),
            text("64 MiB of short comments", "# c\n", "16777217 lines is more than the limit of 2097152\nhint: split"),
            text(
                "64 MiB of comments",
                "# forty characters, so many lines as may be\n",
                "no puzzle in the input\nhint: ",
            ),
            text("64 MiB of blank lines", "\n", "67108865 lines is more than the limit of 2097152\nhint: split"),
            text("64 MiB of lines of spaces", &SPACES[..40], "no puzzle in the input\nhint: "),
            line("one line of 64 MiB of digits", "1", "a line of 67108863 characters, a sudoku takes 8000 at most"),
            line("one line of 64 MiB of walls", "#", "67108863 cells a side is more than the limit of 4096"),
            line("one line of 64 MiB of letters", "x", "67108863 cells a side is more than the limit of 4096"),
            text("64 MiB of rows of a maze", "#########\n", "lines is more than the limit of 2097152"),
            text(
                "64 MiB of long rows of a maze",
                "####################################\n",
                "cells a side is more than",
            ),
            text("64 MiB of rules", "---+---+---+---+---+---+---+---+---+---+\n", "no puzzle in the input"),
            text("64 MiB of posts", "o---o---o---o---o---o---o---o---o---o---o---o\n", "hint: "),
            file(
                "half a million mazes of 1x2",
                ["#S G#\n\n", "SG\n\n", ""],
                4 << 19,
                "bytes for the puzzles in it is more than",
            ),
            bomb(
                "solve: more than 64 MiB",
                "solve p.txt",
                "67108865 bytes is more than the limit of 67108864",
                |folder| sparse(&folder.join("p.txt"), LONGEST as u64 + 1),
            ),
            bomb("solve: a sparse file of 1 TB", "solve p.txt", "bytes is more than the limit of 67108864", |folder| {
                sparse(&folder.join("p.txt"), 1 << 40);
            }),
            bomb(
                "dataset: a folder with a task of more than 64 MiB",
                "dataset arc --from . --test-set x --out new",
                "67108865 bytes is more than the limit of 67108864",
                |folder| sparse(&folder.join("task.json"), LONGEST as u64 + 1),
            ),
            filled(
                "dataset: a task of a million pairs",
                "dataset arc --from . --test-set x --out new",
                "task.json",
                ["{\"train\": [", "{\"input\": [[1]], \"output\": [[2]]}, ", "{}], \"test\": []}"],
                LONGEST - 64,
                "lists, objects and names is more than the limit",
            ),
            bomb("solve: /dev/zero", "solve /dev/zero", "67108865 bytes is more than the limit of 67108864", |_| ()),
            filled(
                "solve: 64 MiB of comments on stdin",
                "solve",
                "p.txt",
                ["", "# c\n", ""],
                LONGEST,
                "16777217 lines is more than the limit",
            )
            .on_stdin("p.txt"),
            bomb("solve: zeros without end on stdin", "solve -", "67108865 bytes is more than the limit", |folder| {
                std::os::unix::fs::symlink("/dev/zero", folder.join("endless")).expect("a link");
            })
            .on_stdin("endless"),
        ],
    );
}

const SPACES: &str = "                                                            \n";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn json() {
    let file = |name: &str, file: &str, parts, length, says| {
        filled(&format!("solve: {name}"), &format!("solve {file}"), file, parts, length, says)
    };
    let deep = 1_000_000;
    all(
        TRM,
        &[
            file(
                "json lines, a million lists deep",
                "p.jsonl",
                ["{\"puzzle\": ", "[", ""],
                deep,
                "levels of nesting is more",
            ),
            file(
                "json lines, a row of 64 MiB",
                "p.jsonl",
                ["{\"puzzle\": [[", "0,", "0]]}"],
                LONGEST,
                "a row of more than 4096",
            ),
            file(
                "json lines, empty rows",
                "p.jsonl",
                ["{\"puzzle\": [", "[],", "[]]}"],
                LONGEST,
                "more than 4096 rows",
            ),
            file(
                "json lines, empty texts",
                "p.jsonl",
                ["{\"puzzle\": [", "\"\",", "\"\"]}"],
                LONGEST,
                "more than 4096 rows",
            ),
            file(
                "json lines, a text of 64 MiB",
                "p.jsonl",
                ["{\"puzzle\": \"", "1", "\"}"],
                LONGEST,
                "bytes of one text is more",
            ),
            file(
                "json lines, a name of 15 MiB",
                "p.jsonl",
                ["{\"", "n", "\": 1}"],
                15 << 20,
                "bytes of one text is more",
            ),
            file(
                "json lines, an id of 64 MiB",
                "p.jsonl",
                ["{\"id\": \"", "i", "\"}"],
                LONGEST,
                "bytes of one text is more",
            ),
            file("json lines, empty objects", "p.jsonl", ["", "{}\n", ""], LONGEST, "lines is more than the limit"),
            file("json, a million lists deep", "p.json", ["{\"test\": ", "[", ""], deep, "levels of nesting is more"),
            file("json, a million objects deep", "p.json", ["", "{\"a\":", ""], deep, "levels of nesting is more"),
            file(
                "arc, a row of 64 MiB",
                "p.json",
                ["{\"test\": [{\"input\": [[", "0,", "0]]}]}"],
                LONGEST,
                "a row of more than 1000 cells",
            ),
            file(
                "arc, rows of nothing",
                "p.json",
                ["{\"test\": [{\"input\": [", "[],", "[]]}]}"],
                LONGEST,
                "lists, objects and names is",
            ),
            file(
                "arc, rows of one cell",
                "p.json",
                ["{\"test\": [{\"input\": [", "[0],", "[0]]}]}"],
                8 << 20,
                "a grid of more than 1000 rows",
            ),
            file(
                "arc, pairs",
                "p.json",
                ["{\"test\": [", "{\"input\":[[0]]},", "{}]}"],
                LONGEST,
                "lists, objects and names is",
            ),
            file(
                "arc, half a million pairs",
                "p.json",
                ["{\"test\": [", "{\"input\":[[0]]},", "{}]}"],
                8 << 20,
                "missing field `input`",
            ),
            file("arc, tasks", "p.json", ["{", "\"a\":{\"test\":[]},", "\"b\":1}"], 8 << 20, "the expected JSON"),
            file(
                "arc, a name of 64 MiB",
                "p.json",
                ["{\"", "n", "\": 1}"],
                LONGEST,
                "bytes of one text is more than the limit of 4096",
            ),
            file(
                "arc, a text for a list",
                "p.json",
                ["{\"test\": \"", "n", "\"}"],
                LONGEST,
                "bytes of one text is more",
            ),
        ],
    );
}

#[test]
fn moving_ai() {
    let map = |name: &'static str, text: &'static str, says| {
        bomb(&format!("solve: {name}"), "solve m.map", says, move |folder| write(folder, "m.map", text))
    };
    all(
        TRM,
        &[
            map(
                "a .map of 10^9 rows",
                "type octile\nheight 1000000000\nwidth 5\nmap\n",
                "expected a number of cells from 1 to 4096",
            ),
            map(
                "a .map of 10^30 columns",
                "type octile\nheight 5\nwidth 1000000000000000000000000000000\nmap\n",
                "from 1 to 4096",
            ),
            map("a .map of 4096x4096 that has no rows", "type octile\nheight 4096\nwidth 4096\nmap\n", "the map has 0"),
            filled(
                "solve: a .map of 64 MiB of empty rows",
                "solve m.map",
                "m.map",
                ["type octile\nheight 4096\nwidth 4096\nmap\n", "\n", ""],
                LONGEST,
                "lines is more than the limit",
            ),
            filled(
                "solve: a .map of one row of 64 MiB",
                "solve m.map",
                "m.map",
                ["type octile\nheight 1\nwidth 4096\nmap\n", ".", "\n"],
                LONGEST,
                "this row has 67108",
            ),
            bomb(
                "solve: a million scenarios on one small map",
                "solve m.map",
                "bytes for the mazes of all scenarios is more",
                |folder| {
                    write(folder, "m.map", "type octile\nheight 1\nwidth 2\nmap\n..\n");
                    repeated(&folder.join("m.map.scen"), "version 1\n", "0\tm\t2\t1\t0\t0\t1\t0\t1\n", "", 20 << 20);
                },
            ),
            bomb(
                "solve: 300 scenarios on a map of 512x512",
                "solve m.map",
                "bytes for the mazes of all scenarios is more",
                |folder| {
                    let rows = format!("{}\n", ".".repeat(512)).repeat(512);
                    write(folder, "m.map", format!("type octile\nheight 512\nwidth 512\nmap\n{rows}"));
                    write(
                        folder,
                        "m.map.scen",
                        format!("version 1\n{}", "0\tm\t512\t512\t0\t0\t1\t0\t1\n".repeat(300)),
                    );
                },
            ),
        ],
    );
}
