//! `ArgMax`.

use ndarray::Axis;

use super::{Attribute, Operator};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::tensor::{DType, TensorType};

/// Index of the largest element of the last axis (the first of equals), which is dropped; int64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgMax;

impl Operator for ArgMax {
    fn name(&self) -> &'static str {
        "ArgMax"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (_, rest) = inputs[0].shape.split_last().ok_or("needs an axis")?;
        Ok(vec![TensorType::new(DType::I64, rest)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let input = inputs.floats(0)?;
        let output = input.map_axis(Axis(input.ndim().saturating_sub(1)), |lane| {
            let first_largest = lane.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (index, &value)| {
                if value > best.1 { (index, value) } else { best }
            });
            first_largest.0 as i64
        });
        Ok(vec![Tensor::Int(output)])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("axis", -1), Attribute::int("keepdims", 0)]
    }

    fn gradient(&self, _b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.nothing())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Softmax;
    use super::super::tests::{evaluate, float};
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals_and_softmax_sums_to_one() {
        let logits = float(&[1, 4], &[1.0, 3.0, 3.0, 2.0]);
        assert_eq!(evaluate(&ArgMax, &[&logits]).expect("argmax")[0].to_ints().expect("ints"), [1]);
        let softmax = evaluate(&Softmax, &[&logits]).expect("softmax")[0].to_floats().expect("floats");
        assert!((softmax.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((softmax[1] / softmax[0] - 2.0_f64.exp()).abs() < 1e-9);
    }
}
