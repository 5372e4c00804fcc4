//! `Softmax`.

use ndarray::Axis;

use super::{Attribute, Operator, ReduceSum};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::expect_float;
use crate::liveness::Memory;
use crate::tensor::TensorType;

/// Softmax over the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax;

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        "Softmax"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect_float(inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let mut output = inputs.floats(0)?.clone();
        let last = Axis(output.ndim().saturating_sub(1));
        for mut lane in output.lanes_mut(last) {
            let largest = lane.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            lane.mapv_inplace(|value| (value - largest).exp());
            let sum = lane.sum();
            lane.mapv_inplace(|value| value / sum);
        }
        Ok(vec![Tensor::Float(output)])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("axis", -1)]
    }

    /// `y (g - sum(g y))`, the sum over the last axis.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let y = at.y();
        let weighted = b.mul(at.g, y)?;
        let axis = b.ty(y).rank().saturating_sub(1);
        let sum = b.node(ReduceSum { axes: vec![axis] }, &[weighted])?;
        let centred = b.sub(at.g, sum)?;
        let value = b.mul(y, centred)?;
        Ok(at.like_input(b, value))
    }

    fn memory(&self) -> Memory {
        Memory::InPlace
    }
}
