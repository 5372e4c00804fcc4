//! The models as the kiosk's solver.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use trm_engine::registry;
use trm_models::ModelBundle;
use trm_solver::Model;

use crate::kiosk::models::Active;
use crate::kiosk::parts::{Puzzle, PuzzleSolver, Solution, Step};
use crate::{Result, Solving};

/// Solves with the shipped models, or with those that were activated.
#[derive(Debug)]
pub struct ModelSolver {
    solving: Solving,
}

impl ModelSolver {
    /// With at most `max_steps` ACT steps an attempt, on the engine that is preferred.
    ///
    /// # Errors
    /// When the engine cannot be had.
    pub fn new(max_steps: usize) -> Result<Self> {
        Ok(Self { solving: Solving::new((registry::default().open)(None)?, Vec::new()).with_max_steps(max_steps) })
    }
}

impl PuzzleSolver for ModelSolver {
    fn solve(&mut self, puzzle: &Puzzle, on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>) -> Result<Solution> {
        let started = Instant::now();
        let (mut shown, mut steps, mut last) = (Duration::ZERO, 0, None);
        let mut watch = |number: usize, grid: &trm_puzzles::Grid| {
            let began = Instant::now();
            let flow = on_step(Step { number, grid });
            shown += began.elapsed();
            steps = number;
            if last.as_ref() != Some(grid) {
                last = Some(grid.clone());
            }
            flow
        };
        let report = self.solving.solve(puzzle.kind, &puzzle.grid, &mut watch)?;
        let time = started.elapsed().saturating_sub(shown);
        if let Some(report) = report {
            return Ok(Solution { answer: report.answer, verdict: report.verdict, steps, time });
        }
        // Stopped: what there is by now may be right all the same.
        let answer = last.unwrap_or_else(|| puzzle.grid.clone());
        Ok(Solution { verdict: puzzle.kind.task().verify(&puzzle.grid, &answer), answer, steps, time })
    }

    fn use_models(&mut self, active: &Active) -> Result<()> {
        let open = |path: &std::path::PathBuf| Ok(Model::new(ModelBundle::open(path)?)?);
        let models = active.folders.values().map(open).collect::<Result<Vec<Model>>>()?;
        self.solving.set_models(models);
        Ok(())
    }
}
