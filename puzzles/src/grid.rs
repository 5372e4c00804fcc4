//! A rectangle of cells.

use std::fmt;

use crate::{PuzzleError, Result};

/// A cell whose content is not known: a token outside the vocabulary, or padding.
pub const UNKNOWN: u8 = u8::MAX;

/// A position in a [`Grid`], counted from 0; printed counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Row, from the top.
    pub row: usize,
    /// Column, from the left.
    pub column: usize,
}

impl Cell {
    /// The cell at `row` and `column`, both from 0.
    #[must_use]
    pub const fn new(row: usize, column: usize) -> Self {
        Self { row, column }
    }

    /// The cell at `index` of a row-major grid `width` columns wide.
    ///
    /// A width of 0 has no cells; it counts as 1.
    #[must_use]
    pub const fn from_index(index: usize, width: usize) -> Self {
        let width = if width == 0 { 1 } else { width };
        Self::new(index / width, index % width)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} column {}", self.row.saturating_add(1), self.column.saturating_add(1))
    }
}

/// `height x width` cells of `u8`, row by row. What a value means is the task's business.
///
/// A grid may be empty (0x0): an ARC answer can be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    height: usize,
    width: usize,
    cells: Vec<u8>,
}

impl Grid {
    /// A grid with every cell set to `value`.
    #[must_use]
    pub fn filled(height: usize, width: usize, value: u8) -> Self {
        Self { height, width, cells: vec![value; height * width] }
    }

    /// A grid of `cells`, row by row.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Cells`] if they are not `height * width`.
    pub fn from_cells(height: usize, width: usize, cells: Vec<u8>) -> Result<Self> {
        if height.checked_mul(width) == Some(cells.len()) {
            Ok(Self { height, width, cells })
        } else {
            Err(PuzzleError::Cells { cells: cells.len(), height, width })
        }
    }

    /// A grid of rows of equal length.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Cells`] if the rows differ in length.
    pub fn from_rows<R: AsRef<[u8]>>(rows: &[R]) -> Result<Self> {
        let width = rows.first().map_or(0, |row| row.as_ref().len());
        let cells: Vec<u8> = rows.iter().flat_map(AsRef::as_ref).copied().collect();
        if rows.iter().any(|row| row.as_ref().len() != width) {
            return Err(PuzzleError::Cells { cells: cells.len(), height: rows.len(), width });
        }
        Self::from_cells(rows.len(), width, cells)
    }

    /// Number of rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height and width.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// The cells, row by row.
    #[must_use]
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// The cells, row by row, to change.
    pub fn cells_mut(&mut self) -> &mut [u8] {
        &mut self.cells
    }

    /// The rows, from the top.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        // chunks of 0 would panic; an empty grid has no cells to chunk.
        self.cells.chunks_exact(self.width.max(1))
    }

    /// Every cell with its value, row by row.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Cell, u8)> {
        self.cells.iter().enumerate().map(|(index, &value)| (Cell::from_index(index, self.width), value))
    }

    fn index(&self, cell: Cell) -> Option<usize> {
        (cell.row < self.height && cell.column < self.width).then(|| cell.row * self.width + cell.column)
    }

    /// The value at `cell`, or `None` outside the grid.
    #[must_use]
    pub fn get(&self, cell: Cell) -> Option<u8> {
        self.index(cell).map(|index| self.cells[index])
    }

    /// Sets the value at `cell` and returns the old one, or `None` outside the grid.
    pub fn set(&mut self, cell: Cell, value: u8) -> Option<u8> {
        let index = self.index(cell)?;
        Some(std::mem::replace(&mut self.cells[index], value))
    }

    /// The first cell holding `value`.
    #[must_use]
    pub fn find(&self, value: u8) -> Option<Cell> {
        let index = self.cells.iter().position(|&cell| cell == value)?;
        Some(Cell::from_index(index, self.width))
    }

    /// The cells to the north, west, east and south that lie inside the grid.
    pub fn neighbours(&self, cell: Cell) -> impl Iterator<Item = Cell> + use<> {
        let (height, width) = self.size();
        let Cell { row, column } = cell;
        [
            (row.checked_sub(1), Some(column)),
            (Some(row), column.checked_sub(1)),
            (Some(row), column.checked_add(1)),
            (row.checked_add(1), Some(column)),
        ]
        .into_iter()
        .filter_map(|(row, column)| Some(Cell::new(row?, column?)))
        .filter(move |cell| cell.row < height && cell.column < width)
    }

    /// A grid of the same size with `f` applied to every value.
    #[must_use]
    pub fn map(&self, f: impl FnMut(u8) -> u8) -> Self {
        Self { height: self.height, width: self.width, cells: self.cells.iter().copied().map(f).collect() }
    }

    /// The first `height` rows and `width` columns (fewer where the grid ends).
    #[must_use]
    pub fn top_left(&self, height: usize, width: usize) -> Self {
        let (height, width) = (height.min(self.height), width.min(self.width));
        self.remap(height, width, |cell| cell)
    }

    /// Rows become columns.
    #[must_use]
    pub fn transpose(&self) -> Self {
        self.remap(self.width, self.height, |c| Cell::new(c.column, c.row))
    }

    /// Left becomes right.
    #[must_use]
    pub fn flip_horizontal(&self) -> Self {
        let width = self.width;
        self.remap(self.height, width, |c| Cell::new(c.row, width - 1 - c.column))
    }

    /// Top becomes bottom.
    #[must_use]
    pub fn flip_vertical(&self) -> Self {
        let height = self.height;
        self.remap(height, self.width, |c| Cell::new(height - 1 - c.row, c.column))
    }

    /// A quarter turn to the right.
    #[must_use]
    pub fn rotate_clockwise(&self) -> Self {
        self.transpose().flip_horizontal()
    }

    /// A quarter turn to the left.
    #[must_use]
    pub fn rotate_counterclockwise(&self) -> Self {
        self.transpose().flip_vertical()
    }

    /// Half a turn.
    #[must_use]
    pub fn rotate_half(&self) -> Self {
        self.flip_horizontal().flip_vertical()
    }

    /// A `height x width` grid whose cell takes its value from `source(cell)`, which must lie in `self`.
    pub(crate) fn remap(&self, height: usize, width: usize, source: impl Fn(Cell) -> Cell) -> Self {
        let cells = (0..height * width)
            .map(|index| {
                let from = source(Cell::from_index(index, width));
                self.cells[from.row * self.width + from.column]
            })
            .collect();
        Self { height, width, cells }
    }

    /// Rows of characters from a table: `symbol` of every value, rows ended by a newline.
    #[must_use]
    pub fn to_text(&self, symbol: impl Fn(u8) -> char) -> String {
        let mut text = String::with_capacity((self.width + 1) * self.height);
        for row in self.rows() {
            text.extend(row.iter().map(|&value| symbol(value)));
            text.push('\n');
        }
        text
    }
}
