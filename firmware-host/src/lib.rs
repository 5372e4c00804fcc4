//! Connects the solver to the world: camera to grid, display, microcontroller, motion; a planner to ROS 2.

pub mod display;
mod error;
mod intake;
pub mod kiosk;
#[cfg(feature = "ros2")]
pub mod ros2;
mod solving;
pub mod vision;

pub use error::HostError;
pub use solving::Solving;

/// What this crate's fallible functions return.
pub type Result<T, E = HostError> = std::result::Result<T, E>;
