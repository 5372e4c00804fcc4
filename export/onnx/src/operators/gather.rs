//! `Gather`.

use ndarray::{ArrayD, Axis};

use super::{Attribute, Equal, Operator, Unsqueeze};
use crate::OnnxError;
use crate::autodiff::{Backward, Contribution, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::axis_of;
use crate::tensor::{Constant, DType, Dim, TensorType};

/// `data` indexed along one axis by `indices`: (data, indices).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// The axis indexed.
    pub axis: usize,
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if !matches!(inputs[1].dtype, DType::I32 | DType::I64) {
            return Err(format!("indices must be i32 or i64, got {}", inputs[1]));
        }
        let mut shape = inputs[0].shape.clone();
        axis_of(&mut shape, self.axis)?;
        shape.splice(self.axis..=self.axis, inputs[1].shape.iter().copied());
        Ok(vec![TensorType::new(inputs[0].dtype, shape)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![Tensor::Float(gather(inputs.floats(0)?, inputs.ints(1)?, self.axis)?)])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("axis", self.axis as i64)]
    }

    /// The elements that were taken give their gradient back: a product with the one-hot matrix of the indices. One
    /// element of an axis: zeros everywhere else.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let axis = self.axis;
        let (table, indices) = (at.node.inputs[0], at.node.inputs[1]);
        let (shape, index_type) = (b.ty(table).shape.clone(), b.ty(indices).clone());
        let g = at.whole(b)?;
        let rows = at.fixed_size(b, table, axis)?;
        let positions = b.constant(&format!("positions.{}.{rows}", index_type.dtype), || match index_type.dtype {
            DType::I32 => Constant::i32(&[rows], (0..rows as i32).collect::<Vec<_>>()),
            _ => Constant::i64(&[rows], (0..rows as i64).collect::<Vec<_>>()),
        });
        let dtype = b.ty(g).dtype;
        if index_type.rank() == 0 {
            let hit = b.node(Equal, &[positions, indices])?;
            let hit = b.cast(hit, dtype)?;
            let mut column = vec![Dim::Fixed(1); shape.len() - axis];
            column[0] = Dim::Fixed(rows);
            let hit = b.reshape(hit, &column)?;
            let g = b.node(Unsqueeze { axes: vec![axis] }, &[g])?;
            return Ok(vec![Some(Contribution { value: b.mul(g, hit)?, shape }), None]);
        }
        let sizes = |dims: &[Dim]| {
            dims.iter().try_fold(1, |count, dim| if let Dim::Fixed(size) = dim { Some(count * size) } else { None })
        };
        let (lead, tail) = (sizes(&shape[..axis]), sizes(&shape[axis + 1..]));
        let (Some(picked), Some(lead), Some(tail)) = (sizes(&index_type.shape), lead, tail) else {
            return Err(OnnxError::NoGradient {
                node: b.graph().value(at.y()).name.clone(),
                reason: "Gather has a rule where all sizes are known".into(),
            });
        };
        let column = b.reshape(indices, &[Dim::Fixed(picked), Dim::Fixed(1)])?;
        let hits = b.node(Equal, &[column, positions])?;
        let hits = b.cast(hits, dtype)?;
        let hits = b.transpose(hits, &[1, 0])?;
        // The axes before the one that is indexed are a stack of matrices.
        let stack = (axis > 0).then_some(Dim::Fixed(lead));
        let matrices = stack.into_iter().chain([Dim::Fixed(picked), Dim::Fixed(tail)]).collect::<Vec<_>>();
        let g = b.reshape(g, &matrices)?;
        let sums = b.matmul(hits, g)?;
        Ok(vec![Some(Contribution { value: b.reshape(sums, &shape)?, shape }), None])
    }
}

fn gather(data: &ArrayD<f64>, indices: &ArrayD<i64>, axis: usize) -> Result<ArrayD<f64>, OnnxError> {
    let size = data.shape()[axis];
    let picked = indices
        .iter()
        .map(|&index| usize::try_from(index).ok().filter(|&index| index < size))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| OnnxError::evaluation("Gather", format!("an index is outside 0..{size}")))?;
    let mut shape = data.shape().to_vec();
    shape.splice(axis..=axis, indices.shape().iter().copied());
    let gathered = data.select(Axis(axis), &picked);
    let gathered = gathered.to_shape(shape).map_err(|error| OnnxError::evaluation("Gather", error))?;
    Ok(gathered.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evaluate, float};
    use super::*;

    #[test]
    fn gather_refuses_an_index_outside_the_table() {
        let table = float(&[2, 1], &[1.0, 2.0]);
        let indices = Tensor::int(&[1], vec![2]).expect("shape");
        let error = evaluate(&Gather { axis: 0 }, &[&table, &indices]).expect_err("accepted");
        assert_eq!(error.to_string(), "evaluating Gather: an index is outside 0..2");
    }
}
