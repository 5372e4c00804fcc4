//! Puzzles as they are found in an input, bounded in what keeping them takes.

use trm_intake::{Budget, Limits};

use super::{Found, Puzzle, Reading};
use crate::maze::{FREE as FREE_CELL, PATH, WALL};
use crate::sudoku::BLANK;
use crate::{Grid, PuzzleError, Result};

/// Bytes that puzzles may take whatever their text, and for each byte of it. A 9x9 sudoku in a line takes four times its
/// text; of smaller ones, which take more, a quarter of a million are kept.
const FREE: u64 = 64 << 20;
const TIMES: u64 = 4;

/// Bytes of a kept puzzle beside its cells and names.
pub(super) const OVERHEAD: u64 = 256;

/// Puzzles, and what is left for more of them.
pub(super) struct Kept<'o> {
    origin: &'o str,
    budget: Budget,
    puzzles: Vec<Puzzle>,
    failures: Vec<PuzzleError>,
    answered: bool,
}

/// The most lines that are set aside.
const MOST_FAILURES: usize = 10_000;

impl<'o> Kept<'o> {
    /// An empty collection for an input of `text` bytes.
    pub(super) fn new(origin: &'o str, text: usize) -> Self {
        let bytes = FREE + TIMES * text as u64;
        let limits = Limits { bytes, items: u64::MAX, depth: 0, time: None };
        Self { origin, budget: Budget::new(limits), puzzles: Vec::new(), failures: Vec::new(), answered: false }
    }

    /// Keeps a puzzle; an error when all of them take too much.
    pub(super) fn push(&mut self, puzzle: Puzzle) -> Result<()> {
        let cells = |grid: &Grid| grid.cells().len() as u64;
        let names = puzzle.source.len() + puzzle.id.as_ref().map_or(0, String::len);
        let taken = OVERHEAD + cells(&puzzle.grid) + puzzle.solution.as_ref().map_or(0, cells) + names as u64;
        self.budget.take_bytes(taken).map_err(|exceeded| PuzzleError::TooLarge {
            origin: self.origin.to_owned(),
            unit: "bytes for the puzzles in it",
            found: exceeded.found,
            limit: exceeded.limit,
        })?;
        self.puzzles.push(puzzle);
        Ok(())
    }

    /// Takes a maze with a way through it as the answer of the maze before it; false if it is none.
    pub(super) fn way(&mut self, drawn: &Puzzle) -> bool {
        let Some(last) = self.puzzles.last_mut() else { return false };
        if last.kind != drawn.kind || last.solution.is_some() || !drawn.grid.cells().contains(&PATH) {
            return false;
        }
        let mut answer = last.grid.clone();
        for (cell, &value) in answer.cells_mut().iter_mut().zip(drawn.grid.cells()) {
            match (*cell, value) {
                (FREE_CELL, PATH) => *cell = PATH,
                (WALL, WALL) => {}
                (WALL | PATH, _) | (_, WALL) => return false,
                _ => {}
            }
        }
        let is_answer = last.task().verify(&last.grid, &answer).is_verified();
        if is_answer {
            last.solution = Some(answer);
        }
        is_answer
    }

    /// Takes a full grid as the answer of the puzzle before it; false if it is none.
    pub(super) fn answer(&mut self, full: &Puzzle) -> bool {
        let Some(last) = self.puzzles.last_mut() else { return false };
        let agrees = |(&given, &value): (&u8, &u8)| given == value || given == BLANK;
        let is_answer = last.kind == full.kind
            && last.solution.is_none()
            && last.grid.cells().contains(&BLANK)
            && !full.grid.cells().contains(&BLANK)
            && last.grid.cells().iter().zip(full.grid.cells()).all(agrees);
        if is_answer {
            last.solution = Some(full.grid.clone());
            self.answered = true;
        }
        is_answer
    }

    /// Gives up the puzzle that was kept last.
    pub(super) fn take_back(&mut self) {
        self.puzzles.pop();
    }

    /// Puzzles so far: the place of the next one.
    pub(super) fn len(&self) -> usize {
        self.puzzles.len()
    }

    /// Gives up the puzzles at these places.
    pub(super) fn take_back_all(&mut self, places: &[usize]) {
        let mut place = 0..;
        self.puzzles.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
    }

    /// True if an answer stood behind its puzzle.
    pub(super) fn answered(&self) -> bool {
        self.answered
    }

    /// Sets an error aside where reading is to go on; returns it otherwise.
    pub(super) fn fail(&mut self, reading: &Reading, error: PuzzleError) -> Result<()> {
        if !reading.keep_going || self.failures.len() == MOST_FAILURES {
            return Err(error);
        }
        self.failures.push(error);
        Ok(())
    }

    /// The puzzles; an error when there are none.
    pub(super) fn some(self) -> Result<Vec<Puzzle>> {
        self.found().map(|found| found.puzzles)
    }

    /// The puzzles, and what was set aside; an error when there are no puzzles.
    pub(super) fn found(mut self) -> Result<Found> {
        if self.puzzles.is_empty() {
            let first = if self.failures.is_empty() { None } else { Some(self.failures.remove(0)) };
            return Err(first.unwrap_or_else(|| PuzzleError::Empty { origin: self.origin.to_owned() }));
        }
        Ok(Found { puzzles: self.puzzles, failures: self.failures })
    }

    /// The puzzles, and what was set aside, if any.
    pub(super) fn whatever(self) -> Found {
        Found { puzzles: self.puzzles, failures: self.failures }
    }

    /// The puzzles, if any.
    pub(super) fn all(self) -> Vec<Puzzle> {
        self.puzzles
    }
}
