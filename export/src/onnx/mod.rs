//! ONNX: the graph in memory, its operators, the file format, and a reference evaluator.

pub mod eval;
mod external;
pub mod graph;
mod infer;
pub mod liveness;
pub mod op;
pub mod proto;
pub mod summary;
pub mod tensor;
pub mod write;

pub use external::{ExternalTensor, external_tensors};
pub use graph::{Graph, GraphBuilder, Node, ValueId};
pub use op::Op;
pub use summary::OnnxSummary;
pub use tensor::{Constant, DType, Dim, TensorType};

/// Opset of every file written: the newest that all supported runtimes run without newer forms.
pub const OPSET: i64 = 17;

/// ONNX intermediate representation version that goes with [`OPSET`].
pub const IR_VERSION: i64 = 8;
