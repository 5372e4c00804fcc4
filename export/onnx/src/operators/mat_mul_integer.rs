//! `MatMulInteger`.

use ndarray::ArrayD;

use super::mat_mul::product;
use super::{Operator, quantize_linear::scalar};
use crate::OnnxError;
use crate::eval::{Arguments, Tensor};
use crate::infer::{expect, matmul_shape};
use crate::tensor::{DType, TensorType};

/// Matrix product of 8-bit integers in int32: (a u8, b i8, a's zero point u8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatMulInteger;

impl Operator for MatMulInteger {
    fn name(&self) -> &'static str {
        "MatMulInteger"
    }

    fn input_count(&self) -> Option<usize> {
        Some(3)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect(inputs[0], DType::U8)?;
        expect(inputs[1], DType::I8)?;
        expect(inputs[2], DType::U8)?;
        Ok(vec![TensorType::new(DType::I32, matmul_shape(&inputs[0].shape, &inputs[1].shape)?)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let zero_point = scalar(inputs.ints(2)?)?;
        let floats = |array: &ArrayD<i64>, zero: i64| array.mapv(|value| (value - zero) as f64);
        let product = product(&floats(inputs.ints(0)?, zero_point), &floats(inputs.ints(1)?, 0))?;
        Ok(vec![Tensor::Int(product.mapv(|value| value as i64))])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::evaluate;
    use super::*;

    #[test]
    fn integer_products_take_the_zero_point_off() {
        let int = |shape: &[usize], elements: &[i64]| Tensor::int(shape, elements.to_vec()).expect("shape");
        let (a, b) = (int(&[1, 2], &[11, 7]), int(&[2, 2], &[1, 4, 2, 5]));
        let found = evaluate(&MatMulInteger, &[&a, &b, &int(&[], &[12])]).expect("product");
        assert_eq!(found[0].to_ints().expect("ints"), [-11, -29]);
    }
}
