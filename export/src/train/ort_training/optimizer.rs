//! The optimiser model: one `AdamWOptimizer` over sequences of tensors.

use prost::Message;

use super::model::microsoft_node;
use crate::onnx::operators::OperatorSet;
use crate::onnx::proto::{GraphProto, SequenceTypeProto, TensorTypeProto, TypeProto, ValueInfoProto};
use crate::onnx::write::{float, int, model, value_info};
use crate::onnx::{DType, Dim, TensorType};

/// Settings of `AdamW` as PyTorch has it: bias-corrected moments, weight decay of `lr · weight_decay` before the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
}

/// The model that updates all parameters at once. Names and order of its inputs are the API's.
#[must_use]
pub fn optimizer_model(settings: &AdamW) -> Vec<u8> {
    let sequences = ["params", "gradients", "first_order_moments", "second_order_moments"];
    let one = |dtype| TensorType::new(dtype, [Dim::Fixed(1)]);
    let mut input = vec![value_info("learning_rate", &one(DType::F32)), value_info("step", &one(DType::I64))];
    input.extend(sequences.map(float_sequence));
    let updated = ["updated_flag", "updated_params", "updated_first_order_moments", "updated_second_order_moments"];
    let mut node = microsoft_node(
        "AdamWOptimizer",
        &["learning_rate", "step", "params", "gradients", "first_order_moments", "second_order_moments"],
        &updated,
    );
    node.attribute = vec![
        float("alpha", settings.beta1),
        float("beta", settings.beta2),
        float("epsilon", settings.eps),
        float("weight_decay", settings.weight_decay),
        // 0 is PyTorch's order of decay and update.
        int("adam_mode", 0),
        int("correct_bias", 1),
    ];
    let graph = GraphProto {
        node: vec![node],
        name: "optimizer".into(),
        input,
        output: vec![value_info(updated[0], &one(DType::Bool))],
        value_info: updated[1..].iter().map(|name| float_sequence(name)).collect(),
        ..GraphProto::default()
    };
    let mut model = model(graph);
    model.opset_import.push(OperatorSet::MICROSOFT.into());
    model.encode_to_vec()
}

/// A sequence of float tensors of any shapes.
fn float_sequence(name: &str) -> ValueInfoProto {
    let element = TensorTypeProto { elem_type: DType::F32.onnx(), shape: None };
    let element = TypeProto { tensor_type: Some(element), sequence_type: None };
    let sequence = SequenceTypeProto { elem_type: Some(Box::new(element)) };
    let ty = TypeProto { tensor_type: None, sequence_type: Some(Box::new(sequence)) };
    ValueInfoProto { name: name.into(), r#type: Some(ty) }
}
