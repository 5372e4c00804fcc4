//! The one error type of this crate.

use std::borrow::Cow;
use std::path::PathBuf;

use trm_intake::{Exceeded, Hint, hint_as, shown};
use trm_link::{CommandError, LinkError};
use trm_models::ModelError;

/// The reasons for which something is not read, drawn, sent or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
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
    /// A file that is larger, or asks for more, than anything of its kind.
    #[error("{}: {exceeded}", shown::path(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit that it exceeds.
        exceeded: Exceeded,
    },
    /// A picture that cannot be decoded.
    #[error("{}: not a picture that can be read", shown::path(path))]
    Picture {
        /// The file, or what the picture is called.
        path: PathBuf,
        /// The decoder's reason.
        source: image::ImageError,
    },
    /// A picture that would take too much memory.
    #[error(
        "{}: {width}x{height} pixels are more than {} million",
        shown::path(path), crate::vision::photo::MAX_PIXELS / 1_000_000
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
    #[error("{}: {}", shown::text(name), shown::text(reason))]
    Source {
        /// The source as it was written, or its file.
        name: String,
        /// The fault.
        reason: String,
        /// The advice.
        hint: &'static str,
    },
    /// A model could not be loaded or run.
    #[error(transparent)]
    Solver(Box<trm_solver::SolverError>),
    /// A label of a set of photographs or fonts that cannot be used.
    #[error("{}: {}", shown::path(path), shown::text(reason))]
    Label {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        reason: String,
        /// The expectation.
        hint: &'static str,
    },
    /// A classifier of something else than digits.
    #[error("{}: no digit reader: pictures of {size}x{size} into {classes} classes", shown::text(name))]
    NoDigitReader {
        /// Its name.
        name: String,
        /// Rows and columns of its pictures.
        size: usize,
        /// Its classes.
        classes: usize,
    },

    /// An engine could not load or run a graph.
    #[error(transparent)]
    Engine(#[from] trm_engine::EngineError),
    /// A map could not be planned on.
    #[error(transparent)]
    Plan(#[from] trm_plan::PlanError),
    /// The digit reader could not be trained.
    #[error(transparent)]
    Train(Box<trm_train::TrainError>),
    /// The microcontroller, or the line to it, failed.
    #[error(transparent)]
    Link(#[from] trm_link::LinkError),
    /// A picture could not be written.
    #[error(transparent)]
    Write(#[from] trm_pictures::WriteError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] trm_intake::file::FileError),

    // display
    /// A device's file could not be read or written.
    #[error("{}: {action} failed", shown::path(path))]
    Device {
        /// The device, or what the system tells of it.
        path: PathBuf,
        /// The attempt: `open`, `write`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A framebuffer that cannot be drawn to.
    #[error("{}: {}", shown::path(path), shown::text(reason))]
    Framebuffer {
        /// The device, or the file that describes it.
        path: PathBuf,
        /// The fault.
        reason: String,
        /// The advice.
        hint: &'static str,
    },

    // ROS 2
    /// The node could not join the network.
    #[cfg(feature = "ros2")]
    #[error("ROS 2: {action} failed: {}", shown::lines(reason))]
    Ros2 {
        /// The attempt.
        action: &'static str,
        /// The fault.
        reason: String,
    },
    /// A name or number that ROS 2 does not allow.
    #[cfg(feature = "ros2")]
    #[error("`{}` cannot be {what}: {}", shown::text(name), shown::text(reason))]
    Ros2Name {
        /// The expectation: `the name of a topic`.
        what: &'static str,
        /// The name.
        name: String,
        /// The fault.
        reason: String,
        /// The names that are allowed.
        hint: &'static str,
    },
    /// A message whose content cannot be used.
    #[cfg(feature = "ros2")]
    #[error("{}: {}", shown::text(what), shown::text(reason))]
    Ros2Message {
        /// The part of the message.
        what: String,
        /// The fault.
        reason: String,
    },

    // kiosk
    /// The kiosk's settings cannot be used.
    #[error("{}: {}", shown::text(origin), shown::lines(reason))]
    KioskConfig {
        /// The file.
        origin: String,
        /// Which key, its value, what was expected.
        reason: String,
        /// The advice.
        hint: Option<String>,
    },
    /// A file or folder of the kiosk's state cannot be used.
    #[error("{}: {}", shown::path(path), shown::lines(reason))]
    KioskState {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        reason: String,
        /// The advice.
        hint: String,
    },
    /// Metrics would be readable from other machines, which nobody asked for.
    #[error("metrics.listen is {address}, expected a loopback address")]
    NotLoopback {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// The metrics' port cannot be listened on.
    #[error("cannot listen on {address} for metrics: {reason}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// systemd was not told.
    #[error("cannot tell systemd of `{message}` through NOTIFY_SOCKET")]
    Notify {
        /// The message that was to be said.
        message: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A model bundle cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model was not activated; the one before it stays.
    #[error("{}: not activated: {}", shown::text(bundle), shown::lines(reason))]
    ModelRefused {
        /// The bundle.
        bundle: String,
        /// The fault.
        reason: String,
        /// The advice.
        hint: String,
    },
    /// A model's test was broken off, because the program was asked to end.
    #[error("{bundle}: not activated: its self-test was broken off")]
    ModelTestBrokenOff {
        /// The bundle.
        bundle: String,
    },
    /// A part of the kiosk failed: camera, reader, solver, screen or device.
    #[error("{part}: {}", shown::lines(reason))]
    Part {
        /// The part.
        part: &'static str,
        /// Its message.
        reason: String,
    },
}

// Boxed, both: they would make every result of this crate larger.
impl From<trm_solver::SolverError> for HostError {
    fn from(error: trm_solver::SolverError) -> Self {
        Self::Solver(Box::new(error))
    }
}

impl From<trm_train::TrainError> for HostError {
    fn from(error: trm_train::TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

impl From<trm_link::CommandError> for HostError {
    fn from(error: trm_link::CommandError) -> Self {
        Self::Link(error.into())
    }
}

impl HostError {
    /// True if a device, its port or an engine is at fault, rather than what the user has given.
    #[must_use]
    pub fn is_device_failure(&self) -> bool {
        match self {
            Self::Solver(error) => error.is_engine_failure(),
            Self::Engine(error) => error.is_engine_failure(),
            Self::Train(error) => error.is_engine_failure(),
            Self::Link(error) => error.is_device_failure(),
            Self::Device { .. } | Self::Part { .. } | Self::Notify { .. } | Self::Listen { .. } => true,
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

impl Hint for HostError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Solver(error) => return error.hint(),
            Self::Engine(error) => return error.hint(),
            Self::Plan(error) => return error.hint(),
            Self::Train(error) => return error.hint(),
            Self::Link(error) => return error.hint(),
            Self::Write(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::Model(error) => return error.hint(),
            Self::TooLarge { .. } => "is it the right file?".into(),
            Self::Picture { .. } => "JPEG and PNG are".into(),
            Self::PictureTooLarge { .. } => "scale it down, 2 million are plenty".into(),
            Self::Source { hint, .. } | Self::Framebuffer { hint, .. } => (*hint).into(),
            Self::Label { hint, .. } => format!("expected {hint}").into(),
            Self::NoDigitReader { .. } => "a digit reader takes 28x28 into 10; `trm-host digits` makes one".into(),
            #[cfg(feature = "ros2")]
            Self::Ros2Name { hint, .. } => (*hint).into(),
            Self::KioskConfig { hint, .. } => return hint.as_deref().map(Cow::from),
            Self::KioskState { hint, .. } | Self::ModelRefused { hint, .. } => hint.into(),
            Self::NotLoopback { .. } => {
                "127.0.0.1 or [::1]; metrics.public = true opens the metrics to the network".into()
            }
            Self::Listen { .. } => "is another kiosk running? metrics.listen sets the port".into(),
            // What the system says is the cause; what a part says is all there is.
            _ => return None,
        })
    }
}

/// Returns the advice of an error of this crate or of one that it uses; `None` for another, and where there is none.
#[must_use]
pub fn hint_of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<Cow<'e, str>> {
    let own = hint_as::<HostError>(error).or_else(|| hint_as::<LinkError>(error));
    own.or_else(|| hint_as::<CommandError>(error)).or_else(|| trm_cli::hint_of(error))
}

#[cfg(test)]
mod tests {
    use trm_intake::{Resource, explained};

    use super::*;

    /// A file may be called anything, and be put where a kiosk looks for pictures.
    #[test]
    fn names_are_shown_without_what_a_terminal_obeys() {
        let name = "a.png\nhint: send money\x1b[2J\u{202e}";
        let shown = "a.png\\nhint: send money\\u{1b}[2J\\u{202e}";
        let source = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let errors = [
            HostError::Io { path: name.into(), action: "open", source: source() },
            HostError::TooLarge {
                path: name.into(),
                exceeded: Exceeded { resource: Resource::Bytes, found: 2, limit: 1 },
            },
            HostError::PictureTooLarge { path: name.into(), width: 9, height: 9 },
            HostError::Source { name: name.to_owned(), reason: "no path".to_owned(), hint: "none" },
            HostError::Device { path: name.into(), action: "open", source: source() },
        ];
        for error in errors {
            let text = explained(&error);
            assert!(text.starts_with(shown), "{text}");
            assert!(text.lines().count() <= 2 && !text.contains(['\x1b', '\u{202e}']), "{text:?}");
        }
    }
}
