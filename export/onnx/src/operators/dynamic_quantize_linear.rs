//! `DynamicQuantizeLinear`.

use ndarray::{ArrayD, IxDyn};

use super::Operator;
use super::quantize_linear::steps;
use crate::OnnxError;
use crate::eval::{Arguments, Tensor};
use crate::infer::expect;
use crate::tensor::{DType, TensorType};

/// Floats to u8 with a scale and zero point from their own range: `x` to (quantised, scale f32, zero point u8). The
/// range is that of the whole tensor, so a row's numbers depend on the rows beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicQuantizeLinear;

impl Operator for DynamicQuantizeLinear {
    fn name(&self) -> &'static str {
        "DynamicQuantizeLinear"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect(inputs[0], DType::F32)?;
        let scalar = |dtype| TensorType::new(dtype, []);
        Ok(vec![TensorType::new(DType::U8, inputs[0].shape.clone()), scalar(DType::F32), scalar(DType::U8)])
    }

    /// The range is made to hold 0.
    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let input = inputs.floats(0)?;
        let low = input.iter().copied().fold(0.0, f64::min);
        let high = input.iter().copied().fold(0.0, f64::max);
        // A tensor of zeros has no range; any scale gives zeros back.
        let scale = if high > low { f64::from(((high - low) / 255.0) as f32) } else { 1.0 };
        let zero_point = steps(-low, scale).clamp(0.0, 255.0);
        let quantised = |value: &f64| (steps(*value, scale) + zero_point).clamp(0.0, 255.0) as i64;
        Ok(vec![
            Tensor::Int(input.map(quantised)),
            Tensor::Float(ArrayD::from_elem(IxDyn(&[]), scale)),
            Tensor::Int(ArrayD::from_elem(IxDyn(&[]), zero_point as i64)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evaluate, float};
    use super::*;

    /// The example of ONNX's specification of `DynamicQuantizeLinear`.
    #[test]
    fn dynamic_ranges_are_those_of_the_specification() {
        let x = float(&[6], &[0.0, 2.0, -3.0, -2.5, 1.34, 0.5]);
        let found = evaluate(&DynamicQuantizeLinear, &[&x]).expect("quantised");
        assert_eq!(found[0].to_ints().expect("ints"), [153, 255, 0, 26, 221, 179]);
        assert!((found[1].to_floats().expect("floats")[0] - 0.019_607_844).abs() < 1e-9);
        assert_eq!(found[2].to_ints().expect("ints"), [153]);
    }
}
