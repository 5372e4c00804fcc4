//! The difficulty of a sudoku for someone with a pencil.

use super::Sudoku;
use super::board::{Board, Contradiction, Digits, Geometry};
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
    while locked_candidates(geometry, board)? || naked_subsets(geometry, board)? || hidden_pairs(geometry, board)? {
        board.singles(geometry)?;
        if board.solved() {
            return Ok(Grade::Harder);
        }
    }
    Ok(Grade::Search)
}

fn union<'a>(board: &Board, cells: impl Iterator<Item = &'a u16>) -> Digits {
    cells.fold(0, |all, &cell| all | board.candidates(usize::from(cell)))
}

/// Digits that a box holds only within one line leave the rest of the line, and the other way round.
fn locked_candidates(geometry: &Geometry, board: &mut Board) -> Result<bool, Contradiction> {
    let mut changed = false;
    for square in geometry.boxes() {
        for line in geometry.rows_and_columns() {
            let shared = square.iter().filter(|cell| line.contains(cell));
            let shared_digits = union(board, shared);
            if shared_digits == 0 {
                continue;
            }
            for (one, other) in [(square, line), (line, square)] {
                let elsewhere = union(board, one.iter().filter(|cell| !other.contains(cell)));
                let locked = shared_digits & !elsewhere;
                if locked != 0 {
                    for cell in other.iter().filter(|cell| !one.contains(cell)) {
                        changed |= board.remove(usize::from(*cell), locked)?;
                    }
                }
            }
        }
    }
    Ok(changed)
}

/// Two cells with two candidates between them, or three with three, take these from the rest of the unit.
fn naked_subsets(geometry: &Geometry, board: &mut Board) -> Result<bool, Contradiction> {
    let mut changed = false;
    for unit in geometry.units() {
        let open: Vec<u16> = unit
            .iter()
            .copied()
            .filter(|&cell| (2..=3).contains(&board.candidates(usize::from(cell)).count_ones()))
            .collect();
        for (i, a) in open.iter().enumerate() {
            for (j, b) in open.iter().enumerate().skip(i + 1) {
                let pair = union(board, [a, b].into_iter());
                if pair.count_ones() == 2 {
                    changed |= take_from_rest(board, unit, &[*a, *b], pair)?;
                }
                for c in &open[j + 1..] {
                    let triple = union(board, [a, b, c].into_iter());
                    if triple.count_ones() == 3 {
                        changed |= take_from_rest(board, unit, &[*a, *b, *c], triple)?;
                    }
                }
            }
        }
    }
    Ok(changed)
}

fn take_from_rest(board: &mut Board, unit: &[u16], subset: &[u16], digits: Digits) -> Result<bool, Contradiction> {
    let mut changed = false;
    for cell in unit.iter().filter(|cell| !subset.contains(cell)) {
        changed |= board.remove(usize::from(*cell), digits)?;
    }
    Ok(changed)
}

/// Two digits whose only places in a unit are the same two cells push everything else out of these.
fn hidden_pairs(geometry: &Geometry, board: &mut Board) -> Result<bool, Contradiction> {
    let mut changed = false;
    for unit in geometry.units() {
        // Bit i of places[d]: the unit's cell i can hold digit d + 1.
        let places: Vec<u32> = (0..geometry.side)
            .map(|digit| {
                unit.iter()
                    .enumerate()
                    .fold(0, |all, (i, &cell)| all | (board.candidates(usize::from(cell)) >> digit & 1) << i)
            })
            .collect();
        for (first, &cells) in places.iter().enumerate() {
            if cells.count_ones() != 2 {
                continue;
            }
            for (second, _) in places.iter().enumerate().skip(first + 1).filter(|&(_, &other)| other == cells) {
                let pair = 1 << first | 1 << second;
                for (i, &cell) in unit.iter().enumerate() {
                    if cells >> i & 1 == 1 {
                        changed |= board.keep(usize::from(cell), pair)?;
                    }
                }
            }
        }
    }
    Ok(changed)
}
