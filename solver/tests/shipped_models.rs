//! The shipped models of any size on kinds of puzzles that ask for different things, each with a floor. Windows of real maps,
//! mazes of 19 and 41 cells a side, and all of the sudokus in files were never trained on; the layouts of mazes were.

use std::path::Path;

use trm_engine::rten::RtenEngine;
use trm_engine::{Engine as _, SessionOptions};
use trm_puzzles::formats::{self, read_limited};
use trm_puzzles::{Generate, Grid, Layout, Maze, MazeGenerator, PuzzleKind, Spacing, Sudoku, SudokuGenerator, seeded};
use trm_solver::{Model, Observer, Question, SolveOptions, SolveReport, Solver};

/// Counts verified answers.
#[derive(Default)]
struct Verified(usize);

impl Observer for Verified {
    fn done(&mut self, _: usize, _: &Question, report: SolveReport) {
        self.0 += usize::from(report.verdict.is_verified());
    }
}

type Puzzles = Vec<(PuzzleKind, Grid)>;

/// Counts those that the shipped model of their kind solves in one pass of its own steps, on the engine in Rust.
fn solved(puzzles: &[(PuzzleKind, Grid)]) -> usize {
    let mut kinds = Vec::new();
    for (kind, _) in puzzles {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    let mut verified = Verified::default();
    for kind in kinds {
        let model = Model::for_kind(kind, "a test").expect("a shipped model");
        let load = |batch| RtenEngine.load_step(model.bundle(), &SessionOptions { batch, ..SessionOptions::default() });
        let options = SolveOptions { tries: 0, ..SolveOptions::default() };
        let mut solver = Solver::new(model.task(), model.config().clone(), options, load);
        let task = model.task();
        let questions = puzzles
            .iter()
            .filter(|puzzle| puzzle.0 == kind)
            .map(|(_, grid)| Question::new(task.as_ref(), grid.clone(), 0));
        solver.run(questions, &mut verified).expect("solves");
    }
    verified.0
}

fn file(name: &str) -> Puzzles {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../puzzles/tests/fixtures").join(name);
    let puzzles = formats::parse(name, &read_limited(&path).expect("a fixture")).expect("puzzles");
    puzzles.into_iter().map(|puzzle| (puzzle.kind, puzzle.grid)).collect()
}

fn generated(generator: &dyn Generate, kind: PuzzleKind, count: usize) -> Puzzles {
    let mut rng = seeded(2026);
    (0..count).map(|_| (kind, generator.generate(&mut rng).expect("a puzzle").puzzle)).collect()
}

fn mazes(side: usize, layout: Layout, spacing: Spacing, count: usize) -> Puzzles {
    let maze = Maze::new(side, side).expect("a size");
    generated(&MazeGenerator::new(maze).layouts(&[layout]).spacing(spacing), PuzzleKind::Maze(maze), count)
}

fn check(name: &str, puzzles: &[(PuzzleKind, Grid)], floor: usize) {
    let found = solved(puzzles);
    assert!(found >= floor, "{name}: {found} of {}, floor {floor}", puzzles.len());
}

#[test]
fn mazes_of_every_kind() {
    for (name, layout, spacing, floor) in [
        ("corridors", Layout::Perfect, Spacing::Apart, 18),
        ("open fields", Layout::Open, Spacing::Apart, 18),
        ("pockets", Layout::Dense, Spacing::Any, 18),
        ("rooms", Layout::Rooms, Spacing::Far, 17),
        ("spirals", Layout::Spiral, Spacing::Far, 18),
    ] {
        check(name, &mazes(19, layout, spacing, 20), floor);
    }
    check("windows of real maps", &file("mazes-maps.jsonl"), 57);
    check("larger than any trained", &mazes(41, Layout::Loops, Spacing::Apart, 5), 4);
}

#[test]
fn sudokus_of_every_kind() {
    check("all but full", &file("sudoku-full.txt"), 30);
    check("newspapers", &file("sudoku-photos.txt")[..40], 39);
    check("Norvig's top95", &file("sudoku-top95.txt"), 50);
    check("Norvig's hardest", &file("sudoku-hardest.txt"), 7);
    let sixes = Sudoku::new(2, 3).expect("boxes");
    check(
        "hard ones of 6x6",
        &generated(&SudokuGenerator::hard(sixes).expect("6x6"), PuzzleKind::Sudoku(sixes), 40),
        38,
    );
}
