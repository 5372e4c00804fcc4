//! Grids as JSON lists: rows of a grid, all cells of one, or several of these.

use serde::Deserialize;
use trm_intake::Fault;

use super::body::Body;
use super::json_grid::{self, JsonGrid};
use super::json_object::Object;
use super::jsonl;
use super::kept::Kept;
use super::{LIMITS, Reading};
use crate::{PuzzleError, Result};

/// The content of a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lists {
    Objects(Vec<Object>),
    Grid(JsonGrid),
    Grids(Vec<JsonGrid>),
}

/// True for a list that is not one of ARC's tasks.
pub(super) fn looks_like(body: &[u8]) -> bool {
    let inner = body.trim_ascii_start().strip_prefix(b"[").unwrap_or_default().trim_ascii_start();
    match inner.first() {
        Some(b'{') => {
            #[derive(Deserialize)]
            struct Task {
                #[serde(rename = "test")]
                _test: serde::de::IgnoredAny,
            }
            serde_json::from_slice::<Vec<Task>>(body).is_err()
        }
        _ => true,
    }
}

/// The puzzles of a list.
pub(super) fn read(origin: &str, body: Body<'_>, reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    json_grid::bounded_json(origin, &body)?;
    // What is kept of a number is larger than the number.
    let commas = body.split(|&byte| byte == b',').count() as u64;
    let limit = LIMITS.items * 4;
    if commas > limit {
        return Err(PuzzleError::TooLarge { origin: origin.to_owned(), unit: "values", found: commas, limit });
    }
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
        let lines = || body.split(|&byte| byte == b'\n').zip(1..).filter(|(line, _)| !line.trim_ascii().is_empty());
        // A list a line.
        if lines().nth(1).is_some()
            && lines().all(|(line, _)| line.starts_with(b"[") && line.trim_ascii_end().ends_with(b"]"))
        {
            return lines().try_for_each(|(line, number)| {
                match read_lists(&format!("{origin}:{number}"), line, reading, kept) {
                    Err(error) => kept.fail(reading, error),
                    read => read,
                }
            });
        }
        let (line, fault) = (error.line().max(1), json_grid::fault(&error));
        return Err(PuzzleError::Syntax { origin: origin.to_owned(), line, fault });
    }
    read_lists(origin, &body, reading, kept)
}

/// The puzzles of one list.
fn read_lists(origin: &str, body: &[u8], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    let no_grids = || {
        PuzzleError::data(
            origin,
            Fault::from("a JSON list that holds no grids")
                .advise("expected rows of numbers or texts, all cells of a grid, a list of such grids, or objects with a `puzzle`"),
        )
    };
    // Rows of objects are never grids here, and would take a lot while that is found out.
    if body.iter().filter(|byte| !byte.is_ascii_whitespace()).take(3).eq(b"[[{") {
        return Err(no_grids());
    }
    let lists = serde_json::from_slice::<Lists>(body).map_err(|_| no_grids())?;
    let place = |index: usize| format!("{origin}[{index}]");
    match lists {
        Lists::Grid(JsonGrid::Rows(rows)) if rows.iter().all(|row| jsonl::is_whole(row, reading)) => {
            for (index, row) in rows.into_iter().enumerate() {
                kept.push(jsonl::grid(&place(index), &JsonGrid::Text(row), None, reading)?)?;
            }
        }
        Lists::Grid(JsonGrid::Numbers(rows))
            if rows.iter().all(|row| row.len() != rows.len() && jsonl::is_flat(row)) =>
        {
            for (index, row) in rows.into_iter().enumerate() {
                kept.push(jsonl::grid(&place(index), &JsonGrid::Flat(row), None, reading)?)?;
            }
        }
        Lists::Grid(grid) => {
            let puzzle = jsonl::grid(origin, &grid, None, reading)?;
            kept.push(puzzle)?;
        }
        Lists::Grids(grids) => {
            for (index, grid) in grids.iter().enumerate() {
                let puzzle = jsonl::grid(&place(index), grid, None, reading)?;
                if !kept.answer(&puzzle) {
                    kept.push(puzzle)?;
                }
            }
        }
        Lists::Objects(objects) => {
            for (index, object) in objects.into_iter().enumerate() {
                kept.push(object.puzzle(&place(index), None, reading)?)?;
            }
        }
    }
    Ok(())
}
