//! Inputs and options made to take memory or time are refused within 200 MB and two seconds: see [`measured`]. Run with
//! `--nocapture`, the tests print what each took.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]

mod data_sets;
mod map_pictures;
mod map_texts;
#[path = "../measured/mod.rs"]
mod measured;
mod options;
mod pose_recordings;
mod texts;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use measured::{all, bomb, sparse};

const TRM: &str = env!("CARGO_BIN_EXE_trm");
/// As much as a file of puzzles may have.
const LONGEST: usize = 64 << 20;

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).expect(name);
}

#[test]
fn recordings() {
    let recording = |name: &'static str, length: u64, header: &'static [u8], says| {
        bomb(&format!("parity: {name}"), "parity --golden .", says, move |folder| {
            write(folder, "outputs.safetensors", header);
            sparse(&folder.join("outputs.safetensors"), length);
        })
    };
    all(
        TRM,
        &[
            recording("a sparse recording of 1 GB of nothing", 1 << 30, b"", "hint: a golden has"),
            recording("a sparse recording of 1 GB", 1 << 30, b"\x02\0\0\0\0\0\0\0{}", "its list of tensors says "),
            recording(
                "a header of 2^63 bytes",
                100,
                b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
                "more than the 1048576 allowed",
            ),
            recording(
                "a sparse recording of 1 TB",
                1 << 40,
                b"\x0d\0\0\0\0\0\0\0{\"inputs\": 1}",
                "bytes, more than the",
            ),
        ],
    );
}

/// Puzzles without end are a stream: whoever reads the first few ends it, in no memory to speak of.
#[test]
fn puzzles_without_end_end_with_their_reader() {
    let mut child = Command::new(TRM)
        .args(["generate", "sudoku-easy", "--size", "4x4", "--count", "1000000000000000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut first = [0; 10_000];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("puzzles");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(first.starts_with(b"{\"puzzle\":"), "{}", String::from_utf8_lossy(&first[..100]));
}

/// Large honest inputs are read.
#[test]
fn large_inputs_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.txt");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).expect("a file"));
    // As many as there may be, and the last one is none.
    for _ in 0..LONGEST / 82 - 1 {
        file.write_all(b"530070000600195000098000060800060003400803001700020006060000280000419005000080079\n")
            .expect("written");
    }
    file.flush().expect("written");
    let puzzles = trm_puzzles::formats::read(&path).expect("readable");
    assert_eq!(puzzles.len(), LONGEST / 82 - 1);
}
