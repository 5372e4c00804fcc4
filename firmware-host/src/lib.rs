//! Connects the solver to the world: camera to grid, display, microcontroller, motion; a planner to ROS 2.
//!
//! - [`vision`] reads the puzzle in a photograph, and [`Solving`] solves it.
//! - [`display`] draws what people see.
//! - [`kiosk`] is the unattended appliance, whose parts stand behind traits.
//! - The microcontroller and its motion are in `trm_link`.
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use trm_engine::registry;
//! use trm_firmware_host::Solving;
//! use trm_firmware_host::vision::{BoardReader, photo};
//! use trm_models::ClassifierBundle;
//! use trm_puzzles::PuzzleKind;
//!
//! let mut reader = BoardReader::open(&ClassifierBundle::digits()?)?;
//! let reading = reader.read(&photo::open(Path::new("tests/fixtures/photos/image102.jpg"))?)?;
//! assert!(reading.trusted());
//! let (Some(task), Some(puzzle)) = (reading.task, &reading.grid) else { unreachable!("a trusted reading has both") };
//!
//! // Nobody watches the steps, and nobody breaks them off.
//! let mut solving = Solving::new((registry::default().open)(None)?, Vec::new());
//! let report = solving.solve(PuzzleKind::Sudoku(task), puzzle, &mut |_step, _answer| ControlFlow::Continue(()))?;
//! assert!(report.is_some_and(|report| report.verdict.is_verified()));
//! # Ok::<(), trm_firmware_host::HostError>(())
//! ```

pub mod display;
mod error;
mod intake;
pub mod kiosk;
#[cfg(feature = "ros2")]
pub mod ros2;
mod solving;
pub mod vision;

pub use error::{HostError, hint_of};
pub use solving::Solving;

/// The result of this crate's fallible functions.
pub type Result<T, E = HostError> = std::result::Result<T, E>;
