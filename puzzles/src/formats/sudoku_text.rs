//! Sudoku lines, grids and drawings.

use trm_intake::Fault;

use super::kept::Kept;
use super::text::Line;
use super::{Alphabet, Puzzle, PuzzleKind};
use crate::sudoku::BLANK;
use crate::{Cell, Grid, PuzzleError, Result, Sudoku};

const LARGEST_SIDE: usize = 25;

/// Longer lines are not looked at: 625 cells and as many separators.
const LONGEST_LINE: usize = 2000;

/// True for sides that have a box shape.
fn is_side(cells: usize) -> bool {
    cells <= LARGEST_SIDE && Sudoku::with_side(cells).is_some()
}

/// The side of a puzzle written as one line of so many cells.
fn side_of_line(cells: usize) -> Option<usize> {
    (4..=LARGEST_SIDE).find(|side| side * side == cells && is_side(*side))
}

fn is_separator(character: char) -> bool {
    character == '|' || character.is_ascii_whitespace()
}

/// True for a line between boxes: `---+---+---`.
fn is_rule(text: &str) -> bool {
    text.contains(['-', '=', '+']) && text.chars().all(|c| matches!(c, '-' | '=' | '+') || is_separator(c))
}

/// True for a text of sudoku characters only, with at least one digit or dot among them.
pub(super) fn looks_like_row(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit() || c == '.')
        && text.chars().all(|c| is_separator(c) || c == '.' || c.is_ascii_digit() || letter(c).is_some())
}

/// The value of a letter in either case: A is 10, P is 25.
fn letter(character: char) -> Option<u8> {
    match character.to_ascii_uppercase() {
        upper @ 'A'..='P' => Some(upper as u8 - b'A' + 10),
        _ => None,
    }
}

fn value(character: char) -> Option<u8> {
    match character {
        '.' | '0' => Some(BLANK),
        '1'..='9' => Some(character as u8 - b'0'),
        other => letter(other),
    }
}

/// A row of cells as the text has it.
struct Row<'a> {
    line: Line<'a>,
    /// Byte offset and text of every cell: one character, or a whole number.
    cells: Vec<(usize, &'a str)>,
    /// Cells before the first `|` that has cells on its left.
    first_group: Option<usize>,
}

/// One cell for every character, or for every number where `numbers`.
fn split(line: Line<'_>, numbers: bool) -> Row<'_> {
    let mut cells: Vec<(usize, &str)> = Vec::new();
    let mut first_group = None;
    let mut joined = false;
    for (index, character) in line.text.char_indices() {
        if is_separator(character) {
            if character == '|' && !cells.is_empty() && first_group.is_none() {
                first_group = Some(cells.len());
            }
            joined = false;
            continue;
        }
        let end = index + character.len_utf8();
        match cells.last_mut() {
            Some((start, text)) if numbers && joined => *text = &line.text[*start..end],
            _ => cells.push((index, &line.text[index..end])),
        }
        joined = true;
    }
    Row { line, cells, first_group }
}

/// The cells of a row, counted.
fn count(text: &str, numbers: bool) -> usize {
    let (mut cells, mut joined) = (0, false);
    for character in text.chars() {
        if is_separator(character) {
            joined = false;
        } else if !(numbers && joined) {
            cells += 1;
            joined = true;
        }
    }
    cells
}

/// Puzzles from lines without comments and blank ones; rules are passed over.
pub(super) fn parse_lines(origin: &str, mut rows: Vec<Line>, kept: &mut Kept<'_>) -> Result<()> {
    rows.retain(|line| !is_rule(line.text));
    if let Some(line) = rows.iter().find(|line| line.text.len() > LONGEST_LINE) {
        return Err(PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: line.number,
            fault: format!("a line of {} characters, a sudoku takes {LONGEST_LINE} at most", line.text.len()).into(),
        });
    }
    let mut rest = rows.as_slice();
    while let Some((&first, _)) = rest.split_first() {
        let characters = count(first.text, false);
        let tokens = count(first.text, true);
        let taken = if tokens > 1 && is_side(tokens) && is_square(rest, tokens, true) {
            kept.push(parse_grid(origin, rest, tokens, true)?)?;
            tokens
        } else if side_of_line(characters).is_some() && !is_sixteen_grid(rest, characters) {
            kept.push(parse_line(origin, first)?)?;
            1
        } else if is_side(characters) {
            kept.push(parse_grid(origin, rest, characters, false)?)?;
            characters
        } else {
            return Err(unusable(origin, &split(first, false)));
        };
        rest = &rest[taken..];
    }
    Ok(())
}

/// True if the next `side` lines have `side` cells each.
fn is_square(lines: &[Line], side: usize, numbers: bool) -> bool {
    lines.len() >= side && lines[..side].iter().all(|line| count(line.text, numbers) == side)
}

/// True if 16 characters are a row of a 16x16 grid and not a 4x4 puzzle in one line: a grid has 16 such lines, and
/// digits above 4.
fn is_sixteen_grid(lines: &[Line], characters: usize) -> bool {
    characters == 16
        && is_square(lines, 16, false)
        && lines[..16].iter().any(|line| line.text.chars().filter_map(value).any(|v| v > 4))
}

/// An error for a line that is neither a whole puzzle nor a row of one: its first odd character, or its length.
fn unusable(origin: &str, row: &Row) -> PuzzleError {
    let odd = row.cells.iter().find(|(_, text)| text.chars().any(|c| value(c).is_none()));
    match odd {
        Some(&(index, _)) => row.line.unknown(origin, index, &allowed(9)),
        None => PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: row.line.number,
            fault: Fault::from(format!("a line of {} cells is neither a sudoku nor a row of one", row.cells.len()))
                .advise("give 81 characters in one line, or 9 rows of 9"),
        },
    }
}

fn allowed(side: usize) -> String {
    let letters = match side {
        ..=9 => format!("1 to {side}"),
        _ => format!("1 to 9, A to {}", (b'A' + (side - 10) as u8) as char),
    };
    format!("a {side}x{side} sudoku is written with {letters}, and 0 or . for blank")
}

/// The value of a cell's text.
fn cell_value(origin: &str, row: &Row, index: usize, text: &str, side: usize) -> Result<u8> {
    let mut characters = text.chars();
    let value = match (characters.next(), characters.next()) {
        (Some(character), None) => value(character),
        _ => text.parse().ok(),
    };
    value.filter(|&value| usize::from(value) <= side).ok_or_else(|| row.line.unknown(origin, index, &allowed(side)))
}

fn parse_line(origin: &str, line: Line) -> Result<Puzzle> {
    let row = split(line, false);
    let side = side_of_line(row.cells.len()).unwrap_or_default();
    let cells = row
        .cells
        .iter()
        .map(|&(index, text)| cell_value(origin, &row, index, text, side))
        .collect::<Result<Vec<u8>>>()?;
    let blank = row.cells.iter().find_map(|&(_, text)| blank_of(text));
    let task = Sudoku::with_side(side).unwrap_or_default();
    puzzle(origin, line.number, task, side, cells, blank)
}

fn blank_of(text: &str) -> Option<char> {
    ['.', '0'].into_iter().find(|&blank| text.chars().eq([blank]))
}

/// A grid of `side` rows.
fn parse_grid(origin: &str, lines: &[Line], side: usize, numbers: bool) -> Result<Puzzle> {
    let first_line = lines.first().map_or(1, |line| line.number);
    let mut cells = Vec::with_capacity(side * side);
    let (mut blank, mut box_width) = (None, None);
    for &line in lines.iter().take(side) {
        let row = split(line, numbers);
        for &(index, text) in &row.cells {
            cells.push(cell_value(origin, &row, index, text, side)?);
            blank = blank.or_else(|| blank_of(text));
        }
        if row.cells.len() != side {
            return Err(PuzzleError::Ragged {
                origin: origin.to_owned(),
                line: line.number,
                found: row.cells.len(),
                first_line,
                expected: side,
            });
        }
        box_width = box_width.or(row.first_group.filter(|&group| group < side));
    }
    if lines.len() < side {
        return Err(PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: lines.last().map_or(first_line, |line| line.number),
            fault: format!("the sudoku that begins in line {first_line} ends after {} of {side} rows", lines.len())
                .into(),
        });
    }
    // Bars show the box shape where it is not the usual one.
    let task = box_width
        .filter(|width| side.is_multiple_of(*width))
        .and_then(|width| Sudoku::new(side / width, width).ok())
        .or_else(|| Sudoku::with_side(side))
        .unwrap_or_default();
    puzzle(origin, first_line, task, side, cells, blank)
}

fn puzzle(origin: &str, line: usize, task: Sudoku, side: usize, cells: Vec<u8>, blank: Option<char>) -> Result<Puzzle> {
    Ok(Puzzle {
        source: format!("{origin}:{line}"),
        id: None,
        grid: Grid::from_cells(side, side, cells)?,
        kind: PuzzleKind::Sudoku(task),
        alphabet: Alphabet::sudoku(blank.unwrap_or('.')),
        solution: None,
    })
}

/// Rows with a space between cells, `|` between boxes and a rule between bands.
pub(super) fn drawing(task: Sudoku, grid: &Grid, alphabet: &Alphabet) -> String {
    let mut text = String::new();
    let rule: Vec<String> =
        (0..grid.width().div_ceil(task.box_width())).map(|_| "-".repeat(2 * task.box_width() + 1)).collect();
    // The outer groups need no space at the edge of the drawing.
    let rule = rule.join("+");
    let rule = rule.get(1..rule.len().saturating_sub(1)).unwrap_or("");
    for row in 0..grid.height() {
        if row > 0 && row % task.box_height() == 0 {
            text.push_str(rule);
            text.push('\n');
        }
        for column in 0..grid.width() {
            if column > 0 {
                text.push(' ');
                if column % task.box_width() == 0 {
                    text.push_str("| ");
                }
            }
            let value = grid.get(Cell::new(row, column)).unwrap_or(BLANK);
            text.push(alphabet.symbol(value));
        }
        text.push('\n');
    }
    text
}
