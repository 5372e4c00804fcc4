//! Mazes of rooms as text: posts `o` (or `+`, or `#`), walls `---` and `|`, `S` and `G` within rooms, which are one or more characters wide and high.
//!
//! ```text
//! o---o---o
//! | S   G |
//! o---o---o
//! ```
//!
//! (With three characters a room, the format of the `mazefiles` collection by micromouseonline.) A maze of r x c rooms becomes a
//! block maze of (2r + 1) x (2c + 1) cells, posts and walls being wall cells. Competition mazes have a goal of several rooms:
//! the one with the shortest way from `S` is kept as the goal, the others become free. In drawings the path is `*`.

use super::super::kept::Kept;
use super::super::lines::Line;
use super::super::{Alphabet, Puzzle, Reading};
use super::places::mark_missing;
use super::{check_sides, is_outermost, mark_openings, maze_puzzle};
use crate::maze::{FREE, GOAL, PATH, START, WALL, distances};
use crate::{Cell, Grid, PuzzleError, Result};

/// Letters of starts and goals.
const ENDS: [(char, u8); 9] = [
    ('S', START),
    ('G', GOAL),
    ('E', GOAL),
    ('F', GOAL),
    ('A', START),
    ('B', GOAL),
    ('s', START),
    ('e', GOAL),
    ('g', GOAL),
];

/// Characters from one post to the next, in a line of posts: `o---o   o---o` has 4. `marks` are what may stand in gaps.
fn step(text: &str, marks: &str) -> Option<usize> {
    let text = text.trim_end();
    let post = text.chars().next().filter(|c| matches!(c, 'o' | '+' | '#'))?;
    if !text.is_ascii() || text.len() < 3 {
        return None;
    }
    let step = text[1..].find(post)? + 1;
    (step >= 2 && is_posts(text, step, marks)).then_some(step)
}

/// True for posts that are so far apart, with walls or nothing between.
fn is_posts(text: &str, step: usize, marks: &str) -> bool {
    let bytes = text.trim_end().as_bytes();
    bytes.len() > step
        && bytes.len() % step == 1
        && bytes.iter().enumerate().all(|(at, &byte)| match at % step {
            0 => byte == bytes[0],
            _ => matches!(byte, b'-' | b' ' | b'*') || marks.contains(char::from(byte)),
        })
}

/// True if a text begins as a drawing of rooms does.
pub(in super::super) fn looks_like(lines: &[Line<'_>]) -> bool {
    let mut content = lines.iter().filter(|line| !line.is_blank());
    let (Some(first), Some(second)) = (content.next(), content.next()) else {
        return false;
    };
    // A boxed sudoku begins the same way, but its second line has digits or dots.
    let second = second.text.trim_end();
    let second = second.strip_suffix('.').unwrap_or(second);
    // Of posts alone a drawing of cells may begin.
    let has_walls = !first.text.starts_with('#') || first.text.contains(['-', '*']);
    has_walls
        && step(first.text, "").is_some()
        && second.chars().all(|c| " |*H".contains(c) || ENDS.iter().any(|end| end.0 == c))
}

pub(in super::super) fn read(origin: &str, lines: &[Line<'_>], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    let mut blocks = lines.split(Line::is_blank).filter(|block| !block.is_empty());
    blocks.try_for_each(|block| kept.push(block_of_rooms(origin, block, reading)?))
}

/// The maze of one block.
pub(super) fn block_of_rooms(origin: &str, lines: &[Line<'_>], reading: &Reading) -> Result<Puzzle> {
    let (first_line, text) = lines.first().map_or((1, ""), |line| (line.number, line.text.trim_end()));
    let syntax =
        |line: usize, fault: String| PuzzleError::Syntax { origin: origin.to_owned(), line, fault: fault.into() };
    let marks = if reading.as_drawn { "SG" } else { "" };
    let Some(step) = step(text, marks) else {
        return Err(syntax(first_line, "a maze of rooms begins with a line like o---o---o".to_owned()));
    };
    let length = text.len();
    // Rooms may be several lines high: what is between two lines of posts.
    let high = lines[1..].iter().take_while(|line| !is_posts(line.text, step, marks)).count().max(1) + 1;
    if lines.len() % high != 1 {
        let height = lines.len();
        return Err(syntax(
            first_line + height - 1,
            format!("the maze that begins in line {first_line} has {height} lines, its last wall is missing"),
        ));
    }
    let (height, width) = (lines.len() / high * 2 + 1, length / step * 2 + 1);
    check_sides(origin, height, width)?;
    let mut grid = Grid::filled(height, width, FREE);
    for (at, line) in lines.iter().enumerate() {
        let row = at / high * 2 + usize::from(at % high != 0);
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
            let column = index / step * 2 + usize::from(!index.is_multiple_of(step));
            let cell = Cell::new(row, column);
            let is_gap = is_outermost((height, width), cell) && row % 2 != column % 2;
            match value(row, column, character).or_else(|| gap(character).filter(|_| is_gap)) {
                Some(FREE) => {}
                Some(value) => {
                    grid.set(cell, value);
                }
                None => {
                    return Err(line.unknown(
                        origin,
                        index,
                        "a maze of rooms has posts o or + at equal distances, walls --- and |, S and G within rooms",
                    ));
                }
            }
        }
    }
    // A post is there even where its line was cut short.
    for row in (0..height).step_by(2) {
        for column in (0..width).step_by(2) {
            grid.set(Cell::new(row, column), WALL);
        }
    }
    if !reading.as_drawn {
        mark_missing(&mut grid);
        mark_openings(&mut grid);
    }
    keep_nearest_goal(&mut grid);
    let post = text.chars().next().unwrap_or('o');
    maze_puzzle(format!("{origin}:{first_line}"), grid, Alphabet::micromouse(post))
}

/// The value of a character at a cell of the block maze.
fn value(row: usize, column: usize, character: char) -> Option<u8> {
    match (row % 2, column % 2, character) {
        (_, _, ' ') => Some(FREE),
        (0, 0, 'o' | '+' | '#') | (1, 0, '|') | (0, 1, '-') => Some(WALL),
        (1, _, '*') | (0, 1, '*') => Some(PATH),
        (1, 1, end) => ENDS.iter().find(|known| known.0 == end).map(|known| known.1),
        _ => None,
    }
}

/// The value of a character in a gap of the border: H or a point, or the letter of an end.
fn gap(character: char) -> Option<u8> {
    match character {
        'H' => Some(START),
        '.' => Some(FREE),
        _ => value(1, 1, character),
    }
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
pub(in super::super) fn print(grid: &Grid, alphabet: &Alphabet) -> String {
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
