//! Writing a bundle: into a folder beside the target that takes its place when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use trm_intake::Printable;

use super::manifest::is_plain_name;
use super::{FileHash, GraphFile, MANIFEST, Manifest, ModelBundle, hash_file, hex, is_folder_name, listing, place};
use crate::{GraphKind, ModelError, Result};
use trm_intake::file::{FileError, folder_of, kept, read_limited, resolved, sync_folder};
use trm_intake::unfinished::{self, Held};

/// Collects a bundle's files. Until [`BundleWriter::finish`] succeeds nothing is at the target, and what was there
/// stays; a writer that is dropped leaves nothing behind, and what one leaves that is killed the next one removes.
#[derive(Debug)]
pub struct BundleWriter {
    target: PathBuf,
    overwrite: bool,
    staging: TempDir,
    _held: Held,
    graphs: Vec<(GraphKind, GraphFile)>,
    files: Vec<(String, FileHash)>,
}

impl BundleWriter {
    /// Starts a bundle that will be at `target`. With `overwrite`, a bundle that is there is replaced; any other
    /// folder or file is left alone whatever `overwrite` says, and so is a bundle with files beside its own.
    ///
    /// # Errors
    /// [`ModelError::BundleExists`], [`ModelError::ForeignFolder`], [`ModelError::ForeignFiles`], [`ModelError::File`].
    pub fn create(target: impl Into<PathBuf>, overwrite: bool) -> Result<Self> {
        // A link to a bundle stays, and leads to the new one.
        let named = target.into();
        let target = resolved(&named)
            .map_err(|source| ModelError::File(FileError::Io { action: "look at", path: named, source }))?;
        place::recover(&target)?;
        check_target(&target, overwrite)?;
        let parent = folder_of(&target);
        let io_error =
            |action| move |source| ModelError::File(FileError::Io { action, path: parent.to_owned(), source });
        fs::create_dir_all(parent).map_err(io_error("create"))?;
        unfinished::sweep(parent);
        let (staging, held) = unfinished::folder_in(parent).map_err(io_error("write to"))?;
        Ok(Self { target, overwrite, staging, _held: held, graphs: Vec::new(), files: Vec::new() })
    }

    /// Adds a graph under its standard name.
    ///
    /// # Errors
    /// [`ModelError::File`].
    pub fn add_graph(&mut self, kind: GraphKind, bytes: &[u8], opset: i64, steps: Option<usize>) -> Result<()> {
        let hash = self.write(kind.file_name(), bytes)?;
        self.graphs.push((kind, GraphFile { file: kind.file_name().into(), hash, opset, steps }));
        Ok(())
    }

    /// Adds another file.
    ///
    /// # Errors
    /// [`ModelError::BadManifest`] for a name that leads out of the folder, [`ModelError::File`].
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.check_name(name)?;
        let hash = self.write(name, bytes)?;
        self.files.push((name.into(), hash));
        Ok(())
    }

    /// Adds a file that `write` makes at the path it is given: for files too large to hold twice.
    ///
    /// # Errors
    /// Those of `write` and of [`BundleWriter::add_file`].
    pub fn add_file_with<E: From<ModelError>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_name(name)?;
        let path = self.staging.path().join(name);
        write(&path)?;
        let (sha256, bytes) = hash_file(&path)?;
        self.files.push((name.into(), FileHash { sha256, bytes }));
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<()> {
        if is_plain_name(name) {
            return Ok(());
        }
        let reason = format!("`{name}` is not a plain file name");
        Err(ModelError::BadManifest { bundle: self.target.display().to_string(), reason })
    }

    /// Completes the bundle: `manifest`'s graphs and files are set to those added, and the folder takes its place.
    ///
    /// # Errors
    /// [`ModelError::BadName`], [`ModelError::BadManifest`] when the manifest contradicts itself, [`ModelError::File`], and those of
    /// [`BundleWriter::create`] when something appeared at the target meanwhile.
    pub fn finish(mut self, mut manifest: Manifest) -> Result<ModelBundle> {
        if !is_folder_name(&manifest.name) {
            let name = Printable(&manifest.name).to_string();
            return Err(ModelError::BadName { bundle: self.target.display().to_string(), name });
        }
        manifest.graphs = std::mem::take(&mut self.graphs).into_iter().collect();
        manifest.files = std::mem::take(&mut self.files).into_iter().collect();
        let label = self.target.display().to_string();
        let mut json = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| ModelError::BadManifest { bundle: label.clone(), reason: error.to_string() })?;
        json.push(b'\n');
        Manifest::parse(&json, &label)?;
        self.write(MANIFEST, &json)?;
        check_target(&self.target, self.overwrite)?;

        let io_error = |source| ModelError::File(FileError::Io { action: "write", path: self.target.clone(), source });
        sync_folder(self.staging.path()).map_err(io_error)?;
        place::put(self.staging.path(), &self.target)?;
        // With the folder goes the old bundle, which is there now, if anything is.
        drop(self.staging);
        ModelBundle::open(&self.target)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<FileHash> {
        let path = self.staging.path().join(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| {
            ModelError::File(FileError::Io {
                action: "write",
                path: self.target.join(name),
                source: kept(&self.target.join(MANIFEST), source),
            })
        })?;
        Ok(FileHash { sha256: hex(&Sha256::digest(bytes)), bytes: bytes.len() as u64 })
    }
}

/// Refuses a target that may not be replaced. Only a bundle is ever replaced, and only when asked; an empty folder
/// counts as no folder.
fn check_target(target: &Path, overwrite: bool) -> Result<()> {
    match fs::symlink_metadata(target) {
        Ok(_) if is_bundle(target) => {
            if !overwrite {
                return Err(ModelError::BundleExists { path: target.into() });
            }
            match old_manifest(target).map(|manifest| listing::foreign(target, &manifest)) {
                Some(Ok(Some(files))) => Err(ModelError::ForeignFiles { path: target.into(), files }),
                Some(Err(source)) => {
                    Err(ModelError::File(FileError::Io { action: "read", path: target.into(), source }))
                }
                Some(Ok(None)) => Ok(()),
                None => Err(ModelError::ForeignFolder { path: target.into() }),
            }
        }
        Ok(_) if is_empty_folder(target) => Ok(()),
        Ok(_) => Err(ModelError::ForeignFolder { path: target.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ModelError::File(FileError::Io { action: "look at", path: target.into(), source })),
    }
}

/// True for a folder of a bundle. Many programs have a `manifest.json`; ours has a format version and graphs.
pub(super) fn is_bundle(target: &Path) -> bool {
    old_manifest(target).is_some()
}

fn old_manifest(target: &Path) -> Option<Value> {
    let path = target.join(MANIFEST);
    // A pipe would be waited for.
    if !path.is_file() {
        return None;
    }
    let bytes = read_limited(&path, super::MANIFEST_LIMIT, "manifest").ok()?;
    let manifest = serde_json::from_slice::<Value>(&bytes).ok()?;
    (manifest["format_version"].is_u64() && manifest["graphs"].is_object()).then_some(manifest)
}

fn is_empty_folder(target: &Path) -> bool {
    fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none())
}
