//! Signals end `trm` soon, in the program as it is built by default, and what was trained is saved.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(2);

fn trm(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn signal(process: &Child, name: &str) {
    let status = Command::new("kill").args([name, &process.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

/// Sends the signal and waits; tells how long that took, and what was written to stdout and stderr.
fn end(process: Child, name: &str) -> (Option<i32>, Duration, String, String) {
    signal(&process, name);
    let asked = Instant::now();
    let output = process.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), asked.elapsed(), text(&output.stdout), text(&output.stderr))
}

/// Steps that the run's log tells of.
fn steps(run: &Path) -> u64 {
    let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap_or_default();
    let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64();
    log.lines().filter_map(step).max().unwrap_or(0)
}

/// Waits until a training has done so many steps.
fn trained(mut process: Child, run: &Path, least: u64) -> Child {
    let deadline = Instant::now() + Duration::from_mins(1);
    while steps(run) < least {
        if Instant::now() >= deadline {
            let _ = process.kill();
            panic!("it does not train: {:?}", process.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    process
}

#[test]
fn training_saves_its_step() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["-TERM", "-INT", "-HUP"] {
        let run = folder.path().join(name);
        let out = run.to_str().expect("text");
        let process = trm(&["train", "--task", "sudoku-4", "--out", out, "--threads", "1", "--json"])
            .args(["--set", "schedule.steps=100000", "--set", "checkpoint.every=100000"])
            .args(["--set", "log.every=1", "--set", "evaluation.every=0", "--set", "batch.groups=2"])
            .spawn()
            .expect("trm starts");
        let (code, took, said, errors) = end(trained(process, &run, 3), name);
        assert_eq!(code, Some(130), "{name}: {errors}");
        assert!(took < LIMIT, "{name}: {took:?}");
        let result: serde_json::Value = serde_json::from_str(&said).expect("a result");
        let step = result["step"].as_u64().expect("a step");
        assert!(result["end"] == "stopped" && step >= 3, "{result}");
        // It goes on from there.
        let next = (step + 1).to_string();
        let output = trm(&["train", "--out", out, "--resume", "--threads", "1", "--json"])
            .args(["--set", &format!("schedule.steps={next}")])
            .output()
            .expect("trm starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
        assert_eq!(result["step"].as_u64(), Some(step + 1), "{name}: {errors}");
    }
}

#[test]
fn measuring_while_training_is_broken_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let out = run.to_str().expect("text");
    // Held-out puzzles for minutes, after every step.
    let process = trm(&["train", "--task", "sudoku-4", "--out", out, "--threads", "1", "--json"])
        .args(["--set", "schedule.steps=100000", "--set", "log.every=1", "--set", "evaluation.every=2"])
        .args(["--set", "evaluation.puzzles=20000", "--set", "batch.groups=2"])
        .spawn()
        .expect("trm starts");
    let process = trained(process, &run, 2);
    std::thread::sleep(Duration::from_millis(500));
    let (code, took, said, errors) = end(process, "-TERM");
    assert!(code == Some(130) && took < LIMIT, "{code:?} after {took:?}: {errors}");
    let result: serde_json::Value = serde_json::from_str(&said).expect("a result");
    assert_eq!((result["end"].as_str(), result["step"].as_u64()), (Some("stopped"), Some(2)), "{errors}");
    assert!(run.join("checkpoint").is_dir());
}

#[test]
fn everything_else_ends_soon() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let sudoku = models.join("sudoku-9");
    let sudoku = sudoku.to_str().expect("text");
    let puzzles = tempfile::NamedTempFile::new().expect("a file");
    let generated = trm(&["generate", "sudoku-hard", "--count", "20"]).output().expect("trm starts");
    assert!(generated.status.success(), "{generated:?}");
    let text = String::from_utf8(generated.stdout).expect("text");
    // The same ones again and again: solving takes long, making them does not.
    std::fs::write(puzzles.path(), text.repeat(500)).expect("writable");
    let puzzles = puzzles.path().to_str().expect("text");
    let commands: [&[&str]; 4] = [
        &["bench", sudoku, "--seconds", "60", "--backend", "tract"],
        &["eval", sudoku, "--generate", "sudoku-hard", "--count", "20000", "--backend", "tract"],
        &["solve", puzzles, "--backend", "tract", "--max-steps", "1000", "--halt", "max-steps"],
        &["generate", "sudoku-hard", "--count", "100000000"],
    ];
    for arguments in commands {
        for name in ["-TERM", "-INT"] {
            let mut process = trm(arguments).stdout(Stdio::null()).spawn().expect("trm starts");
            std::thread::sleep(Duration::from_millis(1_500));
            let early = process.try_wait().expect("a child");
            assert!(early.is_none(), "{arguments:?} ended by itself: {:?}", process.wait_with_output());
            let (code, took, _, errors) = end(process, name);
            assert!(code == Some(130) && took < LIMIT, "{arguments:?}: {code:?}, {took:?}: {errors}");
        }
    }
    // While they wait for puzzles, too.
    let mut process = trm(&["solve"]).stdin(Stdio::piped()).spawn().expect("trm starts");
    // Held open: waiting for the process would close it.
    let stdin = process.stdin.take();
    std::thread::sleep(Duration::from_millis(500));
    let (code, took, _, errors) = end(process, "-INT");
    assert!(code == Some(130) && took < LIMIT, "{code:?}, {took:?}: {errors}");
    drop(stdin);
}

#[test]
fn what_is_printed_ends_with_a_whole_line() {
    let puzzles = tempfile::NamedTempFile::new().expect("a file");
    let generated = trm(&["generate", "sudoku-easy", "--count", "20"]).output().expect("trm starts");
    std::fs::write(puzzles.path(), String::from_utf8(generated.stdout).expect("text").repeat(500)).expect("writable");
    let puzzles = puzzles.path().to_str().expect("text");
    let commands: [&[&str]; 3] = [
        &["generate", "sudoku-easy", "--count", "100000000"],
        &["generate", "maze", "--size", "25x25", "--count", "100000000"],
        &["solve", puzzles, "--json", "--backend", "tract"],
    ];
    for arguments in commands {
        for name in ["-TERM", "-INT"] {
            // Nobody reads until the end: the pipe is full when the signal comes, or soon after.
            let process = trm(arguments).spawn().expect("trm starts");
            std::thread::sleep(Duration::from_millis(2_500));
            signal(&process, name);
            std::thread::sleep(Duration::from_millis(1_900));
            let output = process.wait_with_output().expect("it ends");
            let [said, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
            assert_eq!(output.status.code(), Some(130), "{arguments:?}: {errors}");
            assert!(said.ends_with('\n'), "{arguments:?}: {said}");
            for line in said.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            }
        }
    }
}
