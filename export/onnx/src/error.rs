//! The one error type of this crate.

use std::borrow::Cow;
use std::path::PathBuf;

use trm_intake::Hint;

/// The ways in which a graph or a file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// An operator does not accept its inputs: a fault of the graph's construction.
    #[error("graph {graph}: node {node} ({op}) on ({inputs}): {problem}")]
    Graph {
        /// The graph.
        graph: String,
        /// The node's name.
        node: String,
        /// The operator.
        op: &'static str,
        /// Types of all inputs.
        inputs: String,
        /// The mismatch.
        problem: String,
    },
    /// The reference evaluator could not run a node.
    #[error("evaluating {node}: {problem}")]
    Evaluation {
        /// The node or input.
        node: String,
        /// The failure.
        problem: String,
    },
    /// A graph cannot be differentiated: a fault of its construction.
    #[error("no gradient through {node}: {reason}")]
    NoGradient {
        /// The node or value.
        node: String,
        /// The fault.
        reason: String,
    },
    /// A file is not an ONNX model.
    #[error("{}: not an ONNX file: {problem}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// The place where reading stopped.
        problem: String,
    },
}

impl Hint for OnnxError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::NotOnnx { .. } => Some("export one with `trm export`".into()),
            Self::Graph { .. } | Self::Evaluation { .. } | Self::NoGradient { .. } => None,
        }
    }
}

impl OnnxError {
    /// An error of the evaluator. The evaluator puts the node's name in place of `node`.
    #[must_use]
    pub fn evaluation(node: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Evaluation { node: node.into(), problem: problem.to_string() }
    }
}
