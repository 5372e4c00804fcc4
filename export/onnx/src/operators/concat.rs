//! `Concat`.

use ndarray::Axis;

use super::{Attribute, Operator, Slice};
use crate::OnnxError;
use crate::autodiff::{Backward, Contribution, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::{axis_of, fixed, same_dtype};
use crate::tensor::{Dim, TensorType};

/// Inputs one after the other along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn input_count(&self) -> Option<usize> {
        None
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (dtype, axis) = (same_dtype(inputs)?, self.axis);
        let mut shape = inputs[0].shape.clone();
        let mut total = fixed(*axis_of(&mut shape, axis)?)?;
        for input in &inputs[1..] {
            let mut other = input.shape.clone();
            total += fixed(*axis_of(&mut other, axis)?)?;
            other[axis] = shape[axis];
            if other != shape {
                return Err(format!("{input} does not line up with {}", inputs[0]));
            }
        }
        shape[axis] = Dim::Fixed(total);
        Ok(vec![TensorType::new(dtype, shape)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let views = inputs.tensors().iter().map(|input| input.floats().map(|array| array.view()));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        let joined = ndarray::concatenate(Axis(self.axis), &views);
        Ok(vec![Tensor::Float(joined.map_err(|error| OnnxError::evaluation("Concat", error))?)])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("axis", self.axis as i64)]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let axis = self.axis;
        let g = at.whole(b)?;
        let mut start = 0;
        at.node
            .inputs
            .iter()
            .map(|&input| {
                let shape = b.ty(input).shape.clone();
                let size = at.fixed_size(b, input, axis)?;
                start += size;
                let value = b.node(Slice { axis, start: start - size, end: start }, &[g])?;
                Ok(Some(Contribution { value, shape }))
            })
            .collect()
    }
}
