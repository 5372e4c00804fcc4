//! Texts: sudoku lines and grids, ASCII mazes, micromouse drawings; several puzzles in one.
//!
//! - **Sudoku**: one line of 81 (16, 36, …, 625) characters a puzzle; or a grid of n rows, cells optionally parted by
//!   spaces and by `|`, boxes optionally by lines of `-`, `+`, `=`. `0` and `.` are blank, letters from A stand for
//!   10 and more, or whole numbers parted by spaces. Lines that begin with `#` are comments.
//! - **ASCII maze**: `#` or `@` wall, space or `.` free, `S`, `G`, optionally `o` for a path; a blank line parts mazes. A line
//!   of spaces as long as the maze is wide is a row of the maze.
//! - **Micromouse**: see [`micromouse`].
//!
//! A text holds one of these kinds. Which one is decided by its lines: those of maze characters with a wall, against
//! those of sudoku characters that no maze has.

use trm_intake::{Budget, Fault};

use super::body::{Body, counted};
use super::kept::Kept;
use super::{Alphabet, Puzzle, PuzzleKind, micromouse, sudoku_text};
use crate::maze::{FREE, GOAL, MAX_SIDE, PATH, START, WALL};
use crate::{Grid, Maze, PuzzleError, Result};

/// A line and its number, from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) text: &'a str,
}

impl Line<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn is_comment(&self) -> bool {
        self.text.starts_with('#')
    }

    /// An error for the character at byte `index`.
    pub(super) fn unknown(&self, origin: &str, index: usize, allowed: &str) -> PuzzleError {
        let before = self.text.get(..index).unwrap_or("");
        let rest = self.text.get(index..).unwrap_or("");
        PuzzleError::UnknownCharacter {
            origin: origin.to_owned(),
            line: self.number,
            column: before.chars().count() + 1,
            character: rest.chars().next().unwrap_or('\u{fffd}'),
            allowed: allowed.to_owned(),
        }
    }
}

/// The lines of a text, an item each; `\r\n` is taken away, other encodings than UTF-8 refused.
pub(super) fn lines<'a>(origin: &str, body: Body<'a>, budget: &mut Budget) -> Result<Vec<Line<'a>>> {
    // Counted first: what is kept of an empty line is larger than the line.
    let count = body.split(|&byte| byte == b'\n').count();
    budget.take_items(count as u64).map_err(PuzzleError::exceeded(origin, "lines"))?;
    let body = body.bytes();
    let text = std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: before.split(|&byte| byte == b'\n').count(),
            fault: Fault::from("not text: a byte that is not UTF-8").advise("puzzles are plain text files"),
        }
    })?;
    let mut lines = Vec::with_capacity(count);
    lines.extend(
        text.split('\n').zip(1..).map(|(text, number)| Line { number, text: text.strip_suffix('\r').unwrap_or(text) }),
    );
    Ok(lines)
}

/// Puzzles from a text in one of the forms above.
///
/// # Errors
///
/// [`PuzzleError::Empty`], [`PuzzleError::TooLarge`], or the line that breaks the form.
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_within(origin, body, &mut budget)
}

/// As [`parse`], of bytes that were drawn on `budget`.
pub(super) fn parse_within(origin: &str, body: Body<'_>, budget: &mut Budget) -> Result<Vec<Puzzle>> {
    let mut lines = lines(origin, body, budget)?;
    let mut kept = Kept::new(origin, body.len());
    if micromouse::looks_like(&lines) {
        micromouse::parse_lines(origin, &lines, &mut kept)?;
    } else if looks_like_maze(&lines) {
        parse_mazes(origin, &lines, &mut kept)?;
    } else {
        lines.retain(|line| !line.is_comment() && !line.is_blank());
        sudoku_text::parse_lines(origin, lines, &mut kept)?;
    }
    kept.some()
}

/// Mazes from a text that is known to hold nothing else, in ASCII or as micromouse drawings. Start and goal may be
/// missing.
///
/// # Errors
///
/// Those of [`parse`] except [`PuzzleError::Empty`]: a text without mazes gives an empty list.
pub fn parse_as_mazes(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    let lines = lines(origin, body, &mut budget)?;
    let mut kept = Kept::new(origin, bytes.len());
    if micromouse::looks_like(&lines) {
        micromouse::parse_lines(origin, &lines, &mut kept)?;
    } else {
        parse_mazes(origin, &lines, &mut kept)?;
    }
    Ok(kept.all())
}

/// The value of a maze character.
fn maze_value(character: char) -> Option<u8> {
    Some(match character {
        '#' | '@' => WALL,
        ' ' | '.' => FREE,
        'S' => START,
        'G' => GOAL,
        'o' => PATH,
        _ => return None,
    })
}

fn looks_like_maze(lines: &[Line]) -> bool {
    // All of a maze's characters are of one byte.
    let is_maze_text = |text: &str| text.bytes().all(|byte| maze_value(char::from(byte)).is_some());
    let (mut walls, mut digits, mut open, mut ends) = (0, 0, true, false);
    for line in lines {
        if is_maze_text(line.text) {
            walls += usize::from(line.text.contains(['#', '@']));
            ends |= line.text.contains(['S', 'G']);
        } else {
            open = false;
            // A row of dots could be either, so it counts for neither.
            digits += usize::from(!line.is_comment() && sudoku_text::looks_like_row(line.text));
        }
    }
    // Without a single wall: every line is maze text and an S or a G is there.
    walls > digits || (walls == digits && walls > 0) || (walls == 0 && open && ends)
}

/// ASCII mazes, parted by blank lines.
fn parse_mazes(origin: &str, lines: &[Line], kept: &mut Kept<'_>) -> Result<()> {
    for block in lines.split(|line| line.text.is_empty()) {
        let Some(width) = block.iter().find(|line| !line.is_blank()).map(|line| line.text.chars().count()) else {
            continue;
        };
        // A line of spaces of another length than the rows parts mazes as an empty line does.
        let is_row = |line: &Line| !line.is_blank() || line.text.len() == width;
        for rows in block.split(|line| !is_row(line)) {
            if !rows.is_empty() {
                kept.push(parse_maze(origin, rows)?)?;
            }
        }
    }
    Ok(())
}

fn parse_maze(origin: &str, rows: &[Line]) -> Result<Puzzle> {
    let first_line = rows.first().map_or(1, |row| row.number);
    let width = rows.first().map_or(0, |row| row.text.chars().count());
    check_sides(&format!("{origin}:{first_line}"), rows.len(), width)?;
    let (mut wall, mut free) = (None, None);
    let mut cells = Vec::with_capacity(rows.len() * width);
    for row in rows {
        let mut found = 0;
        for (index, character) in row.text.char_indices() {
            let Some(value) = maze_value(character) else {
                return Err(row.unknown(
                    origin,
                    index,
                    "a maze is drawn with # wall, space or . free, S start, G goal, o path",
                ));
            };
            match value {
                WALL => wall = wall.or(Some(character)),
                FREE => free = free.or(Some(character)),
                _ => {}
            }
            // A line that is too long is read for what else is wrong with it, not kept.
            if found < width {
                cells.push(value);
            }
            found += 1;
        }
        if found != width {
            return Err(PuzzleError::Ragged {
                origin: origin.to_owned(),
                line: row.number,
                found,
                first_line,
                expected: width,
            });
        }
    }
    maze_puzzle(
        format!("{origin}:{first_line}"),
        Grid::from_cells(rows.len(), width, cells)?,
        Alphabet::maze(wall.unwrap_or('#'), free.unwrap_or(' ')),
    )
}

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
    })
}
