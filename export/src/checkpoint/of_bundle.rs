//! The weights of a bundle.

use std::path::PathBuf;

use trm_models::{ModelBundle, WEIGHTS};

use super::{ReadOptions, StateDict, read};
use crate::{ExportError, Result};

impl StateDict {
    /// The weights of a bundle, from the bytes that were checked against its manifest: no file is opened a second time.
    ///
    /// # Errors
    /// If the bundle holds no weights, or damaged ones.
    pub fn of_bundle(bundle: &ModelBundle) -> Result<Self> {
        let bytes = bundle.file(WEIGHTS)?;
        let path = bundle.folder().map_or_else(|| PathBuf::from(WEIGHTS), |folder| folder.join(WEIGHTS));
        let options = ReadOptions { any_names: true, ..ReadOptions::default() };
        read::read_safetensors(&bytes, &path, &options).map_err(|error| match error {
            ExportError::BadCheckpoint { path, reason, .. } => {
                let hint = Some("export the checkpoint again".into());
                ExportError::BadCheckpoint { path, reason, hint }
            }
            other => other,
        })
    }
}
