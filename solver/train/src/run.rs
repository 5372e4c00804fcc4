//! A run's folder: its settings, log, checkpoints and best weights.
//!
//! A checkpoint is a folder that appears complete or not at all. It is written beside the old one, synced and renamed;
//! the one before stays as `checkpoint.previous`. Its last file, `SHA256SUMS`, makes it complete and lets
//! `sha256sum -c` check it. Reading recovers from a crash at any moment, and falls back on the previous checkpoint when
//! a file is damaged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trm_intake::file::{FileError, kept, write_atomically};
use trm_intake::{Budget, Limits, explained};

use super::config::TrainConfig;
use super::lock::RunLock;
use super::runtime::{NamedTensor, TrainState};
use crate::{Result, TrainError};

/// The settings of the run.
pub const CONFIG: &str = "config.toml";
/// One JSON object a line: what was measured.
pub const LOG: &str = "log.jsonl";
/// The folder of the last checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// The folder of the weights that did best on held-out puzzles.
pub const BEST: &str = "best";

/// Version of the checkpoint's files.
const FORMAT_VERSION: u32 = 1;
const STATE: &str = "state.json";
const SUMS: &str = "SHA256SUMS";
/// Four copies of the largest weights that are read, 16 GiB.
const CHECKPOINT_LIMITS: Limits = Limits { bytes: 64 << 30, items: 0, depth: 0, time: None };

/// A row of a batch: the puzzle it works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Number of the example.
    pub index: u64,
    /// Steps it has had.
    pub steps: u32,
    /// Most steps it gets.
    pub cap: u32,
}

/// The best evaluation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The optimiser step.
    pub step: u64,
    /// Share of exact answers.
    pub exact: f64,
    /// Share of answers that the rules accept, where they can tell.
    pub valid: Option<f64>,
    /// Held-out puzzles; 0 in checkpoints that did not say.
    #[serde(default)]
    pub n: usize,
}

/// State of a run besides its tensors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunState {
    /// Optimiser steps done.
    pub step: u64,
    /// Rows that went through a supervision step.
    pub samples: u64,
    /// Examples drawn.
    pub next_index: u64,
    /// Number of the next example of each task, for a run of several sizes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub next_by_task: BTreeMap<String, u64>,
    /// Task of every carry group, for a run of several sizes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_tasks: Vec<String>,
    /// Puzzles that halted.
    pub examples_finished: u64,
    /// Seconds of training, over all sessions.
    pub train_seconds: f64,
    /// The best evaluation.
    pub best: Option<Best>,
    /// Rows of every carry group; none for a row that takes a new puzzle next.
    pub groups: Vec<Vec<Option<Slot>>>,
}

/// Everything that a run needs to go on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checkpoint {
    /// Where the run stands.
    pub state: RunState,
    /// Weights, moments, moving average.
    pub tensors: TrainState,
    /// `z_h` and `z_l` of all groups, one group's `[batch, L, D]` after the other.
    pub carry: Option<[NamedTensor; 2]>,
}

/// A checkpoint as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Faults of newer ones, to be told to the user.
    pub warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    format_version: u32,
    #[serde(flatten)]
    state: RunState,
}

/// The folder of a run. Of those that are locked there is one at a time, its clones aside.
#[derive(Debug, Clone)]
pub struct RunFolder {
    dir: PathBuf,
    lock: Option<Arc<RunLock>>,
}

impl RunFolder {
    /// Makes the folder of a new run, locks it and writes its settings. A folder with a run in it is refused.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunFolder`] if a run is there, or another trainer at work; [`TrainError::File`] if the folder
    /// cannot be made or written.
    pub fn create(dir: &Path, config: &TrainConfig) -> Result<Self> {
        let run = Self { dir: dir.to_owned(), lock: None };
        let check = || {
            let hint = "pass --resume to go on with it, or choose another folder";
            if run.has_checkpoint() { Err(run.refuse("a run is there already".to_owned(), hint)) } else { Ok(()) }
        };
        check()?;
        fs::create_dir_all(dir).map_err(TrainError::io("create", dir))?;
        let run = run.clone().locked()?;
        // Until now another trainer may have been at work.
        check()?;
        run.write_config(config)?;
        Ok(run)
    }

    /// Keeps other trainers out of the folder until this and its clones are gone, or the process is.
    ///
    /// # Errors
    /// [`TrainError::RunFolder`] when another trainer is at work in it.
    pub fn locked(self) -> Result<Self> {
        let lock = match self.lock {
            Some(lock) => lock,
            None => Arc::new(RunLock::take(&self.dir)?),
        };
        Ok(Self { dir: self.dir, lock: Some(lock) })
    }

    /// Opens the folder of a run that exists, with its settings; not locked, so that it can be looked at while a
    /// trainer works.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunFolder`] if there is no run; [`TrainError::File`] or [`TrainError::TrainConfig`] if its
    /// settings cannot be read.
    pub fn open(dir: &Path) -> Result<(Self, TrainConfig)> {
        let run = Self { dir: dir.to_owned(), lock: None };
        if !run.path(CONFIG).is_file() {
            let reason = format!("no run in this folder: there is no {CONFIG}");
            return Err(run.refuse(reason, "`trm train --task TASK --out DIR` starts one"));
        }
        let config = TrainConfig::read(&run.path(CONFIG))?;
        Ok((run, config))
    }

    /// Writes the settings of the run.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] if they cannot be written.
    pub fn write_config(&self, config: &TrainConfig) -> Result<()> {
        let text = config.to_toml()?;
        Ok(write_atomically(&self.path(CONFIG), |file| file.write_all(text.as_bytes()))?)
    }

    /// A file of the run.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// True if there is a checkpoint to go on from.
    #[must_use]
    pub fn has_checkpoint(&self) -> bool {
        !self.candidates(CHECKPOINT).is_empty()
    }

    /// Saves the run. The old checkpoint stays as `checkpoint.previous`; a failure leaves everything as it was.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] if it cannot be written.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.write_folder(CHECKPOINT, checkpoint)
    }

    /// Saves the weights of the best evaluation.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] if they cannot be written.
    pub fn write_best(&self, state: &RunState, weights: &BTreeMap<String, NamedTensor>) -> Result<()> {
        let tensors = TrainState { weights: weights.clone(), ..TrainState::default() };
        // Without rows: nothing goes on from here.
        let state = RunState { groups: Vec::new(), group_tasks: Vec::new(), ..state.clone() };
        self.write_folder(BEST, &Checkpoint { state, tensors, carry: None })?;
        remove(&self.path(&format!("{BEST}.previous"))).map_err(TrainError::io("remove", self.path(BEST)))
    }

    /// Reads the last checkpoint that is whole.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunFolder`] if none is whole: it names the first file that is wrong.
    pub fn read(&self) -> Result<Loaded> {
        self.read_folder(CHECKPOINT)
    }

    /// Reads the weights of the best evaluation; `None` before the first one.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunFolder`] if they are damaged.
    pub fn read_best(&self) -> Result<Option<Loaded>> {
        if self.candidates(BEST).is_empty() { Ok(None) } else { self.read_folder(BEST).map(Some) }
    }

    fn refuse(&self, reason: String, hint: &str) -> TrainError {
        TrainError::RunFolder { path: self.dir.clone(), reason, hint: hint.to_owned() }
    }

    fn write_folder(&self, name: &str, checkpoint: &Checkpoint) -> Result<()> {
        let staging = self.path(&format!("{name}.tmp-{}", std::process::id()));
        let (current, previous) = (self.path(name), self.path(&format!("{name}.previous")));
        let written = remove(&staging)
            .map_err(TrainError::io("remove", &staging))
            .and_then(|()| write_files(&staging, checkpoint));
        if written.is_err() {
            // The error that stopped the writing is the one to report.
            let _ = remove(&staging);
            return written.map_err(|error| match error {
                TrainError::File(FileError::Io { action, path, source }) => {
                    FileError::Io { action, path, source: kept(&current, source) }.into()
                }
                other => other,
            });
        }
        let swap = || {
            if current.exists() {
                remove(&previous)?;
                fs::rename(&current, &previous)?;
            }
            fs::rename(&staging, &current)?;
            sync(&self.dir)?;
            // What crashes have left.
            self.staged(name).iter().try_for_each(|stale| remove(stale))
        };
        swap().map_err(TrainError::io("put a new checkpoint in place of", &current))
    }

    /// Unfinished or not yet renamed folders of a name.
    fn staged(&self, name: &str) -> Vec<PathBuf> {
        let prefix = format!("{name}.tmp-");
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut staged: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|e| e.path())
            .collect();
        staged.sort();
        staged
    }

    /// Complete folders of a name, the newest first.
    fn candidates(&self, name: &str) -> Vec<PathBuf> {
        let current = std::iter::once(self.path(name));
        let previous = std::iter::once(self.path(&format!("{name}.previous")));
        let staged = self.staged(name).into_iter().filter(|path| path.join(SUMS).is_file());
        current.chain(staged).chain(previous).filter(|path| path.is_dir()).collect()
    }

    fn read_folder(&self, name: &str) -> Result<Loaded> {
        let mut failures: Vec<TrainError> = Vec::new();
        for path in self.candidates(name) {
            match read_files(&path) {
                Ok(checkpoint) => {
                    let current = self.path(name);
                    if path != current && !current.exists() && !path.ends_with(format!("{name}.previous")) {
                        fs::rename(&path, &current).map_err(TrainError::io("rename", &path))?;
                    }
                    let used = format!("going on from {}, step {}", path.display(), checkpoint.state.step);
                    let warnings = failures.iter().map(|error| format!("{}\n{used}", explained(error))).collect();
                    return Ok(Loaded { checkpoint, warnings });
                }
                Err(error) => failures.push(error),
            }
        }
        Err(failures.into_iter().next().unwrap_or_else(|| {
            self.refuse("no checkpoint in this folder".to_owned(), "the run was never saved: start it without --resume")
        }))
    }
}

fn damaged(path: PathBuf, reason: impl Into<String>) -> TrainError {
    let hint = "the file was changed or cut off after it was written: restore it from a copy of the run";
    TrainError::RunFolder { path, reason: reason.into(), hint: hint.to_owned() }
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes names as durable as files are; only Unix can.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Files of tensors, by what they hold.
const TENSOR_FILES: [&str; 4] =
    ["weights.safetensors", "optimizer.safetensors", "ema.safetensors", "carry.safetensors"];

fn write_files(dir: &Path, checkpoint: &Checkpoint) -> Result<()> {
    fs::create_dir(dir).map_err(TrainError::io("create", dir))?;
    let mut sums = String::new();
    let mut save = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(TrainError::io("write", &path))?;
        let _ = writeln!(sums, "{}  {name}", hash(bytes));
        Ok::<(), TrainError>(())
    };
    let carry: BTreeMap<String, NamedTensor> = checkpoint
        .carry
        .iter()
        .flat_map(|carry| ["z_h", "z_l"].map(str::to_owned).into_iter().zip(carry.clone()))
        .collect();
    let TrainState { weights, moments, ema } = &checkpoint.tensors;
    for (name, tensors) in TENSOR_FILES.into_iter().zip([weights, moments, ema, &carry]) {
        if !tensors.is_empty() {
            save(name, &to_safetensors(&dir.join(name), tensors)?)?;
        }
    }
    let state = StateFile { format_version: FORMAT_VERSION, state: checkpoint.state.clone() };
    let text =
        serde_json::to_vec_pretty(&state).map_err(|error| TrainError::io("write", dir.join(STATE))(error.into()))?;
    save(STATE, &text)?;
    let lines = sums.clone();
    let path = dir.join(SUMS);
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        sync(dir)
    };
    write().map_err(TrainError::io("write", &path))
}

fn to_safetensors(path: &Path, tensors: &BTreeMap<String, NamedTensor>) -> Result<Vec<u8>> {
    let failed = |error: safetensors::SafeTensorError| TrainError::RunFolder {
        path: path.to_owned(),
        reason: format!("cannot be written: {error}"),
        hint: "a tensor's shape and elements differ: this is an error of the program".to_owned(),
    };
    let bytes: Vec<(&String, &NamedTensor, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| (name, tensor, tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let mut views = Vec::with_capacity(bytes.len());
    for (name, tensor, bytes) in &bytes {
        views.push((*name, TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(failed)?));
    }
    safetensors::serialize(views, None).map_err(failed)
}

fn from_safetensors(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, NamedTensor>> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(path.to_owned(), error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(path.to_owned(), format!("tensor {name} is {}, expected float32", view.dtype())));
        }
        let data = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        tensors.insert(name, NamedTensor { shape: view.shape().to_vec(), data });
    }
    Ok(tensors)
}

fn read_files(dir: &Path) -> Result<Checkpoint> {
    let path = dir.join(SUMS);
    let mut budget = Budget::new(CHECKPOINT_LIMITS);
    let mut read = |path: &Path| {
        // A device has no end.
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(damaged(path.to_owned(), "not a file".to_owned()));
        }
        budget.read_file(path).map_err(|error| damaged(path.to_owned(), format!("cannot be read: {error}")))
    };
    let sums = String::from_utf8(read(&path)?).map_err(|_| damaged(path.clone(), "not UTF-8 text".to_owned()))?;
    let mut files = BTreeMap::new();
    for line in sums.lines() {
        let known = |name: &str| name == STATE || TENSOR_FILES.contains(&name);
        let Some((sum, name)) = line.split_once("  ").filter(|(_, name)| known(name)) else {
            return Err(damaged(path, format!("not a line of checksums: {line:?}")));
        };
        let file = dir.join(name);
        let bytes = read(&file)?;
        let found = hash(&bytes);
        if found != sum {
            let reason = format!("damaged: SHA-256 is {found}, {SUMS} says {sum} ({} bytes)", bytes.len());
            return Err(damaged(file, reason));
        }
        files.insert(name, bytes);
    }
    let mut tensors = |name: &str| match files.remove(name) {
        Some(bytes) => from_safetensors(&dir.join(name), &bytes),
        None => Ok(BTreeMap::new()),
    };
    let [weights, moments, ema, mut carry] = TENSOR_FILES.map(&mut tensors);
    let tensors = TrainState { weights: weights?, moments: moments?, ema: ema? };
    let carry = carry.as_mut().ok().and_then(|carry| Some([carry.remove("z_h")?, carry.remove("z_l")?]));
    let path = dir.join(STATE);
    let text = files.remove(STATE).ok_or_else(|| damaged(dir.join(SUMS), format!("{STATE} is missing")))?;
    let state: StateFile = serde_json::from_slice(&text).map_err(|error| damaged(path.clone(), error.to_string()))?;
    if state.format_version != FORMAT_VERSION {
        return Err(TrainError::RunFolder {
            path,
            reason: format!("format version {}, this program reads {FORMAT_VERSION}", state.format_version),
            hint: "go on with the program that wrote it".to_owned(),
        });
    }
    Ok(Checkpoint { state: state.state, tensors, carry })
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
