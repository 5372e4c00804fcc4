//! Tables whose first line names their columns.
//!
//! `quizzes,solutions` (the million sudokus of Kaggle), `source,question,answer,rating` (Sudoku-Extreme and Maze-Hard), and the
//! like. A grid is a line of its characters; spaces in it are cells.

use trm_intake::{Fault, Printable};

use super::body::Body;
use super::kept::Kept;
use super::keys::Role;
use super::lines::Line;
use super::{Family, Puzzle, Reading, maze, sudoku};
use crate::{PuzzleError, Result};

/// The delimiter of a line of names.
fn delimiter(line: &str) -> Option<char> {
    let named = |delimiter: &char| {
        line.split(*delimiter).any(|field| matches!(Role::of(field), Some(Role::Question | Role::Answer)))
    };
    [',', ';', '\t'].into_iter().filter(|&delimiter| line.contains(delimiter)).find(named)
}

/// True for a table: its first line names columns.
pub(super) fn looks_like(lines: &[Line<'_>]) -> bool {
    lines
        .iter()
        .find(|line| !line.is_blank())
        .is_some_and(|line| line.text.len() < 1000 && delimiter(line.text).is_some())
}

/// The columns of a table.
pub(super) struct Columns {
    delimiter: u8,
    question: usize,
    answer: Option<usize>,
    id: Option<usize>,
    rating: Option<usize>,
}

/// Names of the column that says how hard a puzzle is.
const RATINGS: [&str; 2] = ["rating", "difficulty"];

impl Columns {
    /// The columns that a first line names.
    pub(super) fn of(origin: &str, line: Line<'_>) -> Result<Self> {
        let delimiter = delimiter(line.text).unwrap_or(',');
        let place = |role| line.text.split(delimiter).position(|field| Role::of(field) == Some(role));
        let question = place(Role::Question).ok_or_else(|| PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: line.number,
            fault: Fault::from(format!(
                "a table with the columns {}, none of them of puzzles",
                Printable(line.text.trim())
            ))
            .advise("name the column of the puzzles `puzzle`, that of the answers `solution`"),
        })?;
        let is_rating = |field: &str| {
            let field = field.trim().trim_matches('"').trim();
            RATINGS.iter().any(|known| field.eq_ignore_ascii_case(known))
        };
        let rating = line.text.split(delimiter).position(is_rating);
        Ok(Self { delimiter: delimiter as u8, question, answer: place(Role::Answer), id: place(Role::Id), rating })
    }

    /// The puzzles of records, before which there were so many lines; `headed` if the first names the columns.
    pub(super) fn read(
        &self,
        origin: &str,
        body: Body<'_>,
        lines_before: usize,
        headed: bool,
        reading: &Reading,
        kept: &mut Kept<'_>,
    ) -> Result<()> {
        let mut reader = csv::ReaderBuilder::new();
        reader.delimiter(self.delimiter).flexible(true).has_headers(headed);
        let mut records = reader.from_reader(body.bytes());
        let mut record = csv::StringRecord::new();
        loop {
            let line = lines_before + records.position().line() as usize;
            let more = records.read_record(&mut record).map_err(|error| PuzzleError::Syntax {
                origin: origin.to_owned(),
                line,
                fault: Fault::from(format!("not a record of a table: {}", Printable(&error.to_string()))),
            })?;
            if !more {
                return Ok(());
            }
            let line = record.position().map_or(line, |position| lines_before + position.line() as usize);
            if record.iter().any(|field| !field.trim().is_empty()) {
                match self.puzzle(origin, line, &record, reading) {
                    Ok(puzzle) => kept.push(puzzle)?,
                    Err(error) => kept.fail(reading, error)?,
                }
            }
        }
    }

    /// The puzzle of a record.
    fn puzzle(&self, origin: &str, line: usize, record: &csv::StringRecord, reading: &Reading) -> Result<Puzzle> {
        let columns = record.len();
        let fault = |fault: String| PuzzleError::Syntax { origin: origin.to_owned(), line, fault: fault.into() };
        let question = record.get(self.question).filter(|field| !field.is_empty());
        let question =
            question.ok_or_else(|| fault(format!("no puzzle in column {} of {columns}", self.question + 1)))?;
        let mut puzzle = field(origin, line, question, reading)?;
        if let Some(answer) =
            self.answer.and_then(|answer| record.get(answer)).filter(|answer| !answer.trim().is_empty())
        {
            let answer = field(origin, line, answer, &Reading::like(&puzzle))?.grid;
            if answer.size() != puzzle.grid.size() {
                return Err(fault("the answer has another size than the puzzle".into()));
            }
            puzzle.solution = Some(answer);
        }
        let id = self.id.and_then(|id| record.get(id)).filter(|id| !id.trim().is_empty());
        puzzle.id = id.map(|id| id.chars().take(80).collect());
        let rating =
            self.rating.and_then(|rating| record.get(rating)).and_then(|field| field.trim().parse::<f64>().ok());
        // A number outside of these becomes the nearest of them.
        puzzle.rating = rating.filter(|rating| !rating.is_nan()).map(|rating| rating as u32);
        Ok(puzzle)
    }
}

/// The puzzle that a field is.
fn field(origin: &str, line: usize, text: &str, reading: &Reading) -> Result<Puzzle> {
    let source = format!("{origin}:{line}");
    let row = Line { number: line, text };
    if reading.allows(Family::Sudoku)
        && let Some(puzzle) = sudoku::in_line(origin, row, reading)
    {
        return puzzle;
    }
    if reading.allows(Family::Maze)
        && let Some(puzzle) = maze::in_line(source.clone(), text)
    {
        return puzzle;
    }
    if text.contains('\n') {
        let mut puzzles = super::parse_as(&source, text.as_bytes(), reading)?;
        if let (Some(puzzle), true) = (puzzles.pop(), puzzles.is_empty()) {
            return Ok(Puzzle { source, ..puzzle });
        }
    }
    let count = text.chars().count();
    Err(PuzzleError::Syntax {
        origin: origin.to_owned(),
        line,
        fault: Fault::from(format!("a field of {count} characters is no puzzle"))
            .advise("a sudoku of 9x9 has 81 characters, a maze of 30x30 has 900"),
    })
}

/// The puzzles of a table.
pub(super) fn read(origin: &str, body: Body<'_>, reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    let text = String::from_utf8_lossy(body.bytes());
    let first = text.lines().zip(1..).find(|(text, _)| !text.trim().is_empty());
    let Some((first, number)) = first else { return Ok(()) };
    Columns::of(origin, Line { number, text: first })?.read(origin, body, 0, true, reading, kept)
}
