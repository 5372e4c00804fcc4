//! `Greater`, `Less`, `Equal`.

use super::Operator;
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor, broadcast2};
use crate::graph::GraphBuilder;
use crate::infer::{broadcast, same_dtype};
use crate::tensor::{DType, TensorType};

/// `a > b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greater;

/// `a < b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Less;

/// `a == b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equal;

impl Operator for Greater {
    fn name(&self) -> &'static str {
        "Greater"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        truth_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        compare(inputs, |a, b| a > b, |a, b| a > b)
    }

    fn gradient(&self, _b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.nothing())
    }
}

impl Operator for Less {
    fn name(&self) -> &'static str {
        "Less"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        truth_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        compare(inputs, |a, b| a < b, |a, b| a < b)
    }

    fn gradient(&self, _b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.nothing())
    }
}

impl Operator for Equal {
    fn name(&self) -> &'static str {
        "Equal"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        truth_type(inputs)
    }

    #[expect(clippy::float_cmp, reason = "ONNX's Equal is exact")]
    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        compare(inputs, |a, b| a == b, |a, b| a == b)
    }

    fn gradient(&self, _b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.nothing())
    }
}

fn truth_type(inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    same_dtype(inputs)?;
    Ok(vec![TensorType::new(DType::Bool, broadcast(&inputs[0].shape, &inputs[1].shape)?)])
}

fn compare(
    inputs: &Arguments<'_>,
    float: impl Fn(&f64, &f64) -> bool,
    int: impl Fn(&i64, &i64) -> bool,
) -> Result<Vec<Tensor>, OnnxError> {
    let output = match (&inputs[0], &inputs[1]) {
        (Tensor::Int(a), Tensor::Int(b)) => broadcast2(a, b, int)?,
        (a, b) => broadcast2(a.floats()?, b.floats()?, float)?,
    };
    Ok(vec![Tensor::Bool(output)])
}
