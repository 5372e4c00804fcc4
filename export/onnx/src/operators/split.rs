//! `Split`.

use super::slice::slice;
use super::{Attribute, Concat, Operator, int64_list};
use crate::OnnxError;
use crate::autodiff::{Backward, Contribution, Contributions, full};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::{axis_of, fixed};
use crate::tensor::{Dim, TensorType};

/// The input cut along an axis, one output a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The axis.
    pub axis: usize,
    /// Sizes of the parts.
    pub sizes: Vec<usize>,
}

impl Operator for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let Self { axis, sizes } = self;
        let mut shape = inputs[0].shape.clone();
        let whole = fixed(*axis_of(&mut shape, *axis)?)?;
        if sizes.iter().sum::<usize>() != whole {
            return Err(format!("parts {sizes:?} do not add up to {whole}"));
        }
        let part = |&size: &usize| {
            let mut shape = shape.clone();
            shape[*axis] = Dim::Fixed(size);
            TensorType::new(inputs[0].dtype, shape)
        };
        Ok(sizes.iter().map(part).collect())
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let input = inputs.floats(0)?;
        let mut start = 0;
        let part = |&size: &usize| {
            start += size;
            slice(input, self.axis, start - size, start).map(Tensor::Float)
        };
        self.sizes.iter().map(part).collect()
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("axis", self.axis as i64)]
    }

    fn constant_inputs(&self, _rank: usize) -> Vec<Vec<i64>> {
        vec![int64_list(&self.sizes)]
    }

    /// The parts' gradients one after the other, zeros for a part that nothing was read from.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let parts = at.node.outputs.iter().zip(at.upstream).map(|(&output, g)| {
            let ty = b.ty(output).clone();
            let g = g.unwrap_or_else(|| b.scalar(0.0, ty.dtype));
            full(b, g, &ty.shape)
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let shape = b.ty(at.x()).shape.clone();
        Ok(vec![Some(Contribution { value: b.node(Concat { axis: self.axis }, &parts)?, shape })])
    }
}
