//! `Pad`.

use ndarray::{ArrayD, Axis};

use super::{Operator, Slice};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::{axis_of, expect_float, fixed};
use crate::tensor::{Dim, TensorType};

/// Zeros put before and behind along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pad {
    /// The axis.
    pub axis: usize,
    /// Zeros before.
    pub before: usize,
    /// Zeros behind.
    pub after: usize,
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect_float(inputs[0])?;
        let mut shape = inputs[0].shape.clone();
        let dim = axis_of(&mut shape, self.axis)?;
        *dim = Dim::Fixed(self.before + fixed(*dim)? + self.after);
        Ok(vec![TensorType::new(inputs[0].dtype, shape)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let input = inputs.floats(0)?;
        let zeros = |size: usize| {
            let mut shape = input.shape().to_vec();
            shape[self.axis] = size;
            ArrayD::zeros(shape)
        };
        let (front, back) = (zeros(self.before), zeros(self.after));
        let joined = ndarray::concatenate(Axis(self.axis), &[front.view(), input.view(), back.view()]);
        Ok(vec![Tensor::Float(joined.map_err(|error| OnnxError::evaluation("Pad", error))?)])
    }

    fn constant_inputs(&self, rank: usize) -> Vec<Vec<i64>> {
        let mut pads = vec![0; 2 * rank];
        pads[self.axis] = self.before as i64;
        pads[rank + self.axis] = self.after as i64;
        vec![pads]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let g = at.whole(b)?;
        let size = at.fixed_size(b, at.x(), self.axis)?;
        let value = b.node(Slice { axis: self.axis, start: self.before, end: self.before + size }, &[g])?;
        Ok(at.like_input(b, value))
    }
}
