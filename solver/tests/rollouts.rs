//! Rollouts on a shipped model: noisy runs that find what the first one did not, the same in any company.

mod common;

use common::engines;
use trm_engine::{Engine, SessionOptions};
use trm_puzzles::{Generate, PuzzleKind, SudokuGenerator, Verdict, seeded};
use trm_solver::measure::escalation;
use trm_solver::{AttemptKind, HaltPolicy, Model, Observer, Question, SolveOptions, SolveReport, Solver};

const PUZZLES: usize = 24;

/// Hard sudokus, of which the model alone solves two in three.
fn puzzles(model: &Model) -> Vec<Question> {
    let PuzzleKind::Sudoku(kind) = model.kind() else { panic!("a sudoku") };
    let (generator, mut rng) = (SudokuGenerator::hard(kind).expect("a generator"), seeded(5));
    let mut next = || Question::new(model.task().as_ref(), generator.generate(&mut rng).expect("a puzzle").puzzle, 0);
    (0..PUZZLES).map(|_| next().expect("a question")).collect()
}

#[derive(Default)]
struct Reports(Vec<Option<SolveReport>>);

impl Observer for Reports {
    fn done(&mut self, index: usize, _: &Question, report: SolveReport) {
        self.0[index] = Some(report);
    }
}

fn solve(engine: &dyn Engine, model: &Model, options: SolveOptions) -> Vec<SolveReport> {
    let load = |batch| engine.load_step(model.bundle(), &SessionOptions { batch, ..SessionOptions::default() });
    let mut solver = Solver::new(model.task(), model.config().clone(), options, load);
    let mut reports = Reports(vec![None; PUZZLES]);
    solver.run(puzzles(model).into_iter().map(Ok), &mut reports).expect("solves");
    reports.0.into_iter().map(|report| report.expect("every puzzle is reported")).collect()
}

fn rollouts(rollouts: usize, seed: u64, batch: usize) -> SolveOptions {
    SolveOptions { halt: HaltPolicy::Verified, tries: 0, rollouts, seed, batch, ..SolveOptions::default() }
}

fn solved(reports: &[SolveReport]) -> usize {
    reports.iter().filter(|report| report.verdict.is_verified()).count()
}

#[test]
fn rollouts_solve_more_and_say_that_they_did() {
    let model = Model::open("../models/sudoku-6").expect("shipped");
    for engine in engines() {
        let without = solve(engine.as_ref(), &model, rollouts(0, 0, 8));
        let with = solve(engine.as_ref(), &model, rollouts(8, 0, 8));
        assert!(solved(&without) < PUZZLES, "the puzzles are too easy to learn anything");
        assert!(solved(&with) > solved(&without), "{}: {} and {}", engine.name(), solved(&with), solved(&without));
        for (with, without) in with.iter().zip(&without) {
            if without.verdict.is_verified() {
                // What the first attempt solves is left alone.
                assert_eq!(
                    (&with.answer, with.found_by, with.steps),
                    (&without.answer, AttemptKind::First, without.steps)
                );
            } else if with.verdict.is_verified() {
                assert_eq!(with.found_by, AttemptKind::Rollout);
                assert!(with.attempts > 1 && with.total_steps > without.total_steps);
            } else {
                assert_eq!((&with.answer, with.found_by), (&without.answer, AttemptKind::First));
                assert!(matches!(with.verdict, Verdict::Wrong(_) | Verdict::Unsolved { .. }));
            }
        }
    }
}

#[test]
fn a_rollout_depends_on_seed_and_puzzle_only() {
    let model = Model::open("../models/sudoku-6").expect("shipped");
    for engine in engines() {
        let key = |reports: &[SolveReport]| -> Vec<_> {
            reports.iter().map(|report| (report.tokens.clone(), report.steps, report.found_by)).collect()
        };
        let many = solve(engine.as_ref(), &model, rollouts(4, 1, 8));
        // Which of several rollouts finds a sudoku's one answer first may depend on the rows, the answer may not.
        let answers = |reports: &[SolveReport]| reports.iter().map(|report| report.tokens.clone()).collect::<Vec<_>>();
        for batch in [1, 3, 32] {
            let other = solve(engine.as_ref(), &model, rollouts(4, 1, batch));
            assert_eq!(answers(&many), answers(&other), "{}, {batch} rows", engine.name());
        }
        assert_eq!(key(&many), key(&solve(engine.as_ref(), &model, rollouts(4, 1, 8))), "{}", engine.name());
        let other = solve(engine.as_ref(), &model, rollouts(4, 2, 8));
        assert_ne!(key(&many), key(&other), "{}: another seed, the same noise", engine.name());
    }
}

/// With noise of deviation 0, a rollout is the first attempt again.
#[test]
fn without_noise_nothing_is_found() {
    let model = Model::open("../models/sudoku-6").expect("shipped");
    let engine = trm_engine::tract::TractEngine;
    let first = solve(&engine, &model, rollouts(0, 0, 8));
    let silent = solve(&engine, &model, SolveOptions { noise: 0.0, ..rollouts(2, 0, 8) });
    assert_eq!(solved(&first), solved(&silent));
    assert!(silent.iter().all(|report| report.found_by == AttemptKind::First));
}

/// `eval --escalation` computes from retries that run to their ends. Its results are those of the solver with as
/// many.
#[test]
fn the_escalation_curve_is_what_the_solver_finds() {
    let model = Model::open("../models/sudoku-6").expect("shipped");
    let engine = trm_engine::tract::TractEngine;
    let options = SolveOptions { tries: 4, rollouts: 4, ..SolveOptions::default() };
    let session = SessionOptions { batch: 8, ..SessionOptions::default() };
    let mut session = engine.load_step(model.bundle(), &session).expect("loads");
    let attempts =
        escalation::measure(session.as_mut(), model.task().as_ref(), &options, puzzles(&model)).expect("measures");
    for (tries, count) in [(0, 0), (2, 0), (0, 2), (4, 4)] {
        let reports = solve(&engine, &model, SolveOptions { tries, ..rollouts(count, 0, 8) });
        for (attempts, report) in attempts.iter().zip(&reports) {
            assert_eq!(attempts.with(tries, count).verified, report.verdict.is_verified(), "{tries} and {count}");
        }
    }
}
