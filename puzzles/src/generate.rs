//! What every generator gives.

use std::fmt::Debug;

use rand::Rng;

use crate::{Grid, Result, Task};

/// A puzzle with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What is asked.
    pub puzzle: Grid,
    /// The label: the unique solution of a sudoku, a shortest path of a maze.
    pub solution: Grid,
}

/// An endless source of puzzles of one task. The same seed gives the same puzzles on every platform.
pub trait Generate: Debug + Send + Sync {
    /// The task its puzzles belong to.
    fn task(&self) -> &dyn Task;

    /// The next puzzle; an error when the request cannot be met.
    fn generate(&self, rng: &mut dyn Rng) -> Result<Example>;
}
