//! Types of several operators' outputs, and helpers of the operators' own tests.

use super::*;
use crate::tensor::{DType, Dim};

/// A float tensor.
pub(super) fn float(shape: &[usize], elements: &[f64]) -> Tensor {
    Tensor::float(shape, elements.to_vec()).expect("shape")
}

/// An operator on these inputs.
pub(super) fn evaluate(op: &dyn Operator, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OnnxError> {
    op.evaluate(&Arguments::new(inputs))
}

#[track_caller]
pub(super) fn assert_near(found: Result<Vec<Tensor>, OnnxError>, expected: &[f64]) {
    let found = found.expect("evaluated")[0].to_floats().expect("floats");
    assert_eq!(found.len(), expected.len());
    let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(near, "{found:?} for {expected:?}");
}

fn batch_of(shape: &[usize]) -> TensorType {
    let dims = std::iter::once(Dim::Batch).chain(shape.iter().map(|&size| Dim::Fixed(size)));
    TensorType::new(DType::F32, dims.collect::<Vec<_>>())
}

fn infer(op: impl Operator, inputs: &[&TensorType]) -> Result<String, String> {
    let outputs = Op::from(op).output_types(inputs)?;
    Ok(outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[test]
fn shapes_follow_the_operators() {
    let state = batch_of(&[97, 512]);
    let weight = TensorType::new(DType::F32, [Dim::Fixed(1024), Dim::Fixed(97)]);
    let cases = [
        (infer(MatMul, &[&weight, &state]), "f32[batch,1024,512]"),
        (infer(ReduceMean { axis: 1 }, &[&state]), "f32[batch,1,512]"),
        (infer(Split { axis: 2, sizes: vec![500, 12] }, &[&state]), "f32[batch,97,500] f32[batch,97,12]"),
        (infer(Transpose { perm: vec![0, 2, 1] }, &[&state]), "f32[batch,512,97]"),
        (infer(ArgMax, &[&state]), "i64[batch,97]"),
        (infer(Unsqueeze { axes: vec![1, 2] }, &[&batch_of(&[])]), "f32[batch,1,1]"),
    ];
    for (found, expected) in cases {
        assert_eq!(found.as_deref(), Ok(expected));
    }
}

#[test]
fn misfits_are_refused_with_the_reason() {
    let state = batch_of(&[97, 512]);
    let ints = TensorType::new(DType::I32, state.shape.clone());
    let cases = [
        (infer(Add, &[&state, &ints]), "mixes f32 and i32"),
        (infer(Add, &[&state, &batch_of(&[97, 511])]), "512 does not broadcast with 511"),
        (infer(MatMul, &[&state, &state]), "inner dimensions 512 and 97 differ"),
        (infer(Sqrt, &[&ints]), "needs floats, got i32[batch,97,512]"),
        (infer(Slice { axis: 0, start: 0, end: 1 }, &[&state]), "the batch axis cannot be cut"),
        (infer(Slice { axis: 1, start: 16, end: 98 }, &[&state]), "16..98 is not within 0..97"),
        (infer(Where, &[&state, &state]), "takes 3 inputs, got 2"),
        (
            infer(SkipSimplifiedLayerNormalization { epsilon: 1e-5 }, &[&state, &state, &batch_of(&[512])]),
            "needs f32[512], got f32[batch,512]",
        ),
        (
            infer(MultiHeadAttention { heads: 3 }, &[&state, &state, &state]),
            "f32[batch,97,512] cannot be 3 heads of each position",
        ),
        (
            infer(MultiHeadAttention { heads: 8 }, &[&state, &state, &batch_of(&[97, 256])]),
            "mixes f32[batch,97,512] and f32[batch,97,256]",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found.expect_err("accepted"), expected);
    }
}
