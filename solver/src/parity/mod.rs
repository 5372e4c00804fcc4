//! Parity: a model's numbers against those that the reference implementation recorded.
//!
//! A golden is a folder with a checkpoint as training saves it, its `all_config.yaml`, `outputs.safetensors` (inputs and
//! what the public code computed from them), and a `manifest.json` whose section `judge` says which of these numbers are
//! judged and how far they may be off ([`Golden`] and [`Judge`] have the format, `docs/parity.md` the way to record one).
//! [`compare_step`] and [`compare_whole`] run the inputs on a session. A [`Comparison`] has the largest error of every
//! step and one of three outcomes: passed, failed, or not judged where anything that the recording has was not compared.
//!
//! ```no_run
//! use std::path::Path;
//! use trm_models::GraphKind;
//! use trm_engine::tract::TractEngine;
//! use trm_solver::parity::{Golden, Outcome, Scope, Subject, compare_step};
//! use trm_engine::{Engine, SessionOptions};
//!
//! let golden = Golden::open(Path::new("my-golden"))?;
//! let subject = Subject::of_checkpoint(golden.dir())?;
//! let graph = subject.graph(GraphKind::Step, None)?;
//! let options = SessionOptions { batch: golden.batch(), want_logits: true, ..SessionOptions::default() };
//! let mut session = TractEngine.load_step_graph(&graph.source(), &options)?;
//! let comparison = compare_step(session.as_mut(), &golden, &Scope::default())?;
//! for row in &comparison.steps {
//!     println!("step {}: logits differ by {:?}, passed {:?}", row.step, row.logits, row.passed);
//! }
//! assert_eq!(comparison.outcome, Outcome::Passed, "{:?}", comparison.not_judged);
//! # Ok::<(), trm_solver::SolverError>(())
//! ```
//!
//! A randomly initialised recursion is chaotic: after a few steps two correct implementations have nothing in common.
//! A recording says so itself: it has limits for the steps before that, and lists the later ones as only shown.

mod account;
mod compare;
mod golden;
mod judge;
mod old_form;
mod recording;
mod reference;
mod subject;

pub use account::{Comparison, Outcome, Scope};
pub use compare::{StepComparison, compare_solve, compare_step, compare_whole, max_abs_error};
pub use golden::{Golden, RECORDED_STEPS};
pub use judge::{Judge, JudgedStep, Quantity, Start};
pub use reference::{ReferenceSolveSession, ReferenceStepSession};
pub use subject::{Graph, Subject};
