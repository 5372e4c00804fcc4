//! Checks of types and rules of shapes that operators share.
//!
//! Messages say what does not fit; the builder adds the node's name and the types of all its inputs.

use crate::graph::{Graph, ValueId};
use crate::tensor::{DType, Dim, TensorType};

/// Checks an input's element type.
///
/// # Errors
/// The mismatch, in words.
pub fn expect(input: &TensorType, dtype: DType) -> Result<(), String> {
    if input.dtype == dtype { Ok(()) } else { Err(format!("needs {dtype}, got {input}")) }
}

/// Checks that an input has floats.
///
/// # Errors
/// The mismatch, in words.
pub fn expect_float(input: &TensorType) -> Result<(), String> {
    if input.dtype.is_float() { Ok(()) } else { Err(format!("needs floats, got {input}")) }
}

/// Checks that an input has the type of another.
///
/// # Errors
/// The mismatch, in words.
pub fn expect_alike(first: &TensorType, other: &TensorType) -> Result<(), String> {
    if other == first { Ok(()) } else { Err(format!("mixes {first} and {other}")) }
}

/// Checks an input's element type and shape.
///
/// # Errors
/// The mismatch, in words.
pub fn expect_type(input: &TensorType, dtype: DType, shape: &[Dim]) -> Result<(), String> {
    let expected = TensorType::new(dtype, shape);
    if *input == expected { Ok(()) } else { Err(format!("needs {expected}, got {input}")) }
}

/// The size of the last axis.
///
/// # Errors
/// The mismatch, in words.
pub fn last_size(input: &TensorType) -> Result<usize, String> {
    fixed(*input.shape.last().ok_or("needs an axis")?)
}

/// L and the width of a head for a state `[batch, L, D]` of `heads` heads.
///
/// # Errors
/// The mismatch, in words.
pub fn head_layout(state: &TensorType, heads: usize) -> Result<(Dim, usize), String> {
    let last = last_size(state)?;
    match state.shape[..] {
        [_, len, _] if heads > 0 && last.is_multiple_of(heads) => Ok((len, last / heads)),
        _ => Err(format!("{state} cannot be {heads} heads of each position")),
    }
}

/// The element type that all inputs have.
///
/// # Errors
/// The mismatch, in words.
pub fn same_dtype(inputs: &[&TensorType]) -> Result<DType, String> {
    let first = inputs.first().ok_or("needs an input")?.dtype;
    match inputs.iter().find(|input| input.dtype != first) {
        None => Ok(first),
        Some(other) => Err(format!("mixes {first} and {}", other.dtype)),
    }
}

/// The dimension of an axis.
///
/// # Errors
/// The mismatch, in words.
pub fn axis_of(shape: &mut [Dim], axis: usize) -> Result<&mut Dim, String> {
    let rank = shape.len();
    shape.get_mut(axis).ok_or_else(|| format!("axis {axis} of {rank} axes"))
}

/// The size of a dimension that must be known.
///
/// # Errors
/// The mismatch, in words.
pub fn fixed(dim: Dim) -> Result<usize, String> {
    match dim {
        Dim::Fixed(size) => Ok(size),
        Dim::Batch => Err("the batch axis cannot be cut".into()),
    }
}

/// Power of the batch size and the product of the rest.
#[must_use]
pub fn element_count(shape: &[Dim]) -> (usize, usize) {
    shape.iter().fold((0, 1), |(batches, count), dim| match dim {
        Dim::Batch => (batches + 1, count),
        Dim::Fixed(size) => (batches, count * size),
    })
}

/// The shape of two operands that broadcast as in numpy, the rule of ONNX's elementwise operators.
///
/// # Errors
/// The mismatch, in words.
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, String> {
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

/// The shape of a matrix product over the last two axes, the leading ones broadcast.
///
/// # Errors
/// The mismatch, in words.
pub fn matmul_shape(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, String> {
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

/// The types of a body's values.
#[must_use]
pub fn types_of(body: &Graph, ids: &[ValueId]) -> Vec<TensorType> {
    ids.iter().map(|&id| body.value(id).ty.clone()).collect()
}

/// The types of the values that a body carries: each has one type outside, in and out of the body.
///
/// # Errors
/// The mismatch, in words.
pub fn carried_types(
    carried: &[&TensorType],
    ins: &[TensorType],
    outs: &[TensorType],
) -> Result<Vec<TensorType>, String> {
    for (index, ty) in carried.iter().enumerate() {
        let (inside, out) = (&ins[index], &outs[index]);
        if inside != *ty || out != *ty {
            return Err(format!("carried value {index} is {ty} outside, {inside} in and {out} out"));
        }
    }
    Ok(carried.iter().map(|&ty| ty.clone()).collect())
}
