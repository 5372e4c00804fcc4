//! The inputs and outputs that an ONNX file declares, read without its weights.
//!
//! rten keeps booleans and 64-bit integers as `i32`, so a loaded model no longer tells which of them the file has. The
//! messages here are those of `trm_onnx::proto` less what is not needed: protobuf passes over the rest unread.

use prost::Message;
use trm_models::{ElementType, FoundTensor};
use trm_onnx::proto::{DimensionValue, ValueInfoProto};

/// `ModelProto`.
#[derive(Clone, PartialEq, Message)]
struct DeclaredModel {
    #[prost(message, optional, tag = "7")]
    graph: Option<DeclaredGraph>,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
struct DeclaredGraph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<DeclaredNode>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<DeclaredInitializer>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
struct DeclaredNode {
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<DeclaredAttribute>,
}

/// `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
struct DeclaredAttribute {
    #[prost(message, optional, tag = "6")]
    g: Option<Body>,
}

/// `GraphProto` of a loop.
#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(message, repeated, tag = "1")]
    node: Vec<DeclaredNode>,
}

impl Body {
    /// Operators of the largest graph in this one, itself among them.
    fn largest(&self) -> usize {
        self.node.len().max(largest_body(&self.node))
    }
}

/// Operators of the largest graph within some operators.
fn largest_body(nodes: &[DeclaredNode]) -> usize {
    nodes
        .iter()
        .flat_map(|node| &node.attribute)
        .filter_map(|attribute| attribute.g.as_ref())
        .map(Body::largest)
        .max()
        .unwrap_or(0)
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
struct DeclaredInitializer {
    #[prost(string, tag = "8")]
    name: String,
}

/// An ONNX file as it says of itself.
pub(super) struct Declared {
    /// Inputs less those that are initializers, in the file's order.
    pub(super) inputs: Vec<FoundTensor>,
    /// Outputs, in the file's order.
    pub(super) outputs: Vec<FoundTensor>,
    /// Operators of the graph.
    pub(super) operators: usize,
    /// Operators of the largest body of a loop.
    pub(super) in_body: usize,
}

/// Reads what an ONNX file declares.
pub(super) fn read(bytes: &[u8]) -> Result<Declared, prost::DecodeError> {
    let graph = DeclaredModel::decode(bytes)?.graph.unwrap_or_default();
    let initialized = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs = graph.input.iter().filter(|input| !initialized(&input.name));
    Ok(Declared {
        inputs: inputs.map(found_tensor).collect(),
        outputs: graph.output.iter().map(found_tensor).collect(),
        operators: graph.node.len(),
        in_body: largest_body(&graph.node),
    })
}

fn found_tensor(info: &ValueInfoProto) -> FoundTensor {
    let tensor = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    // Element types are numbered as in onnx.proto, TensorProto.DataType.
    let element = tensor.and_then(|tensor| match tensor.elem_type {
        1 => Some(ElementType::F32),
        6 => Some(ElementType::I32),
        7 => Some(ElementType::I64),
        9 => Some(ElementType::Bool),
        _ => None,
    });
    let axes = tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| &shape.dim);
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::DimValue(size)) => usize::try_from(*size).ok(),
        _ => None,
    };
    FoundTensor { name: info.name.clone(), element, shape: axes.iter().map(|axis| size(&axis.value)).collect() }
}
