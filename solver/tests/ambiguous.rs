//! Puzzles with several right answers: which one is given depends on nothing but the puzzle.

use std::collections::BTreeMap;

use trm_engine::rten::RtenEngine;
use trm_engine::{Engine as _, SessionOptions};
use trm_puzzles::{AnswerCount, Generate, Grid, PuzzleKind, Sudoku, SudokuGenerator, Task, seeded};
use trm_solver::{AttemptKind, Model, Observer, Question, SolveOptions, SolveReport, Solver};

/// The answers, by place in the input.
#[derive(Default)]
struct Answers(BTreeMap<usize, (String, usize, AttemptKind)>);

impl Observer for Answers {
    fn done(&mut self, index: usize, question: &Question, report: SolveReport) {
        let verified = report.verdict.is_verified();
        assert!(verified || report.found_by == AttemptKind::First, "what is reported beside the first is verified");
        let text = report.answer.to_text(|digit| char::from(b'0' + digit.min(9)));
        let puzzle = question.grid.to_text(|digit| char::from(b'0' + digit));
        self.0.insert(index, (format!("{puzzle}{text}{verified}"), report.steps, report.found_by));
    }
}

/// Sudokus of 4x4 with so few givens that several answers are right.
fn ambiguous(count: usize) -> Vec<Grid> {
    let task = Sudoku::new(2, 2).expect("boxes");
    let generator = SudokuGenerator::easy(task).expect("4x4");
    let mut rng = seeded(2026);
    let mut puzzles = Vec::new();
    while puzzles.len() < count {
        let mut grid = generator.generate(&mut rng).expect("a puzzle").puzzle;
        let given = grid.iter().filter(|&(_, digit)| digit != 0).map(|(cell, _)| cell).collect::<Vec<_>>();
        for cell in given.into_iter().skip(3) {
            grid.set(cell, 0);
        }
        if task.count_answers(&grid) == AnswerCount::Several {
            puzzles.push(grid);
        }
    }
    puzzles
}

fn solved(model: &Model, puzzles: impl Iterator<Item = Grid>, batch: usize) -> Answers {
    let load = |batch| RtenEngine.load_step(model.bundle(), &SessionOptions { batch, ..SessionOptions::default() });
    let options = SolveOptions { batch, tries: 4, max_steps: Some(2), ..SolveOptions::default() };
    let mut solver = Solver::new(model.task(), model.config().clone(), options, load);
    let task = model.task();
    let mut answers = Answers::default();
    solver.run(puzzles.map(|grid| Question::new(task.as_ref(), grid, 0)), &mut answers).expect("solves");
    answers
}

#[test]
fn the_same_answer_is_given_whatever_the_batch_and_the_company() {
    let puzzles = ambiguous(1_000);
    let model = Model::open("sudoku-4").expect("shipped");
    assert_eq!(model.kind(), PuzzleKind::Sudoku(Sudoku::new(2, 2).expect("boxes")));
    let alone = solved(&model, puzzles.iter().cloned(), 1).0;
    let together = solved(&model, puzzles.iter().cloned(), 13).0;
    assert_eq!(alone, together);
    let last = puzzles.len() - 1;
    let reversed = solved(&model, puzzles.iter().rev().cloned(), 64).0;
    let reversed = reversed.into_iter().map(|(index, answer)| (last - index, answer)).collect();
    assert_eq!(alone, reversed);
    // Otherwise nothing would have been decided.
    let by_copies = alone.values().filter(|answer| answer.2 == AttemptKind::Symmetric).count();
    assert!(by_copies > 20, "{by_copies}");
}
