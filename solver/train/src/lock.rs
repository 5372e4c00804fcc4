//! One trainer a run folder: a lock that ends with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::{Result, TrainError};

/// The locked file; it has the number of the trainer's process in it, and stays.
const LOCK: &str = ".trm-lock";

/// Keeps other trainers out of a run's folder.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of a folder that is there. On a file system without locks every trainer gets it.
    ///
    /// # Errors
    /// [`TrainError::RunFolder`] if another trainer has it, [`FileError::Io`].
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(TrainError::io("lock", &path))?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            let mut process = String::new();
            // The number is for people; a lock without one is a lock.
            let _ = file.take(20).read_to_string(&mut process);
            let process = process.trim().parse::<u32>().map_or_else(|_| String::new(), |id| format!(" (process {id})"));
            return Err(TrainError::RunFolder {
                path: dir.to_owned(),
                reason: format!("another trainer is at work in this folder{process}"),
                hint: "wait until it is done, or end it (Ctrl-C saves what it has); two would replace each other's checkpoints"
                    .to_owned(),
            });
        }
        // Also on a full disk, where the number cannot be written, the lock holds.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_trainer_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = RunLock::take(dir.path()).expect("free");
        let text = trm_intake::explained(&RunLock::take(dir.path()).expect_err("taken"));
        let (folder, process) = (dir.path().display(), std::process::id());
        let expected = format!("{folder}: another trainer is at work in this folder (process {process})\nhint: wait");
        assert!(text.starts_with(&expected), "{text}");
        drop(first);
        RunLock::take(dir.path()).expect("free again");
    }
}
