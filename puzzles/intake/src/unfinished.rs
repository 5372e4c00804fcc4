//! Temporary files and folders of our writers: held while somebody writes them, swept when nobody does any more.
//!
//! A writer that is killed leaves its temporary file behind. What holds one is a lock that ends with the process, however
//! that ends: whoever gets the lock knows that the writer is gone. Where a file system has no locks nothing is swept.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::{Builder, NamedTempFile, TempDir};

/// The beginning of the names of temporary files.
const FILE: &str = ".trm-file-";
/// The beginning of the names of temporary folders.
const FOLDER: &str = ".trm-bundle-";

/// Letters and digits that follow, `tempfile`'s choice; asked for all the same, so that a name can be told from others.
const RANDOM: usize = 6;

/// Names that were swept away, or taken for it, before they could be held; more is no accident.
const TRIES: usize = 8;

/// The lock on a temporary file or folder, or on a folder that is being moved. It holds nothing where the file
/// system has no locks.
#[derive(Debug)]
pub struct Held {
    _file: Option<File>,
}

/// A temporary file in a folder, held as long as it is open; once renamed it is a file like any other.
///
/// # Errors
///
/// If no file can be made there, or every one made was swept away before it was held.
pub fn file_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(FILE).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: what the user's umask leaves of it, not the private mode of temporary files.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    for _ in 0..TRIES {
        let file = builder.tempfile_in(folder)?;
        if is_held(file.as_file(), file.path()) {
            return Ok(file);
        }
    }
    Err(taken(folder))
}

/// True if a name is that of a temporary file of ours, to the last letter.
#[must_use]
pub fn is_file_name(name: &OsStr) -> bool {
    let random = name.as_encoded_bytes().strip_prefix(FILE.as_bytes());
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
}

/// A temporary folder in a folder, and its lock.
///
/// # Errors
///
/// If no folder can be made there, or every one made was swept away before it was held.
pub fn folder_in(parent: &Path) -> io::Result<(TempDir, Held)> {
    let mut builder = Builder::new();
    builder.prefix(FOLDER).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new folder: what the user's umask leaves of it.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    for _ in 0..TRIES {
        let folder = builder.tempdir_in(parent)?;
        if let Some(held) = hold(folder.path()) {
            return Ok((folder, held));
        }
    }
    Err(taken(parent))
}

/// Holds a folder that is there; `None` if somebody else does.
#[must_use]
pub fn hold(folder: &Path) -> Option<Held> {
    if cfg!(not(unix)) {
        return Some(Held { _file: None });
    }
    let file = File::open(folder).ok()?;
    is_held(&file, folder).then_some(Held { _file: Some(file) })
}

/// Removes what killed writers have left in a folder.
pub fn sweep(folder: &Path) {
    if cfg!(not(unix)) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours =
            |name: &OsStr| [FILE, FOLDER].iter().any(|own| name.as_encoded_bytes().starts_with(own.as_bytes()));
        // Anything else of such a name, a pipe or a link, is none of ours and may not be opened.
        let plain = entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir());
        if is_ours(&entry.file_name()) && plain {
            sweep_one(&entry.path());
        }
    }
}

/// [`sweep`], the first time that this process writes into the folder: a folder of many files is not read again and again.
pub fn sweep_once(folder: &Path) {
    static SWEPT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    // A list that another thread has left half done is still a list.
    let mut swept = SWEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !swept.iter().any(|known| known == folder) {
        swept.push(folder.to_owned());
        drop(swept);
        sweep(folder);
    }
}

fn sweep_one(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    // Only a lock that was free proves that the writer is gone.
    if file.try_lock().is_err() || !is_at(&file, path) {
        return;
    }
    // What cannot be removed (a folder of somebody else) stays, as before.
    let _ = if file.metadata().is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}

/// Takes the lock. False if it is somebody else's, or the file is no longer at the path: it is being swept then.
fn is_held(file: &File, path: &Path) -> bool {
    if cfg!(not(unix)) {
        return true;
    }
    match file.try_lock() {
        Ok(()) => is_at(file, path),
        Err(TryLockError::WouldBlock) => false,
        // No locks here; then nobody sweeps either.
        Err(TryLockError::Error(_)) => true,
    }
}

/// True if the path still leads to the file that was opened.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((&file.metadata(), &fs::metadata(path)), (Ok(open), Ok(there)) if number(open) == number(there))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

fn taken(folder: &Path) -> io::Error {
    io::Error::other(format!("temporary names in {} are removed as soon as they are made", folder.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_swept_and_what_somebody_holds_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        // As killed writers leave them.
        fs::create_dir(path(".trm-bundle-dead00")).unwrap();
        fs::write(path(".trm-bundle-dead00/step.onnx"), b"half").unwrap();
        fs::write(path(".trm-file-dead00"), b"half").unwrap();
        // Not ours, whatever they are.
        fs::write(path(".tmpAbCdEf"), b"somebody's").unwrap();
        std::os::unix::fs::symlink(path(".tmpAbCdEf"), path(".trm-file-link")).unwrap();
        let file = file_in(place.path()).unwrap();
        let (folder, held) = folder_in(place.path()).unwrap();
        sweep(place.path());
        assert!(file.path().is_file() && folder.path().is_dir(), "both are being written");
        assert!(path(".tmpAbCdEf").is_file() && path(".trm-file-link").is_symlink());
        assert!(!path(".trm-bundle-dead00").exists() && !path(".trm-file-dead00").exists());
        drop(held);
        sweep(place.path());
        assert!(!folder.path().exists(), "its writer has let go of it");
    }

    #[test]
    fn a_folder_is_held_once() {
        let place = tempfile::tempdir().unwrap();
        let held = hold(place.path());
        assert!(held.is_some() && hold(place.path()).is_none());
        drop(held);
        assert!(hold(place.path()).is_some());
    }
}
