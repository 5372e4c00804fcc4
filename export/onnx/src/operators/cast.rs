//! `Cast`.

use super::{Attribute, Operator};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::tensor::{DType, TensorType};

/// Conversion to another element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The type converted to.
    pub to: DType,
}

impl Operator for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![TensorType::new(self.to, inputs[0].shape.clone())])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let output = match (&inputs[0], self.to) {
            (Tensor::Float(array), DType::I32 | DType::I64) => Tensor::Int(array.mapv(|value| value as i64)),
            (Tensor::Float(array), DType::Bool) => Tensor::Bool(array.mapv(|value| value != 0.0)),
            (Tensor::Int(array), DType::F64 | DType::F32 | DType::F16) => {
                Tensor::Float(array.mapv(|value| value as f64))
            }
            (Tensor::Int(array), DType::Bool) => Tensor::Bool(array.mapv(|value| value != 0)),
            (Tensor::Bool(array), DType::F64 | DType::F32 | DType::F16) => {
                Tensor::Float(array.mapv(|value| f64::from(u8::from(value))))
            }
            (Tensor::Bool(array), DType::I32 | DType::I64) => Tensor::Int(array.mapv(i64::from)),
            (same, _) => same.clone(),
        };
        Ok(vec![output])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::int("to", i64::from(self.to.onnx()))]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let value = b.cast(at.g, b.ty(at.x()).dtype)?;
        Ok(at.like_input(b, value))
    }
}
