//! ARC tasks as JSON: one task a file (`train`, `test`), or the Kaggle form with many tasks by id and a second file
//! of solutions.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use trm_intake::{Budget, Printable};

use super::body::{Body, counted};
use super::kept::Kept;
use super::{Alphabet, LIMITS, Puzzle, PuzzleKind};
use crate::arc::CANVAS;
use crate::json::Number;
use crate::{Arc, Example, Grid, PuzzleError, Result, Task};

pub use crate::arc::ArcTask;

/// The longest id of a task, or name of a field, in bytes.
const LONGEST_NAME: u64 = 4 << 10;

/// The most rows of a grid, or cells of a row, that are read. A larger one than [`CANVAS`] is refused, by its size.
const MOST: usize = 1_000;

/// A grid of colours; `None` if the rows are no rectangle, or a larger one than any of ARC's.
struct JsonGrid(Option<Grid>);

impl Serialize for JsonGrid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flat_map(Grid::rows))
    }
}

impl<'de> Deserialize<'de> for JsonGrid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(GridVisitor)
    }
}

/// Reads a grid into one list of cells: a list for each row would take twenty times a small grid's text.
struct GridVisitor;

impl<'de> Visitor<'de> for GridVisitor {
    type Value = JsonGrid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<JsonGrid, A::Error> {
        let (mut cells, mut height, mut width, mut fits) = (Vec::new(), 0, 0, true);
        while let Some(length) = rows.next_element_seed(RowInto { cells: &mut cells, keep: fits })? {
            if height == 0 {
                width = length;
            }
            height += 1;
            if height > MOST {
                return Err(A::Error::custom(format_args!("a grid of more than {MOST} rows")));
            }
            fits &= length == width && length <= CANVAS && height <= CANVAS;
        }
        let grid = if fits { Grid::from_cells(height, width, cells).ok() } else { None };
        Ok(JsonGrid(grid))
    }
}

/// Appends a row to the cells, no more of it than a row of ARC has, and tells its length.
struct RowInto<'c> {
    cells: &'c mut Vec<u8>,
    keep: bool,
}

impl<'de> DeserializeSeed<'de> for RowInto<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowInto<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of colours")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<usize, A::Error> {
        let mut length = 0;
        while let Some(Colour(cell)) = row.next_element()? {
            if self.keep && length < CANVAS {
                self.cells.push(cell);
            }
            length += 1;
            if length > MOST {
                return Err(A::Error::custom(format_args!("a row of more than {MOST} cells")));
            }
        }
        Ok(length)
    }
}

/// A cell: a number; or, as MiniARC's files have it, a digit in quotes, and `null` for a cell that nobody coloured.
struct Colour(u8);

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ColourVisitor).map(Self)
    }
}

struct ColourVisitor;

impl Visitor<'_> for ColourVisitor {
    type Value = u8;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(u8::EXPECTED)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u8, E> {
        u8::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<u8, E> {
        Ok(0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u8, E> {
        match text.as_bytes() {
            [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object with a grid as `input`, and one as `output`")]
struct JsonPair {
    input: JsonGrid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<JsonGrid>,
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "a task: an object with the lists `train` and `test`")]
struct JsonTask {
    #[serde(default)]
    train: Vec<JsonPair>,
    test: Vec<JsonPair>,
}

/// The keys that tell a single task from tasks by id.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Keys {
    #[serde(alias = "test_examples")]
    test: Option<IgnoredAny>,
}

/// A task with a name of its own.
#[derive(Deserialize)]
#[serde(expecting = "a task: an object with the lists `train` and `test`")]
struct NamedTask {
    #[serde(default, alias = "task_id", alias = "name", alias = "task_key")]
    id: Option<String>,
    #[serde(default, alias = "training_examples")]
    train: Vec<JsonPair>,
    #[serde(alias = "test_examples")]
    test: Vec<JsonPair>,
}

impl NamedTask {
    /// The task by its name, or by its place.
    fn named(self, index: usize) -> (String, JsonTask) {
        (self.id.unwrap_or_else(|| index.to_string()), JsonTask { train: self.train, test: self.test })
    }

    fn unnamed(self) -> (String, JsonTask) {
        (self.id.unwrap_or_default(), JsonTask { train: self.train, test: self.test })
    }
}

/// The lines of a text that has a task in each; `None` for one object over all lines.
fn task_lines(body: &[u8]) -> Option<Vec<&[u8]>> {
    let lines = || body.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let is_task = |line: &[u8]| serde_json::from_slice::<Keys>(line).is_ok_and(|keys| keys.test.is_some());
    (lines().nth(1).is_some() && lines().next().is_some_and(is_task)).then(|| lines().collect())
}

fn from_json<'de, T: Deserialize<'de>>(origin: &str, bytes: &'de [u8], expected: &'static str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| PuzzleError::Json { origin: origin.to_owned(), expected, source })
}

/// Parses tasks, in the order of their ids. `solutions` is the content of the Kaggle solutions file.
///
/// # Errors
///
/// [`PuzzleError::TooLarge`] for too long a text, [`PuzzleError::Json`] for one of another shape,
/// [`PuzzleError::Data`] for a grid that is no rectangle of 1x1 to 30x30 colours, and for an example without output.
pub fn parse_tasks(origin: &str, bytes: &[u8], solutions: Option<&[u8]>) -> Result<Vec<ArcTask>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_tasks_within(origin, body, solutions.map(Body::of), &mut budget)
}

/// As [`parse_tasks`], of bytes that were drawn on `budget`.
pub(super) fn parse_tasks_within(
    origin: &str,
    body: Body<'_>,
    solutions: Option<Body<'_>>,
    budget: &mut Budget,
) -> Result<Vec<ArcTask>> {
    const EXPECTED: &str = "an ARC task {\"train\": [...], \"test\": [...]}, such tasks by their ids, or {\"puzzle\": GRID, \"answer\": GRID}";
    for json in [Some(body), solutions].into_iter().flatten() {
        let unit = "lists, objects and names";
        budget.take_json(&json, LONGEST_NAME).map_err(PuzzleError::exceeded(origin, unit))?;
    }
    let tasks: Vec<(String, JsonTask)> = if body.trim_ascii_start().starts_with(b"[") {
        let tasks: Vec<NamedTask> = from_json(origin, &body, EXPECTED)?;
        tasks.into_iter().zip(0..).map(|(task, index): (_, usize)| task.named(index)).collect()
    } else if let Some(lines) = task_lines(&body) {
        let task = |(line, index): (&[u8], usize)| Ok(from_json::<NamedTask>(origin, line, EXPECTED)?.named(index));
        lines.into_iter().zip(0..).map(task).collect::<Result<_>>()?
    } else if from_json::<Keys>(origin, &body, EXPECTED)?.test.is_some() {
        vec![from_json::<NamedTask>(origin, &body, EXPECTED)?.unnamed()]
    } else {
        from_json::<BTreeMap<String, JsonTask>>(origin, &body, EXPECTED)?.into_iter().collect()
    };
    let mut solutions: BTreeMap<String, Vec<JsonGrid>> = match solutions {
        Some(body) => from_json(origin, &body, "lists of output grids by task id")?,
        None => BTreeMap::new(),
    };
    tasks
        .into_iter()
        .map(|(id, task)| {
            let solved = solutions.remove(&id).unwrap_or_default();
            convert(origin, id, &task, &solved)
        })
        .collect()
}

fn convert(origin: &str, id: String, task: &JsonTask, solved: &[JsonGrid]) -> Result<ArcTask> {
    let label = Printable(if id.is_empty() { "the task" } else { &id });
    let to_grid = |JsonGrid(grid): &JsonGrid, what: String| {
        grid.clone().filter(|grid| !grid.cells().is_empty() && Arc.check(grid).is_ok()).ok_or_else(|| {
            PuzzleError::data(origin, format!("{label}, {what}: not a rectangle of 1x1 to 30x30 colours 0 to 9"))
        })
    };
    let train = task
        .train
        .iter()
        .enumerate()
        .map(|(i, pair)| {
            let output = pair
                .output
                .as_ref()
                .ok_or_else(|| PuzzleError::data(origin, format!("{label}, train pair {i}: no output")))?;
            Ok(Example {
                puzzle: to_grid(&pair.input, format!("train input {i}"))?,
                solution: to_grid(output, format!("train output {i}"))?,
            })
        })
        .collect::<Result<_>>()?;
    let test = task
        .test
        .iter()
        .enumerate()
        .map(|(i, pair)| {
            let output = pair.output.as_ref().or_else(|| solved.get(i));
            let output = output.map(|rows| to_grid(rows, format!("test output {i}")));
            Ok((to_grid(&pair.input, format!("test input {i}"))?, output.transpose()?))
        })
        .collect::<Result<_>>()?;
    Ok(ArcTask { id, train, test })
}

/// Every test input as a puzzle.
///
/// # Errors
///
/// Those of [`parse_tasks`], and [`PuzzleError::Data`] if no task has a test input.
pub fn parse(origin: &str, bytes: &[u8], solutions: Option<&[u8]>) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_within(origin, body, solutions.map(Body::of), &mut budget)
}

/// The puzzles of a text.
pub(super) fn read(origin: &str, body: Body<'_>, kept: &mut Kept<'_>) -> Result<()> {
    let puzzles = parse_within(origin, body, None, &mut Budget::new(LIMITS))?;
    puzzles.into_iter().try_for_each(|puzzle| kept.push(puzzle))
}

/// As [`parse`], of bytes that were drawn on `budget`.
pub(super) fn parse_within(
    origin: &str,
    body: Body<'_>,
    solutions: Option<Body<'_>>,
    budget: &mut Budget,
) -> Result<Vec<Puzzle>> {
    let tasks = parse_tasks_within(origin, body, solutions, budget)?;
    let puzzles: Vec<Puzzle> = tasks.into_iter().flat_map(|task| puzzles(origin, task)).collect();
    if puzzles.is_empty() {
        return Err(PuzzleError::data(origin, "no ARC task with a test input"));
    }
    Ok(puzzles)
}

fn puzzles(origin: &str, task: ArcTask) -> impl Iterator<Item = Puzzle> {
    let ArcTask { id, test, .. } = task;
    test.into_iter().enumerate().map(move |(index, (grid, solution))| Puzzle {
        source: format!("{origin}:{id}[{index}]"),
        id: (!id.is_empty()).then(|| id.clone()),
        grid,
        kind: PuzzleKind::Arc(Arc),
        alphabet: Alphabet::arc(),
        solution,
        rating: None,
        note: None,
    })
}

/// Tasks as one JSON text with outputs inside, as [`parse_tasks`] reads it: a single task without id as one task,
/// others by their ids.
///
/// # Errors
///
/// [`PuzzleError::Json`] if the tasks cannot be written as JSON.
pub fn to_json(tasks: &[ArcTask]) -> Result<String> {
    let rows = |grid: &Grid| JsonGrid(Some(grid.clone()));
    let json = |task: &ArcTask| JsonTask {
        train: task
            .train
            .iter()
            .map(|example| JsonPair { input: rows(&example.puzzle), output: Some(rows(&example.solution)) })
            .collect(),
        test: task
            .test
            .iter()
            .map(|(input, output)| JsonPair { input: rows(input), output: output.as_ref().map(rows) })
            .collect(),
    };
    let text = match tasks {
        [task] if task.id.is_empty() => serde_json::to_string(&json(task)),
        _ => serde_json::to_string(&tasks.iter().map(|task| (&task.id, json(task))).collect::<BTreeMap<_, _>>()),
    };
    text.map_err(|source| PuzzleError::Json { origin: "the tasks".to_owned(), expected: "ARC tasks", source })
}
