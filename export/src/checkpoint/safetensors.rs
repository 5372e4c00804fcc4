//! safetensors files: a JSON header of names, dtypes, shapes and offsets, then the bytes.
//!
//! Format: <https://github.com/huggingface/safetensors#format>.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{StateDict, WeightDtype, WeightTensor};
use crate::{ExportError, Result};
use trm_models::file::write_atomically;

/// Whether a file starts as a safetensors file does: the header's length, then `{`.
pub(super) fn is_safetensors(path: &Path) -> Result<bool> {
    let read_error = |source| ExportError::Io { action: "read", path: path.to_owned(), source };
    let mut start = Vec::new();
    File::open(path).map_err(read_error)?.take(9).read_to_end(&mut start).map_err(read_error)?;
    // A torch archive starts with `PK`, whose header length would be far above the format's limit of 100 MB.
    Ok(matches!(start[..], [_, _, _, _, 0, 0, 0, 0, b'{']))
}

/// All tensors of a file, by the names it gives them.
pub(super) fn read(path: &Path) -> Result<Vec<(String, WeightTensor)>> {
    let bytes =
        std::fs::read(path).map_err(|source| ExportError::Io { action: "read", path: path.to_owned(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| ExportError::BadCheckpoint {
        path: path.to_owned(),
        reason: format!("damaged safetensors file: {error}"),
        hint: Some("copy or download the file again".into()),
    })?;
    let read_tensor = |(name, view): (String, TensorView)| {
        let dtype = match view.dtype() {
            Dtype::F32 => WeightDtype::F32,
            Dtype::BF16 => WeightDtype::Bf16,
            Dtype::F16 => WeightDtype::F16,
            Dtype::F64 => WeightDtype::F64,
            other => {
                return Err(ExportError::BadTensor {
                    origin: path.display().to_string(),
                    tensor: name,
                    reason: format!("has dtype {other}, expected float32, bfloat16, float16 or float64"),
                });
            }
        };
        let tensor = WeightTensor { dtype, shape: view.shape().to_vec(), data: dtype.decode(view.data()) };
        Ok((name, tensor))
    };
    file.tensors().into_iter().map(read_tensor).collect()
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
            reason: format!("cannot be written: {error}"),
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
