//! Sudokus by how much search they take, up to the hardest that are known.
//!
//! Digits taken out at random rarely make a hard puzzle. Hard ones are climbed to: givens are dropped, those that
//! uniqueness needs put back, all that it does not need taken out, and the puzzle kept unless it became easier.

use std::ops::RangeInclusive;

use rand::Rng;
use trm_intake::Fault;

use super::board::{Board, Geometry};
use super::generate::fill;
use super::solve::{Search, lowest, stays_unique};
use super::{BLANK, Sudoku};
use crate::task::require_size;
use crate::{Example, Generate, Grid, PuzzleError, Result, Task, random};

/// Guesses after which a puzzle has no rating.
const MOST_GUESSES: u64 = 20_000;
/// Puzzles climbed from before a request counts as impossible.
const ATTEMPTS: usize = 20;
/// Steps of a climb.
const STEPS: usize = 1_000;
/// Most givens that a step drops.
const DROPPED: usize = 4;

/// The guesses of an exhaustive search that propagates singles: 0 for a puzzle that singles solve, 20 on average for the
/// hard puzzles of newspapers' last pages, some hundreds for the hardest known. `None` for a puzzle that has not exactly one
/// solution, or takes more than 20,000.
///
/// # Errors
///
/// [`PuzzleError::Size`] for a grid that is not of the task's size.
pub fn rating(task: Sudoku, puzzle: &Grid) -> Result<Option<u64>> {
    require_size(&task, "the puzzle", puzzle)?;
    let geometry = Geometry::new(task);
    Ok(rate(&geometry, &mut Board::empty(&geometry), puzzle.cells()))
}

/// As [`rating`].
fn rate(geometry: &Geometry, board: &mut Board, cells: &[u8]) -> Option<u64> {
    board.reset(geometry, cells).ok()?;
    let mut search = Search::new(geometry, 2, MOST_GUESSES);
    search.run(board.clone(), lowest);
    (search.found == 1 && !search.gave_up()).then(|| search.guesses())
}

/// Makes sudokus with exactly one solution, of which no given can be spared, with a rating in a range.
#[derive(Debug)]
pub struct RatedSudokuGenerator {
    task: Sudoku,
    ratings: RangeInclusive<u64>,
    geometry: Geometry,
}

impl RatedSudokuGenerator {
    /// Puzzles with a [`rating`] in the range.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Generate`] for an empty range.
    pub fn new(task: Sudoku, ratings: RangeInclusive<u64>) -> Result<Self> {
        if ratings.is_empty() {
            let fault = format!("no sudoku has a rating of {} to {}", ratings.start(), ratings.end());
            return Err(PuzzleError::Generate(fault.into()));
        }
        Ok(Self { task, ratings, geometry: Geometry::new(task) })
    }

    /// One climb: a puzzle in the range with its solution, or `None`.
    fn climb(&self, rng: &mut (impl Rng + ?Sized)) -> Option<(Vec<u8>, Vec<u8>)> {
        let geometry = &self.geometry;
        let board = &mut Board::empty(geometry);
        let solution = fill(self.task, geometry, rng);
        let mut puzzle = solution.clone();
        self.minimise(board, &mut puzzle, rng);
        let mut reached = rate(geometry, board, &puzzle)?;
        for _ in 0..STEPS {
            if reached >= *self.ratings.start() {
                break;
            }
            let mut next = puzzle.clone();
            let givens = (0..next.len()).filter(|&cell| next[cell] != BLANK).collect::<Vec<_>>();
            for _ in 0..=random::below(rng, DROPPED) {
                next[givens[random::below(rng, givens.len())]] = BLANK;
            }
            // No rating: several solutions.
            while rate(geometry, board, &next).is_none() {
                let cell = random::below(rng, next.len());
                next[cell] = solution[cell];
            }
            self.minimise(board, &mut next, rng);
            if let Some(found) = rate(geometry, board, &next)
                && (reached..=*self.ratings.end()).contains(&found)
            {
                (puzzle, reached) = (next, found);
            }
        }
        self.ratings.contains(&reached).then_some((puzzle, solution))
    }

    /// Takes out every given that uniqueness does not need, in random order.
    fn minimise(&self, board: &mut Board, puzzle: &mut [u8], rng: &mut (impl Rng + ?Sized)) {
        for cell in random::permutation(rng, puzzle.len()) {
            if puzzle[cell] != BLANK && stays_unique(&self.geometry, board, puzzle, cell, MOST_GUESSES) == Some(true) {
                puzzle[cell] = BLANK;
            }
        }
    }
}

impl Generate for RatedSudokuGenerator {
    fn task(&self) -> &dyn Task {
        &self.task
    }

    fn generate(&self, rng: &mut dyn Rng) -> Result<Example> {
        let side = self.task.side();
        for _ in 0..ATTEMPTS {
            if let Some((puzzle, solution)) = self.climb(rng) {
                return Ok(Example {
                    puzzle: Grid::from_cells(side, side, puzzle)?,
                    solution: Grid::from_cells(side, side, solution)?,
                });
            }
        }
        let (low, high) = (self.ratings.start(), self.ratings.end());
        let fault = format!("no {side}x{side} sudoku with a rating of {low} to {high} in {ATTEMPTS} climbs");
        Err(PuzzleError::Generate(Fault::from(fault).advise("ask for a wider range, or a lower one on a small grid")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Solutions, solve};
    use super::*;
    use crate::seeded;

    #[test]
    fn puzzles_have_the_rating_asked_for_one_solution_and_no_given_too_many() {
        let task = Sudoku::new(3, 3).expect("a shape");
        let mut rng = seeded(3);
        for ratings in [0..=2, 8..=20, 40..=u64::MAX] {
            let generator = RatedSudokuGenerator::new(task, ratings.clone()).expect("a range");
            for _ in 0..3 {
                let Example { puzzle, solution } = generator.generate(&mut rng).expect("a puzzle");
                let found = rating(task, &puzzle).expect("a grid").expect("one solution");
                assert!(ratings.contains(&found), "{found} is not in {ratings:?}");
                assert_eq!(solve(task, &puzzle, 100_000).expect("a grid"), Solutions::Unique(solution));
                for cell in 0..81 {
                    let mut fewer = puzzle.clone();
                    if std::mem::replace(&mut fewer.cells_mut()[cell], BLANK) != BLANK {
                        assert_eq!(rating(task, &fewer).expect("a grid"), None, "the given at {cell} is not needed");
                    }
                }
            }
        }
    }

    #[test]
    fn ratings_nobody_reaches_are_an_error_that_says_so() {
        let task = Sudoku::new(2, 2).expect("a shape");
        let generator = RatedSudokuGenerator::new(task, 50..=60).expect("a range");
        let error = generator.generate(&mut seeded(1)).expect_err("accepted").to_string();
        assert!(error.contains("no 4x4 sudoku with a rating of 50 to 60 in 20 climbs"), "{error}");
        let (low, high) = (3, 2);
        let error = RatedSudokuGenerator::new(task, low..=high).expect_err("accepted").to_string();
        assert!(error.contains("no sudoku has a rating of 3 to 2"), "{error}");
    }
}
