//! Swapping a model while the kiosk runs: check hashes, self-test, activate, keep the one before, roll back.
//!
//! In the state folder, `models/` holds a copy of every bundle in use, `active.json` (which bundle is active for
//! each task, and which was before it), `incoming/` and `refused/`. A bundle is copied, checked and tested under a name
//! that nobody reads, and becomes active by the rename of `active.json`: whenever the power goes, what is active was
//! tested. A task that is not in `active.json` is solved by the model that is built in.
//!
//! A bundle put into `incoming/` is activated by the running kiosk, which goes on working meanwhile. It must appear there whole:
//! copy it to a name that begins with a dot, then rename. One that is refused is moved to `refused/`, with the reason in
//! `REASON.txt`; so is one that killed its tester or let it hang, and one during whose test the kiosk itself ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use trm_intake::file::{FileError, write_atomically};
use trm_intake::{Budget, Fault, Printable, ReadError, explained};
use trm_models::{MANIFEST, ModelBundle, ModelError, SIGNATURE, is_folder_name};

use super::quarantine::{Left, Quarantine, REASON, REFUSED, UnderTest};
pub use super::self_test::{NotPassed, SelfTest};
use super::state::{digest, sync_folder};
use crate::intake::SMALL;
use crate::{HostError, Result};

const POINTER: &str = "active.json";
const INCOMING: &str = "incoming";
const LOCK: &str = "models.lock";
/// Names that begin so are being written; those left by a crash are removed.
const UNFINISHED: &str = ".";

/// The bundles in use: folder by task (`sudoku-9x9`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Active {
    /// Folder of the active bundle of each task that does not use the built-in one.
    pub folders: BTreeMap<String, PathBuf>,
}

/// A bundle that became active.
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
#[derive(Debug, Clone)]
pub struct ModelStore {
    folder: PathBuf,
    quarantine: Quarantine,
}

/// Proof that this process alone changes the folder.
struct Locked(#[expect(dead_code, reason = "closing the file unlocks it")] File);

impl ModelStore {
    /// Opens it, and makes it where there is none.
    ///
    /// # Errors
    /// [`HostError::Io`] when its folders cannot be made.
    pub fn open(state: &Path) -> Result<Self> {
        let folder = state.join("models");
        for folder in [&folder, &folder.join(INCOMING)] {
            fs::create_dir_all(folder).map_err(HostError::io("create", folder))?;
        }
        Ok(Self { quarantine: Quarantine::open(&folder)?, folder })
    }

    /// The bundles in use.
    ///
    /// # Errors
    /// [`HostError::KioskState`] when `active.json` is damaged.
    pub fn active(&self) -> Result<Active> {
        let tasks = self.pointer()?.tasks;
        Ok(Active { folders: tasks.into_iter().map(|(task, slot)| (task, self.folder.join(slot.active))).collect() })
    }

    /// Copies the bundle in `source`, checks and tests the copy, and makes it the active one of its task. `stop` breaks the
    /// test off.
    ///
    /// # Errors
    /// [`HostError::ModelRefused`] when it is not whole, not signed by somebody who is trusted, or fails its self-test;
    /// [`HostError::ModelTestBrokenOff`] after `stop`. What was active stays so.
    pub fn activate(&self, source: &Path, self_test: &dyn SelfTest, stop: &AtomicBool) -> Result<Activated> {
        let lock = self.lock()?;
        self.settle(&lock, &mut Vec::new())?;
        self.activate_locked(&lock, source, None, self_test, stop)
    }

    fn activate_locked(
        &self,
        _: &Locked,
        source: &Path,
        incoming: Option<&str>,
        self_test: &dyn SelfTest,
        stop: &AtomicBool,
    ) -> Result<Activated> {
        let refused = |fault: Fault| {
            let own = "the model before it stays active; `trm inspect` says what a bundle holds";
            HostError::ModelRefused {
                bundle: Printable(&source.display().to_string()).to_string(),
                reason: fault.what,
                hint: fault.hint.map_or_else(|| own.to_owned(), |hint| format!("{hint}; {own}")),
            }
        };
        let bundle = ModelBundle::open(source)?;
        let name = bundle.manifest().name.clone();
        if !is_folder_name(&name) {
            return Err(refused(format!("its name `{}` cannot be that of a folder", Printable(&name)).into()));
        }
        // The manifest holds the hashes of all other files: its own stands for the whole bundle, twelve digits tell those of
        // a folder apart.
        let target = format!("{name}-{}", &digest(bundle.manifest_bytes())[..12]);
        let unfinished = self.folder.join(format!("{UNFINISHED}{target}"));
        // What a crash has left, of this or another bundle, must not fill the disk.
        let mut pointer = self.pointer()?;
        self.prune(&pointer)?;
        let copied = copy_bundle(&bundle, source, &unfinished)
            .and_then(|()| ModelBundle::open(&unfinished))
            .and_then(|copy| copy.verify().map(|()| copy))
            .map_err(|error| refused(Fault::of(&error)))
            .and_then(|copy| {
                self_test.trusts(&copy).map_err(&refused)?;
                let changed = copy.manifest_bytes() != bundle.manifest_bytes();
                if changed { Err(refused("it was changed while it was copied".into())) } else { Ok(copy) }
            });
        let tested = copied.and_then(|copy| {
            let test = UnderTest { bundle: format!("{UNFINISHED}{target}"), incoming: incoming.map(str::to_owned) };
            self.try_out(&test, &copy, self_test, stop)?.map_err(|why| match why {
                NotPassed::BrokenOff => HostError::ModelTestBrokenOff { bundle: target.clone() },
                why => refused(Fault::of(&why)),
            })
        });
        if let Err(error) = tested {
            remove_folder(&unfinished)?;
            return Err(error);
        }
        let place = self.folder.join(&target);
        // The same bundle may be there already, even in use; or a damaged copy of it, or one that nobody has signed.
        let is_good = |there: &ModelBundle| there.verify().is_ok() && self_test.trusts(there).is_ok();
        if ModelBundle::open(&place).is_ok_and(|there| is_good(&there)) {
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

    /// Tests a bundle, which is written down for as long as that takes.
    fn try_out(
        &self,
        test: &UnderTest,
        bundle: &ModelBundle,
        self_test: &dyn SelfTest,
        stop: &AtomicBool,
    ) -> Result<Result<(), NotPassed>> {
        if let Err(error) = self.quarantine.begin(test) {
            return Ok(Err(NotPassed::NotTested(Fault::of(&error))));
        }
        let result = self_test.run(bundle, stop);
        self.quarantine.end()?;
        Ok(result)
    }

    /// Sets aside the model whose test has never come to an end, if there is one.
    fn settle(&self, lock: &Locked, remarks: &mut Vec<String>) -> Result<()> {
        let reason = "the kiosk ended while this model was tested: it was killed, or the power went";
        let test = match self.quarantine.left() {
            Left::Nothing => return Ok(()),
            Left::Unreadable => {
                remarks.push("testing.json cannot be read: which model was tested is not known".to_owned());
                return self.quarantine.end();
            }
            Left::Test(test) => test,
        };
        let name = test.incoming.as_ref().unwrap_or(&test.bundle);
        let path = self.folder.join(INCOMING).join(name);
        if test.incoming.is_some() && is_folder(&path) {
            self.quarantine.set_aside(&path, name, reason)?;
            remarks.push(format!("{} is set aside in refused/: {reason}", Printable(name)));
        } else {
            let tasks = self.pointer()?.tasks.into_iter().filter(|(_, slot)| slot.active == test.bundle);
            for task in tasks.map(|(task, _)| task).collect::<Vec<_>>() {
                self.give_up(lock, &task, &test.bundle, reason, remarks)?;
            }
        }
        self.quarantine.end()
    }

    /// Goes back to the bundle before an active one, which is set aside.
    fn give_up(&self, _: &Locked, task: &str, bundle: &str, why: &str, remarks: &mut Vec<String>) -> Result<()> {
        let mut pointer = self.pointer()?;
        let slot = take_back(&mut pointer, task);
        self.write_pointer(&pointer)?;
        let path = self.folder.join(bundle);
        let in_use =
            pointer.tasks.values().any(|slot| slot.active == bundle || slot.previous.as_deref() == Some(bundle));
        if !in_use && path.is_dir() {
            self.quarantine.set_aside(&path, bundle, why)?;
        }
        self.prune(&pointer)?;
        let previous = slot.and_then(|slot| slot.previous);
        let previous = previous.as_deref().unwrap_or("the built-in model");
        remarks.push(format!("{bundle} is not used for {task}: {why}; went back to {previous}"));
        Ok(())
    }

    /// Makes the bundle before the active one active again; the built-in one where there was none. Returns its name.
    ///
    /// # Errors
    /// [`HostError::KioskState`] when the task has no active bundle.
    pub fn roll_back(&self, task: &str) -> Result<Option<String>> {
        let _lock = self.lock()?;
        let mut pointer = self.pointer()?;
        let Some(slot) = take_back(&mut pointer, task) else {
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
        self.write_pointer(&pointer)?;
        self.prune(&pointer)?;
        Ok(slot.previous)
    }

    /// Checks and tests every active bundle and rolls back those that fail, as a kiosk does when it starts. `remarks` gets
    /// what had to be done. `stop` breaks that off.
    ///
    /// # Errors
    /// [`HostError::KioskState`] when `active.json` is damaged; others when a file cannot be read or written. A bundle
    /// that fails is no error but a remark.
    pub fn check(&self, self_test: &dyn SelfTest, stop: &AtomicBool, remarks: &mut Vec<String>) -> Result<Active> {
        let lock = self.lock()?;
        self.settle(&lock, remarks)?;
        let mut passed: Vec<String> = Vec::new();
        loop {
            let untested = |(_, slot): &(String, Slot)| !passed.contains(&slot.active);
            let Some((task, slot)) = self.pointer()?.tasks.into_iter().find(untested) else { return self.active() };
            // Each turn tests a bundle or takes one out of the pointer: this ends.
            let why = match self.test(&slot.active, self_test, stop)? {
                Ok(()) => None,
                Err(NotPassed::BrokenOff) => return self.active(),
                // A machine that cannot start a process is no reason to do without a model that was good.
                Err(NotPassed::NotTested(why)) => {
                    remarks.push(format!("{} is used without a test: {}", slot.active, explained(&why)));
                    None
                }
                Err(why) => Some(explained(&why)),
            };
            match why {
                None => passed.push(slot.active),
                Some(why) => self.give_up(&lock, &task, &slot.active, &why, remarks)?,
            }
        }
    }

    /// True if there is anything in `incoming/` to be activated.
    ///
    /// # Errors
    /// [`HostError::Io`] when the folder cannot be listed.
    pub fn has_incoming(&self) -> Result<bool> {
        Ok(!self.incoming()?.is_empty())
    }

    /// Activates what lies in `incoming/`; what is refused is moved to `refused/`. `remarks` gets a line for each. `stop` breaks
    /// that off, and what was not tested yet stays where it is.
    ///
    /// # Errors
    /// As [`check`](Self::check). A bundle that is refused is no error but a remark.
    pub fn take_incoming(
        &self,
        self_test: &dyn SelfTest,
        stop: &AtomicBool,
        remarks: &mut Vec<String>,
    ) -> Result<Vec<Activated>> {
        let mut activated = Vec::new();
        for name in self.incoming()? {
            let lock = self.lock()?;
            self.settle(&lock, remarks)?;
            let path = self.folder.join(INCOMING).join(&name);
            if !is_folder(&path) {
                continue;
            }
            // One that was refused before, and is to be tried again.
            let note = path.join(REASON);
            if note.is_file() {
                fs::remove_file(&note).map_err(HostError::io("remove", &note))?;
            }
            match self.activate_locked(&lock, &path, Some(&name), self_test, stop) {
                Ok(done) => {
                    remarks.push(format!("{} is active for {}", done.bundle, done.task));
                    activated.push(done);
                    remove_folder(&path)?;
                }
                Err(HostError::ModelTestBrokenOff { .. }) => break,
                Err(error) => {
                    let why = explained(&error);
                    self.quarantine.set_aside(&path, &name, &why)?;
                    remarks.push(why);
                }
            }
        }
        Ok(activated)
    }

    /// Folders in `incoming/` that are complete.
    fn incoming(&self) -> Result<Vec<String>> {
        let incoming = self.folder.join(INCOMING);
        let mut names = names_in(&incoming)?;
        names.retain(|name| !name.starts_with(UNFINISHED) && is_folder(&incoming.join(name)));
        Ok(names)
    }

    /// Rolls back active bundles that nobody trusted has signed: another process may have activated them.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn distrust(&self, self_test: &dyn SelfTest, remarks: &mut Vec<String>) -> Result<()> {
        for (task, folder) in self.active()?.folders {
            let trusted = ModelBundle::open(&folder).map_err(|error| Fault::of(&error));
            let Err(why) = trusted.and_then(|bundle| self_test.trusts(&bundle)) else { continue };
            let lock = self.lock()?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if self.active()?.folders.get(&task) == Some(&folder) {
                self.give_up(&lock, &task, &name, &explained(&why), remarks)?;
            }
        }
        Ok(())
    }

    fn test(&self, name: &str, self_test: &dyn SelfTest, stop: &AtomicBool) -> Result<Result<(), NotPassed>> {
        let opened = ModelBundle::open(self.folder.join(name));
        let whole = opened.and_then(|bundle| bundle.verify().map(|()| bundle)).map_err(|error| Fault::of(&error));
        match whole.and_then(|bundle| self_test.trusts(&bundle).map(|()| bundle)) {
            Ok(bundle) => {
                self.try_out(&UnderTest { bundle: name.to_owned(), incoming: None }, &bundle, self_test, stop)
            }
            Err(why) => Ok(Err(NotPassed::Refused(why))),
        }
    }

    /// One process at a time changes the folder: the running kiosk, or `trm-host model`.
    fn lock(&self) -> Result<Locked> {
        let path = self.folder.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(HostError::io("open", &path))?;
        file.lock().map_err(HostError::io("lock", &path))?;
        Ok(Locked(file))
    }

    fn pointer(&self) -> Result<Pointer> {
        let path = self.folder.join(POINTER);
        let bad = |reason: String| HostError::KioskState {
            path: path.clone(),
            reason,
            hint: "remove it to use the built-in models, then activate the others again".to_owned(),
        };
        let bytes = match Budget::new(SMALL).read_file(&path) {
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(Pointer::default()),
            Err(ReadError::Io(error)) => return Err(HostError::io("read", &path)(error)),
            Err(ReadError::Exceeded(exceeded)) => return Err(bad(exceeded.to_string())),
            Ok(bytes) => bytes,
        };
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

/// Takes the active bundle of a task out of the pointer, and returns its slot. The one before it becomes active.
fn take_back(pointer: &mut Pointer, task: &str) -> Option<Slot> {
    let slot = pointer.tasks.remove(task)?;
    if let Some(previous) = &slot.previous {
        pointer.tasks.insert(task.to_owned(), Slot { active: previous.clone(), previous: None });
    }
    Some(slot)
}

/// True for a folder; a link is none: it leads to a place where nothing is to be written.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Key of a bundle's task in `active.json`: `sudoku-9x9`, `maze-11x15`.
#[must_use]
pub fn task_key(bundle: &ModelBundle) -> String {
    let task = &bundle.manifest().task;
    format!("{}-{}x{}", task.kind.as_str(), task.height, task.width)
}

/// Copies a bundle's files, each synced.
fn copy_bundle(bundle: &ModelBundle, from: &Path, to: &Path) -> Result<(), ModelError> {
    let io_error = |action, path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::File(FileError::Io { action, path, source })
    };
    fs::create_dir(to).map_err(io_error("create", to))?;
    let signature = from.join(SIGNATURE).is_file().then_some(SIGNATURE);
    for name in bundle.manifest().file_names().chain([MANIFEST]).chain(signature) {
        let (source, copy) = (from.join(name), to.join(name));
        let metadata = fs::metadata(&source).map_err(io_error("read", &source))?;
        // A file that is not as large as it should be may fill the disk.
        if let Some(expected) = bundle.manifest().hash(name).filter(|hash| hash.bytes != metadata.len()) {
            return Err(ModelError::DamagedFile {
                bundle: bundle.label(),
                file: name.to_owned(),
                property: "size",
                found: format!("{} bytes", metadata.len()),
                expected: format!("{} bytes", expected.bytes),
            });
        }
        if !metadata.is_file() {
            let reason = io::Error::new(io::ErrorKind::InvalidInput, "not a file");
            return Err(io_error("read", &source)(reason));
        }
        fs::copy(&source, &copy).map_err(io_error("copy", &source))?;
        File::open(&copy).and_then(|file| file.sync_all()).map_err(io_error("sync", &copy))?;
    }
    sync_folder(to).map_err(io_error("sync", to))
}

pub(super) fn remove_folder(path: &Path) -> Result<()> {
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
