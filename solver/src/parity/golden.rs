//! Reading what the reference implementation recorded.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use trm_engine::{ActStep, Carry};
use trm_intake::file::FileError;
use trm_intake::{Budget, Limits, Printable, ReadError};
use trm_models::{ConfigSource, ModelError, TrmConfig};

use super::judge::{Judge, Quantity};
use super::old_form::{self, OldForm};
use super::recording::Recording;
use crate::{Result, SolverError};

/// Steps whose logits are recorded.
pub const RECORDED_STEPS: [usize; 5] = [1, 2, 4, 8, 16];

/// Those with three training references have 32 KB.
const MAX_MANIFEST_BYTES: u64 = 8 << 20;
/// The longest text in it, in bytes.
const LONGEST_TEXT: u64 = 64 << 10;
/// Rows and steps that a recording may have: each row takes memory for its carry, each step time.
const MAX_ROWS: usize = 1024;
const MAX_STEPS: usize = 1024;

const HALTING: [(&str, Quantity); 2] = [("q_halt_logits", Quantity::QHalt), ("q_continue_logits", Quantity::QContinue)];
const BY_STEP: [(&str, Quantity); 4] = [
    ("logits_step", Quantity::Logits),
    ("preds_step", Quantity::Answer),
    ("z_H_step", Quantity::ZH),
    ("z_L_step", Quantity::ZL),
];
const AT_THE_END: [(&str, Quantity); 2] = [("z_H_final", Quantity::ZH), ("z_L_final", Quantity::ZL)];
const GIVEN: [&str; 3] = ["inputs", "puzzle_identifiers", "labels"];

/// A golden: a checkpoint's inputs and outputs, recorded with the public code.
///
/// In `outputs.safetensors`, of B rows, S cells, V tokens, L positions and D hidden: `inputs` i32 `[B, S]`,
/// `puzzle_identifiers` i32 `[B]`, and as far as they were recorded `labels` i32 `[B, S]`, `logits_stepNN` f32
/// `[B, S, V]`, `q_halt_logits` and `q_continue_logits` f32 `[steps, B]`, `preds_stepNN` i32 `[B, S]`, `z_H_stepNN` and
/// `z_L_stepNN` f32 `[B, L, D]`, `z_H_final` and `z_L_final` after the last step.
///
/// In `manifest.json`: the name, the sizes that `all_config.yaml` lacks (`arch`), and what is judged ([`Judge`]). The
/// folder's name means nothing. A manifest of the form before that section, which says by
/// `post_init_scale_of_down_proj_and_o_proj` whether the recursion was made stable, is read with these limits:
///
/// | recorded in | recursion | step 1 | step 2 | later | states | answer |
/// | --- | --- | --- | --- | --- | --- | --- |
/// | float32 | scaled | 1e-4; more where `sensitivity` says that the reference is further from itself in float64 | same | same | same | equal |
/// | float32 | as it is: chaotic | 1e-3 | 1e-2 | shown | 1e-3 at step 1 | shown |
/// | bfloat16 | scaled | 0.06 | shown | shown | shown | shown |
/// | bfloat16 | as it is | shown | shown | shown | shown | shown |
#[derive(Debug)]
pub struct Golden {
    dir: PathBuf,
    name: Option<String>,
    judge: Option<Judge>,
    recording: Recording,
    /// Rows and cells of `inputs`.
    inputs: Option<[usize; 2]>,
    vocab_size: Option<usize>,
    steps: usize,
}

/// A recorded tensor's part: a quantity of one step, or nothing that a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A quantity at a step.
    Output(usize, Quantity),
    /// The model's input, or the labels.
    Given,
    /// A tensor that this program does not know.
    Unknown,
}

/// The keys of a golden's `manifest.json` that are read; all of them may be absent.
#[derive(Debug, Default, Deserialize)]
struct GoldenManifest {
    name: Option<String>,
    #[serde(default)]
    arch: Sizes,
    judge: Option<Judge>,
    #[serde(default, deserialize_with = "even_null", rename = "post_init_scale_of_down_proj_and_o_proj")]
    scale: Scale,
    #[serde(default)]
    sensitivity: serde_json::Value,
}

/// The sizes that come from the data set, and the dtype.
#[derive(Debug, Default, Deserialize)]
struct Sizes {
    seq_len: Option<usize>,
    vocab_size: Option<usize>,
    num_puzzle_identifiers: Option<usize>,
    forward_dtype: Option<String>,
}

/// The scale of the output projections in a manifest of the form before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Scale {
    /// It is not of that form.
    #[default]
    NotSaid,
    AsTheyWere,
    Scaled,
}

/// Tells `null` from a key that is not there.
fn even_null<'de, D: Deserializer<'de>>(json: D) -> Result<Scale, D::Error> {
    Ok(Option::<f64>::deserialize(json)?.map_or(Scale::AsTheyWere, |_| Scale::Scaled))
}

impl Golden {
    /// Opens a golden's folder.
    ///
    /// # Errors
    /// `outputs.safetensors` is missing or damaged, its tensors do not fit each other, a tensor is not the one whose
    /// SHA-256 the manifest has, or the manifest is not well formed.
    pub fn open(dir: &Path) -> Result<Self> {
        let recording = Recording::open(&dir.join("outputs.safetensors"))?;
        let manifest = manifest(dir)?;
        let inputs = match recording.shape("inputs") {
            Some(&[rows, cells]) if (1..=MAX_ROWS).contains(&rows) && cells > 0 => Some([rows, cells]),
            Some(shape) => {
                let reason = format!("`inputs` is {shape:?}, expected 1 to {MAX_ROWS} rows of cells");
                return Err(recording.bad(reason));
            }
            None => None,
        };
        let names = recording.names();
        let mut logits = names.iter().filter(|name| name.starts_with("logits_step"));
        let vocab_size = logits.find_map(|name| recording.shape(name)?.last().copied());
        let halting = HALTING.iter().filter_map(|(name, _)| recording.shape(name)?.first().copied());
        let numbered = names.iter().filter_map(|name| numbered(name).map(|(step, _)| step));
        let steps = halting.chain(numbered).max().unwrap_or(0);
        if steps > MAX_STEPS {
            return Err(recording.bad(format!("it has {steps} steps, more than the {MAX_STEPS} allowed")));
        }
        let mut golden =
            Self { dir: dir.to_owned(), name: manifest.name, judge: None, recording, inputs, vocab_size, steps };
        golden.judge = match (manifest.judge, manifest.scale) {
            (None, Scale::NotSaid) => None,
            (Some(judge), _) => Some(judge),
            (None, scale) => {
                let half = manifest.arch.forward_dtype.as_deref().is_some_and(|dtype| dtype != "float32");
                let form = OldForm { stable: scale == Scale::Scaled, half, sensitivity: &manifest.sensitivity };
                Some(old_form::judge(&form, &golden.parts()))
            }
        };
        golden.check()?;
        Ok(golden)
    }

    /// Checks the section `judge` against the recording.
    fn check(&self) -> Result<()> {
        let Some(judge) = &self.judge else { return Ok(()) };
        let path = || self.dir.join(trm_models::MANIFEST);
        judge.check(self.steps).map_err(|reason| SolverError::BadGolden { path: path(), reason })?;
        for (name, expected) in &judge.sha256 {
            // A tensor that is not there is said to be unjudged, not damaged.
            if let Some(found) = self.recording.sha256(name)?.filter(|found| !found.eq_ignore_ascii_case(expected)) {
                return Err(self.recording.bad(format!(
                    "`{}` is not what was recorded: its SHA-256 is {found}, the manifest says {expected}",
                    Printable(name)
                )));
            }
        }
        Ok(())
    }

    /// The golden's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name in its manifest, or the folder's; for display only.
    #[must_use]
    pub fn name(&self) -> String {
        let folder = || self.dir.file_name().unwrap_or(self.dir.as_os_str()).to_string_lossy().into_owned();
        Printable(&self.name.clone().unwrap_or_else(folder)).to_string()
    }

    /// The judged parts: the manifest's section `judge`, or the limits of the form before it; `None` if the manifest has
    /// neither, or there is no manifest.
    #[must_use]
    pub fn judge(&self) -> Option<&Judge> {
        self.judge.as_ref()
    }

    /// The recording with another section `judge`.
    ///
    /// # Errors
    /// As [`Golden::open`].
    pub fn with_judge(mut self, judge: Judge) -> Result<Self> {
        self.judge = Some(judge);
        self.check()?;
        Ok(self)
    }

    /// Rows of the recorded batch; 0 if no inputs were recorded.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.inputs.map_or(0, |[rows, _]| rows)
    }

    /// Cells of a puzzle; 0 if no inputs were recorded.
    #[must_use]
    pub fn seq_len(&self) -> usize {
        self.inputs.map_or(0, |[_, cells]| cells)
    }

    /// Steps that were run.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The recorded batch's first step.
    ///
    /// # Errors
    /// `inputs` or `puzzle_identifiers` is missing, or of another shape.
    pub fn first_step(&self) -> Result<ActStep> {
        let missing = |name: &str| self.recording.bad(format!("tensor `{name}` is missing"));
        let tokens = self.recording.ints("inputs", &[self.batch(), self.seq_len()])?;
        let puzzle_ids = self.recording.ints("puzzle_identifiers", &[self.batch()])?;
        let tokens = tokens.ok_or_else(|| missing("inputs"))?;
        Ok(ActStep::first(tokens, puzzle_ids.ok_or_else(|| missing("puzzle_identifiers"))?))
    }

    /// Logits after a step, `[batch, seq, vocab]`, if they were recorded.
    ///
    /// # Errors
    ///
    /// [`SolverError::BadGolden`] if they are not f32 of that shape; [`SolverError::Model`] if the file cannot be
    /// read.
    pub fn logits(&self, step: usize) -> Result<Option<Vec<f32>>> {
        let Some(vocab_size) = self.vocab_size else { return Ok(None) };
        self.recording.floats(&format!("logits_step{step:02}"), &[self.batch(), self.seq_len(), vocab_size])
    }

    /// The answer after a step, `[batch, seq]`, if it was recorded by itself.
    ///
    /// # Errors
    ///
    /// [`SolverError::BadGolden`] if it is not i32 of that shape; [`SolverError::Model`] if the file cannot be read.
    pub fn answer(&self, step: usize) -> Result<Option<Vec<i32>>> {
        self.recording.ints(&format!("preds_step{step:02}"), &[self.batch(), self.seq_len()])
    }

    /// A halting signal after a step, `[batch]`, if it was recorded.
    pub(super) fn halting(&self, step: usize, quantity: Quantity) -> Result<Option<Vec<f32>>> {
        let Some((name, _)) = HALTING.iter().find(|(_, of)| *of == quantity) else { return Ok(None) };
        let Some(rows) = self.recording.shape(name).and_then(|shape| shape.first().copied()) else { return Ok(None) };
        if !(1..=rows).contains(&step) {
            return Ok(None);
        }
        let all = self.recording.floats(name, &[rows, self.batch()])?;
        Ok(all.map(|all| all[(step - 1) * self.batch()..step * self.batch()].to_vec()))
    }

    /// The recordings of a state after a step, `[batch, positions, hidden]` each: the last step may have two.
    pub(super) fn state(&self, step: usize, quantity: Quantity) -> Result<Vec<Vec<f32>>> {
        let mut found = Vec::new();
        for name in self.recording.names() {
            if self.parts_of(&name).contains(&Part::Output(step, quantity)) {
                let shape = self.recording.shape(&name).unwrap_or_default().to_vec();
                found.extend(self.recording.floats(&name, &shape)?);
            }
        }
        Ok(found)
    }

    /// The carry after a step, if both its states were recorded.
    ///
    /// # Errors
    ///
    /// [`SolverError::BadGolden`] if a state is not f32; [`SolverError::Model`] if the file cannot be read.
    pub fn carry(&self, step: usize) -> Result<Option<Carry>> {
        let z_h = self.state(step, Quantity::ZH)?.into_iter().next();
        let z_l = self.state(step, Quantity::ZL)?.into_iter().next();
        Ok(z_h.zip(z_l).map(|(z_h, z_l)| Carry { z_h, z_l }))
    }

    /// Every tensor with what it is a recording of.
    pub(super) fn parts(&self) -> Vec<(String, Vec<Part>)> {
        self.recording.names().into_iter().map(|name| (name.clone(), self.parts_of(&name))).collect()
    }

    fn parts_of(&self, name: &str) -> Vec<Part> {
        if GIVEN.contains(&name) {
            return vec![Part::Given];
        }
        if let Some((_, quantity)) = HALTING.iter().find(|(of, _)| *of == name) {
            let rows = self.recording.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(0);
            return (1..=rows).map(|step| Part::Output(step, *quantity)).collect();
        }
        if let Some((_, quantity)) = AT_THE_END.iter().find(|(of, _)| *of == name) {
            return vec![Part::Output(self.steps, *quantity)];
        }
        vec![numbered(name).map_or(Part::Unknown, |(step, quantity)| Part::Output(step, quantity))]
    }

    /// The judged parts as a section for a manifest: with the SHA-256 of every tensor that is not wholly judged by itself. `None` if
    /// nothing says what is judged.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn judge_with_digests(&self) -> Result<Option<Judge>> {
        let Some(mut judge) = self.judge.clone() else { return Ok(None) };
        for (tensor, parts) in self.parts() {
            let judged = |part: &Part| match part {
                // An answer's limit is met by the logits as well: only its digest tells that it is gone.
                Part::Output(_, Quantity::Answer) | Part::Given | Part::Unknown => false,
                Part::Output(step, quantity) => {
                    judge.steps.iter().any(|row| row.step == *step && row.limits.contains_key(quantity))
                }
            };
            if !parts.iter().all(judged) {
                judge.sha256.extend(self.recording.sha256(&tensor)?.map(|digest| (tensor.clone(), digest)));
            }
        }
        Ok(Some(judge))
    }

    /// True if there is something to run a model with.
    #[must_use]
    pub fn can_run(&self) -> bool {
        self.inputs.is_some() && self.recording.has("puzzle_identifiers") && self.steps > 0
    }

    /// Checks that a model takes the recorded inputs, and gives outputs of the recorded size.
    ///
    /// # Errors
    /// Names both models' sizes.
    pub fn check_model(&self, name: &str, config: &TrmConfig) -> Result<()> {
        let (seq_len, vocab_size) = (self.seq_len(), self.vocab_size.unwrap_or(config.vocab_size));
        if self.inputs.is_none() || (config.seq_len, config.vocab_size) == (seq_len, vocab_size) {
            return Ok(());
        }
        Err(SolverError::OtherModel {
            reason: format!(
                "{} was recorded with {seq_len} cells and {vocab_size} tokens, but {name} has {} and {}",
                self.name(),
                config.seq_len,
                config.vocab_size
            ),
            hint: "give the model that the golden was recorded with, or none: its folder has the checkpoint".to_owned(),
        })
    }
}

/// The step and quantity of a tensor whose name ends with the step's number, in at least two digits.
fn numbered(name: &str) -> Option<(usize, Quantity)> {
    let (number, quantity) = BY_STEP.iter().find_map(|(of, quantity)| Some((name.strip_prefix(of)?, *quantity)))?;
    let step = number.parse().ok().filter(|step| *step >= 1 && format!("{step:02}") == number)?;
    Some((step, quantity))
}

/// The configuration of a checkpoint's folder: its `all_config.yaml`, and the sizes from a `dataset.json` or from a
/// golden's `manifest.json` beside it.
pub(super) fn config_of(dir: &Path) -> Result<TrmConfig> {
    let mut source = ConfigSource::from_yaml_file(&dir.join("all_config.yaml"))?;
    let dataset = dir.join("dataset.json");
    if dataset.is_file() {
        source = source.dataset_file(&dataset)?;
    }
    let Sizes { seq_len, vocab_size, num_puzzle_identifiers, .. } = manifest(dir)?.arch;
    if let Some(seq_len) = seq_len {
        source = source.seq_len(seq_len);
    }
    if let Some(vocab_size) = vocab_size {
        source = source.vocab_size(vocab_size);
    }
    if let Some(count) = num_puzzle_identifiers {
        source = source.num_puzzle_identifiers(count);
    }
    Ok(source.build()?)
}

/// A folder's `manifest.json`, empty if there is none.
fn manifest(dir: &Path) -> Result<GoldenManifest> {
    let path = dir.join(trm_models::MANIFEST);
    if !path.exists() {
        return Ok(GoldenManifest::default());
    }
    let mut budget = Budget::new(Limits { bytes: MAX_MANIFEST_BYTES, items: 100_000, depth: 32, time: None });
    let json = budget.read_file(&path).map_err(|error| match error {
        ReadError::Io(source) => ModelError::File(FileError::Io { action: "read", path: path.clone(), source }),
        ReadError::Exceeded(exceeded) => ModelError::File(FileError::TooLarge {
            path: path.clone(),
            bytes: exceeded.found,
            limit: exceeded.limit,
            what: "golden's manifest",
        }),
    })?;
    budget
        .take_json(&json, LONGEST_TEXT)
        .map_err(|exceeded| SolverError::BadGolden { path: path.clone(), reason: exceeded.to_string() })?;
    serde_json::from_slice(&json).map_err(|error| SolverError::BadGolden { path, reason: error.to_string() })
}
