//! Candidates of every cell, and what follows from them by singles alone.

use super::{BLANK, Sudoku};
use crate::{Cell, Grid};

/// A set of digits: bit `d - 1` for digit `d`.
pub(super) type Digits = u32;

/// Every digit of a side.
pub(super) fn all_digits(side: usize) -> Digits {
    (1 << side) - 1
}

/// The digits of a set, ascending.
pub(super) fn digits_of(digits: Digits) -> impl Iterator<Item = u8> {
    (1..=Digits::BITS as u8).filter(move |digit| digits >> (digit - 1) & 1 == 1)
}

/// Which cells constrain each other. Cells are numbered row by row.
#[derive(Debug)]
pub(super) struct Geometry {
    task: Sudoku,
    pub(super) side: usize,
    /// Rows, then columns, then boxes: `3 * side` units of `side` cells each, one after the other.
    units: Vec<u16>,
    /// The cells that share a unit with a cell, `peer_count` for each cell.
    peers: Vec<u16>,
    peer_count: usize,
}

impl Geometry {
    pub(super) fn new(task: Sudoku) -> Self {
        let side = task.side();
        let (box_height, box_width) = (task.box_height(), task.box_width());
        let index = |row: usize, column: usize| (row * side + column) as u16;
        let mut units = Vec::with_capacity(3 * side * side);
        for row in 0..side {
            units.extend((0..side).map(|column| index(row, column)));
        }
        for column in 0..side {
            units.extend((0..side).map(|row| index(row, column)));
        }
        for number in 0..side {
            let top = number / box_height * box_height;
            let left = number % box_height * box_width;
            units.extend((0..side).map(|i| index(top + i / box_width, left + i % box_width)));
        }
        let mut peers = Vec::new();
        for cell in 0..side * side {
            let here = Cell::from_index(cell, side);
            peers.extend(
                (0..side * side)
                    .filter(|&other| {
                        let there = Cell::from_index(other, side);
                        other != cell
                            && (there.row == here.row
                                || there.column == here.column
                                || task.box_of(there) == task.box_of(here))
                    })
                    .map(|other| other as u16),
            );
        }
        Self { task, side, units, peer_count: peers.len() / (side * side), peers }
    }

    pub(super) fn cell_count(&self) -> usize {
        self.side * self.side
    }

    /// The cells of every unit: rows, columns, boxes.
    pub(super) fn units(&self) -> impl Iterator<Item = &[u16]> {
        self.units.chunks_exact(self.side)
    }

    pub(super) fn unit(&self, number: usize) -> &[u16] {
        &self.units[number * self.side..][..self.side]
    }

    /// Numbers of the row, the column and the box of a cell.
    pub(super) fn units_of(&self, cell: usize) -> [usize; 3] {
        let here = Cell::from_index(cell, self.side);
        [here.row, self.side + here.column, 2 * self.side + self.task.box_of(here)]
    }

    /// Numbers of the boxes, as units.
    pub(super) fn boxes(&self) -> std::ops::Range<usize> {
        2 * self.side..3 * self.side
    }

    /// Numbers of the rows and the columns that cross a box, itself given as a unit.
    pub(super) fn lines_of(&self, square: usize) -> impl Iterator<Item = usize> + use<> {
        let corner = Cell::from_index(usize::from(self.unit(square)[0]), self.side);
        let left = self.side + corner.column;
        (corner.row..corner.row + self.task.box_height()).chain(left..left + self.task.box_width())
    }

    pub(super) fn peers(&self, cell: usize) -> &[u16] {
        &self.peers[cell * self.peer_count..][..self.peer_count]
    }
}

/// No solution is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction;

/// The candidates of every cell, kept closed under "a decided digit leaves its peers".
#[derive(Clone, Debug)]
pub(super) struct Board {
    candidates: Vec<Digits>,
    /// Cells with one candidate whose peers have been told.
    decided: usize,
    /// Cells with one candidate whose peers have not been told yet.
    queue: Vec<u16>,
}

impl Board {
    pub(super) fn empty(geometry: &Geometry) -> Self {
        Self {
            candidates: vec![all_digits(geometry.side); geometry.cell_count()],
            decided: 0,
            queue: Vec::with_capacity(geometry.cell_count()),
        }
    }

    /// The board of a grid of the right size; values above the side count as blank.
    pub(super) fn new(geometry: &Geometry, grid: &Grid) -> Result<Self, Contradiction> {
        let mut board = Self::empty(geometry);
        board.place_all(geometry, grid.cells())?;
        Ok(board)
    }

    /// Candidates that the digits of a grid leave to its other cells, and nothing that follows from that: a cell with one left
    /// is not decided, as it is after [`new`](Self::new).
    pub(super) fn pencil_marks(geometry: &Geometry, grid: &Grid) -> Result<Self, Contradiction> {
        let mut board = Self::empty(geometry);
        for (cell, &digit) in grid.cells().iter().enumerate() {
            if digit != BLANK && usize::from(digit) <= geometry.side {
                let digit = 1 << (digit - 1);
                board.keep(cell, digit)?;
                for &peer in geometry.peers(cell) {
                    board.remove(usize::from(peer), digit)?;
                }
            }
        }
        board.queue.clear();
        Ok(board)
    }

    /// Empties the board without a new allocation, then sets the given digits.
    pub(super) fn reset(&mut self, geometry: &Geometry, cells: &[u8]) -> Result<(), Contradiction> {
        self.candidates.fill(all_digits(geometry.side));
        self.decided = 0;
        self.queue.clear();
        self.place_all(geometry, cells)
    }

    fn place_all(&mut self, geometry: &Geometry, cells: &[u8]) -> Result<(), Contradiction> {
        for (cell, &digit) in cells.iter().enumerate() {
            if digit != BLANK && usize::from(digit) <= geometry.side {
                self.keep(cell, 1 << (digit - 1))?;
            }
        }
        self.spread(geometry)
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.candidates.copy_from_slice(&other.candidates);
        self.decided = other.decided;
        self.queue.clear();
        self.queue.extend_from_slice(&other.queue);
    }

    pub(super) fn candidates(&self, cell: usize) -> Digits {
        self.candidates[cell]
    }

    pub(super) fn solved(&self) -> bool {
        self.decided == self.candidates.len()
    }

    /// The digits of a solved board; cells still open are blank.
    pub(super) fn to_cells(&self) -> Vec<u8> {
        self.candidates
            .iter()
            .map(|&digits| match digits.count_ones() {
                1 => digits.trailing_zeros() as u8 + 1,
                _ => BLANK,
            })
            .collect()
    }

    /// Leaves a cell only the candidates in `digits`. Returns true if that changed anything.
    pub(super) fn keep(&mut self, cell: usize, digits: Digits) -> Result<bool, Contradiction> {
        let before = self.candidates[cell];
        let after = before & digits;
        if after == before {
            return Ok(false);
        }
        if after == 0 {
            return Err(Contradiction);
        }
        self.candidates[cell] = after;
        if after.is_power_of_two() {
            self.queue.push(cell as u16);
        }
        Ok(true)
    }

    /// Takes candidates from a cell. Returns true if that changed anything.
    pub(super) fn remove(&mut self, cell: usize, digits: Digits) -> Result<bool, Contradiction> {
        self.keep(cell, !digits)
    }

    /// Tells the peers of newly decided cells, until nothing changes (naked singles).
    pub(super) fn spread(&mut self, geometry: &Geometry) -> Result<(), Contradiction> {
        while let Some(cell) = self.queue.pop() {
            self.decided += 1;
            let digit = self.candidates[usize::from(cell)];
            for &peer in geometry.peers(usize::from(cell)) {
                self.remove(usize::from(peer), digit)?;
            }
        }
        Ok(())
    }

    /// Decides digits that have one place left in a unit (hidden singles). Returns true if there were any.
    fn hidden_singles(&mut self, geometry: &Geometry) -> Result<bool, Contradiction> {
        let mut found = false;
        for unit in geometry.units() {
            let (mut once, mut twice, mut decided) = (0, 0, 0);
            for &cell in unit {
                let digits = self.candidates[usize::from(cell)];
                twice |= once & digits;
                once |= digits;
                decided |= if digits.is_power_of_two() { digits } else { 0 };
            }
            if once != all_digits(geometry.side) {
                return Err(Contradiction);
            }
            let single = once & !twice & !decided;
            if single == 0 {
                continue;
            }
            for &cell in unit {
                let digits = self.candidates[usize::from(cell)] & single;
                if digits.count_ones() > 1 {
                    return Err(Contradiction);
                }
                if digits != 0 {
                    found |= self.keep(usize::from(cell), digits)?;
                }
            }
            self.spread(geometry)?;
        }
        Ok(found)
    }

    /// Naked and hidden singles until nothing changes.
    pub(super) fn singles(&mut self, geometry: &Geometry) -> Result<(), Contradiction> {
        self.spread(geometry)?;
        while !self.solved() && self.hidden_singles(geometry)? {}
        Ok(())
    }

    /// The open cell with the fewest candidates.
    pub(super) fn tightest(&self) -> Option<usize> {
        let mut best = None;
        let mut fewest = u32::MAX;
        for (cell, digits) in self.candidates.iter().enumerate() {
            let count = digits.count_ones();
            if count > 1 && count < fewest {
                fewest = count;
                best = Some(cell);
                if count == 2 {
                    break;
                }
            }
        }
        best
    }
}
