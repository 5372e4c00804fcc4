//! From a trained checkpoint to graphs that any engine runs.

pub mod bundle;
pub mod checkpoint;
pub mod classifier;
pub mod cost_network;
mod error;
pub mod train;
pub mod trm;

pub use bundle::{BundleRequest, Sample, export_bundle, resized_bundle};
pub use error::ExportError;
pub use trm_onnx as onnx;
pub use trm_onnx::autodiff;

/// The result of this crate's fallible functions.
pub type Result<T, E = ExportError> = std::result::Result<T, E>;
