//! Runs recursive models: loads a bundle's graphs on an engine, steps them, decides when to stop.

pub mod act;
pub mod batch;
pub mod bench;
pub mod classify;
pub mod console;
pub mod engine;
mod error;
pub mod eval;
pub mod machine;
pub mod manual;
pub mod model;
pub mod parity;
pub mod pictures;
pub mod plan;
pub mod quantize;
pub mod render;
pub mod selftest;
pub mod solve;
pub mod train;
pub mod tuning;

pub use act::{ActOutput, ActStep, Carry, HaltPolicy, HaltReason, Progress, QHalt};
pub use engine::{
    Engine, GraphSource, SessionInfo, SessionOptions, SolveInput, SolveOutput, SolveSession, StepSession,
};
pub use error::SolverError;
pub use eval::{Evaluation, Rate};
pub use model::Model;
pub use solve::{AttemptKind, Observer, Question, SolveOptions, SolveReport, Solver, StepView};

/// What this crate's fallible functions return.
pub type Result<T, E = SolverError> = std::result::Result<T, E>;
