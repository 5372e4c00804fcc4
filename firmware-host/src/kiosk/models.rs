//! Swapping a model while the kiosk runs: check hashes, self-test, activate, keep the one before, roll back.
//!
//! In the state folder, `models/` holds a copy of every bundle in use, `active.json` (which bundle is active for
//! each task, and which was before it), `incoming/` and `refused/`. A bundle is copied, checked and tested under a name
//! that nobody reads, and becomes active by the rename of `active.json`: whenever the power goes, what is active was
//! tested. A task that is not in `active.json` is solved by the model that is built in.
//!
//! A bundle put into `incoming/` is activated by the running kiosk when it is idle. It must appear there whole: copy it to a name
//! that begins with a dot, then rename. One that is refused is moved to `refused/`, with the reason in `REASON.txt`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trm_models::file::write_atomically;
use trm_models::{MANIFEST, ModelBundle, ModelError, hash_file};

use super::state::sync_folder;
use crate::{HostError, Result};

const POINTER: &str = "active.json";
const INCOMING: &str = "incoming";
const REFUSED: &str = "refused";
const REASON: &str = "REASON.txt";
const LOCK: &str = "models.lock";
/// Names that begin so are being written; those left by a crash are removed.
const UNFINISHED: &str = ".";
/// A pointer is a few names; nothing longer is read.
const POINTER_LIMIT: u64 = 1 << 20;

/// Proves that a bundle computes on this machine what it computed where it was made.
pub trait SelfTest {
    /// Runs the bundle's self-test; the reason when it fails.
    fn run(&self, bundle: &ModelBundle) -> Result<(), String>;
}

impl<F: Fn(&ModelBundle) -> Result<(), String>> SelfTest for F {
    fn run(&self, bundle: &ModelBundle) -> Result<(), String> {
        self(bundle)
    }
}

/// The bundles in use: folder by task (`sudoku-9x9`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Active {
    /// Folder of the active bundle of each task that does not use the built-in one.
    pub folders: BTreeMap<String, PathBuf>,
}

/// What became active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// The task.
    pub task: String,
    /// The bundle's folder in `models/`.
    pub bundle: String,
    /// The bundle before it; `None` for the built-in one.
    pub previous: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    tasks: BTreeMap<String, Slot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    active: String,
    previous: Option<String>,
}

/// The `models/` folder of a kiosk's state folder.
#[derive(Debug)]
pub struct ModelStore {
    folder: PathBuf,
}

impl ModelStore {
    /// Opens it, and makes it where there is none.
    pub fn open(state: &Path) -> Result<Self> {
        let folder = state.join("models");
        for folder in [&folder, &folder.join(INCOMING), &folder.join(REFUSED)] {
            fs::create_dir_all(folder).map_err(HostError::io("create", folder))?;
        }
        Ok(Self { folder })
    }

    /// The bundles in use.
    ///
    /// # Errors
    /// [`HostError::KioskState`] when `active.json` is damaged.
    pub fn active(&self) -> Result<Active> {
        let tasks = self.pointer()?.tasks;
        Ok(Active { folders: tasks.into_iter().map(|(task, slot)| (task, self.folder.join(slot.active))).collect() })
    }

    /// Copies the bundle in `source`, checks and tests the copy, and makes it the active one of its task.
    ///
    /// # Errors
    /// [`HostError::ModelRefused`] when it is not whole or fails its self-test: what was active stays so.
    pub fn activate(&self, source: &Path, self_test: &dyn SelfTest) -> Result<Activated> {
        let _lock = self.lock()?;
        let refused = |reason: String| HostError::ModelRefused {
            bundle: source.display().to_string(),
            reason,
            hint: "the model before it stays active; `trm inspect` says what a bundle holds".to_owned(),
        };
        let bundle = ModelBundle::open(source)?;
        let name = bundle.manifest().name.clone();
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if !plain || name.is_empty() || name.starts_with('.') || name == INCOMING || name == REFUSED {
            return Err(refused(format!("its name `{name}` cannot be that of a folder")));
        }
        // The manifest holds the hashes of all other files: its own stands for the whole bundle.
        let (hash, _) = hash_file(&source.join(MANIFEST))?;
        let target = format!("{name}-{}", &hash[..12]);
        let unfinished = self.folder.join(format!("{UNFINISHED}{target}"));
        // What a crash has left, of this or another bundle, must not fill the disk.
        let mut pointer = self.pointer()?;
        self.prune(&pointer)?;
        let copied = copy_bundle(&bundle, source, &unfinished).and_then(|()| {
            let copy = ModelBundle::open(&unfinished)?;
            copy.verify()?;
            Ok(copy)
        });
        let tested = copied
            .map_err(|error| refused(error.to_string()))
            .and_then(|copy| self_test.run(&copy).map_err(|reason| refused(format!("its self-test failed: {reason}"))));
        if let Err(error) = tested {
            remove_folder(&unfinished)?;
            return Err(error);
        }
        let place = self.folder.join(&target);
        // The same bundle may be there already, even in use, or a damaged copy of it.
        if ModelBundle::open(&place).and_then(|there| there.verify()).is_ok() {
            remove_folder(&unfinished)?;
        } else {
            remove_folder(&place)?;
            fs::rename(&unfinished, &place).map_err(HostError::io("rename", &place))?;
        }
        sync_folder(&self.folder).map_err(HostError::io("sync", &self.folder))?;

        let task = task_key(&bundle);
        let before = pointer.tasks.get(&task);
        let previous = before.and_then(|slot| {
            // Activating the active one again leaves the one before it where it is.
            if slot.active == target { slot.previous.clone() } else { Some(slot.active.clone()) }
        });
        pointer.tasks.insert(task.clone(), Slot { active: target.clone(), previous: previous.clone() });
        self.write_pointer(&pointer)?;
        self.prune(&pointer)?;
        Ok(Activated { task, bundle: target, previous })
    }

    /// Makes the bundle before the active one active again; the built-in one where there was none. Returns its name.
    ///
    /// # Errors
    /// [`HostError::KioskState`] when the task has no active bundle.
    pub fn roll_back(&self, task: &str) -> Result<Option<String>> {
        let _lock = self.lock()?;
        let mut pointer = self.pointer()?;
        let Some(slot) = pointer.tasks.remove(task) else {
            let known = pointer.tasks.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(HostError::KioskState {
                path: self.folder.clone(),
                reason: format!("no model was activated for {task}, so there is none to go back from"),
                hint: if known.is_empty() {
                    "all models are built in".to_owned()
                } else {
                    format!("there are {known}")
                },
            });
        };
        if let Some(previous) = &slot.previous {
            pointer.tasks.insert(task.to_owned(), Slot { active: previous.clone(), previous: None });
        }
        self.write_pointer(&pointer)?;
        self.prune(&pointer)?;
        Ok(slot.previous)
    }

    /// Checks and tests every active bundle and rolls back those that fail, as a kiosk does when it starts. `remarks` gets
    /// what had to be done.
    pub fn check(&self, self_test: &dyn SelfTest, remarks: &mut Vec<String>) -> Result<Active> {
        loop {
            let pointer = self.pointer()?;
            let bad = pointer.tasks.iter().find_map(|(task, slot)| {
                let reason = self.test(&slot.active, self_test).err()?;
                Some((task.clone(), slot.active.clone(), reason))
            });
            // Each turn takes a bundle out of the pointer: this ends.
            let Some((task, bundle, reason)) = bad else { return self.active() };
            let previous = self.roll_back(&task)?;
            let previous = previous.as_deref().unwrap_or("the built-in model");
            remarks.push(format!("{bundle} is not used for {task}: {reason}; went back to {previous}"));
        }
    }

    /// Activates what lies in `incoming/`; what is refused is moved to `refused/`. `remarks` gets a line for each.
    pub fn take_incoming(&self, self_test: &dyn SelfTest, remarks: &mut Vec<String>) -> Result<Vec<Activated>> {
        let incoming = self.folder.join(INCOMING);
        let mut activated = Vec::new();
        for name in names_in(&incoming)? {
            let path = incoming.join(&name);
            if name.starts_with(UNFINISHED) || !path.is_dir() {
                continue;
            }
            match self.activate(&path, self_test) {
                Ok(done) => {
                    remarks.push(format!("{} is active for {}", done.bundle, done.task));
                    activated.push(done);
                    remove_folder(&path)?;
                }
                Err(error) => {
                    remarks.push(error.to_string());
                    let place = self.folder.join(REFUSED).join(&name);
                    remove_folder(&place)?;
                    fs::rename(&path, &place).map_err(HostError::io("rename", &place))?;
                    let note = place.join(REASON);
                    fs::write(&note, format!("{error}\n")).map_err(HostError::io("write", &note))?;
                }
            }
        }
        Ok(activated)
    }

    fn test(&self, name: &str, self_test: &dyn SelfTest) -> Result<(), String> {
        let bundle = ModelBundle::open(self.folder.join(name)).map_err(|error| error.to_string())?;
        bundle.verify().map_err(|error| error.to_string())?;
        self_test.run(&bundle).map_err(|reason| format!("its self-test failed: {reason}"))
    }

    /// One process at a time changes the folder: the running kiosk, or `trm-host model`.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(HostError::io("open", &path))?;
        file.lock().map_err(HostError::io("lock", &path))?;
        Ok(file)
    }

    fn pointer(&self) -> Result<Pointer> {
        let path = self.folder.join(POINTER);
        let bad = |reason: String| HostError::KioskState {
            path: path.clone(),
            reason,
            hint: "remove it to use the built-in models, then activate the others again".to_owned(),
        };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Pointer::default()),
            Ok(metadata) if metadata.len() > POINTER_LIMIT => {
                return Err(bad(format!("{} bytes is too long", metadata.len())));
            }
            _ => {}
        }
        let bytes = fs::read(&path).map_err(HostError::io("read", &path))?;
        let pointer: Pointer = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        let names = pointer.tasks.values().flat_map(|slot| slot.previous.iter().chain([&slot.active]));
        if let Some(name) = names.into_iter().find(|name| name.contains(['/', '\\']) || name.starts_with('.')) {
            return Err(bad(format!("`{name}` is not the name of a folder beside it")));
        }
        Ok(pointer)
    }

    fn write_pointer(&self, pointer: &Pointer) -> Result<()> {
        let json = serde_json::to_vec_pretty(pointer).unwrap_or_default();
        Ok(write_atomically(&self.folder.join(POINTER), |file| file.write_all(&json))?)
    }

    /// Removes bundles that are neither active nor kept, and what crashes left.
    fn prune(&self, pointer: &Pointer) -> Result<()> {
        let kept: Vec<_> = pointer.tasks.values().flat_map(|slot| slot.previous.iter().chain([&slot.active])).collect();
        for name in names_in(&self.folder)? {
            let path = self.folder.join(&name);
            if path.is_dir() {
                if name != INCOMING && name != REFUSED && !kept.contains(&&name) {
                    remove_folder(&path)?;
                }
            } else if name.starts_with(UNFINISHED) {
                fs::remove_file(&path).map_err(HostError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// What a bundle solves, as `active.json` calls it: `sudoku-9x9`, `maze-11x15`.
#[must_use]
pub fn task_key(bundle: &ModelBundle) -> String {
    let task = &bundle.manifest().task;
    format!("{}-{}x{}", task.kind.as_str(), task.height, task.width)
}

/// Copies a bundle's files, each synced.
fn copy_bundle(bundle: &ModelBundle, from: &Path, to: &Path) -> Result<(), ModelError> {
    let io_error = |action, path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { action, path, source }
    };
    fs::create_dir(to).map_err(io_error("create", to))?;
    for name in bundle.manifest().file_names().chain([MANIFEST]) {
        let (source, copy) = (from.join(name), to.join(name));
        let metadata = fs::metadata(&source).map_err(io_error("read", &source))?;
        if !metadata.is_file() {
            let reason = io::Error::new(io::ErrorKind::InvalidInput, "not a file");
            return Err(io_error("read", &source)(reason));
        }
        fs::copy(&source, &copy).map_err(io_error("copy", &source))?;
        File::open(&copy).and_then(|file| file.sync_all()).map_err(io_error("sync", &copy))?;
    }
    sync_folder(to).map_err(io_error("sync", to))
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HostError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Names in a folder, sorted; those that are not text are left alone.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(HostError::io("read", folder))? {
        let entry = entry.map_err(HostError::io("read", folder))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}
