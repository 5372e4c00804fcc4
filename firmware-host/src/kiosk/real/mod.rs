//! The parts that a kiosk is made of outside of tests, by its settings: cameras, the reader of boards, the models, displays,
//! the microcontroller.

mod camera;
mod microcontroller;
mod panel;
mod reader;
mod scenes;
mod screens;
mod solver;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use camera::open_camera;
pub use microcontroller::Microcontroller;
pub use panel::PanelScreen;
pub use reader::PhotoReader;
pub use scenes::Staging;
pub use screens::{Screens, ThemeName};
pub use solver::ModelSolver;
use trm_link::serial::{PortName, Serial};
use trm_link::{Client, Timeouts};
use trm_models::TrustedKey;

use super::config::{DeviceConfig, KioskConfig};
use super::metrics::Metrics;
use super::models::SelfTest;
use super::parts::{Device, Parts};
use super::status::StatusSink;
use super::tester::{ChildTest, TestLimits};
use crate::{HostError, Result};

/// The hidden command of `trm-host` that is its tester: a folder, bytes of memory and seconds follow.
const TESTER: [&str; 2] = ["model", "self-test"];
/// Longest wait of a kiosk at its start for the microcontroller, so that the first scene is on its panel.
const FIRST_CONTACT: Duration = Duration::from_secs(2);

/// The parts, by the settings. What goes wrong without being a failure is told to the `metrics`' troubles; `stop` ends
/// all waiting. With `once`, pictures that are not there are an error: nobody waits for them.
///
/// # Errors
/// When the camera or the built-in reader cannot be opened, or a setting makes no sense. Displays and a microcontroller that
/// are not there are waited for.
pub fn parts(
    config: &KioskConfig,
    status: Box<dyn StatusSink>,
    metrics: &Arc<Metrics>,
    once: bool,
    stop: &'static AtomicBool,
) -> Result<Parts<'static>> {
    let camera = open_camera(&config.camera, once, metrics, stop)?;
    let client = config.device.as_ref().map(|device| connect(device, metrics, stop)).transpose()?;
    let screens = Screens::open(&config.display, client.as_ref(), config.solver.max_steps)?;
    let device = client.map(|client| Box::new(Microcontroller::new(client)) as Box<dyn Device>);
    Ok(Parts {
        camera,
        reader: Box::new(PhotoReader::built_in()?),
        solver: Box::new(ModelSolver::new(config.solver.max_steps)?),
        screen: Box::new(screens),
        device,
        self_test: Some(self_test(config.models.trusted_keys()?)),
        status,
    })
}

/// The test that a model must pass to be activated: signed with one of the keys, if there are any, and tested by this program in a
/// process of its own.
#[must_use]
pub fn self_test(trust: Vec<TrustedKey>) -> Arc<dyn SelfTest + Send + Sync> {
    // What runs now, even if another version has taken its place on the disk.
    let this = Path::new("/proc/self/exe");
    let program = if this.exists() { this.to_owned() } else { std::env::current_exe().unwrap_or_default() };
    Arc::new(ChildTest::new(program, TESTER, TestLimits::default(), trust))
}

/// The link to the microcontroller, which keeps itself up.
fn connect(config: &DeviceConfig, metrics: &Metrics, stop: &AtomicBool) -> Result<Arc<Client>> {
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
    match client.wait_connected_unless(FIRST_CONTACT, stop) {
        Ok(device) => {
            let [major, minor, patch] = device.version;
            metrics.troubles.say(&format!("{}: {} {major}.{minor}.{patch}", client.port(), device.firmware));
        }
        // The loop says why, and when that is over.
        Err(_) => metrics.troubles.say(&format!("{}: the device does not answer yet", client.port())),
    }
    Ok(Arc::new(client))
}
