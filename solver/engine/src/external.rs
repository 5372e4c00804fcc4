//! Tensors that lie outside of their graph: read into memory and checked there, so that what an engine computes with is
//! what was hashed. No engine opens a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use trm_intake::Printable;
use trm_models::{ModelBundle, ModelError};
use trm_onnx::OnnxError;
use trm_onnx::{Constant, DType, ExternalTensor, external_tensors};

use super::GraphSource;
use crate::{EngineError, Result};

/// The source of the files that a graph names.
#[derive(Debug, Clone, Default)]
pub enum ExternalFiles<'a> {
    /// Nowhere: a graph that names one is refused.
    #[default]
    None,
    /// In a bundle, each checked against the manifest as it is read.
    Bundle(&'a ModelBundle),
    /// In memory, by name.
    Memory(Arc<BTreeMap<String, Vec<u8>>>),
}

impl ExternalFiles<'_> {
    /// Takes the files of a graph that was just encoded.
    #[must_use]
    pub fn of_encoded(files: &[(String, Constant)]) -> Self {
        if files.is_empty() {
            return Self::None;
        }
        let files = files.iter().map(|(name, constant)| (name.clone(), constant.to_le_bytes()));
        Self::Memory(Arc::new(files.collect()))
    }

    fn read(&self, graph: &str, name: &str) -> Result<Cow<'_, [u8]>> {
        let missing = || ModelError::NotInBundle {
            bundle: Printable(graph).to_string(),
            what: format!("file {} that the graph names", Printable(name)),
            present: match self {
                Self::None => "no files beside its graph".to_owned(),
                Self::Bundle(bundle) => bundle.manifest().file_names().collect::<Vec<_>>().join(", "),
                Self::Memory(files) => files.keys().cloned().collect::<Vec<_>>().join(", "),
            },
        };
        match self {
            Self::Bundle(bundle) if bundle.manifest().hash(name).is_some() => Ok(bundle.file(name)?),
            Self::Memory(files) => Ok(Cow::Borrowed(files.get(name).ok_or_else(missing)?.as_slice())),
            Self::None | Self::Bundle(_) => Err(missing().into()),
        }
    }
}

/// A tensor that lies outside of its graph, and its elements.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) tensor: ExternalTensor,
    pub(super) bytes: Vec<u8>,
}

/// Reads all tensors that lie outside of a graph. Each file is read once, and no part of it is used twice: what this
/// takes is bounded by the files' sizes.
pub(super) fn read(graph: &GraphSource<'_>) -> Result<Vec<Outside>> {
    let mut by_file: BTreeMap<String, Vec<ExternalTensor>> = BTreeMap::new();
    for tensor in external_tensors(&graph.bytes, Path::new(&Printable(graph.name).to_string()))? {
        by_file.entry(tensor.file.clone()).or_default().push(tensor);
    }
    let mut outside = Vec::new();
    for (name, mut tensors) in by_file {
        let file = graph.external.read(graph.name, &name)?;
        let refuse = |problem: String| {
            let path = Path::new(&Printable(&name).to_string()).to_owned();
            EngineError::from(OnnxError::NotOnnx { path, problem })
        };
        tensors.sort_by_key(|tensor| tensor.offset);
        let mut end = 0;
        for tensor in &tensors {
            let part = tensor.part(&file)?.len();
            if part == 0 || size(tensor) != Some(part) {
                let ExternalTensor { name, dims, .. } = tensor;
                return Err(refuse(format!("{part} bytes are no tensor {} of shape {dims:?}", Printable(name))));
            }
            if tensor.offset < end {
                return Err(refuse("tensors of the graph overlap in it".to_owned()));
            }
            end = tensor.offset + part as u64;
        }
        if let [tensor] = tensors.as_slice()
            && tensor.offset == 0
            && end == file.len() as u64
        {
            // The usual case, which may be gigabytes: not copied.
            outside.push(Outside { tensor: tensor.clone(), bytes: file.into_owned() });
            continue;
        }
        for tensor in tensors {
            let bytes = tensor.part(&file)?.to_vec();
            outside.push(Outside { tensor, bytes });
        }
    }
    Ok(outside)
}

/// Bytes of a tensor by its shape and type; `None` for one that no graph of ours has.
fn size(tensor: &ExternalTensor) -> Option<usize> {
    let dtype = DType::from_onnx(tensor.data_type)?;
    tensor.dims.iter().try_fold(dtype.size(), |size, &axis| size.checked_mul(usize::try_from(axis).ok()?))
}
