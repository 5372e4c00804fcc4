//! The changes that keep a sudoku a sudoku.

use rand::Rng;

use super::{BLANK, Sudoku};
use crate::task::require_size;
use crate::{Cell, Grid, Result, Symmetry, random};

/// Transposed (square boxes only), bands and the rows within each exchanged, stacks and their columns likewise,
/// digits renamed.
#[derive(Debug)]
pub(super) struct SudokuSymmetry {
    task: Sudoku,
    transpose: bool,
    /// Row `r` of the result is row `rows[r]` of the (transposed) grid.
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// New name of every digit; blank stays.
    digits: Vec<usize>,
}

/// A random order of `groups * size` lines that keeps groups together.
fn grouped_permutation(rng: &mut (impl Rng + ?Sized), groups: usize, size: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(groups * size);
    for group in random::permutation(rng, groups) {
        order.extend(random::permutation(rng, size).iter().map(|line| group * size + line));
    }
    order
}

impl SudokuSymmetry {
    pub(super) fn random(task: Sudoku, rng: &mut (impl Rng + ?Sized)) -> Self {
        let (box_height, box_width) = (task.box_height(), task.box_width());
        let transpose = box_height == box_width && random::below(rng, 2) == 1;
        let mut digits = vec![usize::from(BLANK)];
        digits.extend(random::permutation(rng, task.side()).iter().map(|d| d + 1));
        Self {
            task,
            transpose,
            rows: grouped_permutation(rng, box_width, box_height),
            columns: grouped_permutation(rng, box_height, box_width),
            digits,
        }
    }

    /// [`Symmetry::apply`] to a grid that is known to have the task's size.
    pub(super) fn permuted(&self, grid: &Grid) -> Grid {
        let permuted = |grid: &Grid| permute(grid, &self.rows, &self.columns, &self.digits);
        if self.transpose { permuted(&grid.transpose()) } else { permuted(grid) }
    }
}

fn permute(grid: &Grid, rows: &[usize], columns: &[usize], digits: &[usize]) -> Grid {
    grid.remap(grid.height(), grid.width(), |cell| Cell::new(rows[cell.row], columns[cell.column]))
        .map(|value| digits.get(usize::from(value)).map_or(value, |&d| d as u8))
}

impl Symmetry for SudokuSymmetry {
    fn apply(&self, grid: &Grid) -> Result<Grid> {
        require_size(&self.task, "the grid", grid)?;
        Ok(self.permuted(grid))
    }

    fn invert(&self, grid: &Grid) -> Result<Grid> {
        require_size(&self.task, "the grid", grid)?;
        let back =
            permute(grid, &random::invert(&self.rows), &random::invert(&self.columns), &random::invert(&self.digits));
        Ok(if self.transpose { back.transpose() } else { back })
    }
}
