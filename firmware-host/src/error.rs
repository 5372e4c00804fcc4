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
