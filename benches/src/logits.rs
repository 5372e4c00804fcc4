//! A network's answer to a puzzle with its logits.

use anyhow::Result;
use trm_engine::{Engine, SessionOptions};
use trm_puzzles::{Puzzle, Task};
use trm_solver::{Model, Question, SolveOptions, SolveReport, Solver};

/// The task of a puzzle's size, and the report on one attempt of so many steps, with the logits of its answer.
///
/// # Errors
/// A model that does not take the puzzle, and whatever fails while it runs.
pub fn answer(
    engine: &dyn Engine,
    model: &Model,
    puzzle: &Puzzle,
    steps: usize,
) -> Result<(Box<dyn Task>, SolveReport)> {
    let model = model.for_size(puzzle.kind, &puzzle.source)?;
    let task = model.task();
    let load = |batch| {
        let options = SessionOptions { batch, want_logits: true, ..SessionOptions::default() };
        engine.load_step(model.bundle(), &options)
    };
    let options = SolveOptions { max_steps: Some(steps), tries: 0, ..SolveOptions::default() };
    let mut solver = Solver::new(model.task(), model.config().clone(), options, load);
    let report = solver.solve(Question::new(task.as_ref(), puzzle.grid.clone(), 0)?)?;
    Ok((task, report))
}
