//! The one error type of this crate.

use std::path::PathBuf;

use crate::link::{CommandError, UsbId};

/// Why something could not be read, drawn, sent or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// A file or device could not be read or written.
    #[error("{}: {action} failed", path.display())]
    Io {
        /// The file or device.
        path: PathBuf,
        /// What was tried: `open`, `write`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No such serial port.
    #[error(
        "{}: no such serial port\nhint: plug the device in, or give its port: ls /dev/serial/by-id /dev/ttyACM* /dev/ttyUSB*", path.display()
    )]
    NoPort {
        /// The port.
        path: PathBuf,
    },
    /// Another program has the serial port open.
    #[error("{}: the serial port is in use by another program\nhint: `fuser -v {}` names it", path.display(), path.display())]
    PortBusy {
        /// The port.
        path: PathBuf,
    },
    /// The user may not open the serial port.
    #[error(
        "{}: permission denied\nhint: serial ports belong to the group dialout: `sudo usermod -a -G dialout $USER`, then log in again", path.display()
    )]
    PortDenied {
        /// The port.
        path: PathBuf,
    },
    /// A serial port that cannot be used for another reason.
    #[error("{}: cannot be opened as a serial port: {reason}", path.display())]
    Port {
        /// The port.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// No serial port belongs to a USB device with these ids.
    #[error(
        "no serial port of a USB device {id}; there is: {present}\nhint: plug the device in, or give its port with --port"
    )]
    NoUsbPort {
        /// What was looked for, as `1209:0001`.
        id: UsbId,
        /// The USB serial ports there are.
        present: String,
    },
    /// The device speaks another version of the protocol.
    #[error(
        "{port}: the device speaks version {device} of the protocol, this program version {host}\nhint: flash a firmware built against the same version of trm-protocol"
    )]
    ProtocolVersion {
        /// The port.
        port: String,
        /// The device's version.
        device: u8,
        /// Our version.
        host: u8,
    },
    /// The port is open, and nothing that makes sense comes out of it.
    #[error(
        "{port}: the device does not answer (waited {waited_ms} ms; {unreadable} unreadable frames)\nhint: check that this is the right port, that the baud rate is the firmware's, and that the firmware runs"
    )]
    DeviceSilent {
        /// The port.
        port: String,
        /// How long was waited.
        waited_ms: u64,
        /// Frames that came, but could not be read.
        unreadable: u64,
    },
    /// A command to the device was not confirmed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Pixels that the device's panel cannot show.
    #[error("the panel cannot show this: {reason}")]
    PanelMismatch {
        /// What does not fit.
        reason: String,
    },
    /// What a connected device did was not what was asked for.
    #[error("the link failed its trial: {reason}")]
    Trial {
        /// What went wrong.
        reason: String,
    },
    /// A file that should have been written.
    #[error(transparent)]
    File(#[from] trm_models::ModelError),
}

impl HostError {
    /// Whether a device or its port is at fault, rather than what the user has given.
    #[must_use]
    pub fn is_device_failure(&self) -> bool {
        matches!(
            self,
            Self::NoPort { .. }
                | Self::PortBusy { .. }
                | Self::PortDenied { .. }
                | Self::Port { .. }
                | Self::NoUsbPort { .. }
                | Self::ProtocolVersion { .. }
                | Self::DeviceSilent { .. }
                | Self::Command(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cannot be provoked on every machine: root may open anything.
    #[test]
    fn a_port_that_may_not_be_opened_says_who_may() {
        let error = HostError::PortDenied { path: "/dev/ttyACM0".into() };
        assert!(error.is_device_failure());
        assert_eq!(
            error.to_string(),
            "/dev/ttyACM0: permission denied\nhint: serial ports belong to the group dialout: \
             `sudo usermod -a -G dialout $USER`, then log in again"
        );
    }
}
