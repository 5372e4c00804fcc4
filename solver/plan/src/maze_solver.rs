//! The trait of the solvers that find the paths through a plan's mazes.

use std::error::Error;
use std::time::Instant;

use trm_puzzles::{Grid, maze};

/// The result for one maze.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The maze with a path that was verified; `None` if none was found.
    pub answer: Option<Grid>,
    /// Steps that it took; ACT steps of all attempts, for a network.
    pub steps: usize,
    /// True if none was found because time was up, which says nothing about the solver.
    pub timed_out: bool,
}

/// The limits of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Most steps of an attempt.
    pub max_steps: usize,
    /// Symmetric copies of a maze that are tried when the first answer is not verified.
    pub tries: usize,
    /// Seed of the symmetries.
    pub seed: u64,
    /// The time after which no further step is begun.
    pub deadline: Option<Instant>,
}

/// Finds paths through mazes of one size.
pub trait MazeSolver {
    /// Height and width of its mazes.
    fn maze_size(&self) -> (usize, usize);

    /// Looks for a path through each maze; one [`Attempt`] for each, in the same order. Only verified answers count.
    ///
    /// # Errors
    /// If the solver itself fails, which is not the same as finding no path.
    fn solve(&mut self, mazes: &[&Grid], effort: &Effort) -> Result<Vec<Attempt>, Box<dyn Error + Send + Sync>>;
}

/// Exact search, for robots without a network and for comparison.
#[derive(Debug, Clone, Copy)]
pub struct ExactMazes {
    /// Cells along a side of the mazes, 3 at least.
    pub side: usize,
}

impl MazeSolver for ExactMazes {
    fn maze_size(&self) -> (usize, usize) {
        (self.side, self.side)
    }

    fn solve(&mut self, mazes: &[&Grid], _: &Effort) -> Result<Vec<Attempt>, Box<dyn Error + Send + Sync>> {
        Ok(mazes.iter().map(|maze| Attempt { answer: maze::shortest_path(maze), steps: 1, timed_out: false }).collect())
    }
}
