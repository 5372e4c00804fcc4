//! Grid maps of the MovingAI path-finding benchmarks (`.map`) and their scenarios (`.scen`).
//!
//! Format: <https://movingai.com/benchmarks/formats.html>. `.` `G` `S` are passable, `@` `O` `T` `W` are not. The
//! benchmarks move in eight directions, this crate's mazes in four: a scenario's optimal length is not the maze's.

use std::path::Path;

use trm_intake::{Budget, Fault, Limits};

use super::body::{Body, counted, read_file};
use super::kept::OVERHEAD;
use super::lines::{Line, lines};
use super::maze::maze_puzzle;
use super::{Alphabet, LIMITS, Puzzle};
use crate::maze::{FREE, GOAL, MAX_SIDE, START, WALL};
use crate::{Cell, Grid, PuzzleError, Result};

/// Limits of the mazes of all scenarios together, in bytes: each is the whole map.
const SCENARIO_LIMITS: Limits = Limits { bytes: 64 << 20, ..LIMITS };

/// A map: walls and free cells, no start or goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovingAiMap {
    /// Where it came from.
    pub source: String,
    /// Cells [`WALL`] and [`FREE`].
    pub grid: Grid,
    /// The characters it used for these.
    pub alphabet: Alphabet,
}

/// A start and a goal on a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// Its line in the file, from 1.
    pub line: usize,
    /// Height and width of the map it is for.
    pub size: (usize, usize),
    /// The start.
    pub start: Cell,
    /// The goal.
    pub goal: Cell,
    /// Length of a shortest path in eight directions, diagonals counting the root of 2.
    pub octile_length: f64,
    /// Half a unit of the last digit that the file gives of it.
    pub rounding: f64,
}

fn syntax(origin: &str, line: usize, fault: impl Into<Fault>) -> PuzzleError {
    PuzzleError::Syntax { origin: origin.to_owned(), line, fault: fault.into() }
}

impl MovingAiMap {
    /// Parses a `.map`.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::TooLarge`], or the line that breaks the format.
    pub fn parse(origin: &str, bytes: &[u8]) -> Result<Self> {
        let (body, mut budget) = counted(origin, bytes)?;
        Self::parse_within(origin, body, &mut budget)
    }

    /// As [`parse`](Self::parse), of bytes that were drawn on `budget`.
    fn parse_within(origin: &str, body: Body<'_>, budget: &mut Budget) -> Result<Self> {
        let lines = lines(origin, body, budget)?;
        let (mut height, mut width) = (None, None);
        let mut body = lines.iter();
        loop {
            let Some(line) = body.next() else {
                return Err(syntax(
                    origin,
                    lines.len(),
                    Fault::from("the header ends without a line `map`")
                        .advise("a MovingAI map begins with type octile, height, width, map"),
                ));
            };
            let mut words = line.text.split_ascii_whitespace();
            match (words.next(), words.next()) {
                (None, _) | (Some("type"), Some("octile")) => {}
                (Some("height"), Some(number)) => height = Some(side(origin, line, number)?),
                (Some("width"), Some(number)) => width = Some(side(origin, line, number)?),
                (Some("map"), None) => break,
                _ => {
                    return Err(syntax(
                        origin,
                        line.number,
                        format!(
                            "expected type octile, height, width or map, found {:?}",
                            line.text.chars().take(40).collect::<String>()
                        ),
                    ));
                }
            }
        }
        let (Some(height), Some(width)) = (height, width) else {
            return Err(syntax(origin, 1, "the header lacks height or width"));
        };
        let rows = body.as_slice();
        let first_line = rows.first().map_or(lines.len(), |row| row.number);
        let count = rows.iter().rposition(|row| !row.is_blank()).map_or(0, |i| i + 1);
        if count != height {
            return Err(syntax(origin, first_line, format!("the header says {height} rows, the map has {count}")));
        }
        let (mut wall, mut free) = (None, None);
        let mut cells = Vec::with_capacity(height * width);
        for row in rows.iter().take(height) {
            let mut found = 0;
            for (index, character) in row.text.char_indices() {
                let cell = match character {
                    '.' | 'G' | 'S' => {
                        free = free.or(Some(character));
                        FREE
                    }
                    '@' | 'O' | 'T' | 'W' => {
                        wall = wall.or(Some(character));
                        WALL
                    }
                    _ => {
                        return Err(row.unknown(
                            origin,
                            index,
                            "a MovingAI map is written with . G S passable and @ O T W blocked",
                        ));
                    }
                };
                if found < width {
                    cells.push(cell);
                }
                found += 1;
            }
            if found != width {
                return Err(syntax(
                    origin,
                    row.number,
                    format!("this row has {found} cells, the header says width {width}"),
                ));
            }
        }
        // `G` and `S` would read as goal and start.
        let free = free.filter(|&free| free == '.').unwrap_or('.');
        Ok(Self {
            source: origin.to_owned(),
            grid: Grid::from_cells(height, width, cells)?,
            alphabet: Alphabet::maze(wall.unwrap_or('@'), free),
        })
    }

    /// The map as a `.map` text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (height, width) = self.grid.size();
        let body = self.alphabet.text(&self.grid);
        format!("type octile\nheight {height}\nwidth {width}\nmap\n{body}")
    }

    /// The maze with the scenario's start and goal.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Syntax`] for a scenario of a map of another size, or whose start and goal are not two free
    /// cells.
    pub fn puzzle(&self, scenario: &Scenario) -> Result<Puzzle> {
        let (height, width) = self.grid.size();
        if scenario.size != (height, width) {
            return Err(syntax(
                &self.source,
                1,
                format!(
                    "the map is {height}x{width}, scenario line {} is for {}x{}",
                    scenario.line, scenario.size.0, scenario.size.1
                ),
            ));
        }
        let mut grid = self.grid.clone();
        for (name, cell, value) in [("start", scenario.start, START), ("goal", scenario.goal, GOAL)] {
            if grid.set(cell, value) != Some(FREE) {
                return Err(syntax(
                    &self.source,
                    1,
                    format!(
                        "scenario line {}: its {name}, {cell}, is no free cell of the map (or start and goal are the same)",
                        scenario.line
                    ),
                ));
            }
        }
        let mut puzzle = maze_puzzle(self.source.clone(), grid, self.alphabet)?;
        puzzle.id = Some(format!("scenario {}", scenario.line));
        Ok(puzzle)
    }
}

fn side(origin: &str, line: &Line, number: &str) -> Result<usize> {
    number
        .parse()
        .ok()
        .filter(|side| (1..=MAX_SIDE).contains(side))
        .ok_or_else(|| syntax(origin, line.number, format!("expected a number of cells from 1 to {MAX_SIDE}")))
}

/// Parses a `.scen`: a line `version 1`, then bucket, map, width, height, start x y, goal x y, optimal length.
///
/// # Errors
///
/// [`PuzzleError::TooLarge`]; [`PuzzleError::Syntax`] for the line that breaks the format.
pub fn parse_scenarios(origin: &str, bytes: &[u8]) -> Result<Vec<Scenario>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_scenarios_within(origin, body, &mut budget)
}

/// As [`parse_scenarios`], of bytes that were drawn on `budget`.
fn parse_scenarios_within(origin: &str, body: Body<'_>, budget: &mut Budget) -> Result<Vec<Scenario>> {
    let lines = lines(origin, body, budget)?;
    let version = lines.first().map_or("", |line| line.text.trim());
    if !matches!(version, "version 1" | "version 1.0") {
        return Err(syntax(origin, 1, "a scenario file begins with `version 1`"));
    }
    lines
        .iter()
        .skip(1)
        .filter(|line| !line.is_blank())
        .map(|line| {
            scenario(line).ok_or_else(|| {
                syntax(
                    origin,
                    line.number,
                    "expected nine fields: bucket, map, width, height, start x, start y, goal x, goal y, optimal length",
                )
            })
        })
        .collect()
}

fn scenario(line: &Line) -> Option<Scenario> {
    // Map names hold spaces, so fields are parted by tabs where there are any.
    let fields: Vec<&str> = if line.text.contains('\t') {
        line.text.split('\t').map(str::trim).collect()
    } else {
        line.text.split_ascii_whitespace().collect()
    };
    let [_, _, numbers @ ..] = fields.as_slice() else {
        return None;
    };
    let [width, height, sx, sy, gx, gy, length] = numbers else {
        return None;
    };
    let cell = |x: &str, y: &str| Some(Cell::new(y.parse().ok()?, x.parse().ok()?));
    Some(Scenario {
        line: line.number,
        size: (height.parse().ok()?, width.parse().ok()?),
        start: cell(sx, sy)?,
        goal: cell(gx, gy)?,
        octile_length: length.parse().ok()?,
        rounding: half_unit(length),
    })
}

/// Half a unit of the last digit of a number as it is printed; 0 for an exponent, of which nobody knows.
fn half_unit(number: &str) -> f64 {
    let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { 0.5 * 0.1_f64.powi(i32::try_from(decimals).unwrap_or(i32::MAX)) } else { 0.0 }
}

/// A map file with a scenario file: a puzzle for every scenario that moves at all.
///
/// # Errors
///
/// [`PuzzleError::Io`]; [`PuzzleError::TooLarge`], also for all mazes together; [`PuzzleError::Syntax`] without a
/// scenario file; otherwise those of [`MovingAiMap::parse`], [`parse_scenarios`] and [`MovingAiMap::puzzle`].
pub fn read(map: &Path, scenarios: &Path) -> Result<Vec<Puzzle>> {
    read_within(map, scenarios, &mut Budget::new(LIMITS))
}

/// As [`read`], drawing on `budget`.
pub(super) fn read_within(map: &Path, scenarios: &Path, budget: &mut Budget) -> Result<Vec<Puzzle>> {
    let name = map.display().to_string();
    let scenario_name = scenarios.display().to_string();
    let bytes = read_file(map, budget)?;
    let map = MovingAiMap::parse_within(&name, Body::of(&bytes), budget)?;
    if !scenarios.is_file() {
        return Err(syntax(
            &name,
            1,
            Fault::from("the map has no start and goal").advise(format!("put its scenarios at {scenario_name}")),
        ));
    }
    let bytes = read_file(scenarios, budget)?;
    let parsed = parse_scenarios_within(&scenario_name, Body::of(&bytes), budget)?;
    let each = map.grid.cells().len() as u64 + OVERHEAD;
    Budget::new(SCENARIO_LIMITS).take_bytes(each.saturating_mul(parsed.len() as u64)).map_err(|exceeded| {
        PuzzleError::TooLarge {
            origin: scenario_name.clone(),
            unit: "bytes for the mazes of all scenarios",
            found: exceeded.found,
            limit: exceeded.limit,
        }
    })?;
    parsed
        .iter()
        .filter(|scenario| scenario.start != scenario.goal)
        .map(|scenario| {
            let mut puzzle = map.puzzle(scenario)?;
            puzzle.source = format!("{scenario_name}:{}", scenario.line);
            Ok(puzzle)
        })
        .collect()
}
