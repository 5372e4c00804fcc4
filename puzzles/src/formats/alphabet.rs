//! The characters of an input.

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
    Sudoku { blank: char },
    Maze { wall: char, free: char },
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
        Self { symbols: Symbols::Sudoku { blank }, post: None }
    }

    /// `wall` and `free` as given, `S`, `G`, and `o` for the path.
    #[must_use]
    pub fn maze(wall: char, free: char) -> Self {
        Self { symbols: Symbols::Maze { wall, free }, post: None }
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

    pub(crate) fn is_micromouse(&self) -> bool {
        self.post.is_some()
    }

    pub(crate) fn post(&self) -> char {
        self.post.unwrap_or('+')
    }

    /// The character of a cell value.
    #[must_use]
    pub fn symbol(&self, value: u8) -> char {
        match (self.symbols, value) {
            (Symbols::Sudoku { blank }, 0) => blank,
            (Symbols::Arc, 0) => '0',
            (Symbols::Sudoku { .. } | Symbols::Arc, 1..=9) => char::from(b'0' + value),
            (Symbols::Sudoku { .. }, 10..=LARGEST) => char::from(b'A' + value - 10),
            (Symbols::Maze { wall, .. }, WALL) => wall,
            (Symbols::Maze { free, .. }, FREE) => free,
            (Symbols::Maze { .. }, START) => 'S',
            (Symbols::Maze { .. }, GOAL) => 'G',
            (Symbols::Maze { .. }, PATH) => 'o',
            _ => UNKNOWN_SYMBOL,
        }
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
