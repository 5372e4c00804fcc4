//! Solves the puzzles of a file with the shipped models: `cargo run --release --example solve -- examples/maze.txt`.
#![expect(clippy::print_stdout, reason = "a program to read, not to ship")]

use std::path::Path;

use trm_engine::{SessionOptions, registry};
use trm_puzzles::formats;
use trm_solver::{Model, Question, SolveOptions, Solver};

fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "examples/maze.txt".to_owned());
    let engine = (registry::default().open)(None)?;
    for puzzle in formats::read(Path::new(&file))? {
        let model = Model::for_puzzle(&puzzle)?;
        let load = |batch| engine.load_step(model.bundle(), &SessionOptions { batch, ..SessionOptions::default() });
        let mut solver = Solver::new(model.task(), model.config().clone(), SolveOptions::default(), load);
        let report = solver.solve(Question::new(model.task().as_ref(), puzzle.grid.clone(), 0)?)?;
        println!(
            "{}\n{} after {} steps of {}",
            puzzle.line(&report.answer),
            report.verdict,
            report.steps,
            model.name()
        );
    }
    Ok(())
}
