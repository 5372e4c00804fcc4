//! `SkipSimplifiedLayerNormalization` of ONNX Runtime.

use ndarray::Axis;

use super::{Attribute, Operator, OperatorSet};
use crate::OnnxError;
use crate::eval::{Arguments, Tensor, broadcast2};
use crate::infer::{expect, expect_alike, expect_type, last_size};
use crate::tensor::{DType, Dim, TensorType};

/// ONNX Runtime's own: `rms(x + skip) · gamma` over the last axis: (x, skip, gamma).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkipSimplifiedLayerNormalization {
    /// Added to the mean of squares.
    pub epsilon: f32,
}

impl Operator for SkipSimplifiedLayerNormalization {
    fn name(&self) -> &'static str {
        "SkipSimplifiedLayerNormalization"
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
        let last = last_size(state)?;
        expect_alike(state, inputs[1])?;
        expect_type(inputs[2], DType::F32, &[Dim::Fixed(last)])?;
        Ok(vec![state.clone()])
    }

    /// By its definition, with nothing taken from the operators that it stands for.
    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let mut output = broadcast2(inputs.floats(0)?, inputs.floats(1)?, |x, skip| x + skip)?;
        let (epsilon, last) = (f64::from(self.epsilon), Axis(output.ndim().saturating_sub(1)));
        for mut lane in output.lanes_mut(last) {
            let mean = lane.iter().map(|value| value * value).sum::<f64>() / lane.len() as f64;
            lane.mapv_inplace(|value| value / (mean + epsilon).sqrt());
        }
        Ok(vec![Tensor::Float(broadcast2(&output, inputs.floats(2)?, |value, gamma| value * gamma)?)])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::float("epsilon", self.epsilon)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, evaluate, float};
    use super::*;

    #[test]
    fn the_norm_is_of_the_sum() {
        let (x, skip, gamma) = (float(&[1, 2], &[1.0, 6.0]), float(&[1, 2], &[2.0, -2.0]), float(&[2], &[1.0, 10.0]));
        // 3 and 4: the mean of their squares and the epsilon are 16.
        let found = evaluate(&SkipSimplifiedLayerNormalization { epsilon: 3.5 }, &[&x, &skip, &gamma]);
        assert_near(found, &[0.75, 10.0]);
    }
}
