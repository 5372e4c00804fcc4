//! The one error type of this crate.

use std::path::PathBuf;

use trm_models::ModelError;

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
    /// A picture that cannot be decoded.
    #[error("{}: not a picture that can be read\nhint: JPEG and PNG are", path.display())]
    Picture {
        /// The file, or what the picture is called.
        path: PathBuf,
        /// The decoder's reason.
        source: image::ImageError,
    },
    /// A picture that would take too much memory.
    #[error(
        "{}: {width}x{height} pixels are more than {} million\nhint: scale it down, 2 million are plenty",
        path.display(), crate::vision::photo::MAX_PIXELS / 1_000_000
    )]
    PictureTooLarge {
        /// The file, or what the picture is called.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A source of pictures that is not what it should be, or a picture of one.
    #[error("{name}: {reason}\nhint: {hint}")]
    Source {
        /// The source as it was written, or its file.
        name: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A model could not be loaded or run.
    #[error(transparent)]
    Solver(#[from] trm_solver::SolverError),
    /// A label of a set of photographs or fonts that cannot be used.
    #[error("{}: {reason}\nhint: expected {hint}", path.display())]
    Label {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What was expected.
        hint: &'static str,
    },
    /// A classifier of something else than digits.
    #[error(
        "{name}: no digit reader: pictures of {size}x{size} into {classes} classes\nhint: a digit reader takes 28x28 into 10; `trm-host digits` makes one"
    )]
    NoDigitReader {
        /// Its name.
        name: String,
        /// Rows and columns of its pictures.
        size: usize,
        /// Its classes.
        classes: usize,
    },

    // display
    /// A device's file could not be read or written.
    #[error("{}: {action} failed", path.display())]
    Device {
        /// The device, or what the system tells of it.
        path: PathBuf,
        /// What was tried: `open`, `write`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A framebuffer that cannot be drawn to.
    #[error("{}: {reason}\nhint: {hint}", path.display())]
    Framebuffer {
        /// The device, or the file that describes it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A picture could not be encoded.
    #[error("{}: cannot be encoded as PNG", path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// Why.
        source: png::EncodingError,
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

    // motion
    /// A path, or how to drive it, cannot be used.
    #[error("{name} {reason}\nhint: {hint}")]
    Path {
        /// The file, or what of it.
        name: String,
        /// What is wrong with it.
        reason: String,
        /// What was expected.
        hint: &'static str,
    },
    /// A device that cannot drive a path.
    #[error("{port}: the device ({firmware}) {reason}\nhint: {hint}")]
    CannotDrive {
        /// The port.
        port: String,
        /// The firmware's name.
        firmware: String,
        /// What it lacks.
        reason: &'static str,
        /// What to do about it.
        hint: &'static str,
    },

    // ROS 2
    /// The node could not join the network.
    #[cfg(feature = "ros2")]
    #[error("ROS 2: {action} failed: {reason}")]
    Ros2 {
        /// What was done.
        action: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// A name or number that ROS 2 does not allow.
    #[cfg(feature = "ros2")]
    #[error("`{name}` cannot be {what}: {reason}\nhint: {hint}")]
    Ros2Name {
        /// What it should be: `the name of a topic`.
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
        /// What is allowed.
        hint: &'static str,
    },
    /// A message whose content cannot be used.
    #[cfg(feature = "ros2")]
    #[error("{what}: {reason}")]
    Ros2Message {
        /// The part of the message.
        what: String,
        /// What is wrong with it.
        reason: String,
    },

    // kiosk
    /// The kiosk's settings cannot be used.
    #[error("{origin}: {reason}{}", hint_line(hint.as_deref()))]
    KioskConfig {
        /// The file.
        origin: String,
        /// Which key, its value, what was expected.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// What the kiosk keeps on disk cannot be used.
    #[error("{}: {reason}\nhint: {hint}", path.display())]
    KioskState {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// Metrics would be readable from other machines, which nobody asked for.
    #[error(
        "metrics.listen is {address}, expected a loopback address\nhint: 127.0.0.1 or [::1]; metrics.public = true opens \
         the metrics to the network"
    )]
    NotLoopback {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// The metrics' port cannot be listened on.
    #[error(
        "cannot listen on {address} for metrics: {reason}\nhint: is another kiosk running? metrics.listen sets the port"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// systemd was not told.
    #[error("cannot tell systemd of `{message}` through NOTIFY_SOCKET")]
    Notify {
        /// What was to be said.
        message: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A model bundle cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model was not activated; the one before it stays.
    #[error("{bundle}: not activated: {reason}\nhint: {hint}")]
    ModelRefused {
        /// The bundle.
        bundle: String,
        /// Why.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// A part of the kiosk failed: camera, reader, solver, screen or device.
    #[error("{part}: {reason}")]
    Part {
        /// The part.
        part: &'static str,
        /// What it says.
        reason: String,
    },
}

impl HostError {
    /// Whether a device, its port or an engine is at fault, rather than what the user has given.
    #[must_use]
    pub fn is_device_failure(&self) -> bool {
        match self {
            Self::Solver(error) => error.is_engine_failure(),
            Self::Device { .. }
            | Self::NoPort { .. }
            | Self::PortBusy { .. }
            | Self::PortDenied { .. }
            | Self::Port { .. }
            | Self::NoUsbPort { .. }
            | Self::ProtocolVersion { .. }
            | Self::DeviceSilent { .. }
            | Self::Command(_)
            | Self::CannotDrive { .. }
            | Self::Part { .. }
            | Self::Notify { .. }
            | Self::Listen { .. } => true,
            #[cfg(feature = "ros2")]
            Self::Ros2 { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }
}

/// The optional last line of a message.
fn hint_line(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
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
