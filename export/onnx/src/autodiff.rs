//! Reverse-mode differentiation of a growing graph: one walk back over its nodes, each
//! asked for its [rule](crate::operators::Operator::gradient).
//!
//! The gradients become nodes of the same graph. A gradient may have size 1 along an axis where its value has more, or
//! lack leading axes: it is then the same for every element of that axis. Sums over broadcast axes, and the growing
//! back to a full shape, are done here and nowhere else.

use std::collections::{HashMap, HashSet};

use crate::OnnxError;
use crate::operators::{Expand, ReduceSum};
use crate::{Dim, GraphBuilder, Node, ValueId};

/// The gradients of the scalar `loss` with respect to each of `wrt`, in their order and shapes. A value that the loss
/// does not depend on, or only through [`Detach`](crate::operators::Detach), has a gradient of zeros.
///
/// # Errors
/// [`OnnxError::NoGradient`] when the loss is no float scalar, or depends on one of `wrt` through an operator that has
/// no rule or through an axis whose size a rule must know and does not.
pub fn gradients(b: &mut GraphBuilder, loss: ValueId, wrt: &[ValueId]) -> Result<Vec<ValueId>, OnnxError> {
    let nodes = b.graph().nodes().to_vec();
    let dependent = dependents(b, &nodes, wrt);
    let loss_type = b.ty(loss).clone();
    if !loss_type.dtype.is_float() || loss_type.shape.iter().any(|dim| *dim != Dim::Fixed(1)) {
        return Err(OnnxError::NoGradient {
            node: b.graph().value(loss).name.clone(),
            reason: format!("a loss is one float, this is {loss_type}"),
        });
    }
    let mut cotangents = HashMap::new();
    cotangents.insert(loss, b.scalar(1.0, loss_type.dtype));
    for node in nodes.iter().rev() {
        let upstream = node.outputs.iter().map(|output| cotangents.get(output).copied()).collect::<Vec<_>>();
        let wanted = node.inputs.iter().map(|input| dependent.contains(input)).collect::<Vec<_>>();
        let Some(&g) = upstream.iter().flatten().next() else { continue };
        if !wanted.contains(&true) {
            continue;
        }
        let at = Backward { node, g, upstream: &upstream, wanted: &wanted };
        let contributions = b.scoped("grad", |b| node.op.gradient(b, &at))?;
        for (&input, contribution) in node.inputs.iter().zip(contributions) {
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
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The gradient.
    pub value: ValueId,
    /// The shape that it stands for.
    pub shape: Vec<Dim>,
}

/// A contribution to the gradient of each input of a node; `None` for an input without.
pub type Contributions = Vec<Option<Contribution>>;

/// A node on the way back, as its operator's rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// The node.
    pub node: &'a Node,
    /// The gradient of its output; of several, that of the first that has one.
    pub g: ValueId,
    /// The gradients of all its outputs.
    pub upstream: &'a [Option<ValueId>],
    /// For each input, true if its gradient is asked for; others may be left out.
    pub wanted: &'a [bool],
}

impl Backward<'_> {
    /// The first input.
    #[must_use]
    pub fn x(&self) -> ValueId {
        self.node.inputs[0]
    }

    /// The first output.
    #[must_use]
    pub fn y(&self) -> ValueId {
        self.node.outputs[0]
    }

    /// The output's gradient in the output's whole shape.
    ///
    /// # Errors
    /// [`OnnxError::NoGradient`] when it has to be repeated along a batch of unknown size.
    pub fn whole(&self, b: &mut GraphBuilder) -> Result<ValueId, OnnxError> {
        let shape = b.ty(self.y()).shape.clone();
        full(b, self.g, &shape)
    }

    /// The size of an axis of a value.
    ///
    /// # Errors
    /// [`OnnxError::NoGradient`] when it is the batch, of unknown size.
    pub fn fixed_size(&self, b: &GraphBuilder, value: ValueId, axis: usize) -> Result<usize, OnnxError> {
        match b.ty(value).shape[axis] {
            Dim::Fixed(size) => Ok(size),
            Dim::Batch => Err(unknown_batch(b, value)),
        }
    }

    /// A gradient of the only input, in the input's shape.
    #[must_use]
    pub fn like_input(&self, b: &GraphBuilder, value: ValueId) -> Contributions {
        vec![Some(Contribution { value, shape: b.ty(self.x()).shape.clone() })]
    }

    /// A gradient of one input in the output's shape, to be summed where the input was broadcast.
    #[must_use]
    pub fn like_output(&self, b: &GraphBuilder, value: ValueId) -> Option<Contribution> {
        Some(Contribution { value, shape: b.ty(self.y()).shape.clone() })
    }

    /// The output's gradient with the same elements in the input's shape.
    pub(crate) fn reshaped(&self, b: &mut GraphBuilder) -> Result<Contributions, OnnxError> {
        let shape = b.ty(self.x()).shape.clone();
        let g = self.whole(b)?;
        let value = b.reshape(g, &shape)?;
        Ok(self.like_input(b, value))
    }

    /// No contribution: the operator is piecewise constant, or no float comes out of it.
    #[must_use]
    pub fn nothing(&self) -> Contributions {
        self.node.inputs.iter().map(|_| None).collect()
    }

    /// No contribution, for an operator that has no rule.
    ///
    /// # Errors
    /// [`OnnxError::NoGradient`] if the first output has a gradient, which would be lost.
    pub fn without_rule(&self, b: &GraphBuilder) -> Result<Contributions, OnnxError> {
        if self.upstream[0].is_none() {
            return Ok(self.nothing());
        }
        Err(OnnxError::NoGradient {
            node: b.graph().value(self.y()).name.clone(),
            reason: format!("{} has no rule", self.node.op.name()),
        })
    }
}

/// The float values that depend on `wrt`, other than through a detached value.
fn dependents(b: &GraphBuilder, nodes: &[Node], wrt: &[ValueId]) -> HashSet<ValueId> {
    let mut dependent = wrt.iter().copied().collect::<HashSet<_>>();
    for node in nodes {
        if node.op.passes_gradients() && node.inputs.iter().any(|input| dependent.contains(input)) {
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
pub(crate) fn reduce_to(
    b: &mut GraphBuilder,
    value: ValueId,
    shape: &[Dim],
    target: &[Dim],
) -> Result<ValueId, OnnxError> {
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
    let mut sum = if axes.is_empty() { value } else { b.node(ReduceSum { axes }, &[value])? };
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
pub(crate) fn full(b: &mut GraphBuilder, gradient: ValueId, shape: &[Dim]) -> Result<ValueId, OnnxError> {
    if b.ty(gradient).shape == shape {
        return Ok(gradient);
    }
    if shape.contains(&Dim::Batch) {
        return Err(unknown_batch(b, gradient));
    }
    b.node(Expand { shape: shape.to_vec() }, &[gradient])
}

fn unknown_batch(b: &GraphBuilder, value: ValueId) -> OnnxError {
    OnnxError::NoGradient {
        node: b.graph().value(value).name.clone(),
        reason: "its gradient needs the batch size; build the graph for a known one".into(),
    }
}
