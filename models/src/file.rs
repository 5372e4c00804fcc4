//! Files whose size is not trusted, and files that are either complete or not there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use trm_intake::{Budget, Exceeded, Limits, ReadError};

use crate::{ModelError, Result, unfinished};

/// Writes a file to a temporary sibling, flushes it to the disk and renames it to `path`, replacing what was there. A
/// failure leaves nothing behind, and the old file as it was; a process that is killed leaves the sibling, which the next
/// one that writes into the folder removes.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>) -> Result<()> {
    let io_error = |source| ModelError::Io { action: "write", path: path.to_owned(), source: kept(path, source) };
    unfinished::sweep_once(folder_of(path));
    let mut temporary = unfinished::file_in(folder_of(path)).map_err(io_error)?;
    let mut buffered = BufWriter::new(temporary.as_file_mut());
    write(&mut buffered).and_then(|()| buffered.flush()).map_err(io_error)?;
    drop(buffered);
    temporary.as_file().sync_all().map_err(io_error)?;
    temporary.persist(path).map_err(|error| io_error(error.error))?;
    sync_folder(folder_of(path)).map_err(io_error)
}

/// Why something could not be replaced that is there as it was before.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct OldIsWhole(io::Error);

/// The error of writing what should have replaced `old`, which knows whether there is an old one: [`full_disk_hint`] then
/// says that it is whole.
#[must_use]
pub fn kept(old: &Path, source: io::Error) -> io::Error {
    if is_full(&source) && old.exists() { io::Error::new(source.kind(), OldIsWhole(source)) } else { source }
}

/// The hint that an error's message ends with where its cause is a full disk.
#[must_use]
pub fn full_disk_hint(source: &io::Error) -> &'static str {
    let old_is_whole = source.get_ref().and_then(|cause| cause.downcast_ref::<OldIsWhole>()).is_some();
    match (is_full(source), old_is_whole) {
        (false, _) => "",
        (true, false) => "\nhint: free some space and try again",
        (true, true) => "\nhint: free some space and try again; what was written before is whole",
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the names in a folder as durable as the files are. Only Unix can.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The whole of a file that has at most `limit` bytes. A `what` names the kind of file in the error.
pub(crate) fn read_limited(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>> {
    read_within(path, &mut Budget::new(Limits { bytes: limit, items: 0, depth: 0, time: None }), what)
}

/// The whole of a file, drawn on a budget. A `what` names the kind of file in the error.
pub fn read_within(path: &Path, budget: &mut Budget, what: &'static str) -> Result<Vec<u8>> {
    budget.read_file(path).map_err(|error| match error {
        ReadError::Io(source) => ModelError::Io { action: "read", path: path.to_owned(), source },
        ReadError::Exceeded(Exceeded { found, limit, .. }) => {
            ModelError::TooLarge { path: path.to_owned(), bytes: found, limit, what }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_of_a_full_disk_promises_only_what_is_there() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer.png");
        let said = |path: &Path| {
            write_atomically(path, |_| Err(full())).map_err(|error| error.to_string()).expect_err("the disk is full")
        };
        let first = said(&path);
        assert!(first.ends_with("answer.png\nhint: free some space and try again"), "{first}");
        std::fs::write(&path, b"old").unwrap();
        let second = said(&path);
        assert!(second.ends_with("hint: free some space and try again; what was written before is whole"), "{second}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        // The cause is the system's, said once.
        let cause = std::error::Error::source(&kept(&path, full())).map(ToString::to_string);
        assert_eq!((cause, kept(&path, full()).to_string()), (None, full().to_string()));
        assert_eq!(full_disk_hint(&kept(&path, io::ErrorKind::NotFound.into())), "");
    }
}
