//! The operators: names and attributes, in one place for each. What they return is in `infer`.
//!
//! All but the fused ones at the end are standard operators of [`super::OPSET`]. Where ONNX passes a setting as a constant input (the target of
//! `Reshape`, the axes of `Unsqueeze`), the operator holds it here and the writer makes the input, so that
//! everything an operator does is known from its variant.

use super::graph::Graph;
use super::tensor::{Constant, DType, Dim};

/// The operator set that ONNX Runtime adds to the standard; every build of it has it.
pub const MICROSOFT: &str = "com.microsoft";

/// An operator with its attributes. The variant names are ONNX's.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `a + b`, broadcast.
    Add,
    /// `a - b`, broadcast.
    Sub,
    /// `a * b`, broadcast.
    Mul,
    /// `a / b`, broadcast.
    Div,
    /// `sqrt(a)`.
    Sqrt,
    /// `1 / (1 + exp(-a))`.
    Sigmoid,
    /// `-a`.
    Neg,
    /// Natural logarithm.
    Log,
    /// `exp(a)`.
    Exp,
    /// `log(1 + exp(a))`.
    Softplus,
    /// Inverse tangent.
    Atan,
    /// Matrix product over the last two axes, the leading ones broadcast.
    MatMul,
    /// Softmax over the last axis.
    Softmax,
    /// Mean over one axis, which stays with size 1.
    ReduceMean {
        /// The axis.
        axis: usize,
    },
    /// Sum over axes, which stay with size 1.
    ReduceSum {
        /// The axes, ascending.
        axes: Vec<usize>,
    },
    /// The input repeated along axes of size 1, and along new axes in front, up to a shape.
    Expand {
        /// The shape, without a batch axis of unknown size.
        shape: Vec<Dim>,
    },
    /// Zeros put before and behind along an axis.
    Pad {
        /// The axis.
        axis: usize,
        /// Zeros before.
        before: usize,
        /// Zeros behind.
        after: usize,
    },
    /// Maximum over axes, which are dropped; over all of them when none is named.
    ReduceMax {
        /// The axes, ascending.
        axes: Vec<usize>,
    },
    /// `data` indexed along its first axis by `indices`: (data, indices).
    Gather {
        /// The axis indexed.
        axis: usize,
    },
    /// Inputs one after the other along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// The input cut along an axis, one output a size.
    Split {
        /// The axis.
        axis: usize,
        /// Sizes of the parts.
        sizes: Vec<usize>,
    },
    /// `start..end` of an axis.
    Slice {
        /// The axis.
        axis: usize,
        /// First index taken.
        start: usize,
        /// First index not taken.
        end: usize,
    },
    /// The same elements under another shape.
    Reshape {
        /// The new shape.
        shape: Vec<Dim>,
    },
    /// Axes of size 1 inserted at these positions of the result.
    Unsqueeze {
        /// The positions, ascending.
        axes: Vec<usize>,
    },
    /// Axes permuted: axis `i` of the result is axis `perm[i]` of the input.
    Transpose {
        /// The permutation.
        perm: Vec<usize>,
    },
    /// Conversion to another element type.
    Cast {
        /// The type converted to.
        to: DType,
    },
    /// `condition ? a : b`, broadcast: (condition, a, b).
    Where,
    /// `a > b`, broadcast.
    Greater,
    /// `a < b`, broadcast.
    Less,
    /// `a == b`, broadcast.
    Equal,
    /// `a || b`, broadcast.
    Or,
    /// `!a`.
    Not,
    /// Index of the largest element of the last axis (the first of equals), which is dropped; int64.
    ArgMax,
    /// The input unchanged, under the output's name.
    Identity,
    /// The input unchanged, and no gradient through it; `Identity` in the file.
    Detach,
    /// Floats to u8 with a scale and zero point from their own range: `x` to (quantised, scale f32, zero point u8). The
    /// range is that of the whole tensor, so a row's numbers depend on the rows beside it.
    DynamicQuantizeLinear,
    /// Matrix product of 8-bit integers in int32: (a u8, b i8, a's zero point u8).
    MatMulInteger,
    /// `round(x / scale)` saturated to i8: (x, scale, zero point i8, which is 0).
    QuantizeLinear,
    /// `scale · q` along an axis, or for a scalar scale throughout: (q i8, scale, zero point i8, which is 0).
    DequantizeLinear {
        /// The axis that the scale's elements belong to.
        axis: usize,
    },
    /// Body repeated: (most iterations i64, condition bool, carried…) to (carried…). The body takes
    /// (iteration i64, condition bool, carried…) and returns (condition bool, carried…).
    Loop {
        /// The repeated graph.
        body: Box<Graph>,
    },
    /// Body run for each element of scanned tensors: (carried…, scanned…) to (carried…). The body takes (carried…, one element
    /// along the first axis of each scanned tensor) and returns (carried…).
    Scan {
        /// The repeated graph.
        body: Box<Graph>,
        /// How many of the inputs, the last ones, are scanned.
        scanned: usize,
    },
    /// ONNX Runtime's own: `rms(x + skip) · gamma` over the last axis: (x, skip, gamma).
    SkipSimplifiedLayerNormalization {
        /// Added to the mean of squares.
        epsilon: f32,
    },
    /// ONNX Runtime's own: softmax attention scaled by `1 / sqrt(D / heads)`, without a mask: queries, keys, values
    /// `[batch, L, D]`.
    MultiHeadAttention {
        /// Heads, each of a width `D / heads`.
        heads: usize,
    },
    /// ONNX Runtime's own: `x · cos + rotate_half(x) · sin`: (x `[batch, L, D]`, first position i64 `[1]`, cosines and
    /// sines `[L, D / heads / 2]`).
    RotaryEmbedding {
        /// Heads, each of a width `D / heads`.
        heads: usize,
    },
}

impl Op {
    /// The operator's ONNX name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Sub => "Sub",
            Self::Mul => "Mul",
            Self::Div => "Div",
            Self::Sqrt => "Sqrt",
            Self::Sigmoid => "Sigmoid",
            Self::Neg => "Neg",
            Self::Log => "Log",
            Self::Exp => "Exp",
            Self::Softplus => "Softplus",
            Self::Atan => "Atan",
            Self::MatMul => "MatMul",
            Self::Softmax => "Softmax",
            Self::ReduceMean { .. } => "ReduceMean",
            Self::ReduceSum { .. } => "ReduceSum",
            Self::Expand { .. } => "Expand",
            Self::Pad { .. } => "Pad",
            Self::ReduceMax { .. } => "ReduceMax",
            Self::Gather { .. } => "Gather",
            Self::Concat { .. } => "Concat",
            Self::Split { .. } => "Split",
            Self::Slice { .. } => "Slice",
            Self::Reshape { .. } => "Reshape",
            Self::Unsqueeze { .. } => "Unsqueeze",
            Self::Transpose { .. } => "Transpose",
            Self::Cast { .. } => "Cast",
            Self::Where => "Where",
            Self::Greater => "Greater",
            Self::Less => "Less",
            Self::Equal => "Equal",
            Self::Or => "Or",
            Self::Not => "Not",
            Self::ArgMax => "ArgMax",
            Self::Identity | Self::Detach => "Identity",
            Self::DynamicQuantizeLinear => "DynamicQuantizeLinear",
            Self::MatMulInteger => "MatMulInteger",
            Self::QuantizeLinear => "QuantizeLinear",
            Self::DequantizeLinear { .. } => "DequantizeLinear",
            Self::Loop { .. } => "Loop",
            Self::Scan { .. } => "Scan",
            Self::SkipSimplifiedLayerNormalization { .. } => "SkipSimplifiedLayerNormalization",
            Self::MultiHeadAttention { .. } => "MultiHeadAttention",
            Self::RotaryEmbedding { .. } => "RotaryEmbedding",
        }
    }

    /// The graph inside it.
    #[must_use]
    pub fn body(&self) -> Option<&Graph> {
        match self {
            Self::Loop { body } | Self::Scan { body, .. } => Some(body),
            _ => None,
        }
    }

    /// The operator set that it belongs to: empty for ONNX's own.
    #[must_use]
    pub fn domain(&self) -> &'static str {
        match self {
            Self::SkipSimplifiedLayerNormalization { .. }
            | Self::MultiHeadAttention { .. }
            | Self::RotaryEmbedding { .. } => MICROSOFT,
            _ => "",
        }
    }

    /// The settings that ONNX takes as constant inputs behind the real ones.
    ///
    /// `rank` is the number of axes of the first input.
    #[must_use]
    pub fn constant_inputs(&self, rank: usize) -> Vec<Constant> {
        let list = |values: Vec<i64>| Constant::i64(&[values.len()], values);
        let sizes = |values: &[usize]| list(values.iter().map(|&value| value as i64).collect());
        match self {
            Self::Split { sizes: parts, .. } => vec![sizes(parts)],
            Self::Pad { axis, before, after } => {
                let mut pads = vec![0; 2 * rank];
                pads[*axis] = *before as i64;
                pads[rank + *axis] = *after as i64;
                vec![list(pads)]
            }
            Self::Slice { axis, start, end } => vec![sizes(&[*start]), sizes(&[*end]), sizes(&[*axis])],
            Self::Reshape { shape } => vec![list(
                shape
                    .iter()
                    .map(|dim| match dim {
                        Dim::Batch => -1,
                        Dim::Fixed(size) => *size as i64,
                    })
                    .collect(),
            )],
            Self::Expand { shape } => {
                vec![list(shape.iter().map(|dim| if let Dim::Fixed(size) = dim { *size as i64 } else { 1 }).collect())]
            }
            Self::Unsqueeze { axes } | Self::ReduceSum { axes } => vec![sizes(axes)],
            _ => Vec::new(),
        }
    }
}
