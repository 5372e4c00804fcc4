//! The forms in which people and programs have puzzles.
//!
//! [`parse`] takes a text and finds out what it is; [`read`] takes a path, and finds the files that belong together
//! (a MovingAI map and its scenarios, ARC challenges and their solutions). Data sets of the public training code are
//! read by [`DataSet`](crate::DataSet).

mod alphabet;
pub mod arc_json;
pub mod arc_subset;
mod body;
mod csv;
mod dialect;
mod encoding;
mod givens;
mod json_grid;
mod json_object;
mod json_rooms;
mod json_spelled;
mod json_tree;
pub mod jsonl;
mod kept;
mod keys;
mod lines;
mod list;
mod maze;
pub mod moving_ai;
pub(crate) mod npy;
mod packed;
mod reading;
mod stream;
mod sudoku;
pub mod text;
pub mod token_text;

use std::path::{Path, PathBuf};

pub use alphabet::Alphabet;
use body::{Body, read_file};
pub use dialect::{DIALECTS, Dialect, dialect_of};
pub use reading::{Family, Reading};
pub use stream::Stream;
pub use sudoku::Numerals;
pub use text::{parse_all, parse_as};
use trm_intake::{Budget, Fault, Limits};

use crate::{
    Arc, Example, Generate, Grid, Maze, MazeGenerator, PuzzleError, Result, Sudoku, SudokuGenerator, Task, Tokens,
    Verdict,
};

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
    /// The difficulty that a table gives it (`rating`, `difficulty`), without fraction.
    pub rating: Option<u32>,
    /// A remark, where the input does not tell how it is meant: how it was taken.
    pub note: Option<String>,
}

impl Puzzle {
    /// The puzzle with its answer.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Data`] if the input holds no answer, or one that the rules do not accept.
    pub fn labelled(self) -> Result<Example> {
        let refused = |fault: Fault| PuzzleError::data(&self.source, fault);
        let Some(solution) = self.solution else {
            return Err(refused(
                Fault::from("no answer to learn from").advise("name the column of the answers `solution`"),
            ));
        };
        match self.kind.task().verify(&self.grid, &solution) {
            Verdict::Verified { .. } | Verdict::Unverifiable { .. } => Ok(Example { puzzle: self.grid, solution }),
            verdict => Err(refused(format!("the answer is not right: {verdict}").into())),
        }
    }

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
                let read_as = self.read_as().map(|kind| format!(": read as {kind}")).unwrap_or_default();
                // One wrong given is twice in one row and one column at most.
                let hint = if self.repeats_in_several_rows() {
                    "several rows or columns repeat a number: no sudoku, or one that was filled in wrongly; a blank is 0 or .".to_owned()
                } else {
                    hint
                };
                PuzzleError::Invalid { origin: Some(format!("{}{read_as}", self.source)), violation, hint }
            }
            other => other,
        })
    }

    /// True for a sudoku of which several rows, or several columns, hold a number twice.
    fn repeats_in_several_rows(&self) -> bool {
        let repeats = |line: &[u8]| line.iter().enumerate().any(|(at, value)| *value > 0 && line[..at].contains(value));
        let column = |column| self.grid.rows().map(|row| row[column]).collect::<Vec<_>>();
        matches!(self.kind, PuzzleKind::Sudoku(_))
            && (self.grid.rows().filter(|row| repeats(row)).count() > 1
                || (0..self.grid.width()).filter(|&at| repeats(&column(at))).count() > 1)
    }

    /// The kind that a text was taken for which may be no sudoku at all; `None` for the usual ones.
    fn read_as(&self) -> Option<String> {
        let PuzzleKind::Sudoku(task) = self.kind else { return None };
        let numerals = self.alphabet.numerals()?;
        let side = task.side();
        let is_letter = |&value: &u8| value == 0 || value > 9;
        let has_letters = numerals == Numerals::Letters || (side > 9 && self.grid.cells().iter().all(is_letter));
        let symbols = if has_letters { " of letters" } else { "" };
        (side != 9 || numerals != Numerals::FromOne).then(|| format!("a {side}x{side} sudoku{symbols}"))
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
            PuzzleKind::Sudoku(task) => sudoku::drawing(task, grid, &self.alphabet),
            PuzzleKind::Maze(_) if self.alphabet.is_micromouse() => maze::print(grid, &self.alphabet),
            PuzzleKind::Maze(_) | PuzzleKind::Arc(_) => self.alphabet.text(grid),
            PuzzleKind::Tokens(task) => task.text(grid) + "\n",
        }
    }
}

/// The content of an input.
#[derive(Debug, Default)]
pub struct Found {
    /// The puzzles.
    pub puzzles: Vec<Puzzle>,
    /// Lines that could not be read and were set aside.
    pub failures: Vec<PuzzleError>,
}

impl From<Vec<Puzzle>> for Found {
    fn from(puzzles: Vec<Puzzle>) -> Self {
        Self { puzzles, failures: Vec::new() }
    }
}

/// Puzzles from a text in any of the [`DIALECTS`]. `origin` names the input in errors and in [`Puzzle::source`].
///
/// # Errors
///
/// [`PuzzleError::Empty`] for a text without puzzles, [`PuzzleError::TooLarge`] for one above [`LIMITS`],
/// [`PuzzleError::Ambiguous`] for one that can be read in several ways; otherwise the first line or cell that cannot be read.
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    parse_as(origin, bytes, &Reading::default())
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
    read_as(path, &Reading::default())
}

/// As [`read`], of what is said about the file.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_as(path: &Path, reading: &Reading) -> Result<Vec<Puzzle>> {
    read_all(path, reading).map(|found| found.puzzles)
}

/// As [`read_as`], with what was set aside where reading is to go on.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_all(path: &Path, reading: &Reading) -> Result<Found> {
    read_within(path, reading, &mut Budget::new(LIMITS))
}

/// As [`read_all`], drawing on `budget`: the files that belong together share it.
fn read_within(path: &Path, reading: &Reading, budget: &mut Budget) -> Result<Found> {
    if let Some(task) = reading.tokens {
        return token_text::read(path, task).map(Found::from);
    }
    if let Some((map, scenarios)) = moving_ai_pair(path) {
        return moving_ai::read_within(&map, &scenarios, budget).map(Found::from);
    }
    if path.is_dir() {
        return read_folder(path, reading, budget);
    }
    let bytes = read_file(path, budget)?;
    read_file_bytes(path, &bytes, reading, budget)
}

/// The puzzles of a file that is not read by its name alone, and whose bytes are known.
fn read_file_bytes(path: &Path, bytes: &[u8], reading: &Reading, budget: &mut Budget) -> Result<Found> {
    let origin = path.display().to_string();
    if let Some(members) = packed::members(path, bytes, budget)? {
        let read = |(name, bytes): &packed::Member| read_bytes(name, bytes, reading, budget);
        return all_of(path, members.iter().map(read), reading);
    }
    let body = Body::of(bytes);
    if let Some(solutions) = solutions_path(path).filter(|path| path.is_file()) {
        let solutions = read_file(&solutions, budget)?;
        return arc_json::parse_within(&origin, body, Some(Body::of(&solutions)), budget).map(Found::from);
    }
    read_bytes(path, bytes, reading, budget)
}

/// The puzzles of all files in a folder that hold any.
fn read_folder(folder: &Path, reading: &Reading, budget: &mut Budget) -> Result<Found> {
    let files = packed::files(folder, budget)?;
    let read = |file: &PathBuf| {
        read_within(file, reading, budget).map_err(|error| match start_of(file) {
            Some(start) if dialect::is_foreign(&start, &error) => {
                PuzzleError::Empty { origin: file.display().to_string() }
            }
            _ => error,
        })
    };
    all_of(folder, files.iter().map(read), reading)
}

/// The beginning of a file that is not packed, as text; `None` if it cannot be read.
fn start_of(file: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::new();
    std::fs::File::open(file).ok()?.take(dialect::BEGINNING as u64).read_to_end(&mut start).ok()?;
    let is_packed = start.starts_with(b"PK\x03\x04") || packed::Unpacking::of(&start).is_some();
    (!is_packed).then(|| encoding::utf8(&start).into_owned())
}

/// Joins what several files hold. One without puzzles is passed over.
fn all_of(path: &Path, parts: impl Iterator<Item = Result<Found>>, reading: &Reading) -> Result<Found> {
    let mut all = Found::default();
    for part in parts {
        match part {
            Ok(found) => {
                all.puzzles.extend(found.puzzles);
                all.failures.extend(found.failures);
            }
            Err(PuzzleError::Empty { .. }) => {}
            Err(error) if reading.keep_going => all.failures.push(error),
            Err(error) => return Err(error),
        }
    }
    if all.puzzles.is_empty() && all.failures.is_empty() {
        return Err(PuzzleError::Empty { origin: path.display().to_string() });
    }
    Ok(all)
}

/// The puzzles of a file whose bytes are known.
fn read_bytes(path: &Path, bytes: &[u8], reading: &Reading, budget: &mut Budget) -> Result<Found> {
    let origin = path.display().to_string();
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("maz")) && maze::is_maz(bytes) {
        return maze::maz(&origin, bytes).map(|puzzle| vec![puzzle].into());
    }
    let decoded = encoding::utf8(Body::of(bytes).bytes());
    let mut found = dialect::read(&origin, Body::of(&decoded), reading, budget)?;
    // A task of ARC is known by its file's name.
    let name = path.file_stem().and_then(|stem| stem.to_str());
    for puzzle in
        found.puzzles.iter_mut().filter(|puzzle| matches!(puzzle.kind, PuzzleKind::Arc(_)) && puzzle.id.is_none())
    {
        puzzle.id = name.map(str::to_owned);
    }
    Ok(found)
}

/// The map and the scenarios that belong to one of them.
fn moving_ai_pair(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "scen" => Some((path.with_extension(""), path.to_owned())),
        "map" if is_moving_ai(path) => Some((path.to_owned(), with_suffix(path, ".scen"))),
        _ => None,
    }
}

/// True if a file begins as a MovingAI map.
fn is_moving_ai(path: &Path) -> bool {
    use std::io::Read;
    let mut start = Vec::new();
    let file = std::fs::File::open(path);
    // A file that cannot be read is reported by whoever reads it.
    file.is_ok_and(|file| file.take(64).read_to_end(&mut start).is_ok())
        && start.trim_ascii_start().starts_with(b"type ")
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
