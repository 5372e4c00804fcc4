//! Tensors put into a model that tract has decoded.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, TensorProto};

use crate::external::Outside;

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
