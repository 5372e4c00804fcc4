//! Mazes in texts: blocks of characters, matrices of 0 and 1, rooms between walls, and the files of micromouse contests.

mod answers;
mod bare;
mod blocks;
mod census;
mod contest;
mod header;
mod hex;
mod layout;
mod letters;
pub(super) mod places;
mod plain;
mod rooms;

pub(super) use answers::{looks_like as looks_like_answers, read as read_answers};
pub(super) use bare::{looks_like as looks_like_bare, read as read_bare};
pub(super) use blocks::{in_line, is_described, looks_like, looks_like_matrix, read};
pub(super) use contest::{is_maz, looks_like_numbers, map_width, maz, numbers};
pub(super) use hex::{looks_like as looks_like_hex, read as read_hex};
pub(super) use letters::Letters;
pub(super) use plain::plain;
pub(super) use rooms::{looks_like as looks_like_rooms, print, read as read_rooms};

use super::{Alphabet, Puzzle, PuzzleKind};
use crate::maze::{FREE, GOAL, MAX_SIDE, PATH, START};
use crate::{Cell, Grid, Maze, PuzzleError, Result};

/// Refuses mazes of a size that is not supported.
pub(super) fn check_sides(source: &str, height: usize, width: usize) -> Result<()> {
    let longest = height.max(width);
    if longest <= MAX_SIDE {
        return Ok(());
    }
    Err(PuzzleError::TooLarge {
        origin: source.to_owned(),
        unit: "cells a side",
        found: longest as u64,
        limit: MAX_SIDE as u64,
    })
}

/// A maze puzzle of a grid; an error for sizes that are not supported.
pub(super) fn maze_puzzle(source: String, grid: Grid, alphabet: Alphabet) -> Result<Puzzle> {
    check_sides(&source, grid.height(), grid.width())?;
    Ok(Puzzle {
        kind: PuzzleKind::Maze(Maze::new(grid.height(), grid.width())?),
        source,
        id: None,
        grid,
        alphabet,
        solution: None,
        rating: None,
        note: None,
    })
}

/// Marks start and goal of a maze that has neither, where its border has exactly two free cells.
pub(super) fn mark_openings(grid: &mut Grid) -> bool {
    if grid.find(START).is_some() || grid.find(GOAL).is_some() {
        return false;
    }
    let [start, goal] = border_gaps(grid).take(3).collect::<Vec<_>>()[..] else { return false };
    // Two gaps beside each other are one, of two cells.
    if start.row.abs_diff(goal.row) + start.column.abs_diff(goal.column) < 2 {
        return false;
    }
    grid.set(start, START);
    grid.set(goal, GOAL);
    true
}

/// Marks the ends of a way that is drawn from one gap in the border to another.
fn mark_way(grid: &mut Grid) {
    let is_end = |&(cell, value): &(Cell, u8)| value == PATH && is_outermost(grid.size(), cell);
    let ends = grid.iter().filter(is_end).map(|(cell, _)| cell).take(3).collect::<Vec<_>>();
    if let [start, goal] = ends[..]
        && border_gaps(grid).next().is_none()
    {
        grid.set(start, START);
        grid.set(goal, GOAL);
    }
}

/// The free cells of the border.
fn border_gaps(grid: &Grid) -> impl Iterator<Item = Cell> {
    let is_gap = |&(cell, value): &(Cell, u8)| value == FREE && is_outermost(grid.size(), cell);
    grid.iter().filter(is_gap).map(|(cell, _)| cell)
}

/// True for a cell of the border.
fn is_outermost((height, width): (usize, usize), cell: Cell) -> bool {
    cell.row == 0 || cell.column == 0 || cell.row + 1 == height || cell.column + 1 == width
}

/// Marks the first and the last cell as start and goal, if both are free.
pub(super) fn mark_corners(grid: &mut Grid) -> bool {
    let (height, width) = grid.size();
    let corners = [Cell::new(0, 0), Cell::new(height - 1, width - 1)];
    if corners[0] == corners[1] || corners.iter().any(|&cell| grid.get(cell) != Some(FREE)) {
        return false;
    }
    grid.set(corners[0], START);
    grid.set(corners[1], GOAL);
    true
}
