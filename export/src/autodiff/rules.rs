//! The table of rules: for each operator, what an output's gradient says of its inputs'.

use super::{Contribution, full, reduce_to};
use crate::ExportError;
use crate::onnx::{Constant, DType, Dim, GraphBuilder, Node, Op, ValueId};

type Contributions = Vec<Option<Contribution>>;

/// The contributions to the gradients of a node's inputs. `upstream` holds the gradients of its outputs, `wanted` says
/// which inputs' gradients are asked for; others may be left out.
pub(super) fn apply(
    b: &mut GraphBuilder,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
) -> Result<Contributions, ExportError> {
    b.scoped("grad", |b| {
        if let Op::Split { axis, .. } = node.op {
            return split(b, node, upstream, axis);
        }
        // Every other operator has one output.
        let Some(g) = upstream[0] else { return Ok(none(node)) };
        one_output(b, node, g, wanted)
    })
}

fn none(node: &Node) -> Contributions {
    node.inputs.iter().map(|_| None).collect()
}

fn one_output(b: &mut GraphBuilder, node: &Node, g: ValueId, wanted: &[bool]) -> Result<Contributions, ExportError> {
    let y = node.outputs[0];
    let x = node.inputs[0];
    let (shape, out) = (b.ty(x).shape.clone(), b.ty(y).shape.clone());
    let dtype = b.ty(y).dtype;
    // What an elementwise operator gives back has its output's shape, to be summed where the input was broadcast.
    let like_output = |value: ValueId| Some(Contribution { value, shape: out.clone() });
    let like_input = |value: ValueId| vec![Some(Contribution { value, shape: shape.clone() })];
    Ok(match &node.op {
        Op::Add => vec![like_output(g), like_output(g)],
        Op::Sub => {
            let negative = if wanted[1] { Some(b.node(Op::Neg, &[g])?) } else { None };
            vec![like_output(g), negative.and_then(like_output)]
        }
        Op::Mul => multiply(b, node, g, wanted)?,
        Op::Div => divide(b, node, g, wanted)?,
        Op::Neg => like_input(b.node(Op::Neg, &[g])?),
        Op::Sqrt => {
            // 1 / (2 y)
            let half = b.scalar(0.5, dtype);
            let factor = b.div(half, y)?;
            like_input(b.mul(g, factor)?)
        }
        Op::Sigmoid => {
            // y (1 - y)
            let one = b.scalar(1.0, dtype);
            let rest = b.sub(one, y)?;
            let scaled = b.mul(g, y)?;
            like_input(b.mul(scaled, rest)?)
        }
        Op::Log => like_input(b.div(g, x)?),
        Op::Exp => like_input(b.mul(g, y)?),
        Op::Softplus => {
            let slope = b.node(Op::Sigmoid, &[x])?;
            like_input(b.mul(g, slope)?)
        }
        Op::Atan => {
            // 1 / (1 + x²)
            let one = b.scalar(1.0, dtype);
            let square = b.mul(x, x)?;
            let below = b.add(square, one)?;
            like_input(b.div(g, below)?)
        }
        Op::Softmax => {
            // y (g - sum(g y)), the sum over the last axis
            let weighted = b.mul(g, y)?;
            let axis = out.len().saturating_sub(1);
            let sum = b.node(Op::ReduceSum { axes: vec![axis] }, &[weighted])?;
            let centred = b.sub(g, sum)?;
            like_input(b.mul(y, centred)?)
        }
        Op::ReduceMean { axis } => {
            let Dim::Fixed(count) = shape[*axis] else { return Err(super::unknown_batch(b, x)) };
            let share = b.scalar(1.0 / count as f32, dtype);
            like_input(b.mul(g, share)?)
        }
        Op::ReduceSum { .. } | Op::Identity => like_input(g),
        Op::Expand { .. } => vec![like_output(g)],
        Op::Cast { .. } => like_input(b.cast(g, b.ty(x).dtype)?),
        Op::Where => {
            let zero = b.scalar(0.0, dtype);
            let condition = node.inputs[0];
            let first = if wanted[1] { Some(b.select_where(condition, g, zero)?) } else { None };
            let second = if wanted[2] { Some(b.select_where(condition, zero, g)?) } else { None };
            vec![None, first.and_then(like_output), second.and_then(like_output)]
        }
        Op::Reshape { .. } | Op::Unsqueeze { .. } => {
            let g = full(b, g, &out)?;
            like_input(b.reshape(g, &shape)?)
        }
        Op::Transpose { perm } => {
            let g = full(b, g, &out)?;
            let mut inverse = vec![0; perm.len()];
            perm.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
            like_input(b.transpose(g, &inverse)?)
        }
        Op::Slice { axis, start, end } => {
            let g = full(b, g, &out)?;
            let Dim::Fixed(whole) = shape[*axis] else { return Err(super::unknown_batch(b, x)) };
            like_input(b.node(Op::Pad { axis: *axis, before: *start, after: whole - end }, &[g])?)
        }
        Op::Pad { axis, before, .. } => {
            let g = full(b, g, &out)?;
            let Dim::Fixed(size) = shape[*axis] else { return Err(super::unknown_batch(b, x)) };
            like_input(b.node(Op::Slice { axis: *axis, start: *before, end: before + size }, &[g])?)
        }
        Op::Concat { axis } => concat(b, node, g, *axis)?,
        Op::Gather { axis } => vec![Some(gather(b, node, g, *axis)?), None],
        Op::MatMul => matmul(b, node, g, wanted)?,
        // Piecewise constant, or not float at all: nothing that depends on a parameter comes back through them.
        Op::Greater | Op::Less | Op::Equal | Op::Or | Op::Not | Op::ArgMax | Op::Detach => none(node),
        // What inference alone uses.
        _ => {
            return Err(ExportError::NoGradient {
                node: b.graph().value(y).name.clone(),
                reason: format!("{} has no rule", node.op.name()),
            });
        }
    })
}

/// `a b`: `g b` and `g a`; `2 g a` once for a square.
fn multiply(b: &mut GraphBuilder, node: &Node, g: ValueId, wanted: &[bool]) -> Result<Contributions, ExportError> {
    let shape = b.ty(node.outputs[0]).shape.clone();
    let (left, right) = (node.inputs[0], node.inputs[1]);
    if left == right {
        let two = b.scalar(2.0, b.ty(left).dtype);
        let doubled = b.mul(g, two)?;
        return Ok(vec![Some(Contribution { value: b.mul(doubled, left)?, shape }), None]);
    }
    if is_sigmoid_of(b, right, left) {
        return Ok(vec![Some(Contribution { value: silu(b, node.outputs[0], right, g)?, shape }), None]);
    }
    let first = if wanted[0] { Some(b.mul(g, right)?) } else { None };
    let second = if wanted[1] { Some(b.mul(g, left)?) } else { None };
    let contribution = |value| Contribution { value, shape: shape.clone() };
    Ok(vec![first.map(contribution), second.map(contribution)])
}

fn is_sigmoid_of(b: &GraphBuilder, value: ValueId, input: ValueId) -> bool {
    let source = b.graph().nodes().iter().rev().find(|node| node.outputs.contains(&value));
    source.is_some_and(|node| node.op == Op::Sigmoid && node.inputs[0] == input)
}

/// `y = x s` with `s = sigmoid(x)`: `g (s + y - y s)`, all of it: two passes over memory less than by the factors' rules.
fn silu(b: &mut GraphBuilder, y: ValueId, sigmoid: ValueId, g: ValueId) -> Result<ValueId, ExportError> {
    let product = b.mul(y, sigmoid)?;
    let rest = b.sub(y, product)?;
    let slope = b.add(sigmoid, rest)?;
    b.mul(g, slope)
}

/// `y = a / d`: `g / d` and `-g y / d`, which is summed to the divisor's shape before it is divided.
fn divide(b: &mut GraphBuilder, node: &Node, g: ValueId, wanted: &[bool]) -> Result<Contributions, ExportError> {
    let (y, divisor) = (node.outputs[0], node.inputs[1]);
    let (shape, divisor_shape) = (b.ty(y).shape.clone(), b.ty(divisor).shape.clone());
    let one = b.scalar(1.0, b.ty(y).dtype);
    let inverse = b.div(one, divisor)?;
    let first = if wanted[0] { Some(Contribution { value: b.mul(g, inverse)?, shape: shape.clone() }) } else { None };
    let second = if wanted[1] {
        let weighted = b.mul(g, y)?;
        let sum = reduce_to(b, weighted, &shape, &divisor_shape)?;
        let scaled = b.mul(sum, inverse)?;
        Some(Contribution { value: b.node(Op::Neg, &[scaled])?, shape: divisor_shape })
    } else {
        None
    };
    Ok(vec![first, second])
}

fn concat(b: &mut GraphBuilder, node: &Node, g: ValueId, axis: usize) -> Result<Contributions, ExportError> {
    let out = b.ty(node.outputs[0]).shape.clone();
    let g = full(b, g, &out)?;
    let mut start = 0;
    node.inputs
        .iter()
        .map(|&input| {
            let shape = b.ty(input).shape.clone();
            let Dim::Fixed(size) = shape[axis] else { return Err(super::unknown_batch(b, input)) };
            start += size;
            let value = b.node(Op::Slice { axis, start: start - size, end: start }, &[g])?;
            Ok(Some(Contribution { value, shape }))
        })
        .collect()
}

fn split(
    b: &mut GraphBuilder,
    node: &Node,
    upstream: &[Option<ValueId>],
    axis: usize,
) -> Result<Contributions, ExportError> {
    let parts = node
        .outputs
        .iter()
        .zip(upstream)
        .map(|(&output, g)| {
            let ty = b.ty(output).clone();
            let g = g.unwrap_or_else(|| b.scalar(0.0, ty.dtype));
            full(b, g, &ty.shape)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let shape = b.ty(node.inputs[0]).shape.clone();
    Ok(vec![Some(Contribution { value: b.node(Op::Concat { axis }, &parts)?, shape })])
}

/// Rows taken from a table give their gradients back to it: a product with the one-hot matrix of the indices. One
/// element of an axis: zeros everywhere else.
fn gather(b: &mut GraphBuilder, node: &Node, g: ValueId, axis: usize) -> Result<Contribution, ExportError> {
    let (table, indices) = (node.inputs[0], node.inputs[1]);
    let (shape, index_type) = (b.ty(table).shape.clone(), b.ty(indices).clone());
    let out = b.ty(node.outputs[0]).shape.clone();
    let g = full(b, g, &out)?;
    let Dim::Fixed(rows) = shape[axis] else { return Err(super::unknown_batch(b, table)) };
    let positions = b.constant(&format!("positions.{}.{rows}", index_type.dtype), || match index_type.dtype {
        DType::I32 => Constant::i32(&[rows], (0..rows as i32).collect::<Vec<_>>()),
        _ => Constant::i64(&[rows], (0..rows as i64).collect::<Vec<_>>()),
    });
    let dtype = b.ty(g).dtype;
    if index_type.rank() == 0 {
        let hit = b.node(Op::Equal, &[positions, indices])?;
        let hit = b.cast(hit, dtype)?;
        let mut column = vec![Dim::Fixed(1); shape.len() - axis];
        column[0] = Dim::Fixed(rows);
        let hit = b.reshape(hit, &column)?;
        let g = b.node(Op::Unsqueeze { axes: vec![axis] }, &[g])?;
        return Ok(Contribution { value: b.mul(g, hit)?, shape });
    }
    let sizes = |dims: &[Dim]| {
        dims.iter().try_fold(1, |count, dim| if let Dim::Fixed(size) = dim { Some(count * size) } else { None })
    };
    let (Some(picked), Some(width), 0) = (sizes(&index_type.shape), sizes(&shape[1..]), axis) else {
        return Err(ExportError::NoGradient {
            node: b.graph().value(node.outputs[0]).name.clone(),
            reason: "Gather has a rule along the first axis and for indices of a known number".into(),
        });
    };
    let column = b.reshape(indices, &[Dim::Fixed(picked), Dim::Fixed(1)])?;
    let hits = b.node(Op::Equal, &[column, positions])?;
    let hits = b.cast(hits, dtype)?;
    let hits = b.transpose(hits, &[1, 0])?;
    let g = b.reshape(g, &[Dim::Fixed(picked), Dim::Fixed(width)])?;
    let sums = b.matmul(hits, g)?;
    Ok(Contribution { value: b.reshape(sums, &shape)?, shape })
}

/// `y = a w`: `g wᵀ` and `aᵀ g`. A weight that multiplies every matrix of a stack from the right gets one product of
/// all their rows.
fn matmul(b: &mut GraphBuilder, node: &Node, g: ValueId, wanted: &[bool]) -> Result<Contributions, ExportError> {
    let (left, right) = (node.inputs[0], node.inputs[1]);
    let (left_shape, right_shape) = (b.ty(left).shape.clone(), b.ty(right).shape.clone());
    let out = b.ty(node.outputs[0]).shape.clone();
    let g = full(b, g, &out)?;
    let lead = &out[..out.len() - 2];
    // Before it is summed over the axes along which it was broadcast, an operand's gradient has the output's stack.
    let stacked = |shape: &[Dim]| lead.iter().chain(&shape[shape.len() - 2..]).copied().collect::<Vec<_>>();
    let first = if wanted[0] {
        let transposed = transposed(b, right)?;
        Some(Contribution { value: b.matmul(g, transposed)?, shape: stacked(&left_shape) })
    } else {
        None
    };
    let second = if wanted[1] {
        let rows = left_shape[..left_shape.len() - 1].iter().try_fold(1, |count, dim| match dim {
            Dim::Fixed(size) => Some(count * size),
            Dim::Batch => None,
        });
        Some(match rows {
            Some(rows) if right_shape.len() == 2 && left_shape.len() > 2 => {
                let a = b.reshape(left, &[Dim::Fixed(rows), right_shape[0]])?;
                let a = b.transpose(a, &[1, 0])?;
                let g = b.reshape(g, &[Dim::Fixed(rows), right_shape[1]])?;
                Contribution { value: b.matmul(a, g)?, shape: right_shape }
            }
            _ => {
                let transposed = transposed(b, left)?;
                Contribution { value: b.matmul(transposed, g)?, shape: stacked(&right_shape) }
            }
        })
    } else {
        None
    };
    Ok(vec![first, second])
}

/// The last two axes swapped; a value that is itself such a swap is taken back to what it was made of.
fn transposed(b: &mut GraphBuilder, value: ValueId) -> Result<ValueId, ExportError> {
    let rank = b.ty(value).rank();
    let mut perm = (0..rank).collect::<Vec<_>>();
    perm.swap(rank - 2, rank - 1);
    let source = b.graph().nodes().iter().find(|node| node.outputs.contains(&value));
    if let Some(Node { op: Op::Transpose { perm: found }, inputs, .. }) = source
        && *found == perm
    {
        return Ok(inputs[0]);
    }
    b.transpose(value, &perm)
}
