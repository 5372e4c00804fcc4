//! Sudokus with one solution, of a wanted grade and number of givens.

use std::ops::RangeInclusive;
use std::sync::Arc;

use rand::Rng;
use trm_intake::Fault;

use super::board::{Board, Digits, Geometry, all_digits};
use super::grade::{Grade, grade_board};
use super::solve::{Search, stays_unique};
use super::symmetry::SudokuSymmetry;
use super::{BLANK, Sudoku};
use crate::{Example, Generate, Grid, PuzzleError, Result, Task, random};

/// Puzzles tried before a request counts as impossible.
const ATTEMPTS: usize = 1_000;
/// Guesses spent on one uniqueness question of a digging step; a clue whose removal is not settled stays.
const DIG_NODES: u64 = 2_000;
/// Guesses spent on filling an empty grid before it is filled by a shuffled pattern instead.
const FILL_NODES: u64 = 2_000;

/// Makes sudokus with exactly one solution: fills a grid at random, then takes digits out.
#[derive(Clone, Debug)]
pub struct SudokuGenerator {
    task: Sudoku,
    grades: RangeInclusive<Grade>,
    givens: RangeInclusive<usize>,
    geometry: Arc<Geometry>,
}

impl SudokuGenerator {
    /// Puzzles with a number of givens and a grade in the ranges. The number wanted is drawn evenly from the range;
    /// where no further digit can be taken out, a puzzle with more givens that still lies in the range is accepted.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Generate`] for an empty range, or more givens than there are cells.
    pub fn new(task: Sudoku, grades: RangeInclusive<Grade>, givens: RangeInclusive<usize>) -> Result<Self> {
        let cells = task.seq_len();
        if grades.is_empty() || givens.is_empty() || *givens.start() > cells {
            let fault = format!(
                "no sudoku of {cells} cells has {} to {} givens and grade {} to {}",
                givens.start(),
                givens.end(),
                grades.start().as_str(),
                grades.end().as_str()
            );
            return Err(PuzzleError::Generate(fault.into()));
        }
        Ok(Self { task, grades, givens, geometry: Arc::new(Geometry::new(task)) })
    }

    /// Puzzles that singles solve, with 28 to 46 givens on 9x9 and the same share on other sizes.
    ///
    /// # Errors
    ///
    /// Those of [`SudokuGenerator::new`], which takes these ranges for every [`Sudoku`].
    pub fn easy(task: Sudoku) -> Result<Self> {
        let cells = task.seq_len();
        // The share rounds up on small grids, where one cell more or less decides.
        let givens = (cells * 28).div_ceil(81)..=(cells * 46).div_ceil(81);
        Self::new(task, Grade::Singles..=Grade::Singles, givens)
    }

    /// Puzzles that singles do not solve, with 22 to 30 givens on 9x9; up to half the cells on other sizes.
    ///
    /// # Errors
    ///
    /// Those of [`SudokuGenerator::new`], which takes these ranges for every [`Sudoku`].
    pub fn hard(task: Sudoku) -> Result<Self> {
        let givens = match task.side() {
            9 => 22..=30,
            _ => 1..=task.seq_len() / 2,
        };
        Self::new(task, Grade::Harder..=Grade::Search, givens)
    }

    /// The sudoku it makes.
    #[must_use]
    pub fn sudoku(&self) -> Sudoku {
        self.task
    }

    /// One try: a puzzle in the ranges, or `None`.
    fn attempt(&self, rng: &mut (impl Rng + ?Sized)) -> Option<(Vec<u8>, Vec<u8>)> {
        let geometry = self.geometry.as_ref();
        let solution = fill(self.task, geometry, rng);
        let cells = geometry.cell_count();
        let low = *self.givens.start();
        let high = (*self.givens.end()).min(cells);
        let wanted = random::between(rng, low, high);
        let order = random::permutation(rng, cells);

        let mut dig = Dig::new(geometry, &solution);
        if *self.grades.end() == Grade::Singles {
            dig.by_singles(&order, wanted, OnFailure::Skip);
        } else {
            let tried = dig.by_singles(&order, wanted, OnFailure::Stop);
            for &cell in &order[tried..] {
                if dig.givens > wanted {
                    dig.if_unique(cell);
                }
            }
        }
        if dig.givens > high {
            return None;
        }
        dig.board.reset(geometry, &dig.puzzle).ok()?;
        let grade = grade_board(geometry, &mut dig.board).ok()?;
        self.grades.contains(&grade).then_some((dig.puzzle, solution))
    }
}

impl Generate for SudokuGenerator {
    fn task(&self) -> &dyn Task {
        &self.task
    }

    fn generate(&self, rng: &mut dyn Rng) -> Result<Example> {
        let side = self.task.side();
        for _ in 0..ATTEMPTS {
            if let Some((puzzle, solution)) = self.attempt(rng) {
                return Ok(Example {
                    puzzle: Grid::from_cells(side, side, puzzle)?,
                    solution: Grid::from_cells(side, side, solution)?,
                });
            }
        }
        let fault = format!(
            "no {side}x{side} sudoku with {} to {} givens and grade {} to {} in {ATTEMPTS} tries",
            self.givens.start(),
            self.givens.end(),
            self.grades.start().as_str(),
            self.grades.end().as_str()
        );
        Err(PuzzleError::Generate(Fault::from(fault).advise("widen the range of givens or of grades")))
    }
}

/// A puzzle from which digits are being taken.
struct Dig<'a> {
    geometry: &'a Geometry,
    board: Board,
    puzzle: Vec<u8>,
    givens: usize,
    /// Digits given in every row, column and box, in the order of [`Geometry::units`].
    used: Vec<Digits>,
}

impl<'a> Dig<'a> {
    fn new(geometry: &'a Geometry, solution: &[u8]) -> Self {
        Self {
            geometry,
            board: Board::empty(geometry),
            puzzle: solution.to_vec(),
            givens: solution.len(),
            used: vec![all_digits(geometry.side); 3 * geometry.side],
        }
    }

    fn take_out(&mut self, cell: usize) {
        let digit = digit_set(std::mem::replace(&mut self.puzzle[cell], BLANK));
        for unit in self.geometry.units_of(cell) {
            self.used[unit] &= !digit;
        }
        self.givens -= 1;
    }

    fn put_back(&mut self, cell: usize, digit: u8) {
        self.puzzle[cell] = digit;
        for unit in self.geometry.units_of(cell) {
            self.used[unit] |= digit_set(digit);
        }
        self.givens += 1;
    }

    /// The digits that the givens alone leave to a blank cell.
    fn open_digits(&self, cell: usize) -> Digits {
        let used = |unit: usize| self.used[unit];
        let [row, column, square] = self.geometry.units_of(cell);
        all_digits(self.geometry.side) & !(used(row) | used(column) | used(square))
    }

    /// True if the givens alone force the digit into the blank cell: nothing else fits, or it fits nowhere else.
    fn is_forced(&self, cell: usize, digit: Digits) -> bool {
        self.open_digits(cell) == digit
            || self.geometry.units_of(cell).into_iter().any(|unit| {
                self.geometry.unit(unit).iter().all(|&other| {
                    let other = usize::from(other);
                    other == cell || self.puzzle[other] != BLANK || self.open_digits(other) & digit == 0
                })
            })
    }

    fn solved_by_singles(&mut self) -> bool {
        self.board.reset(self.geometry, &self.puzzle).is_ok()
            && self.board.singles(self.geometry).is_ok()
            && self.board.solved()
    }

    /// Takes out digits in the given order while singles still solve the puzzle (and so it stays unique), down to
    /// `wanted` givens. Returns how many cells of the order are settled.
    fn by_singles(&mut self, order: &[usize], wanted: usize, on_failure: OnFailure) -> usize {
        for (settled, &cell) in order.iter().enumerate() {
            if self.givens <= wanted {
                return settled;
            }
            let digit = self.puzzle[cell];
            self.take_out(cell);
            // A digit that the other givens force needs no second look: singles solved the puzzle with it.
            if !self.is_forced(cell, digit_set(digit)) && !self.solved_by_singles() {
                self.put_back(cell, digit);
                if on_failure == OnFailure::Stop {
                    return settled;
                }
            }
        }
        order.len()
    }

    /// Takes out one digit if the puzzle keeps its one solution.
    fn if_unique(&mut self, cell: usize) {
        if self.puzzle[cell] != BLANK
            && stays_unique(self.geometry, &mut self.board, &mut self.puzzle, cell, DIG_NODES) == Some(true)
        {
            self.take_out(cell);
        }
    }
}

/// A digit as a set.
fn digit_set(digit: u8) -> Digits {
    1 << (digit - 1)
}

/// The choice at a digit that singles need.
#[derive(Clone, Copy, PartialEq)]
enum OnFailure {
    /// Leave it and go on with the next.
    Skip,
    /// End there.
    Stop,
}

/// A random digit of a non-empty set.
fn random_digit(rng: &mut (impl Rng + ?Sized), digits: Digits) -> Digits {
    let mut rest = digits;
    for _ in 0..random::below(rng, digits.count_ones() as usize) {
        rest &= rest - 1;
    }
    rest & rest.wrapping_neg()
}

/// A random full grid.
pub(super) fn fill(task: Sudoku, geometry: &Geometry, rng: &mut (impl Rng + ?Sized)) -> Vec<u8> {
    if task.side() <= 16 {
        // Boxes on the diagonal share no row or column: any digits go there. The rest is searched.
        let mut start = vec![BLANK; geometry.cell_count()];
        for number in 0..task.box_height().min(task.box_width()) {
            let square = geometry.unit(2 * task.side() + number * task.box_height() + number);
            for (&cell, digit) in square.iter().zip(random::permutation(rng, task.side())) {
                start[usize::from(cell)] = digit as u8 + 1;
            }
        }
        let mut board = Board::empty(geometry);
        let mut search = Search::new(geometry, 1, FILL_NODES);
        if board.reset(geometry, &start).is_ok() {
            search.run(board, |board| {
                let cell = board.tightest()?;
                Some((cell, random_digit(rng, board.candidates(cell))))
            });
        }
        if let Some(cells) = search.first {
            return cells;
        }
    }
    // Rows that repeat the first one shifted make a valid grid of any size; symmetries hide the pattern.
    let side = task.side();
    let mut pattern = Grid::filled(side, side, BLANK);
    for (index, cell) in pattern.cells_mut().iter_mut().enumerate() {
        let (row, column) = (index / side, index % side);
        let shift = row % task.box_height() * task.box_width() + row / task.box_height();
        *cell = ((column + shift) % side) as u8 + 1;
    }
    SudokuSymmetry::random(task, rng).permuted(&pattern).cells().to_vec()
}
