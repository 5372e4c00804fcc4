//! ONNX graphs: in memory and in files, with their operators, a reference evaluator and automatic differentiation.
//!
//! A [`GraphBuilder`] knows the type of every value when its node is added. [`write`](mod@write) encodes a finished [`Graph`], [`eval`]
//! runs it in float64, [`autodiff`] adds gradients to a growing one, [`liveness`] says how much memory it takes. None of them
//! lists operators: everything about an operator is its implementation of [`operators::Operator`], here or in another crate.

pub mod autodiff;
mod error;
pub mod eval;
mod external;
pub mod graph;
pub mod infer;
pub mod liveness;
pub mod operators;
pub mod proto;
pub mod summary;
pub mod tensor;
pub mod write;

pub use error::OnnxError;
pub use external::{ExternalTensor, external_tensors};
pub use graph::{Graph, GraphBuilder, Node, ValueId};
pub use operators::{Op, Operator};
pub use summary::OnnxSummary;
pub use tensor::{Constant, DType, Dim, TensorType};

/// Opset of every file written: the newest that all supported runtimes run without newer forms.
pub const OPSET: i64 = 17;

/// ONNX intermediate representation version that goes with [`OPSET`].
pub const IR_VERSION: i64 = 8;
