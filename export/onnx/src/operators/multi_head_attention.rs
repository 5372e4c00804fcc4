//! `MultiHeadAttention` of ONNX Runtime.

use ndarray::ArrayD;

use super::{Attribute, Operator, OperatorSet};
use crate::OnnxError;
use crate::eval::{Arguments, Tensor};
use crate::infer::{expect, expect_alike, head_layout};
use crate::tensor::{DType, TensorType};

/// ONNX Runtime's own: softmax attention scaled by `1 / sqrt(D / heads)`, without a mask: queries, keys, values
/// `[batch, L, D]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiHeadAttention {
    /// Heads, each of a width `D / heads`.
    pub heads: usize,
}

impl Operator for MultiHeadAttention {
    fn name(&self) -> &'static str {
        "MultiHeadAttention"
    }

    fn operator_set(&self) -> OperatorSet {
        OperatorSet::MICROSOFT
    }

    fn input_count(&self) -> Option<usize> {
        Some(3)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let state = inputs[0];
        expect(state, DType::F32)?;
        head_layout(state, self.heads)?;
        inputs[1..].iter().try_for_each(|input| expect_alike(state, input))?;
        Ok(vec![state.clone()])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let [queries, keys, values] = [inputs.floats(0)?, inputs.floats(1)?, inputs.floats(2)?];
        Ok(vec![Tensor::Float(attention([queries, keys, values], self.heads))])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("num_heads", self.heads as i64)]
    }
}

/// For each row, head and position: the values averaged by `softmax(q · k / sqrt(width))`. Each sum on its own, nothing
/// taken from the operators that it stands for.
fn attention([queries, keys, values]: [&ArrayD<f64>; 3], heads: usize) -> ArrayD<f64> {
    let (len, width) = (queries.shape()[1], queries.shape()[2] / heads);
    let mut output = ArrayD::zeros(queries.shape());
    for (row, head) in (0..queries.shape()[0]).flat_map(|row| (0..heads).map(move |head| (row, head))) {
        let channels = head * width..(head + 1) * width;
        for position in 0..len {
            let score = |other: usize| {
                let product =
                    channels.clone().map(|c| queries[[row, position, c]] * keys[[row, other, c]]).sum::<f64>();
                product / (width as f64).sqrt()
            };
            let scores: Vec<f64> = (0..len).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for c in channels.clone() {
                let sum: f64 = weights.iter().enumerate().map(|(other, weight)| weight * values[[row, other, c]]).sum();
                output[[row, position, c]] = sum / total;
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, evaluate, float};
    use super::*;

    #[test]
    fn heads_attend_apart_and_equal_scores_average() {
        let queries = float(&[1, 2, 2], &[0.0, 1.0, 0.0, 0.0]);
        let keys = float(&[1, 2, 2], &[5.0, 2.0_f64.ln(), 5.0, 0.0]);
        let values = float(&[1, 2, 2], &[1.0, 9.0, 3.0, 3.0]);
        let found = evaluate(&MultiHeadAttention { heads: 2 }, &[&queries, &keys, &values]);
        // Head 0 averages everywhere; head 1 weighs 2 to 1 at the first position.
        assert_near(found, &[2.0, 7.0, 2.0, 6.0]);
    }
}
