//! A trained model as it is shipped: a folder (or bytes built into a binary) of graphs, weights, a self-test and a
//! card, each with its SHA-256 in `manifest.json`.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod kill_tests;
mod listing;
mod manifest;
mod place;
mod selftest;
mod signature;
#[cfg(test)]
mod signature_tests;
#[cfg(test)]
mod tests;
mod writer;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use trm_intake::Printable;

use crate::{GraphKind, ModelError, Result};
use trm_intake::file::{FileError, read_limited};

pub use manifest::{
    CheckpointOrigin, FOLDER_NAME, FORMAT_VERSION, FileHash, GraphFile, GraphTarget, Identities, Manifest, Measured,
    TaskKind, TaskSpec, is_folder_name,
};
pub use selftest::SelfTest;
pub use signature::{Signed, TrustedKey};
pub use writer::BundleWriter;

/// File name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// File name of the manifest's signature, as `minisign -S -m manifest.json` calls it.
pub const SIGNATURE: &str = "manifest.json.minisig";
/// File name of the weights, under the reference's tensor names; training needs them, solving does not.
pub const WEIGHTS: &str = "weights.safetensors";
/// File name of the self-test.
pub const SELF_TEST: &str = "selftest.safetensors";
/// File name of the model card.
pub const CARD: &str = "card.md";

/// A manifest is text about a handful of files. In memory, the JSON of a hostile one is 32 times as large.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// A bundle: its manifest, read and checked, and access to its files. A file is checked against its SHA-256 when it
/// is read; the bytes that were checked are the ones handed out.
#[derive(Debug, Clone)]
pub struct ModelBundle {
    manifest: Manifest,
    manifest_bytes: Cow<'static, [u8]>,
    files: Files,
}

#[derive(Debug, Clone)]
enum Files {
    Folder(PathBuf),
    Embedded(&'static [(&'static str, &'static [u8])]),
    Memory(Arc<BTreeMap<String, Vec<u8>>>),
}

impl ModelBundle {
    /// Opens a bundle's folder. Only the manifest is read here, and the names in the folder. A bundle that stepped aside
    /// for a new one whose writer was killed comes back.
    ///
    /// # Errors
    /// [`ModelError::SpecialFile`] for a device or a pipe, [`ModelError::NotABundle`] when there is no manifest, those of
    /// [`Manifest::parse`],
    /// [`ModelError::UnlistedFile`] for a file that the manifest does not list, [`ModelError::NotAFile`] for a folder,
    /// a device or a link that leads out of the bundle.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        if folder.metadata().is_ok_and(|metadata| !metadata.is_dir() && !metadata.is_file()) {
            return Err(ModelError::SpecialFile { path: folder.into() });
        }
        let path = folder.join(MANIFEST);
        // A pipe would be waited for.
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let found = "no file";
            return Err(ModelError::NotAFile { bundle: shown(folder), file: MANIFEST.into(), found });
        }
        let mut read = read_limited(&path, MANIFEST_LIMIT, "manifest");
        if read.is_err() && place::recover(folder)? {
            read = read_limited(&path, MANIFEST_LIMIT, "manifest");
        }
        let bytes = read.map_err(|error| match error {
            FileError::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                ModelError::NotABundle { path: folder.into() }
            }
            other => other.into(),
        })?;
        let manifest = Manifest::parse(&bytes, &shown(folder))?;
        listing::check(folder, &manifest)?;
        Ok(Self { manifest, manifest_bytes: bytes.into(), files: Files::Folder(folder.into()) })
    }

    /// A bundle built into the program: (file name, contents), the manifest among them.
    ///
    /// # Errors
    /// [`ModelError::NotABundle`] when there is no manifest, otherwise those of [`Manifest::parse`].
    pub fn embedded(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Result<Self> {
        let manifest = files.iter().find(|(file, _)| *file == MANIFEST);
        let (_, bytes) = manifest.ok_or_else(|| ModelError::NotABundle { path: name.into() })?;
        let manifest = Manifest::parse(bytes, name)?;
        Ok(Self { manifest, manifest_bytes: Cow::Borrowed(bytes), files: Files::Embedded(files) })
    }

    /// A bundle that is made on the spot, of graphs of this opset that lie in memory. What the manifest says of its files is
    /// set here.
    ///
    /// # Errors
    /// Those of [`Manifest::parse`].
    pub fn in_memory(mut manifest: Manifest, graphs: Vec<(GraphKind, Vec<u8>)>, opset: i64) -> Result<Self> {
        manifest.files.clear();
        let hash = FileHash::of;
        let graph = |(kind, bytes): &(GraphKind, Vec<u8>)| {
            (*kind, GraphFile { file: kind.file_name().into(), hash: hash(bytes), opset, steps: None })
        };
        manifest.graphs = graphs.iter().map(graph).collect();
        let label = Printable(&manifest.name).to_string();
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|error| ModelError::BadManifest { bundle: label.clone(), reason: error.to_string() })?;
        let manifest = Manifest::parse(&bytes, &label)?;
        let files = graphs.into_iter().map(|(kind, bytes)| (kind.file_name().to_owned(), bytes)).collect();
        Ok(Self { manifest, manifest_bytes: bytes.into(), files: Files::Memory(Arc::new(files)) })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes that the manifest was read from, which a signature is made over.
    #[must_use]
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// The folder; `None` for a bundle built into the program.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.files {
            Files::Folder(folder) => Some(folder),
            Files::Embedded(_) | Files::Memory(_) => None,
        }
    }

    /// The name of this bundle in messages: its folder, or its own name.
    #[must_use]
    pub fn label(&self) -> String {
        self.folder().map_or_else(|| Printable(&self.manifest.name).to_string(), shown)
    }

    /// True if this graph is there.
    #[must_use]
    pub fn has_graph(&self, kind: GraphKind) -> bool {
        self.manifest.graphs.get(&kind).is_some_and(|graph| self.has(&graph.file))
    }

    /// A graph's file, checked against its hash.
    ///
    /// # Errors
    /// [`ModelError::NotInBundle`] when the bundle has no such graph, otherwise those of [`ModelBundle::file`].
    pub fn graph_bytes(&self, kind: GraphKind) -> Result<Cow<'_, [u8]>> {
        match self.manifest.graphs.get(&kind) {
            Some(graph) if self.has(&graph.file) => self.file(&graph.file),
            _ => {
                let present = GraphKind::ALL.into_iter().filter(|&kind| self.has_graph(kind));
                let present = present.map(GraphKind::as_str).collect::<Vec<_>>().join(", ");
                Err(self.missing(format!("{kind} graph"), present))
            }
        }
    }

    /// A file of the bundle, checked against its size and hash.
    ///
    /// # Errors
    /// [`ModelError::NotInBundle`] for a file that the manifest does not list or that is not built in,
    /// [`ModelError::DamagedFile`] for one that is not what the manifest says, [`ModelError::File`].
    pub fn file(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        let not_there = || self.missing(name.into(), self.manifest.file_names().collect::<Vec<_>>().join(", "));
        let expected = self.manifest.hash(name).ok_or_else(not_there)?;
        let bytes = match &self.files {
            Files::Embedded(files) => {
                let file = files.iter().find(|(file, _)| *file == name);
                Cow::Borrowed(file.ok_or_else(not_there)?.1)
            }
            Files::Memory(files) => Cow::Borrowed(files.get(name).ok_or_else(not_there)?.as_slice()),
            Files::Folder(folder) => {
                let path = folder.join(name);
                self.check_is_file(name, &path)?;
                let read = read_limited(&path, expected.bytes, "file of this bundle");
                Cow::Owned(read.map_err(|error| match error {
                    FileError::TooLarge { bytes, .. } => self.damaged_size(name, bytes, expected),
                    other => other.into(),
                })?)
            }
        };
        if bytes.len() as u64 != expected.bytes {
            return Err(self.damaged_size(name, bytes.len() as u64, expected));
        }
        self.compare_hash(name, hex(&Sha256::digest(&bytes)), expected)?;
        Ok(bytes)
    }

    /// The self-test.
    ///
    /// # Errors
    /// Those of [`ModelBundle::file`]; [`ModelError::BadSelfTest`] when it is not one, or not this model's.
    pub fn self_test(&self) -> Result<SelfTest> {
        SelfTest::decode(&self.file(SELF_TEST)?, &self.manifest.config, &self.label())
    }

    /// Checks every file against its hash, in pieces: files may be larger than memory. Of a bundle built into the
    /// program, the files that are built in.
    ///
    /// # Errors
    /// Those of [`ModelBundle::file`], for the first file that is missing or damaged.
    pub fn verify(&self) -> Result<()> {
        for name in self.manifest.file_names().filter(|name| self.has(name)) {
            match &self.files {
                Files::Embedded(_) | Files::Memory(_) => drop(self.file(name)?),
                Files::Folder(folder) => {
                    let expected = self.manifest.hash(name).ok_or_else(|| self.missing(name.into(), String::new()))?;
                    let path = folder.join(name);
                    self.check_is_file(name, &path)?;
                    let (digest, bytes) = hash_start(&path, expected.bytes.saturating_add(1))?;
                    if bytes != expected.bytes {
                        return Err(self.damaged_size(name, bytes, expected));
                    }
                    self.compare_hash(name, digest, expected)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses a path that is no regular file: a pipe or a device in a file's place would be read without end.
    fn check_is_file(&self, name: &str, path: &Path) -> Result<()> {
        match path.metadata() {
            Ok(metadata) if !metadata.is_file() => {
                let found = if metadata.is_dir() { "a folder" } else { "neither file nor folder" };
                Err(ModelError::NotAFile { bundle: self.label(), file: name.into(), found })
            }
            // Whoever reads it says why it cannot be read.
            _ => Ok(()),
        }
    }

    fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Folder(_) => self.manifest.hash(name).is_some(),
            Files::Embedded(files) => files.iter().any(|(file, _)| *file == name),
            Files::Memory(files) => files.contains_key(name),
        }
    }

    fn missing(&self, what: String, present: String) -> ModelError {
        ModelError::NotInBundle { bundle: self.label(), what, present }
    }

    fn damaged_size(&self, file: &str, found: u64, expected: &FileHash) -> ModelError {
        ModelError::DamagedFile {
            bundle: self.label(),
            file: file.into(),
            property: "size",
            found: format!("{found} bytes"),
            expected: format!("{} bytes", expected.bytes),
        }
    }

    fn compare_hash(&self, file: &str, found: String, expected: &FileHash) -> Result<()> {
        if found == expected.sha256 {
            return Ok(());
        }
        Err(ModelError::DamagedFile {
            bundle: self.label(),
            file: file.into(),
            property: "SHA-256",
            found,
            expected: expected.sha256.clone(),
        })
    }
}

/// A folder's name, as messages may show it: folders in a kiosk's `incoming/` have been named by others.
fn shown(folder: &Path) -> String {
    Printable(&folder.display().to_string()).to_string()
}

impl FileHash {
    /// The hash and size of a file's content.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: hex(&Sha256::digest(bytes)), bytes: bytes.len() as u64 }
    }
}

/// SHA-256 (lower-case hexadecimal) and size of a file, read in pieces.
///
/// # Errors
/// [`ModelError::File`].
pub fn hash_file(path: &Path) -> Result<(String, u64)> {
    hash_start(path, u64::MAX)
}

/// [`hash_file`] of the first `most` bytes.
fn hash_start(path: &Path, most: u64) -> Result<(String, u64)> {
    let io_error = |source| ModelError::File(FileError::Io { action: "read", path: path.into(), source });
    let mut file = File::open(path).map_err(io_error)?.take(most);
    let (mut digest, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut piece).map_err(io_error)?;
        if read == 0 {
            return Ok((hex(&digest.finalize()), bytes));
        }
        digest.update(&piece[..read]);
        bytes += read as u64;
    }
}

pub(crate) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
