//! The microcontroller: a serial line that may lose, garble and disconnect, and commands that take effect once all the same.
//!
//! - [`Link`] moves bytes, [`Connector`] opens one, again and again: [`serial`] for real ports, [`loopback`] in memory.
//! - [`Client`] is what a program uses: it keeps the connection up in a thread of its own, and every command sent
//!   through it ends as delivered or as failed. [`Panel`] draws through it.
//! - [`motion`] drives a planned path.
//! - [`simulator`] is a device on a pseudo-terminal that misbehaves on request, [`trial`] what is measured with it.
//!
//! The messages and the device's side are in `trm_protocol`.
//!
//! ```
//! use std::time::Duration;
//! use trm_link::serial::{BAUD_RATE, PortName, Serial};
//! use trm_link::simulator::{Simulator, SimulatorOptions};
//! use trm_link::{Client, Panel, Pixels, Timeouts};
//!
//! // Instead of a device: /dev/ttyACM0 would be one.
//! let simulator = Simulator::start(SimulatorOptions::default())?;
//! let port = PortName::Path(simulator.path().to_path_buf());
//!
//! let client = Client::open(Serial::new(port, BAUD_RATE), Timeouts::default());
//! client.wait_connected(Duration::from_secs(3))?;
//! let red_square = [0xF800; 20 * 20];
//! Panel::new(&client)?.draw(100, 50, 20, 20, Pixels::Rgb565(&red_square))?.wait()?;
//! assert_eq!(simulator.screen().pixels()[50 * 240 + 100], 0xF800);
//! # Ok::<(), trm_link::LinkError>(())
//! ```

mod client;
mod command_error;
mod error;
pub mod loopback;
pub mod motion;
mod panel;
pub mod serial;
mod session;
pub mod simulator;
pub mod trial;
mod usb;

use std::io;
use std::time::Duration;

pub use client::{Client, Ticket, ended_within};
pub use command_error::CommandError;
pub use error::LinkError;
pub use panel::{Panel, Pixels, Update};
pub use session::{Stats, Timeouts};
pub use usb::{UsbId, UsbPort, usb_ports};

/// The result of this crate's fallible functions.
pub type Result<T, E = LinkError> = std::result::Result<T, E>;

/// The longest side of a panel, in pixels, that a device is believed to have.
pub const LONGEST_PANEL_SIDE: u16 = 4096;

/// True if a panel is of a size that panels have. Pictures are made as large as a device says.
pub(crate) fn is_believable(panel: trm_protocol::Panel) -> bool {
    let sides = 1..=LONGEST_PANEL_SIDE;
    sides.contains(&panel.width) && sides.contains(&panel.height)
}

/// A device that has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The firmware's name, as it may be shown: what a terminal would obey is escaped.
    pub firmware: String,
    /// Its version.
    pub version: [u8; 3],
    /// The device's panel, lights, buttons and motors, and how much it takes at once.
    pub capabilities: trm_protocol::Capabilities,
}

/// A way for bytes, in both directions. Bytes may get lost; those that arrive are in order.
pub trait Link: Send {
    /// Waits up to `timeout` for bytes and takes what there is; 0 if nothing came.
    ///
    /// # Errors
    /// When the link is gone.
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize>;

    /// Sends all bytes, or fails within about `timeout`, some of them having been sent.
    ///
    /// # Errors
    /// `TimedOut` when the line is busy; any other error means that the link is gone.
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()>;
}

/// Opens links to one device.
pub trait Connector: Send {
    /// Opens the link now; does not wait for the device to appear.
    ///
    /// # Errors
    /// The reason why it cannot be opened, such as [`LinkError::NoPort`] or [`LinkError::PortBusy`].
    fn connect(&mut self) -> crate::Result<Box<dyn Link>>;

    /// The port, for messages.
    fn name(&self) -> String;
}
