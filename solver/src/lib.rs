//! Solves puzzles with recursive models: keeps a batch full, decides when a row stops, verifies each answer.
//!
//! ```no_run
//! use std::path::Path;
//! use trm_engine::{SessionOptions, registry};
//! use trm_puzzles::formats;
//! use trm_solver::{Model, Question, SolveOptions, Solver};
//!
//! let engine = (registry::default().open)(None)?;
//! for puzzle in formats::read(Path::new("examples/maze.txt"))? {
//!     let model = Model::for_puzzle(&puzzle)?;
//!     let load = |batch| engine.load_step(model.bundle(), &SessionOptions { batch, ..SessionOptions::default() });
//!     let mut solver = Solver::new(model.task(), model.config().clone(), SolveOptions::default(), load);
//!     let report = solver.solve(Question::new(model.task().as_ref(), puzzle.grid.clone(), 0)?)?;
//!     println!("{}\n{} after {} steps", puzzle.line(&report.answer), report.verdict, report.steps);
//! }
//! # Ok::<(), trm_solver::SolverError>(())
//! ```

pub mod batch;
pub mod costs;
mod error;
mod graph;
mod halt;
mod maze_network;
pub mod measure;
pub mod model;
pub mod parity;
pub mod quantize;
pub mod render;
pub mod solve;

pub use error::{SolverError, hint_of};
pub use graph::graph_of_weights;
pub use halt::{HaltPolicy, HaltReason, Progress, QHalt};
pub use maze_network::{MOST_STATE_BYTES, Network};
pub use measure::eval::Evaluation;
pub use measure::score::Rate;
pub use model::Model;
pub use solve::{AttemptKind, Observer, Question, SolveOptions, SolveReport, Solver, StepView};

/// The result of this crate's fallible functions.
pub type Result<T, E = SolverError> = std::result::Result<T, E>;
