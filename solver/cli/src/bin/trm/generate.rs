//! `trm generate`: fresh puzzles with their answers, to train on, to look at, to measure with.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use trm_cli::{Exit, InvalidOption, console, errln, interrupt};
use trm_puzzles::formats::Alphabet;
use trm_puzzles::{
    DataSet, Generate, Layout, Maze, MazeGenerator, PuzzleKind, RatedSudokuGenerator, Sudoku, SudokuGenerator, seeded,
};

use crate::task::Size;

/// Print fresh puzzles with their answers, one JSON object a line: what `trm train --data` takes. With --out, write a data
/// set of the public training code instead.
///
/// The same seed gives the same puzzles on every machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kind of puzzle
    #[arg(value_name = "KIND")]
    kind: Kind,
    /// Rows and columns
    #[arg(long, value_name = "HxW", default_value = "9x9")]
    size: Size,
    /// Number of puzzles
    #[arg(long, value_name = "N", default_value_t = 1000)]
    count: usize,
    /// Of sudoku-rated: fewest and most guesses of an exhaustive search that propagates singles
    #[arg(long, value_name = "LEAST[-MOST]", default_value = "20")]
    rating: Ratings,
    /// Seed of the puzzles
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// New folder of a data set in the public format, a split of its own: `DATA/train`, `DATA/test`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A range of ratings: `20`, or `8-20`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratings {
    least: u64,
    most: u64,
}

impl Default for Ratings {
    /// Hard, and as hard as it comes.
    fn default() -> Self {
        Self { least: 20, most: u64::MAX }
    }
}

impl std::str::FromStr for Ratings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number of guesses"));
        let (least, most) = match text.split_once('-') {
            Some((least, most)) => (number(least)?, number(most)?),
            None => (number(text)?, u64::MAX),
        };
        if least <= most { Ok(Self { least, most }) } else { Err(format!("{least} is more than {most}")) }
    }
}

/// What kind of puzzles are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// 28 to 46 givens (of 81), solvable by singles
    SudokuEasy,
    /// 22 to 30 givens (of 81), not solvable by singles
    SudokuHard,
    /// Minimal, and climbed to the rating of --rating: more and more guesses, up to the hardest known
    SudokuRated,
    /// Perfect mazes, mazes with loops and obstacle grids in equal parts
    Maze,
    /// Mazes with one way between any two cells
    MazePerfect,
    /// Mazes with several ways
    MazeLoops,
    /// Obstacles at random, 15 to 40 % of the cells
    MazeObstacles,
    /// Open fields, 0 to 15 % obstacles
    MazeOpen,
    /// Pockets, 40 to 95 % obstacles
    MazeDense,
    /// Rooms within rooms
    MazeRooms,
    /// A corridor that winds inwards
    MazeSpiral,
}

impl Kind {
    /// Makes puzzles of a task's size; an error for another task. `who` solves them, for the message.
    pub(crate) fn generator(self, who: &str, task: PuzzleKind, ratings: Ratings) -> anyhow::Result<Box<dyn Generate>> {
        let Ratings { least, most } = ratings;
        let mazes = |task, layout| Box::new(MazeGenerator::new(task).layouts(&[layout]));
        Ok(match (self, task) {
            (Self::SudokuEasy, PuzzleKind::Sudoku(task)) => Box::new(SudokuGenerator::easy(task)?),
            (Self::SudokuHard, PuzzleKind::Sudoku(task)) => Box::new(SudokuGenerator::hard(task)?),
            (Self::SudokuRated, PuzzleKind::Sudoku(task)) => Box::new(RatedSudokuGenerator::new(task, least..=most)?),
            (Self::Maze, PuzzleKind::Maze(task)) => Box::new(MazeGenerator::new(task)),
            (Self::MazePerfect, PuzzleKind::Maze(task)) => mazes(task, Layout::Perfect),
            (Self::MazeLoops, PuzzleKind::Maze(task)) => mazes(task, Layout::Loops),
            (Self::MazeObstacles, PuzzleKind::Maze(task)) => mazes(task, Layout::Obstacles),
            (Self::MazeOpen, PuzzleKind::Maze(task)) => mazes(task, Layout::Open),
            (Self::MazeDense, PuzzleKind::Maze(task)) => mazes(task, Layout::Dense),
            (Self::MazeRooms, PuzzleKind::Maze(task)) => mazes(task, Layout::Rooms),
            (Self::MazeSpiral, PuzzleKind::Maze(task)) => mazes(task, Layout::Spiral),
            (_, found) => {
                return Err(InvalidOption {
                    option: "--generate",
                    reason: format!(
                        "{} makes no puzzles for {who}, which solves a {}",
                        self.name(),
                        trm_solver::model::describe(&found)
                    ),
                    hint: Some("sudoku-easy, sudoku-hard and sudoku-rated are for sudoku, maze… for mazes".to_owned()),
                }
                .into());
            }
        })
    }

    /// As the command line has it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The task of a size, with the usual boxes.
    pub(crate) fn task(self, size: Size) -> Result<PuzzleKind> {
        let Size { height, width } = size;
        Ok(match self {
            Self::SudokuEasy | Self::SudokuHard | Self::SudokuRated => {
                let task = Sudoku::with_side(height).filter(|_| height == width);
                PuzzleKind::Sudoku(task.with_context(|| {
                    format!("--size: no sudoku has {height}x{width} cells\nhint: 4x4, 6x6, 8x8, 9x9 and so on")
                })?)
            }
            _ => PuzzleKind::Maze(Maze::new(height, width)?),
        })
    }
}

/// A puzzle with its answer, each a list of rows.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Example")]
pub(crate) struct JsonExample {
    /// Rows that can be looked at.
    puzzle: Vec<String>,
    /// The answer, likewise.
    answer: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let task = args.kind.task(args.size)?;
    let alphabet = match task {
        PuzzleKind::Maze(_) => Alphabet::maze('#', ' '),
        PuzzleKind::Sudoku(_) | PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => Alphabet::sudoku('0'),
    };
    let generator = args.kind.generator("trm generate", task, args.rating)?;
    if let Some(out) = &args.out {
        DataSet::generate(generator.as_ref(), args.count, args.seed)?.write(out)?;
        errln!("wrote {} puzzles to {}", args.count, out.display());
        return Ok(Exit::Done);
    }
    let mut rng = seeded(args.seed);
    interrupt::listen_briefly()?;
    let mut out = console::stdout();
    for _ in 0..args.count {
        if console::is_closed() {
            break;
        }
        if interrupt::requested() {
            return Ok(Exit::Interrupted);
        }
        let example = generator.generate(&mut rng)?;
        let rows = |grid| alphabet.text(grid).lines().map(str::to_owned).collect::<Vec<_>>();
        let line = JsonExample { puzzle: rows(&example.puzzle), answer: rows(&example.solution) };
        // Each line whole, in one write: a pipe takes all of it or waits, so that a signal never cuts one off.
        out.write_all((serde_json::to_string(&line)? + "\n").as_bytes())?;
    }
    out.flush()?;
    Ok(Exit::Done)
}
