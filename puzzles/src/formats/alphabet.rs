//! The characters of an input.

use super::Numerals;
use super::maze::Letters;
use crate::maze::{FREE, GOAL, PATH, START, WALL};
use crate::{Grid, UNKNOWN};

/// The characters of the cell values, so that answers look like the input.
///
/// A cell that is not known prints as `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alphabet {
    symbols: Symbols,
    /// The post of a micromouse drawing.
    post: Option<char>,
}

/// The characters that inputs differ in. A file may hold a million puzzles, each with its alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbols {
    Sudoku { blank: char, numerals: Numerals },
    Maze(Letters),
    Arc,
    Numbers,
}

/// The character of an unknown cell.
const UNKNOWN_SYMBOL: char = '?';

/// The largest value that has a character: 25, `P` in a sudoku.
const LARGEST: u8 = 25;

impl Alphabet {
    /// Digits 1 to 9, then letters from A; `blank` for the rest (`0` or `.`).
    #[must_use]
    pub fn sudoku(blank: char) -> Self {
        Self::sudoku_in(Numerals::FromOne, blank)
    }

    /// These characters for 1 to n; `blank` for the rest.
    #[must_use]
    pub fn sudoku_in(numerals: Numerals, blank: char) -> Self {
        Self { symbols: Symbols::Sudoku { blank, numerals }, post: None }
    }

    /// `wall` and `free` as given, `S`, `G`, and `o` for the path.
    #[must_use]
    pub fn maze(wall: char, free: char) -> Self {
        Self::maze_in(Letters { wall, free, ..Letters::default() })
    }

    /// A maze in these characters.
    pub(super) fn maze_in(letters: Letters) -> Self {
        Self { symbols: Symbols::Maze(letters), post: None }
    }

    /// The character of a blank cell, of a sudoku.
    #[must_use]
    pub fn blank(&self) -> Option<char> {
        match self.symbols {
            Symbols::Sudoku { blank, .. } => Some(blank),
            _ => None,
        }
    }

    /// A maze drawn with `o---o` or `+---+`. In one line it is the block maze with `#`, space and `o`.
    #[must_use]
    pub fn micromouse(post: char) -> Self {
        Self { post: Some(post), ..Self::maze('#', ' ') }
    }

    /// Colours as digits.
    #[must_use]
    pub fn arc() -> Self {
        Self { symbols: Symbols::Arc, post: None }
    }

    /// No characters: tokens are written as numbers.
    #[must_use]
    pub fn numbers() -> Self {
        Self { symbols: Symbols::Numbers, post: None }
    }

    /// The characters of 1 to n, of a sudoku.
    pub(super) fn numerals(&self) -> Option<Numerals> {
        match self.symbols {
            Symbols::Sudoku { numerals, .. } => Some(numerals),
            _ => None,
        }
    }

    pub(crate) fn is_micromouse(&self) -> bool {
        self.post.is_some()
    }

    pub(crate) fn post(&self) -> char {
        self.post.unwrap_or('+')
    }

    /// The character of a cell value.
    #[must_use]
    pub fn symbol(&self, value: u8) -> char {
        let symbol = match (self.symbols, value) {
            (Symbols::Sudoku { blank, .. }, 0) => Some(blank),
            (Symbols::Sudoku { numerals, .. }, 1..=LARGEST) => numerals.symbol(value),
            (Symbols::Arc, 0..=9) => Some(char::from(b'0' + value)),
            (Symbols::Maze(letters), WALL) => Some(letters.wall),
            (Symbols::Maze(letters), FREE) => Some(letters.free),
            (Symbols::Maze(letters), START) => Some(letters.start),
            (Symbols::Maze(letters), GOAL) => Some(letters.goal),
            (Symbols::Maze(letters), PATH) => Some(letters.path),
            _ => None,
        };
        symbol.unwrap_or(UNKNOWN_SYMBOL)
    }

    /// The value of a character; letters in either case.
    #[must_use]
    pub fn value(&self, symbol: char) -> Option<u8> {
        let value = |symbol| (0..=LARGEST).find(|&value| self.symbol(value) == symbol);
        if symbol == UNKNOWN_SYMBOL { None } else { value(symbol).or_else(|| value(symbol.to_ascii_uppercase())) }
    }

    /// A grid as rows of characters.
    #[must_use]
    pub fn text(&self, grid: &Grid) -> String {
        grid.to_text(|value| self.symbol(value))
    }

    /// The grid of a one-line text of `height x width` characters, `?` being unknown; `None` if it is not one.
    #[must_use]
    pub fn parse_line(&self, height: usize, width: usize, line: &str) -> Option<Grid> {
        let cells = line
            .chars()
            .map(|symbol| match symbol {
                UNKNOWN_SYMBOL => Some(UNKNOWN),
                _ => self.value(symbol),
            })
            .collect::<Option<Vec<u8>>>()?;
        Grid::from_cells(height, width, cells).ok()
    }
}
