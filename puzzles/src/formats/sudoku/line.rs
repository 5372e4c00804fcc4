//! Sudokus in a line.

use super::super::lines::Line;
use super::super::{Puzzle, Reading};
use super::numerals::Written;
use super::rows::{is_usual, side_of};
use super::{Numerals, looks_like_row, puzzle, unusable};
use crate::{Grid, Result};

/// A puzzle in a line, maybe with its solution, a name before it and a rating behind.
pub(super) struct Whole<'a> {
    line: Line<'a>,
    side: usize,
    cells: Vec<char>,
    written: Written,
    solution: Option<Vec<char>>,
    name: Option<&'a str>,
}

/// The puzzles that a line holds, one after the other; none if it is no such line.
pub(super) fn all<'a>(line: Line<'a>, reading: &Reading) -> Vec<Whole<'a>> {
    let of = |cells: Vec<char>| {
        let side = side_of(cells.len())?;
        let written = Written::count(side, cells.iter().copied(), reading).ok()?;
        Some(Whole { line, side, cells, written, solution: None, name: None })
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
        if let [only] = &mut found[..] {
            only.name = name(line.text);
        }
        return found;
    }
    if let Some(cells) = grouped(line.text) {
        return Vec::from_iter(of(cells));
    }
    if let Some((cells, numerals)) = listed(line.text, reading) {
        let side = cells.len().isqrt();
        let (written, name) = (Written { numerals, blank: Some('.') }, None);
        return vec![Whole { line, side, cells, written, solution: None, name }];
    }
    let all = || line.text.chars();
    if all().any(char::is_alphabetic) && !looks_like_row(line.text) {
        return Vec::new();
    }
    // Cells with something between each two of them; or blanks that are spaces.
    let spaced = || of(all().collect()).filter(|whole| whole.written.blank == Some(' '));
    Vec::from_iter(of(all().filter(|&c| !parted(c)).collect()).or_else(spaced))
}

/// The name at the beginning of a line whose puzzle is the next word: a word with a letter, or a number of many digits.
fn name(text: &str) -> Option<&str> {
    let (name, behind) = text.trim_start().split_once(char::is_whitespace)?;
    let is_name = name.len() >= 8 || name.contains(char::is_alphabetic);
    let cells = behind.trim_start().split(char::is_whitespace).next().map_or(0, |word| word.chars().count());
    (is_name && name.len() < 16 && name.chars().all(char::is_alphanumeric) && side_of(cells).is_some()).then_some(name)
}

/// The cells of a line of numbers in which a blank is -1, or nothing between two commas. With -1, they may count from 0.
fn listed(text: &str, reading: &Reading) -> Option<(Vec<char>, Numerals)> {
    let delimiter = [',', ';', '\t'].into_iter().find(|&delimiter| text.contains(delimiter));
    let text = text.trim_matches([' ', '[', ']', '\r']);
    let fields = match delimiter {
        Some(delimiter) => text.split(delimiter).map(str::trim).take(626).collect::<Vec<_>>(),
        None => text.split_whitespace().take(626).collect(),
    };
    // A delimiter behind the last cell.
    let count = fields.len();
    let all = if is_cells(count) { &fields[..] } else { fields.split_last().filter(|(last, _)| last.is_empty())?.1 };
    let side = side_of(all.len()).filter(|_| is_cells(all.len()))?;
    let blank = |field: &&str| *field == super::MINUS_ONE || field.is_empty();
    let (minus, empty) = (all.contains(&super::MINUS_ONE), all.contains(&""));
    if minus == empty {
        return None;
    }
    let numbers = all
        .iter()
        .filter(|field| !blank(field))
        .map(|field| field.parse::<usize>().ok())
        .collect::<Option<Vec<_>>>()?;
    let (least, most) = (numbers.iter().min().copied()?, numbers.iter().max().copied()?);
    let numerals = match (least, most) {
        (0, most) if minus && most < side => Numerals::FromZero,
        (0, _) => return None,
        (_, most) if most > side => return None,
        (_, most) if minus && most < side => reading.symbols?,
        _ => Numerals::FromOne,
    };
    let symbol = |field: &&str| {
        let number = if blank(field) { None } else { field.parse::<u8>().ok() };
        number.map_or(Some('.'), |number| numerals.symbol(number + u8::from(numerals == Numerals::FromZero)))
    };
    Some((all.iter().map(symbol).collect::<Option<_>>()?, numerals))
}

fn is_cells(count: usize) -> bool {
    side_of(count).is_some_and(is_usual)
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
                Ok(number) => Numerals::FromOne.symbol(number),
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
        let Self { line, side, cells, written, solution, name } = self;
        let values = |cells: &[char]| cells.iter().map(|&c| written.value(side, c)).collect::<Option<Vec<_>>>();
        let found = values(&cells).ok_or_else(|| unusable(origin, line, reading))?;
        let mut puzzle = puzzle(origin, line.number, side, found, written, (None, None), reading)?;
        puzzle.id = name.map(str::to_owned);
        let solution = solution.and_then(|cells| values(&cells));
        puzzle.solution = solution.map(|values| Grid::from_cells(side, side, values)).transpose()?;
        Ok(puzzle)
    }
}
