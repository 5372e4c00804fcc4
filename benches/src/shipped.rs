//! Weights of the shipped models, which lie in the repository beside their graphs; the bundles inside programs leave them out.

use std::path::PathBuf;

use trm_models::WEIGHTS;

/// The file of a shipped model's weights.
#[must_use]
pub fn weights_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models").join(name).join(WEIGHTS)
}
