//! State of a kiosk, kept on disk so that a power cut or `kill -9` at any moment costs nothing that was saved.
//!
//! Two files in the state folder: `kiosk-state` and `kiosk-state.previous`, the version before. Each is a line with the
//! SHA-256 of what follows, then JSON. Saving writes `kiosk-state.new`, syncs it, renames the present file to
//! `.previous` and the new one into its place, and syncs the folder. Opening takes, of the files whose checksum holds,
//! the one with the highest generation: whatever the moment of the crash, that is the last one saved.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use trm_intake::{Budget, ReadError};

use super::machine::Outcome;
use crate::intake::SMALL;
use crate::{HostError, Result};

const PRESENT: &str = "kiosk-state";
const NEW: &str = "kiosk-state.new";
const PREVIOUS: &str = "kiosk-state.previous";
const LOCK: &str = "kiosk.lock";
/// First words of the checksum line; the number is the format's version.
const HEADER: &str = "trm-kiosk-state 1 sha256 ";

/// Counters, last puzzle and models in use: all that survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KioskState {
    /// Number of times that this state was saved: the highest of several files is the latest.
    pub generation: u64,
    /// Counters since the state folder was made.
    pub counters: Counters,
    /// The last puzzle that was dealt with.
    pub last: Option<LastPuzzle>,
    /// The models in use, by task: the names of their folders.
    pub models: BTreeMap<String, String>,
}

/// Counters that go on over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Times the kiosk was started.
    pub starts: u64,
    /// Puzzles answered, verified.
    pub solved: u64,
    /// Puzzles without a verified answer.
    pub not_solved: u64,
    /// Boards that could not be read with certainty.
    pub refused: u64,
    /// Failures of a part.
    pub failures: u64,
}

impl Counters {
    /// Puzzles dealt with.
    #[must_use]
    pub fn puzzles(&self) -> u64 {
        self.solved + self.not_solved + self.refused
    }

    /// Counts one outcome.
    pub fn count(&mut self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Solved => &mut self.solved,
            Outcome::NotSolved => &mut self.not_solved,
            Outcome::Refused => &mut self.refused,
        };
        *counter += 1;
    }
}

impl KioskState {
    /// Goes on from what was kept `before`, this state having been counted from nothing since.
    pub fn go_on_from(&mut self, before: Self) {
        let Counters { starts, solved, not_solved, refused, failures } = before.counters;
        let counters = &mut self.counters;
        counters.starts = counters.starts.saturating_add(starts);
        counters.solved = counters.solved.saturating_add(solved);
        counters.not_solved = counters.not_solved.saturating_add(not_solved);
        counters.refused = counters.refused.saturating_add(refused);
        counters.failures = counters.failures.saturating_add(failures);
        self.generation = before.generation;
        self.last = self.last.take().or(before.last);
    }
}

/// A puzzle and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPuzzle {
    /// Rows and columns.
    pub size: (usize, usize),
    /// The cells' values, row by row.
    pub cells: Vec<u8>,
    /// The way it ended.
    pub outcome: Outcome,
    /// Time: seconds since 1970, UTC.
    pub unix_time: u64,
}

/// The state folder, held by one process at a time.
#[derive(Debug)]
pub struct StateStore {
    folder: PathBuf,
    // The lock lasts as long as the file is open.
    _lock: File,
}

impl StateStore {
    /// Opens the folder, makes it where there is none, and reads the state; a new one where there is none.
    /// `remarks` gets a line for the log about all that had to be recovered.
    ///
    /// # Errors
    /// [`HostError::KioskState`] when another process holds the folder.
    pub fn open(folder: impl Into<PathBuf>, remarks: &mut Vec<String>) -> Result<(Self, KioskState)> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(HostError::io("create", &folder))?;
        let path = folder.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(HostError::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(HostError::KioskState {
                    path: folder,
                    reason: "another kiosk is running with this state folder".to_owned(),
                    hint: "stop it, or give this one a folder of its own (--state)".to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(HostError::io("lock", path)(source)),
        }
        let store = Self { folder, _lock: lock };
        let state = store.load(remarks)?;
        Ok((store, state))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Saves, and counts the generation up. When this returns, the state is on the disk.
    ///
    /// # Errors
    /// [`HostError::Io`] when the state cannot be written, synced or renamed. The version before is then still on the
    /// disk.
    pub fn save(&self, state: &mut KioskState) -> Result<()> {
        state.generation += 1;
        let path = |name| self.folder.join(name);
        let new = path(NEW);
        let mut file = File::create(&new).map_err(HostError::io("create", &new))?;
        file.write_all(&encode(state)).and_then(|()| file.sync_all()).map_err(HostError::io("write", &new))?;
        drop(file);
        match fs::rename(path(PRESENT), path(PREVIOUS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HostError::io("rename", path(PRESENT))(error));
            }
            _ => {}
        }
        fs::rename(&new, path(PRESENT)).map_err(HostError::io("rename", &new))?;
        sync_folder(&self.folder).map_err(HostError::io("sync", &self.folder))
    }

    /// The latest of the files that are whole.
    fn load(&self, remarks: &mut Vec<String>) -> Result<KioskState> {
        let found = [PRESENT, NEW, PREVIOUS].map(|name| (name, read(&self.folder.join(name))));
        let mut best: Option<(&str, KioskState)> = None;
        let mut damaged = Vec::new();
        for (name, content) in found {
            match content {
                Ok(None) => {}
                Ok(Some(state)) => {
                    if best.as_ref().is_none_or(|(_, best)| state.generation > best.generation) {
                        best = Some((name, state));
                    }
                }
                // A half-written new file is what a crash while saving leaves, and costs nothing.
                Err(_) if name == NEW => {}
                Err(reason) => damaged.push((name, reason)),
            }
        }
        let present = self.folder.join(PRESENT);
        match best {
            Some((name, state)) => {
                remarks.extend(damaged.iter().map(|(file, reason)| format!("{file} is damaged: {reason}")));
                if name != PRESENT {
                    remarks.push(format!(
                        "the state was recovered from {name} (generation {}, {} puzzles)",
                        state.generation,
                        state.counters.puzzles()
                    ));
                    // Put in its place at once: the next save moves `kiosk-state` to `.previous`, over the only whole file.
                    fs::rename(self.folder.join(name), &present).map_err(HostError::io("rename", &present))?;
                }
                Ok(state)
            }
            None if damaged.is_empty() => Ok(KioskState::default()),
            None => {
                // Counters are no reason to leave visitors without answers. The files are kept for whoever wants to look.
                for (name, reason) in damaged {
                    let aside = format!("{name}.damaged");
                    let (from, to) = (self.folder.join(name), self.folder.join(&aside));
                    fs::rename(&from, to).map_err(HostError::io("rename", from))?;
                    remarks.push(format!("{name} is damaged: {reason}; it was moved to {aside}"));
                }
                remarks.push("no state could be recovered: the counters begin anew".to_owned());
                Ok(KioskState::default())
            }
        }
    }
}

fn encode(state: &KioskState) -> Vec<u8> {
    // Structs of numbers, strings and lists: serialising them cannot fail.
    let json = serde_json::to_string(state).unwrap_or_default();
    format!("{HEADER}{}\n{json}\n", digest(json.as_bytes())).into_bytes()
}

/// The state in a file: `None` where there is no file, an error's text where it is not whole.
fn read(path: &Path) -> Result<Option<KioskState>, String> {
    match Budget::new(SMALL).read_file(path) {
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
        Ok(bytes) => decode(&bytes).map(Some),
    }
}

fn decode(bytes: &[u8]) -> Result<KioskState, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let content = text.strip_prefix(HEADER).ok_or("its first line is not a checksum of this version")?;
    let (expected, json) = content.split_once('\n').ok_or("it ends within its first line")?;
    let json = json.strip_suffix('\n').ok_or("its end is missing")?;
    if digest(json.as_bytes()) != expected {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_str(json).map_err(|error| format!("it is whole but not a state: {error}"))
}

/// SHA-256 in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes the names in a folder as durable as the files are. Only Unix can.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use trm_intake::explained;

    use super::*;

    fn with_solved(solved: u64) -> KioskState {
        KioskState { counters: Counters { solved, ..Counters::default() }, ..KioskState::default() }
    }

    /// A folder with generations 1 and 2 saved, 1 being the previous one.
    fn saved_twice() -> (tempfile::TempDir, KioskState) {
        let folder = tempfile::tempdir().unwrap();
        let (store, empty) = StateStore::open(folder.path(), &mut Vec::new()).unwrap();
        assert_eq!(empty, KioskState::default());
        let mut state = with_solved(10);
        store.save(&mut state).unwrap();
        state.counters.solved = 20;
        store.save(&mut state).unwrap();
        assert_eq!(state.generation, 2);
        (folder, state)
    }

    fn reopen(folder: &Path) -> (Result<KioskState>, Vec<String>) {
        let mut remarks = Vec::new();
        let state = StateStore::open(folder, &mut remarks).map(|(_, state)| state);
        (state, remarks)
    }

    #[test]
    fn what_is_saved_is_read_back_without_remarks() {
        let (folder, state) = saved_twice();
        let (read, remarks) = reopen(folder.path());
        assert_eq!(read.unwrap(), state);
        assert_eq!(remarks, Vec::<String>::new());
    }

    #[test]
    fn every_torn_and_every_flipped_file_is_recovered_from_the_previous_one() {
        let (folder, _) = saved_twice();
        let path = folder.path().join(PRESENT);
        let (whole, previous) = (fs::read(&path).unwrap(), fs::read(folder.path().join(PREVIOUS)).unwrap());
        let torn = (0..whole.len()).map(|length| whole[..length].to_vec());
        let flipped = (0..whole.len() * 8).map(|bit| {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        for (index, damaged) in torn.chain(flipped).enumerate() {
            assert!(decode(&damaged).is_err(), "{index}");
            if index % 11 != 0 {
                continue;
            }
            fs::write(&path, &damaged).unwrap();
            fs::write(folder.path().join(PREVIOUS), &previous).unwrap();
            let (state, remarks) = reopen(folder.path());
            assert_eq!(state.unwrap().counters.solved, 10);
            assert_eq!(remarks.len(), 2, "{remarks:?}");
            assert!(remarks[0].starts_with("kiosk-state is damaged: "), "{remarks:?}");
            assert_eq!(remarks[1], "the state was recovered from kiosk-state.previous (generation 1, 10 puzzles)");
        }
    }

    #[test]
    fn a_crash_between_the_renames_loses_nothing() {
        let (folder, state) = saved_twice();
        let path = |name| folder.path().join(name);
        fs::rename(path(PRESENT), path(NEW)).unwrap();
        let (read, remarks) = reopen(folder.path());
        assert_eq!(read.unwrap(), state);
        assert_eq!(remarks, ["the state was recovered from kiosk-state.new (generation 2, 20 puzzles)"]);
        // A half-written new file beside the whole ones is nothing to speak of.
        fs::write(path(NEW), "trm-kiosk").unwrap();
        let (read, remarks) = reopen(folder.path());
        assert_eq!((read.unwrap(), remarks.len()), (state, 0));
    }

    #[test]
    fn with_no_whole_file_it_begins_anew_and_says_so() {
        let (folder, _) = saved_twice();
        for name in [PRESENT, PREVIOUS] {
            fs::write(folder.path().join(name), "nonsense").unwrap();
        }
        let (state, remarks) = reopen(folder.path());
        assert_eq!(state.unwrap(), KioskState::default());
        assert_eq!(remarks.len(), 3, "{remarks:?}");
        assert!(remarks[0].ends_with("; it was moved to kiosk-state.damaged"), "{remarks:?}");
        assert_eq!(remarks[2], "no state could be recovered: the counters begin anew");
        assert_eq!(fs::read(folder.path().join("kiosk-state.previous.damaged")).unwrap(), b"nonsense");
    }

    #[test]
    fn a_folder_belongs_to_one_kiosk() {
        let (folder, _) = saved_twice();
        let first = StateStore::open(folder.path(), &mut Vec::new()).unwrap();
        let message = explained(&StateStore::open(folder.path(), &mut Vec::new()).unwrap_err());
        assert!(message.contains("another kiosk is running with this state folder\nhint: "), "{message}");
        drop(first);
        StateStore::open(folder.path(), &mut Vec::new()).unwrap();
    }
}
