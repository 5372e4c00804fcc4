//! Training and fine-tuning, on the machine that will use the model.

pub mod config;
pub mod config_sections;
pub mod data;
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
