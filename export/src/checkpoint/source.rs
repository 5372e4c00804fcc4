//! The bytes of a checkpoint: of a file, or in memory.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use super::read::io_error;
use crate::Result;

/// A reader that goes to any place.
pub(super) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// A file, or bytes that were read from one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// The file; of bytes in memory, what messages call them.
    pub(super) path: &'a Path,
    bytes: Option<&'a [u8]>,
}

impl<'a> Source<'a> {
    /// A file, which is opened whenever something of it is read.
    pub(super) fn file(path: &'a Path) -> Self {
        Self { path, bytes: None }
    }

    /// Bytes in memory, which messages call by a path.
    pub(super) fn memory(bytes: &'a [u8], path: &'a Path) -> Self {
        Self { path, bytes: Some(bytes) }
    }

    /// A reader of the bytes from their start, and their number.
    pub(super) fn open(self) -> Result<(Box<dyn ReadSeek + 'a>, u64)> {
        let read_error = |source| io_error(self.path, source);
        let mut reader: Box<dyn ReadSeek + 'a> = match self.bytes {
            Some(bytes) => Box::new(Cursor::new(bytes)),
            None => Box::new(BufReader::new(File::open(self.path).map_err(read_error)?)),
        };
        let length = reader.seek(SeekFrom::End(0)).map_err(read_error)?;
        reader.rewind().map_err(read_error)?;
        Ok((reader, length))
    }

    /// The first bytes, no more than `most`.
    pub(super) fn start(self, most: u64) -> Result<Vec<u8>> {
        let mut start = Vec::new();
        let (reader, _) = self.open()?;
        reader.take(most).read_to_end(&mut start).map_err(|source| io_error(self.path, source))?;
        Ok(start)
    }
}
