//! Reading a checkpoint: from a path to checked weights.

use std::path::{Path, PathBuf};

use trm_intake::file::FileError;
use trm_intake::{Budget, Fault, Limits, Printable};

use super::source::Source;
use super::{Read, StateDict, WeightTensor, folder, nano_trm, npz, safetensors, torch};
use crate::{ExportError, Result};

/// Memory for a file's names and structure, and for what a small file may unpack to.
const BYTES_FOR_ANY: u64 = 48 << 20;
/// Memory for a byte of the file: weights are held in float32, and may be compressed or shared.
const BYTES_FOR_A_BYTE: u64 = 4;
/// Objects, names and records.
const ITEMS: u64 = 1 << 21;
/// Levels of nested settings.
const DEPTH: u32 = 32;

/// The most bytes that the files of a checkpoint may have together: the largest weights that are read, their average and an
/// optimiser's two moments. A sparse file claims any length, and looking through it has no end.
const MOST_FILE_BYTES: u64 = 4 * MOST_WEIGHTS_BYTES;
/// The most bytes that all weights that are read may take, as they are stored or in float32. The largest public models have
/// tables of 876,000 puzzles of 512 numbers, 1.8 GB.
pub(super) const MOST_WEIGHTS_BYTES: u64 = 16 << 30;
pub(super) const NOT_OURS: &str = "expected the weights of a TRM or HRM, of at most 16 GiB";

/// Options for reading a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Reads tensors of which none has a name of a TRM's or HRM's weights as well.
    pub any_names: bool,
    /// The set of weights to read, of a file with several: its key, such as `ema` or `callbacks.EMACallback.shadow`, or
    /// the prefix of its names. Keys that are not known are then left out.
    pub weights: Option<String>,
}

/// The budget of reading files of `length` bytes together; `path` is for the error where they are too large.
fn budget(length: u64, path: &Path) -> Result<Budget> {
    if length > MOST_FILE_BYTES {
        let reason = format!("{length} bytes, more than the {MOST_FILE_BYTES} that a checkpoint may have");
        return Err(super::bad(path, reason, Some(NOT_OURS)));
    }
    let bytes = length.saturating_mul(BYTES_FOR_A_BYTE).saturating_add(BYTES_FOR_ANY);
    Ok(Budget::new(Limits { bytes, items: ITEMS, depth: DEPTH, time: None }))
}

/// Reads a checkpoint; see [`StateDict::read_with`].
pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<StateDict> {
    let files = folder::resolve(path)?;
    let mut length = 0_u64;
    for file in &files.all {
        let metadata = file.metadata().map_err(|source| io_error(file, source))?;
        if !metadata.is_file() {
            return Err(super::bad(file, "this is no file", Some("expected the weights, such as `step_1000`")));
        }
        length = length.saturating_add(metadata.len());
    }
    let mut budget = budget(length, path)?;
    let read = match &files.index {
        Some(index) => folder::read_shards(index, &files, options, &mut budget)?,
        None => read_source(Source::file(&files.weights), options, &mut budget)?,
    };
    finish(read, path, files.all)
}

/// Reads a checkpoint of one file that is in memory; see [`StateDict::from_bytes`].
pub(super) fn read_bytes(bytes: &[u8], path: &Path, options: &ReadOptions) -> Result<StateDict> {
    let read = read_source(Source::memory(bytes, path), options, &mut budget(bytes.len() as u64, path)?)?;
    finish(read, path, Vec::new())
}

/// As [`read_bytes`], of a safetensors file and nothing else.
pub(super) fn read_safetensors(bytes: &[u8], path: &Path, options: &ReadOptions) -> Result<StateDict> {
    let read = safetensors::read(Source::memory(bytes, path), options, &mut budget(bytes.len() as u64, path)?)?;
    finish(read, path, Vec::new())
}

/// Reads one file of a format that its first bytes tell.
fn read_source(source: Source<'_>, options: &ReadOptions, budget: &mut Budget) -> Result<Read> {
    if safetensors::is_safetensors(source)? {
        safetensors::read(source, options, budget)
    } else if npz::is_npz(source)? {
        npz::read(source, options, budget)
    } else {
        torch::read(source, options, budget)
    }
}

pub(super) fn io_error(path: &Path, source: std::io::Error) -> ExportError {
    FileError::Io { action: "read", path: path.to_owned(), source }.into()
}

/// Vets the numbers, and brings a dialect's tensors into the public layout.
fn finish(read: Read, path: &Path, files: Vec<PathBuf>) -> Result<StateDict> {
    let Read { mut tensors, mut ledger, settings } = read;
    for (name, tensor) in &tensors {
        vet(name, tensor, path)?;
        if !tensor.data.is_empty() && tensor.data.iter().all(|value| *value == 0.0) {
            ledger.all_zero.push(Printable(name).to_string());
        }
    }
    ledger.all_zero.sort_unstable();
    let settings = settings.map(|(key, fields)| nano_trm::translate(key, fields, &tensors));
    nano_trm::adapt(&mut tensors, &mut ledger);
    Ok(StateDict::of_file(path, files, tensors, ledger, settings))
}

/// Refuses numbers that are NaN or infinite.
fn vet(name: &str, tensor: &WeightTensor, path: &Path) -> Result<()> {
    let Some(first) = tensor.data.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let nan = tensor.data.iter().filter(|value| value.is_nan()).count();
    let infinite = tensor.data.iter().filter(|value| value.is_infinite()).count();
    let mut index = Vec::new();
    let mut rest = first;
    for size in tensor.shape.iter().rev() {
        index.push(rest % size.max(&1));
        rest /= size.max(&1);
    }
    index.reverse();
    Err(ExportError::BadTensor {
        origin: path.display().to_string(),
        tensor: Printable(name).to_string(),
        fault: Fault::from(format!(
            "has {nan} NaN and {infinite} infinite values among {}, the first at {index:?}: no answer would follow from it",
            tensor.data.len()
        ))
        .advise("take a checkpoint from before training diverged"),
    })
}
