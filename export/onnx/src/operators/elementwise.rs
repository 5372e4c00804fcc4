//! Operators of one float input that work on each element by itself.

use std::any::Any;
use std::fmt::Debug;

use super::Operator;
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::{GraphBuilder, ValueId};
use crate::infer::expect_float;
use crate::liveness::Memory;
use crate::tensor::TensorType;

/// A function of one float. It makes a type an [`Operator`] whose output has the input's type.
pub trait Elementwise: Any + Debug + PartialEq + Send + Sync {
    /// The operator's ONNX name.
    const NAME: &'static str;

    /// The function.
    fn apply(x: f64) -> f64;

    /// Adds the gradient with respect to the input `x` from `g`, that of the output `y`.
    ///
    /// # Errors
    /// Those of the nodes that it adds.
    fn input_gradient(b: &mut GraphBuilder, x: ValueId, y: ValueId, g: ValueId) -> Result<ValueId, OnnxError>;
}

impl<T: Elementwise> Operator for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect_float(inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![Tensor::Float(inputs.floats(0)?.mapv(T::apply))])
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let gradient = T::input_gradient(b, at.x(), at.y(), at.g)?;
        Ok(at.like_input(b, gradient))
    }

    fn memory(&self) -> Memory {
        Memory::InPlace
    }
}
