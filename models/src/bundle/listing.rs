//! The files of a bundle's folder: those that its manifest lists, and no others.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use serde_json::{Map, Value};
use trm_intake::Printable;
use trm_intake::file::FileError;

use super::{MANIFEST, Manifest, SIGNATURE, shown};
use crate::{ModelError, Result};
use trm_intake::unfinished::is_file_name;

/// Unlisted names that a message shows.
const SHOWN: usize = 3;

/// Refuses a folder with an entry that the manifest does not list, or a listed one that is not a file inside the folder.
///
/// Besides the listed files there may be the manifest, its signature, and what a killed `trm sign` has left: a file
/// under a temporary name, which the next one sweeps. Hidden files are files. A listed file that is missing is found
/// when it is used.
pub(super) fn check(folder: &Path, manifest: &Manifest) -> Result<()> {
    let io_error = |source| ModelError::File(FileError::Io { action: "read", path: folder.to_owned(), source });
    let mut unlisted = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if [MANIFEST, SIGNATURE].contains(&name.as_str()) || manifest.hash(&name).is_some() {
            check_entry(folder, &entry, &name)?;
        } else if !is_left_behind(&entry) {
            unlisted.push(name);
        }
    }
    if unlisted.is_empty() {
        return Ok(());
    }
    let (bundle, verb) = (shown(folder), if unlisted.len() == 1 { "is" } else { "are" });
    Err(ModelError::UnlistedFile { bundle, files: shorten(unlisted), verb })
}

/// Names of the entries in a bundle's folder that are not the bundle's, as a message shows them; `None` if there are
/// none. The manifest need not be one that this version can use; its list of files is enough.
pub(super) fn foreign(folder: &Path, manifest: &Value) -> io::Result<Option<String>> {
    let graphs = manifest["graphs"].as_object();
    let graphs = graphs.into_iter().flat_map(Map::values).filter_map(|graph| graph["file"].as_str());
    let files = manifest["files"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let own: HashSet<&str> = graphs.chain(files).chain([MANIFEST, SIGNATURE]).collect();
    let mut foreign = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A folder under the name of a file holds something else.
        let is_own = own.contains(name.as_str()) && !entry.file_type()?.is_dir();
        if !is_own && !is_left_behind(&entry) {
            foreign.push(name);
        }
    }
    Ok((!foreign.is_empty()).then(|| shorten(foreign)))
}

/// True for a temporary file of ours.
fn is_left_behind(entry: &DirEntry) -> bool {
    is_file_name(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_file())
}

/// The first few names, printable.
fn shorten(mut names: Vec<String>) -> String {
    names.sort();
    let shown = names.iter().take(SHOWN).map(|name| Printable(name).to_string()).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Refuses a listed entry that is neither a file nor a link to one in the same folder.
fn check_entry(folder: &Path, entry: &DirEntry, name: &str) -> Result<()> {
    let io_error = |source| ModelError::File(FileError::Io { action: "read", path: entry.path(), source });
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
