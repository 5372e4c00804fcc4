//! Sudokus in a line.

use super::super::lines::Line;
use super::super::{Puzzle, Reading};
use super::numerals::Written;
use super::rows::side_of;
use super::{looks_like_row, puzzle, unusable};
use crate::{Grid, Result};

/// A puzzle in a line, maybe with its solution, a name before it and a rating behind.
pub(super) struct Whole<'a> {
    line: Line<'a>,
    side: usize,
    cells: Vec<char>,
    written: Written,
    solution: Option<Vec<char>>,
}

/// The puzzles that a line holds, one after the other; none if it is no such line.
pub(super) fn all<'a>(line: Line<'a>, reading: &Reading) -> Vec<Whole<'a>> {
    let of = |cells: Vec<char>| {
        let side = side_of(cells.len())?;
        let written = Written::count(side, cells.iter().copied(), reading).ok()?;
        Some(Whole { line, side, cells, written, solution: None })
    };
    if line.text.len() < 16 {
        return Vec::new();
    }
    let parted = |c: char| {
        c.is_whitespace() || matches!(c, ',' | ';' | ':' | '"' | '\'' | '|' | '=' | '(' | ')' | '[' | ']' | '{' | '}')
    };
    let fields = line
        .text
        .split(parted)
        .filter(|field| field.len() >= 16)
        .map(|field| if field.contains('+') { without_placed(field) } else { field.chars().collect() });
    let mut found: Vec<Whole<'_>> = Vec::new();
    for next in fields.filter_map(of) {
        let Some(last) = found.last_mut() else {
            found.push(next);
            continue;
        };
        if next.side != last.side || next.cells == last.cells || last.solution.as_ref() == Some(&next.cells) {
            continue;
        }
        match (last.solution.is_none(), last.is_full(), next.is_full()) {
            (true, _, true) => last.solution = Some(next.cells),
            // Either may come first; the one with blanks is the puzzle.
            (true, true, false) => {
                let solution = std::mem::replace(last, next).cells;
                last.solution = Some(solution);
            }
            _ => found.push(next),
        }
    }
    if !found.is_empty() {
        return found;
    }
    if let Some(cells) = grouped(line.text) {
        return Vec::from_iter(of(cells));
    }
    let all = || line.text.chars();
    if all().any(char::is_alphabetic) && !looks_like_row(line.text) {
        return Vec::new();
    }
    // Cells with something between each two of them; or blanks that are spaces.
    let spaced = || of(all().collect()).filter(|whole| whole.written.blank == Some(' '));
    Vec::from_iter(of(all().filter(|&c| !parted(c)).collect()).or_else(spaced))
}

/// The cells of rows that one character parts, and another the cells within them: `5,3,0,.7,0,0,` and so on.
fn grouped(text: &str) -> Option<Vec<char>> {
    for (between_rows, between_cells) in [('.', ','), ('/', ','), ('|', ','), ('.', ' '), ('/', ' ')] {
        let rows = text.trim().trim_end_matches(between_rows).split(between_rows).take(26).collect::<Vec<_>>();
        let side = rows.len();
        if side_of(side * side).is_none() || !text.contains(between_cells) {
            continue;
        }
        let cell = |field: &str| match field.trim() {
            "" => Some('.'),
            field => match field.parse::<u8>() {
                Ok(0) => Some('0'),
                Ok(number) => super::Numerals::FromOne.symbol(number),
                Err(_) => field.chars().next().filter(|_| field.chars().count() == 1),
            },
        };
        let cells = rows.iter().flat_map(|row| row.split(between_cells).map(cell)).collect::<Option<Vec<_>>>();
        let is_whole = rows.iter().all(|row| row.split(between_cells).count() == side);
        if let Some(cells) = cells.filter(|_| is_whole) {
            return Some(cells);
        }
    }
    None
}

/// The cells of a line of `HoDoKu`, which puts a + before digits that were placed and are not given.
fn without_placed(field: &str) -> Vec<char> {
    let blank = if field.contains('.') { '.' } else { '0' };
    let mut characters = field.chars();
    let mut cells = Vec::with_capacity(field.len());
    while let Some(character) = characters.next() {
        match character {
            '+' => cells.extend(characters.next().map(|_| blank)),
            given => cells.push(given),
        }
    }
    cells
}

impl Whole<'_> {
    fn is_full(&self) -> bool {
        self.cells.iter().all(|&c| Some(c) != self.written.blank)
    }

    pub(super) fn puzzle(self, origin: &str, reading: &Reading) -> Result<Puzzle> {
        let Self { line, side, cells, written, solution } = self;
        let values = |cells: &[char]| cells.iter().map(|&c| written.value(side, c)).collect::<Option<Vec<_>>>();
        let found = values(&cells).ok_or_else(|| unusable(origin, line))?;
        let mut puzzle = puzzle(origin, line.number, side, found, written, (None, None), reading)?;
        let solution = solution.and_then(|cells| values(&cells));
        puzzle.solution = solution.map(|values| Grid::from_cells(side, side, values)).transpose()?;
        Ok(puzzle)
    }
}
