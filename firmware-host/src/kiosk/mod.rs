//! The unattended appliance: a camera over a table, a display, perhaps a microcontroller.
//!
//! [`machine`] says what happens when, as a pure function; [`run`] is the loop that asks the parts and feeds the
//! machine; [`parts`] are the traits behind which camera, reader, solver, screen and device stand, [`real`] what stands there.
//! Around them: [`config`] (`kiosk.toml`), [`state`] (what survives a power cut), [`models`] (swapping a model while
//! running), [`tester`] (the process that a model is tested in), [`metrics`] and [`pages`] (Prometheus and health on
//! loopback), [`troubles`] (what is wrong), [`systemd`] (readiness and watchdog) and `mqtt` (status).
//!
//! Camera and reader are essential. Everything else, the state folder, displays, the microcontroller, metrics, MQTT, may be
//! missing when a kiosk starts as it may fail later: that is a trouble, said in the log and on `/healthz`, and it is tried
//! again.
//!
//! Refused: settings with unknown keys, metrics on a public address that nobody asked for, two kiosks on one state
//! folder, and to call an answer solved that the puzzle's rules have not verified.

pub mod config;
pub mod machine;
pub mod metrics;
pub mod models;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod pages;
pub mod parts;
mod quarantine;
pub mod real;
pub mod run;
mod self_test;
pub mod state;
pub mod status;
pub mod stills;
pub mod systemd;
pub mod tester;
pub mod troubles;
mod trust;

pub use config::KioskConfig;
pub use machine::{Action, Event, Outcome, State};
pub use metrics::Metrics;
pub use parts::{
    Camera, Device, Frame, Light, Parts, Puzzle, PuzzleSolver, Reader, Reading, Scene, Screen, Solution, Step,
};
pub use run::{End, Ended, Kiosk, Settings};
pub use state::{KioskState, StateStore};
pub use stills::Stills;
