//! Reading what the reference implementation recorded.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use trm_models::{ConfigSource, ModelError, TrmConfig};

use crate::{ActStep, Carry, Result, SolverError};

/// Steps whose logits are recorded.
pub const RECORDED_STEPS: [usize; 5] = [1, 2, 4, 8, 16];

/// Recordings of full-size models have some 30 MB.
const MAX_OUTPUT_BYTES: u64 = 1 << 32;
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// A golden: a checkpoint's inputs and outputs, recorded with the public code.
///
/// In `outputs.safetensors`, of B rows, S cells, V tokens, L positions and D hidden: `inputs` i32 `[B, S]`,
/// `puzzle_identifiers` i32 `[B]`, `logits_step01/02/04/08/16` f32 `[B, S, V]`, `q_halt_logits` and
/// `q_continue_logits` f32 `[steps, B]`, and where recorded `z_H_step01`, `z_L_step01`, `z_H_final`, `z_L_final` f32
/// `[B, L, D]`. In `manifest.json`: the name, the dtype it was computed in, the sizes that `all_config.yaml` lacks.
#[derive(Debug)]
pub struct Golden {
    dir: PathBuf,
    manifest: GoldenManifest,
    outputs: Vec<u8>,
    batch: usize,
    seq_len: usize,
    vocab_size: usize,
    steps: usize,
}

/// What is read of a golden's `manifest.json`; all of it may be absent.
#[derive(Debug, Default, Deserialize)]
struct GoldenManifest {
    name: Option<String>,
    #[serde(default)]
    arch: Sizes,
    /// Present and not null in the goldens whose recursion was made stable by scaling the output projections.
    post_init_scale_of_down_proj_and_o_proj: Option<f64>,
}

/// The sizes that come from the data set, and the dtype.
#[derive(Debug, Default, Deserialize)]
struct Sizes {
    seq_len: Option<usize>,
    vocab_size: Option<usize>,
    num_puzzle_identifiers: Option<usize>,
    forward_dtype: Option<String>,
}

impl Golden {
    /// Opens a golden's folder.
    ///
    /// # Errors
    /// `outputs.safetensors` is missing or damaged, or its tensors do not fit each other.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("outputs.safetensors");
        let bad = |reason: String| SolverError::BadGolden { path: path.clone(), reason };
        let outputs = read(&path, MAX_OUTPUT_BYTES)?;
        let file = SafeTensors::deserialize(&outputs).map_err(|error| bad(error.to_string()))?;
        let shape = |name: &str| {
            let tensor = file.tensor(name).map_err(|_| bad(format!("tensor `{name}` is missing")))?;
            Ok::<_, SolverError>(tensor.shape().to_vec())
        };
        let &[batch, seq_len] = shape("inputs")?.as_slice() else {
            return Err(bad("`inputs` is not [rows, cells]".to_owned()));
        };
        let &[rows, cells, vocab_size] = shape("logits_step01")?.as_slice() else {
            return Err(bad("`logits_step01` is not [rows, cells, tokens]".to_owned()));
        };
        let &[steps, columns] = shape("q_halt_logits")?.as_slice() else {
            return Err(bad("`q_halt_logits` is not [steps, rows]".to_owned()));
        };
        if (rows, cells) != (batch, seq_len) || columns != batch || [batch, seq_len, vocab_size, steps].contains(&0) {
            return Err(bad(format!(
                "`inputs` [{batch}, {seq_len}], `logits_step01` [{rows}, {cells}, {vocab_size}] and `q_halt_logits` \
                 [{steps}, {columns}] are not of one batch"
            )));
        }
        let manifest = manifest(dir)?;
        Ok(Self { dir: dir.to_owned(), manifest, outputs, batch, seq_len, vocab_size, steps })
    }

    /// The golden's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name in its manifest, or the folder's.
    #[must_use]
    pub fn name(&self) -> String {
        let folder = || self.dir.file_name().unwrap_or(self.dir.as_os_str()).to_string_lossy().into_owned();
        self.manifest.name.clone().unwrap_or_else(folder)
    }

    /// Whether every step can be compared, rather than only those before chaos sets in.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.manifest.post_init_scale_of_down_proj_and_o_proj.is_some() || self.name().ends_with("_stable")
    }

    /// Whether the reference computed in a dtype of less than 32 bits.
    #[must_use]
    pub fn is_half_precision(&self) -> bool {
        match self.manifest.arch.forward_dtype.as_deref() {
            Some(dtype) => matches!(dtype, "bfloat16" | "float16"),
            None => self.name().contains("bf16"),
        }
    }

    /// Rows of the recorded batch.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Cells of a puzzle.
    #[must_use]
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// Steps that were run; `q_halt` is recorded at each.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The recorded batch's first step.
    pub fn first_step(&self) -> Result<ActStep> {
        let (tokens, puzzle_ids) = (self.ints("inputs")?, self.ints("puzzle_identifiers")?);
        if puzzle_ids.len() != self.batch {
            return Err(self.bad(format!(
                "`puzzle_identifiers` has {} rows, expected {}",
                puzzle_ids.len(),
                self.batch
            )));
        }
        Ok(ActStep::first(tokens, puzzle_ids))
    }

    /// Logits after a step, `[batch, seq, vocab]`, if they were recorded.
    pub fn logits(&self, step: usize) -> Result<Option<Vec<f32>>> {
        self.floats(&format!("logits_step{step:02}"), self.batch * self.seq_len * self.vocab_size)
    }

    /// `q_halt` and `q_continue` after a step, `[batch]` each.
    pub fn halting(&self, step: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        if !(1..=self.steps).contains(&step) {
            return Ok(None);
        }
        let row = |name| {
            let all = self.floats(name, self.steps * self.batch)?;
            let all = all.ok_or_else(|| self.bad(format!("tensor `{name}` is missing")))?;
            Ok::<_, SolverError>(all[(step - 1) * self.batch..step * self.batch].to_vec())
        };
        Ok(Some((row("q_halt_logits")?, row("q_continue_logits")?)))
    }

    /// The carry after a step, if it was recorded: the first step and the last are.
    pub fn carry(&self, step: usize) -> Result<Option<Carry>> {
        let suffix = match step {
            1 => "step01",
            last if last == self.steps => "final",
            _ => return Ok(None),
        };
        let state = |letter: char| {
            let name = format!("z_{letter}_{suffix}");
            match self.tensor(&name, Dtype::F32)? {
                Some(words) => Ok::<_, SolverError>(Some(words.into_iter().map(f32::from_le_bytes).collect())),
                None => Ok(None),
            }
        };
        Ok(state('H')?.zip(state('L')?).map(|(z_h, z_l)| Carry { z_h, z_l }))
    }

    /// Checks that a model takes the recorded inputs, and gives outputs of the recorded size.
    ///
    /// # Errors
    /// Names both models' sizes.
    pub fn check_model(&self, name: &str, config: &TrmConfig) -> Result<()> {
        if (config.seq_len, config.vocab_size) == (self.seq_len, self.vocab_size) {
            return Ok(());
        }
        Err(SolverError::InvalidOption {
            option: "--golden",
            reason: format!(
                "{} was recorded with {} cells and {} tokens, but {name} has {} and {}",
                self.name(),
                self.seq_len,
                self.vocab_size,
                config.seq_len,
                config.vocab_size
            ),
            hint: Some(
                "give the model that the golden was recorded with, or none: its folder has the checkpoint".into(),
            ),
        })
    }

    fn ints(&self, name: &str) -> Result<Vec<i32>> {
        let words = self.tensor(name, Dtype::I32)?.ok_or_else(|| self.bad(format!("tensor `{name}` is missing")))?;
        Ok(words.into_iter().map(i32::from_le_bytes).collect())
    }

    fn floats(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>> {
        let Some(words) = self.tensor(name, Dtype::F32)? else { return Ok(None) };
        if words.len() != len {
            return Err(self.bad(format!("`{name}` has {} numbers, expected {len}", words.len())));
        }
        Ok(Some(words.into_iter().map(f32::from_le_bytes).collect()))
    }

    /// The elements of a tensor, all of which have four bytes.
    fn tensor(&self, name: &str, dtype: Dtype) -> Result<Option<Vec<[u8; 4]>>> {
        let file = SafeTensors::deserialize(&self.outputs).map_err(|error| self.bad(error.to_string()))?;
        let Ok(tensor) = file.tensor(name) else { return Ok(None) };
        if tensor.dtype() != dtype {
            return Err(self.bad(format!("`{name}` is {}, expected {dtype}", tensor.dtype())));
        }
        Ok(Some(tensor.data().as_chunks::<4>().0.to_vec()))
    }

    fn bad(&self, reason: String) -> SolverError {
        SolverError::BadGolden { path: self.dir.join("outputs.safetensors"), reason }
    }
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
    let path = dir.join("manifest.json");
    if !path.is_file() {
        return Ok(GoldenManifest::default());
    }
    let json = read(&path, MAX_MANIFEST_BYTES)?;
    serde_json::from_slice(&json).map_err(|error| SolverError::BadGolden { path, reason: error.to_string() })
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let io_error = |source| ModelError::Io { action: "read", path: path.to_owned(), source };
    let bytes = path.metadata().map_err(io_error)?.len();
    if bytes > limit {
        return Err(ModelError::TooLarge { path: path.to_owned(), bytes, limit, what: "golden's file" }.into());
    }
    Ok(std::fs::read(path).map_err(io_error)?)
}
