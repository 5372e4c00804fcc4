//! Trains and fine-tunes models, on the machine that will use them.
//!
//! ```no_run
//! use std::path::Path;
//! use trm_engine::SessionOptions;
//! use trm_engine::ort::OrtEngine;
//! use trm_train::config::TrainConfig;
//! use trm_train::log::{EvalRecord, TrainRecord};
//! use trm_train::run::RunFolder;
//! use trm_train::trainer::{TrainObserver, Trainer};
//!
//! struct Progress;
//!
//! impl TrainObserver for Progress {
//!     fn updated(&mut self, window: &TrainRecord) {
//!         println!("step {}: loss {:.3}", window.step, window.loss);
//!     }
//!     fn evaluated(&mut self, record: &EvalRecord) {
//!         println!("{:.1} % of {} held-out puzzles", 100.0 * record.exact, record.n);
//!     }
//!     fn stop(&mut self) -> bool {
//!         false
//!     }
//! }
//!
//! let engine = OrtEngine::load(None)?;
//! let config = TrainConfig::preset("sudoku-4")?;
//! let folder = RunFolder::create(Path::new("my-run"), &config)?;
//! let mut trainer = Trainer::start(&engine, config, folder, None, SessionOptions::default())?;
//! trainer.run(&mut Progress)?;
//! let (weights, state) = trainer.best_weights()?;
//! println!("{} tensors, the best of step {}", weights.len(), state.step);
//! # Ok::<(), trm_train::TrainError>(())
//! ```

pub mod classifier;
pub mod config;
pub mod config_sections;
mod config_sizes;
pub mod costs;
pub mod data;
mod error;
pub mod held_out;
pub mod init;
mod lock;
pub mod log;
pub mod plot;
pub mod run;
pub mod runtime;
pub mod schedule;
mod slots;
pub mod trainer;

pub use error::TrainError;

/// The result of this crate's fallible functions.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;
