//! The difficulty of a sudoku for someone with a pencil.

use super::Sudoku;
use super::board::{Board, Contradiction, Geometry};
use super::technique::{Pattern, hidden_pairs, locked_candidates, naked_subsets};
use crate::task::require_size;
use crate::{Grid, Result};

/// The techniques that a sudoku asks for; easier grades are smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Naked and hidden singles are enough.
    Singles,
    /// Also locked candidates, naked pairs and triples, hidden pairs.
    Harder,
    /// None of these is enough: trial and error (or techniques beyond them).
    Search,
}

impl Grade {
    /// `singles`, `harder` or `search`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Singles => "singles",
            Self::Harder => "harder",
            Self::Search => "search",
        }
    }
}

/// Grades a sudoku with one solution. `None` when the techniques show that there is no solution; a puzzle with
/// several solutions grades as [`Grade::Search`].
///
/// # Errors
///
/// [`PuzzleError::Size`](crate::PuzzleError::Size) for a grid that is not of the task's size.
pub fn grade(task: Sudoku, puzzle: &Grid) -> Result<Option<Grade>> {
    require_size(&task, "the puzzle", puzzle)?;
    let geometry = Geometry::new(task);
    Ok(Board::new(&geometry, puzzle).and_then(|mut board| grade_board(&geometry, &mut board)).ok())
}

/// Grades what is left of a board, leaving it as far as the techniques go.
pub(super) fn grade_board(geometry: &Geometry, board: &mut Board) -> Result<Grade, Contradiction> {
    board.singles(geometry)?;
    if board.solved() {
        return Ok(Grade::Singles);
    }
    let apply = |board: &mut Board, pattern: Pattern| pattern.apply(geometry, board);
    while locked_candidates(geometry, board, apply)?
        || naked_subsets(geometry, board, apply)?
        || hidden_pairs(geometry, board, apply)?
    {
        board.singles(geometry)?;
        if board.solved() {
            return Ok(Grade::Harder);
        }
    }
    Ok(Grade::Search)
}
