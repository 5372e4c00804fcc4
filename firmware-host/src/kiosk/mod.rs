//! The unattended appliance: a camera over a table, a display, perhaps a microcontroller.
//!
//! [`machine`] says what happens when, as a pure function; [`run`] is the loop that asks the parts and feeds the
//! machine; [`parts`] are the traits behind which camera, reader, solver, screen and device stand, [`real`] what stands there.
//! Around them: [`config`] (`kiosk.toml`), [`state`] (what survives a power cut), [`models`] (swapping a model while
//! running), [`metrics`] (Prometheus and health on loopback), [`systemd`] (readiness and watchdog) and `mqtt` (status).
//!
//! Refused: settings with unknown keys, metrics on a public address that nobody asked for, two kiosks on one state
//! folder, and to call an answer solved that the puzzle's rules have not verified.

pub mod config;
pub mod machine;
pub mod metrics;
pub mod models;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod parts;
pub mod real;
pub mod run;
pub mod state;
pub mod status;
pub mod stills;
pub mod systemd;

pub use config::KioskConfig;
pub use machine::{Action, Event, Outcome, State};
pub use metrics::Metrics;
pub use parts::{
    Camera, Device, Frame, Light, Parts, Puzzle, PuzzleSolver, Reader, Reading, Scene, Screen, Solution, Step,
};
pub use run::{End, Ended, Kiosk, Settings};
pub use state::{KioskState, StateStore};
pub use stills::Stills;
