//! The forms in which people and programs have puzzles.
//!
//! [`parse`] takes a text and finds out what it is; [`read`] takes a path, and finds the files that belong together
//! (a MovingAI map and its scenarios, ARC challenges and their solutions). Data sets of the public training code are
//! read by [`DataSet`](crate::DataSet).

mod alphabet;
pub mod arc_json;
pub mod jsonl;
pub mod micromouse;
pub mod moving_ai;
pub(crate) mod npy;
mod sudoku_text;
pub mod text;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use alphabet::Alphabet;

use crate::{Arc, Generate, Grid, Maze, MazeGenerator, PuzzleError, Result, Sudoku, SudokuGenerator, Task};

/// The longest input that is read, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;

/// The most cells that one input may turn into.
pub const MAX_CELLS: usize = 64 << 20;

/// A task together with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PuzzleKind {
    /// A sudoku with its box shape.
    Sudoku(Sudoku),
    /// A maze with its size.
    Maze(Maze),
    /// An ARC grid.
    Arc(Arc),
}

impl PuzzleKind {
    /// The task, to encode, check and verify with.
    #[must_use]
    pub fn task(&self) -> Box<dyn Task> {
        match *self {
            Self::Sudoku(task) => Box::new(task),
            Self::Maze(task) => Box::new(task),
            Self::Arc(task) => Box::new(task),
        }
    }

    /// What makes puzzles of the task for measuring with: easy sudokus, mazes of all layouts; none for ARC.
    ///
    /// # Errors
    /// A sudoku that is too large to be made.
    pub fn generator(&self) -> Result<Option<Box<dyn Generate>>> {
        Ok(match *self {
            Self::Sudoku(task) => Some(Box::new(SudokuGenerator::easy(task)?)),
            Self::Maze(task) => Some(Box::new(MazeGenerator::new(task))),
            Self::Arc(_) => None,
        })
    }
}

/// A puzzle as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Puzzle {
    /// Where it came from: `file:line`, or `file:task[test]` for ARC.
    pub source: String,
    /// The name that the input itself gives it: an ARC task id, the number of a scenario.
    pub id: Option<String>,
    /// What is asked.
    pub grid: Grid,
    /// Task and size.
    pub kind: PuzzleKind,
    /// The characters the input used.
    pub alphabet: Alphabet,
    /// The answer, where the input holds it.
    pub solution: Option<Grid>,
}

impl Puzzle {
    /// The task, to encode, check and verify with.
    #[must_use]
    pub fn task(&self) -> Box<dyn Task> {
        self.kind.task()
    }

    /// Whether the puzzle keeps its task's rules; the error names where it came from.
    pub fn check(&self) -> Result<()> {
        self.task().check(&self.grid).map_err(|error| match error {
            PuzzleError::Invalid { violation, .. } => {
                PuzzleError::Invalid { origin: Some(self.source.clone()), violation }
            }
            other => other,
        })
    }

    /// A grid as one string in the input's own characters, row by row; ARC rows are separated by `/`.
    #[must_use]
    pub fn line(&self, grid: &Grid) -> String {
        let separator = match self.kind {
            PuzzleKind::Arc(_) => "/",
            _ => "",
        };
        self.alphabet.text(grid).lines().collect::<Vec<_>>().join(separator)
    }

    /// A grid as several lines for people: a sudoku with its boxes, a maze with its path. [`parse`] reads it back.
    #[must_use]
    pub fn drawing(&self, grid: &Grid) -> String {
        match self.kind {
            PuzzleKind::Sudoku(task) => sudoku_text::drawing(task, grid, &self.alphabet),
            PuzzleKind::Maze(_) if self.alphabet.is_micromouse() => micromouse::print(grid, &self.alphabet),
            _ => self.alphabet.text(grid),
        }
    }
}

/// Puzzles from a text in any form this crate knows. `origin` names the input in errors and in [`Puzzle::source`].
///
/// ARC json begins with `{`, and so do JSON lines, whose first line is an object with a puzzle; a MovingAI map or scenario file is told from its first line; everything else is
/// [`text`].
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    limit(origin, bytes.len() as u64)?;
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = body.trim_ascii_start();
    if start.starts_with(b"{") && jsonl::looks_like(start) {
        return jsonl::parse(origin, body);
    }
    if start.starts_with(b"{") {
        return arc_json::parse(origin, body, None);
    }
    if start.starts_with(b"type ") || start.starts_with(b"version ") {
        return Err(PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: 1,
            message: "a MovingAI map has no start and goal of its own\nhint: give the path of the .map with its .map.scen beside it".to_owned(),
        });
    }
    text::parse(origin, body)
}

/// Puzzles from a file in any form this crate knows.
///
/// `x.map` takes start and goal from `x.map.scen` beside it (and `x.map.scen` its map from `x.map`);
/// `x_challenges.json` takes its solutions from `x_solutions.json` where that exists.
pub fn read(path: &Path) -> Result<Vec<Puzzle>> {
    let origin = path.display().to_string();
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    match extension {
        "map" => moving_ai::read(path, &with_suffix(path, ".scen")),
        "jsonl" => jsonl::parse(&origin, &read_limited(path)?),
        "scen" => moving_ai::read(&path.with_extension(""), path),
        "json" => {
            let solutions =
                solutions_path(path).filter(|path| path.is_file()).map(|path| read_limited(&path)).transpose()?;
            arc_json::parse(&origin, &read_limited(path)?, solutions.as_deref())
        }
        _ => parse(&origin, &read_limited(path)?),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn solutions_path(challenges: &Path) -> Option<PathBuf> {
    let name = challenges.file_name()?.to_str()?;
    let stem = name.strip_suffix("_challenges.json")?;
    Some(challenges.with_file_name(format!("{stem}_solutions.json")))
}

/// A whole file, refused before it is read when it is longer than [`MAX_BYTES`].
pub fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(PuzzleError::io("read", path))?;
    let length = file.metadata().map_err(PuzzleError::io("read", path))?.len();
    limit(&path.display().to_string(), length)?;
    // A pipe tells no length.
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(PuzzleError::io("read", path))?;
    limit(&path.display().to_string(), bytes.len() as u64)?;
    Ok(bytes)
}

pub(crate) fn limit(origin: &str, bytes: u64) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(PuzzleError::TooLarge { origin: origin.to_owned(), unit: "bytes", found: bytes, limit: MAX_BYTES })
}
