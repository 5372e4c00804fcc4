//! The forms in which people and programs have puzzles.
//!
//! [`parse`] takes a text and finds out what it is; [`read`] takes a path, and finds the files that belong together
//! (a MovingAI map and its scenarios, ARC challenges and their solutions). Data sets of the public training code are
//! read by [`DataSet`](crate::DataSet).

mod alphabet;
pub mod arc_json;
mod body;
mod json_grid;
pub mod jsonl;
mod kept;
pub mod micromouse;
pub mod moving_ai;
pub(crate) mod npy;
mod sudoku_text;
pub mod text;
pub mod token_text;

use std::path::{Path, PathBuf};

pub use alphabet::Alphabet;
use body::{Body, counted, read_file};
use trm_intake::{Budget, Fault, Limits};

use crate::{Arc, Generate, Grid, Maze, MazeGenerator, PuzzleError, Result, Sudoku, SudokuGenerator, Task, Tokens};

/// Limits of an input: its bytes, and its lines or, of JSON, its lists, objects and texts. What becomes of it is
/// bounded beside: puzzles may take four times the bytes of their text, and 64 MiB.
pub const LIMITS: Limits = Limits { bytes: 64 << 20, items: 2 << 20, depth: 64, time: None };

/// A task together with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuzzleKind {
    /// A sudoku with its box shape.
    Sudoku(Sudoku),
    /// A maze with its size.
    Maze(Maze),
    /// An ARC grid.
    Arc(Arc),
    /// A sequence of tokens without rules.
    Tokens(Tokens),
}

impl PuzzleKind {
    /// The task, to encode, check and verify with.
    #[must_use]
    pub fn task(&self) -> Box<dyn Task> {
        match *self {
            Self::Sudoku(task) => Box::new(task),
            Self::Maze(task) => Box::new(task),
            Self::Arc(task) => Box::new(task),
            Self::Tokens(task) => Box::new(task),
        }
    }

    /// The generator of puzzles to measure with: easy sudokus, mazes of all layouts; none for ARC and tokens.
    ///
    /// # Errors
    /// A sudoku that is too large to be made.
    pub fn generator(&self) -> Result<Option<Box<dyn Generate>>> {
        Ok(match *self {
            Self::Sudoku(task) => Some(Box::new(SudokuGenerator::easy(task)?)),
            Self::Maze(task) => Some(Box::new(MazeGenerator::new(task))),
            Self::Arc(_) | Self::Tokens(_) => None,
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
    /// The question.
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

    /// Checks that the puzzle keeps its task's rules.
    ///
    /// # Errors
    ///
    /// Those of [`Task::check`]; [`PuzzleError::Invalid`] names where the puzzle came from.
    pub fn check(&self) -> Result<()> {
        self.task().check(&self.grid).map_err(|error| match error {
            PuzzleError::Invalid { violation, hint, .. } => {
                PuzzleError::Invalid { origin: Some(self.source.clone()), violation, hint }
            }
            other => other,
        })
    }

    /// A grid as one string in the input's own characters, row by row; ARC rows are separated by `/`, tokens by spaces.
    #[must_use]
    pub fn line(&self, grid: &Grid) -> String {
        let separator = match self.kind {
            PuzzleKind::Tokens(task) => return task.text(grid),
            PuzzleKind::Arc(_) => "/",
            PuzzleKind::Sudoku(_) | PuzzleKind::Maze(_) => "",
        };
        self.alphabet.text(grid).lines().collect::<Vec<_>>().join(separator)
    }

    /// A grid as several lines for people: a sudoku with its boxes, a maze with its path. [`parse`] reads it back.
    #[must_use]
    pub fn drawing(&self, grid: &Grid) -> String {
        match self.kind {
            PuzzleKind::Sudoku(task) => sudoku_text::drawing(task, grid, &self.alphabet),
            PuzzleKind::Maze(_) if self.alphabet.is_micromouse() => micromouse::print(grid, &self.alphabet),
            PuzzleKind::Maze(_) | PuzzleKind::Arc(_) => self.alphabet.text(grid),
            PuzzleKind::Tokens(task) => task.text(grid) + "\n",
        }
    }
}

/// Puzzles from a text in any form this crate knows. `origin` names the input in errors and in [`Puzzle::source`].
///
/// ARC json begins with `{`, and so do JSON lines, whose first line is an object with a puzzle, and such an object over several
/// lines; a MovingAI map or scenario file is told from its first line; everything else is [`text`].
///
/// # Errors
///
/// [`PuzzleError::Empty`] for a text without puzzles, [`PuzzleError::TooLarge`] for one above [`LIMITS`]; otherwise
/// the first line or cell that cannot be read.
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_within(origin, body, &mut budget)
}

/// As [`parse`], of bytes that were drawn on `budget`.
fn parse_within(origin: &str, body: Body<'_>, budget: &mut Budget) -> Result<Vec<Puzzle>> {
    let start = body.trim_ascii_start();
    if start.starts_with(b"{") && jsonl::looks_like(start) {
        return jsonl::parse_within(origin, body, None, budget);
    }
    if start.starts_with(b"{") {
        return arc_json::parse_within(origin, body, None, budget);
    }
    if start.starts_with(b"type ") || start.starts_with(b"version ") {
        return Err(PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: 1,
            fault: Fault::from("a MovingAI map has no start and goal of its own")
                .advise("give the path of the .map with its .map.scen beside it"),
        });
    }
    text::parse_within(origin, body, budget)
}

/// Puzzles from a file in any form this crate knows.
///
/// `x.map` takes start and goal from `x.map.scen` beside it (and `x.map.scen` its map from `x.map`);
/// `x_challenges.json` takes its solutions from `x_solutions.json` where that exists.
///
/// # Errors
///
/// [`PuzzleError::Io`] for a file that cannot be read; otherwise those of [`parse`].
pub fn read(path: &Path) -> Result<Vec<Puzzle>> {
    read_within(path, &mut Budget::new(LIMITS))
}

/// As [`read`], drawing on `budget`: the files that belong together share it.
fn read_within(path: &Path, budget: &mut Budget) -> Result<Vec<Puzzle>> {
    let origin = path.display().to_string();
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    match extension {
        "map" => moving_ai::read_within(path, &with_suffix(path, ".scen"), budget),
        "jsonl" => {
            let bytes = read_file(path, budget)?;
            jsonl::parse_within(&origin, Body::of(&bytes), None, budget)
        }
        "scen" => moving_ai::read_within(&path.with_extension(""), path, budget),
        "json" => {
            let solutions = solutions_path(path).filter(|path| path.is_file());
            let solutions = solutions.map(|path| read_file(&path, budget)).transpose()?;
            let bytes = read_file(path, budget)?;
            let body = Body::of(&bytes);
            if jsonl::looks_like(&body) {
                return jsonl::parse_within(&origin, body, None, budget);
            }
            arc_json::parse_within(&origin, body, solutions.as_deref().map(Body::of), budget)
        }
        _ => {
            let bytes = read_file(path, budget)?;
            parse_within(&origin, Body::of(&bytes), budget)
        }
    }
}

/// Puzzles for a model of one task. Sequences of tokens look like many other things, so they are read only for a model that
/// takes them; for any other, this is [`read`].
///
/// # Errors
///
/// Those of [`read`], and for tokens those of `token_text::read`.
pub fn read_for(path: &Path, kind: PuzzleKind) -> Result<Vec<Puzzle>> {
    match kind {
        PuzzleKind::Tokens(task) => token_text::read(path, task),
        PuzzleKind::Sudoku(_) | PuzzleKind::Maze(_) | PuzzleKind::Arc(_) => read(path),
    }
}

/// [`read_for`] from a text.
///
/// # Errors
///
/// Those of [`parse`], and for tokens those of `token_text::parse`.
pub fn parse_for(origin: &str, bytes: &[u8], kind: PuzzleKind) -> Result<Vec<Puzzle>> {
    match kind {
        PuzzleKind::Tokens(task) => token_text::parse(origin, bytes, task),
        PuzzleKind::Sudoku(_) | PuzzleKind::Maze(_) | PuzzleKind::Arc(_) => parse(origin, bytes),
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

/// A whole file, refused before it is read when it is longer than [`LIMITS`] allow.
///
/// # Errors
///
/// [`PuzzleError::Io`]; [`PuzzleError::TooLarge`] for a longer file.
pub fn read_limited(path: &Path) -> Result<Vec<u8>> {
    read_file(path, &mut Budget::new(LIMITS))
}
