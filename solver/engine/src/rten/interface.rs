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
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<DeclaredInitializer>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
struct DeclaredInitializer {
    #[prost(string, tag = "8")]
    name: String,
}

/// The inputs (less those that are initializers) and outputs of an ONNX file, in its order.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<FoundTensor>, Vec<FoundTensor>), prost::DecodeError> {
    let graph = DeclaredModel::decode(bytes)?.graph.unwrap_or_default();
    let initialized = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs = graph.input.iter().filter(|input| !initialized(&input.name));
    Ok((inputs.map(found_tensor).collect(), graph.output.iter().map(found_tensor).collect()))
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
