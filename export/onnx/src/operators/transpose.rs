//! `Transpose`.

use super::{Attribute, Operator};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::tensor::TensorType;

/// Axes permuted: axis `i` of the result is axis `perm[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transpose {
    /// The permutation.
    pub perm: Vec<usize>,
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (shape, perm) = (&inputs[0].shape, &self.perm);
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if sorted != (0..shape.len()).collect::<Vec<_>>() {
            return Err(format!("{perm:?} is no permutation of the axes"));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, perm.iter().map(|&axis| shape[axis]).collect::<Vec<_>>())])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let permuted = inputs.floats(0)?.view().permuted_axes(self.perm.clone());
        Ok(vec![Tensor::Float(permuted.as_standard_layout().into_owned())])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::ints("perm", &self.perm)]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let g = at.whole(b)?;
        let mut inverse = vec![0; self.perm.len()];
        self.perm.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        let value = b.transpose(g, &inverse)?;
        Ok(at.like_input(b, value))
    }
}
