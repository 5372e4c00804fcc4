//! `Unsqueeze`.

use ndarray::{ArrayD, Axis};

use super::{Operator, int64_list};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::liveness::Memory;
use crate::tensor::{Dim, TensorType};

/// Axes of size 1 inserted at these positions of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsqueeze {
    /// The positions, ascending.
    pub axes: Vec<usize>,
}

impl Operator for Unsqueeze {
    fn name(&self) -> &'static str {
        "Unsqueeze"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let mut shape = inputs[0].shape.clone();
        for &axis in &self.axes {
            if axis > shape.len() {
                return Err(format!("axis {axis} is past the end"));
            }
            shape.insert(axis, Dim::Fixed(1));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, shape)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        fn insert<T: Clone>(array: &ArrayD<T>, axes: &[usize]) -> ArrayD<T> {
            axes.iter().fold(array.clone(), |array, &axis| array.insert_axis(Axis(axis)))
        }
        Ok(vec![match &inputs[0] {
            Tensor::Float(array) => Tensor::Float(insert(array, &self.axes)),
            Tensor::Int(array) => Tensor::Int(insert(array, &self.axes)),
            Tensor::Bool(array) => Tensor::Bool(insert(array, &self.axes)),
        }])
    }

    fn constant_inputs(&self, _rank: usize) -> Vec<Vec<i64>> {
        vec![int64_list(&self.axes)]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        at.reshaped(b)
    }

    fn memory(&self) -> Memory {
        Memory::View
    }
}
