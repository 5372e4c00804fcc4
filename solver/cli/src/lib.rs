//! The part that all programs of the project share: the options that choose an engine, how failures are printed and
//! become exit codes, printing itself, signals, time limits, and the manual.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use clap::Parser;
//! use trm_cli::backend::BackendArgs;
//! use trm_cli::{Exit, console, failure, outln};
//! use trm_solver::Model;
//!
//! #[derive(Parser)]
//! struct Arguments {
//!     model: String,
//!     #[command(flatten)]
//!     engine: BackendArgs,
//! }
//!
//! fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
//!     let model = Model::open(&arguments.model)?;
//!     let backend = arguments.engine.open(false)?;
//!     let loaded = backend.load_step(model.bundle(), &arguments.engine.session_options(1))?;
//!     outln!("{} runs on {}", model.name(), loaded.session.info().engine)?;
//!     Ok(Exit::Done)
//! }
//!
//! fn main() -> ExitCode {
//!     let arguments: Arguments = match console::parse_arguments() {
//!         Ok(arguments) => arguments,
//!         Err(code) => return code,
//!     };
//!     run(&arguments).unwrap_or_else(|error| failure::report(&error)).into()
//! }
//! ```

pub mod backend;
mod choice;
pub mod console;
pub mod deadline;
mod exit;
pub mod failure;
mod hint;
pub mod interrupt;
pub mod manual;
mod option;
mod picture_file;

pub use exit::Exit;
pub use hint::hint_of;
pub use option::{InvalidOption, option_of};
pub use picture_file::numbered;
