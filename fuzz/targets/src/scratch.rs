//! Files for readers that take a path: in memory where there is such a place, one folder a thread.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<Option<TempDir>> = const { OnceCell::new() };
}

/// Calls `read` with a folder in which the files of earlier calls lie. `None` where no folder can be made.
pub(crate) fn with_folder<T>(read: impl FnOnce(&Path) -> T) -> Option<T> {
    let make = || {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.or_else(|_| tempfile::tempdir()).ok()
    };
    FOLDER.with(|folder| folder.get_or_init(make).as_ref().map(|folder| read(folder.path())))
}

/// Calls `read` with a file of this name and content.
pub(crate) fn with_file<T>(name: &str, content: &[u8], read: impl FnOnce(&Path) -> T) -> Option<T> {
    with_folder(|folder| {
        let path: PathBuf = folder.join(name);
        std::fs::write(&path, content).ok().map(|()| read(&path))
    })
    .flatten()
}
