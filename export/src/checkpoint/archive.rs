//! Zip archives of records, as `torch.save` and `numpy.savez` write them, read within a budget.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use trm_intake::{Budget, Printable};
use zip::ZipArchive;
use zip::result::ZipError;

use super::read::io_error;
use super::{bad, exceeded};
use crate::{ExportError, Result};

/// Torch and numpy write a record a tensor.
const MAX_RECORDS: u64 = u16::MAX as u64;
/// The names and places of all records.
const MAX_DIRECTORY_BYTES: u64 = 16 << 20;

pub(super) const DAMAGED: &str = "the file is truncated or damaged: copy or download it again";
const UNPACKED: &str = "write it again without compression, as torch.save and numpy.savez do";

/// An open archive.
pub(super) struct Archive<'p, R> {
    zip: ZipArchive<R>,
    path: &'p Path,
}

impl<'p, R: Read + Seek> Archive<'p, R> {
    /// Opens an archive of `length` bytes; its directory is measured before it is read.
    pub(super) fn open(mut reader: R, length: u64, path: &'p Path) -> Result<Self> {
        let io_error = |source| io_error(path, source);
        // Without an end of the directory where it has to be, the whole file would be searched for one.
        let (records, bytes) = measure(&mut reader, length)
            .map_err(io_error)?
            .ok_or_else(|| bad(path, "no readable zip archive: it has no directory at its end", Some(DAMAGED)))?;
        if records > MAX_RECORDS || bytes > MAX_DIRECTORY_BYTES {
            let reason = format!(
                "a zip archive that claims {records} records in {bytes} bytes, more than the {MAX_RECORDS} in \
                 {MAX_DIRECTORY_BYTES} that a checkpoint may have"
            );
            return Err(bad(path, reason, Some(DAMAGED)));
        }
        reader.rewind().map_err(io_error)?;
        let zip = ZipArchive::new(reader).map_err(|error| match error {
            ZipError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => io_error(source),
            error => bad(path, format!("no readable zip archive: {error}"), Some(DAMAGED)),
        })?;
        Ok(Self { zip, path })
    }

    /// The records' names; those that are not UTF-8 are left out.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.zip.file_names().filter_map(|name| name.ok().map(std::borrow::Cow::into_owned))
    }

    /// True if there is such a record.
    pub(super) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// The first bytes of a record, no more than `most`.
    pub(super) fn start(&mut self, name: &str, most: u64) -> Result<Vec<u8>> {
        let path = self.path;
        let entry = self.zip.by_name(name).map_err(|error| unreadable(path, name, &error))?;
        let mut bytes = Vec::new();
        entry
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(path, name, &format!("cannot be read: {error}")))?;
        Ok(bytes)
    }

    /// A record's bytes, verified by its checksum. What is unpacked draws on the budget; what is stored is no larger than
    /// the file.
    pub(super) fn record(&mut self, name: &str, limit: u64, budget: &mut Budget) -> Result<Vec<u8>> {
        let path = self.path;
        let entry = self.zip.by_name(name).map_err(|error| unreadable(path, name, &error))?;
        let size = entry.size();
        if size > limit {
            return Err(damaged(path, name, &format!("has {size} bytes, more than the {limit} it may have")));
        }
        if entry.compression() != zip::CompressionMethod::Stored {
            budget.take_bytes(size).map_err(|over| exceeded(path, "unpacking its records", over, UNPACKED))?;
        }
        // Grows with what is really there, whatever the directory says; the checksum is compared at the very end.
        let mut bytes = Vec::new();
        entry
            .take(size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(path, name, &format!("cannot be read: {error}")))?;
        if bytes.len() as u64 != size {
            return Err(damaged(path, name, &format!("has {} of its {size} bytes", bytes.len())));
        }
        Ok(bytes)
    }
}

fn unreadable(path: &Path, name: &str, error: &ZipError) -> ExportError {
    match error {
        ZipError::FileNotFound => damaged(path, name, "is missing"),
        error => damaged(path, name, &format!("cannot be read: {error}")),
    }
}

/// The error of a record that cannot be used, named as in the archive's folder.
pub(super) fn damaged(path: &Path, name: &str, reason: &str) -> ExportError {
    let short = ["data/", "data.pkl", "byteorder"].iter().find_map(|part| name.rfind(part).map(|at| &name[at..]));
    bad(path, format!("record {} {reason}", Printable(short.unwrap_or(name))), Some(DAMAGED))
}

/// The records that an archive claims to have, and the bytes of their directory; `None` where there is no end of a
/// directory. Only the zip64 form can claim more than 65,535.
fn measure(reader: &mut (impl Read + Seek), length: u64) -> io::Result<Option<(u64, u64)>> {
    const END: &[u8] = b"PK\x05\x06";
    const LOCATOR: &[u8] = b"PK\x06\x07";
    const END64: &[u8] = b"PK\x06\x06";
    // The end of the directory with the longest comment, and the locator before it.
    let tail_start = length.saturating_sub(22 + 0xffff + 20);
    reader.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    reader.by_ref().take(length - tail_start).read_to_end(&mut tail)?;
    let Some(end) = tail.windows(4).rposition(|window| window == END) else { return Ok(None) };
    let u32_at = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
    };
    let u64_at = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    };
    let records = u64::from(u32_at(&tail, end + 10) & 0xffff);
    let bytes = u64::from(u32_at(&tail, end + 12));
    let locator = end.checked_sub(20).and_then(|at| tail.get(at..)).filter(|bytes| bytes.starts_with(LOCATOR));
    let Some(locator) = locator else { return Ok(Some((records, bytes))) };
    let at = u64_at(locator, 8);
    if at.saturating_add(56) > length {
        return Ok(Some((records, bytes)));
    }
    reader.seek(SeekFrom::Start(at))?;
    let mut end64 = [0; 56];
    reader.read_exact(&mut end64)?;
    if !end64.starts_with(END64) {
        return Ok(Some((records, bytes)));
    }
    Ok(Some((u64_at(&end64, 32), u64_at(&end64, 40))))
}
