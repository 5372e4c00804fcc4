//! The operators: each in a file that has everything about it.
//!
//! An [`Operator`] has a name and settings, and says what it returns, how it is computed in float64, what its gradient is
//! and whether its output needs memory of its own. Where ONNX passes a setting as a constant input (the target of
//! `Reshape`, the axes of `Unsqueeze`), the operator holds it and the writer makes the input. Nothing lists the operators:
//! another crate adds one by implementing the trait and handing it to [`GraphBuilder::node`].
//!
//! All but ONNX Runtime's fused ones are standard operators of [`OPSET`]. The types have ONNX's names.

mod arg_max;
mod arithmetic;
mod atan;
mod cast;
mod comparison;
mod concat;
mod dynamic_quantize_linear;
mod elementwise;
mod exp;
mod expand;
mod gather;
mod identity;
mod log;
mod logic;
mod loop_;
mod mat_mul;
mod mat_mul_integer;
mod multi_head_attention;
mod neg;
mod pad;
mod quantize_linear;
mod reduction;
mod reshape;
mod rotary_embedding;
mod scan;
mod sigmoid;
mod skip_simplified_layer_normalization;
mod slice;
mod softmax;
mod softplus;
mod split;
mod sqrt;
mod transpose;
mod unsqueeze;
mod variadic;
mod where_;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use arg_max::ArgMax;
pub use arithmetic::{Add, Div, Mul, Sub};
pub use atan::Atan;
pub use cast::Cast;
pub use comparison::{Equal, Greater, Less};
pub use concat::Concat;
pub use dynamic_quantize_linear::DynamicQuantizeLinear;
pub use elementwise::Elementwise;
pub use exp::Exp;
pub use expand::Expand;
pub use gather::Gather;
pub use identity::{Detach, Identity};
pub use log::Log;
pub use logic::{Not, Or};
pub use loop_::Loop;
pub use mat_mul::MatMul;
pub use mat_mul_integer::MatMulInteger;
pub use multi_head_attention::MultiHeadAttention;
pub use neg::Neg;
pub use pad::Pad;
pub use quantize_linear::{DequantizeLinear, QuantizeLinear};
pub use reduction::{ReduceMax, ReduceMean, ReduceSum};
pub use reshape::Reshape;
pub use rotary_embedding::RotaryEmbedding;
pub use scan::Scan;
pub use sigmoid::Sigmoid;
pub use skip_simplified_layer_normalization::SkipSimplifiedLayerNormalization;
pub use slice::Slice;
pub use softmax::Softmax;
pub use softplus::Softplus;
pub use split::Split;
pub use sqrt::Sqrt;
pub use transpose::Transpose;
pub use unsqueeze::Unsqueeze;
pub use variadic::{Max, Sum};
pub use where_::Where;

use crate::autodiff::{Backward, Contributions};
use crate::eval::{Arguments, Tensor};
use crate::graph::{Graph, GraphBuilder};
use crate::liveness::Memory;
use crate::proto::OperatorSetIdProto;
use crate::tensor::TensorType;
use crate::{OPSET, OnnxError};

/// The interface of an operator. The fields of its type are its settings.
///
/// A name, the types of its outputs and its evaluation are required. An operator without a rule for its gradient cannot be
/// differentiated, and says so.
pub trait Operator: Comparable + fmt::Debug + Send + Sync {
    /// The operator's ONNX name.
    fn name(&self) -> &'static str;

    /// The set that it belongs to.
    fn operator_set(&self) -> OperatorSet {
        OperatorSet::STANDARD
    }

    /// The number of its inputs; `None` if it varies.
    fn input_count(&self) -> Option<usize> {
        Some(1)
    }

    /// The types of the outputs for inputs of these types, as many as [`input_count`](Self::input_count) says.
    ///
    /// # Errors
    /// The mismatch, in words; the caller adds the node's name and all input types.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String>;

    /// The outputs, computed in float64.
    ///
    /// # Errors
    /// [`OnnxError::Evaluation`] when the inputs do not fit each other.
    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError>;

    /// The attributes, as the file has them.
    fn attributes(&self) -> Vec<Attribute<'_>> {
        Vec::new()
    }

    /// The settings that ONNX takes as int64 lists behind the real inputs. `rank` is the number of axes of the first input.
    fn constant_inputs(&self, _rank: usize) -> Vec<Vec<i64>> {
        Vec::new()
    }

    /// The graphs inside it, which [`attributes`](Self::attributes) names.
    fn bodies(&self) -> &[Graph] {
        &[]
    }

    /// Adds the nodes of the gradient, and returns a contribution to that of each input.
    ///
    /// # Errors
    /// [`OnnxError::NoGradient`] when there is no rule.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        at.without_rule(b)
    }

    /// False if no gradient goes through, by intent.
    fn passes_gradients(&self) -> bool {
        true
    }

    /// The memory that its outputs take while a graph runs.
    fn memory(&self) -> Memory {
        Memory::Own
    }
}

/// Equality of values whose types are not known: equal types and equal values.
pub trait Comparable: Any {
    /// True if `other` has the same type and is equal.
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Any + PartialEq> Comparable for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

/// An operator set that a file imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperatorSet {
    /// The domain; empty for ONNX's own.
    pub domain: &'static str,
    /// The version.
    pub version: i64,
}

impl OperatorSet {
    /// ONNX's own operators.
    pub const STANDARD: Self = Self { domain: "", version: OPSET };
    /// The operators that ONNX Runtime adds to the standard; every build of it has them.
    pub const MICROSOFT: Self = Self { domain: "com.microsoft", version: 1 };
}

impl From<OperatorSet> for OperatorSetIdProto {
    fn from(set: OperatorSet) -> Self {
        Self { domain: set.domain.into(), version: set.version }
    }
}

/// A named setting of a node in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute<'a> {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: AttributeValue<'a>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue<'a> {
    /// A 32-bit float.
    Float(f32),
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A graph that belongs to the operator.
    Graph(&'a Graph),
}

impl<'a> Attribute<'a> {
    /// A float.
    #[must_use]
    pub fn float(name: &'static str, value: f32) -> Self {
        Self { name, value: AttributeValue::Float(value) }
    }

    /// An integer.
    #[must_use]
    pub fn int(name: &'static str, value: i64) -> Self {
        Self { name, value: AttributeValue::Int(value) }
    }

    /// A list of sizes or axes.
    #[must_use]
    pub fn ints(name: &'static str, values: &[usize]) -> Self {
        Self { name, value: AttributeValue::Ints(int64_list(values)) }
    }

    /// A graph.
    #[must_use]
    pub fn graph(name: &'static str, graph: &'a Graph) -> Self {
        Self { name, value: AttributeValue::Graph(graph) }
    }
}

/// Sizes or axes as ONNX stores them.
fn int64_list(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| value as i64).collect()
}

/// Any operator. Cloning shares it.
#[derive(Clone)]
pub struct Op(Arc<dyn Operator>);

impl Op {
    /// True if it is the operator `T`.
    #[must_use]
    pub fn is<T: Operator>(&self) -> bool {
        self.get::<T>().is_some()
    }

    /// The operator `T`, if it is that one.
    #[must_use]
    pub fn get<T: Operator>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }

    /// The types of the outputs for inputs of these types.
    ///
    /// # Errors
    /// The mismatch, in words; the caller adds the node's name and all input types.
    pub fn output_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match self.input_count() {
            Some(count) if inputs.len() != count => Err(format!("takes {count} inputs, got {}", inputs.len())),
            _ => self.infer(inputs),
        }
    }
}

impl<T: Operator> From<T> for Op {
    fn from(operator: T) -> Self {
        Self(Arc::new(operator))
    }
}

impl Deref for Op {
    type Target = dyn Operator;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl PartialEq for Op {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (*self.0).equals(&*other.0)
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
