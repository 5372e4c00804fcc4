//! Mazes that people draw: ASCII (`#` or `@` wall, space or `.` free, `S` start, `G` goal) and micromouse. The first
//! line is the top row; a cell is 1 m unless [`OccupancyMap::with_resolution`] says otherwise.
//!
//! A micromouse maze becomes walls as thick as its passages are wide: from room to room are two cells, 0.09 m each for
//! the classic maze of 0.18 m.

use trm_intake::Fault;
use trm_puzzles::formats::text::parse_as_mazes;
use trm_puzzles::{Cell, Grid, maze};

use super::moving_ai::bottom_up;
use super::read::bad;
use super::{FREE, LoadedMap, MapCell, OCCUPIED, OccupancyMap};
use crate::{Pose, Result};

pub(super) fn parse(source: &str, bytes: &[u8]) -> Result<LoadedMap> {
    let mazes = parse_as_mazes(source, bytes)?;
    let grid = match mazes.as_slice() {
        [maze] => &maze.grid,
        [] => {
            return Err(bad(
                source,
                Fault::from("no map in the file").advise(
                    "a map is a map_server yaml, a MovingAI .map, an OccupancyGrid in json or yaml, or a maze drawn with # \
                     and spaces",
                ),
            ));
        }
        several => {
            return Err(bad(
                source,
                format!("{} mazes, parted by blank lines, where one map is expected", several.len()),
            ));
        }
    };
    let (height, width) = grid.size();
    let values = bottom_up(grid.cells(), width, |&cell| if cell == maze::WALL { OCCUPIED } else { FREE });
    let map = OccupancyMap::new(source, (width, height), 1.0, Pose::default(), values)?;
    let start = place(&map, grid, maze::START, 'S')?;
    let goal = place(&map, grid, maze::GOAL, 'G')?;
    Ok(LoadedMap { map, start, goal, metric: false, note: None, image: None })
}

/// The centre of the one cell that holds `value`.
fn place(map: &OccupancyMap, grid: &Grid, value: u8, letter: char) -> Result<Option<Pose>> {
    let (height, width) = grid.size();
    let mut places =
        grid.cells().iter().enumerate().filter(|&(_, &cell)| cell == value).map(|(i, _)| Cell::from_index(i, width));
    let Some(cell) = places.next() else {
        return Ok(None);
    };
    if let Some(other) = places.next() {
        return Err(bad(map.source(), format!("two cells are {letter}: {cell}, and {other}")));
    }
    let (x, y) = map.centre(MapCell { x: cell.column, y: height - 1 - cell.row });
    Ok(Some(Pose::new(x, y, 0.0)))
}
