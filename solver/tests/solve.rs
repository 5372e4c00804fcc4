//! Halting, retries under symmetries and reports, with a session that answers by rule.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oracle::{Rule, grid_of, solver};
use trm_engine::ort::ExecutionProvider;
use trm_puzzles::maze::shortest_path;
use trm_puzzles::{
    Generate, Grid, Layout, Maze, MazeGenerator, Sudoku, SudokuGenerator, Task, Verdict, formats, seeded, sudoku,
};
use trm_solver::{AttemptKind, HaltPolicy, HaltReason, Observer, QHalt, Question, Result, SolveOptions, SolveReport};

fn task() -> Sudoku {
    Sudoku::new(2, 2).expect("a sudoku of 4x4")
}

fn shared() -> Arc<dyn Task> {
    Arc::new(task())
}

fn question(grid: &Grid) -> Question {
    Question::new(&task(), grid.clone(), 0).expect("a puzzle")
}

fn puzzles(count: usize) -> Vec<(Grid, Grid)> {
    let generator = SudokuGenerator::easy(task()).expect("a generator");
    let mut rng = seeded(11);
    (0..count)
        .map(|_| {
            let example = generator.generate(&mut rng).expect("a puzzle");
            (example.puzzle, example.solution)
        })
        .collect()
}

/// Solves the grids that `knows` accepts, from step `after` on; answers all others, and earlier, with the puzzle.
fn solves_from(after: usize, knows: impl Fn(&Grid) -> bool + Send + Sync + 'static) -> Rule {
    let task = task();
    Arc::new(move |tokens, step| match grid_of(&task, tokens) {
        Some(grid) if step >= after && knows(&grid) => {
            let solutions = sudoku::solve(task, &grid, 1_000).expect("sizes fit");
            (task.encode(solutions.grid().expect("a solution")).expect("tokens"), 2.0)
        }
        _ => (tokens.to_vec(), -1.0),
    })
}

fn options(tries: usize, batch: usize) -> SolveOptions {
    SolveOptions { tries, batch, ..SolveOptions::default() }
}

#[test]
fn a_verified_answer_stops_at_once() {
    let (puzzle, solution) = puzzles(1).remove(0);
    let (mut solver, log) = solver(shared(), options(8, 8), solves_from(3, |_| true));
    let report = solver.solve(question(&puzzle)).expect("solves");
    assert_eq!(report.verdict, Verdict::Verified { path: None });
    assert_eq!(report.answer, solution);
    assert_eq!(report.tokens, task().encode(&solution).expect("tokens"));
    assert_eq!(
        (report.steps, report.total_steps, report.attempts, (report.found_by == AttemptKind::Symmetric)),
        (3, 3, 1, false)
    );
    assert_eq!(
        (report.halted_by, report.backend, report.provider),
        (HaltReason::Verified, "oracle", ExecutionProvider::Cpu)
    );
    let log = log.lock().expect("no panic");
    assert_eq!(
        (log.loaded.as_slice(), log.busy.as_slice()),
        (&[1][..], &[1, 1, 1][..]),
        "no batch session for one puzzle"
    );
}

#[test]
fn the_policy_decides_when_to_stop() {
    let (puzzle, _) = puzzles(1).remove(0);
    let q_halt = QHalt { threshold: 1.0, min_steps: 4 };
    for (halt, max_steps, expected) in [
        (HaltPolicy::MaxSteps, None, (6, HaltReason::MaxSteps)),
        (HaltPolicy::MaxSteps, Some(9), (9, HaltReason::MaxSteps)),
        (HaltPolicy::QHalt(QHalt::default()), None, (2, HaltReason::QHalt)),
        (HaltPolicy::QHalt(q_halt), None, (4, HaltReason::QHalt)),
        (HaltPolicy::VerifiedOrQHalt(q_halt), None, (2, HaltReason::Verified)),
        (HaltPolicy::Verified, Some(1), (1, HaltReason::MaxSteps)),
    ] {
        let options = SolveOptions { halt, max_steps, ..options(0, 8) };
        let (mut solver, _) = solver(shared(), options, solves_from(2, |_| true));
        let report = solver.solve(question(&puzzle)).expect("solves");
        assert_eq!((report.steps, report.halted_by), expected, "{halt} within {max_steps:?}");
        assert_eq!(report.verdict.is_verified(), report.steps >= 2, "{halt}");
    }
}

/// A network that knows every grid but the puzzle itself.
#[test]
fn an_answer_under_a_symmetry_is_mapped_back() {
    for (puzzle, solution) in puzzles(20) {
        let original = puzzle.clone();
        let (mut solver, log) = solver(shared(), options(8, 8), solves_from(2, move |grid| *grid != original));
        let report = solver.solve(question(&puzzle)).expect("solves");
        assert!(report.verdict.is_verified() && (report.found_by == AttemptKind::Symmetric));
        assert_eq!(report.answer, solution, "on the puzzle as it was given");
        assert_eq!(report.tokens, task().encode(&solution).expect("tokens"));
        assert_eq!((report.steps, report.attempts, report.total_steps), (2, 9, 6 + 8 * 2));
        assert_eq!(log.lock().expect("no panic").loaded, [1, 8]);
    }
}

/// A network that claims to know, and is wrong: nothing it says under a symmetry may pass.
#[test]
fn answers_under_symmetries_are_verified_on_the_puzzle() {
    let (puzzle, _) = puzzles(1).remove(0);
    let rule: Rule = Arc::new(|tokens, _| (vec![2; tokens.len()], 9.0));
    let (mut solver, _) = solver(shared(), options(3, 8), rule);
    let report = solver.solve(question(&puzzle)).expect("runs");
    assert_eq!(report.verdict.as_str(), "wrong");
    let ones = puzzle.map(|digit| if digit == 0 { 1 } else { digit });
    assert_eq!(report.answer, ones, "the first attempt's answer, what is given kept");
    assert_eq!(
        (report.found_by == AttemptKind::Symmetric, report.attempts, report.steps, report.total_steps),
        (false, 4, 6, 6 * 4)
    );
}

/// Copies whose first row begins with a given digit are solved; the first of them ends the others.
#[test]
fn the_first_verified_copy_cancels_its_siblings() {
    let mut cancelled = 0;
    for (puzzle, solution) in puzzles(30) {
        let original = puzzle.clone();
        let knows = move |grid: &Grid| *grid != original && grid.cells().first() == Some(&3);
        let (mut solver, log) = solver(shared(), options(8, 2), solves_from(2, knows));
        let report = solver.solve(question(&puzzle)).expect("runs");
        let log = log.lock().expect("no panic");
        assert_eq!(log.loaded, [1, 2], "never more rows than --batch");
        assert_eq!(log.busy.iter().sum::<usize>(), report.total_steps, "no row runs for a puzzle that is done");
        if report.verdict.is_verified() {
            assert_eq!(report.answer, solution);
            assert!(report.attempts <= 9);
            cancelled += usize::from(report.attempts < 9);
        } else {
            assert_eq!(report.attempts, 9);
        }
    }
    assert!(cancelled > 0, "some copies were never started");
}

struct Collect {
    reports: BTreeMap<usize, SolveReport>,
    stop_after: usize,
}

impl Observer for Collect {
    fn done(&mut self, index: usize, _: &Question, report: SolveReport) {
        assert!(self.reports.insert(index, report).is_none(), "puzzle {index} is reported once");
    }

    fn stop(&mut self) -> bool {
        self.reports.len() >= self.stop_after
    }
}

fn run_all(puzzles: &[(Grid, Grid)], tries: usize, batch: usize, stop_after: usize) -> (Collect, Vec<usize>) {
    // Grids that begin with a blank are solved late, those that begin with a 2 never.
    let task = task();
    let rule: Rule = Arc::new(move |tokens, step| {
        let first = grid_of(&task, tokens).and_then(|grid| grid.cells().first().copied());
        let after = match first {
            Some(0) => 5,
            Some(2) => usize::MAX,
            _ => 2,
        };
        solves_from(after, |_| true)(tokens, step)
    });
    let (mut solver, log) = solver(shared(), options(tries, batch), rule);
    let mut collect = Collect { reports: BTreeMap::new(), stop_after };
    solver.run(puzzles.iter().map(|(puzzle, _)| Ok(question(puzzle))), &mut collect).expect("runs");
    let loaded = log.lock().expect("no panic").loaded.clone();
    (collect, loaded)
}

#[test]
fn a_stream_in_a_batch_gives_what_each_puzzle_gives_alone() {
    let puzzles = puzzles(40);
    let key = |report: &SolveReport| (report.answer.clone(), report.verdict.clone(), report.steps, report.total_steps);
    let (solo, _) = run_all(&puzzles, 0, 1, usize::MAX);
    let (batched, loaded) = run_all(&puzzles, 0, 7, usize::MAX);
    assert_eq!((solo.reports.len(), loaded.as_slice()), (40, &[7][..]));
    for (index, report) in &solo.reports {
        assert_eq!(key(report), key(&batched.reports[index]), "puzzle {index}");
    }
    let unsolved = solo.reports.values().filter(|report| !report.verdict.is_verified()).count();
    assert!((1..40).contains(&unsolved), "{unsolved}");

    let (retried, loaded) = run_all(&puzzles, 8, 7, usize::MAX);
    assert_eq!(loaded, [7], "retries of a stream run in its own session");
    for (index, report) in &retried.reports {
        assert!(report.verdict.is_verified(), "puzzle {index}: {}", report.verdict);
        assert_eq!(report.answer, puzzles[*index].1);
        assert_eq!((report.found_by == AttemptKind::Symmetric), !solo.reports[index].verdict.is_verified());
    }
}

#[test]
fn an_observer_can_end_a_run() {
    let (collect, loaded) = run_all(&puzzles(40), 8, 4, 5);
    assert!((5..9).contains(&collect.reports.len()), "{}", collect.reports.len());
    assert_eq!(loaded, [4]);
}

#[test]
fn an_error_in_the_stream_is_passed_on() {
    let (puzzle, _) = puzzles(1).remove(0);
    let (mut solver, _) = solver(shared(), options(0, 2), solves_from(1, |_| true));
    let mut collect = Collect { reports: BTreeMap::new(), stop_after: usize::MAX };
    let other_size = Grid::filled(9, 9, 0);
    let questions: [Result<Question>; 4] =
        [Ok(question(&puzzle)), Ok(question(&puzzle)), Ok(question(&puzzle)), Question::new(&task(), other_size, 0)];
    let error = solver.run(questions, &mut collect).expect_err("the fourth question");
    assert_eq!(error.to_string(), "the puzzle is 9x9, sudoku needs 4x4");
}

/// A valid detour is accepted: its length stands beside the verdict.
#[test]
fn a_longer_path_is_verified_and_not_retried() {
    let puzzle = formats::parse("m", b"S  \n # \nG  \n").expect("parses").remove(0);
    let detour = formats::parse("m", b"Soo\n #o\nGoo\n").expect("parses").remove(0).grid;
    let task = Maze::new(3, 3).expect("a maze");
    let tokens = task.encode(&detour).expect("tokens");
    let rule: Rule = Arc::new(move |_, _| (tokens.clone(), -5.0));
    let (mut solver, _) = solver(Arc::new(task), options(8, 8), rule);
    let report = solver.solve(Question::new(&task, puzzle.grid, 0).expect("a maze")).expect("solves");
    let path = report.verdict.path().expect("verified");
    assert_eq!((path.length, path.shortest, path.optimal()), (6, 2, false));
    assert_eq!((report.attempts, report.steps), (1, 1));
}

#[test]
fn a_maze_has_at_most_seven_other_copies() {
    let puzzle = formats::parse("m", b"S  \n## \nG  \n").expect("parses").remove(0);
    let rule: Rule = Arc::new(|tokens, _| (tokens.to_vec(), -5.0));
    let task = Maze::new(3, 3).expect("a maze");
    let (mut solver, _) = solver(Arc::new(task), options(20, 32), rule);
    let report = solver.solve(Question::new(&task, puzzle.grid, 0).expect("a maze")).expect("runs");
    assert_eq!((report.attempts, report.verdict.as_str()), (8, "unsolved"));
}

/// Nobody can verify an ARC answer: the model's own signal stops it, and it is not tried again.
#[test]
fn what_cannot_be_verified_halts_by_the_models_signal() {
    let task = trm_puzzles::Arc;
    let rule: Rule = Arc::new(|tokens, step| (tokens.to_vec(), step as f32 - 2.5));
    let (mut solver, _) = solver(Arc::new(task), options(8, 8), rule);
    let report = solver.solve(Question::new(&task, Grid::filled(3, 3, 4), 0).expect("a grid")).expect("solves");
    assert_eq!((report.verdict.as_str(), report.steps, report.attempts), ("unverifiable", 3, 1));
    assert_eq!(report.halted_by, HaltReason::QHalt);

    let rule: Rule = Arc::new(|tokens, _| (vec![0; tokens.len()], 1.0));
    let (mut solver, _) = oracle::solver(Arc::new(task), options(8, 8), rule);
    let report = solver.solve(Question::new(&task, Grid::filled(3, 3, 4), 0).expect("a grid")).expect("runs");
    assert_eq!((report.verdict.as_str(), report.attempts), ("unsolved", 1));
}

#[test]
fn the_seed_decides_the_copies() {
    let (puzzle, _) = puzzles(1).remove(0);
    let seen = |seed: u64| {
        let log = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let shared_log = Arc::clone(&log);
        let rule: Rule = Arc::new(move |tokens, _| {
            shared_log.lock().expect("no panic").insert(tokens.to_vec());
            (tokens.to_vec(), 0.0)
        });
        let (mut solver, _) = solver(shared(), SolveOptions { seed, ..options(4, 4) }, rule);
        solver.solve(question(&puzzle)).expect("runs");
        log.lock().expect("no panic").clone()
    };
    assert_eq!(seen(1), seen(1));
    assert_ne!(seen(1), seen(2));
    assert_eq!(seen(1).len(), 5, "the puzzle and four different copies");
}

/// A network that finds, for every copy of a maze, a path of its own after a number of steps of its own: which one is
/// reported must not depend on the other puzzles or on the rows there are.
#[test]
fn the_answer_does_not_depend_on_what_runs_beside_it() {
    let task = Maze::new(7, 7).expect("a maze");
    let generator = MazeGenerator::new(task).layouts(&[Layout::Obstacles]);
    let mut rng = seeded(3);
    let mazes: Vec<Grid> = (0..40).map(|_| generator.generate(&mut rng).expect("a maze").puzzle).collect();
    let solve_all = |batch: usize| {
        let originals: BTreeSet<_> = mazes.iter().map(|maze| task.encode(maze).expect("tokens")).collect();
        let rule: Rule = Arc::new(move |tokens, step| {
            let sum: usize = tokens.iter().enumerate().map(|(cell, &token)| cell * token as usize).sum();
            match grid_of(&task, tokens) {
                Some(maze) if !originals.contains(tokens) && step > sum % 7 => {
                    let path = shortest_path(&maze).expect("there is a way");
                    (task.encode(&path).expect("tokens"), 2.0)
                }
                _ => (tokens.to_vec(), -1.0),
            }
        });
        let (mut solver, _) = solver(Arc::new(task), options(7, batch), rule);
        let mut collect = Collect { reports: BTreeMap::new(), stop_after: usize::MAX };
        let questions = mazes.iter().map(|maze| Question::new(&task, maze.clone(), 0));
        solver.run(questions, &mut collect).expect("runs");
        collect.reports
    };
    let alone = solve_all(1);
    let key = |report: &SolveReport| (report.answer.clone(), report.steps, report.found_by);
    for batch in [3, 8, 20, 400] {
        for (index, report) in &solve_all(batch) {
            assert_eq!(key(report), key(&alone[index]), "maze {index}, {batch} rows");
        }
    }
    let found = alone.values().filter(|report| report.found_by == AttemptKind::Symmetric).count();
    assert!(found > 30, "{found}");
}

/// Nobody can verify an ARC answer: of several noisy runs the one with the highest halting signal is reported.
#[test]
fn the_halting_signal_chooses_among_rollouts_that_nobody_can_verify() {
    let task = trm_puzzles::Arc;
    let run = |rollouts: usize, batch: usize| {
        let rule: Rule = Arc::new(|tokens, step| (tokens.to_vec(), step as f32 - 4.5));
        let options = SolveOptions { rollouts, seed: 4, ..options(8, batch) };
        let (mut solver, _) = solver(Arc::new(task), options, rule);
        solver.solve(Question::new(&task, Grid::filled(3, 3, 4), 0).expect("a grid")).expect("solves")
    };
    let first = run(0, 8);
    assert_eq!((first.found_by, first.attempts, first.q_halt), (AttemptKind::First, 1, 0.5));
    let mut best = first.q_halt;
    for rollouts in [1, 2, 4, 8, 16] {
        let report = run(rollouts, 8);
        assert_eq!((report.verdict.as_str(), report.attempts), ("unverifiable", 1 + rollouts));
        assert!(report.q_halt >= best, "{rollouts}: {} is below {best}", report.q_halt);
        best = report.q_halt;
        for batch in [1, 3, 16] {
            let other = run(rollouts, batch);
            assert_eq!((other.steps, other.q_halt, other.found_by), (report.steps, report.q_halt, report.found_by));
        }
    }
    assert!(best > first.q_halt, "some rollout stopped with a higher signal");
}

#[test]
fn noise_that_is_none_is_refused() {
    let (puzzle, _) = puzzles(1).remove(0);
    for noise in [-0.5, f32::NAN, f32::INFINITY] {
        let options = SolveOptions { rollouts: 2, noise, ..options(0, 2) };
        let (mut solver, log) = solver(shared(), options, solves_from(1, |_| true));
        let error = solver.solve(question(&puzzle)).expect_err("no noise");
        assert!(error.to_string().starts_with(&format!("{noise} is no standard deviation")), "{error}");
        assert!(log.lock().expect("no panic").loaded.is_empty(), "before anything is loaded");
    }
}
