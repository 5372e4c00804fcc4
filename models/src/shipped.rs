//! The bundles built into every program that links this crate, so that a binary alone solves puzzles.
//!
//! Built in are the manifest, the step graph and the self-test; the other graphs, the weights and the card stay in
//! `models/`.

use crate::{ModelBundle, Result};

/// A shipped bundle's name and built-in files.
#[derive(Debug, Clone, Copy)]
pub struct ShippedBundle {
    /// The name, as in its manifest.
    pub name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

impl ShippedBundle {
    /// Opens it.
    ///
    /// # Errors
    /// Never for the bundles of a release: a test opens each.
    pub fn open(&self) -> Result<ModelBundle> {
        ModelBundle::embedded(self.name, self.files)
    }
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// All shipped bundles.
        pub const SHIPPED: &[ShippedBundle] = &[$(ShippedBundle {
            name: $name,
            files: &[
                ("manifest.json", include_bytes!(concat!("../", $name, "/manifest.json"))),
                ("step.onnx", include_bytes!(concat!("../", $name, "/step.onnx"))),
                ("selftest.safetensors", include_bytes!(concat!("../", $name, "/selftest.safetensors"))),
            ],
        }),*];
    };
}

// Adding a bundle is adding its folder's name.
shipped!();
