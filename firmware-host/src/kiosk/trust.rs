//! `[models]` of `kiosk.toml`: whose models are taken.

use serde::Deserialize;
use trm_models::{ModelError, TrustedKey};

/// Models that are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsConfig {
    /// minisign public keys. With at least one, only models that were signed with one of them are taken.
    pub trust: Vec<String>,
}

impl ModelsConfig {
    /// The keys.
    ///
    /// # Errors
    /// When one of them is not a minisign public key.
    pub fn trusted_keys(&self) -> Result<Vec<TrustedKey>, ModelError> {
        self.trust.iter().map(|key| TrustedKey::parse(key, "models.trust")).collect()
    }
}
