//! Files written by `torch.save`: a zip of `data.pkl` (names, shapes, views) and one record a storage, `data/{key}`; or,
//! from before torch 1.6, pickles and storages one after the other ([`legacy`]).

mod legacy;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::path::Path;

use trm_intake::{Budget, Fault, Printable};

use super::archive::{Archive, DAMAGED};
use super::contents::{self, Contents, Item};
use super::gather::{gather, swap};
use super::pickle::{Pickle, PickleError, Storage, StorageType, Tensor};
use super::read::{MOST_WEIGHTS_BYTES, NOT_OURS, io_error};
use super::select::{Selection, select};
use super::source::Source;
use super::{Read as Loaded, ReadOptions, WeightDtype, WeightTensor, bad};
use crate::{ExportError, Result};

/// A state dict's pickle takes some 200 bytes for a tensor.
const MAX_PICKLE_BYTES: u64 = 8 << 20;

const RESAVE: &str = "save it again with a current torch: torch.save(torch.load(path, weights_only=True), path)";

/// Reads the set of weights that the options name, or the only one.
pub(super) fn read(source: Source<'_>, options: &ReadOptions, budget: &mut Budget) -> Result<Loaded> {
    let (reader, _) = source.open()?;
    read_from(reader, source.path, options, budget)
}

/// As [`read`]; `path` is only for messages.
fn read_from(mut reader: impl Read + Seek, path: &Path, options: &ReadOptions, budget: &mut Budget) -> Result<Loaded> {
    let io_error = |source| io_error(path, source);
    let mut start = Vec::new();
    reader.by_ref().take(32).read_to_end(&mut start).map_err(io_error)?;
    if let Some((reason, hint)) = not_an_archive(&start) {
        return Err(bad(path, reason, Some(hint)));
    }
    let length = reader.seek(io::SeekFrom::End(0)).map_err(io_error)?;
    reader.rewind().map_err(io_error)?;
    if legacy::begins(&start) {
        let head = legacy::head(&mut reader, MAX_PICKLE_BYTES).map_err(io_error)?;
        let (pickle, places) = legacy::parse(&head, length, path, budget)?;
        let storages = legacy::Placed { reader, places, path };
        return read_pickle(&pickle, storages, path, options, budget);
    }
    let archive = Archive::open(reader, length, path)?;
    let roots: Vec<String> = archive
        .names()
        .filter_map(|name| name.strip_suffix("data.pkl").map(str::to_owned))
        .filter(|root| root.is_empty() || root.ends_with('/'))
        .collect();
    let [root] = <[String; 1]>::try_from(roots).map_err(|roots| {
        let reason = format!("a zip archive with {} data.pkl, expected one", roots.len());
        bad(path, reason, Some("expected the weights as torch.save writes them"))
    })?;
    let mut storages = Records { archive, root, big_endian: false };
    storages.read_byte_order(path, budget)?;
    let bytes = storages.archive.record(&format!("{}data.pkl", storages.root), MAX_PICKLE_BYTES, budget)?;
    let pickle = Pickle::parse(&bytes, budget).map_err(|error| refused(path, error, "data.pkl"))?;
    read_pickle(&pickle, storages, path, options, budget)
}

fn refused(path: &Path, error: PickleError, file: &str) -> ExportError {
    match error {
        PickleError::Foreign { global, offset } => ExportError::ForeignGlobal { path: path.to_owned(), global, offset },
        PickleError::Bad { reason, offset } => {
            bad(path, format!("the pickle {reason} (offset {offset} of {file})"), Some(RESAVE))
        }
    }
}

/// The reason why a file that starts like this is no checkpoint, and the advice; `None` if it may be one.
fn not_an_archive(start: &[u8]) -> Option<(&'static str, &'static str)> {
    if start.starts_with(b"PK\x03\x04") || legacy::begins(start) {
        None
    } else if start.is_empty() {
        Some(("the file is empty", "the checkpoint was not written completely"))
    } else if start.starts_with(b"\x80") {
        Some(("this is a bare pickle, not an archive of torch.save", RESAVE))
    } else if start.starts_with(b"version https://git-lfs") {
        Some(("this is a Git LFS pointer, not the checkpoint itself", "fetch the file with `git lfs pull`"))
    } else if start.starts_with(b"\x89HDF") {
        Some(("this is an HDF5 file", "save the weights by torch.save or as safetensors"))
    } else {
        Some((
            "this is neither an archive of torch.save nor a safetensors file",
            "expected the weights, such as `step_1000` or `checkpoint.pt`, not the config or a folder",
        ))
    }
}

/// A place that storages are read from.
trait Storages {
    /// The bytes of a storage, little-endian. It has to have `length` of them.
    fn load(&mut self, key: &str, kind: StorageType, length: u64, budget: &mut Budget) -> Result<Vec<u8>>;
}

/// The records of an archive.
struct Records<'p, R> {
    archive: Archive<'p, R>,
    /// The one folder that everything is in, with its slash; torch names it after the file.
    root: String,
    big_endian: bool,
}

impl<R: Read + Seek> Records<'_, R> {
    fn read_byte_order(&mut self, path: &Path, budget: &mut Budget) -> Result<()> {
        let name = format!("{}byteorder", self.root);
        if self.archive.has(&name) {
            self.big_endian = match self.archive.record(&name, 16, budget)?.as_slice() {
                b"little" => false,
                b"big" => true,
                _ => return Err(bad(path, "the record byteorder is neither `little` nor `big`", Some(DAMAGED))),
            };
        }
        Ok(())
    }
}

impl<R: Read + Seek> Storages for Records<'_, R> {
    fn load(&mut self, key: &str, kind: StorageType, length: u64, budget: &mut Budget) -> Result<Vec<u8>> {
        let mut bytes = self.archive.record(&format!("{}data/{key}", self.root), length, budget)?;
        if self.big_endian {
            swap(&mut bytes, kind.size());
        }
        Ok(bytes)
    }
}

fn read_pickle(
    pickle: &Pickle<'_>,
    mut storages: impl Storages,
    path: &Path,
    options: &ReadOptions,
    budget: &mut Budget,
) -> Result<Loaded> {
    let (contents, tensors) = contents::of_pickle(pickle, path, budget)?;
    let selection = select(&contents, options, path)?;
    let loaded = load(&selection, &contents, &tensors, &mut storages, path, budget)?;
    Ok(Loaded { tensors: loaded, ledger: selection.ledger, settings: contents.settings })
}

/// Gathers the tensors, reading each storage once.
fn load(
    selection: &Selection,
    contents: &Contents,
    tensors: &[&Tensor<'_>],
    storages: &mut impl Storages,
    path: &Path,
    budget: &mut Budget,
) -> Result<Vec<(String, WeightTensor)>> {
    let mut by_storage: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for (name, id) in &selection.tensors {
        by_storage.entry(tensors[*id].storage.key).or_default().push((name, *id));
    }
    let (mut loaded, mut stored) = (Vec::new(), 0_u64);
    for (key, views) in by_storage {
        let Some((_, first)) = views.first() else { continue };
        let Storage { kind, len, .. } = tensors[*first].storage;
        // A view of a few elements costs its whole storage.
        let length = (len as u64).saturating_mul(kind.size() as u64);
        stored = stored.saturating_add(length);
        if stored > MOST_WEIGHTS_BYTES {
            let reason = format!("its storages have {stored} bytes, more than the {MOST_WEIGHTS_BYTES} that they may");
            return Err(bad(path, reason, Some(NOT_OURS)));
        }
        let bytes = storages.load(key, kind, length, budget)?;
        for (name, id) in views {
            let (tensor, Item { name: raw, .. }) = (tensors[id], &contents.items[id]);
            let bad_tensor = |fault: Fault| ExportError::BadTensor {
                origin: path.display().to_string(),
                tensor: Printable(raw).to_string(),
                fault,
            };
            let dtype = weight_dtype(tensor.storage.kind).map_err(bad_tensor)?;
            if tensor.storage.kind.size() != kind.size() {
                return Err(bad_tensor(format!("shares data/{key} with tensors of another dtype").into()));
            }
            let data = gather(tensor, dtype, &bytes, budget).map_err(bad_tensor)?;
            loaded.push((name.to_owned(), WeightTensor { dtype, shape: tensor.shape.clone(), data }));
        }
    }
    Ok(loaded)
}

/// The dtype of weights that a storage is of.
pub(super) fn weight_dtype(kind: StorageType) -> Result<WeightDtype, Fault> {
    match kind {
        StorageType::Float => Ok(WeightDtype::F32),
        StorageType::BFloat16 => Ok(WeightDtype::Bf16),
        StorageType::Half => Ok(WeightDtype::F16),
        StorageType::Double => Ok(WeightDtype::F64),
        other => {
            Err(format!("has dtype {}, expected float32, bfloat16, float16 or float64", other.dtype_name()).into())
        }
    }
}

#[cfg(test)]
mod tests;
