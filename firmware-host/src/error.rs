//! The one error type of this crate.

use std::path::PathBuf;

use trm_models::ModelError;

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
    /// True when a device or an engine failed, false for bad input.
    #[must_use]
    pub fn is_device_failure(&self) -> bool {
        matches!(self, Self::Part { .. } | Self::Notify { .. } | Self::Listen { .. })
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
