//! The operators on 8-bit integers, as ONNX defines them: scales are float32, integers are exact.

use ndarray::{ArrayD, IxDyn};

use super::{Op, Tensor, broadcast2, evaluation, matmul};
use crate::ExportError;

/// The outputs of one of the quantised operators.
pub(super) fn outputs(op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>, ExportError> {
    Ok(match op {
        Op::DynamicQuantizeLinear => dynamic_quantize(inputs[0].floats()?),
        Op::MatMulInteger => {
            let zero_point = scalar(inputs[2].ints()?)?;
            let floats = |array: &ArrayD<i64>, zero: i64| array.mapv(|value| (value - zero) as f64);
            let product = matmul(&floats(inputs[0].ints()?, zero_point), &floats(inputs[1].ints()?, 0))?;
            vec![Tensor::Int(product.mapv(|value| value as i64))]
        }
        Op::QuantizeLinear => {
            let scale = scalar(inputs[1].floats()?)?;
            let quantised = |value: &f64| steps(*value, scale).clamp(-128.0, 127.0) as i64;
            vec![Tensor::Int(inputs[0].floats()?.map(quantised))]
        }
        Op::DequantizeLinear { axis } => {
            let (quantised, scale) = (inputs[0].ints()?.mapv(|value| value as f64), inputs[1].floats()?);
            let mut shape = vec![1; quantised.ndim()];
            if scale.ndim() == 1 {
                shape[*axis] = scale.len();
            }
            let scale = scale.to_shape(shape).map_err(|error| evaluation("DequantizeLinear", error))?.into_owned();
            vec![Tensor::Float(broadcast2(&quantised, &scale, |q, scale| q * scale)?)]
        }
        other => return Err(evaluation(other.name(), "no quantised operator")),
    })
}

fn scalar<T: Copy>(array: &ArrayD<T>) -> Result<T, ExportError> {
    array.first().copied().ok_or_else(|| evaluation("value", "a scalar expected"))
}

/// A value in steps of the scale, divided in float32 and rounded with ties to even: the one place where the width of the
/// division shows, since a value halfway between two integers may fall to either side.
fn steps(value: f64, scale: f64) -> f64 {
    f64::from((value as f32 / scale as f32).round_ties_even())
}

/// The range is made to hold 0.
fn dynamic_quantize(input: &ArrayD<f64>) -> Vec<Tensor> {
    let low = input.iter().copied().fold(0.0, f64::min);
    let high = input.iter().copied().fold(0.0, f64::max);
    // A tensor of zeros has no range; any scale gives zeros back.
    let scale = if high > low { f64::from(((high - low) / 255.0) as f32) } else { 1.0 };
    let zero_point = steps(-low, scale).clamp(0.0, 255.0);
    let quantised = |value: &f64| (steps(*value, scale) + zero_point).clamp(0.0, 255.0) as i64;
    vec![
        Tensor::Int(input.map(quantised)),
        Tensor::Float(ArrayD::from_elem(IxDyn(&[]), scale)),
        Tensor::Int(ArrayD::from_elem(IxDyn(&[]), zero_point as i64)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(shape: &[usize], elements: &[f64]) -> Tensor {
        Tensor::float(shape, elements.to_vec()).expect("shape")
    }

    /// The example of ONNX's specification of `DynamicQuantizeLinear`.
    #[test]
    fn dynamic_ranges_are_those_of_the_specification() {
        let x = float(&[6], &[0.0, 2.0, -3.0, -2.5, 1.34, 0.5]);
        let found = outputs(&Op::DynamicQuantizeLinear, &[&x]).expect("quantised");
        assert_eq!(found[0].to_ints().expect("ints"), [153, 255, 0, 26, 221, 179]);
        assert!((found[1].to_floats().expect("floats")[0] - 0.019_607_844).abs() < 1e-9);
        assert_eq!(found[2].to_ints().expect("ints"), [153]);
    }

    #[test]
    fn integer_products_take_the_zero_point_off() {
        let int = |shape: &[usize], elements: &[i64]| Tensor::int(shape, elements.to_vec()).expect("shape");
        let (a, b) = (int(&[1, 2], &[11, 7]), int(&[2, 2], &[1, 4, 2, 5]));
        let found = outputs(&Op::MatMulInteger, &[&a, &b, &int(&[], &[12])]).expect("product");
        assert_eq!(found[0].to_ints().expect("ints"), [-11, -29]);
    }

    #[test]
    fn static_ranges_saturate_and_come_back_scaled() {
        let zero = Tensor::int(&[], vec![0]).expect("shape");
        let x = float(&[4], &[0.25, -0.75, 100.0, -100.0]);
        let found = outputs(&Op::QuantizeLinear, &[&x, &float(&[], &[0.5]), &zero]).expect("quantised");
        // Ties to even: 0.5 becomes 0, -1.5 becomes -2.
        assert_eq!(found[0].to_ints().expect("ints"), [0, -2, 127, -128]);
        let q = Tensor::int(&[2, 2], vec![1, 2, 3, 4]).expect("shape");
        let op = Op::DequantizeLinear { axis: 1 };
        let found = outputs(&op, &[&q, &float(&[2], &[0.5, 10.0]), &zero]).expect("floats");
        assert_eq!(found[0].to_floats().expect("floats"), [0.5, 20.0, 1.5, 40.0]);
    }
}
