//! Files whose size is not trusted, and files that are either complete or not there.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{Budget, Exceeded, Hint, Limits, ReadError, unfinished};

/// The reasons why a file or folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The attempt, as an infinitive: `read`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file is larger than anything of its kind can be, and was not read.
    #[error("{} is {bytes} bytes, more than the {limit} that a {what} may have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size accepted.
        limit: u64,
        /// The kind of file that it was read as.
        what: &'static str,
    },
}

impl FileError {
    /// Makes an error of the operating system's reason.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

impl Hint for FileError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Io { source, .. } => full_disk_hint(source).map(Cow::from),
            Self::TooLarge { .. } => None,
        }
    }
}

/// The result of reading and writing files.
pub type Result<T, E = FileError> = std::result::Result<T, E>;

/// Writes a file to a temporary sibling, flushes it to the disk and renames it to `path`, replacing what was there. A
/// failure leaves nothing behind, and the old file as it was; a process that is killed leaves the sibling, which the next
/// one that writes into the folder removes.
///
/// A link stays, and what it leads to is replaced. Into a device or a pipe the bytes are written: a file in its place would
/// take it away from everybody else.
///
/// # Errors
///
/// [`FileError::Io`], also for an error of `write`; the old file is then as it was.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>) -> Result<()> {
    let io_error = |source| FileError::Io { action: "write", path: path.to_owned(), source };
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let mut device = OpenOptions::new().write(true).open(path).map_err(io_error)?;
        let mut buffered = BufWriter::new(&mut device);
        return write(&mut buffered).and_then(|()| buffered.flush()).map_err(io_error);
    }
    let target = resolved(path).map_err(io_error)?;
    let io_error = |source| io_error(kept(&target, source));
    unfinished::sweep_once(folder_of(&target));
    let mut temporary = unfinished::file_in(folder_of(&target)).map_err(io_error)?;
    let mut buffered = BufWriter::new(temporary.as_file_mut());
    write(&mut buffered).and_then(|()| buffered.flush()).map_err(io_error)?;
    drop(buffered);
    temporary.as_file().sync_all().map_err(io_error)?;
    temporary.persist(&target).map_err(|error| io_error(error.error))?;
    sync_folder(folder_of(&target)).map_err(io_error)
}

/// The path without links: the last one is followed as well, be there anything at its end or not.
///
/// # Errors
///
/// If there are more than 40 links one behind the other: they lead round in a circle.
pub fn resolved(path: &Path) -> io::Result<PathBuf> {
    /// As many as Linux follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = folder_of(&path).join(next),
            // No link (what Windows calls it has no name), or nothing.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "its links lead round in a circle"))
}

/// True if both paths lead to one file that is there.
#[must_use]
pub fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// The reason why a file was not replaced; the old one is there as it was before.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct OldIsWhole(io::Error);

/// The error of writing what should have replaced `old`, which knows whether there is an old one: [`full_disk_hint`] then
/// says that it is whole.
#[must_use]
pub fn kept(old: &Path, source: io::Error) -> io::Error {
    if is_full(&source) && old.exists() { io::Error::new(source.kind(), OldIsWhole(source)) } else { source }
}

/// The advice where a cause is a full disk.
#[must_use]
pub fn full_disk_hint(source: &io::Error) -> Option<&'static str> {
    let old_is_whole = source.get_ref().and_then(|cause| cause.downcast_ref::<OldIsWhole>()).is_some();
    match (is_full(source), old_is_whole) {
        (false, _) => None,
        (true, false) => Some("free some space and try again"),
        (true, true) => Some("free some space and try again; what was written before is whole"),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The folder that a path is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the names in a folder as durable as the files are. Only Unix can.
///
/// # Errors
///
/// If the folder cannot be opened or flushed.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Reads the whole of a file that has at most `limit` bytes. The error names the kind of file by `what`.
///
/// # Errors
///
/// [`FileError::Io`]; [`FileError::TooLarge`] for a longer file.
pub fn read_limited(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>> {
    read_within(path, &mut Budget::new(Limits { bytes: limit, items: 0, depth: 0, time: None }), what)
}

/// Reads the whole of a file, drawn on a budget. The error names the kind of file by `what`.
///
/// # Errors
///
/// [`FileError::Io`]; [`FileError::TooLarge`] for a file larger than what is left of the budget.
pub fn read_within(path: &Path, budget: &mut Budget, what: &'static str) -> Result<Vec<u8>> {
    budget.read_file(path).map_err(|error| match error {
        ReadError::Io(source) => FileError::Io { action: "read", path: path.to_owned(), source },
        ReadError::Exceeded(Exceeded { found, limit, .. }) => {
            FileError::TooLarge { path: path.to_owned(), bytes: found, limit, what }
        }
    })
}

#[cfg(test)]
#[cfg_attr(unix, expect(clippy::disallowed_methods, reason = "tests start programs"))]
mod tests {
    use super::*;
    use crate::explained;

    #[cfg(unix)]
    #[test]
    fn links_stay_and_devices_are_written_to() {
        use std::io::Read as _;
        use std::os::unix::fs::{FileTypeExt as _, symlink};
        use std::process::Command;

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str| write_atomically(&path(name), |file| file.write_all(b"new"));
        let is_link = |name: &str| path(name).symlink_metadata().unwrap().is_symlink();
        fs::create_dir(path("there")).unwrap();
        fs::write(path("there/old.png"), b"old").unwrap();
        for (link, to) in [("link", "there/old.png"), ("twice", "link"), ("dangling", "there/fresh.png")] {
            symlink(to, path(link)).unwrap();
            write(link).unwrap();
            assert!(is_link(link), "{link}");
            assert_eq!(fs::read(path(link)).unwrap(), b"new", "{link}");
            fs::write(path("there/old.png"), b"old").unwrap();
        }
        for (link, to) in [("round", "about"), ("about", "round")] {
            symlink(to, path(link)).unwrap();
        }
        assert!(write("round").is_err());
        symlink("/dev/full", path("full")).unwrap();
        let full = explained(&write("full").unwrap_err());
        assert!(full.ends_with("full\nhint: free some space and try again"), "{full}");
        assert!(is_link("full") && fs::metadata("/dev/full").unwrap().file_type().is_char_device());
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let pipe = path("pipe");
        let reader = std::thread::spawn(move || {
            let mut read = String::new();
            File::open(pipe).unwrap().read_to_string(&mut read).unwrap();
            read
        });
        write("pipe").unwrap();
        assert_eq!(reader.join().unwrap(), "new");
        assert!(path("pipe").symlink_metadata().unwrap().file_type().is_fifo());
        assert!(fs::read_dir(folder.path()).unwrap().all(|entry| !entry.unwrap().path().ends_with(".trm-file-")));
    }

    #[test]
    fn the_hint_of_a_full_disk_promises_only_what_is_there() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer.png");
        let said = |path: &Path| {
            write_atomically(path, |_| Err(full())).map_err(|error| explained(&error)).expect_err("the disk is full")
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
        assert_eq!(full_disk_hint(&kept(&path, io::ErrorKind::NotFound.into())), None);
    }
}
