//! Trains and fine-tunes models, on the machine that will use them.

pub mod classifier;
pub mod config;
pub mod config_sections;
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
