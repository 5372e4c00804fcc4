//! Reverse-mode differentiation of a growing graph: one walk back over its nodes, one table of rules.
//!
//! The gradients become nodes of the same graph. A gradient may have size 1 along an axis where its value has more, or
//! lack leading axes: it is then the same for every element of that axis. Sums over broadcast axes, and the growing
//! back to a full shape, are done here and nowhere else.

mod rules;

use std::collections::{HashMap, HashSet};

use crate::ExportError;
use crate::onnx::{Dim, GraphBuilder, Node, Op, ValueId};

/// The gradients of the scalar `loss` with respect to each of `wrt`, in their order and shapes. A value that the loss
/// does not depend on, or only through [`Op::Detach`], has a gradient of zeros.
///
/// # Errors
/// [`ExportError::NoGradient`] when the loss is no float scalar, or depends on one of `wrt` through an operator that has
/// no rule or through an axis whose size a rule must know and does not.
pub fn gradients(b: &mut GraphBuilder, loss: ValueId, wrt: &[ValueId]) -> Result<Vec<ValueId>, ExportError> {
    let nodes = b.graph().nodes().to_vec();
    let dependent = dependents(b, &nodes, wrt);
    let loss_type = b.ty(loss).clone();
    if !loss_type.dtype.is_float() || loss_type.shape.iter().any(|dim| *dim != Dim::Fixed(1)) {
        return Err(ExportError::NoGradient {
            node: b.graph().value(loss).name.clone(),
            reason: format!("a loss is one float, this is {loss_type}"),
        });
    }
    let mut cotangents = HashMap::new();
    cotangents.insert(loss, b.scalar(1.0, loss_type.dtype));
    for node in nodes.iter().rev() {
        let upstream = node.outputs.iter().map(|output| cotangents.get(output).copied()).collect::<Vec<_>>();
        let wanted = node.inputs.iter().map(|input| dependent.contains(input)).collect::<Vec<_>>();
        if upstream.iter().all(Option::is_none) || !wanted.contains(&true) {
            continue;
        }
        for (&input, contribution) in node.inputs.iter().zip(rules::apply(b, node, &upstream, &wanted)?) {
            let Some(Contribution { value, shape }) = contribution else { continue };
            if !dependent.contains(&input) {
                continue;
            }
            let target = b.ty(input).shape.clone();
            let fitted = reduce_to(b, value, &shape, &target)?;
            let sum = match cotangents.get(&input) {
                Some(&before) => b.add(before, fitted)?,
                None => fitted,
            };
            cotangents.insert(input, sum);
        }
    }
    wrt.iter()
        .map(|&value| {
            let ty = b.ty(value).clone();
            let gradient = cotangents.get(&value).copied().unwrap_or_else(|| b.scalar(0.0, ty.dtype));
            full(b, gradient, &ty.shape)
        })
        .collect()
}

/// A part of an input's gradient: `value` stands for a tensor of `shape`, to which it broadcasts, and which is the
/// input's shape or one that the input was broadcast to.
struct Contribution {
    value: ValueId,
    shape: Vec<Dim>,
}

/// The float values that depend on `wrt`, other than through a detached value.
fn dependents(b: &GraphBuilder, nodes: &[Node], wrt: &[ValueId]) -> HashSet<ValueId> {
    let mut dependent = wrt.iter().copied().collect::<HashSet<_>>();
    for node in nodes {
        if node.op != Op::Detach && node.inputs.iter().any(|input| dependent.contains(input)) {
            dependent.extend(node.outputs.iter().filter(|&&output| b.ty(output).dtype.is_float()));
        }
    }
    dependent
}

/// The size of axis `index` of `rank` for a shape that may lack leading axes.
fn aligned(shape: &[Dim], index: usize, rank: usize) -> Dim {
    (index + shape.len()).checked_sub(rank).map_or(Dim::Fixed(1), |index| shape[index])
}

/// Sums a gradient of `shape` over the axes along which a value of shape `target` was broadcast to it.
fn reduce_to(b: &mut GraphBuilder, value: ValueId, shape: &[Dim], target: &[Dim]) -> Result<ValueId, ExportError> {
    let rank = shape.len();
    let own = b.ty(value).shape.clone();
    let (mut axes, mut repeats) = (Vec::new(), 1_usize);
    for (index, &size) in shape.iter().enumerate() {
        if size == Dim::Fixed(1) || aligned(target, index, rank) != Dim::Fixed(1) {
            continue;
        }
        if aligned(&own, index, rank) != Dim::Fixed(1) {
            axes.push(index + own.len() - rank);
        } else if let Dim::Fixed(count) = size {
            repeats *= count;
        } else {
            return Err(unknown_batch(b, value));
        }
    }
    let mut sum = if axes.is_empty() { value } else { b.node(Op::ReduceSum { axes }, &[value])? };
    if own.len() > target.len() {
        let kept = b.ty(sum).shape[own.len() - target.len()..].to_vec();
        sum = b.reshape(sum, &kept)?;
    }
    if repeats > 1 {
        let repeats = b.scalar(repeats as f32, b.ty(sum).dtype);
        sum = b.mul(sum, repeats)?;
    }
    Ok(sum)
}

/// A gradient in its value's whole shape.
fn full(b: &mut GraphBuilder, gradient: ValueId, shape: &[Dim]) -> Result<ValueId, ExportError> {
    if b.ty(gradient).shape == shape {
        return Ok(gradient);
    }
    if shape.contains(&Dim::Batch) {
        return Err(unknown_batch(b, gradient));
    }
    b.node(Op::Expand { shape: shape.to_vec() }, &[gradient])
}

fn unknown_batch(b: &GraphBuilder, value: ValueId) -> ExportError {
    ExportError::NoGradient {
        node: b.graph().value(value).name.clone(),
        reason: "its gradient needs the batch size; build the graph for a known one".into(),
    }
}
