//! `Max` and `Sum` of any number of inputs.

use ndarray::ArrayD;

use super::{Equal, Operator};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::tensor::TensorType;

/// The largest of inputs of the same shape, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Max;

/// The sum of inputs of the same shape, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum;

impl Operator for Max {
    fn name(&self) -> &'static str {
        "Max"
    }

    fn input_count(&self) -> Option<usize> {
        None
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        same_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        folded(inputs, |most, &value| *most = most.max(value))
    }

    /// To the largest inputs of each element, in equal parts where there are several.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let g = at.whole(b)?;
        let dtype = b.ty(g).dtype;
        let mut largest = Vec::with_capacity(at.node.inputs.len());
        for &input in &at.node.inputs {
            let is_largest = b.node(Equal, &[input, at.y()])?;
            largest.push(b.cast(is_largest, dtype)?);
        }
        let count = b.node(Sum, &largest)?;
        let share = b.div(g, count)?;
        let gradient = |largest| b.mul(largest, share).map(|value| at.like_output(b, value));
        largest.into_iter().map(gradient).collect()
    }
}

impl Operator for Sum {
    fn name(&self) -> &'static str {
        "Sum"
    }

    fn input_count(&self) -> Option<usize> {
        None
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        same_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        folded(inputs, |sum, value| *sum += value)
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.node.inputs.iter().map(|_| at.like_output(b, at.g)).collect())
    }
}

/// The type that all inputs have.
fn same_type(inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    let first = *inputs.first().ok_or("no input")?;
    match inputs.iter().find(|input| **input != first) {
        Some(other) => Err(format!("{other} is not {first}")),
        None => Ok(vec![first.clone()]),
    }
}

/// Every element of the first input, with those of the others folded into it.
fn folded(inputs: &Arguments<'_>, fold: impl Fn(&mut f64, &f64)) -> Result<Vec<Tensor>, OnnxError> {
    let mut result: ArrayD<f64> = inputs.floats(0)?.clone();
    for index in 1..inputs.tensors().len() {
        result.zip_mut_with(inputs.floats(index)?, &fold);
    }
    Ok(vec![Tensor::Float(result)])
}
