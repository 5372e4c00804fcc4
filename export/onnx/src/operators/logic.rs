//! `Or`, `Not`.

use super::Operator;
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor, broadcast2};
use crate::graph::GraphBuilder;
use crate::infer::{broadcast, expect};
use crate::tensor::{DType, TensorType};

/// `a || b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Or;

/// `!a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Not;

impl Operator for Or {
    fn name(&self) -> &'static str {
        "Or"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect(inputs[0], DType::Bool)?;
        expect(inputs[1], DType::Bool)?;
        Ok(vec![TensorType::new(DType::Bool, broadcast(&inputs[0].shape, &inputs[1].shape)?)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![Tensor::Bool(broadcast2(inputs.bools(0)?, inputs.bools(1)?, |&a, &b| a || b)?)])
    }

    fn gradient(&self, _b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.nothing())
    }
}

impl Operator for Not {
    fn name(&self) -> &'static str {
        "Not"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect(inputs[0], DType::Bool)?;
        Ok(vec![inputs[0].clone()])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![Tensor::Bool(inputs.bools(0)?.mapv(|value| !value))])
    }

    fn gradient(&self, _b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.nothing())
    }
}
