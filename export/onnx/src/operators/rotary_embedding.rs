//! `RotaryEmbedding` of ONNX Runtime.

use ndarray::ArrayD;

use super::{Attribute, Operator, OperatorSet};
use crate::OnnxError;
use crate::eval::{Arguments, Tensor};
use crate::infer::{expect, expect_type, head_layout};
use crate::tensor::{DType, Dim, TensorType};

/// ONNX Runtime's own: `x · cos + rotate_half(x) · sin`: (x `[batch, L, D]`, first position i64 `[1]`, cosines and
/// sines `[L, D / heads / 2]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotaryEmbedding {
    /// Heads, each of a width `D / heads`.
    pub heads: usize,
}

impl Operator for RotaryEmbedding {
    fn name(&self) -> &'static str {
        "RotaryEmbedding"
    }

    fn operator_set(&self) -> OperatorSet {
        OperatorSet::MICROSOFT
    }

    fn input_count(&self) -> Option<usize> {
        Some(4)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let state = inputs[0];
        expect(state, DType::F32)?;
        let (len, width) = head_layout(state, self.heads)?;
        expect(inputs[1], DType::I64)?;
        let table = [len, Dim::Fixed(width / 2)];
        inputs[2..].iter().try_for_each(|input| expect_type(input, DType::F32, &table))?;
        Ok(vec![state.clone()])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let cos_sin = [inputs.floats(2)?, inputs.floats(3)?];
        Ok(vec![Tensor::Float(rotated(inputs.floats(0)?, cos_sin, self.heads))])
    }

    /// Without `rotary_embedding_dim`, whole heads are rotated.
    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("num_heads", self.heads as i64)]
    }
}

/// The two halves of each head are the coordinates that are rotated, by an angle for each position and channel.
fn rotated(x: &ArrayD<f64>, [cos, sin]: [&ArrayD<f64>; 2], heads: usize) -> ArrayD<f64> {
    let width = x.shape()[2] / heads;
    let half = width / 2;
    let mut output = x.clone();
    for (row, position) in (0..x.shape()[0]).flat_map(|row| (0..x.shape()[1]).map(move |position| (row, position))) {
        for (head, c) in (0..heads).flat_map(|head| (0..half).map(move |c| (head, c))) {
            let (first, second) = (head * width + c, head * width + half + c);
            let (cos, sin) = (cos[[position, c]], sin[[position, c]]);
            let (a, b) = (x[[row, position, first]], x[[row, position, second]]);
            output[[row, position, first]] = a * cos - b * sin;
            output[[row, position, second]] = b * cos + a * sin;
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, evaluate, float};
    use super::*;

    #[test]
    fn halves_of_a_head_turn_by_the_position_s_angle() {
        let x = float(&[1, 2, 4], &[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
        let first = Tensor::int(&[1], vec![0]).expect("shape");
        let (cos, sin) = (float(&[2, 1], &[1.0, 0.0]), float(&[2, 1], &[0.0, 1.0]));
        let found = evaluate(&RotaryEmbedding { heads: 2 }, &[&x, &first, &cos, &sin]);
        assert_near(found, &[1.0, 2.0, 3.0, 4.0, -2.0, 1.0, -4.0, 3.0]);
    }
}
