//! Tensors outside of a graph, handed to ONNX Runtime from memory. Left to itself it opens the files that a graph names.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ::ort::value::{DynValue, Tensor};
use trm_onnx::OnnxError;
use trm_onnx::{DType, external_tensors};

use super::{failed, inside};
use crate::external::{self, Outside};
use crate::{GraphSource, Result};

/// A graph that names no file which ONNX Runtime would open.
pub(super) struct Contained<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Values of the constants that the bytes leave out, by name; sessions share them.
    pub(super) initializers: Vec<(String, Arc<DynValue>)>,
}

/// Reads and checks what lies outside of a graph. Constants of the outermost graph in float32, all that is ever large,
/// become values of their own, since protobuf ends at 2 GiB; the rest is put into the graph's bytes.
pub(super) fn contain<'a>(graph: &'a GraphSource<'_>) -> Result<Contained<'a>> {
    let outside = external::read(graph)?;
    let mut names = BTreeSet::new();
    let (named, rest): (Vec<_>, Vec<_>) = outside.into_iter().partition(|Outside { tensor, .. }| {
        tensor.outermost && tensor.data_type == DType::F32.onnx() && names.insert(tensor.name.clone())
    });
    let refuse = |problem: String| OnnxError::NotOnnx { path: graph.name.into(), problem };
    let bytes = if rest.is_empty() {
        Cow::Borrowed(graph.bytes.as_ref())
    } else {
        let whole = inside::put_inside(&graph.bytes, rest);
        Cow::Owned(whole.ok_or_else(|| refuse("it ends within a field".to_owned()))?)
    };
    if !named.is_empty() || matches!(bytes, Cow::Owned(_)) {
        let left = external_tensors(&bytes, Path::new(graph.name))?;
        if left.len() != named.len() {
            return Err(refuse("a tensor lies outside where no engine reads one".to_owned()).into());
        }
    }
    let value = |Outside { tensor, bytes }: Outside| {
        let elements: Vec<f32> = bytes.as_chunks().0.iter().map(|&element| f32::from_le_bytes(element)).collect();
        drop(bytes);
        let value = Tensor::from_array((tensor.dims, elements))
            .map_err(|error| failed(format!("take over the tensor {}", tensor.name), error))?;
        Ok((tensor.name, Arc::new(value.into_dyn())))
    };
    Ok(Contained { initializers: named.into_iter().map(value).collect::<Result<_>>()?, bytes })
}
