//! The driver finds what it looks for: readers that panic, do not come back or take too much memory.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

fn smoke(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz-smoke"));
    command.args(arguments).arg("--failures").arg(folder).output().expect("the driver runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn readers_that_fail_are_found_and_their_inputs_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let corpus = folder.path().join("corpus");
    for (reader, seeds, says) in [
        ("fault-panic", &[&b"1"[..], b"\0"][..], "attempt to divide by zero"),
        ("fault-endless", &[b"1"], "takes more than 2s"),
        ("fault-memory", &[b"", b"1"], "MiB, more than 512"),
        // More than a process may ask for at all.
        ("fault-memory", &[b"", b"123456789"], "memory allocation of 9663676416 bytes failed"),
    ] {
        let seeded = corpus.join(reader);
        let _ = std::fs::remove_dir_all(&seeded);
        std::fs::create_dir_all(&seeded).expect("a folder");
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(seeded.join(number.to_string()), seed).expect("a seed");
        }
        let output = smoke(&[reader, "--seconds", "20", "--corpus", &corpus.display().to_string()], folder.path());
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{reader}: {errors}");
        assert!(errors.contains(says), "{reader}: {errors}");
        let number = seeds.len() - 1;
        let kept = std::fs::read(folder.path().join(format!("{reader}-1-{number}"))).expect("the input is kept");
        assert_eq!(kept, seeds[number], "{reader}");
    }
}

#[test]
fn a_reader_that_does_well_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = smoke(&["frames", "messages", "--seconds", "0.3"], folder.path());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    let row = said.lines().find(|line| line.starts_with("| frames |")).expect("a row");
    let numbers: Vec<u64> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
    assert!(numbers[0] > 100 && numbers[1] > 0, "{row}");
    let error = text(&smoke(&["letters"], folder.path()).stderr);
    assert!(error.starts_with("error: no reader letters; there are checkpoint, "), "{error}");
}
