//! The programs in `examples/` do what their first lines say.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns what an example prints; cargo has built it beside this test.
fn run(name: &str, arguments: &[&str]) -> String {
    let test = std::env::current_exe().expect("this test is a file");
    let program = test.parent().and_then(Path::parent).expect("in a folder").join("examples").join(name);
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("cargo test has built it; before a test of its own, `cargo build --release --examples`");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn puzzles_are_solved() {
    let printed = run("solve", &["examples/maze.txt"]);
    let last = printed.lines().last().unwrap_or_default();
    assert!(last.starts_with("verified: path of 16 moves, a shortest one after "), "{printed}");
    assert!(last.ends_with(" steps of maze"), "{printed}");
}

#[test]
fn a_checkpoint_becomes_onnx() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("sudoku.onnx");
    let golden = "export/tests/fixtures/golden/sudoku_mlp_stable";
    let (checkpoint, config) = (format!("{golden}/step_1000"), format!("{golden}/all_config.yaml"));
    let printed = run("export", &[&checkpoint, &config, out.to_str().expect("UTF-8")]);
    let size = std::fs::metadata(&out).expect("written").len();
    assert!(size > 10_000 && printed.ends_with(&format!(": {size} bytes, 0 tensors beside it\n")), "{printed}");
}

#[test]
fn a_path_is_planned() {
    let printed = run("plan", &["solver/plan/tests/fixtures/maps/depot.yaml", "2", "7", "25", "4"]);
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines.len() > 2, "{printed}");
    assert_eq!((lines[0], lines[lines.len() - 1]), ("2.00 7.00", "25.00 4.00"), "{printed}");
}
