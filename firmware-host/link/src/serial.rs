//! Serial ports, through the `serialport` crate: opened exclusively, found by name or by USB ids.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serialport::{ClearBuffer, ErrorKind, SerialPort, TTYPort};

use super::{Connector, Link, UsbId, usb_ports};
use crate::{LinkError, Result};

/// Speed of the firmware's UART unless it says otherwise, bits a second; USB devices do not care.
pub const BAUD_RATE: u32 = 921_600;

/// Where the device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortName {
    /// A path: `/dev/ttyACM0`, `/dev/serial/by-id/…`.
    Path(PathBuf),
    /// The first serial port of such a USB device, wherever it is plugged in.
    Usb(UsbId),
}

/// Opens a serial port, 8N1, for this program alone.
#[derive(Debug, Clone)]
pub struct Serial {
    port: PortName,
    baud_rate: u32,
}

impl Serial {
    /// A port that is not open yet.
    #[must_use]
    pub fn new(port: PortName, baud_rate: u32) -> Self {
        Self { port, baud_rate }
    }

    /// The port's path at the moment.
    fn path(&self) -> Result<PathBuf> {
        let id = match &self.port {
            PortName::Path(path) => return Ok(path.clone()),
            PortName::Usb(id) => *id,
        };
        let ports = usb_ports(Path::new("/sys/class/tty"));
        if let Some(port) = ports.iter().find(|port| port.id == id) {
            return Ok(port.path.clone());
        }
        let present: Vec<_> = ports.iter().map(|port| format!("{} ({})", port.path.display(), port.id)).collect();
        let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
        Err(LinkError::NoUsbPort { id, present })
    }
}

impl Connector for Serial {
    fn connect(&mut self) -> Result<Box<dyn Link>> {
        let path = self.path()?;
        let builder = serialport::new(path.to_string_lossy(), self.baud_rate).timeout(Duration::from_millis(100));
        let port = TTYPort::open(&builder).map_err(|error| match error.kind() {
            ErrorKind::Io(io::ErrorKind::NotFound) => LinkError::NoPort { path: path.clone() },
            ErrorKind::Io(io::ErrorKind::PermissionDenied) => LinkError::PortDenied { path: path.clone() },
            // What serialport makes of EBUSY and of a lock that another program holds.
            ErrorKind::NoDevice => LinkError::PortBusy { path: path.clone() },
            _ => LinkError::Port { path: path.clone(), reason: error.to_string() },
        })?;
        // What was said to somebody else, or never taken, is nobody's business any more.
        port.clear(ClearBuffer::All)
            .map_err(|error| LinkError::Port { path: path.clone(), reason: error.to_string() })?;
        Ok(Box::new(SerialLink { port }))
    }

    fn name(&self) -> String {
        match &self.port {
            PortName::Path(path) => path.display().to_string(),
            PortName::Usb(id) => format!("USB device {id}"),
        }
    }
}

/// An open port.
struct SerialLink {
    port: TTYPort,
}

impl Drop for SerialLink {
    /// Closing a serial port waits until the line has taken what was written, half a minute if it takes nothing.
    fn drop(&mut self) {
        // A port that is gone has nothing to take.
        let _ = self.port.clear(ClearBuffer::Output);
    }
}

impl Link for SerialLink {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.port.set_timeout(timeout)?;
        match self.port.read(buffer) {
            // The other end hung up.
            Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
            Ok(length) => Ok(length),
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The kernel says that a port takes bytes when fewer than 256 wait in a buffer of 4096 or more, so that a frame fits
    /// whole and writing does not block, although the port is in blocking mode.
    fn write(&mut self, mut bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.port.set_timeout(timeout)?;
        while !bytes.is_empty() {
            match self.port.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
