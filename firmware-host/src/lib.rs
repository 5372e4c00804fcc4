//! Connects the solver to the world: camera to grid, display, microcontroller.

mod error;
pub mod kiosk;

pub use error::HostError;

/// What this crate's fallible functions return.
pub type Result<T, E = HostError> = std::result::Result<T, E>;
