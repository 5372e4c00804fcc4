//! Puzzles with their answers as JSON lines: `{"puzzle": "...", "answer": "..."}`, one object a line.
//!
//! A grid is a text in any form of [`super::text`] (rows joined by `\n`), a list of such rows, or a list of
//! rows of numbers: a sudoku's digits with 0 for blank, a maze's cell values, ARC's colours. `input` and `output` are
//! other names for `puzzle` and `answer`. Blank lines are passed over. A text that is one such object may take several lines.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use trm_intake::{Budget, Fault, Limits, Printable};

use super::body::{Body, counted};
use super::json_grid::{JsonGrid, LONGEST_TEXT};
use super::kept::Kept;
use super::{Alphabet, LIMITS, Puzzle, PuzzleKind, text, token_text};
use crate::{Arc, Grid, PuzzleError, Result, Task};

/// Grids bound what is kept of them; beside, no text is longer than the largest grid.
const JSON_LIMITS: Limits = Limits { items: u64::MAX, ..LIMITS };

/// The form of a line, for messages.
const EXPECTED: &str = "{\"puzzle\": GRID, \"answer\": GRID}, a grid being a text or a list of rows";

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a grid as `puzzle`")]
struct Line {
    #[serde(alias = "input")]
    puzzle: JsonGrid,
    #[serde(default, alias = "output", alias = "solution")]
    answer: Option<JsonGrid>,
    #[serde(default)]
    id: Option<String>,
}

/// True if a text is in this form: its first line, or all of it, is an object with a puzzle of its own.
pub(super) fn looks_like(body: &[u8]) -> bool {
    has_puzzle(first_line(body)) || has_puzzle(body)
}

/// True if a text is one object with a puzzle that takes more than a line.
fn is_spread(body: &[u8]) -> bool {
    !has_puzzle(first_line(body)) && has_puzzle(body)
}

fn first_line(body: &[u8]) -> &[u8] {
    body.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default()
}

fn has_puzzle(json: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Keys {
        #[serde(alias = "input")]
        puzzle: Option<NoObject>,
    }
    json.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Keys>(json).is_ok_and(|keys| keys.puzzle.is_some())
}

/// Any value but an object: `puzzle` can be the id of an ARC task as well.
struct NoObject;

impl<'de> Deserialize<'de> for NoObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoObject {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a grid")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Self, A::Error> {
        while rows.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
}

/// Puzzles of whatever task each line's grid looks like. Numbers are a sudoku where they can be one, else ARC colours.
///
/// # Errors
///
/// [`PuzzleError::Empty`], [`PuzzleError::TooLarge`]; else names the line that is no puzzle.
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_within(origin, body, None, &mut budget)
}

/// Puzzles of one task; a grid of another task or size is an error that names its line.
///
/// # Errors
///
/// Those of [`parse`], and [`PuzzleError::Syntax`] or those of the task for a grid of another task or size.
pub fn parse_for(origin: &str, bytes: &[u8], kind: PuzzleKind) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_within(origin, body, Some(kind), &mut budget)
}

/// As [`parse`] and [`parse_for`], of bytes that were drawn on `budget`.
pub(super) fn parse_within(
    origin: &str,
    body: Body<'_>,
    kind: Option<PuzzleKind>,
    budget: &mut Budget,
) -> Result<Vec<Puzzle>> {
    if let Some(PuzzleKind::Tokens(task)) = kind {
        return token_text::parse_within(origin, body, task);
    }
    Budget::new(JSON_LIMITS).take_json(&body, LONGEST_TEXT as u64).map_err(PuzzleError::exceeded(origin, "values"))?;
    let mut kept = Kept::new(origin, body.len());
    let lines = text::lines(origin, body, budget)?;
    if is_spread(&body) {
        // The parser counts the lines.
        let text = std::str::from_utf8(&body).unwrap_or_default();
        kept.push(puzzle(origin, 1, text, kind)?)?;
        return kept.some();
    }
    for line in lines.iter().filter(|line| !line.is_blank()) {
        kept.push(puzzle(origin, line.number, line.text, kind)?)?;
    }
    kept.some()
}

/// One object, which begins in this line.
fn puzzle(origin: &str, line: usize, text: &str, kind: Option<PuzzleKind>) -> Result<Puzzle> {
    let source = format!("{origin}:{line}");
    let syntax = |line, fault: Fault| PuzzleError::Syntax { origin: origin.to_owned(), line, fault };
    let parsed: Line = serde_json::from_str(text).map_err(|error| {
        // The parser counts from where the object begins.
        let line = line + error.line().saturating_sub(1);
        let reason = error.to_string();
        let reason = Printable(reason.split(" at line ").next().unwrap_or_default());
        let fault = Fault::from(format!("column {}: {reason}", error.column().max(1)));
        syntax(line, fault.advise(format!("expected one object a line: {EXPECTED}")))
    })?;
    let mut puzzle = grid(&source, "puzzle", &parsed.puzzle, kind)?;
    if let Some(answer) = &parsed.answer {
        let answer = grid(&source, "answer", answer, Some(puzzle.kind))?.grid;
        if answer.size() != puzzle.grid.size() && !matches!(puzzle.kind, PuzzleKind::Arc(_)) {
            let (found, expected) = (answer.size(), puzzle.grid.size());
            let fault =
                Fault::from(format!("the answer is {}x{}, the puzzle {}x{}", found.0, found.1, expected.0, expected.1));
            return Err(syntax(line, fault.advise("both grids of a line need the same size")));
        }
        puzzle.solution = Some(answer);
    }
    puzzle.source = source;
    puzzle.id = parsed.id;
    Ok(puzzle)
}

/// One grid. `what` is the key it stands under.
fn grid(source: &str, what: &'static str, json: &JsonGrid, kind: Option<PuzzleKind>) -> Result<Puzzle> {
    let place = format!("{source} ({what})");
    let mut puzzle = match json {
        JsonGrid::Text(rows) => from_text(&place, rows, kind)?,
        JsonGrid::Rows(rows) => from_text(&place, &rows.join("\n"), kind)?,
        JsonGrid::Numbers(rows) => from_numbers(&place, rows, kind)?,
    };
    if let Some(kind) = kind.filter(|kind| !matches!(kind, PuzzleKind::Arc(_))) {
        let task = kind.task();
        let found = puzzle.kind.task();
        let same = (task.name(), task.height(), task.width()) == (found.name(), found.height(), found.width());
        if !same {
            let fault = Fault::from(format!(
                "a {} of {}x{}, expected a {} of {}x{}",
                found.name(),
                found.height(),
                found.width(),
                task.name(),
                task.height(),
                task.width()
            ));
            return Err(PuzzleError::data(place, fault.advise("every line needs the task and size of the model")));
        }
        // A text does not always show its box shape.
        puzzle.kind = kind;
    }
    Ok(puzzle)
}

fn from_text(place: &str, rows: &str, kind: Option<PuzzleKind>) -> Result<Puzzle> {
    if let Some(PuzzleKind::Arc(_)) = kind {
        let digit = |c: char| c.to_digit(10).map(|digit| digit as u8);
        let rows: Option<Vec<Vec<u8>>> = rows.lines().map(|row| row.chars().map(digit).collect()).collect();
        return arc(place, &rows.unwrap_or_default());
    }
    let mut puzzles = text::parse(place, rows.as_bytes())?;
    match (puzzles.pop(), puzzles.len()) {
        (Some(puzzle), 0) => Ok(puzzle),
        (_, before) => Err(PuzzleError::data(place, format!("{} grids, expected one", before + 1))),
    }
}

fn from_numbers(place: &str, rows: &[Vec<u8>], kind: Option<PuzzleKind>) -> Result<Puzzle> {
    match kind {
        Some(PuzzleKind::Arc(_)) => arc(place, rows),
        Some(PuzzleKind::Maze(_)) => {
            let grid = Grid::from_rows(rows)?;
            text::maze_puzzle(place.to_owned(), grid, Alphabet::maze('#', ' '))
        }
        Some(PuzzleKind::Sudoku(_)) => from_text(place, &spaced(rows), kind),
        Some(PuzzleKind::Tokens(task)) => {
            Err(PuzzleError::data(place, format!("rows of numbers are no sequence of {} tokens", task.seq_len())))
        }
        None => from_text(place, &spaced(rows), kind).or_else(|_| arc(place, rows)),
    }
}

/// Rows as numbers parted by spaces.
fn spaced(rows: &[Vec<u8>]) -> String {
    let row = |row: &Vec<u8>| row.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn arc(place: &str, rows: &[Vec<u8>]) -> Result<Puzzle> {
    let kind = PuzzleKind::Arc(Arc);
    let grid = Grid::from_rows(rows).ok().filter(|grid| !grid.cells().is_empty() && kind.task().check(grid).is_ok());
    let grid = grid
        .ok_or_else(|| PuzzleError::data(place, "neither a sudoku nor a rectangle of 1x1 to 30x30 colours 0 to 9"))?;
    Ok(Puzzle { source: place.to_owned(), id: None, grid, kind, alphabet: Alphabet::arc(), solution: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Maze, Sudoku};

    const PUZZLE: &str = "1..4..1.2..33..2";
    const ANSWER: &str = "1234341221434321";

    fn error(text: &str) -> String {
        trm_intake::explained(&parse("d.jsonl", text.as_bytes()).expect_err(text))
    }

    #[test]
    fn every_spelling_is_the_same_grid() {
        let rows = "[[1,0,0,4],[0,0,1,0],[2,0,0,3],[3,0,0,2]]";
        let text = format!(
            "{{\"puzzle\": \"{PUZZLE}\", \"answer\": \"{ANSWER}\"}}\n\n\
             {{\"input\": [\"1..4\", \"..1.\", \"2..3\", \"3..2\"], \"output\": \"{ANSWER}\"}}\r\n\
             {{\"puzzle\": {rows}, \"solution\": \"1234\\n3412\\n2143\\n4321\", \"id\": \"last\"}}\n"
        );
        let puzzles = parse("d.jsonl", text.as_bytes()).expect("readable");
        let sources: Vec<&str> = puzzles.iter().map(|puzzle| puzzle.source.as_str()).collect();
        assert_eq!(sources, ["d.jsonl:1", "d.jsonl:3", "d.jsonl:4"]);
        assert_eq!(puzzles[2].id.as_deref(), Some("last"));
        for puzzle in &puzzles {
            assert_eq!((&puzzle.grid, &puzzle.solution), (&puzzles[0].grid, &puzzles[0].solution));
            assert_eq!(puzzle.kind, PuzzleKind::Sudoku(Sudoku::new(2, 2).expect("a shape")));
        }
        assert_eq!(super::super::parse("d", text.as_bytes()).expect("told by its first line").len(), 3);
    }

    #[test]
    fn mazes_and_arc_grids_are_lines_too() {
        let maze = "{\"puzzle\": \"#####\\n#S G#\\n#####\", \"answer\": \"#####\\n#SoG#\\n#####\"}";
        let puzzle = &parse("m", maze.as_bytes()).expect("readable")[0];
        assert_eq!(puzzle.kind, PuzzleKind::Maze(Maze::new(3, 5).expect("a size")));
        let verdict = puzzle.task().verify(&puzzle.grid, puzzle.solution.as_ref().expect("an answer"));
        assert!(verdict.is_verified());
        let arc = "{\"input\": [[0, 7]], \"output\": [[7], [0]]}";
        let puzzle = &parse("a", arc.as_bytes()).expect("readable")[0];
        assert_eq!((puzzle.grid.size(), puzzle.solution.as_ref().map(Grid::size)), ((1, 2), Some((2, 1))));
        // Nine rows of nine colours are a sudoku to a guess, and ARC to an ARC model.
        let nine = format!("{{\"input\": {:?}}}", vec![vec![0_u8; 9]; 9]);
        assert!(matches!(parse("n", nine.as_bytes()).expect("readable")[0].kind, PuzzleKind::Sudoku(_)));
        let kind = PuzzleKind::Arc(Arc);
        assert_eq!(parse_for("n", nine.as_bytes(), kind).expect("readable")[0].kind, kind);
    }

    #[test]
    fn one_object_may_take_several_lines() {
        let spread = "{\n  \"puzzle\": [\n    [1, 0, 0, 4],\n [0, 0, 1, 0],\r\n [2, 0, 0, 3],\n [3, 0, 0, 2]\n  ]\n}\n";
        let puzzles = super::super::parse("d", spread.as_bytes()).expect("readable");
        assert_eq!((puzzles.len(), puzzles[0].source.as_str()), (1, "d:1"));
        assert_eq!(puzzles[0].grid, parse("d", format!("{{\"puzzle\": \"{PUZZLE}\"}}").as_bytes()).unwrap()[0].grid);
        assert!(error(&spread.replace(" 3]", " 300]")).starts_with("d.jsonl:5: column "), "{}", error(spread));
        // An object under that name is a task by its id.
        let task = "{\"puzzle\": {\"test\": [{\"input\": [[5]]}]}}";
        let puzzles = super::super::parse("d", task.as_bytes()).expect("readable");
        assert_eq!(puzzles[0].id.as_deref(), Some("puzzle"));
    }

    #[test]
    fn errors_name_the_line_and_what_was_expected() {
        let good = format!("{{\"puzzle\": \"{PUZZLE}\"}}\n");
        for (line, expected) in [
            (
                "{\"puzzle\": ",
                "d.jsonl:2: column 11: EOF while parsing a value\nhint: expected one object a line: {\"puzzle\"",
            ),
            ("[1, 2]", "d.jsonl:2: column "),
            ("{\"answer\": \"1\"}", "d.jsonl:2: column 15: missing field `puzzle`"),
            ("{\"puzle\": \"1\"}", "d.jsonl:2: column 8: unknown field `puzle`"),
            ("{\"puzzle\": \"1..4..1.2..x3..2\"}", "d.jsonl:2 (puzzle):1:12: unknown character 'x'"),
            (
                "{\"puzzle\": \"1..4..1.2..33..2\", \"answer\": \"#S G#\"}",
                "d.jsonl:2 (answer): a maze of 1x5, expected a sudoku of 4x4\nhint: ",
            ),
            ("{\"puzzle\": [[1, 2], [3]]}", "d.jsonl:2 (puzzle): neither a sudoku nor a rectangle"),
        ] {
            let message = error(&format!("{good}{line}"));
            assert!(message.starts_with(expected), "{line}\ngives    {message}\nexpected {expected}");
        }
        assert!(error("\n\n").starts_with("d.jsonl: no puzzle in the input"));
        let kind = PuzzleKind::Sudoku(Sudoku::default());
        let message = trm_intake::explained(&parse_for("d.jsonl", good.as_bytes(), kind).expect_err("4x4"));
        assert!(
            message.starts_with("d.jsonl:1 (puzzle): a sudoku of 4x4, expected a sudoku of 9x9\nhint: "),
            "{message}"
        );
    }
}
