//! `MatMul`.

use ndarray::{ArrayD, ArrayViewD, Axis, Ix2};

use super::{Operator, Transpose};
use crate::OnnxError;
use crate::autodiff::{Backward, Contribution, Contributions};
use crate::eval::{Arguments, Tensor, broadcast, joint_shape};
use crate::graph::{GraphBuilder, ValueId};
use crate::infer::{expect_float, matmul_shape, same_dtype};
use crate::tensor::{Dim, TensorType};

/// Matrix product over the last two axes, the leading ones broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatMul;

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect_float(inputs[0])?;
        Ok(vec![TensorType::new(same_dtype(inputs)?, matmul_shape(&inputs[0].shape, &inputs[1].shape)?)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![Tensor::Float(product(inputs.floats(0)?, inputs.floats(1)?)?)])
    }

    /// `y = a w`: `g wᵀ` and `aᵀ g`. A weight that multiplies every matrix of a stack from the right gets one product of
    /// all their rows.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let (left, right) = (at.node.inputs[0], at.node.inputs[1]);
        let (left_shape, right_shape) = (b.ty(left).shape.clone(), b.ty(right).shape.clone());
        let out = b.ty(at.y()).shape.clone();
        let g = at.whole(b)?;
        let lead = &out[..out.len() - 2];
        // Before it is summed over the axes along which it was broadcast, an operand's gradient has the output's stack.
        let stacked = |shape: &[Dim]| lead.iter().chain(&shape[shape.len() - 2..]).copied().collect::<Vec<_>>();
        let first = if at.wanted[0] {
            let transposed = transposed(b, right)?;
            Some(Contribution { value: b.matmul(g, transposed)?, shape: stacked(&left_shape) })
        } else {
            None
        };
        let second = if at.wanted[1] {
            let rows = left_shape[..left_shape.len() - 1].iter().try_fold(1, |count, dim| match dim {
                Dim::Fixed(size) => Some(count * size),
                Dim::Batch => None,
            });
            Some(match rows {
                Some(rows) if right_shape.len() == 2 && left_shape.len() > 2 => {
                    let a = b.reshape(left, &[Dim::Fixed(rows), right_shape[0]])?;
                    let a = b.transpose(a, &[1, 0])?;
                    let g = b.reshape(g, &[Dim::Fixed(rows), right_shape[1]])?;
                    Contribution { value: b.matmul(a, g)?, shape: right_shape }
                }
                _ => {
                    let transposed = transposed(b, left)?;
                    Contribution { value: b.matmul(transposed, g)?, shape: stacked(&right_shape) }
                }
            })
        } else {
            None
        };
        Ok(vec![first, second])
    }
}

/// The last two axes swapped; a value that is itself such a swap is taken back to what it was made of.
fn transposed(b: &mut GraphBuilder, value: ValueId) -> Result<ValueId, OnnxError> {
    let rank = b.ty(value).rank();
    let mut perm = (0..rank).collect::<Vec<_>>();
    perm.swap(rank - 2, rank - 1);
    let source = b.graph().nodes().iter().find(|node| node.outputs.contains(&value));
    if let Some(node) = source
        && node.op.get::<Transpose>().is_some_and(|found| found.perm == perm)
    {
        return Ok(node.inputs[0]);
    }
    b.transpose(value, &perm)
}

/// Product over the last two axes; the leading ones broadcast.
pub(super) fn product(a: &ArrayD<f64>, b: &ArrayD<f64>) -> Result<ArrayD<f64>, OnnxError> {
    let ([lead_a @ .., rows, inner], [lead_b @ .., _, columns]) = (a.shape(), b.shape()) else {
        return Err(OnnxError::evaluation("MatMul", "needs at least two axes"));
    };
    let lead = joint_shape(lead_a, lead_b);
    let with = |tail: [usize; 2]| lead.iter().copied().chain(tail).collect::<Vec<_>>();
    let a = broadcast(a, &with([*rows, *inner]))?;
    let b = broadcast(b, &with([*inner, *columns]))?;
    let mut product = ArrayD::zeros(with([*rows, *columns]));
    // Leading axes folded to one list of matrices; broadcast views cannot be reshaped, so they are indexed.
    for index in ndarray::indices(lead.as_slice()) {
        let at = |view: ArrayViewD<'_, f64>| -> Result<_, OnnxError> {
            let matrix = (0..lead.len()).fold(view, |view, axis| view.index_axis_move(Axis(0), index[axis]));
            let matrix = matrix.into_dimensionality::<Ix2>().map_err(|error| OnnxError::evaluation("MatMul", error))?;
            Ok(matrix.to_owned())
        };
        let result = at(a.view())?.dot(&at(b.view())?);
        let mut target =
            (0..lead.len()).fold(product.view_mut(), |view, axis| view.index_axis_move(Axis(0), index[axis]));
        target.assign(&result);
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evaluate, float};
    use super::*;

    #[test]
    fn matrix_products_broadcast_their_leading_axes() {
        let weight = float(&[1, 2], &[10.0, 1.0]);
        let rows = float(&[2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let product = evaluate(&MatMul, &[&weight, &rows]).expect("product");
        assert_eq!(product, [float(&[2, 1, 2], &[13.0, 24.0, 57.0, 68.0])]);
    }
}
