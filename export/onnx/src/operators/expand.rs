//! `Expand`.

use super::Operator;
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{self, Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::broadcast;
use crate::tensor::{Dim, TensorType};

/// The input repeated along axes of size 1, and along new axes in front, up to a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expand {
    /// The shape, without a batch axis of unknown size.
    pub shape: Vec<Dim>,
}

impl Operator for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if self.shape.contains(&Dim::Batch) {
            return Err("the batch size is not known".into());
        }
        match broadcast(&inputs[0].shape, &self.shape)? {
            joint if joint == self.shape => Ok(vec![TensorType::new(inputs[0].dtype, joint)]),
            _ => Err(format!("{} does not expand to that shape", inputs[0])),
        }
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let shape = self.shape.iter().map(|dim| match dim {
            Dim::Fixed(size) => Ok(*size),
            Dim::Batch => Err(OnnxError::evaluation("Expand", "the batch size is not known")),
        });
        let shape = shape.collect::<Result<Vec<_>, _>>()?;
        Ok(vec![Tensor::Float(eval::broadcast(inputs.floats(0)?, &shape)?.to_owned())])
    }

    fn constant_inputs(&self, _rank: usize) -> Vec<Vec<i64>> {
        let size = |dim: &Dim| if let Dim::Fixed(size) = dim { *size as i64 } else { 1 };
        vec![self.shape.iter().map(size).collect()]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(vec![at.like_output(b, at.g)])
    }
}
