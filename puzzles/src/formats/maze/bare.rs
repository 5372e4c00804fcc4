//! Mazes of rooms without posts: walls `-` or `_` between rows of rooms and `|` within them, or `_` as the floor of a room.
//!
//! ```text
//!  - -        ___
//! |S  |      |  _|
//!    -       |_  |
//! |  G|
//!  - -
//! ```
//!
//! Rooms and walls take every other column. On the left, lines of walls and lines of rooms alternate, an empty one having no
//! walls; on the right, a room's character is its floor and the one behind it its wall.

use trm_intake::Fault;

use super::super::kept::Kept;
use super::super::lines::Line;
use super::super::{Alphabet, Puzzle, Reading};
use super::header::headed;
use super::places::{self, mark_missing};
use super::{check_sides, mark_openings, maze_puzzle};
use crate::maze::{FREE, GOAL, MAX_SIDE, START, WALL};
use crate::{Cell, Grid, PuzzleError, Result};

/// A text without the lines of numbers and the blank lines around its drawing, and whether floors are within its rooms.
struct Drawing<'l, 'a> {
    lines: &'l [Line<'a>],
    has_floors: bool,
    columns: usize,
}

fn value(character: char) -> Option<u8> {
    Some(match character {
        ' ' | '.' => FREE,
        'S' | 's' | 'A' => START,
        'G' | 'g' | 'F' | 'E' | 'e' | 'B' => GOAL,
        _ => return None,
    })
}

/// True for characters of which those at odd places are of one kind, those at even places of another.
fn alternates(text: &str, even: &str, odd: &str) -> bool {
    text.chars().enumerate().all(|(at, c)| if at % 2 == 0 { even.contains(c) } else { odd.contains(c) })
}

fn is_ceiling(text: &str) -> bool {
    alternates(text, " _", " _") && !text.trim_end().is_empty()
}

/// The drawing that a text is; `None` if it is none.
fn drawing<'l, 'a>(lines: &'l [Line<'a>]) -> Option<Drawing<'l, 'a>> {
    let first = lines.iter().position(|line| !line.is_blank())?;
    let last = lines.iter().rposition(|line| !line.is_blank())?;
    if last - first > 2 * MAX_SIDE {
        return None;
    }
    let lines = headed(&lines[first..=last]).rows;
    let first = lines.iter().position(|line| !line.is_blank())?;
    let lines = &lines[first..];
    let ceiling = lines.first()?.text;
    let second = lines.get(1)?.text;
    let width = |line: &Line<'_>| line.text.trim_end().chars().count();
    let columns = lines.iter().map(width).max()? / 2;
    let begins = second.starts_with('|') || (second.starts_with(' ') && lines.len() > 2);
    if columns == 0 || !begins {
        return None;
    }
    let has_floors = lines.len() > 1
        && is_ceiling(ceiling)
        && lines[1..].iter().all(|line| alternates(line.text.trim_end(), "| _", " _SGFEsgeAB.") && !line.is_blank());
    let has_walls = lines.len() % 2 == 1
        && lines.len() > 2
        && ceiling.contains(['-', '_'])
        && lines.iter().enumerate().all(|(at, line)| {
            let text = line.text.trim_end();
            if at % 2 == 0 {
                alternates(text, " +", " -_")
            } else {
                alternates(text, "| .", " SGFEsgeAB.") && !text.is_empty()
            }
        });
    (has_floors || has_walls).then_some(Drawing { lines, has_floors: has_floors && !has_walls, columns })
}

/// True for a text in this form.
pub(in super::super) fn looks_like(lines: &[Line<'_>]) -> bool {
    drawing(lines).is_some()
}

/// The maze.
pub(in super::super) fn read(origin: &str, lines: &[Line<'_>], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    let empty = || PuzzleError::Empty { origin: origin.to_owned() };
    let drawing = drawing(lines).ok_or_else(empty)?;
    let first = drawing.lines.first().ok_or_else(empty)?.number;
    let syntax = |line, fault| PuzzleError::Syntax { origin: origin.to_owned(), line, fault };
    let height = if drawing.has_floors { 2 * drawing.lines.len() - 1 } else { drawing.lines.len() };
    let width = 2 * drawing.columns + 1;
    let source = format!("{origin}:{first}");
    check_sides(&source, height, width)?;
    let mut grid = Grid::filled(height, width, FREE);
    for row in (0..height).step_by(2) {
        for column in (0..width).step_by(2) {
            grid.set(Cell::new(row, column), WALL);
        }
    }
    for (at, line) in drawing.lines.iter().enumerate() {
        if drawing.has_floors {
            floors(&mut grid, at, line).map_err(|fault| syntax(line.number, fault))?;
        } else {
            walls(&mut grid, at, line);
        }
    }
    if !reading.as_drawn {
        mark_missing(&mut grid);
        mark_openings(&mut grid);
    }
    places::mark(&mut grid, &[]).map_err(|fault| syntax(first, fault))?;
    let puzzle: Puzzle = maze_puzzle(source, grid, Alphabet::micromouse('+'))?;
    kept.push(puzzle)
}

/// A line of walls, or of rooms with walls between.
fn walls(grid: &mut Grid, row: usize, line: &Line<'_>) {
    for (column, character) in line.text.trim_end().chars().enumerate() {
        let found = match character {
            '-' | '_' | '|' => Some(WALL),
            _ if row % 2 == 1 && column % 2 == 1 => value(character),
            _ => None,
        };
        if let Some(found) = found {
            grid.set(Cell::new(row, column), found);
        }
    }
}

/// A line of rooms, each with its floor and the wall behind it.
fn floors(grid: &mut Grid, at: usize, line: &Line<'_>) -> Result<(), Fault> {
    let bottom = grid.height() - 1;
    for (column, character) in line.text.trim_end().chars().enumerate() {
        let room = Cell::new((2 * at).saturating_sub(1), column);
        let floor = Cell::new(2 * at, column);
        match (column % 2, character) {
            (0, '|') => drop(grid.set(room, WALL)),
            (1, '_') => drop(grid.set(floor, WALL)),
            (1, ' ' | '.') | (0, _) => {}
            (_, end) => {
                // A letter stands where the floor would.
                if floor.row != bottom {
                    return Err(Fault::from(format!("nothing tells whether the room of {end:?} has a floor"))
                        .advise("draw the maze with # for the walls"));
                }
                grid.set(floor, WALL);
                if let Some(value) = value(end) {
                    grid.set(room, value);
                }
            }
        }
    }
    Ok(())
}
