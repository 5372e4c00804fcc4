//! `trm dataset` as a user runs it.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

#[expect(dead_code, reason = "a part of it is enough here")]
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use program::{run, text};
use trm_puzzles::DataSet;

/// A folder of the tests of `trm-puzzles`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../puzzles/tests/fixtures").join(name)
}

/// Writes a data set into `out`.
fn dataset(arguments: &[&str], paths: &[&Path], out: &Path) -> Output {
    let word = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let mut words: Vec<String> = ["dataset"].iter().chain(arguments).map(|&word| word.to_owned()).collect();
    if !paths.is_empty() {
        words.push("--from".to_owned());
        words.extend(paths.iter().map(|path| word(path)));
    }
    words.extend(["--out".to_owned(), word(out)]);
    run(&words.iter().map(String::as_str).collect::<Vec<_>>(), b"")
}

fn refused(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
    said
}

#[test]
fn arc_tasks_become_a_data_set_that_repeats() {
    let dir = tempfile::tempdir().expect("a folder");
    let (concept, arc) = (fixture("concept_arc"), fixture("arc_challenges.json"));
    let arguments = ["arc", "--test-set", "arc", "--augment", "4", "--seed", "9"];
    let out = dir.path().join("data/one");
    let output = dataset(&arguments, &[&concept, &arc], &out);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.starts_with("wrote 3 tasks, 2 of them in the test set, with 16 identifiers to "), "{said}");
    let train = DataSet::read(&out.join("train")).expect("readable");
    assert_eq!((train.len(), train.metadata.total_groups), (5 * (6 + 2 + 4), 3));
    assert_eq!(DataSet::read(&out.join("test")).expect("readable").len(), 5 * 3);
    let again = dir.path().join("data/two");
    dataset(&arguments, &[&concept, &arc], &again);
    for file in ["identifiers.json", "test_puzzles.json", "train/all__inputs.npy", "test/all__labels.npy"] {
        assert_eq!(fs::read(out.join(file)).expect(file), fs::read(again.join(file)).expect(file), "{file}");
    }
    let said = refused(&dataset(&arguments, &[&concept, &arc], &out));
    assert!(said.contains("there is something already\nhint: choose a new folder"), "{said}");
    let said = refused(&dataset(&["arc"], &[&concept], &dir.path().join("three")));
    let expected =
        "--test-set: none of the subsets concept_arc is called evaluation, evaluation2\nhint: name the subset";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn generated_puzzles_are_all_different() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("mazes");
    let generate = ["maze", "--generate", "maze-loops", "--size", "7x9", "--count", "40", "--test-count", "20"];
    let output = dataset(&[&generate[..], &["--augment", "3"]].concat(), &[], &out);
    let said = text(&output.stdout);
    assert!(said.starts_with("wrote 40 puzzles to train on and 20 to test on to ") && said.contains("7x9"), "{said}");
    let [train, test] = ["train", "test"].map(|split| DataSet::read(&out.join(split)).expect("readable"));
    assert_eq!((train.len(), train.metadata.total_groups, test.len()), (160, 40, 20));
    let trained: Vec<_> = (0..train.len()).filter_map(|index| train.input(index)).collect();
    assert!((0..test.len()).all(|index| !trained.contains(&test.input(index).expect("in range"))));
    let said = refused(&dataset(&[&generate[..], &["--augment", "4"]].concat(), &[], &dir.path().join("more")));
    assert!(said.contains("--augment: ") && said.contains("has 3 copies of itself, not 4"), "{said}");
    let said = refused(&dataset(&["sudoku", "--generate", "maze-loops"], &[], &dir.path().join("other")));
    assert!(said.contains("--generate: maze-loops makes no puzzles for a data set of sudokus"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1, "what was refused leaves nothing");
}

#[test]
fn tables_are_read_and_options_of_another_kind_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let table = dir.path().join("train.csv");
    let row = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79,\
               534678912672195348198342567859761423426853791713924856961537284287419635345286179";
    fs::write(&table, format!("source,question,answer,rating\nmine,{row},3\nmine,{row},0\n")).expect("written");
    let out = dir.path().join("sudoku");
    let path = table.to_str().expect("UTF-8");
    let output = dataset(&["sudoku", "--augment", "2", "--min-rating", "1", "--test", path], &[&table], &out);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("wrote 1 puzzles to train on and 1 to test on to "));
    assert_eq!(DataSet::read(&out.join("train")).expect("readable").len(), 3);
    assert_eq!(DataSet::read(&out.join("test")).expect("readable").len(), 1);
    for (arguments, said) in [
        (["arc", "--subsample", "3"], "--subsample: is for sudokus and mazes only\nhint: leave it out"),
        (["arc", "--min-rating", "3"], "--min-rating: is for sudokus and mazes only"),
        (["sudoku", "--test-set", "x"], "--test-set: is for ARC only"),
    ] {
        let found = refused(&dataset(&arguments, &[&table], &dir.path().join("none")));
        assert!(found.contains(said), "{found}");
    }
    let said = refused(&dataset(&["maze"], &[&table], &dir.path().join("none")));
    assert!(said.contains("train.csv"), "{said}");
}
