//! Every command of `trm-host` with its output on a full disk, into a closed pipe, and with nobody to complain to.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]

#[path = "../../solver/cli/tests/outputs/mod.rs"]
mod outputs;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use outputs::{NO_SPACE, closed, errors, full};

/// Each command's words, in the folder of the package; `OUT` is a place that is not there yet, `PORT` a robot's port, `PATH` a path
/// that it can drive.
const COMMANDS: [&[&str]; 12] = [
    &["--help"],
    &["--version"],
    &["kiosk", "--help"],
    &["kiosk", "--check", "--config", "examples/kiosk.toml"],
    &["model", "activate", "../models/sudoku-4", "--state", "OUT"],
    &["read", "tests/fixtures/photos/image102.jpg"],
    &["read", "tests/fixtures/photos/image102.jpg", "--json"],
    &["display", "--time"],
    &["link", "--port", "PORT"],
    &["link", "--soak", "1"],
    &["drive", "--path", "PATH", "--port", "PORT", "--set-pose", "--speed", "2"],
    &["digits", "--photos", "tests/fixtures/photos", "--folds", "2", "--steps", "1"],
];

/// Commands that print no results, and the one that is tested by itself.
const OTHERS: [&str; 2] = ["ros2", "simulate"];

/// A robot on a port, and what else commands need.
struct Place {
    folder: tempfile::TempDir,
    robot: Child,
    port: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = r#"{"status": "planned", "path": [[0, 0, 0], [0.05, 0, 0]]}"#;
        std::fs::write(folder.path().join("path.json"), path).expect("a path");
        let mut robot = trm_host(&["simulate", "--baud", "0"], Stdio::piped(), Stdio::null());
        let mut port = String::new();
        BufReader::new(robot.stdout.take().expect("a pipe")).read_line(&mut port).expect("a port");
        Self { folder, robot, port: port.trim().to_owned() }
    }

    fn run(&self, words: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
        let out = tempfile::tempdir().expect("a folder");
        let text = |path: &Path| path.display().to_string();
        let (out, path) = (text(&out.path().join("out")), text(&self.folder.path().join("path.json")));
        let words: Vec<&str> = words
            .iter()
            .map(|&word| match word {
                "OUT" => &out,
                "PORT" => &self.port,
                "PATH" => &path,
                word => word,
            })
            .collect();
        trm_host(&words, stdout, stderr).wait_with_output().expect("trm-host ends")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.robot.kill().and_then(|()| self.robot.wait());
    }
}

fn trm_host(words: &[&str], stdout: Stdio, stderr: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_trm-host"))
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .expect("trm-host starts")
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let place = Place::new();
    for words in COMMANDS {
        let output = place.run(words, full(), Stdio::piped());
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?} into a full disk: {said}");
        assert!(said.contains(NO_SPACE) && !said.contains("panicked"), "{words:?} into a full disk: {said}");

        let output = place.run(words, closed(), Stdio::piped());
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(0), "{words:?} into a closed pipe: {said}");
        assert!(!said.contains("error:") && !said.contains("panicked"), "{words:?} into a closed pipe: {said}");
    }
}

#[test]
fn remarks_that_nobody_can_read_change_nothing() {
    let place = Place::new();
    for words in COMMANDS {
        for stderr in [full, closed] {
            let output = place.run(words, Stdio::piped(), stderr());
            assert_eq!(output.status.code(), Some(0), "{words:?}");
            assert!(!output.stdout.is_empty(), "{words:?}");
        }
    }
    assert_eq!(place.run(&["kiosk", "--config", "nowhere.toml"], Stdio::piped(), full()).status.code(), Some(2));
}

/// A simulated device whose port nobody reads goes on; one that cannot tell it is of no use.
#[test]
fn a_simulated_device_goes_on_where_nobody_reads_its_port() {
    let output = trm_host(&["simulate"], full(), Stdio::piped()).wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains(NO_SPACE), "{}", errors(&output));

    let mut device = trm_host(&["simulate"], closed(), closed());
    std::thread::sleep(Duration::from_millis(500));
    assert!(device.try_wait().expect("a child").is_none(), "it goes on");
    let stopped = Command::new("kill").args(["-INT", &device.id().to_string()]).status().expect("kill runs");
    assert!(stopped.success());
    assert_eq!(device.wait().expect("it ends").code(), Some(0));
}

#[test]
fn every_command_is_in_the_list() {
    let output = trm_host(&["--help"], Stdio::piped(), Stdio::piped()).wait_with_output().expect("trm-host ends");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(names.contains(&"kiosk"), "{help}");
    for name in names.into_iter().filter(|name| !name.is_empty() && *name != "help" && !OTHERS.contains(name)) {
        assert!(COMMANDS.iter().any(|words| words[0] == name), "{name} is not tested: add it to COMMANDS");
    }
}
