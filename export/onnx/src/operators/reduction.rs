//! `ReduceMean`, `ReduceSum`, `ReduceMax`.

use ndarray::{ArrayD, Axis};

use super::{Attribute, Equal, Operator, Unsqueeze, int64_list};
use crate::OnnxError;
use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::GraphBuilder;
use crate::infer::{axis_of, expect_float};
use crate::tensor::{Dim, TensorType};

/// Mean over one axis, which stays with size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReduceMean {
    /// The axis.
    pub axis: usize,
}

/// Sum over axes, which stay with size 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReduceSum {
    /// The axes, ascending.
    pub axes: Vec<usize>,
}

/// Maximum over axes, which are dropped; over all of them when none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReduceMax {
    /// The axes, ascending.
    pub axes: Vec<usize>,
}

impl Operator for ReduceMean {
    fn name(&self) -> &'static str {
        "ReduceMean"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        kept_axes(inputs[0], &[self.axis])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let axis = Axis(self.axis);
        let mean = inputs.floats(0)?.mean_axis(axis);
        let mean = mean.ok_or_else(|| OnnxError::evaluation("ReduceMean", "an empty axis"))?;
        Ok(vec![Tensor::Float(mean.insert_axis(axis))])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::ints("axes", &[self.axis]), Attribute::int("keepdims", 1)]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let count = at.fixed_size(b, at.x(), self.axis)?;
        let share = b.scalar(1.0 / count as f32, b.ty(at.y()).dtype);
        let value = b.mul(at.g, share)?;
        Ok(at.like_input(b, value))
    }
}

impl Operator for ReduceSum {
    fn name(&self) -> &'static str {
        "ReduceSum"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        kept_axes(inputs[0], &self.axes)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let along = |sum: ArrayD<f64>, &axis: &usize| sum.sum_axis(Axis(axis)).insert_axis(Axis(axis));
        Ok(vec![Tensor::Float(self.axes.iter().fold(inputs.floats(0)?.clone(), along))])
    }

    fn constant_inputs(&self, _rank: usize) -> Vec<Vec<i64>> {
        vec![int64_list(&self.axes)]
    }

    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        Ok(at.like_input(b, at.g))
    }
}

impl Operator for ReduceMax {
    fn name(&self) -> &'static str {
        "ReduceMax"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (input, axes) = (inputs[0], &self.axes);
        axes.iter().try_for_each(|&axis| axis_of(&mut input.shape.clone(), axis).map(drop))?;
        let kept = |axis: &usize| !axes.is_empty() && !axes.contains(axis);
        let shape = (0..input.rank()).filter(kept).map(|axis| input.shape[axis]).collect::<Vec<_>>();
        Ok(vec![TensorType::new(input.dtype, shape)])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![match &inputs[0] {
            Tensor::Int(array) => Tensor::Int(folded(array, &self.axes, i64::MIN, |a, b| *a.max(b))),
            other => Tensor::Float(folded(other.floats()?, &self.axes, f64::NEG_INFINITY, |a, b| a.max(*b))),
        }])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        let axes = (!self.axes.is_empty()).then(|| Attribute::ints("axes", &self.axes));
        axes.into_iter().chain([Attribute::int("keepdims", 0)]).collect()
    }

    /// To the largest elements, in equal parts where there are several.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let (x, y) = (at.x(), at.y());
        let axes = if self.axes.is_empty() { (0..b.ty(x).rank()).collect() } else { self.axes.clone() };
        let g = at.whole(b)?;
        let most = b.node(Unsqueeze { axes: axes.clone() }, &[y])?;
        let g = b.node(Unsqueeze { axes: axes.clone() }, &[g])?;
        let dtype = b.ty(g).dtype;
        let largest = b.node(Equal, &[x, most])?;
        let largest = b.cast(largest, dtype)?;
        let count = b.node(ReduceSum { axes }, &[largest])?;
        let share = b.div(g, count)?;
        let value = b.mul(largest, share)?;
        Ok(at.like_input(b, value))
    }
}

/// The type of floats whose `axes` are reduced to size 1.
fn kept_axes(input: &TensorType, axes: &[usize]) -> Result<Vec<TensorType>, String> {
    expect_float(input)?;
    let mut shape = input.shape.clone();
    for &axis in axes {
        *axis_of(&mut shape, axis)? = Dim::Fixed(1);
    }
    Ok(vec![TensorType::new(input.dtype, shape)])
}

/// Folded over these axes, or all, which are dropped.
fn folded<T: Clone>(array: &ArrayD<T>, axes: &[usize], start: T, fold: impl Fn(&T, &T) -> T) -> ArrayD<T> {
    let axes = if axes.is_empty() { (0..array.ndim()).collect() } else { axes.to_vec() };
    // From the last, so that the axes before it keep their numbers.
    let along = |array: ArrayD<T>, &axis: &usize| array.fold_axis(Axis(axis), start.clone(), &fold);
    axes.iter().rev().fold(array.clone(), along)
}
