//! Files of micromouse contests, and maps with `MapWidth`.
//!
//! `.maz`: a byte a room, columns from the left, each from below; bit 0 is its wall in the north, 1 east, 2 south, 3 west.
//! `.num`: lines of six numbers, `x y north east south west`. The start is the room at the lower left, the goal the
//! middle. (As the `mazefiles` collection of micromouseonline describes them.)
//!
//! A map with `MapWidth=` and `MapHeight=` has its rows behind a line `MapData`, `@` being wall.

use trm_intake::Fault;

use super::super::lines::Line;
use super::super::{Alphabet, Puzzle};
use super::{Letters, check_sides, maze_puzzle};
use crate::maze::{FREE, GOAL, START, WALL, distances};
use crate::{Cell, Grid, PuzzleError, Result};

/// Sides of the mazes of contests, in rooms.
const SIDES: [usize; 4] = [8, 16, 20, 32];

/// The walls of a room: north, east, south, west.
type Walls = [bool; 4];

/// True for the bytes of a `.maz` file: rooms, of which the upper bits may say more. A text has other bytes.
pub(in super::super) fn is_maz(bytes: &[u8]) -> bool {
    let side = bytes.len().isqrt();
    side * side == bytes.len() && SIDES.contains(&side) && bytes.iter().all(|&byte| !(0x20..0x80).contains(&byte))
}

/// A `.maz` file.
pub(in super::super) fn maz(origin: &str, bytes: &[u8]) -> Result<Puzzle> {
    let side = bytes.len().isqrt();
    if side * side != bytes.len() || !SIDES.contains(&side) {
        return Err(PuzzleError::data(
            origin,
            Fault::from(format!("a .maz file of {} bytes", bytes.len()))
                .advise("it has a byte for each of 16x16 rooms: 256"),
        ));
    }
    let room = |x: usize, y: usize| {
        let byte = bytes[x * side + y];
        [1, 2, 4, 8].map(|bit| byte & bit != 0)
    };
    contest(origin, side, room)
}

/// True for lines of a `.num` file.
pub(in super::super) fn looks_like_numbers(lines: &[Line<'_>]) -> bool {
    let mut rooms = lines.iter().filter(|line| !line.is_blank());
    rooms.clone().count() >= 64 && rooms.all(|line| numbers_of(line.text).is_some())
}

fn numbers_of(text: &str) -> Option<[usize; 6]> {
    let numbers =
        text.split_ascii_whitespace().map(|word| word.parse().ok()).take(7).collect::<Option<Vec<usize>>>()?;
    let numbers: [usize; 6] = numbers.try_into().ok()?;
    numbers[2..].iter().all(|&wall| wall <= 1).then_some(numbers)
}

/// The lines of a `.num` file.
pub(in super::super) fn numbers(origin: &str, lines: &[Line<'_>]) -> Result<Puzzle> {
    let count = lines.iter().filter(|line| !line.is_blank()).count();
    let side = count.isqrt();
    let fault =
        |line: usize, fault: String| PuzzleError::Syntax { origin: origin.to_owned(), line, fault: fault.into() };
    if side * side != count || !SIDES.contains(&side) {
        return Err(fault(1, format!("{count} rooms, a maze of a contest has 256, 16 a side")));
    }
    let mut rooms = vec![None; count];
    for line in lines.iter().filter(|line| !line.is_blank()) {
        let [x, y, walls @ ..] =
            numbers_of(line.text).ok_or_else(|| fault(line.number, "expected x y north east south west".into()))?;
        if x >= side || y >= side {
            return Err(fault(line.number, format!("room {x} {y} is outside of {side}x{side}")));
        }
        rooms[x * side + y] = Some(walls.map(|wall| wall == 1));
    }
    contest(origin, side, |x, y| rooms[x * side + y].unwrap_or([true; 4]))
}

fn contest(origin: &str, side: usize, room: impl Fn(usize, usize) -> Walls) -> Result<Puzzle> {
    let size = 2 * side + 1;
    let mut grid = Grid::filled(size, size, FREE);
    for row in (0..size).step_by(2) {
        for column in (0..size).step_by(2) {
            grid.set(Cell::new(row, column), WALL);
        }
    }
    for x in 0..side {
        for y in 0..side {
            let (row, column) = (2 * (side - 1 - y) + 1, 2 * x + 1);
            let beside = [(row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1)];
            for (wall, (row, column)) in room(x, y).into_iter().zip(beside) {
                let outside = row == 0 || column == 0 || row + 1 == size || column + 1 == size;
                if wall || outside {
                    grid.set(Cell::new(row, column), WALL);
                }
            }
        }
    }
    grid.set(Cell::new(size - 2, 1), START);
    // Of the four rooms in the middle the one that is nearest.
    let distance = distances(&grid, Cell::new(size - 2, 1));
    let middle =
        [side - 1, side + 1].into_iter().flat_map(|row| [side - 1, side + 1].map(|column| Cell::new(row, column)));
    let nearest = middle.min_by_key(|cell| distance[cell.row * size + cell.column].unwrap_or(u32::MAX));
    if let Some(goal) = nearest {
        grid.set(goal, GOAL);
    }
    maze_puzzle(origin.to_owned(), grid, Alphabet::micromouse('o'))
}

/// A map with `MapWidth=`.
pub(in super::super) fn map_width(origin: &str, lines: &[Line<'_>]) -> Result<Puzzle> {
    let fault = |line: usize, fault: Fault| PuzzleError::Syntax { origin: origin.to_owned(), line, fault };
    let setting = |name: &str| {
        let found = lines.iter().find_map(|line| Some((line, line.text.trim().strip_prefix(name)?)));
        let (line, value) = found.ok_or_else(|| fault(1, format!("no line {name}").into()))?;
        let value = value.trim().trim_start_matches('=').trim().parse::<usize>();
        value.map_err(|_| fault(line.number, format!("{name} is no number").into()))
    };
    let (width, height) = (setting("MapWidth")?, setting("MapHeight")?);
    check_sides(origin, height, width)?;
    if let Some((line, list)) = lines.iter().find_map(|line| Some((line, line.text.trim().strip_prefix("pMap")?))) {
        let ends = ["xStart", "yStart", "xTarget", "yTarget"].map(setting);
        let [x, y, goal_x, goal_y] = ends;
        let ends = [Cell::new(y?, x?), Cell::new(goal_y?, goal_x?)];
        return map_list(origin, (height, width), list, ends).map_err(|text| fault(line.number, text));
    }
    let data = lines.iter().position(|line| line.text.trim().starts_with("MapData"));
    let rows = lines.get(data.map_or(lines.len(), |at| at + 1)..).unwrap_or_default();
    let rows = rows.iter().filter(|line| !line.is_blank()).take(height).collect::<Vec<_>>();
    if rows.len() != height {
        return Err(fault(lines.len(), format!("the header says {height} rows, the map has {}", rows.len()).into()));
    }
    let mut cells = Vec::with_capacity(width * height);
    for row in rows {
        let found = row.text.trim().chars().map(|c| match c {
            '@' | '#' => WALL,
            'S' | 's' => START,
            'G' | 'g' | 'E' | 'e' => GOAL,
            _ => FREE,
        });
        let before = cells.len();
        cells.extend(found);
        if cells.len() - before != width {
            let count = cells.len() - before;
            return Err(fault(row.number, format!("this row has {count} cells, the header says {width}").into()));
        }
    }
    let letters = Letters { wall: '@', free: '.', ..Letters::default() };
    maze_puzzle(origin.to_owned(), Grid::from_cells(height, width, cells)?, Alphabet::maze_in(letters))
}

/// A map as a list of cells, row by row, 1 being free and 0 wall; its ends are said beside it.
fn map_list(origin: &str, (height, width): (usize, usize), list: &str, ends: [Cell; 2]) -> Result<Puzzle, Fault> {
    let words = list.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '{' | '}' | ';'));
    let value = |word: &str| match word {
        "0" => Some(WALL),
        "1" => Some(FREE),
        _ => None,
    };
    let cells = words.filter(|word| !word.is_empty()).take(height * width + 1).map(value).collect::<Option<Vec<_>>>();
    let cells = cells.ok_or("a map as a list has 1 for free cells and 0 for walls")?;
    let found = cells.len();
    let mut grid = Grid::from_cells(height, width, cells)
        .map_err(|_| format!("a map of {height}x{width} has {} cells, its list {found}", height * width))?;
    for (cell, value) in ends.into_iter().zip([START, GOAL]) {
        if grid.get(cell) != Some(FREE) {
            return Err(format!("an end at {cell} is no free cell").into());
        }
        grid.set(cell, value);
    }
    let letters = Letters { wall: '@', free: '.', ..Letters::default() };
    maze_puzzle(origin.to_owned(), grid, Alphabet::maze_in(letters)).map_err(|error| error.to_string().into())
}
