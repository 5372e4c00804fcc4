//! ARC: augmented copies and their names, votes, and collections of tasks as people have them.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use common::{arc_grid, fixture};
use proptest::prelude::*;
use trm_intake::explained;
use trm_puzzles::arc::{ArcTask, Augmentation, PASS_AT, Predictions, Votes, crop};
use trm_puzzles::formats::{arc_json, arc_subset};
use trm_puzzles::{Arc, Dihedral, Grid, Task};

fn augmentation() -> impl Strategy<Value = Augmentation> {
    let colours = Just([0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9]).prop_shuffle();
    (prop::sample::select(&Dihedral::ALL[..]), colours)
        .prop_map(|(turn, colours)| Augmentation::new(turn, colours).expect("a permutation"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_copy_is_undone_and_told_by_its_name(copy in augmentation(), grid in arc_grid(), id in "[a-zA-Z0-9_ ,.!]{1,20}") {
        let augmented = copy.transform(&grid);
        prop_assert_eq!(&copy.undo(&augmented), &grid);
        prop_assert_eq!(&copy.transform(&copy.undo(&grid)), &grid);
        let name = copy.name(&id);
        prop_assert_eq!(Augmentation::of_name(&name).unwrap(), (id.as_str(), copy));
        prop_assert_eq!(name.contains("|||"), copy != Augmentation::IDENTITY);
        // Every cell of a colour holds the one colour that it becomes.
        let count = |grid: &Grid, colour| grid.iter().filter(|&(_, cell)| cell == colour).count();
        for (colour, &becomes) in (0..10).zip(&copy.colours()) {
            prop_assert_eq!(count(&grid, colour), count(&augmented, becomes));
        }
    }

    #[test]
    fn any_name_tells_a_copy_or_is_refused(name in "[|a-c0-9té]{0,30}", whole in any::<String>()) {
        for name in [name, whole] {
            if let Ok((id, copy)) = Augmentation::of_name(&name) {
                let own = copy.name(id);
                prop_assert_eq!(Augmentation::of_name(&own).unwrap(), (id, copy));
            }
        }
    }

    #[test]
    fn what_is_encoded_is_cropped_again(grid in arc_grid()) {
        prop_assert_eq!(crop(&Arc.encode(&grid).unwrap()).unwrap(), grid);
    }

    #[test]
    fn no_rectangle_of_colours_is_larger_than_the_cropped_one(tokens in prop::collection::vec(prop::sample::select(vec![0, 1, 2, 5, 5, 11, 11, 11, 12]), 900)) {
        let cropped = crop(&tokens).unwrap();
        let is_colour = |row: usize, column: usize| (2..=11).contains(&tokens[row * 30 + column]);
        let mut best = 0;
        for height in 1..=30 {
            for width in 1..=30 {
                if (0..height).all(|row| (0..width).all(|column| is_colour(row, column))) {
                    best = best.max(height * width);
                }
            }
        }
        prop_assert_eq!(cropped.cells().len(), best);
        prop_assert!(cropped.iter().all(|(cell, colour)| tokens[cell.row * 30 + cell.column] == i32::from(colour) + 2));
    }

    #[test]
    fn votes_are_ranked_by_count_then_mean_then_place(cast in prop::collection::vec((0..5_u8, 0..4_u8), 1..40)) {
        let mut votes = Votes::default();
        for &(answer, quarter) in &cast {
            votes.add(Grid::filled(1, 1, answer), f64::from(quarter) / 4.0);
        }
        let ranked = votes.ranked();
        prop_assert_eq!(ranked.iter().map(|vote| vote.count).sum::<usize>(), cast.len());
        let of = |answer: u8| cast.iter().enumerate().filter(move |(_, vote)| vote.0 == answer);
        let first = |answer| of(answer).next().expect("voted for").0;
        for vote in &ranked {
            let answer = vote.grid.cells()[0];
            prop_assert_eq!(vote.count, of(answer).count());
            let sum: f64 = of(answer).map(|(_, vote)| f64::from(vote.1) / 4.0).sum();
            prop_assert!((vote.halt_probability - sum / vote.count as f64).abs() < 1e-12);
        }
        for pair in ranked.windows(2) {
            let key = |vote: &trm_puzzles::arc::Vote| (vote.count, vote.halt_probability);
            let (better, worse) = (key(&pair[0]), key(&pair[1]));
            prop_assert!(better > worse || better == worse && first(pair[0].grid.cells()[0]) < first(pair[1].grid.cells()[0]));
        }
    }
}

#[test]
fn names_that_tell_no_augmentation_are_refused() {
    assert_eq!(Augmentation::of_name("a task").expect("no copy"), ("a task", Augmentation::IDENTITY));
    for (name, fault) in [
        ("a|||t8|||0123456789", "the name a|||t8|||0123456789: t8 is no turn\nhint: expected ID|||t0|||0123456789: "),
        ("a|||3|||0123456789", "3 is no turn"),
        ("a|||0123456789", "a is no turn"),
        ("a|||t1|||012345678", "012345678 is no permutation of colours"),
        ("a|||t1|||0123456788", "0123456788 is no permutation of colours"),
        ("a|||t1|||012345678é", "is no permutation of colours"),
        ("|||", " is no turn"),
    ] {
        let error = explained(&Augmentation::of_name(name).expect_err(name));
        assert!(error.contains(fault), "{error}");
    }
    assert_eq!(Augmentation::new(Dihedral::Half, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]), None);
    assert_eq!(Augmentation::new(Dihedral::Half, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]), None);
}

fn grid(rows: &[&[u8]]) -> Grid {
    Grid::from_rows(rows).expect("a rectangle")
}

/// A task `a` with two test inputs, a task `b` with one, and a task `c` whose answer nobody knows.
fn tasks() -> Vec<ArcTask> {
    let task = |id: &str, test: Vec<(Grid, Option<Grid>)>| ArcTask { id: id.to_owned(), train: Vec::new(), test };
    vec![
        task("a", vec![(grid(&[&[1, 2]]), Some(grid(&[&[2, 1]]))), (grid(&[&[3], &[4]]), Some(grid(&[&[4], &[3]])))]),
        task("b", vec![(grid(&[&[0]]), Some(grid(&[&[9]])))]),
        task("c", vec![(grid(&[&[5]]), None)]),
    ]
}

/// Adds a prediction for the copy that a name tells.
fn predict(predictions: &mut Predictions, name: &str, input: &Grid, answer: &Grid, q_halt: f32) {
    let (_, copy) = Augmentation::of_name(name).expect("a name");
    let tokens = |grid: &Grid| Arc.encode(&copy.transform(grid)).expect("fits");
    predictions.add(name, &tokens(input), &tokens(answer), q_halt).expect("tokens");
}

#[test]
fn scores_and_submission_are_those_of_the_votes() {
    let tasks = tasks();
    let mut predictions = Predictions::default();
    let (first, right, wrong) = (grid(&[&[1, 2]]), grid(&[&[2, 1]]), grid(&[&[7, 7]]));
    predict(&mut predictions, "a", &first, &right, -1.0);
    predict(&mut predictions, "a|||t4|||0213456789", &first, &wrong, 2.0);
    predict(&mut predictions, "a|||t1|||0987654321", &first, &right, -1.0);
    // Equal counts: the mean of the probabilities decides, and the right answer is second.
    let second = grid(&[&[3], &[4]]);
    predict(&mut predictions, "a|||t6|||0123456789", &second, &grid(&[&[4], &[3]]), 0.0);
    predict(&mut predictions, "a|||t7|||0123456789", &second, &wrong, 0.5);
    let score = predictions.score(&tasks, &PASS_AT);
    assert_eq!(score.tasks, 2, "the answer of c is not known");
    // Task a: 1 of 2, then 2 of 2; task b has no predictions.
    let shares: HashMap<usize, f64> = score.pass_at.into_iter().collect();
    assert!((shares[&1] - 0.25).abs() < 1e-12 && (shares[&2] - 0.5).abs() < 1e-12, "{shares:?}");
    assert!((shares[&1000] - 0.5).abs() < 1e-12, "{shares:?}");
    let votes = predictions.ranked("a", &first);
    assert_eq!((&votes[0].grid, votes[0].count), (&right, 2));
    assert!((votes[1].halt_probability - 1.0 / (1.0 + (-2.0_f64).exp())).abs() < 1e-9);
    let submission = predictions.submission(&tasks);
    assert_eq!(
        serde_json::to_string(&submission).expect("JSON"),
        r#"{"a":[{"attempt_1":[[2,1]],"attempt_2":[[7,7]]},{"attempt_1":[[7,7]],"attempt_2":[[4],[3]]}],"b":[{"attempt_1":[[0]],"attempt_2":[[0]]}],"c":[{"attempt_1":[[0]],"attempt_2":[[0]]}]}"#
    );
    assert_eq!(submission.task("a").expect("asked")[1].grids()[1], grid(&[&[4], &[3]]));
}

#[test]
fn an_only_answer_is_handed_in_twice_and_an_empty_one_is_an_answer() {
    let tasks = tasks();
    let mut predictions = Predictions::default();
    // No colour in the corner, and a halting logit that is none: an answer all the same, and no panic.
    predictions.add("b", &Arc.encode(&grid(&[&[0]])).expect("fits"), &[0; 900], f32::NAN).expect("tokens");
    let submission = predictions.submission(&tasks[1..2]);
    assert_eq!(serde_json::to_string(&submission).expect("JSON"), r#"{"b":[{"attempt_1":[],"attempt_2":[]}]}"#);
    let error = explained(&predictions.add("b", &[0; 900], &[0; 81], 0.0).expect_err("81"));
    assert_eq!(error, "81 tokens, arc needs 900");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a folder")).expect("made");
    fs::copy(from, to).expect("copied");
}

#[test]
fn collections_are_read_alike_in_every_form() {
    let dir = tempfile::tempdir().expect("a folder");
    let names = |path: &Path| {
        let subsets = arc_subset::read(path).expect("readable");
        let ids = |subset: &arc_subset::ArcSubset| subset.tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>();
        subsets.iter().map(|subset| (subset.name.clone(), ids(subset))).collect::<Vec<_>>()
    };
    let subset = |name: &str, ids: &[&str]| (name.to_owned(), ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>());

    let kaggle = dir.path().join("kaggle");
    for (part, from) in [("challenges", "arc_challenges.json"), ("solutions", "arc_solutions.json")] {
        copy(&fixture(from), &kaggle.join(format!("arc-agi_evaluation_{part}.json")));
    }
    let both = ["00576224", "12997ef3"];
    assert_eq!(names(&kaggle), [subset("evaluation", &both)]);
    let challenges = kaggle.join("arc-agi_evaluation_challenges.json");
    assert_eq!(names(&challenges), [subset("evaluation", &both)]);
    let tasks = arc_subset::read(&challenges).expect("readable").remove(0).tasks;
    assert!(tasks.iter().flat_map(|task| &task.test).all(|(_, output)| output.is_some()), "solutions beside it");

    // ARC-AGI-1 and 2: a file a task, in folders.
    let folders = dir.path().join("ARC-AGI");
    for (task, split) in tasks.iter().zip(["training", "evaluation"]) {
        let single = ArcTask { id: String::new(), ..task.clone() };
        let path = folders.join("data").join(split).join(format!("{}.json", task.id));
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, arc_json::to_json(&[single]).expect("JSON")).expect("written");
    }
    let parted = [subset("training", &both[..1]), subset("evaluation", &both[1..])];
    assert_eq!(names(&folders), parted);
    assert_eq!(names(&folders.join("data")), parted);
    let again: Vec<ArcTask> =
        arc_subset::read(&folders).expect("readable").into_iter().flat_map(|subset| subset.tasks).collect();
    assert_eq!(again, tasks);

    assert_eq!(names(&fixture("concept_arc")), [subset("concept_arc", &["Count1"])]);
    assert_eq!(names(&fixture("mini_arc")), [subset("mini_arc", &["Fall_l6ab99"])]);
    let mini = arc_subset::read(&fixture("mini_arc")).expect("readable").remove(0).tasks.remove(0);
    assert_eq!(mini.train[0].puzzle.rows().next().expect("a row"), [0, 3, 0, 0, 0], "quotes, and null for black");
    assert_eq!(mini.test[0].1.as_ref().expect("an output").rows().last().expect("a row"), [1, 0, 0, 4, 0]);
}

#[test]
fn what_cannot_be_read_is_named_by_file_and_task() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        let folder = dir.path().join(name.split('/').next().expect("a name"));
        let error = trm_intake::with_causes(&arc_subset::read(&folder).expect_err(name));
        error.replace(&dir.path().display().to_string(), "")
    };
    let error = refused("wide/Count/Count1.json", r#"{"train": [], "test": [{"input": [[1], [2, 3]]}]}"#);
    assert!(error.starts_with("/wide/Count/Count1.json: the task, test input 0: not a rectangle of"), "{error}");
    let error = refused("no-output/training/a.json", r#"{"train": [{"input": [[1]]}], "test": [{"input": [[1]]}]}"#);
    assert!(error.contains("/no-output/training/a.json: the task, train pair 0: no output"), "{error}");
    let error = refused("word/a.json", r#"{"train": [], "test": [{"input": [["12"]]}]}"#);
    assert!(error.contains("/word/a.json") && error.contains("expected a whole number from 0 to 255"), "{error}");
    let error = refused("colour/x_challenges.json", r#"{"b1": {"train": [], "test": [{"input": [[12]]}]}}"#);
    assert!(error.contains("/colour/x_challenges.json: b1, test input 0: not a rectangle"), "{error}");
    let error = refused("empty/readme.txt", "nothing");
    assert!(error.contains("/empty: no puzzle in the input"), "{error}");
}
