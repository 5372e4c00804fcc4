//! Every command of `trm` with its output on a full disk, into a closed pipe, and with nobody to complain to.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]

mod outputs;

use std::process::{Command, Output, Stdio};

use outputs::{NO_SPACE, closed, errors, full};
use tempfile::TempDir;

/// Each command's words, in the folder of the package; `OUT` is a place that is not there yet.
const COMMANDS: [&[&str]; 23] = [
    &["--help"],
    &["--version"],
    &["formats"],
    &["models"],
    &["schema", "solve"],
    &["completions", "bash"],
    &["solve", "--help"],
    &["solve", "../../examples/maze.txt", "--backend", "tract"],
    &[
        "plan",
        "--map",
        "../plan/../plan/tests/fixtures/maps/depot.yaml",
        "--start",
        "2,7",
        "--goal",
        "4,7",
        "--backend",
        "tract",
    ],
    &["eval", "sudoku-4", "--generate", "sudoku-easy", "--count", "2", "--backend", "tract"],
    &[
        "train",
        "--task",
        "sudoku-4",
        "--out",
        "OUT",
        "--threads",
        "1",
        "--set",
        "schedule.steps=2",
        "--set",
        "evaluation.every=0",
    ],
    &["generate", "maze-perfect", "--count", "2"],
    &["worlds", "ground", "--out", "OUT", "--side", "48", "--drives", "1", "--tests", "1"],
    &[
        "dataset",
        "arc",
        "--from",
        "../../puzzles/tests/fixtures/arc_challenges.json",
        "--test-set",
        "arc",
        "--augment",
        "1",
        "--out",
        "OUT",
    ],
    &["drives", "../plan/tests/fixtures/recordings/amcl_lz4.mcap", "--map", "../plan/tests/fixtures/maps/depot.yaml"],
    &["export", "../../models/sudoku-4", "--out", "OUT"],
    &[
        "quantize",
        "../../models/sudoku-4",
        "--out",
        "OUT",
        "--precision",
        "fp16",
        "--count",
        "8",
        "--calibration-count",
        "4",
    ],
    &["inspect", "../../models/sudoku-4"],
    &["parity", "--golden", "../../export/tests/fixtures/golden/sudoku_mlp_stable", "--backend", "tract"],
    &["bench", "sudoku-4", "--backend", "tract", "--batch", "1", "--threads", "1", "--seconds", "0.02"],
    &["doctor"],
    &["sign", "--generate-key", "OUT", "--no-password"],
    &["verify", "../../models/tests/fixtures/signed", "--trust", "../../models/tests/fixtures/signer.pub"],
];

fn trm(words: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let place = TempDir::new().expect("a folder");
    let out = place.path().join("out").display().to_string();
    Command::new(env!("CARGO_BIN_EXE_trm"))
        .args(words.iter().map(|&word| if word == "OUT" { &out } else { word }))
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .output()
        .expect("trm runs")
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    for words in COMMANDS {
        let output = trm(words, full(), Stdio::piped());
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?} into a full disk: {said}");
        assert!(said.contains(NO_SPACE) && !said.contains("panicked"), "{words:?} into a full disk: {said}");

        let output = trm(words, closed(), Stdio::piped());
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(0), "{words:?} into a closed pipe: {said}");
        assert!(!said.contains("error:") && !said.contains("panicked"), "{words:?} into a closed pipe: {said}");
    }
}

#[test]
fn remarks_that_nobody_can_read_change_nothing() {
    for stderr in [full, closed] {
        for words in COMMANDS {
            let output = trm(words, Stdio::piped(), stderr());
            assert_eq!(output.status.code(), Some(0), "{words:?}");
            assert!(!output.stdout.is_empty(), "{words:?}");
        }
        let output = trm(&["solve", "--backend", "tract", "nowhere.txt", "--verbose"], Stdio::piped(), stderr());
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(trm(&["solve", "--no-such-option"], Stdio::piped(), stderr()).status.code(), Some(2));
    }
}

#[test]
fn the_code_is_the_answers_where_nobody_reads_it() {
    let place = TempDir::new().expect("a folder");
    let maze = place.path().join("maze.txt");
    // No way leads to the goal.
    std::fs::write(
        &maze,
        "#########\n#S#    G#\n###     #\n#       #\n#       #\n#       #\n#       #\n#       #\n#########\n",
    )
    .expect("a maze");
    let words = ["solve", &maze.display().to_string(), "--backend", "tract", "--tries", "0"];
    assert_eq!(trm(&words, Stdio::piped(), Stdio::piped()).status.code(), Some(1));
    let output = trm(&words, closed(), Stdio::piped());
    assert_eq!((output.status.code(), errors(&output)), (Some(1), String::new()));
}

#[test]
fn every_command_is_in_the_list() {
    let help = trm(&["--help"], Stdio::piped(), Stdio::piped());
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(names.contains(&"solve"), "{help}");
    for name in names.into_iter().filter(|name| !name.is_empty() && *name != "help") {
        assert!(COMMANDS.iter().any(|words| words[0] == name), "{name} is not tested: add it to COMMANDS");
    }
}
