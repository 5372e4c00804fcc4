//! The interface of all generators, and the examples that they make.

use std::fmt::Debug;

use rand::Rng;

use crate::{Grid, Result, Task};

/// A puzzle with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The question.
    pub puzzle: Grid,
    /// The label: the unique solution of a sudoku, a shortest path of a maze.
    pub solution: Grid,
}

/// An endless source of puzzles of one task. The same seed gives the same puzzles on every platform.
pub trait Generate: Debug + Send + Sync {
    /// The task its puzzles belong to.
    fn task(&self) -> &dyn Task;

    /// Returns the next puzzle.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Generate`](crate::PuzzleError::Generate) if the request cannot be met.
    fn generate(&self, rng: &mut dyn Rng) -> Result<Example>;
}
