//! Models that were the end of their tester, or of the kiosk: written down before they are tried, set aside when they are
//! found again.
//!
//! `testing.json` in `models/` names the model under test. Whoever holds the lock of the folder and finds that file knows
//! that the test before has never come to an end: the kiosk was killed by it, or the power went.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trm_intake::file::write_atomically;

use super::models::remove_folder;
use super::state::sync_folder;
use crate::{HostError, Result};

const JOURNAL: &str = "testing.json";
/// The folder of bundles that were set aside.
pub(super) const REFUSED: &str = "refused";
/// The file that says why a bundle was refused, in its folder.
pub(super) const REASON: &str = "REASON.txt";
/// A few names; nothing longer is read.
const JOURNAL_LIMIT: u64 = 64 << 10;

/// The model under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnderTest {
    /// The folder in `models/` that is tested.
    pub(super) bundle: String,
    /// The folder in `incoming/` that it was copied from, if it was.
    pub(super) incoming: Option<String>,
}

/// The remains of a test that has never ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Unreadable,
    Test(UnderTest),
}

/// The journal of a `models/` folder, and its `refused/`.
#[derive(Debug, Clone)]
pub(super) struct Quarantine {
    models: PathBuf,
}

impl Quarantine {
    pub(super) fn open(models: &Path) -> Result<Self> {
        let refused = models.join(REFUSED);
        fs::create_dir_all(&refused).map_err(HostError::io("create", &refused))?;
        Ok(Self { models: models.to_owned() })
    }

    fn journal(&self) -> PathBuf {
        self.models.join(JOURNAL)
    }

    /// Writes down, and to the disk, what is tested from now on.
    pub(super) fn begin(&self, test: &UnderTest) -> Result<()> {
        let json = serde_json::to_vec_pretty(test).unwrap_or_default();
        Ok(write_atomically(&self.journal(), |file| file.write_all(&json))?)
    }

    /// The test has come to an end, whatever it was.
    pub(super) fn end(&self) -> Result<()> {
        let path = self.journal();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(HostError::io("remove", &path)(error)),
            _ => {}
        }
        sync_folder(&self.models).map_err(HostError::io("sync", &self.models))
    }

    /// The test that has never come to an end.
    pub(super) fn left(&self) -> Left {
        let path = self.journal();
        match fs::metadata(&path) {
            Err(_) => return Left::Nothing,
            Ok(metadata) if !metadata.is_file() || metadata.len() > JOURNAL_LIMIT => return Left::Unreadable,
            Ok(_) => {}
        }
        let test = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<UnderTest>(&bytes).ok());
        let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\']) && ![".", ".."].contains(&name);
        match test {
            Some(test) if plain(&test.bundle) && test.incoming.as_deref().is_none_or(plain) => Left::Test(test),
            _ => Left::Unreadable,
        }
    }

    /// Moves a folder to `refused/`, with the reason in it. What was refused under the same name before goes.
    pub(super) fn set_aside(&self, path: &Path, name: &str, reason: &str) -> Result<()> {
        let place = self.models.join(REFUSED).join(name);
        remove_folder(&place)?;
        fs::rename(path, &place).map_err(HostError::io("rename", &place))?;
        let note = place.join(REASON);
        // Whoever made the folder may have put a link there.
        let _ = fs::remove_file(&note);
        let file = File::create_new(&note).and_then(|mut file| writeln!(file, "{reason}"));
        file.map_err(HostError::io("write", &note))
    }
}
