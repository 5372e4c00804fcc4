//! Data set folders: the public one, our own, and broken ones.

mod common;

use std::fs;
use std::path::Path;

use common::fixture;
use proptest::prelude::*;
use trm_intake::explained;
use trm_puzzles::formats::arc_json;
use trm_puzzles::{Arc, DataSet, Example, IGNORE_LABEL, Maze, MazeGenerator, Sudoku, SudokuGenerator, Task};

#[test]
fn reads_the_public_mazes() {
    let data = DataSet::read(&fixture("maze_hard/train")).expect("readable");
    assert_eq!((data.len(), data.metadata.seq_len, data.metadata.vocab_size), (8, 900, 6));
    assert_eq!(data.metadata.total_puzzles, None);
    assert_eq!(data.identifiers, ["<blank>"]);
    let task = Maze::new(30, 30).expect("supported");
    for index in 0..data.len() {
        let decode = |tokens| task.decode(&trm_puzzles::Grid::filled(30, 30, 0), tokens).expect("900 tokens");
        let puzzle = decode(data.input(index).expect("in range"));
        task.check(&puzzle).expect("one start, one goal");
        let label = decode(data.label(index).expect("in range"));
        let verdict = task.verify(&puzzle, &label);
        assert!(verdict.path().expect("verified").optimal(), "{index}: {verdict}");
        assert_eq!(task.encode(&puzzle).expect("valid"), data.input(index).expect("in range"));
    }
    assert_eq!(data.input(8), None);
}

#[test]
fn public_files_are_written_byte_for_byte() {
    let source = fixture("maze_hard/train");
    let data = DataSet::read(&source).expect("readable");
    let dir = tempfile::tempdir().expect("a folder");
    let copy = dir.path().join("new/train");
    data.write(&copy).expect("writable");
    for name in ["inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices"] {
        let file = format!("all__{name}.npy");
        assert_eq!(
            fs::read(copy.join(&file)).expect("written"),
            fs::read(source.join(&file)).expect("there"),
            "{file}"
        );
    }
    let left: Vec<_> =
        fs::read_dir(dir.path().join("new")).expect("there").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(left.len(), 2, "only the folder and identifiers.json: {left:?}");
    let error = explained(&data.write(&copy).expect_err("already there"));
    assert!(error.contains("the folder already holds files\nhint: choose a new folder"), "{error}");
}

#[test]
fn generated_sets_come_back_and_repeat() {
    let dir = tempfile::tempdir().expect("a folder");
    let sudoku = SudokuGenerator::easy(Sudoku::default()).expect("possible");
    let maze = MazeGenerator::new(Maze::new(9, 9).expect("supported"));
    for (name, generator) in [("sudoku", &sudoku as &dyn trm_puzzles::Generate), ("maze", &maze)] {
        let data = DataSet::generate(generator, 20, 1).expect("possible");
        assert_eq!(data, DataSet::generate(generator, 20, 1).expect("possible"));
        assert_ne!(data, DataSet::generate(generator, 20, 2).expect("possible"));
        let path = dir.path().join(name).join("test");
        data.write(&path).expect("writable");
        assert_eq!(DataSet::read(&path).expect("readable"), data);
    }
}

#[test]
fn arc_labels_ignore_the_padding() {
    let text = fs::read(fixture("arc_task.json")).expect("there");
    let task = &arc_json::parse_tasks("arc", &text, None).expect("well-formed")[0];
    let data = DataSet::from_examples(&Arc, &task.train).expect("fits");
    let labels = data.label(0).expect("in range");
    assert_eq!(labels[899], IGNORE_LABEL);
    assert_eq!(data.input(0).expect("in range")[899], 0);
    let dir = tempfile::tempdir().expect("a folder");
    data.write(&dir.path().join("train")).expect("writable");
    let again = DataSet::read(&dir.path().join("train")).expect("readable");
    assert_eq!(again, data);
    let answer = Arc.decode(&task.train[0].puzzle, labels).expect("900 tokens");
    assert_eq!(answer, task.train[0].solution);
}

/// A copy of the public mazes with one file changed.
fn broken(file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&fixture("maze_hard/train"), dir.path());
    let path = dir.path().join(file);
    fs::write(&path, change(fs::read(&path).expect("there"))).expect("writable");
    explained(&DataSet::read(dir.path()).expect_err("broken"))
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("there") {
        let entry = entry.expect("entry");
        fs::write(to.join(entry.file_name()), fs::read(entry.path()).expect("readable")).expect("writable");
    }
}

fn replace(from: &str, to: &str) -> impl Fn(Vec<u8>) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "the header keeps its length");
    move |bytes| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("there");
        [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
    }
}

#[test]
fn broken_files_are_named() {
    let inputs = "all__inputs.npy";
    let cases = [
        (
            broken(inputs, |mut b| {
                b.truncate(4000);
                b
            }),
            "shape [8, 900] of 1-byte values needs more than the 3872 bytes there are",
        ),
        (
            broken(inputs, |mut b| {
                b.truncate(40);
                b
            }),
            "not a NumPy array (.npy) file, or cut short",
        ),
        (
            broken(inputs, |mut b| {
                b.push(0);
                b
            }),
            "shape [8, 900] of 1-byte values needs 7200 bytes, and 7201 are there\nhint: one file has one array",
        ),
        (broken(inputs, |_| b"PK\x03\x04 a zip file".to_vec()), "not a NumPy array (.npy) file, or cut short"),
        (broken(inputs, replace("(8, 900), }", "(9, 900), }")), "needs more than"),
        (broken(inputs, replace("(8, 900), }              ", "(99999999999999999, 900)}")), "needs more than"),
        (
            broken(inputs, replace("(8, 900)", "(900, 8)")),
            "shape [900, 8], expected [examples, 900] (seq_len of dataset.json)",
        ),
        (broken(inputs, replace("|u1", "<f8")), "values of type <f8, expected integers"),
        (broken(inputs, replace("False", "True ")), "Fortran order, expected C order"),
        (
            broken(inputs, |mut b| {
                let at = b.len() - 1;
                b[at] = 77;
                b
            }),
            "row 7 position 899 holds 77, the vocabulary has 6 tokens",
        ),
        (
            broken("all__puzzle_indices.npy", |mut b| {
                let at = b.len() - 4;
                b[at] = 9;
                b
            }),
            "expected rising numbers from 0 to the number of examples, 8",
        ),
        (
            broken("all__puzzle_identifiers.npy", |mut b| {
                let at = b.len() - 4;
                b[at] = 9;
                b
            }),
            "identifier 9, the data set has 1",
        ),
        (broken("dataset.json", |_| b"[]".to_vec()), "dataset.json: not the expected JSON, a data set's description"),
        (broken("dataset.json", replace("\"all\"", "\"../\"")), "a set named \"../\", expected letters and digits"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
    let error = explained(&DataSet::read(&fixture("maze_hard")).expect_err("the folder above"));
    assert!(error.contains("no dataset.json in this folder\nhint: give "), "{error}");
    assert!(error.ends_with("train"), "{error}");
}

#[test]
fn other_integer_types_are_read() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&fixture("maze_hard/train"), dir.path());
    let path = dir.path().join("all__puzzle_identifiers.npy");
    let bytes = fs::read(&path).expect("there");
    for (descr, width) in [(">i2", 2), ("<i8", 8), ("<u4", 4), (">u8", 8), ("|i1", 1)] {
        let header = replace("<i4", descr)(bytes[..bytes.len() - 32].to_vec());
        fs::write(&path, [header, vec![0; 8 * width]].concat()).expect("writable");
        assert_eq!(DataSet::read(dir.path()).expect(descr).puzzle_identifiers, [0; 8]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn truncated_or_garbled_arrays_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture("maze_hard/train"), dir.path());
        let path = dir.path().join("all__group_indices.npy");
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        fs::write(&path, bytes).unwrap();
        let _ = DataSet::read(dir.path());
    }

    #[test]
    fn groups_and_identifiers_come_back(sizes in prop::collection::vec(1..4_i32, 1..6), seed in any::<u64>()) {
        let maze = MazeGenerator::new(Maze::new(5, 6).unwrap());
        let total: i32 = sizes.iter().sum();
        let mut data = DataSet::generate(&maze, total as usize, seed).unwrap();
        data.puzzle_indices = std::iter::once(0).chain(sizes.iter().scan(0, |sum, size| { *sum += size; Some(*sum) })).collect();
        data.group_indices = vec![0, sizes.len() as i32];
        data.puzzle_identifiers = sizes.iter().zip(1..).flat_map(|(&size, id)| vec![id; size as usize]).collect();
        data.metadata.num_puzzle_identifiers = sizes.len() + 1;
        data.metadata.total_groups = 1;
        data.metadata.total_puzzles = Some(sizes.len());
        data.metadata.mean_puzzle_examples = f64::from(total) / sizes.len() as f64;
        let dir = tempfile::tempdir().unwrap();
        data.write(&dir.path().join("train")).unwrap();
        prop_assert_eq!(DataSet::read(&dir.path().join("train")).unwrap(), data);
    }
}

#[test]
fn an_example_without_a_token_is_refused() {
    let task = Sudoku::default();
    let grid = trm_puzzles::Grid::filled(9, 9, 10);
    let example = Example { puzzle: grid.clone(), solution: grid };
    let error = explained(&DataSet::from_examples(&task, &[example]).expect_err("ten"));
    assert_eq!(error, "row 1 column 1 holds 10, sudoku 9x9 allows 1 to 9 and 0 for blank");
    assert_eq!(task.seq_len(), 81);
}
