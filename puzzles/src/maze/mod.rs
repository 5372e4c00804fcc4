//! Mazes on a grid of cells, each wall or free; moves go north, west, east and south.

mod generate;
mod path;

pub use generate::{Layout, MazeGenerator, Spacing};
pub use path::{distances, shortest_path};
use rand::Rng;

use crate::dihedral::Dihedral;
use crate::task::{require_size, require_tokens};
use crate::{
    AnswerCount, Cell, Grid, IGNORE_LABEL, PuzzleError, Result, Rule, Symmetry, Task, UNKNOWN, Verdict, Violation,
};

/// A wall. Like every maze cell, its value is its token.
pub const WALL: u8 = 1;
/// A free cell.
pub const FREE: u8 = 2;
/// The start.
pub const START: u8 = 3;
/// The goal.
pub const GOAL: u8 = 4;
/// A free cell on the path.
pub const PATH: u8 = 5;

/// The longest side of a maze.
pub const MAX_SIDE: usize = 4096;

/// A maze of one size. Cells are [`WALL`], [`FREE`], [`START`], [`GOAL`], [`PATH`]; tokens are the same with `PAD` 0.
///
/// An answer is the maze with a path marked between S and G. It is right when walls, S and G are where they were, and
/// the marked cells together with S and G form one simple path: S and G touch one cell of it, every other cell two.
/// A path that touches itself is refused, since the marks alone would not say which way it goes; a shortest path
/// never does. A right path need not be shortest: how long it is stands beside the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Maze {
    height: usize,
    width: usize,
}

impl Maze {
    /// A maze of `height x width` cells, at least two cells and at most [`MAX_SIDE`] a side.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Task`] for other sizes.
    pub fn new(height: usize, width: usize) -> Result<Self> {
        let sides = 1..=MAX_SIDE;
        if sides.contains(&height) && sides.contains(&width) && height * width >= 2 {
            Ok(Self { height, width })
        } else {
            Err(PuzzleError::Task {
                message: format!(
                    "a maze of {height}x{width} is not supported, it needs two cells and sides up to {MAX_SIDE}"
                ),
            })
        }
    }
}

impl Task for Maze {
    fn name(&self) -> &'static str {
        "maze"
    }

    fn judges_length(&self) -> bool {
        true
    }

    fn judges_parts(&self) -> bool {
        false
    }

    fn height(&self) -> usize {
        self.height
    }

    fn width(&self) -> usize {
        self.width
    }

    fn vocabulary(&self) -> Vec<String> {
        ["PAD", "#", " ", "S", "G", "o"].map(str::to_owned).to_vec()
    }

    fn encode(&self, grid: &Grid) -> Result<Vec<i32>> {
        require_size(self, "the maze", grid)?;
        grid.iter()
            .map(|(cell, value)| match value {
                WALL..=PATH => Ok(i32::from(value)),
                _ => Err(PuzzleError::CellValue {
                    task: "maze".to_owned(),
                    cell,
                    value,
                    allowed: "wall 1, free 2, start 3, goal 4, path 5".to_owned(),
                }),
            })
            .collect()
    }

    fn decode(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid> {
        require_size(self, "the maze", puzzle)?;
        require_tokens(self, tokens)?;
        let mut answer = puzzle.clone();
        for (cell, &token) in answer.cells_mut().iter_mut().zip(tokens) {
            if token != IGNORE_LABEL {
                *cell = match u8::try_from(token) {
                    Ok(value @ WALL..=PATH) => value,
                    _ => UNKNOWN,
                };
            }
        }
        Ok(answer)
    }

    fn answer(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid> {
        let mut answer = self.decode(puzzle, tokens)?;
        for (cell, &given) in answer.cells_mut().iter_mut().zip(puzzle.cells()) {
            *cell = match (given, *cell) {
                (WALL | START | GOAL, _) => given,
                // Of the other cells the network says which are on the way.
                (FREE | PATH, PATH) => PATH,
                (FREE | PATH, _) => FREE,
                (_, told) => told,
            };
        }
        Ok(answer)
    }

    fn check(&self, puzzle: &Grid) -> Result<()> {
        self.encode(puzzle)?;
        for (value, symbol, name) in [(START, 'S', "start"), (GOAL, 'G', "goal")] {
            let cells: Vec<Cell> = puzzle.iter().filter(|&(_, v)| v == value).map(|(cell, _)| cell).collect();
            let (message, hint) = match cells[..] {
                [_] => continue,
                [] => (format!("the maze has no {name}"), format!("mark one free cell with {symbol}")),
                [first, second, ..] => {
                    let more = if cells.len() > 2 { ", …" } else { "" };
                    let count = cells.len();
                    let message = format!("the maze has {count} cells marked {symbol}: at {first}, at {second}{more}");
                    (message, "leave one".to_owned())
                }
            };
            return Err(PuzzleError::invalid(Violation::new(Rule::Endpoints, cells, message), hint));
        }
        Ok(())
    }

    fn count_answers(&self, puzzle: &Grid) -> AnswerCount {
        path::count_shortest(puzzle)
    }

    fn exact_answer(&self, puzzle: &Grid) -> Option<Grid> {
        shortest_path(puzzle)
    }

    fn verify(&self, puzzle: &Grid, answer: &Grid) -> Verdict {
        path::verify(puzzle, answer)
    }

    fn symmetry(&self, rng: &mut dyn Rng) -> Box<dyn Symmetry> {
        Box::new(Dihedral::random(rng, self.height == self.width))
    }
}
