//! `outputs.safetensors` of a golden, read tensor by tensor.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest as _, Sha256};
use trm_intake::Printable;
use trm_intake::file::FileError;
use trm_models::ModelError;

use crate::{Result, SolverError};

/// Recordings of full-size models with their carries have some 100 MB.
const MAX_BYTES: u64 = 1 << 32;
/// The list of tensors at the front; one with carries at sixteen steps has 8 KB.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// The tensors of a recording. Only the list of them is kept; a tensor is read when it is asked for.
#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
    tensors: Metadata,
    /// Where the first tensor begins.
    start: u64,
}

impl Recording {
    /// Reads the list of tensors and checks it against the file's length.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let io_error = |source| ModelError::File(FileError::Io { action: "read", path: path.to_owned(), source });
        let mut file = File::open(path).map_err(io_error)?;
        let bytes = file.metadata().map_err(io_error)?.len();
        if bytes > MAX_BYTES {
            let too_large = ModelError::File(FileError::TooLarge {
                path: path.to_owned(),
                bytes,
                limit: MAX_BYTES,
                what: "golden's file",
            });
            return Err(too_large.into());
        }
        let bad = |reason: String| SolverError::BadGolden { path: path.to_owned(), reason };
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| bad(format!("it ends after {bytes} bytes")))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES {
            let reason =
                format!("its list of tensors would have {length} bytes, more than the {MAX_HEADER_BYTES} allowed");
            return Err(bad(reason));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|_| bad("it ends within its list of tensors".to_owned()))?;
        let tensors: Metadata = serde_json::from_slice(&header)
            .map_err(|error| bad(format!("its list of tensors cannot be read: {error}")))?;
        let start = 8 + length;
        let expected = start.saturating_add(tensors.data_len() as u64);
        if expected != bytes {
            return Err(bad(format!("it has {bytes} bytes, its list of tensors says {expected}")));
        }
        Ok(Self { path: path.to_owned(), tensors, start })
    }

    /// The tensors' names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.tensors.tensors().into_keys().collect();
        names.sort();
        names
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.info(name).map(|info| info.shape.as_slice())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.info(name).is_some()
    }

    /// A tensor's numbers, which must be `i32` of the given shape; `None` if it was not recorded.
    pub(super) fn ints(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<i32>>> {
        let words = self.words(name, Dtype::I32, shape)?;
        Ok(words.map(|words| words.into_iter().map(i32::from_le_bytes).collect()))
    }

    /// A tensor's numbers, which must be `f32` of the given shape; `None` if it was not recorded.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        let words = self.words(name, Dtype::F32, shape)?;
        Ok(words.map(|words| words.into_iter().map(f32::from_le_bytes).collect()))
    }

    /// SHA-256 of a tensor's bytes, in hexadecimal; `None` if it was not recorded.
    pub(super) fn sha256(&self, name: &str) -> Result<Option<String>> {
        let Some(info) = self.tensors.info(name) else { return Ok(None) };
        let digest = Sha256::digest(self.bytes(info)?);
        let hex = digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Some(hex))
    }

    fn words(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Option<Vec<[u8; 4]>>> {
        let Some(info) = self.tensors.info(name) else { return Ok(None) };
        if info.dtype != dtype || info.shape != shape {
            return Err(self.bad(format!(
                "`{}` is {} {:?}, expected {dtype} {shape:?}",
                Printable(name),
                info.dtype,
                info.shape
            )));
        }
        Ok(Some(self.bytes(info)?.as_chunks::<4>().0.to_vec()))
    }

    fn bytes(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        let (from, to) = info.data_offsets;
        let read = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.start + from as u64))?;
            let mut bytes = vec![0; to - from];
            file.read_exact(&mut bytes).map(|()| bytes)
        };
        Ok(read()
            .map_err(|source| ModelError::File(FileError::Io { action: "read", path: self.path.clone(), source }))?)
    }

    pub(super) fn bad(&self, reason: String) -> SolverError {
        SolverError::BadGolden { path: self.path.clone(), reason }
    }
}
