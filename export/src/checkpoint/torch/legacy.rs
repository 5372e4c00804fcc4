//! The format that `torch.save` wrote before torch 1.6, and writes when asked: five pickles (a magic number, a version,
//! the machine, the object, the keys of its storages), then each storage in the order of the keys, its number of
//! elements (u64) in front.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use trm_intake::{Budget, Printable};

use super::{StorageType, Storages, refused};
use crate::checkpoint::archive::DAMAGED;
use crate::checkpoint::bad;
use crate::checkpoint::pickle::{Pickle, Value};
use crate::checkpoint::read::io_error;
use crate::{ExportError, Result};

/// Offset and length in bytes of each storage.
type Places = HashMap<String, (u64, u64)>;

/// The magic number in its pickle.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// True if a file starts with the pickle of the magic number, in protocol 2 to 5; from 4 on a frame is around it.
pub(super) fn begins(start: &[u8]) -> bool {
    match start {
        [0x80, 4 | 5, 0x95, rest @ ..] => rest.get(8..).is_some_and(|rest| rest.starts_with(MAGIC)),
        [0x80, 2..=5, rest @ ..] => rest.starts_with(MAGIC),
        _ => false,
    }
}

/// The start of a file, which has the pickles.
pub(super) fn head(reader: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.by_ref().take(most).read_to_end(&mut head)?;
    Ok(head)
}

/// The object, and the places of the storages: offset and length in bytes.
pub(super) fn parse<'h>(head: &'h [u8], length: u64, path: &Path, budget: &mut Budget) -> Result<(Pickle<'h>, Places)> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::parse(head.get(at..).unwrap_or_default(), budget)
            .map_err(|error| refused(path, error, "one of the file's pickles"))?;
        at += pickle.length;
        Ok::<_, ExportError>(pickle)
    };
    next()?;
    if next()?.value() != Value::Int(1001) {
        return Err(bad(path, "a file of torch.save of a version that is not known", Some(super::RESAVE)));
    }
    next()?;
    let object = next()?;
    let keys = next()?;
    let keys = keys.items(keys.value()).unwrap_or_default();
    let storages: HashMap<&str, (StorageType, usize)> =
        object.storages().map(|storage| (storage.key, (storage.kind, storage.len))).collect();
    let mut places = HashMap::new();
    let mut offset = at as u64;
    for key in keys {
        let Value::Str(key) = key else {
            return Err(bad(path, "the list of storages has something other than names", Some(DAMAGED)));
        };
        let Some((kind, elements)) = storages.get(key) else {
            let reason = format!("storage {} belongs to no tensor", Printable(key));
            return Err(bad(path, reason, Some(DAMAGED)));
        };
        let bytes = (*elements as u64).saturating_mul(kind.size() as u64);
        offset = offset.saturating_add(8);
        if offset.saturating_add(bytes) > length {
            return Err(bad(
                path,
                format!("storage {} reaches past the end of the file", Printable(key)),
                Some(DAMAGED),
            ));
        }
        if places.insert((*key).to_owned(), (offset, bytes)).is_some() {
            return Err(bad(path, format!("storage {} is listed twice", Printable(key)), Some(DAMAGED)));
        }
        offset += bytes;
    }
    Ok((object, places))
}

/// The storages of a file.
pub(super) struct Placed<'p, R> {
    pub(super) reader: R,
    pub(super) places: Places,
    pub(super) path: &'p Path,
}

impl<R: Read + Seek> Storages for Placed<'_, R> {
    fn load(&mut self, key: &str, kind: StorageType, _: u64, _: &mut Budget) -> Result<Vec<u8>> {
        let path = self.path;
        let damaged = |what: String| bad(path, format!("storage {} {what}", Printable(key)), Some(DAMAGED));
        let (offset, length) = *self.places.get(key).ok_or_else(|| damaged("is missing".into()))?;
        let io_error = |source| io_error(path, source);
        self.reader.seek(SeekFrom::Start(offset - 8)).map_err(io_error)?;
        let mut elements = [0; 8];
        self.reader.read_exact(&mut elements).map_err(io_error)?;
        let elements = u64::from_le_bytes(elements);
        if elements.checked_mul(kind.size() as u64) != Some(length) {
            return Err(damaged(format!("has {elements} elements, expected {length} bytes")));
        }
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes).map_err(io_error)?;
        if bytes.len() as u64 != length {
            return Err(damaged(format!("has {} of its {length} bytes", bytes.len())));
        }
        Ok(bytes)
    }
}
