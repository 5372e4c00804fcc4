//! Data sets as the public builders write them.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use common::fixture;
use sha2::{Digest as _, Sha256};
use trm_intake::explained;
use trm_puzzles::arc::{Augmentation, crop};
use trm_puzzles::formats::{self, Family, Reading, arc_json, arc_subset};
use trm_puzzles::{
    ArcRecipe, DataSet, DataSetWriter, Dihedral, Distinct, Example, Grid, Labelled, Layout, Maze, MazeGenerator,
    PuzzleKind, PuzzleRecipe, Result, Sudoku, SudokuGenerator, Symmetry as _, Verdict,
};

/// `build_arc_dataset.py --subsets concept_arc evaluation --num-aug 3 --seed 1` of the tasks in the fixtures, under numpy
/// 2.4.6: the SHA-256 of its arrays, and its names.
const PUBLIC: [(&str, &str); 10] = [
    ("train/all__inputs", "2581c854c47b908694322c8ffde14db0c57c77319787b8f1086bda921adbe935"),
    ("train/all__labels", "ad2c19742eb3c178627d6fa2c894a73032eca7ea248608c0b6807d92122e6b92"),
    ("train/all__puzzle_identifiers", "42bd618cdbcd4d8a0341c72342d56e863aa347ed7ae6ec91bb882a49f21d50b6"),
    ("train/all__puzzle_indices", "b2cef9182aa733b300d1795dafbe5c7510550a5835267f8ca1ddcde909a6a300"),
    ("train/all__group_indices", "12529f0224d518fa3ca0dfad7a60f0b72e6c2af4bda88af875cedb39b344971e"),
    ("test/all__inputs", "687227e6348002af9dd6cc5847e5d5d1d77d0e6e3b63a4e204fb607378dc7b55"),
    ("test/all__labels", "cc10b48c8b26b4843e88363a367607eec9d692e434cef1589263a04cd7f3bb10"),
    ("test/all__puzzle_identifiers", "c5a47224e108e8746f5b6729f535ce88615bb0722630ecb5e758e888d53b15f3"),
    ("test/all__puzzle_indices", "eb34060298e2ab06217f15f4b01f25946b6897eeadf1a3aa9e68befb726b6824"),
    ("test/all__group_indices", "9461f3c67abb421033150f2fb3761c80f0aa17e5a0d021b99b531200bc9b99fd"),
];
const PUBLIC_NAMES: [&str; 13] = [
    "<blank>",
    "Count1",
    "Count1|||t5|||0367514289",
    "Count1|||t7|||0864195327",
    "Count1|||t4|||0846917253",
    "00576224",
    "00576224|||t7|||0436951827",
    "00576224|||t5|||0569712384",
    "00576224|||t1|||0683792154",
    "12997ef3",
    "12997ef3|||t0|||0697851324",
    "12997ef3|||t7|||0138654279",
    "12997ef3|||t3|||0952463817",
];

/// The tasks of the fixtures, as the subsets `concept_arc` and `evaluation`.
fn subsets(dir: &Path) -> Vec<arc_subset::ArcSubset> {
    for part in ["challenges", "solutions"] {
        let to = dir.join(format!("arc_evaluation_{part}.json"));
        fs::copy(fixture(&format!("arc_{part}.json")), to).expect("copied");
    }
    let paths = [fixture("concept_arc"), dir.join("arc_evaluation_challenges.json")];
    paths.iter().flat_map(|path| arc_subset::read(path).expect("readable")).collect()
}

#[test]
fn arc_files_are_those_of_the_public_builder() {
    let dir = tempfile::tempdir().expect("a folder");
    let subsets = subsets(dir.path());
    let recipe = ArcRecipe { augmentations: 3, seed: 1, ..ArcRecipe::default() };
    let out = dir.path().join("data/arc");
    let mut parts = Vec::new();
    let report = recipe.write(&subsets, &out, &mut |done, of| parts.push((done, of))).expect("writable");
    assert_eq!((report.tasks, report.asked, report.identifiers, report.short, report.unknown), (3, 2, 13, 0, 0));
    assert_eq!(parts, (1..=8).map(|done| (done, 8)).collect::<Vec<_>>(), "drawn, and written to either split");
    for (file, expected) in PUBLIC {
        let digest = Sha256::digest(fs::read(out.join(format!("{file}.npy"))).expect("written"));
        let found = digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(found, expected, "{file}");
    }
    let json = |file: &str| serde_json::from_slice::<serde_json::Value>(&fs::read(out.join(file)).expect("written"));
    assert_eq!(json("identifiers.json").expect("JSON"), serde_json::json!(PUBLIC_NAMES));
    assert_eq!(
        json("test/dataset.json").expect("JSON"),
        serde_json::json!({
            "pad_id": 0, "ignore_label_id": 0, "blank_identifier_id": 0, "vocab_size": 12, "seq_len": 900,
            "num_puzzle_identifiers": 13, "total_groups": 2, "mean_puzzle_examples": 1.5, "total_puzzles": 8, "sets": ["all"]
        })
    );
    let asked = fs::read(out.join("test_puzzles.json")).expect("written");
    assert_eq!(arc_json::parse_tasks("asked", &asked, None).expect("tasks"), subsets[1].tasks);
    let left: Vec<_> = fs::read_dir(dir.path().join("data")).expect("there").collect();
    assert_eq!(left.len(), 1, "no temporary folder is left: {left:?}");
    let error = explained(&recipe.write(&subsets, &out, &mut |_, _| {}).expect_err("there already"));
    assert!(error.ends_with("there is something already\nhint: choose a new folder"), "{error}");
}

#[test]
fn every_copy_is_undone_to_its_task() {
    let dir = tempfile::tempdir().expect("a folder");
    let subsets = subsets(dir.path());
    let out = dir.path().join("arc");
    let recipe = ArcRecipe { augmentations: 50, ..ArcRecipe::default() };
    recipe.write(&subsets, &out, &mut |_, _| {}).expect("writable");
    let tasks: Vec<_> = subsets.iter().flat_map(|subset| &subset.tasks).collect();
    let test = DataSet::read(&out.join("test")).expect("readable");
    assert_eq!(test.len(), 51 * 3, "51 copies of three test inputs");
    for index in 0..test.len() {
        let name = &test.identifiers[test.puzzle_identifiers[index] as usize];
        let (id, copy) = Augmentation::of_name(name).expect("a name");
        let task = tasks.iter().find(|task| task.id == id).expect("a task");
        let label: Vec<i32> = test.label(index).expect("in range").iter().map(|&label| label.max(0)).collect();
        let pair = (
            copy.undo(&crop(test.input(index).expect("in range")).expect("tokens")),
            Some(copy.undo(&crop(&label).expect("tokens"))),
        );
        assert!(task.test.contains(&pair), "{name}");
    }
    // Of each copy's pairs one is not translated; the others may be, both grids alike.
    let train = DataSet::read(&out.join("train")).expect("readable");
    let mut moved = 0;
    for examples in train.puzzle_indices.windows(2) {
        let corner = |index: i32| usize::from(train.input(index as usize).expect("in range")[0] >= 2);
        let still: usize = (examples[0]..examples[1]).map(corner).sum();
        assert!(still >= 1);
        moved += (examples[1] - examples[0]) as usize - still;
    }
    assert!(moved * 2 > train.len(), "{moved} of {} are translated", train.len());
    let mut names = train.identifiers.clone();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), train.identifiers.len(), "no copy is there twice");
}

#[test]
fn tasks_that_make_no_data_set_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let subsets = subsets(dir.path());
    let refused = |subsets: &[arc_subset::ArcSubset], test_sets: &[&str]| {
        let test_sets = test_sets.iter().map(|&name| name.to_owned()).collect();
        let recipe = ArcRecipe { augmentations: 1, test_sets, ..ArcRecipe::default() };
        let out = dir.path().join("refused");
        let error = explained(&recipe.write(subsets, &out, &mut |_, _| {}).expect_err("refused"));
        assert!(!out.exists(), "nothing is left of it");
        error
    };
    let twice = [subsets[0].clone(), subsets[0].clone()];
    let error = refused(&twice, &[]);
    assert!(error.contains("the task Count1 is in ") && error.ends_with("hint: give one of them only"), "{error}");
    let mut unknown = subsets.clone();
    unknown[1].tasks[0].test[0].1 = None;
    let error = refused(&unknown, &["concept_arc"]);
    let expected = "the task 00576224 is trained on, and test input 0 has no output\nhint: add its solutions";
    assert!(error.contains("arc_evaluation_challenges.json: ") && error.contains(expected), "{error}");
    let mut named = subsets.clone();
    named[0].tasks[0].id = "a|||b".to_owned();
    assert!(refused(&named, &[]).contains("a task named \"a|||b\", expected a name without |||"));
    let mut bare = subsets;
    bare[1].tasks[1].train.clear();
    assert!(refused(&bare, &["evaluation"]).contains("the task 12997ef3 has 0 train and 2 test pairs"));
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 2, "the fixtures' copies");
}

#[test]
fn an_answer_that_nobody_knows_is_one_black_cell() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut subsets = subsets(dir.path());
    subsets[1].tasks[0].test[0].1 = None;
    let out = dir.path().join("arc");
    let recipe = ArcRecipe { augmentations: 0, ..ArcRecipe::default() };
    let report = recipe.write(&subsets, &out, &mut |_, _| {}).expect("writable");
    assert_eq!((report.unknown, report.identifiers), (1, 4));
    let asked = fs::read(out.join("test_puzzles.json")).expect("written");
    let asked = arc_json::parse_tasks("asked", &asked, None).expect("tasks");
    assert_eq!(asked[0].test[0].1, Some(Grid::filled(1, 1, 0)), "as the public evaluator needs it");
}

/// Writes one split and reads it.
fn written(
    recipe: PuzzleRecipe,
    kind: PuzzleKind,
    examples: impl Iterator<Item = Result<Example>>,
) -> Result<(usize, DataSet)> {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("data");
    let writer = DataSetWriter::create(&out)?;
    let groups = recipe.write(kind, examples, writer.split("train", kind.task().as_ref(), 1)?)?;
    writer.finish(std::iter::empty())?;
    Ok((groups, DataSet::read(&out.join("train"))?))
}

/// The question and the answer of an example.
fn decoded(data: &DataSet, kind: PuzzleKind, index: usize) -> (Grid, Grid) {
    let task = kind.task();
    let grid = |tokens| task.decode(&Grid::filled(task.height(), task.width(), 0), tokens).expect("as many");
    (grid(data.input(index).expect("in range")), grid(data.label(index).expect("in range")))
}

#[test]
fn sudokus_have_copies_that_are_sudokus() {
    let kind = PuzzleKind::Sudoku(Sudoku::default());
    let generator = || Distinct::new(Box::new(SudokuGenerator::easy(Sudoku::default()).expect("possible")), 7);
    let recipe = PuzzleRecipe { augmentations: 5, seed: 3, ..PuzzleRecipe::default() };
    let (groups, data) = written(recipe, kind, generator().take(10)).expect("writable");
    assert_eq!((groups, data.len(), data.metadata.total_groups), (10, 60, 10));
    assert_eq!(data.group_indices, (0..=10).map(|group| 6 * group).collect::<Vec<_>>());
    let originals: Vec<Example> = generator().take(10).collect::<Result<_>>().expect("possible");
    for index in 0..data.len() {
        let (puzzle, answer) = decoded(&data, kind, index);
        assert!(kind.task().verify(&puzzle, &answer).is_verified(), "{index}");
        let original = &originals[index / 6];
        assert_eq!(index % 6 == 0, puzzle == original.puzzle, "the first is the puzzle itself");
        let givens = |grid: &Grid| grid.cells().iter().filter(|&&cell| cell != 0).count();
        assert_eq!(givens(&puzzle), givens(&original.puzzle));
    }
    let (_, again) = written(recipe, kind, generator().take(10)).expect("writable");
    assert_eq!(again, data, "the same seed");
    let (_, other) = written(PuzzleRecipe { seed: 4, ..recipe }, kind, generator().take(10)).expect("writable");
    assert_ne!(other, data);
}

#[test]
fn mazes_are_turned_in_the_public_order() {
    let task = Maze::new(7, 7).expect("supported");
    let kind = PuzzleKind::Maze(task);
    let generator = Box::new(MazeGenerator::new(task).layouts(&[Layout::Loops]));
    assert_eq!(PuzzleRecipe::most_augmentations(kind), Some(7));
    assert_eq!(PuzzleRecipe::most_augmentations(PuzzleKind::Maze(Maze::new(5, 7).expect("supported"))), Some(3));
    let recipe = PuzzleRecipe { augmentations: 7, ..PuzzleRecipe::default() };
    let (_, data) = written(recipe, kind, Distinct::new(generator, 1).take(3)).expect("writable");
    assert_eq!(data.len(), 24);
    for index in 0..data.len() {
        let (puzzle, answer) = decoded(&data, kind, index);
        let (first, _) = decoded(&data, kind, index / 8 * 8);
        assert_eq!(Dihedral::ALL[index % 8].apply(&first).expect("turned"), puzzle);
        assert!(matches!(kind.task().verify(&puzzle, &answer), Verdict::Verified { .. }));
    }
}

/// `build_maze_dataset.py` made the fixture of the same table.
#[test]
fn mazes_of_a_table_are_the_public_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let kind = PuzzleKind::Maze(Maze::new(30, 30).expect("supported"));
    let public = DataSet::read(&fixture("maze_hard/train")).expect("readable");
    let mut table = "source,question,answer,rating\n".to_owned();
    let line = |grid: &Grid| formats::Alphabet::maze('#', ' ').text(grid).replace('\n', "");
    for index in 0..public.len() {
        let (puzzle, answer) = decoded(&public, kind, index);
        writeln!(table, "x,{},{},{}", line(&puzzle), line(&answer), 100 + index).expect("written");
    }
    let path = dir.path().join("train.csv");
    fs::write(&path, table).expect("written");
    let reading = Reading { family: Some(Family::Maze), ..Reading::default() };
    let labelled = Labelled::new(&[path], reading, None, None);
    let out = dir.path().join("mazes");
    let writer = DataSetWriter::create(&out).expect("new");
    let split = writer.split("train", kind.task().as_ref(), 1).expect("new");
    assert_eq!(PuzzleRecipe::default().write(kind, labelled, split).expect("writable"), 8);
    writer.finish(std::iter::empty()).expect("writable");
    for name in ["inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices"] {
        let file = format!("train/all__{name}.npy");
        let expected = fs::read(fixture("maze_hard").join(&file)).expect("there");
        assert_eq!(fs::read(out.join(&file)).expect("written"), expected, "{name}");
    }
}

#[test]
fn a_table_is_filtered_and_sampled() {
    let dir = tempfile::tempdir().expect("a folder");
    let generator = Distinct::new(Box::new(SudokuGenerator::easy(Sudoku::default()).expect("possible")), 1);
    let line = |grid: &Grid| grid.cells().iter().map(|cell| char::from(b'0' + cell)).collect::<String>();
    let mut table = "source,question,answer,rating\n".to_owned();
    let mut rows = Vec::new();
    for (example, rating) in generator.take(60).zip(0..) {
        let Example { puzzle, solution } = example.expect("possible");
        let question = line(&puzzle).replace('0', ".");
        writeln!(table, "mine,{question},{},{rating}", line(&solution)).expect("written");
        rows.push(puzzle);
    }
    let path = dir.path().join("train.csv");
    fs::write(&path, &table).expect("written");
    let reading = Reading { family: Some(Family::Sudoku), ..Reading::default() };
    let open = |least| Labelled::new(std::slice::from_ref(&path), reading, least, None);
    let mut labelled = open(Some(20));
    let kind = labelled.kind().expect("a sudoku");
    assert_eq!(kind, PuzzleKind::Sudoku(Sudoku::default()));
    let puzzles: Vec<Grid> = labelled.map(|example| example.expect("labelled").puzzle).collect();
    assert_eq!(puzzles, rows[20..], "the first was looked at, and not lost");

    let recipe = PuzzleRecipe { subsample: Some(25), seed: 1, ..PuzzleRecipe::default() };
    let (groups, data) = written(recipe, kind, open(None)).expect("writable");
    assert_eq!(groups, 25);
    let places: Vec<usize> = (0..25)
        .map(|index| rows.iter().position(|row| *row == decoded(&data, kind, index).0).expect("one of the table's"))
        .collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 25, "none twice");
    assert!(sorted[0] < 15 && sorted[24] >= 45, "from all over the table: {sorted:?}");
    assert_ne!(sorted, places, "in a random order");

    let fault = |text: &str, least| {
        fs::write(&path, text).expect("written");
        explained(&open(least).find_map(Result::err).expect("an error"))
    };
    let error = fault(&table.replacen(",rating", "", 1), Some(1));
    assert!(error.contains("no rating, by which puzzles are to be chosen\nhint: "), "{error}");
    let unanswered = format!("puzzle\n{}\n", line(&rows[0]));
    assert!(fault(&unanswered, None).contains("no answer to learn from\nhint: name the column"));
    let wrong = format!("puzzle,solution\n{},{}\n", line(&rows[0]), "1".repeat(81));
    assert!(fault(&wrong, None).contains("train.csv:2: the answer is not right: "));
    let four = format!("{table}mine,1..4..1.2..33..2,1234341221434321,1\n");
    assert!(fault(&four, None).contains("a sudoku of 4x4, the first puzzle is a sudoku of 9x9\nhint: "));
}

#[test]
fn a_generator_without_further_puzzles_says_so() {
    let task = Maze::new(5, 5).expect("supported");
    let generator = Box::new(MazeGenerator::new(task).layouts(&[Layout::Spiral]));
    let error = Distinct::new(generator, 1).find_map(Result::err).expect("it ends");
    assert!(explained(&error).contains("puzzles, and no others after 1000 tries\nhint: ask for fewer"));
}
