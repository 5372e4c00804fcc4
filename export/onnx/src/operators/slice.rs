//! `Slice`.

use ndarray::{ArrayD, Axis};

use super::{Operator, Pad, int64_list};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::{axis_of, fixed};
use crate::tensor::{Dim, TensorType};

/// `start..end` of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// First index taken.
    pub start: usize,
    /// First index not taken.
    pub end: usize,
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let Self { axis, start, end } = *self;
        let mut shape = inputs[0].shape.clone();
        let dim = axis_of(&mut shape, axis)?;
        let whole = fixed(*dim)?;
        if start > end || end > whole {
            return Err(format!("{start}..{end} is not within 0..{whole}"));
        }
        *dim = Dim::Fixed(end - start);
        Ok(vec![TensorType::new(inputs[0].dtype, shape)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![Tensor::Float(slice(inputs.floats(0)?, self.axis, self.start, self.end)?)])
    }

    fn constant_inputs(&self, _rank: usize) -> Vec<Vec<i64>> {
        [self.start, self.end, self.axis].map(|value| int64_list(&[value])).into()
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let Self { axis, start, end } = *self;
        let g = at.whole(b)?;
        let whole = at.fixed_size(b, at.x(), axis)?;
        let value = b.node(Pad { axis, before: start, after: whole - end }, &[g])?;
        Ok(at.like_input(b, value))
    }
}

pub(super) fn slice(input: &ArrayD<f64>, axis: usize, start: usize, end: usize) -> Result<ArrayD<f64>, OnnxError> {
    if end > input.shape()[axis] {
        return Err(OnnxError::evaluation("Slice", format!("{start}..{end} of {:?}", input.shape())));
    }
    Ok(input.slice_axis(Axis(axis), ndarray::Slice::from(start..end)).to_owned())
}
