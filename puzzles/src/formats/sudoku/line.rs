//! Sudokus in a line.

use super::super::lines::Line;
use super::super::{Puzzle, Reading};
use super::numerals::Written;
use super::rows::side_of;
use super::{looks_like_row, puzzle, unusable};
use crate::{Grid, Result};

/// A line that is a puzzle, maybe with its solution, a name before it and a rating behind.
pub(super) struct Whole<'a> {
    line: Line<'a>,
    side: usize,
    cells: Vec<char>,
    written: Written,
    solution: Option<Vec<char>>,
}

/// The puzzle that a line is; `None` if it is none.
pub(super) fn whole<'a>(line: Line<'a>, reading: &Reading) -> Option<Whole<'a>> {
    let of = |cells: Vec<char>, solution| {
        let side = side_of(cells.len())?;
        let written = Written::count(side, cells.iter().copied(), reading).ok()?;
        Some(Whole { line, side, cells, written, solution })
    };
    if line.text.len() < 16 {
        return None;
    }
    let parted = |c: char| {
        c.is_whitespace() || matches!(c, ',' | ';' | ':' | '"' | '\'' | '|' | '=' | '(' | ')' | '[' | ']' | '{' | '}')
    };
    let fields = line
        .text
        .split(parted)
        .filter(|field| field.len() >= 16)
        .map(|field| if field.contains('+') { without_placed(field) } else { field.chars().collect() });
    let mut puzzles = fields.filter_map(|cells| of(cells, None));
    if let Some(first) = puzzles.next() {
        let second = puzzles.next().filter(|second| second.side == first.side);
        let is_full = |whole: &Whole<'_>| whole.cells.iter().all(|&c| Some(c) != whole.written.blank);
        // Either may come first; the one with blanks is the puzzle.
        return Some(match second {
            Some(second) if is_full(&second) => Whole { solution: Some(second.cells), ..first },
            Some(second) if is_full(&first) => Whole { solution: Some(first.cells), ..second },
            _ => first,
        });
    }
    let all = || line.text.chars();
    if all().any(char::is_alphabetic) && !looks_like_row(line.text) {
        return None;
    }
    // Cells with something between each two of them; or blanks that are spaces.
    of(all().filter(|&c| !parted(c)).collect(), None)
        .or_else(|| of(all().collect(), None).filter(|whole| whole.written.blank == Some(' ')))
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
