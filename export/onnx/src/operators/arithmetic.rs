//! `Add`, `Sub`, `Mul`, `Div`.

use super::{Neg, Operator, Sigmoid};
use crate::OnnxError;
use crate::autodiff::{Backward, Contribution, Contributions, reduce_to};
use crate::eval::{Arguments, Tensor, broadcast2};
use crate::graph::{GraphBuilder, ValueId};
use crate::infer::{broadcast, same_dtype};
use crate::liveness::Memory;
use crate::tensor::TensorType;

/// `a + b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add;

/// `a - b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sub;

/// `a * b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mul;

/// `a / b`, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Div;

impl Operator for Add {
    fn name(&self) -> &'static str {
        "Add"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        broadcast_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        arithmetic(inputs, |a, b| a + b, i64::wrapping_add)
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(vec![at.like_output(b, at.g), at.like_output(b, at.g)])
    }

    fn memory(&self) -> Memory {
        Memory::InPlace
    }
}

impl Operator for Sub {
    fn name(&self) -> &'static str {
        "Sub"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        broadcast_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        arithmetic(inputs, |a, b| a - b, i64::wrapping_sub)
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let negative = if at.wanted[1] { Some(b.node(Neg, &[at.g])?) } else { None };
        Ok(vec![at.like_output(b, at.g), negative.and_then(|value| at.like_output(b, value))])
    }

    fn memory(&self) -> Memory {
        Memory::InPlace
    }
}

impl Operator for Mul {
    fn name(&self) -> &'static str {
        "Mul"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        broadcast_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        arithmetic(inputs, |a, b| a * b, i64::wrapping_mul)
    }

    /// `g b` and `g a`; `2 g a` once for a square.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let g = at.g;
        let (left, right) = (at.node.inputs[0], at.node.inputs[1]);
        if left == right {
            let two = b.scalar(2.0, b.ty(left).dtype);
            let doubled = b.mul(g, two)?;
            let value = b.mul(doubled, left)?;
            return Ok(vec![at.like_output(b, value), None]);
        }
        if is_sigmoid_of(b, right, left) {
            let value = silu(b, at.y(), right, g)?;
            return Ok(vec![at.like_output(b, value), None]);
        }
        let first = if at.wanted[0] { Some(b.mul(g, right)?) } else { None };
        let second = if at.wanted[1] { Some(b.mul(g, left)?) } else { None };
        let contribution = |value| at.like_output(b, value);
        Ok(vec![first.and_then(contribution), second.and_then(contribution)])
    }

    fn memory(&self) -> Memory {
        Memory::InPlace
    }
}

fn is_sigmoid_of(b: &GraphBuilder, value: ValueId, input: ValueId) -> bool {
    let source = b.graph().nodes().iter().rev().find(|node| node.outputs.contains(&value));
    source.is_some_and(|node| node.op.is::<Sigmoid>() && node.inputs[0] == input)
}

/// `y = x s` with `s = sigmoid(x)`: `g (s + y - y s)`, all of it: two passes over memory less than by the factors' rules.
fn silu(b: &mut GraphBuilder, y: ValueId, sigmoid: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
    let product = b.mul(y, sigmoid)?;
    let rest = b.sub(y, product)?;
    let slope = b.add(sigmoid, rest)?;
    b.mul(g, slope)
}

impl Operator for Div {
    fn name(&self) -> &'static str {
        "Div"
    }

    fn input_count(&self) -> Option<usize> {
        Some(2)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        broadcast_type(inputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![Tensor::Float(broadcast2(inputs.floats(0)?, inputs.floats(1)?, |a, b| a / b)?)])
    }

    /// `y = a / d`: `g / d` and `-g y / d`, which is summed to the divisor's shape before it is divided.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let (y, divisor) = (at.y(), at.node.inputs[1]);
        let (shape, divisor_shape) = (b.ty(y).shape.clone(), b.ty(divisor).shape.clone());
        let one = b.scalar(1.0, b.ty(y).dtype);
        let inverse = b.div(one, divisor)?;
        let first = if at.wanted[0] {
            let value = b.mul(at.g, inverse)?;
            at.like_output(b, value)
        } else {
            None
        };
        let second = if at.wanted[1] {
            let weighted = b.mul(at.g, y)?;
            let sum = reduce_to(b, weighted, &shape, &divisor_shape)?;
            let scaled = b.mul(sum, inverse)?;
            Some(Contribution { value: b.node(Neg, &[scaled])?, shape: divisor_shape })
        } else {
            None
        };
        Ok(vec![first, second])
    }

    fn memory(&self) -> Memory {
        Memory::InPlace
    }
}

fn broadcast_type(inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    Ok(vec![TensorType::new(same_dtype(inputs)?, broadcast(&inputs[0].shape, &inputs[1].shape)?)])
}

fn arithmetic(
    inputs: &Arguments<'_>,
    float: impl Fn(&f64, &f64) -> f64,
    int: impl Fn(i64, i64) -> i64,
) -> Result<Vec<Tensor>, OnnxError> {
    let output = match (&inputs[0], &inputs[1]) {
        (Tensor::Int(a), Tensor::Int(b)) => Tensor::Int(broadcast2(a, b, |&a, &b| int(a, b))?),
        (a, b) => Tensor::Float(broadcast2(a.floats()?, b.floats()?, float)?),
    };
    Ok(vec![output])
}
