//! Parity: a model's numbers against those that the reference implementation recorded.
//!
//! A golden is a folder with a checkpoint as training saves it, its `all_config.yaml`, and `outputs.safetensors`: inputs
//! and what the public code computed from them ([`Golden`] has the format). [`compare_step`] and [`compare_solve`] run
//! the inputs on a session and report the largest absolute error at every recorded step; [`Tolerances`] judge it.
//!
//! ```no_run
//! use std::path::Path;
//! use trm_models::GraphKind;
//! use trm_solver::engine::tract::TractEngine;
//! use trm_solver::parity::{Golden, Subject, Tolerances, compare_step};
//! use trm_solver::{Engine, SessionOptions};
//!
//! let golden = Golden::open(Path::new("golden/maze_att_stable"))?;
//! let subject = Subject::of_checkpoint(golden.dir())?;
//! let graph = subject.graph(GraphKind::Step, None)?;
//! let options = SessionOptions { batch: golden.batch(), want_logits: true, ..SessionOptions::default() };
//! let mut session = TractEngine.load_step_graph(&graph.source(), &options)?;
//! for row in compare_step(session.as_mut(), &golden, &Tolerances::of(&golden))? {
//!     println!("step {}: logits differ by {:?}, passed {:?}", row.step, row.logits, row.passed);
//! }
//! # Ok::<(), trm_solver::SolverError>(())
//! ```
//!
//! A randomly initialised recursion is chaotic: after a few steps two correct implementations have nothing in common.
//! That is why goldens come in a stable form, whose every step can be judged, and in a plain one, of which only the
//! first two steps can.

mod compare;
mod golden;
mod reference;
mod subject;
mod tolerance;

pub use compare::{Start, StepComparison, compare_solve, compare_step, max_abs_error};
pub use golden::{Golden, RECORDED_STEPS};
pub use reference::{ReferenceSolveSession, ReferenceStepSession};
pub use subject::{Graph, Subject};
pub use tolerance::Tolerances;
