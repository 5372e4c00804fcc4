//! The parts that a kiosk is made of outside of tests, by its settings: cameras, the reader of boards, the models, displays,
//! the microcontroller.

mod camera;
mod microcontroller;
mod panel;
mod reader;
mod scenes;
mod screens;
mod solver;

use std::sync::Arc;
use std::time::Duration;

use trm_models::GraphKind;
use trm_models::ModelBundle;
use trm_solver::engine::tract::TractEngine;
use trm_solver::{SessionOptions, selftest};

pub use camera::open_camera;
pub use microcontroller::Microcontroller;
pub use panel::PanelScreen;
pub use reader::PhotoReader;
pub use scenes::Staging;
pub use screens::{Screens, ThemeName};
pub use solver::ModelSolver;

use super::config::{DeviceConfig, KioskConfig};
use super::models::SelfTest;
use super::parts::{Device, Parts};
use super::status::StatusSink;
use crate::link::serial::{PortName, Serial};
use crate::link::{Client, Timeouts};
use crate::{HostError, Result};

/// How long a kiosk waits at its start for the microcontroller, so that the first scene is on its panel.
const FIRST_CONTACT: Duration = Duration::from_secs(2);

/// The parts, by the settings. `log` gets a line for what goes wrong without being a failure.
///
/// # Errors
/// When a source, display or the built-in reader cannot be opened. A microcontroller that does not answer is none: it is
/// waited for.
pub fn parts(config: &KioskConfig, status: Box<dyn StatusSink>, log: fn(&str)) -> Result<Parts<'static>> {
    let camera = open_camera(&config.camera, log)?;
    let client = config.device.as_ref().map(|device| connect(device, log)).transpose()?;
    let screens = Screens::open(&config.display, client.as_ref(), config.solver.max_steps)?;
    let device = client.map(|client| Box::new(Microcontroller::new(client)) as Box<dyn Device>);
    Ok(Parts {
        camera,
        reader: Box::new(PhotoReader::built_in()?),
        solver: Box::new(ModelSolver::new(config.solver.max_steps)?),
        screen: Box::new(screens),
        device,
        self_test: Some(self_test()),
        status,
    })
}

/// What a model must pass to be activated: on the engine that the kiosk solves with, its own sample gives its own answer.
#[must_use]
pub fn self_test() -> Box<dyn SelfTest> {
    Box::new(|bundle: &ModelBundle| {
        let report = selftest::run(&TractEngine, bundle, GraphKind::Step, &SessionOptions::default());
        match report {
            Ok(report) if report.passed => Ok(()),
            Ok(report) => Err(report.to_string()),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// The link to the microcontroller, which keeps itself up.
fn connect(config: &DeviceConfig, log: fn(&str)) -> Result<Arc<Client>> {
    let port = match (&config.port, &config.usb) {
        (Some(path), _) => PortName::Path(path.clone()),
        (None, usb) => {
            let id = usb.as_deref().unwrap_or_default().parse().map_err(|reason| HostError::KioskConfig {
                origin: "device.usb".to_owned(),
                reason,
                hint: None,
            })?;
            PortName::Usb(id)
        }
    };
    let client = Client::open(Serial::new(port, config.baud), Timeouts::default());
    match client.wait_connected(FIRST_CONTACT) {
        Ok(device) => {
            let [major, minor, patch] = device.version;
            log(&format!("{}: {} {major}.{minor}.{patch}", client.port(), device.firmware));
        }
        // The loop says why, and when that is over.
        Err(_) => log(&format!("{}: the device does not answer yet", client.port())),
    }
    Ok(Arc::new(client))
}
