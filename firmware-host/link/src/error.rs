//! The one error type of this crate.

use std::borrow::Cow;
use std::path::PathBuf;

use trm_intake::file::FileError;
use trm_intake::{Hint, shown};
use trm_pictures::WriteError;

use crate::{CommandError, UsbId};

/// The reasons why a device was not reached, or a path not driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A file or device could not be read or written.
    #[error("{}: {action} failed", shown::path(path))]
    Io {
        /// The file or device.
        path: PathBuf,
        /// The attempt: `open`, `write`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A picture of the simulated panel could not be written.
    #[error(transparent)]
    Picture(#[from] WriteError),
    /// No such serial port.
    #[error("{}: no such serial port", shown::path(path))]
    NoPort {
        /// The port.
        path: PathBuf,
    },
    /// Another program has the serial port open.
    #[error("{}: the serial port is in use by another program", shown::path(path))]
    PortBusy {
        /// The port.
        path: PathBuf,
    },
    /// The user may not open the serial port.
    #[error("{}: permission denied", shown::path(path))]
    PortDenied {
        /// The port.
        path: PathBuf,
    },
    /// A serial port that cannot be used for another reason.
    #[error("{}: cannot be opened as a serial port: {}", shown::path(path), shown::text(reason))]
    Port {
        /// The port.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// No serial port belongs to a USB device with these ids.
    #[error("no serial port of a USB device {id}; there is: {}", shown::text(present))]
    NoUsbPort {
        /// The ids that were looked for, as `1209:0001`.
        id: UsbId,
        /// The USB serial ports there are.
        present: String,
    },
    /// The device speaks another version of the protocol.
    #[error("{}: the device speaks version {device} of the protocol, this program version {host}", shown::text(port))]
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
        "{}: the device does not answer (waited {waited_ms} ms; {unreadable} unreadable frames)",
        shown::text(port)
    )]
    DeviceSilent {
        /// The port.
        port: String,
        /// The time waited.
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
        /// The mismatch.
        reason: String,
    },
    /// A device that says its panel is of a size that no panel has.
    #[error(
        "{}: the device says that its panel has {width}x{height} pixels, expected 1 to {} a side",
        shown::text(port),
        crate::LONGEST_PANEL_SIDE
    )]
    PanelSize {
        /// The port.
        port: String,
        /// Pixels across, as the device says.
        width: u16,
        /// Pixels down, as the device says.
        height: u16,
    },
    /// A connected device did something else than it was asked for.
    #[error("the link failed its trial: {reason}")]
    Trial {
        /// The failure.
        reason: String,
    },
    /// A path, or how to drive it, cannot be used.
    #[error("{} {}", shown::text(name), shown::text(reason))]
    Path {
        /// The file, or what of it.
        name: String,
        /// The fault.
        reason: String,
        /// The expectation.
        hint: &'static str,
    },
    /// A device that cannot drive a path.
    #[error("{}: the device ({}) {reason}", shown::text(port), shown::text(firmware))]
    CannotDrive {
        /// The port.
        port: String,
        /// The firmware's name.
        firmware: String,
        /// The part that it lacks.
        reason: &'static str,
        /// The advice.
        hint: &'static str,
    },
}

impl Hint for LinkError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::File(error) => return error.hint(),
            Self::Picture(error) => return error.hint(),
            Self::Command(error) => return error.hint(),
            Self::NoPort { .. } => {
                "plug the device in, or give its port: ls /dev/serial/by-id /dev/ttyACM* /dev/ttyUSB*".into()
            }
            Self::PortBusy { path } => format!("`fuser -v {}` names it", shown::path(path)).into(),
            Self::PortDenied { .. } => {
                "serial ports belong to the group dialout: `sudo usermod -a -G dialout $USER`, then \
                                        log in again"
                    .into()
            }
            Self::NoUsbPort { .. } => "plug the device in, or give its port with --port".into(),
            Self::ProtocolVersion { .. } => "flash a firmware built against the same version of trm-protocol".into(),
            Self::DeviceSilent { .. } => {
                "check that this is the right port, that the baud rate is the firmware's, and that \
                                          the firmware runs"
                    .into()
            }
            Self::PanelSize { .. } => "correct the capabilities in its firmware".into(),
            Self::Path { hint, .. } | Self::CannotDrive { hint, .. } => (*hint).into(),
            Self::Io { .. } | Self::Port { .. } | Self::PanelMismatch { .. } | Self::Trial { .. } => return None,
        })
    }
}

impl Hint for CommandError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::TooLong => Some("give pixels to a `Panel`, which divides them".into()),
            _ => None,
        }
    }
}

impl LinkError {
    /// True if a device or its port is at fault, rather than what the user has given.
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
                | Self::CannotDrive { .. }
        )
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }
}

#[cfg(test)]
mod tests {
    use trm_intake::explained;

    use super::*;

    /// Tested by its message alone: root may open anything.
    #[test]
    fn a_port_that_may_not_be_opened_says_who_may() {
        let error = LinkError::PortDenied { path: "/dev/ttyACM0".into() };
        assert!(error.is_device_failure());
        assert_eq!(
            explained(&error),
            "/dev/ttyACM0: permission denied\nhint: serial ports belong to the group dialout: \
             `sudo usermod -a -G dialout $USER`, then log in again"
        );
    }

    /// A firmware may call itself anything.
    #[test]
    fn names_are_shown_without_what_a_terminal_obeys() {
        let name = "a.png\nhint: send money\x1b[2J\u{202e}";
        let shown = "a.png\\nhint: send money\\u{1b}[2J\\u{202e}";
        let errors = [
            LinkError::Io { path: name.into(), action: "open", source: std::io::ErrorKind::NotFound.into() },
            LinkError::CannotDrive { port: name.to_owned(), firmware: name.to_owned(), reason: "no", hint: "none" },
            LinkError::NoPort { path: name.into() },
            LinkError::PanelSize { port: name.to_owned(), width: 9_000, height: 9 },
        ];
        for error in errors {
            let text = explained(&error);
            assert!(text.starts_with(shown), "{text}");
            assert!(text.lines().count() <= 2 && !text.contains(['\x1b', '\u{202e}']), "{text:?}");
        }
    }
}
