//! Tensors that lie outside of their graph: read into memory and checked there, so that what an engine computes with is
//! what was hashed. No engine opens a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, TensorProto};
use trm_export::onnx::{Constant, DType, ExternalTensor, OnnxError, external_tensors};
use trm_intake::Printable;
use trm_models::{ModelBundle, ModelError};

use super::GraphSource;
use crate::{Result, SolverError};

/// Where the files are that a graph names.
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
    /// Those of a graph that was just encoded.
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
            SolverError::from(OnnxError::NotOnnx { path, problem })
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

/// Puts tensors into a model, in place of where it says they are.
pub(super) fn put_inside(model: &mut ModelProto, outside: Vec<Outside>) {
    // No two are in the same place.
    let mut parts: Parts =
        outside.into_iter().map(|Outside { tensor, bytes }| ((tensor.file, tensor.offset), bytes)).collect();
    if parts.is_empty() {
        return;
    }
    model.graph.iter_mut().for_each(|graph| fill_graph(graph, &mut parts));
    model.functions.iter_mut().flat_map(|function| &mut function.node).for_each(|node| {
        node.attribute.iter_mut().for_each(|attribute| fill_attribute(attribute, &mut parts));
    });
}

type Parts = BTreeMap<(String, u64), Vec<u8>>;

fn fill_graph(graph: &mut GraphProto, parts: &mut Parts) {
    graph.initializer.iter_mut().for_each(|tensor| fill(tensor, parts));
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        fill_attribute(attribute, parts);
    }
}

fn fill_attribute(attribute: &mut AttributeProto, parts: &mut Parts) {
    attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(|tensor| fill(tensor, parts));
    attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|graph| fill_graph(graph, parts));
}

fn fill(tensor: &mut TensorProto, parts: &mut Parts) {
    let value = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let Some(file) = value("location") else { return };
    let offset = value("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    if let Some(bytes) = parts.remove(&(file.clone(), offset)) {
        tensor.raw_data = bytes;
        tensor.external_data.clear();
        tensor.data_location = Some(DataLocation::Default as i32);
    }
}
