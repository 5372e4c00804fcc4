use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use trm_intake::explained;
use trm_puzzles::{DataSet, Generate, MazeGenerator, PuzzleKind, Sudoku, SudokuGenerator, formats, seeded};

use super::source::{permuted, transform};
use super::*;
use crate::config::TrainConfig;

fn config(task: &str, data: &str) -> TrainConfig {
    let text = format!("name = \"t\"\ntask = \"{task}\"\n[evaluation]\npuzzles = 40\n{data}");
    TrainConfig::from_toml("t.toml", &text).expect("valid")
}

fn refused(config: &TrainConfig) -> String {
    explained(&Stream::new(config).expect_err("accepted"))
}

fn check(task: &dyn Task, example: &TrainExample) {
    let puzzle = task.decode(&task.blank_grid(), &example.tokens).expect("tokens");
    let answer = task.decode(&puzzle, &example.labels).expect("labels");
    assert_eq!(broken_rule(task, &puzzle, &answer, false), None, "{puzzle:?} {answer:?}");
}

/// `count` 4x4 sudokus as JSON lines, after `first` lines given.
fn jsonl(dir: &tempfile::TempDir, first: &str, count: usize) -> PathBuf {
    let task = Sudoku::new(2, 2).expect("a shape");
    let generator = SudokuGenerator::easy(task).expect("possible");
    let mut rng = seeded(5);
    let mut text = first.to_owned();
    for _ in 0..count {
        let example = generator.generate(&mut rng).expect("a puzzle");
        let line = |grid: &Grid| grid.cells().iter().map(|cell| char::from(b'0' + cell)).collect::<String>();
        let (puzzle, answer) = (line(&example.puzzle), line(&example.solution));
        writeln!(text, "{{\"puzzle\": \"{puzzle}\", \"answer\": \"{answer}\"}}").expect("a string");
    }
    let path = dir.path().join("data.jsonl");
    std::fs::write(&path, text).expect("writable");
    path
}

#[test]
fn an_example_is_a_function_of_seed_and_number() {
    for task in ["sudoku-4", "sudoku-9", "maze-9", "maze-7x11"] {
        let stream = Stream::new(&config(task, "")).expect("a stream");
        let again = Stream::new(&config(task, "")).expect("a stream");
        let mut other = config(task, "");
        other.seed = 2;
        let other = Stream::new(&other).expect("a stream");
        let mut differ = 0;
        for index in (0..30).rev() {
            let example = stream.example(index).expect("an example");
            check(stream.task(), &example);
            assert_eq!(example, again.example(index).expect("an example"));
            differ += u32::from(example != other.example(index).expect("an example"));
        }
        assert!(differ > 25, "{task}: the seed changes {differ} of 30");
        assert_eq!(stream.held_out().len(), 40);
        assert_eq!(stream.held_out(), other.held_out(), "evaluation has its own seed");
    }
}

#[test]
fn held_out_puzzles_are_never_drawn_even_where_there_are_few() {
    // Of 4x4 sudokus with one blank only so few exist that chance alone would draw some.
    let dir = tempfile::tempdir().expect("a folder");
    let path = jsonl(&dir, "", 12);
    let data = format!("[[data]]\njsonl = {path:?}\naugment = true\n[[data]]\ngenerate = true\ngivens = [15, 16]\n");
    let stream = Stream::new(&config("sudoku-4", &data)).expect("a stream");
    assert!(stream.held_out().len() >= 20);
    let mut reached = 0;
    for index in 0..4_000 {
        let example = stream.example(index).expect("an example");
        assert!(stream.held_out().iter().all(|held| held.tokens != example.tokens), "example {index}");
        reached += 1;
    }
    assert_eq!(reached, 4_000);
}

#[test]
fn weights_and_curriculum_decide_the_mix() {
    let data = "[[data]]\ngenerate = true\nlayouts = [\"perfect\"]\nweight = 3.0\nuntil = 2000\n\
                [[data]]\ngenerate = true\nlayouts = [\"obstacles\"]\nborder = false\nfrom = 0\n";
    let stream = Stream::new(&config("maze-9", data)).expect("a stream");
    // Only the second source has free cells in its border.
    let open = |index: u64| stream.example(index).expect("an example").tokens[..9].iter().any(|&token| token != 1);
    let early = (0..2_000).filter(|&index| open(index)).count();
    assert!((430..570).contains(&early), "{early} of 2000, expected a quarter");
    assert!((2_000..2_200).all(open), "the first source has ended");

    let gap = config("maze-9", "[[data]]\ngenerate = true\nuntil = 10\n[[data]]\ngenerate = true\nfrom = 20\n");
    let text = refused(&gap);
    assert!(text.starts_with("the training data: no [[data]] gives example 10 and those after it\nhint: "), "{text}");
}

#[test]
fn an_epoch_shows_every_group_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = format!("[[data]]\njsonl = {:?}\naugment = false\n", jsonl(&dir, "", 50));
    let stream = Stream::new(&config("sudoku-4", &data)).expect("a stream");
    let held = stream.held_out().len() as u64;
    assert_eq!(held, 5, "a tenth");
    let epoch = |number: u64| -> Vec<Vec<i32>> {
        (0..50 - held).map(|at| stream.example(number * (50 - held) + at).expect("an example").tokens).collect()
    };
    let (mut first, mut second) = (epoch(0), epoch(1));
    assert_ne!(first, second, "another order");
    first.sort();
    second.sort();
    assert_eq!(first, second);
    first.dedup();
    assert_eq!(first.len() as u64, 50 - held);
}

#[test]
fn a_public_data_set_is_read_cut_and_checked() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("train");
    let task = trm_puzzles::Maze::new(7, 7).expect("a size");
    let mut data = DataSet::generate(&MazeGenerator::new(task), 60, 3).expect("mazes");
    data.write(&folder).expect("writable");
    let toml = format!("[[data]]\ndataset = {folder:?}\n");
    let stream = Stream::new(&config("maze-7", &toml)).expect("a stream");
    assert_eq!(stream.held_out().len(), 6);
    (0..200).for_each(|index| check(stream.task(), &stream.example(index).expect("an example")));

    let text = refused(&config("maze-9", &toml));
    assert!(
        text.contains("seq_len 49 and vocab_size 6, maze of 9x9 needs seq_len 81 and vocab_size 6\nhint: "),
        "{text}"
    );
    // A wall where the start was.
    let start = data.inputs[30 * 49..31 * 49].iter().position(|&token| token == 3).expect("a start");
    data.labels[30 * 49 + start] = 1;
    let broken = dir.path().join("broken");
    data.write(&broken).expect("writable");
    let text = refused(&config("maze-7", &format!("[[data]]\ndataset = {broken:?}\n")));
    assert!(text.contains("broken, example 30: the answer breaks the rule `layout`: "), "{text}");
    assert!(text.contains("\nhint: correct the answer or leave the puzzle out"), "{text}");
}

#[test]
fn bad_lines_of_a_file_are_named_with_the_rule_they_break() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = "{\"puzzle\": \"1..4..1.2..34..1\", \"answer\": \"1234341221434321\"}\n";
    for (line, expected) in [
        (
            "{\"puzzle\": \"1..4..1.2..34..1\", \"answer\": \"1234341221434312\"}",
            "data.jsonl:2: the answer breaks the rule `given`",
        ),
        (
            "{\"puzzle\": \"................\", \"answer\": \"1234341221434331\"}",
            "data.jsonl:2: the answer breaks the rule `",
        ),
        (
            "{\"puzzle\": \"1..4..1.2..34..1\", \"answer\": \"123434122143432.\"}",
            "data.jsonl:2: the answer is not complete: ",
        ),
        ("{\"puzzle\": \"1..4..1.2..34..1\"}", "data.jsonl:2: no answer\nhint: training needs {\"puzzle\""),
        ("{\"puzzle\": \"1..4", "data.jsonl:2: column "),
        ("{\"puzzle\": \"11..............\", \"answer\": \"1234341221434321\"}", "data.jsonl:2: "),
    ] {
        let path = jsonl(&dir, &format!("{good}{line}\n"), 3);
        let text = refused(&config("sudoku-4", &format!("[[data]]\njsonl = {path:?}\n")));
        assert!(text.contains(expected) && text.contains("\nhint: "), "{line}\ngives    {text}\nexpected {expected}");
    }
    let path = jsonl(&dir, "", 4);
    let text = refused(&config("sudoku-9", &format!("[[data]]\njsonl = {path:?}\n")));
    assert!(text.contains("data.jsonl:1 (puzzle): a sudoku of 4x4, expected a sudoku of 9x9"), "{text}");
    let path = jsonl(&dir, "", 1);
    let text = refused(&config("sudoku-4", &format!("[[data]]\njsonl = {path:?}\n")));
    assert!(text.contains("1 different puzzles are too few to train on and to evaluate\nhint: "), "{text}");
}

#[test]
fn a_file_for_evaluation_is_not_trained_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = jsonl(&dir, "", 30);
    let mut config = config("sudoku-4", "");
    config.evaluation.jsonl = Some(path.clone());
    let stream = Stream::new(&config).expect("a stream");
    assert_eq!(stream.held_out().len(), 30);
    let first = &formats::read(&path).expect("readable")[0];
    assert_eq!(first.task().encode(&first.grid).expect("fits"), stream.held_out()[0].tokens);
    // Trained on itself, nothing is left.
    config.data[0] = crate::config_sections::DataConfig { jsonl: Some(path), augment: false, ..Default::default() };
    let stream = Stream::new(&config).expect("a stream");
    let text = explained(&stream.example(0).expect_err("all held out"));
    assert!(text.contains("200 puzzles in a row are held out for evaluation\nhint: "), "{text}");
}

#[test]
fn threads_keep_the_order_and_end() {
    let stream =
        Arc::new(Stream::new(&config("sudoku-9", "[[data]]\ngenerate = true\ngrade = \"any\"\n")).expect("ok"));
    for threads in [1, 3, 8] {
        let mut prefetch = Prefetch::start(&stream, 100, threads, 5).expect("threads");
        for index in 100..160 {
            let (number, example) = prefetch.next().expect("an example");
            assert_eq!((number, example), (index, stream.example(index).expect("an example")));
        }
        drop(prefetch);
        assert_eq!(Arc::strong_count(&stream), 1, "every thread has ended");
    }
}

#[test]
fn an_example_that_cannot_be_made_is_an_error_in_its_turn() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = "[[data]]\ngenerate = true\nuntil = 3\n\
                [[data]]\ngenerate = true\ngrade = \"hard\"\ngivens = [15, 15]\nfrom = 3\n";
    let mut config = config("sudoku-4", data);
    // The held-out puzzles would ask for the impossible at once.
    config.evaluation.jsonl = Some(jsonl(&dir, "", 3));
    let stream = Arc::new(Stream::new(&config).expect("a stream"));
    let mut prefetch = Prefetch::start(&stream, 0, 2, 4).expect("threads");
    for index in 0..3 {
        assert_eq!(prefetch.next().expect("an example").0, index);
    }
    let text = explained(&prefetch.next().expect_err("impossible"));
    assert!(text.contains("no 4x4 sudoku with 15 to 15 givens and grade harder to search"), "{text}");
}

proptest! {
    #[test]
    fn the_shuffle_is_one(length in 1_u64..700, seed in any::<u64>()) {
        let mut seen: Vec<u64> = (0..length).map(|position| permuted(position, length, seed)).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..length).collect::<Vec<_>>());
    }

    #[test]
    fn symmetries_keep_open_cells_open(seed in any::<u64>(), open in prop::collection::vec(any::<bool>(), 36)) {
        let kind = PuzzleKind::Sudoku(Sudoku::new(2, 3).unwrap());
        let (task, mut rng) = (kind.task(), seeded(seed));
        let made = SudokuGenerator::easy(Sudoku::new(2, 3).unwrap()).unwrap().generate(&mut rng).unwrap();
        let mut example = TrainExample::encode(task.as_ref(), &made.puzzle, &made.solution, 7).unwrap();
        for (label, open) in example.labels.iter_mut().zip(&open) {
            if *open {
                *label = IGNORE_LABEL;
            }
        }
        let symmetry = task.symmetry(&mut rng);
        let turned = transform(task.as_ref(), symmetry.as_ref(), example.clone()).unwrap();
        // Digits are renamed one to one: every (digit, is given) pair keeps its number of cells.
        let count = |example: &TrainExample| {
            let mut counts = HashMap::new();
            for (token, label) in example.tokens.iter().zip(&example.labels) {
                *counts.entry((*token == 1, *label == IGNORE_LABEL)).or_insert(0) += 1;
            }
            counts
        };
        prop_assert_eq!(count(&example), count(&turned));
        prop_assert_eq!(turned.puzzle_id, 7);
        let whole = symmetry.apply(&made.solution).unwrap();
        for (label, cell) in turned.labels.iter().zip(whole.cells()) {
            prop_assert!(*label == IGNORE_LABEL || *label == i32::from(*cell) + 1);
        }
    }
}
