//! Puzzles for recursive models, without any machine learning: grids, rules, tokens, text forms, generators.
//!
//! ```
//! use trm_puzzles::{Task, formats};
//!
//! let text = "#####\n#S  #\n# # #\n#  G#\n#####\n";
//! let puzzles = formats::parse("maze.txt", text.as_bytes())?;
//! let puzzle = &puzzles[0];
//! puzzle.check()?;
//!
//! let answer = trm_puzzles::maze::shortest_path(&puzzle.grid).expect("a way exists");
//! let verdict = puzzle.task().verify(&puzzle.grid, &answer);
//! assert!(verdict.is_verified());
//! assert_eq!(verdict.path().map(|path| path.length), Some(4));
//! # Ok::<(), trm_puzzles::PuzzleError>(())
//! ```
//!
//! Refused are sudoku boxes other than 2x2 to 5x5, mazes longer than [`maze::MAX_SIDE`] cells a side, ARC grids
//! over 30x30, inputs over [`formats::LIMITS`], data sets over [`DATA_LIMITS`], and any text it would have to guess about.
//! Bad input is an error that names the line or the cell, never a panic.

pub mod arc;
mod dataset;
mod dihedral;
mod error;
pub mod formats;
mod generate;
mod grid;
mod json;
pub mod maze;
pub mod normal;
mod random;
pub mod sudoku;
mod task;
mod tokens;

pub use arc::Arc;
pub use dataset::{
    ArcRecipe, ArcReport, DATA_LIMITS, DataSet, DataSetMetadata, DataSetWriter, Distinct, Labelled, PuzzleRecipe,
    SplitWriter,
};
pub use dihedral::Dihedral;
pub use error::{PuzzleError, Result};
pub use formats::{Alphabet, Puzzle, PuzzleKind};
pub use generate::{Example, Generate};
pub use grid::{Cell, Grid, UNKNOWN};
pub use maze::{Layout, Maze, MazeGenerator, Spacing};
pub use random::seeded;
pub use sudoku::{Grade, RatedSudokuGenerator, Sudoku, SudokuGenerator};
pub use task::{AnswerCount, ExactAnswer, IGNORE_LABEL, PAD, PathLength, Rule, Symmetry, Task, Verdict, Violation};
pub use tokens::Tokens;
