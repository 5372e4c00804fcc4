//! Libraries that have worked in a process of their own, remembered between runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trm_intake::file::write_atomically;
use trm_intake::{Budget, Limits};

use crate::cache_folder;

/// Limits of what is remembered of a library: 500 bytes, and its path.
const LIMITS: Limits = Limits { bytes: 64 << 10, items: 0, depth: 0, time: None };

/// A library as it is now, and the file that says that it worked.
pub(super) struct Remembered {
    file: PathBuf,
    library: Fingerprint,
}

/// The marks that tell a library from another. Another file in its place differs, and so does another program or processor: home folders are
/// shared by machines.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Fingerprint {
    path: String,
    bytes: u64,
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds of its last change of content.
    modified: (i64, i64),
    /// Those of its last change of anything, which nobody can set.
    changed: (i64, i64),
    program: String,
    processor: String,
}

impl Remembered {
    /// In the user's cache folder; `None` for a user without one.
    pub(super) fn of_user(library: &Path) -> Option<Self> {
        Self::at(&cache_folder()?.join("libraries"), library)
    }

    fn at(folder: &Path, library: &Path) -> Option<Self> {
        let name = short_hash(library.as_os_str().as_encoded_bytes());
        Some(Self { file: folder.join(format!("{name}.json")), library: Fingerprint::of(library)? })
    }

    /// Returns true if the library worked as it is now. Treats an unreadable file as empty.
    pub(super) fn is_known(&self) -> bool {
        let known = Budget::new(LIMITS).read_file(&self.file).ok();
        let known = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        known.is_some_and(|known: Fingerprint| known == self.library)
    }

    /// Remembers that it worked. If that fails, the library is tried again next time.
    pub(super) fn write(&self) {
        let folder_is_there = self.file.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok());
        if folder_is_there {
            let _ = write_atomically(&self.file, |file| Ok(serde_json::to_writer_pretty(file, &self.library)?));
        }
    }
}

impl Fingerprint {
    #[cfg(unix)]
    fn of(library: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(library).ok()?;
        Some(Self {
            path: library.display().to_string(),
            bytes: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            processor: processor(),
        })
    }

    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Self> {
        None
    }
}

/// The lines that tell the first core's kind and its instructions, as far as the kernel says.
fn processor() -> String {
    use std::io::Read;
    let mut start = Vec::new();
    // The whole file is as long as there are cores.
    let read = fs::File::open("/proc/cpuinfo").and_then(|file| file.take(8192).read_to_end(&mut start));
    if read.is_err() {
        return std::env::consts::ARCH.to_owned();
    }
    let text = String::from_utf8_lossy(&start);
    let core = text.split("\n\n").next().unwrap_or_default();
    let tells = |line: &&str| {
        ["vendor_id", "model name", "flags", "Features", "CPU implementer", "CPU part", "isa"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let told = core.lines().filter(tells).collect::<Vec<_>>().join("\n");
    format!("{} {}", std::env::consts::ARCH, short_hash(told.as_bytes()))
}

/// The first 16 digits of the SHA-256.
fn short_hash(bytes: &[u8]) -> String {
    let start = Sha256::digest(bytes).iter().take(8).fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
    format!("{start:016x}")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_known_until_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("libonnxruntime.so");
        fs::write(&library, "one").expect("written");
        let cache = folder.path().join("cache/libraries");
        let now = || Remembered::at(&cache, &library).expect("a library");
        assert!(!now().is_known());
        now().write();
        assert!(now().is_known());
        assert!(!Remembered::at(&cache, &cache).expect("a path").is_known());

        // The same size, another content.
        let written = fs::metadata(&library).and_then(|metadata| metadata.modified()).expect("a time");
        fs::write(&library, "two").expect("written");
        let file = fs::File::options().write(true).open(&library).expect("opens");
        file.set_modified(written).expect("the old time");
        assert!(!now().is_known(), "its time of change cannot be set back");
        now().write();
        assert!(now().is_known());

        // Another file under the same name.
        let other = folder.path().join("other");
        fs::write(&other, "two").expect("written");
        fs::rename(&other, &library).expect("renamed");
        assert!(!now().is_known());

        now().write();
        for other in ["program", "processor"] {
            let text = fs::read_to_string(now().file).expect("reads");
            let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            json[other] = "another".into();
            fs::write(now().file, json.to_string()).expect("written");
            assert!(!now().is_known(), "of another {other}");
        }
        fs::write(now().file, "{").expect("written");
        assert!(!now().is_known(), "a broken file is nothing remembered");
        fs::remove_file(&library).expect("removed");
        assert!(Remembered::at(&cache, &library).is_none());
    }
}
