//! The one error type of this crate.

use std::path::PathBuf;

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
}
