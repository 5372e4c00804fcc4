//! Solves puzzles with recursive models: keeps a batch full, decides when a row stops, verifies each answer.

pub mod batch;
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

pub use error::SolverError;
pub use graph::graph_of_weights;
pub use halt::{HaltPolicy, HaltReason, Progress, QHalt};
pub use maze_network::{MOST_STATE_BYTES, Network};
pub use measure::eval::{Evaluation, Rate};
pub use model::Model;
pub use solve::{AttemptKind, Observer, Question, SolveOptions, SolveReport, Solver, StepView};

/// The result of this crate's fallible functions.
pub type Result<T, E = SolverError> = std::result::Result<T, E>;
