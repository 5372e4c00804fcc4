//! A finished folder takes a bundle's place, so that at every moment the old bundle or the new one is there whole.
//!
//! Where the system can, both folders change names in one step. Elsewhere the old one steps aside, to a name that follows
//! from its own: whoever finds nothing at the bundle's name looks there, and puts it back ([`recover`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::writer::is_bundle;
use crate::{ModelError, Result};
use trm_intake::file::{FileError, folder_of, kept, sync_folder};
use trm_intake::unfinished::hold;

/// The beginning of the name under which an old bundle waits for the new one to be in place.
const ASIDE: &str = ".trm-aside-";

/// The time that a reader waits for a writer that is between its two renames; these take no time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Moments at which a test can end the process.
#[cfg(all(test, target_os = "linux"))]
use super::kill_tests::reached as moment;

#[cfg(not(all(test, target_os = "linux")))]
fn moment(_: &'static str) {}

/// Puts `staging` at `target`. What is left at `staging` afterwards is the old bundle, or nothing.
pub(super) fn put(staging: &Path, target: &Path) -> Result<()> {
    let io_error = |source| {
        ModelError::File(FileError::Io {
            action: "put in place",
            path: target.to_owned(),
            source: kept(target, source),
        })
    };
    let parent = folder_of(target);
    moment("complete");
    if !is_bundle(target) {
        // Nothing, or an empty folder, which is as good as nothing.
        let _ = fs::remove_dir(target);
        fs::rename(staging, target).map_err(io_error)?;
    } else if let Err(error) = exchange(staging, target) {
        if !is_unsupported(&error) {
            return Err(io_error(error));
        }
        step_aside(staging, target)?;
    }
    moment("in place");
    sync_folder(parent).map_err(io_error)?;
    if let Some(aside) = aside(target) {
        // It was replaced; where it stays it is replaced again, and is no harm.
        let _ = fs::remove_dir_all(aside);
    }
    Ok(())
}

/// Puts an old bundle back that stepped aside for one that never came. Returns true if something is at `target` now.
pub(super) fn recover(target: &Path) -> Result<bool> {
    let is_there = || fs::symlink_metadata(target).is_ok();
    let Some(aside) = aside(target) else { return Ok(false) };
    if is_there() || !is_bundle(&aside) {
        return Ok(false);
    }
    let started = Instant::now();
    // Held by the writer whose new bundle is on its way.
    let held = loop {
        match hold(&aside) {
            Some(held) => break held,
            None if is_there() => return Ok(true),
            None if started.elapsed() > PATIENCE => return Ok(false),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if !is_there()
        && let Err(source) = fs::rename(&aside, target)
        && !is_there()
    {
        return Err(ModelError::File(FileError::Io { action: "put back", path: aside, source }));
    }
    drop(held);
    let io_error = |source| ModelError::File(FileError::Io { action: "put back", path: target.to_owned(), source });
    sync_folder(folder_of(target)).map_err(io_error)?;
    Ok(true)
}

/// Moves the old bundle aside, and back again if the new one cannot have its name.
fn step_aside(staging: &Path, target: &Path) -> Result<()> {
    let io_error = |source| {
        ModelError::File(FileError::Io {
            action: "put in place",
            path: target.to_owned(),
            source: kept(target, source),
        })
    };
    let aside = aside(target).ok_or_else(|| io_error(io::ErrorKind::InvalidFilename.into()))?;
    // Another writer's that is at work has the name; one of a writer that was killed is older than what is in place.
    let held = hold(target).ok_or_else(|| io_error(io::ErrorKind::ResourceBusy.into()))?;
    if aside.exists() {
        drop(hold(&aside).ok_or_else(|| io_error(io::ErrorKind::ResourceBusy.into()))?);
        fs::remove_dir_all(&aside).map_err(io_error)?;
    }
    fs::rename(target, &aside).map_err(io_error)?;
    moment("aside");
    if let Err(error) = fs::rename(staging, target) {
        return Err(match fs::rename(&aside, target) {
            Err(_) if !is_bundle(target) => ModelError::File(FileError::Io {
                action: "put back the old bundle, which is now",
                path: aside,
                source: error,
            }),
            _ => io_error(error),
        });
    }
    drop(held);
    Ok(())
}

/// The path that the bundle of this name steps aside to.
fn aside(target: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(ASIDE);
    name.push(target.file_name()?);
    Some(target.with_file_name(name))
}

/// Gives each of two folders the other's name, in one step.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    #[cfg(test)]
    if super::kill_tests::exchange_is_off() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// True if the kernel or the file system does not know how to exchange names.
fn is_unsupported(error: &io::Error) -> bool {
    // EINVAL is how file systems refuse a flag; ENOSYS and EOPNOTSUPP are both of the first kind.
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}
