//! Archives written by `torch.save`: a zip of `data.pkl` (names, shapes, views) and one record a storage, `data/{key}`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::pickle::{Pickle, PickleError, StorageType, Tensor, Value};
use super::{WeightDtype, WeightTensor};
use crate::{ExportError, Result};

/// A state dict's pickle takes some 200 bytes for a tensor.
const MAX_PICKLE_BYTES: u64 = 8 << 20;
/// What all records of an archive may take when unpacked from deflate, which torch itself never uses.
const MAX_INFLATED_BYTES: u64 = 4 << 30;
/// Keys under which whole checkpoints keep the weights, beside optimiser state and counters.
const WRAPPER_KEYS: [&str; 3] = ["model", "state_dict", "model_state_dict"];

const RESAVE: &str = "save it again with a current torch: torch.save(torch.load(path, weights_only=True), path)";
const DAMAGED: &str = "the file is truncated or damaged: copy or download it again";

/// All tensors of an archive, by the names it gives them.
pub(super) fn read(path: &Path) -> Result<Vec<(String, WeightTensor)>> {
    let file = File::open(path).map_err(|source| ExportError::Io { action: "read", path: path.to_owned(), source })?;
    read_from(io::BufReader::new(file), path)
}

/// As [`read`]; `path` is only for messages.
fn read_from(mut reader: impl Read + Seek, path: &Path) -> Result<Vec<(String, WeightTensor)>> {
    let io_error = |source| ExportError::Io { action: "read", path: path.to_owned(), source };
    let mut start = Vec::new();
    reader.by_ref().take(32).read_to_end(&mut start).map_err(io_error)?;
    if let Some((reason, hint)) = not_an_archive(&start) {
        return Err(bad(path, reason, Some(hint)));
    }
    let length = reader.seek(io::SeekFrom::End(0)).map_err(io_error)?;
    reader.rewind().map_err(io_error)?;
    let mut archive = Archive::open(reader, length, path)?;
    let pickle = archive.record("data.pkl", MAX_PICKLE_BYTES)?;
    let pickle = Pickle::parse(&pickle).map_err(|error| match error {
        PickleError::Foreign { global, offset } => ExportError::ForeignGlobal { path: path.to_owned(), global, offset },
        PickleError::Bad { reason, offset } => {
            bad(path, format!("the pickle {reason} (offset {offset} of data.pkl)"), Some(RESAVE))
        }
    })?;
    let tensors = find_tensors(&pickle, path)?;
    archive.load(tensors)
}

/// Why a file that starts like this is no archive, and what to do about it.
fn not_an_archive(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    if start.starts_with(b"PK\x03\x04") {
        None
    } else if start.is_empty() {
        Some(("the file is empty", "the checkpoint was not written completely"))
    } else if start.starts_with(LEGACY) {
        Some(("this is the format that torch.save wrote before torch 1.6", RESAVE))
    } else if start.starts_with(b"\x80") {
        Some(("this is a bare pickle, not an archive of torch.save", RESAVE))
    } else if start.starts_with(b"version https://git-lfs") {
        Some(("this is a Git LFS pointer, not the checkpoint itself", "fetch the file with `git lfs pull`"))
    } else {
        Some((
            "this is neither an archive of torch.save nor a safetensors file",
            "expected the weights, such as `step_1000` or `checkpoint.pt`, not the config or a folder",
        ))
    }
}

fn bad(path: &Path, reason: impl Into<String>, hint: Option<&str>) -> ExportError {
    ExportError::BadCheckpoint { path: path.to_owned(), reason: reason.into(), hint: hint.map(str::to_owned) }
}

/// The tensors of the pickled state dict, or of the one that a whole checkpoint keeps under a key of its own.
fn find_tensors<'a>(pickle: &'a Pickle<'a>, path: &Path) -> Result<Vec<(&'a str, &'a Tensor<'a>)>> {
    let root = pickle.root().ok_or_else(|| bad(path, "the pickle is not a dictionary of tensors", None))?;
    let wrapped = root.iter().find(|(key, value)| {
        matches!(key, Value::Str(key) if WRAPPER_KEYS.contains(key)) && pickle.dict(*value).is_some()
    });
    let items = wrapped.and_then(|(_, value)| pickle.dict(*value)).unwrap_or(root);
    if items.is_empty() {
        return Err(bad(path, "there are no tensors in this checkpoint", None));
    }
    items
        .iter()
        .map(|(key, value)| match (key, pickle.tensor(*value)) {
            (Value::Str(name), Some(tensor)) => Ok((*name, tensor)),
            (Value::Str(name), None) => Err(bad(
                path,
                format!("`{}` is {}, expected a tensor", name.escape_debug(), pickle.describe(*value)),
                Some("save the weights alone: torch.save(model.state_dict(), path)"),
            )),
            _ => Err(bad(path, format!("a name is {}, expected a string", pickle.describe(*key)), None)),
        })
        .collect()
}

struct Archive<'p, R> {
    zip: ZipArchive<R>,
    /// The one folder that everything is in, with its slash; torch names it after the file.
    root: String,
    big_endian: bool,
    inflated: u64,
    /// Elements that tensors may still take. Tied weights share a storage; a file that shares its storages over and over
    /// wants to fill the memory.
    budget: usize,
    path: &'p Path,
}

impl<'p, R: Read + Seek> Archive<'p, R> {
    fn open(reader: R, length: u64, path: &'p Path) -> Result<Self> {
        let zip = ZipArchive::new(reader).map_err(|error| match error {
            ZipError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                ExportError::Io { action: "read", path: path.to_owned(), source }
            }
            error => bad(path, format!("no readable zip archive: {error}"), Some(DAMAGED)),
        })?;
        let roots: Vec<String> = zip
            .file_names()
            .filter_map(Result::ok)
            .filter_map(|name| name.strip_suffix("data.pkl").map(str::to_owned))
            .filter(|root| root.is_empty() || root.ends_with('/'))
            .collect();
        let [root] = <[String; 1]>::try_from(roots).map_err(|roots| {
            let reason = format!("a zip archive with {} data.pkl, expected one", roots.len());
            bad(path, reason, Some("expected the weights as torch.save writes them"))
        })?;
        let budget = usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(4).saturating_add(1 << 16);
        let mut archive = Self { zip, root, big_endian: false, inflated: 0, budget, path };
        if archive.zip.index_for_name(&format!("{}byteorder", archive.root)).is_some() {
            archive.big_endian = match archive.record("byteorder", 16)?.as_slice() {
                b"little" => false,
                b"big" => true,
                _ => return Err(bad(path, "the record byteorder is neither `little` nor `big`", Some(DAMAGED))),
            };
        }
        Ok(archive)
    }

    /// A record's bytes, verified by its checksum.
    fn record(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let path = self.path;
        let full_name = format!("{}{name}", self.root);
        let damaged = |reason: String| bad(path, format!("record {name} {reason}"), Some(DAMAGED));
        let entry = self.zip.by_name(&full_name).map_err(|error| match error {
            ZipError::FileNotFound => damaged("is missing".into()),
            error => damaged(format!("cannot be read: {error}")),
        })?;
        let size = entry.size();
        if size > limit {
            return Err(damaged(format!("has {size} bytes, more than the {limit} it may have")));
        }
        if entry.compression() != zip::CompressionMethod::Stored {
            self.inflated = self.inflated.saturating_add(size);
            if self.inflated > MAX_INFLATED_BYTES {
                return Err(bad(path, "the compressed records are too large", Some(RESAVE)));
            }
            self.budget = self.budget.saturating_add(size as usize);
        }
        // Grows with what is really there, whatever the directory says; the checksum is compared at the very end.
        let mut bytes = Vec::new();
        entry
            .take(size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 != size {
            return Err(damaged(format!("has {} of its {size} bytes", bytes.len())));
        }
        Ok(bytes)
    }

    /// Gathers the tensors, reading each storage once.
    fn load(&mut self, tensors: Vec<(&str, &Tensor)>) -> Result<Vec<(String, WeightTensor)>> {
        let mut by_storage: BTreeMap<&str, Vec<(&str, &Tensor)>> = BTreeMap::new();
        for (name, tensor) in tensors {
            by_storage.entry(tensor.storage.key).or_default().push((name, tensor));
        }
        let mut loaded = Vec::new();
        for (key, tensors) in by_storage {
            let mut bytes = self.record(&format!("data/{key}"), u64::MAX)?;
            let mut swapped = false;
            for (name, tensor) in tensors {
                let bad_tensor = |reason| ExportError::BadTensor {
                    origin: self.path.display().to_string(),
                    tensor: name.escape_debug().to_string(),
                    reason,
                };
                let dtype = weight_dtype(tensor.storage.kind).map_err(bad_tensor)?;
                if self.big_endian && !swapped {
                    bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
                    swapped = true;
                }
                let data = gather(tensor, dtype, &bytes, &mut self.budget).map_err(bad_tensor)?;
                loaded.push((name.to_owned(), WeightTensor { dtype, shape: tensor.shape.clone(), data }));
            }
        }
        Ok(loaded)
    }
}

fn weight_dtype(kind: StorageType) -> Result<WeightDtype, String> {
    match kind {
        StorageType::Float => Ok(WeightDtype::F32),
        StorageType::BFloat16 => Ok(WeightDtype::Bf16),
        StorageType::Half => Ok(WeightDtype::F16),
        StorageType::Double => Ok(WeightDtype::F64),
        other => Err(format!("has dtype {}, expected float32, bfloat16, float16 or float64", other.dtype_name())),
    }
}

/// A tensor's elements in row-major order. `budget` is the number of elements that tensors may still take.
fn gather(tensor: &Tensor, dtype: WeightDtype, bytes: &[u8], budget: &mut usize) -> Result<Vec<f32>, String> {
    let stored = bytes.len() / dtype.size();
    if tensor.storage.len != stored {
        return Err(format!(
            "is a view of {} elements, but record data/{} has {stored}",
            tensor.storage.len, tensor.storage.key
        ));
    }
    let shape = &tensor.shape;
    let too_large = || format!("has shape {shape:?}, more elements than this file can hold");
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size)).ok_or_else(too_large)?;
    *budget = budget.checked_sub(count).ok_or_else(too_large)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let last = shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |last, (size, stride)| (size - 1).checked_mul(*stride)?.checked_add(last));
    if last.is_none_or(|last| last >= stored) {
        return Err(format!(
            "reaches outside its storage: shape {shape:?}, strides {:?}, offset {}, storage {stored}",
            tensor.strides, tensor.offset
        ));
    }
    if is_contiguous(shape, &tensor.strides) {
        let start = tensor.offset * dtype.size();
        return Ok(dtype.decode(&bytes[start..start + count * dtype.size()]));
    }
    let elements = dtype.decode(bytes);
    let mut index = vec![0; shape.len()];
    let mut position = tensor.offset;
    let mut data = Vec::with_capacity(count);
    for _ in 0..count {
        data.push(elements[position]);
        // Counts up like an odometer, the last dimension fastest.
        for ((digit, size), stride) in index.iter_mut().zip(shape).zip(&tensor.strides).rev() {
            *digit += 1;
            position += stride;
            if *digit < *size {
                break;
            }
            position -= *digit * stride;
            *digit = 0;
        }
    }
    Ok(data)
}

/// Whether the strides are those of a row-major array; those of dimensions of size 1 do not matter.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected *= size;
        fits
    })
}

#[cfg(test)]
mod tests;
