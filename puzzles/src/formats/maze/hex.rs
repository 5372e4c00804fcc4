//! Mazes of hexadecimal digits: a digit a room, whose bits are its closed walls, 1 north, 2 east, 4 south, 8 west; behind a blank line
//! the entry and the exit, `column,row` from 0 at the upper left, and maybe the way in letters N, E, S and W.
//!
//! (The format of the exercise `A-Maze-ing` of the 42 schools.)

use trm_intake::Fault;

use super::super::lines::Line;
use super::super::{Alphabet, Puzzle};
use super::{check_sides, maze_puzzle};
use crate::maze::{FREE, GOAL, PATH, START, WALL};
use crate::{Cell, Grid, PuzzleError, Result};

/// The rows of rooms, and what stands behind them.
fn parts<'l, 'a>(lines: &'l [Line<'a>]) -> (&'l [Line<'a>], &'l [Line<'a>]) {
    let comments = lines.iter().take_while(|line| line.is_blank() || line.text.starts_with('#')).count();
    let lines = &lines[comments..];
    let rows = lines.iter().take_while(|line| !line.is_blank()).count();
    lines.split_at(rows)
}

/// Two numbers: `0,3`, `Entry: ['0', '2']`.
fn place(text: &str) -> Option<[usize; 2]> {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let numbers = numbers.take(3).map(|word| word.parse().ok()).collect::<Option<Vec<_>>>()?;
    text.contains(',').then_some(numbers.try_into().ok()).flatten()
}

/// True for rows of hexadecimal digits with two places behind them.
pub(in super::super) fn looks_like(lines: &[Line<'_>]) -> bool {
    let (rows, behind) = parts(lines);
    let width = rows.first().map_or(0, |row| row.text.trim().len());
    let is_row =
        |row: &Line<'_>| row.text.trim().len() == width && row.text.trim().bytes().all(|byte| byte.is_ascii_hexdigit());
    width > 1
        && rows.len() > 1
        && rows.iter().all(is_row)
        && behind.iter().filter_map(|line| place(line.text)).count() == 2
}

/// The maze.
pub(in super::super) fn read(origin: &str, lines: &[Line<'_>]) -> Result<Puzzle> {
    let (rows, behind) = parts(lines);
    let (height, width) = (rows.len(), rows.first().map_or(0, |row| row.text.trim().len()));
    check_sides(origin, 2 * height + 1, 2 * width + 1)?;
    let mut grid = Grid::filled(2 * height + 1, 2 * width + 1, FREE);
    for row in (0..=2 * height).step_by(2) {
        for column in (0..=2 * width).step_by(2) {
            grid.set(Cell::new(row, column), WALL);
        }
    }
    for (y, row) in rows.iter().enumerate() {
        for (x, digit) in row.text.trim().chars().filter_map(|c| c.to_digit(16)).enumerate() {
            let (row, column) = (2 * y + 1, 2 * x + 1);
            let beside = [(row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1)];
            for (bit, (row, column)) in [1, 2, 4, 8].into_iter().zip(beside) {
                if digit & bit != 0 {
                    grid.set(Cell::new(row, column), WALL);
                }
            }
        }
    }
    let mut ends = behind.iter().filter_map(|line| Some((line.number, place(line.text)?)));
    let mut end = |value: u8, name: &str| -> Result<Cell> {
        let (line, [x, y]) = ends.next().ok_or_else(|| PuzzleError::Empty { origin: origin.to_owned() })?;
        let cell = (x < width && y < height).then(|| Cell::new(2 * y + 1, 2 * x + 1));
        let Some(cell) = cell.filter(|&cell| grid.get(cell) == Some(FREE)) else {
            let fault = Fault::from(format!(
                "the {name} {x},{y} is outside of {width}x{height} rooms, or where the other end is"
            ));
            return Err(PuzzleError::Syntax { origin: origin.to_owned(), line, fault });
        };
        grid.set(cell, value);
        Ok(cell)
    };
    let (start, goal) = (end(START, "entry")?, end(GOAL, "exit")?);
    let way = behind
        .iter()
        .map(|line| line.text.trim())
        .rfind(|text| text.len() > 1 && text.bytes().all(|byte| b"NESW".contains(&byte)));
    let solution = way.and_then(|way| walked(&grid, start, goal, way));
    let mut puzzle = maze_puzzle(origin.to_owned(), grid, Alphabet::micromouse('+'))?;
    puzzle.solution = solution;
    Ok(puzzle)
}

/// The maze with a way marked; `None` if it does not lead from one end to the other.
fn walked(grid: &Grid, start: Cell, goal: Cell, way: &str) -> Option<Grid> {
    let mut marked = grid.clone();
    let mut at = start;
    for step in way.bytes() {
        for _ in 0..2 {
            at = match step {
                b'N' => Cell::new(at.row.checked_sub(1)?, at.column),
                b'E' => Cell::new(at.row, at.column + 1),
                b'S' => Cell::new(at.row + 1, at.column),
                _ => Cell::new(at.row, at.column.checked_sub(1)?),
            };
            match marked.get(at)? {
                WALL => return None,
                FREE => drop(marked.set(at, PATH)),
                _ => {}
            }
        }
    }
    (at == goal).then_some(marked)
}
