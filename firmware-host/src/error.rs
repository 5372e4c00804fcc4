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
    // display
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
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] trm_models::ModelError),
}
