//! The bundles built into every program that links this crate, so that a binary alone solves puzzles.
//!
//! Built in are the manifest, the step graph and the self-test, and the weights of models of any size, whose graphs are built of
//! them; all else stays in `models/`.

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
    /// None in a release: a test opens each bundle.
    pub fn open(&self) -> Result<ModelBundle> {
        ModelBundle::embedded(self.name, self.files)
    }
}

macro_rules! shipped {
    ($($name:literal $(with $more:literal)*),* $(,)?) => {
        /// All shipped bundles. A `static`: every crate that uses a constant holds what it refers to once more, which
        /// was 4.8 MB in a program.
        pub static SHIPPED: &[ShippedBundle] = &[$(ShippedBundle {
            name: $name,
            files: &[
                ("manifest.json", include_bytes!(concat!("../", $name, "/manifest.json"))),
                ("step.onnx", include_bytes!(concat!("../", $name, "/step.onnx"))),
                ("selftest.safetensors", include_bytes!(concat!("../", $name, "/selftest.safetensors"))),
                $(($more, include_bytes!(concat!("../", $name, "/", $more))),)*
            ],
        }),*];
    };
}

// Adding a bundle is adding its folder's name. The first that solves a puzzle is the one that does.
shipped!("maze" with "weights.safetensors", "sudoku" with "weights.safetensors", "maze-9", "sudoku-4");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphKind;

    #[test]
    fn every_shipped_bundle_is_whole_and_like_its_folder() {
        for shipped in SHIPPED {
            let bundle = shipped.open().expect(shipped.name);
            bundle.verify().expect(shipped.name);
            assert_eq!(bundle.manifest().name, shipped.name);
            assert!(bundle.has_graph(GraphKind::Step));
            bundle.self_test().expect("a self-test");
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(shipped.name);
            let folder = ModelBundle::open(folder).expect(shipped.name);
            folder.verify().expect(shipped.name);
            assert_eq!(bundle.manifest(), folder.manifest());
        }
    }
}
