//! The files of a bundle's folder: those that its manifest lists, and no others.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use trm_intake::Printable;

use super::{MANIFEST, Manifest, SIGNATURE, shown};
use crate::{ModelError, Result};

/// Unlisted names that a message shows.
const SHOWN: usize = 3;

/// Refuses a folder with an entry that the manifest does not list, or a listed one that is not a file inside the folder.
///
/// Besides what the manifest lists there may be the manifest, its signature, and names that begin with a dot: systems
/// leave such files (`.DS_Store`, `.nfs…`), a manifest cannot list them, and nothing here ever reads them. Whether every
/// listed file is there shows when it is used.
pub(super) fn check(folder: &Path, manifest: &Manifest) -> Result<()> {
    let io_error = |source| ModelError::Io { action: "read", path: folder.to_owned(), source };
    let (mut unlisted, mut count) = (Vec::new(), 0);
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if [MANIFEST, SIGNATURE].contains(&name.as_str()) || manifest.hash(&name).is_some() {
            check_entry(folder, &entry, &name)?;
        } else if !name.starts_with('.') {
            count += 1;
            if unlisted.len() < SHOWN {
                unlisted.push(name);
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    unlisted.sort();
    let mut files = unlisted.iter().map(|name| Printable(name).to_string()).collect::<Vec<_>>().join(", ");
    if count > unlisted.len() {
        files = format!("{files} and {} more", count - unlisted.len());
    }
    let (bundle, verb) = (shown(folder), if count == 1 { "is" } else { "are" });
    Err(ModelError::UnlistedFile { bundle, files, verb })
}

/// A file, or a link to one in the same folder.
fn check_entry(folder: &Path, entry: &DirEntry, name: &str) -> Result<()> {
    let io_error = |source| ModelError::Io { action: "read", path: entry.path(), source };
    let kind = entry.file_type().map_err(io_error)?;
    if kind.is_file() {
        return Ok(());
    }
    let refuse = |found| Err(ModelError::NotAFile { bundle: shown(folder), file: Printable(name).to_string(), found });
    if kind.is_dir() {
        return refuse("a folder");
    }
    if !kind.is_symlink() {
        return refuse("neither file nor folder");
    }
    let home = fs::canonicalize(folder).map_err(io_error)?;
    match fs::canonicalize(entry.path()) {
        Ok(target) if target.parent() != Some(&home) => refuse("a link that leads out of the folder"),
        Ok(target) if !target.is_file() => refuse("a link to something that is no file"),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => refuse("a link to nothing"),
        Err(error) => Err(io_error(error)),
    }
}
