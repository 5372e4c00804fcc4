//! `trm-host` opens ONNX Runtime's library in a process of its own before it loads it.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::process::Command;

/// The process that does so is the program itself; what it says is read by the program that started it.
#[test]
fn the_program_is_its_own_probe() {
    let output = Command::new(env!("CARGO_BIN_EXE_trm-host"))
        .args(["--open-onnx-runtime", "/nowhere/libonnxruntime.so"])
        .output()
        .expect("trm-host runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{stdout}");
    assert!(stdout.starts_with("trm-engine ") && stdout.contains(" opened it: cannot be opened: "), "{stdout}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
}
