//! The exact search that is guided by scores.

mod common;

use common::fixture;
use rand::Rng;
use trm_intake::explained;
use trm_puzzles::sudoku::{BLANK, first_solution, solve};
use trm_puzzles::{Generate, Grid, Maze, MazeGenerator, Sudoku, SudokuGenerator, Task, formats, seeded};

/// One for the token of each digit of the solution, else none.
fn perfect(task: Sudoku, solution: &Grid) -> Vec<f32> {
    let tokens = task.vocab_size();
    let mut scores = vec![0.0; task.seq_len() * tokens];
    for (cell, token) in task.encode(solution).expect("a solution").into_iter().enumerate() {
        scores[cell * tokens + token as usize] = 1.0;
    }
    scores
}

/// Numbers of every kind, from the bits of a random one.
fn random(task: Sudoku, seed: u64, strange: bool) -> Vec<f32> {
    let mut rng = seeded(seed);
    let score = |bits: u32| if strange { f32::from_bits(bits) } else { bits as f32 };
    (0..task.seq_len() * task.vocab_size()).map(|_| score(rng.next_u32())).collect()
}

/// Puzzles that singles do not solve, with their solutions.
fn hard_puzzles() -> Vec<(Sudoku, Grid, Grid)> {
    let mut puzzles = Vec::new();
    for (height, width, count) in [(2, 3, 20), (3, 2, 20), (3, 3, 40), (3, 4, 5), (4, 4, 3)] {
        let task = Sudoku::new(height, width).expect("supported");
        let generator = SudokuGenerator::hard(task).expect("possible");
        let mut rng = seeded(6);
        for _ in 0..count {
            let example = generator.generate(&mut rng).expect("common");
            puzzles.push((task, example.puzzle, example.solution));
        }
    }
    puzzles
}

#[test]
fn perfect_scores_save_most_guesses() {
    let (mut guided, mut alone) = (0, 0);
    for (task, puzzle, solution) in hard_puzzles() {
        let scores = perfect(task, &solution);
        let found = first_solution(task, &puzzle, 1_000_000, Some(&scores)).expect("the size");
        assert_eq!(found.solution, Some(solution));
        assert!(!found.gave_up);
        let open = puzzle.iter().filter(|&(_, digit)| digit == BLANK).count();
        assert!(found.guesses <= open as u64);
        guided += found.guesses;
        alone += first_solution(task, &puzzle, 1_000_000, None).expect("the size").guesses;
    }
    assert!(guided * 2 < alone, "{guided} guesses guided, {alone} alone");
}

#[test]
fn any_scores_lead_to_the_one_solution() {
    for (seed, (task, puzzle, solution)) in hard_puzzles().into_iter().enumerate() {
        for strange in [false, true] {
            let scores = random(task, seed as u64, strange);
            let found = task.exact_answer_guided(&puzzle, &scores).expect("a solution");
            assert_eq!(found.answer, solution);
        }
        for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0] {
            let scores = vec![score; task.seq_len() * task.vocab_size()];
            let found = task.exact_answer_guided(&puzzle, &scores).expect("a solution");
            let alone = first_solution(task, &puzzle, u64::MAX, None).expect("the size");
            assert_eq!((Some(found.answer), found.nodes), (alone.solution, alone.guesses));
        }
    }
}

#[test]
fn nan_is_the_lowest_score() {
    let task = Sudoku::default();
    let empty = Grid::filled(9, 9, BLANK);
    let mut scores = vec![f32::NAN; 81 * 11];
    // Digit 7 of the last cell, whose lead over NaN is the largest.
    scores[80 * 11 + 8] = f32::NEG_INFINITY;
    scores[40 * 11 + 6] = -1.0;
    let answer = task.exact_answer_guided(&empty, &scores).expect("a solution").answer;
    assert_eq!(answer.cells()[40], 5);
    assert!(task.verify(&empty, &answer).is_verified());
}

#[test]
fn of_several_solutions_the_scores_choose() {
    let task = Sudoku::default();
    let empty = Grid::filled(9, 9, BLANK);
    for example in 0..5 {
        let generator = SudokuGenerator::easy(task).expect("possible");
        let solution = generator.generate(&mut seeded(example)).expect("common").solution;
        let found = task.exact_answer_guided(&empty, &perfect(task, &solution)).expect("a solution");
        assert_eq!(found.answer, solution);
    }
    assert_eq!(task.exact_answer(&empty).as_ref(), solve(task, &empty, 1_000).expect("the size").grid());
}

#[test]
fn the_hardest_published_puzzles_take_fewer_guesses() {
    let task = Sudoku::default();
    for puzzle in formats::read(&fixture("sudoku-top95.txt")).expect("readable") {
        let solution = task.exact_answer(&puzzle.grid).expect("a solution");
        let found = task.exact_answer_guided(&puzzle.grid, &perfect(task, &solution)).expect("a solution");
        assert_eq!(found.answer, solution);
        assert!(found.nodes <= 20, "{} guesses for {}", found.nodes, puzzle.source);
    }
}

#[test]
fn unsolvable_puzzles_and_odd_inputs() {
    let task = Sudoku::default();
    let mut wrong = Grid::filled(9, 9, BLANK);
    wrong.cells_mut()[..2].fill(5);
    let scores = random(task, 1, true);
    assert_eq!(task.exact_answer_guided(&wrong, &scores), None);
    let found = first_solution(task, &wrong, 100, Some(&scores)).expect("the size");
    assert_eq!((found.solution, found.gave_up), (None, false));
    assert_eq!(task.exact_answer_guided(&Grid::filled(4, 4, BLANK), &scores), None);
    let empty = Grid::filled(9, 9, BLANK);
    assert!(first_solution(task, &empty, 0, Some(&scores)).expect("the size").gave_up);
    // A model of another task: its scores say nothing here.
    let unguided = task.exact_answer_guided(&empty, &scores[1..]).expect("a solution");
    assert_eq!(Some(unguided.answer), task.exact_answer(&empty));
    let error = first_solution(task, &empty, 100, Some(&scores[1..])).expect_err("too few");
    assert_eq!(explained(&error), "890 scores, a sudoku of 9x9 needs 891");
}

#[test]
fn mazes_need_no_guesses() {
    let task = Maze::new(9, 9).expect("supported");
    let maze = MazeGenerator::new(task).generate(&mut seeded(1)).expect("large enough").puzzle;
    let found = task.exact_answer_guided(&maze, &[f32::NAN; 81 * 6]).expect("a way");
    assert_eq!((Some(found.answer), found.nodes), (task.exact_answer(&maze), 0));
}
