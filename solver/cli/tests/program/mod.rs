//! The program, run with words and a text on stdin.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// `trm`, as on any machine, whatever models were tuned on this one.
pub(crate) fn trm() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env_remove("ORT_DYLIB_PATH").current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs with these words and this stdin.
pub(crate) fn run(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = trm()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("trm starts");
    // A program that refuses its input early may not read all of it.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    child.wait_with_output().expect("trm ends")
}

/// Bytes that are text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The objects of an output, one a line.
pub(crate) fn json_lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}
