//! The characters of an input.

use crate::maze::{FREE, GOAL, PATH, START, WALL};
use crate::{Grid, UNKNOWN};

/// Which character stands for which cell value, so that answers look like the input.
///
/// A cell that is not known prints as `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alphabet {
    /// The character of every cell value.
    symbols: Vec<char>,
    /// The post of a micromouse drawing.
    post: Option<char>,
}

/// What an unknown cell prints as.
const UNKNOWN_SYMBOL: char = '?';

impl Alphabet {
    /// Digits 1 to 9, then letters from A; `blank` for the rest (`0` or `.`).
    #[must_use]
    pub fn sudoku(blank: char) -> Self {
        Self { symbols: std::iter::once(blank).chain('1'..='9').chain('A'..='P').collect(), post: None }
    }

    /// `wall` and `free` as given, `S`, `G`, and `o` for the path.
    #[must_use]
    pub fn maze(wall: char, free: char) -> Self {
        let mut symbols = vec![UNKNOWN_SYMBOL; usize::from(PATH) + 1];
        for (value, symbol) in [(WALL, wall), (FREE, free), (START, 'S'), (GOAL, 'G'), (PATH, 'o')] {
            symbols[usize::from(value)] = symbol;
        }
        Self { symbols, post: None }
    }

    /// A maze drawn with `o---o` or `+---+`. In one line it is the block maze with `#`, space and `o`.
    #[must_use]
    pub fn micromouse(post: char) -> Self {
        Self { post: Some(post), ..Self::maze('#', ' ') }
    }

    /// Colours as digits.
    #[must_use]
    pub fn arc() -> Self {
        Self { symbols: ('0'..='9').collect(), post: None }
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
        self.symbols.get(usize::from(value)).copied().unwrap_or(UNKNOWN_SYMBOL)
    }

    /// The value of a character; letters in either case.
    #[must_use]
    pub fn value(&self, symbol: char) -> Option<u8> {
        let position = |symbol| self.symbols.iter().position(|&s| s == symbol);
        position(symbol)
            .or_else(|| position(symbol.to_ascii_uppercase()))
            .filter(|_| symbol != UNKNOWN_SYMBOL)
            .map(|value| value as u8)
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
