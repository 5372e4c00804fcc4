//! Micromouse mazes as text: posts `o` (or `+`), walls `---` and `|`, `S` and `G` in the middle of cells.
//!
//! ```text
//! o---o---o
//! | S   G |
//! o---o---o
//! ```
//!
//! (The format of the `mazefiles` collection by micromouseonline.) A maze of r x c rooms becomes a block maze of
//! (2r + 1) x (2c + 1) cells, posts and walls being wall cells. Competition mazes have a goal of several rooms: the one
//! with the shortest way from `S` is kept as the goal, the others become free. In drawings the path is `*`.

use super::kept::Kept;
use super::text::{Line, check_sides, maze_puzzle};
use super::{Alphabet, Puzzle};
use crate::maze::{FREE, GOAL, PATH, START, WALL, distances};
use crate::{Cell, Grid, PuzzleError, Result};

/// True for a line like `o---o   o---o`: posts four characters apart, walls or nothing between.
fn is_post_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 5
        && bytes.len() % 4 == 1
        && bytes.iter().enumerate().all(|(i, &byte)| match i % 4 {
            0 => byte == bytes[0] && matches!(byte, b'o' | b'+'),
            _ => matches!(byte, b'-' | b' '),
        })
}

pub(super) fn looks_like(lines: &[Line]) -> bool {
    let mut content = lines.iter().filter(|line| !line.is_blank());
    let (Some(first), Some(second)) = (content.next(), content.next()) else {
        return false;
    };
    // A boxed sudoku begins the same way, but its second line has digits or dots.
    is_post_line(first.text.trim_end()) && second.text.chars().all(|c| " |SG*".contains(c))
}

pub(super) fn parse_lines(origin: &str, lines: &[Line], kept: &mut Kept<'_>) -> Result<()> {
    let mut blocks = lines.split(Line::is_blank).filter(|block| !block.is_empty());
    blocks.try_for_each(|block| kept.push(parse_block(origin, block)?))
}

fn parse_block(origin: &str, lines: &[Line]) -> Result<Puzzle> {
    let (first_line, text) = lines.first().map_or((1, ""), |line| (line.number, line.text.trim_end()));
    let syntax =
        |line: usize, fault: String| PuzzleError::Syntax { origin: origin.to_owned(), line, fault: fault.into() };
    if !is_post_line(text) {
        return Err(syntax(first_line, "a micromouse maze begins with a line like o---o---o".to_owned()));
    }
    let length = text.len();
    let (height, width) = (lines.len(), length / 4 * 2 + 1);
    if height % 2 == 0 {
        return Err(syntax(
            first_line + height - 1,
            format!("the maze that begins in line {first_line} has {height} lines, its last wall is missing"),
        ));
    }
    check_sides(origin, height, width)?;
    let mut grid = Grid::filled(height, width, FREE);
    for (row, line) in lines.iter().enumerate() {
        let text = line.text.trim_end();
        if text.chars().count() > length {
            return Err(PuzzleError::Ragged {
                origin: origin.to_owned(),
                line: line.number,
                found: text.chars().count(),
                first_line,
                expected: length,
            });
        }
        for (index, character) in text.char_indices() {
            if let Some((column, value)) = value(row, index, character) {
                if let Some(value) = value {
                    grid.set(Cell::new(row, column), value);
                }
            } else {
                return Err(line.unknown(
                    origin,
                    index,
                    "a micromouse maze has posts o or + every fourth character, walls --- and |, S and G in the middle of a cell",
                ));
            }
        }
    }
    // A post is there even where its line was cut short.
    for row in (0..height).step_by(2) {
        for column in (0..width).step_by(2) {
            grid.set(Cell::new(row, column), WALL);
        }
    }
    keep_nearest_goal(&mut grid);
    let post = text.chars().next().unwrap_or('o');
    maze_puzzle(format!("{origin}:{first_line}"), grid, Alphabet::micromouse(post))
}

/// The block column of a character and the value it gives; no value for the sides of a room or a wall.
fn value(row: usize, index: usize, character: char) -> Option<(usize, Option<u8>)> {
    let column = index / 4 * 2 + usize::from(!index.is_multiple_of(4));
    let value = match (row % 2, index % 4, character) {
        (0, 0, 'o' | '+') | (1, 0, '|') | (0, 2, '-') => Some(WALL),
        (0, 1 | 3, '-' | ' ') | (1, 1 | 3, ' ') => None,
        (1, 0, ' ') | (_, 2, ' ') => Some(FREE),
        (1, 0, '*') | (_, 2, '*') => Some(PATH),
        (1, 2, 'S') => Some(START),
        (1, 2, 'G') => Some(GOAL),
        _ => return None,
    };
    Some((column, value))
}

fn keep_nearest_goal(grid: &mut Grid) {
    let goals: Vec<Cell> = grid.iter().filter(|&(_, value)| value == GOAL).map(|(cell, _)| cell).collect();
    let Some(start) = grid.find(START).filter(|_| goals.len() > 1) else {
        return;
    };
    let distance = distances(grid, start);
    let nearest =
        goals.iter().copied().min_by_key(|goal| distance[goal.row * grid.width() + goal.column].unwrap_or(u32::MAX));
    for goal in goals {
        if Some(goal) != nearest {
            grid.set(goal, FREE);
        }
    }
}

/// Draws a block maze with posts and walls; the path is `*`.
pub(super) fn print(grid: &Grid, alphabet: &Alphabet) -> String {
    let mut text = String::new();
    for (row, cells) in grid.rows().enumerate() {
        for (column, &cell) in cells.iter().enumerate() {
            let symbol = match cell {
                WALL if row % 2 == 0 => '-',
                WALL => '|',
                PATH => '*',
                other => alphabet.symbol(other),
            };
            match (row % 2, column % 2) {
                (0, 0) => text.push(alphabet.post()),
                (0, 1) if cell == WALL => text.push_str("---"),
                (_, 1) => text.extend([' ', symbol, ' ']),
                _ => text.push(symbol),
            }
        }
        text.push('\n');
    }
    text
}
