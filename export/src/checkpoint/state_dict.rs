//! Named weights in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use trm_intake::Fault;
use trm_models::TrmConfig;

use super::nano_trm::Settings;
use super::{Ledger, ReadOptions, layout, read, safetensors, torch_write};
use crate::{ExportError, Result};

/// The prefix that the public training code puts before every name: `torch.compile`'s wrapper, the loss head's
/// `model`, the ACT wrapper's `inner`.
pub const DEFAULT_PREFIX: &str = "_orig_mod.model.inner.";

/// The dtype of a tensor in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightDtype {
    /// IEEE single precision.
    F32,
    /// The upper half of a float32.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE double precision. Held as float32: values are rounded when read.
    F64,
}

impl WeightDtype {
    /// Bytes of one element in a file.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Torch's name: `float32`, `bfloat16`, `float16`, `float64`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
            Self::F64 => "float64",
        }
    }

    /// Reads little-endian elements; a trailing part of an element is ignored.
    ///
    /// # Errors
    /// A finite float64 that no float32 can hold; the message gives it.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<Vec<f32>, Fault> {
        if self == Self::F64 {
            let mut values = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
            if let Some(large) = values.find(|value| value.is_finite() && (*value as f32).is_infinite()) {
                let fault = format!(
                    "has float64 values that do not fit float32, such as {large:e}: weights are computed with in float32"
                );
                return Err(Fault::from(fault).advise(
                    "scale them down, or take a checkpoint of a model that was trained in float32 or bfloat16",
                ));
            }
        }
        Ok(match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Self::Bf16 => bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
            Self::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        })
    }

    /// Writes little-endian elements, rounded to nearest even where the dtype is narrower than float32.
    pub(super) fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
            Self::F64 => values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
        }
    }
}

impl std::fmt::Display for WeightDtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One tensor of a checkpoint, row-major. Linear weights are `[out, in]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    /// The dtype in the file, in which it is written back.
    pub dtype: WeightDtype,
    /// The shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, in float32 whatever the file's dtype.
    pub data: Vec<f32>,
}

/// The weights of a model by canonical name, without the wrappers' prefixes (`L_level.layers.0.mlp.down_proj.weight`).
///
/// [`layout`](super::layout()) lists the names and shapes that a configuration calls for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateDict {
    /// Where the weights came from, for error messages.
    origin: String,
    /// The files they were read from.
    files: Vec<PathBuf>,
    tensors: BTreeMap<String, WeightTensor>,
    ledger: Ledger,
    settings: Option<Settings>,
}

impl StateDict {
    /// An empty set of weights.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: "the state dict".into(), ..Self::default() }
    }

    /// Reads a checkpoint that holds one set of weights: a `torch.save` archive, a safetensors file or the index of its
    /// shards, a numpy archive, told apart by their first bytes; or a folder with one of them under its usual name.
    ///
    /// # Errors
    /// See [`StateDict::read_with`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::read_with(path, &ReadOptions::default())
    }

    /// Reads a checkpoint as [`StateDict::read`] does, or the set of weights that the options name.
    ///
    /// # Errors
    /// The file is none of these, is damaged, asks for more memory than its length can account for, or holds several sets
    /// of weights of which none was named; a key means nothing that is known; two tensors have the same canonical name; a
    /// tensor is not of floats, or has a value that is NaN or infinite.
    pub fn read_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        read::read(path.as_ref(), options)
    }

    /// Reads a checkpoint of one file as [`StateDict::read_with`] does, within the same limits, from bytes in memory. `path`
    /// is what messages call it; [`StateDict::files`] is empty.
    ///
    /// # Errors
    /// As [`StateDict::read_with`].
    pub fn from_bytes(bytes: &[u8], path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        read::read_bytes(bytes, path.as_ref(), options)
    }

    /// The weights of a file.
    pub(super) fn of_file(
        path: &Path,
        files: Vec<PathBuf>,
        tensors: Vec<(String, WeightTensor)>,
        ledger: Ledger,
        settings: Option<Settings>,
    ) -> Self {
        let tensors = tensors.into_iter().collect();
        Self { origin: path.display().to_string(), files, tensors, ledger, settings }
    }

    /// The record of the reading: what was taken of it, and what was left out and why.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The files that the weights were read from, an index first; none for weights that were not read.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The settings that the file itself carries, as an `all_config.yaml` has them, and what to call them in a message.
    ///
    /// # Errors
    /// The settings ask for something that no public model computes; the message names it.
    pub fn settings(&self) -> Result<Option<(String, Map<String, Value>)>> {
        let Some(Settings { key, fields }) = &self.settings else { return Ok(None) };
        match fields {
            Ok(fields) => Ok(Some((format!("{}, `{key}`", self.origin), fields.clone()))),
            Err(reason) => Err(ExportError::BadCheckpoint {
                path: self.origin.clone().into(),
                reason: format!("`{key}`: {reason}"),
                hint: Some("models of another arithmetic cannot be exported".into()),
            }),
        }
    }

    /// The file the weights were read from, as error messages name it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The tensor of a canonical name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&WeightTensor> {
        self.tensors.get(name)
    }

    /// Adds a tensor under its canonical name, and returns the one it replaces.
    pub fn insert(&mut self, name: impl Into<String>, tensor: WeightTensor) -> Option<WeightTensor> {
        self.tensors.insert(name.into(), tensor)
    }

    /// Names and tensors, by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &WeightTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// True if there is no tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Number of weights in all tensors.
    #[must_use]
    pub fn num_parameters(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.data.len()).sum()
    }

    /// Checks that these are the weights of the configured model: every tensor it needs, in its shape, and no other.
    ///
    /// # Errors
    /// Names the tensors that are missing or have no place, or the first whose shape differs and the settings that call
    /// for another.
    pub fn check(&self, config: &TrmConfig) -> Result<()> {
        layout::check(self, config)
    }

    /// Checks that every tensor has as many elements as its shape says, before it is written.
    pub(super) fn check_shapes(&self) -> Result<()> {
        for (name, tensor) in self.iter() {
            let count = tensor.shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
            if count != Some(tensor.data.len()) {
                return Err(ExportError::BadTensor {
                    origin: self.origin.clone(),
                    tensor: name.to_owned(),
                    fault: format!("has {} elements, but shape {:?}", tensor.data.len(), tensor.shape).into(),
                });
            }
        }
        Ok(())
    }

    /// Writes an archive that `torch.load` and the public code read, each name preceded by `prefix`
    /// (the public code expects [`DEFAULT_PREFIX`]).
    ///
    /// # Errors
    ///
    /// [`ExportError::File`] if the file cannot be written; [`ExportError::BadTensor`] for a tensor whose elements are
    /// not as many as its shape says. The old file is then as it was.
    pub fn write_torch(&self, path: impl AsRef<Path>, prefix: &str) -> Result<()> {
        torch_write::write(path.as_ref(), prefix, self)
    }

    /// Writes a safetensors file, each name preceded by `prefix` ([`DEFAULT_PREFIX`], or nothing).
    ///
    /// # Errors
    ///
    /// Those of [`StateDict::write_torch`], and [`ExportError::BadCheckpoint`] if the tensors cannot be encoded.
    pub fn write_safetensors(&self, path: impl AsRef<Path>, prefix: &str) -> Result<()> {
        safetensors::write(path.as_ref(), prefix, self)
    }
}
