//! The one error type of this crate.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use trm_intake::{Exceeded, Fault, Hint, ReadError, Resource};

use crate::formats::Family;
use crate::{Cell, Violation};

/// Result with [`PuzzleError`].
pub type Result<T, E = PuzzleError> = std::result::Result<T, E>;

/// The faults of a puzzle, a text, a file or a request.
///
/// `origin` names the input: a path, `path:line`, or whatever label the caller gave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PuzzleError {
    /// A file could not be read or written; the cause is the `source`.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The attempt: `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The input is larger than this crate accepts.
    #[error("{origin}: {found} {unit} is more than the limit of {limit}")]
    TooLarge {
        /// The input.
        origin: String,
        /// The unit: `bytes`, `rows`, …
        unit: &'static str,
        /// The amount that there is.
        found: u64,
        /// The amount that is accepted.
        limit: u64,
    },
    /// The input holds no puzzle at all.
    #[error("{origin}: no puzzle in the input")]
    Empty {
        /// The input.
        origin: String,
    },
    /// A grid has another size than the task.
    #[error("{what} is {}x{}, {task} needs {}x{}", found.0, found.1, expected.0, expected.1)]
    Size {
        /// Which grid: `the puzzle`, `the answer`.
        what: &'static str,
        /// The task's name.
        task: String,
        /// Height and width the task needs.
        expected: (usize, usize),
        /// Height and width of the grid.
        found: (usize, usize),
    },
    /// A sequence of tokens has another length than the task.
    #[error("{found} tokens, {task} needs {expected}")]
    TokenCount {
        /// The task's name.
        task: String,
        /// Height times width.
        expected: usize,
        /// Tokens given.
        found: usize,
    },
    /// A cell holds a value that the task does not know.
    #[error("{cell} holds {value}, {task} allows {allowed}")]
    CellValue {
        /// The task's name.
        task: String,
        /// Where.
        cell: Cell,
        /// The value found.
        value: u8,
        /// The values allowed.
        allowed: String,
    },
    /// Rows of one grid differ in length.
    #[error("{origin}:{line}: this row has {found} cells, the grid's first row (line {first_line}) has {expected}")]
    Ragged {
        /// The input.
        origin: String,
        /// Line of the odd row, from 1.
        line: usize,
        /// Cells in it.
        found: usize,
        /// Line of the grid's first row, from 1.
        first_line: usize,
        /// Cells in that.
        expected: usize,
    },
    /// A character that the format does not know.
    #[error("{origin}:{line}:{column}: unknown character {character:?}")]
    UnknownCharacter {
        /// The input.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The character.
        character: char,
        /// The characters that are allowed there.
        allowed: String,
    },
    /// A text that can be read in several ways.
    #[error("{origin}: can be read as {}", readings.iter().map(|family| family.name()).collect::<Vec<_>>().join(" and as "))]
    Ambiguous {
        /// The input.
        origin: String,
        /// The kinds that it can be.
        readings: Vec<Family>,
    },
    /// A sudoku with two characters that are no symbol: zero, and another.
    #[error("{origin}:{line}: 0 and {} cannot both be blank", blank.escape_debug())]
    TwoBlanks {
        /// The input.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// The other one.
        blank: char,
        /// The first and last symbol, if zero is one.
        symbols: String,
    },
    /// A text that breaks its format in another way.
    #[error("{origin}:{line}: {fault}")]
    Syntax {
        /// The input.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// The fault, and the expectation.
        fault: Fault,
    },
    /// The puzzle itself breaks a rule of its task (two equal givens, no start, …).
    #[error("{}{violation}", origin.as_ref().map(|o| format!("{o}: ")).unwrap_or_default())]
    Invalid {
        /// Where the puzzle came from, if known.
        origin: Option<String>,
        /// The rule and the cells.
        violation: Violation,
        /// The advice.
        hint: String,
    },
    /// A task of impossible size.
    #[error("{message}")]
    Task {
        /// The fault.
        message: String,
    },
    /// Rows that cannot form a grid.
    #[error("{cells} cells do not fill a grid of {height}x{width}")]
    Cells {
        /// Cells given.
        cells: usize,
        /// Height asked for.
        height: usize,
        /// Width asked for.
        width: usize,
    },
    /// JSON that is malformed or of another shape; the cause is the `source`.
    #[error("{origin}: not the expected JSON, {expected}")]
    Json {
        /// The input.
        origin: String,
        /// The expectation.
        expected: &'static str,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A data file (`.npy`, `dataset.json`, ARC task) whose content does not fit.
    #[error("{}: {fault}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// The fault, and the expectation.
        fault: Fault,
    },
    /// A name that tells no augmentation of an ARC task.
    #[error("the name {name}: {fault}")]
    Name {
        /// The name, fit to be printed.
        name: String,
        /// The fault, and the expectation.
        fault: Fault,
    },
    /// A generator could not do what was asked.
    #[error("{0}")]
    Generate(
        /// The request, the number of tries, and the advice.
        Fault,
    ),
}

impl Hint for PuzzleError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Ambiguous { .. } => "say which is meant".into(),
            Self::TwoBlanks { blank, symbols, .. } => format!(
                "write one of them, or say that {} is the blank: the symbols are then {symbols}",
                blank.escape_debug()
            )
            .into(),
            Self::TooLarge { .. } => "split the input into smaller files".into(),
            Self::Empty { .. } => {
                "give a sudoku (81 characters, or 9 rows), a maze drawn with # S G, or a .map with its .scen".into()
            }
            Self::Ragged { .. } => "every row of a grid needs the same length; a blank line ends a maze".into(),
            Self::UnknownCharacter { allowed, .. } => allowed.into(),
            Self::Syntax { fault, .. }
            | Self::Data { fault, .. }
            | Self::Name { fault, .. }
            | Self::Generate(fault) => return fault.hint(),
            Self::Invalid { hint, .. } => hint.into(),
            _ => return None,
        })
    }
}

impl PuzzleError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The error of an input that asked for more than its budget; `items` is what the reader counts.
    pub(crate) fn exceeded(origin: impl Into<String>, items: &'static str) -> impl FnOnce(Exceeded) -> Self {
        let origin = origin.into();
        move |Exceeded { resource, found, limit }| {
            let unit = if resource == Resource::Items { items } else { resource.unit() };
            Self::TooLarge { origin, unit, found, limit }
        }
    }

    /// The error of a file that could not be read, or is too large.
    pub(crate) fn read(path: &Path) -> impl FnOnce(ReadError) -> Self {
        move |error| match error {
            ReadError::Io(source) => Self::io("read", path)(source),
            ReadError::Exceeded(exceeded) => Self::exceeded(path.display().to_string(), "items")(exceeded),
        }
    }

    pub(crate) fn data(path: impl Into<PathBuf>, fault: impl Into<Fault>) -> Self {
        Self::Data { path: path.into(), fault: fault.into() }
    }

    pub(crate) fn invalid(violation: Violation, hint: impl Into<String>) -> Self {
        Self::Invalid { origin: None, violation, hint: hint.into() }
    }
}
