//! ARC tasks as JSON: one task a file (`train`, `test`), or the Kaggle form with many tasks by id and a second file
//! of solutions.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{Alphabet, Puzzle, PuzzleKind};
use crate::{Arc, Example, Grid, PuzzleError, Result, Task};

/// A task: examples, and inputs whose outputs are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcTask {
    /// Its id; empty for a file that holds one task.
    pub id: String,
    /// Input and output pairs.
    pub train: Vec<Example>,
    /// Inputs, with the output where it is known.
    pub test: Vec<(Grid, Option<Grid>)>,
}

type JsonGrid = Vec<Vec<u8>>;

#[derive(Serialize, Deserialize)]
struct JsonPair {
    input: JsonGrid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<JsonGrid>,
}

#[derive(Serialize, Deserialize)]
struct JsonTask {
    #[serde(default)]
    train: Vec<JsonPair>,
    test: Vec<JsonPair>,
}

/// Tells a single task from tasks by id.
#[derive(Deserialize)]
struct Keys {
    test: Option<IgnoredAny>,
}

fn from_json<'de, T: Deserialize<'de>>(origin: &str, bytes: &'de [u8], expected: &'static str) -> Result<T> {
    super::limit(origin, bytes.len() as u64)?;
    serde_json::from_slice(bytes).map_err(|source| PuzzleError::Json { origin: origin.to_owned(), expected, source })
}

/// Parses tasks, in the order of their ids. `solutions` is the content of the Kaggle solutions file.
pub fn parse_tasks(origin: &str, bytes: &[u8], solutions: Option<&[u8]>) -> Result<Vec<ArcTask>> {
    const EXPECTED: &str = "an ARC task {\"train\": [...], \"test\": [...]} or such tasks by their ids";
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let keys: Keys = from_json(origin, body, EXPECTED)?;
    let tasks: BTreeMap<String, JsonTask> = if keys.test.is_some() {
        BTreeMap::from([(String::new(), from_json(origin, body, EXPECTED)?)])
    } else {
        from_json(origin, body, EXPECTED)?
    };
    let mut solutions: BTreeMap<String, Vec<JsonGrid>> = match solutions {
        Some(bytes) => from_json(origin, bytes, "lists of output grids by task id")?,
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
    let label = if id.is_empty() { "the task" } else { &id };
    let to_grid = |rows: &JsonGrid, what: String| {
        Grid::from_rows(rows).ok().filter(|grid| !grid.cells().is_empty() && Arc.check(grid).is_ok()).ok_or_else(|| {
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
pub fn parse(origin: &str, bytes: &[u8], solutions: Option<&[u8]>) -> Result<Vec<Puzzle>> {
    let puzzles: Vec<Puzzle> =
        parse_tasks(origin, bytes, solutions)?.into_iter().flat_map(|task| puzzles(origin, task)).collect();
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
    })
}

/// Tasks as one JSON text with outputs inside, as [`parse_tasks`] reads it: a single task without id as one task,
/// others by their ids.
pub fn to_json(tasks: &[ArcTask]) -> Result<String> {
    let rows = |grid: &Grid| grid.rows().map(<[u8]>::to_vec).collect::<JsonGrid>();
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
