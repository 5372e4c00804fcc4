//! `Where`.

use ndarray::{ArrayD, Zip};

use super::Operator;
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor, broadcast, joint_shape};
use crate::graph::GraphBuilder;
use crate::infer::{self, expect, same_dtype};
use crate::tensor::{DType, TensorType};

/// `condition ? a : b`, broadcast: (condition, a, b).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Where;

impl Operator for Where {
    fn name(&self) -> &'static str {
        "Where"
    }

    fn input_count(&self) -> Option<usize> {
        Some(3)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect(inputs[0], DType::Bool)?;
        let branches = infer::broadcast(&inputs[1].shape, &inputs[2].shape)?;
        Ok(vec![TensorType::new(same_dtype(&inputs[1..])?, infer::broadcast(&inputs[0].shape, &branches)?)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let condition = inputs.bools(0)?;
        let output = match (&inputs[1], &inputs[2]) {
            (Tensor::Int(a), Tensor::Int(b)) => Tensor::Int(pick(condition, a, b)?),
            (Tensor::Bool(a), Tensor::Bool(b)) => Tensor::Bool(pick(condition, a, b)?),
            (a, b) => Tensor::Float(pick(condition, a.floats()?, b.floats()?)?),
        };
        Ok(vec![output])
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let zero = b.scalar(0.0, b.ty(at.y()).dtype);
        let condition = at.node.inputs[0];
        let first = if at.wanted[1] { Some(b.select_where(condition, at.g, zero)?) } else { None };
        let second = if at.wanted[2] { Some(b.select_where(condition, zero, at.g)?) } else { None };
        let contribution = |value| at.like_output(b, value);
        Ok(vec![None, first.and_then(contribution), second.and_then(contribution)])
    }
}

fn pick<T: Clone>(condition: &ArrayD<bool>, a: &ArrayD<T>, b: &ArrayD<T>) -> Result<ArrayD<T>, OnnxError> {
    let shape = joint_shape(&joint_shape(condition.shape(), a.shape()), b.shape());
    let condition = broadcast(condition, &shape)?;
    let (a, b) = (broadcast(a, &shape)?, broadcast(b, &shape)?);
    Ok(Zip::from(&condition).and(&a).and(&b).map_collect(|&first, a, b| if first { a.clone() } else { b.clone() }))
}
