//! `Reshape`.

use ndarray::ArrayD;

use super::Operator;
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::element_count;
use crate::liveness::Memory;
use crate::tensor::{Dim, TensorType};

/// The same elements under another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshape {
    /// The new shape.
    pub shape: Vec<Dim>,
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if element_count(&inputs[0].shape) != element_count(&self.shape) {
            return Err("the new shape has another number of elements".into());
        }
        Ok(vec![TensorType::new(inputs[0].dtype, self.shape.clone())])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![match &inputs[0] {
            Tensor::Float(array) => Tensor::Float(reshape(array, &self.shape)?),
            Tensor::Int(array) => Tensor::Int(reshape(array, &self.shape)?),
            Tensor::Bool(array) => Tensor::Bool(reshape(array, &self.shape)?),
        }])
    }

    fn constant_inputs(&self, _rank: usize) -> Vec<Vec<i64>> {
        let size = |dim: &Dim| if let Dim::Fixed(size) = dim { *size as i64 } else { -1 };
        vec![self.shape.iter().map(size).collect()]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        at.reshaped(b)
    }

    fn memory(&self) -> Memory {
        Memory::View
    }
}

fn reshape<T: Clone>(input: &ArrayD<T>, shape: &[Dim]) -> Result<ArrayD<T>, OnnxError> {
    let known = shape.iter().map(|dim| if let Dim::Fixed(size) = dim { *size } else { 1 }).product::<usize>();
    let batch = input.len() / known.max(1);
    let shape = shape.iter().map(|dim| if let Dim::Fixed(size) = dim { *size } else { batch }).collect::<Vec<_>>();
    input.to_shape(shape).map(|array| array.to_owned()).map_err(|error| OnnxError::evaluation("Reshape", error))
}
