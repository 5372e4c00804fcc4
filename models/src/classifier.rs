//! A classifier as it is shipped: a folder with one graph, its card, and a manifest with the graph's SHA-256.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};
use trm_intake::{Budget, Limits, Printable};

use crate::bundle::{CARD, FORMAT_VERSION, FileHash, MANIFEST, Measured};
use crate::{ModelError, Result, strict_json};
use trm_intake::file::{FileError, read_within, write_atomically};

/// File name of the graph.
pub const CLASSIFIER_GRAPH: &str = "classify.onnx";

/// Limits of a classifier's two files together; the graph of the built-in one has half a megabyte.
const LIMITS: Limits = Limits { bytes: 32 << 20, items: 4_096, depth: 32, time: None };

/// The longest text in a manifest, in bytes.
const LONGEST_TEXT: u64 = 64 << 10;

/// The `manifest.json` of a classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassifierManifest {
    /// Version of the format.
    pub format_version: u32,
    /// Name, e.g. `digits`.
    pub name: String,
    /// Rows and columns of a picture.
    pub size: usize,
    /// The classes, in the order of the outputs.
    pub classes: Vec<String>,
    /// SHA-256 and size of [`CLASSIFIER_GRAPH`].
    pub graph: FileHash,
    /// A description of the training data, for people.
    pub training_data: String,
    /// Measured figures, each with the command that measures it.
    #[serde(default)]
    pub accuracy: Vec<Measured>,
    /// Licence of the weights.
    pub licence: String,
    /// Program and version that wrote it.
    pub producer: String,
}

/// A classifier with its graph, checked against its hash.
#[derive(Debug, Clone)]
pub struct ClassifierBundle {
    manifest: ClassifierManifest,
    graph: Cow<'static, [u8]>,
}

impl ClassifierBundle {
    /// The digit reader that is built into every program.
    ///
    /// # Errors
    /// None in a release: a test opens the built-in reader.
    pub fn digits() -> Result<Self> {
        let manifest = include_bytes!("../digits/manifest.json");
        let graph: &'static [u8] = include_bytes!("../digits/classify.onnx");
        Self::checked(manifest, Cow::Borrowed(graph), "digits")
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// When files are missing, or damaged, or of a later format, or too large.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut budget = Budget::new(LIMITS);
        let manifest = folder.join(MANIFEST);
        if !manifest.is_file() {
            return Err(ModelError::NotABundle { path: folder.to_owned() });
        }
        let manifest = read_within(&manifest, &mut budget, "manifest")?;
        budget.take_json(&manifest, LONGEST_TEXT).map_err(|exceeded| ModelError::BadManifest {
            bundle: folder.display().to_string(),
            reason: exceeded.to_string(),
        })?;
        let graph = read_within(&folder.join(CLASSIFIER_GRAPH), &mut budget, "classifier")?;
        Self::checked(&manifest, Cow::Owned(graph), &folder.display().to_string())
    }

    fn checked(manifest: &[u8], graph: Cow<'static, [u8]>, bundle: &str) -> Result<Self> {
        let bad = |error: &dyn std::error::Error| {
            let reason = Printable(&error.to_string()).to_string();
            ModelError::BadManifest { bundle: bundle.to_owned(), reason }
        };
        let text = std::str::from_utf8(manifest).map_err(|error| bad(&error))?;
        let manifest = strict_json::parse(text).and_then(serde_json::from_value::<ClassifierManifest>);
        let manifest = manifest.map_err(|error| bad(&error))?;
        if manifest.format_version > FORMAT_VERSION {
            return Err(ModelError::FormatVersion {
                bundle: bundle.to_owned(),
                found: manifest.format_version.into(),
                supported: FORMAT_VERSION,
            });
        }
        let found = FileHash::of(&graph);
        if found != manifest.graph {
            return Err(ModelError::DamagedFile {
                bundle: bundle.to_owned(),
                file: CLASSIFIER_GRAPH.to_owned(),
                property: "SHA-256",
                expected: Printable(&manifest.graph.sha256).to_string(),
                found: found.sha256,
            });
        }
        Ok(Self { manifest, graph })
    }

    /// Writes a classifier into a folder, which is made; `manifest.graph` is filled in. Each file is whole or not there, and
    /// a folder that was interrupted between two of them does not open.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(folder: &Path, mut manifest: ClassifierManifest, graph: &[u8], card: &str) -> Result<()> {
        std::fs::create_dir_all(folder)
            .map_err(|source| ModelError::File(FileError::Io { action: "create", path: folder.to_owned(), source }))?;
        manifest.graph = FileHash::of(graph);
        let text = serde_json::to_string_pretty(&manifest)
            .map_err(|error| ModelError::BadManifest { bundle: manifest.name.clone(), reason: error.to_string() })?;
        write_atomically(&folder.join(CARD), |file| std::io::Write::write_all(file, card.as_bytes()))?;
        write_atomically(&folder.join(CLASSIFIER_GRAPH), |file| std::io::Write::write_all(file, graph))?;
        write_atomically(&folder.join(MANIFEST), |file| std::io::Write::write_all(file, text.as_bytes()))?;
        Ok(())
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &ClassifierManifest {
        &self.manifest
    }

    /// The ONNX file: `pictures` f32 `[batch, size, size]` to `probabilities` f32 `[batch, classes]`.
    #[must_use]
    pub fn graph(&self) -> &[u8] {
        &self.graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_digit_reader_is_whole_and_like_its_folder() {
        let built_in = ClassifierBundle::digits().unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("digits");
        let folder = ClassifierBundle::open(&folder).unwrap();
        assert_eq!(built_in.manifest(), folder.manifest());
        assert_eq!(built_in.manifest().classes.len(), 10);
    }

    #[test]
    fn a_flipped_byte_is_found() {
        let built_in = ClassifierBundle::digits().unwrap();
        let folder = tempfile::tempdir().unwrap();
        ClassifierBundle::write(folder.path(), built_in.manifest().clone(), built_in.graph(), "card").unwrap();
        ClassifierBundle::open(folder.path()).unwrap();
        let mut graph = built_in.graph().to_vec();
        graph[1000] ^= 1;
        std::fs::write(folder.path().join(CLASSIFIER_GRAPH), graph).unwrap();
        let error = ClassifierBundle::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("classify.onnx is damaged"), "{error}");
    }
    #[test]
    fn a_key_twice_is_an_error() {
        let built_in = ClassifierBundle::digits().unwrap();
        let folder = tempfile::tempdir().unwrap();
        ClassifierBundle::write(folder.path(), built_in.manifest().clone(), built_in.graph(), "card").unwrap();
        let path = folder.path().join(MANIFEST);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen('{', "{\"name\": \"other\",", 1)).unwrap();
        let error = ClassifierBundle::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("duplicate key `name`"), "{error}");
    }
}
