//! Where the device is: options that commands share.

use std::path::PathBuf;
use std::time::Duration;

use trm_link::serial::{BAUD_RATE, PortName, Serial};
use trm_link::{Client, Timeouts, UsbId};

/// A device's port.
#[derive(Debug, clap::Args)]
pub(crate) struct Port {
    /// The device's serial port, such as /dev/ttyACM0
    #[arg(id = "port", long = "port", value_name = "PATH", conflicts_with = "usb")]
    path: Option<PathBuf>,
    /// Find the port by the USB device's ids, as lsusb prints them
    #[arg(long, value_name = "VENDOR:PRODUCT")]
    usb: Option<UsbId>,
    /// Speed of the line, bits a second
    #[arg(long, value_name = "BAUD", default_value_t = BAUD_RATE)]
    pub(crate) baud: u32,
    /// How long to wait for the device to answer, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    timeout: u64,
}

impl Port {
    /// The port, if one was given.
    pub(crate) fn name(&self) -> Option<PortName> {
        self.path.clone().map(PortName::Path).or(self.usb.map(PortName::Usb))
    }

    /// Starts to connect to a device.
    pub(crate) fn open(&self, name: PortName) -> Client {
        Client::open(Serial::new(name, self.baud), Timeouts::default())
    }

    /// Longest wait for the device to answer.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}
