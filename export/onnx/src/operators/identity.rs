//! `Identity`, with and without a gradient.

use super::Operator;
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::liveness::Memory;
use crate::tensor::TensorType;

/// The input unchanged, under the output's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity;

/// The input unchanged, and no gradient through it; `Identity` in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detach;

impl Operator for Identity {
    fn name(&self) -> &'static str {
        "Identity"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![inputs[0].clone()])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.like_input(b, at.g))
    }

    fn memory(&self) -> Memory {
        Memory::View
    }
}

impl Operator for Detach {
    fn name(&self) -> &'static str {
        Identity.name()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Identity.infer(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Identity.evaluate(inputs)
    }

    fn gradient(&self, _b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.nothing())
    }

    fn passes_gradients(&self) -> bool {
        false
    }

    fn memory(&self) -> Memory {
        Memory::View
    }
}
