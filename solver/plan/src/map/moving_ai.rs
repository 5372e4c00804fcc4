//! Maps of the MovingAI path-finding benchmarks, and their scenarios in metres.
//!
//! A cell is 1 m unless [`OccupancyMap::with_resolution`] says otherwise. The first row of a `.map` is the top one: the
//! benchmark's cell (x, y), counted from the top left, is the map's column x and row `height - 1 - y`, and its place
//! that cell's centre, ((x + 0.5) r, (height - y - 0.5) r) at a resolution r.

use std::path::Path;

use trm_puzzles::formats::moving_ai::{MovingAiMap, Scenario as Cells, parse_scenarios};
use trm_puzzles::formats::read_limited;
use trm_puzzles::{Cell, maze};

use super::read::bad;
use super::{FREE, MapCell, OCCUPIED, OccupancyMap};
use crate::{Pose, Result};

/// A start and a goal on a map, with the length of a shortest way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// Its line in the `.scen`, from 1.
    pub line: usize,
    /// The centre of its start, looking along x.
    pub start: Pose,
    /// The centre of its goal, looking along x.
    pub goal: Pose,
    /// Metres of a shortest way from cell to cell in eight directions, that takes no diagonal past the corner of an
    /// occupied cell: the length in the file, times the map's resolution.
    pub octile_length: f64,
    /// Metres by which that may be off: half a unit of the last digit that the file gives.
    pub rounding: f64,
}

pub(super) fn parse(source: &str, bytes: &[u8]) -> Result<OccupancyMap> {
    let map = MovingAiMap::parse(source, bytes)?;
    let (height, width) = map.grid.size();
    let values = bottom_up(map.grid.cells(), width, |&cell| if cell == maze::FREE { FREE } else { OCCUPIED });
    OccupancyMap::new(source, (width, height), 1.0, Pose::default(), values)
}

/// The rows of a drawing, whose first is the top one, as a map has them.
pub(super) fn bottom_up<T>(cells: &[T], width: usize, value: impl Fn(&T) -> i8) -> Vec<i8> {
    cells.rchunks(width.max(1)).flatten().map(value).collect()
}

/// The scenarios of a `.scen` in the places of a map that was read from their `.map`.
///
/// # Errors
///
/// [`PlanError::Puzzle`](crate::PlanError::Puzzle) for a file that cannot be read or is no `.scen`;
/// [`PlanError::BadMap`](crate::PlanError::BadMap) for a scenario of a map of another size, whose start or goal is no
/// free cell, or whose length is below zero or not finite.
pub fn scenarios(path: &Path, map: &OccupancyMap) -> Result<Vec<Scenario>> {
    let source = path.display().to_string();
    let scenarios = parse_scenarios(&source, &read_limited(path)?)?;
    scenarios.iter().map(|scenario| placed(&source, scenario, map)).collect()
}

fn placed(source: &str, scenario: &Cells, map: &OccupancyMap) -> Result<Scenario> {
    let at_line = |message: String| bad(&format!("{source}:{}", scenario.line), message);
    let (height, width) = scenario.size;
    if (width, height) != (map.width(), map.height()) {
        return Err(at_line(format!(
            "the scenario is for a map of {width}x{height} cells, {} has {}x{}",
            map.source(),
            map.width(),
            map.height()
        )));
    }
    let place = |name: &str, cell: Cell| {
        let on_map = height.checked_sub(cell.row + 1).map(|y| MapCell { x: cell.column, y });
        match on_map.filter(|&cell| map.get(cell) == Some(FREE)) {
            Some(cell) => {
                let (x, y) = map.centre(cell);
                Ok(Pose::new(x, y, 0.0))
            }
            None => Err(at_line(format!(
                "its {name}, column {} row {} from the top left, is no free cell of {}",
                cell.column,
                cell.row,
                map.source()
            ))),
        }
    };
    if !(scenario.octile_length.is_finite() && scenario.octile_length >= 0.0) {
        return Err(at_line(format!("its optimal length is {}, expected 0 or more", scenario.octile_length)));
    }
    Ok(Scenario {
        line: scenario.line,
        start: place("start", scenario.start)?,
        goal: place("goal", scenario.goal)?,
        octile_length: scenario.octile_length * map.resolution(),
        rounding: scenario.rounding * map.resolution(),
    })
}
