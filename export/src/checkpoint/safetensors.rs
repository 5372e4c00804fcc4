//! safetensors files: a JSON header of names, dtypes, shapes and offsets, then the bytes.
//!
//! Format: <https://github.com/huggingface/safetensors#format>.

use std::collections::HashMap;
use std::io::{Read as _, Seek, SeekFrom, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use trm_intake::file::write_atomically;
use trm_intake::{Budget, Fault, Printable};

use super::contents::{Contents, Item};
use super::gather::take;
use super::pickle::MAX_DIMS;
use super::read::io_error;
use super::select::select;
use super::source::Source;
use super::{Read, ReadOptions, StateDict, WeightDtype, WeightTensor, bad, exceeded};
use crate::{ExportError, Result};

/// A hundred bytes for a tensor; the format's own limit is 100 MB.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// True if a file starts as a safetensors file does: the header's length, then `{`.
pub(super) fn is_safetensors(source: Source<'_>) -> Result<bool> {
    // A torch archive starts with `PK`, whose header length would be far above the format's limit of 100 MB.
    Ok(matches!(source.start(9)?[..], [_, _, _, _, 0, 0, 0, 0, b'{']))
}

/// Reads the set of weights that the options name, or the only one.
pub(super) fn read(source: Source<'_>, options: &ReadOptions, budget: &mut Budget) -> Result<Read> {
    let shard = Shard::open(source, budget)?;
    let contents = Contents::flat(shard.items.clone());
    let selection = select(&contents, options, source.path)?;
    let load = |(name, id): &(String, usize)| Ok((name.clone(), shard.load(*id, budget)?));
    let tensors = selection.tensors.iter().map(load).collect::<Result<_>>()?;
    Ok(Read { tensors, ledger: selection.ledger, settings: None })
}

/// A file whose header was read: its tensors, and where their bytes are.
#[derive(Debug)]
pub(super) struct Shard<'a> {
    source: Source<'a>,
    items: Vec<Item>,
    /// Offset in the file and length in bytes.
    places: Vec<(u64, u64)>,
}

/// A tensor in a header.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The entries of a header in its order. The file's own notes are left out.
struct Header(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Header;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Shard<'a> {
    /// Reads a file's header, and checks that its tensors fill the file without gaps, as the format demands.
    pub(super) fn open(source: Source<'a>, budget: &mut Budget) -> Result<Self> {
        let path = source.path;
        let damaged = |reason: &str| {
            let reason = format!("damaged safetensors file: {reason}");
            bad(path, reason, Some("copy or download the file again"))
        };
        let (mut file, length) = source.open()?;
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(|_| damaged("it ends before its header"))?;
        let header_length = u64::from_le_bytes(start);
        let data_start = header_length.saturating_add(8);
        if data_start > length {
            return Err(damaged("it ends before its header"));
        }
        if header_length > MAX_HEADER_BYTES {
            let reason = format!("its header has {header_length} bytes, more than the {MAX_HEADER_BYTES} it may have");
            return Err(damaged(&reason));
        }
        let mut header = Vec::new();
        file.take(header_length).read_to_end(&mut header).map_err(|source| io_error(path, source))?;
        let Header(entries) = serde_json::from_slice(&header).map_err(|error| {
            damaged(&format!("its header is no list of tensors: {}", Printable(&error.to_string())))
        })?;
        let mut shard = Self { source, items: Vec::new(), places: Vec::new() };
        for (name, Entry { dtype, shape, data_offsets: (begin, end) }) in entries {
            let bytes = 256 + name.len() as u64;
            budget
                .take_items(1)
                .and_then(|()| budget.take_bytes(bytes))
                .map_err(|over| exceeded(path, "the list of tensors", over, "expected the weights of a TRM or HRM"))?;
            let shown = Printable(&name);
            if shape.len() > MAX_DIMS {
                return Err(damaged(&format!("tensor `{shown}` has {} dimensions", shape.len())));
            }
            let shape: Vec<usize> = shape.iter().map(|size| usize::try_from(*size).unwrap_or(usize::MAX)).collect();
            let size = element_size(&dtype).ok_or_else(|| {
                damaged(&format!("tensor `{shown}` has a dtype `{}` that is not known", Printable(&dtype)))
            })?;
            let count = shape.iter().try_fold(size, |bytes, size| bytes.checked_mul(*size));
            if begin > end || count.map(|count| count as u64) != Some(end - begin) {
                return Err(damaged(&format!("tensor `{shown}` of {dtype} {shape:?} has bytes {begin} to {end}")));
            }
            let dtype = weight_dtype(&dtype);
            shard.items.push(Item { name, dtype, shape, place: None });
            shard.places.push((data_start.saturating_add(begin), end - begin));
        }
        let mut places: Vec<_> = shard.places.iter().filter(|(_, length)| *length > 0).collect();
        places.sort_unstable();
        let mut expected = data_start;
        for (offset, bytes) in places {
            if *offset != expected {
                return Err(damaged("its tensors overlap or leave gaps"));
            }
            expected = expected.saturating_add(*bytes);
        }
        if expected != length {
            return Err(damaged(&format!("its tensors end at byte {expected}, the file at {length}")));
        }
        Ok(shard)
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Reads a tensor.
    pub(super) fn load(&self, id: usize, budget: &mut Budget) -> Result<WeightTensor> {
        let Item { name, dtype, shape, .. } = &self.items[id];
        let bad_tensor = |fault: Fault| ExportError::BadTensor {
            origin: self.source.path.display().to_string(),
            tensor: Printable(name).to_string(),
            fault,
        };
        let Ok(dtype) = *dtype else { return Err(bad_tensor("has no dtype of weights".into())) };
        take(shape, budget).map_err(bad_tensor)?;
        let (offset, length) = self.places[id];
        let read_error = |source| io_error(self.source.path, source);
        let (mut file, _) = self.source.open()?;
        file.seek(SeekFrom::Start(offset)).map_err(read_error)?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(read_error)?;
        if bytes.len() as u64 != length {
            return Err(bad_tensor(format!("has {} of its {length} bytes", bytes.len()).into()));
        }
        let data = dtype.decode(&bytes).map_err(bad_tensor)?;
        Ok(WeightTensor { dtype, shape: shape.clone(), data })
    }
}

fn weight_dtype(name: &str) -> Result<WeightDtype, String> {
    match name {
        "F32" => Ok(WeightDtype::F32),
        "BF16" => Ok(WeightDtype::Bf16),
        "F16" => Ok(WeightDtype::F16),
        "F64" => Ok(WeightDtype::F64),
        other => Err(other.to_owned()),
    }
}

/// Bytes of an element of a dtype that the format knows.
fn element_size(name: &str) -> Option<usize> {
    Some(match name {
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 1,
        "U16" | "I16" | "F16" | "BF16" => 2,
        "U32" | "I32" | "F32" => 4,
        "U64" | "I64" | "F64" | "C64" => 8,
        _ => return None,
    })
}

/// Writes all tensors in their own dtype.
pub(super) fn write(path: &Path, prefix: &str, state: &StateDict) -> Result<()> {
    state.check_shapes()?;
    let tensors: Vec<(String, WeightDtype, &[usize], Vec<u8>)> = state
        .iter()
        .map(|(name, tensor)| {
            (format!("{prefix}{name}"), tensor.dtype, tensor.shape.as_slice(), tensor.dtype.encode(&tensor.data))
        })
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        let dtype = match dtype {
            WeightDtype::F32 => Dtype::F32,
            WeightDtype::Bf16 => Dtype::BF16,
            WeightDtype::F16 => Dtype::F16,
            WeightDtype::F64 => Dtype::F64,
        };
        let view = TensorView::new(dtype, shape.to_vec(), bytes).map_err(|error| ExportError::BadTensor {
            origin: state.origin().to_owned(),
            tensor: name.clone(),
            fault: format!("cannot be written: {error}").into(),
        })?;
        views.push((name, view));
    }
    // The entry by which readers know that names and layouts are PyTorch's.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| ExportError::BadCheckpoint {
        path: path.to_owned(),
        reason: format!("cannot be written: {error}"),
        hint: None,
    })?;
    Ok(write_atomically(path, |file| file.write_all(&bytes))?)
}
