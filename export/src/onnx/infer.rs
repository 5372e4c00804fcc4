//! The types of what the operators return.

use super::graph::{Graph, ValueId};
use super::op::Op;
use super::tensor::{DType, Dim, TensorType};

impl Op {
    /// The types of the outputs for inputs of these types.
    ///
    /// # Errors
    /// Says what does not fit; the caller adds the node's name and all input types.
    pub fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if let Some(count) = self.input_count()
            && inputs.len() != count
        {
            return Err(format!("takes {count} inputs, got {}", inputs.len()));
        }
        let one = |dtype: DType, shape: Vec<Dim>| Ok(vec![TensorType { dtype, shape }]);
        match self {
            Self::Add | Self::Sub | Self::Mul | Self::Div => {
                one(same_dtype(inputs)?, broadcast(&inputs[0].shape, &inputs[1].shape)?)
            }
            Self::Greater | Self::Less | Self::Equal => {
                same_dtype(inputs)?;
                one(DType::Bool, broadcast(&inputs[0].shape, &inputs[1].shape)?)
            }
            Self::Or => {
                expect(inputs[0], DType::Bool)?;
                expect(inputs[1], DType::Bool)?;
                one(DType::Bool, broadcast(&inputs[0].shape, &inputs[1].shape)?)
            }
            Self::Not => {
                expect(inputs[0], DType::Bool)?;
                one(DType::Bool, inputs[0].shape.clone())
            }
            Self::Where => {
                expect(inputs[0], DType::Bool)?;
                let branches = broadcast(&inputs[1].shape, &inputs[2].shape)?;
                one(same_dtype(&inputs[1..])?, broadcast(&inputs[0].shape, &branches)?)
            }
            Self::Sqrt
            | Self::Sigmoid
            | Self::Neg
            | Self::Log
            | Self::Exp
            | Self::Softplus
            | Self::Atan
            | Self::Softmax => {
                expect_float(inputs[0])?;
                one(inputs[0].dtype, inputs[0].shape.clone())
            }
            Self::Identity | Self::Detach => one(inputs[0].dtype, inputs[0].shape.clone()),
            Self::Cast { to } => one(*to, inputs[0].shape.clone()),
            Self::MatMul => {
                expect_float(inputs[0])?;
                one(same_dtype(inputs)?, matmul_shape(&inputs[0].shape, &inputs[1].shape)?)
            }
            Self::Loop { body } => loop_types(body, inputs),
            Self::Scan { body, scanned } => scan_types(body, inputs, *scanned),
            Self::DynamicQuantizeLinear => {
                expect(inputs[0], DType::F32)?;
                let scalar = |dtype| TensorType::new(dtype, []);
                Ok(vec![TensorType::new(DType::U8, inputs[0].shape.clone()), scalar(DType::F32), scalar(DType::U8)])
            }
            Self::MatMulInteger => {
                expect(inputs[0], DType::U8)?;
                expect(inputs[1], DType::I8)?;
                expect(inputs[2], DType::U8)?;
                one(DType::I32, matmul_shape(&inputs[0].shape, &inputs[1].shape)?)
            }
            Self::QuantizeLinear => {
                expect(inputs[0], DType::F32)?;
                expect(inputs[1], DType::F32)?;
                expect(inputs[2], DType::I8)?;
                one(DType::I8, inputs[0].shape.clone())
            }
            Self::DequantizeLinear { axis } => {
                expect(inputs[0], DType::I8)?;
                expect(inputs[1], DType::F32)?;
                expect(inputs[2], DType::I8)?;
                let along = [*axis_of(&mut inputs[0].shape.clone(), *axis)?];
                if !inputs[1].shape.is_empty() && inputs[1].shape != along {
                    return Err(format!("a scale for each element of axis {axis} expected, got {}", inputs[1]));
                }
                one(DType::F32, inputs[0].shape.clone())
            }
            Self::SkipSimplifiedLayerNormalization { .. }
            | Self::MultiHeadAttention { .. }
            | Self::RotaryEmbedding { .. } => self.infer_fused(inputs),
            _ => self.infer_shape(inputs),
        }
    }

    /// [`Op::infer`] for ONNX Runtime's fused operators.
    fn infer_fused(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let state = inputs[0];
        expect(state, DType::F32)?;
        let alike =
            |other: &TensorType| if other == state { Ok(()) } else { Err(format!("mixes {state} and {other}")) };
        let last = fixed(*state.shape.last().ok_or("needs an axis")?)?;
        let shaped = |input: &TensorType, shape: &[Dim]| {
            let expected = TensorType::new(DType::F32, shape.to_vec());
            if *input == expected { Ok(()) } else { Err(format!("needs {expected}, got {input}")) }
        };
        let (heads, len) = match *self {
            Self::MultiHeadAttention { heads } | Self::RotaryEmbedding { heads } => match state.shape[..] {
                [_, len, _] if heads > 0 && last.is_multiple_of(heads) => (heads, len),
                _ => return Err(format!("{state} cannot be {heads} heads of each position")),
            },
            _ => (1, Dim::Fixed(1)),
        };
        match self {
            Self::SkipSimplifiedLayerNormalization { .. } => {
                alike(inputs[1])?;
                shaped(inputs[2], &[Dim::Fixed(last)])?;
            }
            Self::MultiHeadAttention { .. } => inputs[1..].iter().try_for_each(|input| alike(input))?,
            _ => {
                expect(inputs[1], DType::I64)?;
                let half = Dim::Fixed(last / heads / 2);
                inputs[2..].iter().try_for_each(|table| shaped(table, &[len, half]))?;
            }
        }
        Ok(vec![state.clone()])
    }

    /// [`Op::infer`] for the operators that reduce, pick and rearrange.
    fn infer_shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let one = |dtype: DType, shape: Vec<Dim>| Ok(vec![TensorType { dtype, shape }]);
        match self {
            Self::ReduceMean { axis } => {
                expect_float(inputs[0])?;
                let mut shape = inputs[0].shape.clone();
                *axis_of(&mut shape, *axis)? = Dim::Fixed(1);
                one(inputs[0].dtype, shape)
            }
            Self::ReduceSum { axes } => {
                expect_float(inputs[0])?;
                let mut shape = inputs[0].shape.clone();
                for &axis in axes {
                    *axis_of(&mut shape, axis)? = Dim::Fixed(1);
                }
                one(inputs[0].dtype, shape)
            }
            Self::Expand { shape } => {
                if shape.contains(&Dim::Batch) {
                    return Err("the batch size is not known".into());
                }
                match broadcast(&inputs[0].shape, shape)? {
                    joint if joint == *shape => one(inputs[0].dtype, joint),
                    _ => Err(format!("{} does not expand to that shape", inputs[0])),
                }
            }
            Self::Pad { axis, before, after } => {
                expect_float(inputs[0])?;
                let mut shape = inputs[0].shape.clone();
                let dim = axis_of(&mut shape, *axis)?;
                *dim = Dim::Fixed(before + fixed(*dim)? + after);
                one(inputs[0].dtype, shape)
            }
            Self::ReduceMax { axes } => {
                axes.iter().try_for_each(|&axis| axis_of(&mut inputs[0].shape.clone(), axis).map(drop))?;
                let kept = |axis: &usize| !axes.is_empty() && !axes.contains(axis);
                one(inputs[0].dtype, (0..inputs[0].rank()).filter(kept).map(|axis| inputs[0].shape[axis]).collect())
            }
            Self::ArgMax => {
                let (_, rest) = inputs[0].shape.split_last().ok_or("needs an axis")?;
                one(DType::I64, rest.to_vec())
            }
            Self::Gather { axis } => {
                if !matches!(inputs[1].dtype, DType::I32 | DType::I64) {
                    return Err(format!("indices must be i32 or i64, got {}", inputs[1]));
                }
                let mut shape = inputs[0].shape.clone();
                axis_of(&mut shape, *axis)?;
                shape.splice(*axis..=*axis, inputs[1].shape.iter().copied());
                one(inputs[0].dtype, shape)
            }
            Self::Concat { axis } => one(same_dtype(inputs)?, concat_shape(inputs, *axis)?),
            Self::Split { axis, sizes } => {
                let mut shape = inputs[0].shape.clone();
                let whole = fixed(*axis_of(&mut shape, *axis)?)?;
                if sizes.iter().sum::<usize>() != whole {
                    return Err(format!("parts {sizes:?} do not add up to {whole}"));
                }
                let part = |&size: &usize| {
                    let mut shape = shape.clone();
                    shape[*axis] = Dim::Fixed(size);
                    TensorType::new(inputs[0].dtype, shape)
                };
                Ok(sizes.iter().map(part).collect())
            }
            Self::Slice { axis, start, end } => {
                one(inputs[0].dtype, slice_shape(&inputs[0].shape, *axis, *start, *end)?)
            }
            Self::Reshape { shape } => {
                if element_count(&inputs[0].shape) != element_count(shape) {
                    return Err("the new shape has another number of elements".into());
                }
                one(inputs[0].dtype, shape.clone())
            }
            Self::Unsqueeze { axes } => one(inputs[0].dtype, unsqueeze_shape(&inputs[0].shape, axes)?),
            Self::Transpose { perm } => one(inputs[0].dtype, transpose_shape(&inputs[0].shape, perm)?),
            other => Err(format!("{} has no rule for its type", other.name())),
        }
    }

    fn input_count(&self) -> Option<usize> {
        match self {
            Self::Concat { .. } | Self::Loop { .. } | Self::Scan { .. } => None,
            Self::RotaryEmbedding { .. } => Some(4),
            Self::Where
            | Self::MatMulInteger
            | Self::QuantizeLinear
            | Self::DequantizeLinear { .. }
            | Self::SkipSimplifiedLayerNormalization { .. }
            | Self::MultiHeadAttention { .. } => Some(3),
            Self::Add
            | Self::Sub
            | Self::Mul
            | Self::Div
            | Self::MatMul
            | Self::Gather { .. }
            | Self::Greater
            | Self::Less
            | Self::Equal
            | Self::Or => Some(2),
            _ => Some(1),
        }
    }
}

fn expect(input: &TensorType, dtype: DType) -> Result<(), String> {
    if input.dtype == dtype { Ok(()) } else { Err(format!("needs {dtype}, got {input}")) }
}

fn expect_float(input: &TensorType) -> Result<(), String> {
    if input.dtype.is_float() { Ok(()) } else { Err(format!("needs floats, got {input}")) }
}

fn same_dtype(inputs: &[&TensorType]) -> Result<DType, String> {
    let first = inputs.first().ok_or("needs an input")?.dtype;
    match inputs.iter().find(|input| input.dtype != first) {
        None => Ok(first),
        Some(other) => Err(format!("mixes {first} and {}", other.dtype)),
    }
}

fn axis_of(shape: &mut [Dim], axis: usize) -> Result<&mut Dim, String> {
    let rank = shape.len();
    shape.get_mut(axis).ok_or_else(|| format!("axis {axis} of {rank} axes"))
}

fn fixed(dim: Dim) -> Result<usize, String> {
    match dim {
        Dim::Fixed(size) => Ok(size),
        Dim::Batch => Err("the batch axis cannot be cut".into()),
    }
}

/// Power of the batch size and the product of the rest.
fn element_count(shape: &[Dim]) -> (usize, usize) {
    shape.iter().fold((0, 1), |(batches, count), dim| match dim {
        Dim::Batch => (batches + 1, count),
        Dim::Fixed(size) => (batches, count * size),
    })
}

/// Numpy broadcasting, the rule of ONNX's elementwise operators.
fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, String> {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dim], index: usize| {
        (index + shape.len()).checked_sub(rank).map_or(Dim::Fixed(1), |index| shape[index])
    };
    (0..rank)
        .map(|index| match (at(a, index), at(b, index)) {
            (x, y) if x == y => Ok(x),
            (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => Ok(other),
            (x, y) => Err(format!("{x} does not broadcast with {y}")),
        })
        .collect()
}

fn matmul_shape(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, String> {
    let ([batch_a @ .., rows, inner_a], [batch_b @ .., inner_b, columns]) = (a, b) else {
        return Err("needs at least two axes".into());
    };
    if inner_a != inner_b {
        return Err(format!("inner dimensions {inner_a} and {inner_b} differ"));
    }
    let mut shape = broadcast(batch_a, batch_b)?;
    shape.extend([*rows, *columns]);
    Ok(shape)
}

fn concat_shape(inputs: &[&TensorType], axis: usize) -> Result<Vec<Dim>, String> {
    let mut shape = inputs[0].shape.clone();
    let mut total = fixed(*axis_of(&mut shape, axis)?)?;
    for input in &inputs[1..] {
        let mut other = input.shape.clone();
        total += fixed(*axis_of(&mut other, axis)?)?;
        other[axis] = shape[axis];
        if other != shape {
            return Err(format!("{input} does not line up with {}", inputs[0]));
        }
    }
    shape[axis] = Dim::Fixed(total);
    Ok(shape)
}

fn slice_shape(shape: &[Dim], axis: usize, start: usize, end: usize) -> Result<Vec<Dim>, String> {
    let mut shape = shape.to_vec();
    let dim = axis_of(&mut shape, axis)?;
    let whole = fixed(*dim)?;
    if start > end || end > whole {
        return Err(format!("{start}..{end} is not within 0..{whole}"));
    }
    *dim = Dim::Fixed(end - start);
    Ok(shape)
}

fn unsqueeze_shape(shape: &[Dim], axes: &[usize]) -> Result<Vec<Dim>, String> {
    let mut shape = shape.to_vec();
    for &axis in axes {
        if axis > shape.len() {
            return Err(format!("axis {axis} is past the end"));
        }
        shape.insert(axis, Dim::Fixed(1));
    }
    Ok(shape)
}

fn transpose_shape(shape: &[Dim], perm: &[usize]) -> Result<Vec<Dim>, String> {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if sorted != (0..shape.len()).collect::<Vec<_>>() {
        return Err(format!("{perm:?} is no permutation of the axes"));
    }
    Ok(perm.iter().map(|&axis| shape[axis]).collect())
}

fn loop_types(body: &Graph, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    let [count, condition, carried @ ..] = inputs else {
        return Err("needs an iteration count and a condition".into());
    };
    expect(count, DType::I64)?;
    expect(condition, DType::Bool)?;
    let (body_inputs, body_outputs) = (types_of(body, body.inputs()), types_of(body, body.outputs()));
    if body_inputs.len() != carried.len() + 2 || body_outputs.len() != carried.len() + 1 {
        return Err(format!(
            "body with {} inputs and {} outputs for {} carried values",
            body_inputs.len(),
            body_outputs.len(),
            carried.len()
        ));
    }
    carried_types(carried, &body_inputs[2..], &body_outputs[1..])
}

fn types_of(body: &Graph, ids: &[ValueId]) -> Vec<TensorType> {
    ids.iter().map(|&id| body.value(id).ty.clone()).collect()
}

/// A carried value has one type outside, in and out of the body.
fn carried_types(carried: &[&TensorType], ins: &[TensorType], outs: &[TensorType]) -> Result<Vec<TensorType>, String> {
    for (index, ty) in carried.iter().enumerate() {
        let (inside, out) = (&ins[index], &outs[index]);
        if inside != *ty || out != *ty {
            return Err(format!("carried value {index} is {ty} outside, {inside} in and {out} out"));
        }
    }
    Ok(carried.iter().map(|&ty| ty.clone()).collect())
}

fn scan_types(body: &Graph, inputs: &[&TensorType], scanned: usize) -> Result<Vec<TensorType>, String> {
    let carried = inputs.len().checked_sub(scanned).ok_or("has fewer inputs than it scans")?;
    let (carried, scanned) = inputs.split_at(carried);
    let (body_inputs, body_outputs) = (types_of(body, body.inputs()), types_of(body, body.outputs()));
    if body_inputs.len() != inputs.len() || body_outputs.len() != carried.len() {
        let (ins, outs) = (body_inputs.len(), body_outputs.len());
        return Err(format!("body with {ins} inputs and {outs} outputs for {} values", inputs.len()));
    }
    let length = scanned.first().and_then(|ty| ty.shape.first()).ok_or("scans nothing")?;
    for (ty, element) in scanned.iter().zip(&body_inputs[carried.len()..]) {
        expect_float(ty)?;
        if ty.shape.first() != Some(length) || ty.shape[1..] != element.shape || ty.dtype != element.dtype {
            return Err(format!("{ty} is no row of {length} elements {element}"));
        }
    }
    carried_types(carried, &body_inputs, &body_outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(shape: &[usize]) -> TensorType {
        let dims = std::iter::once(Dim::Batch).chain(shape.iter().map(|&size| Dim::Fixed(size)));
        TensorType::new(DType::F32, dims.collect::<Vec<_>>())
    }

    fn infer(op: &Op, inputs: &[&TensorType]) -> Result<String, String> {
        let outputs = op.infer(inputs)?;
        Ok(outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn shapes_follow_the_operators() {
        let state = float(&[97, 512]);
        let weight = TensorType::new(DType::F32, [Dim::Fixed(1024), Dim::Fixed(97)]);
        let cases = [
            (infer(&Op::MatMul, &[&weight, &state]), "f32[batch,1024,512]"),
            (infer(&Op::ReduceMean { axis: 1 }, &[&state]), "f32[batch,1,512]"),
            (infer(&Op::Split { axis: 2, sizes: vec![500, 12] }, &[&state]), "f32[batch,97,500] f32[batch,97,12]"),
            (infer(&Op::Transpose { perm: vec![0, 2, 1] }, &[&state]), "f32[batch,512,97]"),
            (infer(&Op::ArgMax, &[&state]), "i64[batch,97]"),
            (infer(&Op::Unsqueeze { axes: vec![1, 2] }, &[&float(&[])]), "f32[batch,1,1]"),
        ];
        for (found, expected) in cases {
            assert_eq!(found.as_deref(), Ok(expected));
        }
    }

    #[test]
    fn misfits_are_refused_with_the_reason() {
        let state = float(&[97, 512]);
        let ints = TensorType::new(DType::I32, state.shape.clone());
        let cases = [
            (infer(&Op::Add, &[&state, &ints]), "mixes f32 and i32"),
            (infer(&Op::Add, &[&state, &float(&[97, 511])]), "512 does not broadcast with 511"),
            (infer(&Op::MatMul, &[&state, &state]), "inner dimensions 512 and 97 differ"),
            (infer(&Op::Sqrt, &[&ints]), "needs floats, got i32[batch,97,512]"),
            (infer(&Op::Slice { axis: 0, start: 0, end: 1 }, &[&state]), "the batch axis cannot be cut"),
            (infer(&Op::Slice { axis: 1, start: 16, end: 98 }, &[&state]), "16..98 is not within 0..97"),
            (infer(&Op::Where, &[&state, &state]), "takes 3 inputs, got 2"),
            (
                infer(&Op::SkipSimplifiedLayerNormalization { epsilon: 1e-5 }, &[&state, &state, &float(&[512])]),
                "needs f32[512], got f32[batch,512]",
            ),
            (
                infer(&Op::MultiHeadAttention { heads: 3 }, &[&state, &state, &state]),
                "f32[batch,97,512] cannot be 3 heads of each position",
            ),
            (
                infer(&Op::MultiHeadAttention { heads: 8 }, &[&state, &state, &float(&[97, 256])]),
                "mixes f32[batch,97,512] and f32[batch,97,256]",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found.expect_err("accepted"), expected);
        }
    }
}
