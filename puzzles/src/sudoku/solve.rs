//! The exact solver: singles, then a guess at the tightest cell.

use super::board::{Board, Digits, Geometry};
use super::{BLANK, Sudoku};
use crate::task::require_size;
use crate::{Grid, Result};

/// The result of an exact search.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Solutions {
    /// The puzzle has no solution.
    None,
    /// Exactly one.
    Unique(Grid),
    /// At least two; one of them.
    Several(Grid),
    /// The node limit was reached before the question was settled; a solution if one was met.
    GaveUp(Option<Grid>),
}

impl Solutions {
    /// A solution, whether unique or not.
    #[must_use]
    pub fn grid(&self) -> Option<&Grid> {
        match self {
            Self::Unique(grid) | Self::Several(grid) => Some(grid),
            Self::GaveUp(grid) => grid.as_ref(),
            Self::None => None,
        }
    }
}

/// Solves a sudoku and says whether its solution is unique, trying at most `node_limit` guesses.
///
/// 9x9 puzzles need a handful of guesses, at most some thousands. Open 16x16 and 25x25 grids can exceed any limit:
/// the answer is then [`Solutions::GaveUp`].
///
/// # Errors
///
/// [`PuzzleError::Size`](crate::PuzzleError::Size) for a grid that is not of the task's size.
pub fn solve(task: Sudoku, puzzle: &Grid, node_limit: u64) -> Result<Solutions> {
    require_size(&task, "the puzzle", puzzle)?;
    let geometry = Geometry::new(task);
    let mut search = Search::new(&geometry, 2, node_limit);
    if let Ok(board) = Board::new(&geometry, puzzle) {
        search.run(board, lowest);
    }
    let first = search.first.take().map(|cells| Grid::from_cells(task.side(), task.side(), cells)).transpose()?;
    Ok(match (first, search.found) {
        (Some(grid), 2..) => Solutions::Several(grid),
        (grid, _) if search.gave_up() => Solutions::GaveUp(grid),
        (Some(grid), _) => Solutions::Unique(grid),
        (None, _) => Solutions::None,
    })
}

/// Counts solutions up to `limit`; `None` when `node_limit` guesses did not settle it.
///
/// # Errors
///
/// [`PuzzleError::Size`](crate::PuzzleError::Size) for a grid that is not of the task's size.
pub fn count_solutions(task: Sudoku, puzzle: &Grid, limit: usize, node_limit: u64) -> Result<Option<usize>> {
    require_size(&task, "the puzzle", puzzle)?;
    let geometry = Geometry::new(task);
    let mut search = Search::new(&geometry, limit, node_limit);
    if let Ok(board) = Board::new(&geometry, puzzle) {
        search.run(board, lowest);
    }
    Ok((search.found >= limit || !search.gave_up()).then_some(search.found))
}

/// The guess without a guide: the smallest digit of the tightest cell.
pub(super) fn lowest(board: &Board) -> Option<(usize, Digits)> {
    let cell = board.tightest()?;
    let digits = board.candidates(cell);
    Some((cell, digits & digits.wrapping_neg()))
}

/// A depth-first search for up to `wanted` solutions.
#[derive(Debug)]
pub(super) struct Search<'a> {
    geometry: &'a Geometry,
    wanted: usize,
    node_limit: u64,
    nodes_left: u64,
    exhausted: bool,
    pub(super) found: usize,
    /// The first solution's cells.
    pub(super) first: Option<Vec<u8>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(geometry: &'a Geometry, wanted: usize, node_limit: u64) -> Self {
        Self { geometry, wanted, node_limit, nodes_left: node_limit, exhausted: false, found: 0, first: None }
    }

    /// Guesses so far.
    pub(super) fn guesses(&self) -> u64 {
        self.node_limit - self.nodes_left
    }

    /// True if the node limit ended the search.
    pub(super) fn gave_up(&self) -> bool {
        self.exhausted
    }

    /// Searches from `board`; `choose` says which cell to guess at and which of its digits to try, `None` on a solved board.
    pub(super) fn run(&mut self, board: Board, mut choose: impl FnMut(&Board) -> Option<(usize, Digits)>) {
        // Boards still to look at. Each guess leaves behind the same board without the guessed digit.
        let mut open = vec![board];
        let mut spare: Vec<Board> = Vec::new();
        while let Some(mut board) = open.pop() {
            if board.singles(self.geometry).is_err() {
                spare.push(board);
                continue;
            }
            let Some((cell, digit)) = choose(&board) else {
                self.found += 1;
                if self.first.is_none() {
                    self.first = Some(board.to_cells());
                }
                if self.found >= self.wanted {
                    return;
                }
                spare.push(board);
                continue;
            };
            if self.nodes_left == 0 {
                self.exhausted = true;
                return;
            }
            self.nodes_left -= 1;
            let mut guess = match spare.pop() {
                Some(mut reused) => {
                    reused.copy_from(&board);
                    reused
                }
                None => board.clone(),
            };
            if board.remove(cell, digit).is_ok() {
                open.push(board);
            }
            if guess.keep(cell, digit).is_ok() {
                open.push(guess);
            }
        }
    }
}

/// True if the puzzle without the digit at `cell` still has that digit there in every solution; `None` if the search
/// gave up.
pub(super) fn stays_unique(
    geometry: &Geometry,
    board: &mut Board,
    cells: &mut [u8],
    cell: usize,
    node_limit: u64,
) -> Option<bool> {
    let digit = std::mem::replace(&mut cells[cell], BLANK);
    let state = board.reset(geometry, cells);
    cells[cell] = digit;
    if state.is_err() || board.remove(cell, 1 << (digit - 1)).is_err() {
        return Some(true);
    }
    let mut search = Search::new(geometry, 1, node_limit);
    search.run(board.clone(), lowest);
    match (search.found, search.gave_up()) {
        (0, true) => None,
        (found, _) => Some(found == 0),
    }
}
