//! Sudoku with boxes of 2x2 to 5x5 cells.

mod board;
mod generate;
mod grade;
mod guide;
mod hint;
mod rated;
mod solve;
mod symmetry;
mod technique;

pub use generate::SudokuGenerator;
pub use grade::{Grade, grade};
pub use guide::{FirstSolution, first_solution};
pub use hint::{Deduction, Hint, Technique, Unit, hint};
use rand::Rng;
pub use rated::{RatedSudokuGenerator, rating};
pub use solve::{Solutions, count_solutions, solve};

use crate::task::{require_size, require_tokens};
use crate::{
    AnswerCount, Cell, ExactAnswer, Grid, IGNORE_LABEL, PuzzleError, Result, Rule, Symmetry, Task, UNKNOWN, Verdict,
    Violation,
};

/// Value of a cell without a digit.
pub const BLANK: u8 = 0;
/// Token of a cell without a digit; digit `d` has token `d + 1`.
const BLANK_TOKEN: i32 = 1;

/// Guesses at 9x9 to count a puzzle's solutions. The hardest known takes some hundreds.
const COUNT_GUESSES: u64 = 2_000;
/// Guesses at 9x9 to answer one.
const ANSWER_GUESSES: u64 = 2_000_000;

/// Sudoku of side `n = box_height * box_width`. Cells hold 0 (blank) or 1 to n.
///
/// Tokens, as in the public data sets: `PAD` 0, blank 1, digit d is d + 1; so n + 2 tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sudoku {
    box_height: usize,
    box_width: usize,
}

impl Default for Sudoku {
    /// The 9x9 sudoku.
    fn default() -> Self {
        Self { box_height: 3, box_width: 3 }
    }
}

impl Sudoku {
    /// Boxes of `box_height x box_width` cells, each 2 to 5.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Task`] for other boxes.
    pub fn new(box_height: usize, box_width: usize) -> Result<Self> {
        if (2..=5).contains(&box_height) && (2..=5).contains(&box_width) {
            Ok(Self { box_height, box_width })
        } else {
            Err(PuzzleError::Task {
                message: format!("sudoku boxes of {box_height}x{box_width} are not supported, sides go from 2 to 5"),
            })
        }
    }

    /// The usual box shape for a side: the most square one, at least as wide as high (6: 2x3, 12: 3x4).
    #[must_use]
    pub fn with_side(side: usize) -> Option<Self> {
        (2..=5)
            .rev()
            .filter(|box_height| side.is_multiple_of(*box_height))
            .map(|box_height| (box_height, side / box_height))
            .find(|&(box_height, box_width)| box_height <= box_width && box_width <= 5)
            .map(|(box_height, box_width)| Self { box_height, box_width })
    }

    /// Rows of a box.
    #[must_use]
    pub fn box_height(&self) -> usize {
        self.box_height
    }

    /// Columns of a box.
    #[must_use]
    pub fn box_width(&self) -> usize {
        self.box_width
    }

    /// Rows, columns and digits of the grid.
    #[must_use]
    pub fn side(&self) -> usize {
        self.box_height * self.box_width
    }

    /// The guesses at this size that take about as long as so many at 9x9.
    fn guesses(&self, at_nine: u64) -> u64 {
        (at_nine * 81 * 9 / (self.side().pow(3) as u64)).max(20)
    }

    /// Number of the box that holds the cell, row by row.
    fn box_of(&self, cell: Cell) -> usize {
        cell.row / self.box_height * self.box_height + cell.column / self.box_width
    }

    /// The first pair of equal digits in a row, column or box. Blanks and values above n are passed over.
    fn conflict(&self, grid: &Grid) -> Option<Violation> {
        let side = self.side();
        // One slot for every unit and digit: the cell that holds it.
        let mut seen: [Vec<Option<Cell>>; 3] = std::array::from_fn(|_| vec![None; side * side]);
        for (cell, digit) in grid.iter() {
            if digit == BLANK || usize::from(digit) > side {
                continue;
            }
            let units = [
                (Rule::Row, cell.row, "row"),
                (Rule::Column, cell.column, "column"),
                (Rule::Box, self.box_of(cell), "box"),
            ];
            for ((rule, unit, name), seen) in units.into_iter().zip(&mut seen) {
                let slot = &mut seen[unit * side + usize::from(digit) - 1];
                if let Some(first) = slot.replace(cell) {
                    return Some(Violation::new(
                        rule,
                        [first, cell],
                        format!("two {digit}s in {name} {}: at {first} and at {cell}", unit + 1),
                    ));
                }
            }
        }
        None
    }
}

impl Task for Sudoku {
    fn name(&self) -> &'static str {
        "sudoku"
    }

    fn height(&self) -> usize {
        self.side()
    }

    fn width(&self) -> usize {
        self.side()
    }

    fn vocabulary(&self) -> Vec<String> {
        ["PAD".to_owned(), ".".to_owned()].into_iter().chain((1..=self.side()).map(|digit| digit.to_string())).collect()
    }

    fn encode(&self, grid: &Grid) -> Result<Vec<i32>> {
        require_size(self, "the puzzle", grid)?;
        let side = self.side();
        grid.iter()
            .map(|(cell, value)| {
                if usize::from(value) <= side {
                    Ok(i32::from(value) + BLANK_TOKEN)
                } else {
                    Err(PuzzleError::CellValue {
                        task: format!("sudoku {side}x{side}"),
                        cell,
                        value,
                        allowed: format!("1 to {side} and 0 for blank"),
                    })
                }
            })
            .collect()
    }

    fn decode(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid> {
        require_size(self, "the puzzle", puzzle)?;
        require_tokens(self, tokens)?;
        let mut answer = puzzle.clone();
        for (cell, &token) in answer.cells_mut().iter_mut().zip(tokens) {
            if token != IGNORE_LABEL {
                *cell = u8::try_from(token.saturating_sub(BLANK_TOKEN))
                    .ok()
                    .filter(|&digit| usize::from(digit) <= self.side())
                    .unwrap_or(UNKNOWN);
            }
        }
        Ok(answer)
    }

    fn answer(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid> {
        let mut answer = self.decode(puzzle, tokens)?;
        for (cell, &given) in answer.cells_mut().iter_mut().zip(puzzle.cells()) {
            if (1..=self.side()).contains(&usize::from(given)) {
                *cell = given;
            }
        }
        Ok(answer)
    }

    fn check(&self, puzzle: &Grid) -> Result<()> {
        self.encode(puzzle)?;
        match self.conflict(puzzle) {
            Some(violation) => Err(PuzzleError::invalid(violation, "one of these givens is wrong; a blank is 0 or .")),
            None => Ok(()),
        }
    }

    fn count_answers(&self, puzzle: &Grid) -> AnswerCount {
        match solve(*self, puzzle, self.guesses(COUNT_GUESSES)) {
            Ok(Solutions::None) => AnswerCount::None,
            Ok(Solutions::Unique(_)) => AnswerCount::One,
            Ok(Solutions::Several(_)) => AnswerCount::Several,
            Ok(Solutions::GaveUp(_)) | Err(_) => AnswerCount::Unknown,
        }
    }

    fn exact_answer(&self, puzzle: &Grid) -> Option<Grid> {
        first_solution(*self, puzzle, self.guesses(ANSWER_GUESSES), None).ok()?.solution
    }

    fn exact_answer_guided(&self, puzzle: &Grid, scores: &[f32]) -> Option<ExactAnswer> {
        let scores = Some(scores).filter(|scores| scores.len() == self.seq_len() * self.vocab_size());
        let found = first_solution(*self, puzzle, self.guesses(ANSWER_GUESSES), scores).ok()?;
        found.solution.map(|answer| ExactAnswer { answer, nodes: found.guesses })
    }

    fn verify(&self, puzzle: &Grid, answer: &Grid) -> Verdict {
        let expected = (self.side(), self.side());
        if puzzle.size() != expected || answer.size() != puzzle.size() {
            return Verdict::Wrong(Violation::size(expected, answer.size()));
        }
        let is_digit = |value: u8| value != BLANK && usize::from(value) <= self.side();
        for ((cell, given), &value) in puzzle.iter().zip(answer.cells()) {
            if given != BLANK && is_digit(value) && value != given {
                return Verdict::Wrong(Violation::new(
                    Rule::Given,
                    [cell],
                    format!("the given {given} at {cell} became {value}"),
                ));
            }
        }
        if let Some(violation) = self.conflict(answer) {
            return Verdict::Wrong(violation);
        }
        match answer.iter().find(|&(_, value)| !is_digit(value)) {
            Some((cell, _)) => Verdict::unsolved(format!("no digit at {cell}"), Some(cell)),
            None => Verdict::Verified { path: None },
        }
    }

    fn symmetry(&self, rng: &mut dyn Rng) -> Box<dyn Symmetry> {
        Box::new(symmetry::SudokuSymmetry::random(*self, rng))
    }
}
