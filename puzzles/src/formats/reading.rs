//! Knowledge of an input before it is read.

use std::fmt;
use std::str::FromStr;

use super::{Numerals, Puzzle};
use crate::{PuzzleKind, Sudoku, Tokens};

/// The kind of puzzle that a dialect holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Sudokus.
    Sudoku,
    /// Mazes.
    Maze,
    /// ARC tasks.
    Arc,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sudoku, Self::Maze, Self::Arc];

    /// Its name, as `--as` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sudoku => "sudoku",
            Self::Maze => "maze",
            Self::Arc => "arc",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|family| family.name() == name).ok_or_else(|| format!("expected one of {}", names()))
    }
}

/// Remarks about an input, for where it can be read in several ways. Nothing by default: the input then says it, or is
/// refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The kind of puzzle.
    pub family: Option<Family>,
    /// The boxes of sudokus.
    pub boxes: Option<Sudoku>,
    /// The character of a blank cell of sudokus.
    pub blank: Option<char>,
    /// The characters that stand for 1 to n in sudokus.
    pub symbols: Option<Numerals>,
    /// Sequences of these tokens, which look like many other things.
    pub tokens: Option<Tokens>,
    /// True if mazes are taken as they are drawn: gaps in the border are no start and goal, and a short row is an error.
    pub as_drawn: bool,
    /// True if lines that cannot be read are set aside, and the rest is read.
    pub keep_going: bool,
}

impl Reading {
    /// Returns what a model of one task says: its own puzzles are asked for.
    #[must_use]
    pub fn of(kind: PuzzleKind) -> Self {
        match kind {
            PuzzleKind::Sudoku(task) => Self { family: Some(Family::Sudoku), boxes: Some(task), ..Self::default() },
            PuzzleKind::Maze(_) => Self { family: Some(Family::Maze), ..Self::default() },
            PuzzleKind::Arc(_) => Self { family: Some(Family::Arc), ..Self::default() },
            PuzzleKind::Tokens(task) => Self { tokens: Some(task), ..Self::default() },
        }
    }

    /// Returns what a puzzle says of its answer: the same kind, in the same characters.
    #[must_use]
    pub fn like(puzzle: &Puzzle) -> Self {
        Self { symbols: puzzle.alphabet.numerals(), ..Self::of(puzzle.kind) }
    }

    /// True if this kind may be meant.
    #[must_use]
    pub fn allows(&self, family: Family) -> bool {
        self.family.is_none_or(|asked| asked == family)
    }

    /// The boxes that were said, of sudokus of this side.
    pub(super) fn boxes_of(&self, side: usize) -> Option<Sudoku> {
        self.boxes.filter(|task| task.side() == side)
    }
}
