//! `QuantizeLinear`, `DequantizeLinear`.

use ndarray::ArrayD;

use super::{Attribute, Operator};
use crate::OnnxError;
use crate::eval::{Arguments, Tensor, broadcast2};
use crate::infer::{axis_of, expect};
use crate::tensor::{DType, TensorType};

/// `round(x / scale)` saturated to i8: (x, scale, zero point i8, which is 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantizeLinear;

/// `scale · q` along an axis, or for a scalar scale throughout: (q i8, scale, zero point i8, which is 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DequantizeLinear {
    /// The axis that the scale's elements belong to.
    pub axis: usize,
}

impl Operator for QuantizeLinear {
    fn name(&self) -> &'static str {
        "QuantizeLinear"
    }

    fn input_count(&self) -> Option<usize> {
        Some(3)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect(inputs[0], DType::F32)?;
        expect(inputs[1], DType::F32)?;
        expect(inputs[2], DType::I8)?;
        Ok(vec![TensorType::new(DType::I8, inputs[0].shape.clone())])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let scale = scalar(inputs.floats(1)?)?;
        let quantised = |value: &f64| steps(*value, scale).clamp(-128.0, 127.0) as i64;
        Ok(vec![Tensor::Int(inputs.floats(0)?.map(quantised))])
    }
}

impl Operator for DequantizeLinear {
    fn name(&self) -> &'static str {
        "DequantizeLinear"
    }

    fn input_count(&self) -> Option<usize> {
        Some(3)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let axis = self.axis;
        expect(inputs[0], DType::I8)?;
        expect(inputs[1], DType::F32)?;
        expect(inputs[2], DType::I8)?;
        let along = [*axis_of(&mut inputs[0].shape.clone(), axis)?];
        if !inputs[1].shape.is_empty() && inputs[1].shape != along {
            return Err(format!("a scale for each element of axis {axis} expected, got {}", inputs[1]));
        }
        Ok(vec![TensorType::new(DType::F32, inputs[0].shape.clone())])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let (quantised, scale) = (inputs.ints(0)?.mapv(|value| value as f64), inputs.floats(1)?);
        let mut shape = vec![1; quantised.ndim()];
        if scale.ndim() == 1 {
            shape[self.axis] = scale.len();
        }
        let scale = scale.to_shape(shape).map_err(|error| OnnxError::evaluation("DequantizeLinear", error))?;
        Ok(vec![Tensor::Float(broadcast2(&quantised, &scale.into_owned(), |q, scale| q * scale)?)])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("axis", self.axis as i64)]
    }
}

/// The one element of a scalar.
pub(super) fn scalar<T: Copy>(array: &ArrayD<T>) -> Result<T, OnnxError> {
    array.first().copied().ok_or_else(|| OnnxError::evaluation("value", "a scalar expected"))
}

/// A value in steps of the scale, divided in float32 and rounded with ties to even: the one place where the width of the
/// division shows, since a value halfway between two integers may fall to either side.
pub(super) fn steps(value: f64, scale: f64) -> f64 {
    f64::from((value as f32 / scale as f32).round_ties_even())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evaluate, float};
    use super::*;

    #[test]
    fn static_ranges_saturate_and_come_back_scaled() {
        let zero = Tensor::int(&[], vec![0]).expect("shape");
        let x = float(&[4], &[0.25, -0.75, 100.0, -100.0]);
        let found = evaluate(&QuantizeLinear, &[&x, &float(&[], &[0.5]), &zero]).expect("quantised");
        // Ties to even: 0.5 becomes 0, -1.5 becomes -2.
        assert_eq!(found[0].to_ints().expect("ints"), [0, -2, 127, -128]);
        let q = Tensor::int(&[2, 2], vec![1, 2, 3, 4]).expect("shape");
        let op = DequantizeLinear { axis: 1 };
        let found = evaluate(&op, &[&q, &float(&[2], &[0.5, 10.0]), &zero]).expect("floats");
        assert_eq!(found[0].to_floats().expect("floats"), [0.5, 20.0, 1.5, 40.0]);
    }
}
