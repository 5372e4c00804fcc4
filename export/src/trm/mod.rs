//! TRM and HRM as ONNX graphs, after "Less is More: Recursive Reasoning with Tiny Networks" (arXiv 2510.04871) and
//! the public implementation.
//!
//! Letters in shapes: S cells of the grid, P prefix positions of the puzzle embedding, L = P + S, D hidden size,
//! V vocabulary, T outer (`H_cycles`) and n inner (`L_cycles`) cycles.

mod block;
pub(crate) mod embedding;
mod graphs;
pub(crate) mod recursion;
pub(crate) mod weights;

use trm_models::{GraphKind, TrmConfig};

use crate::ExportError;
use crate::checkpoint::StateDict;
use crate::onnx::{DType, Graph};

/// Float type that a graph computes in. Norms, halting head, logits and the carry are float32 in either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit.
    #[default]
    Fp32,
    /// 16-bit, for GPUs; slower than 32-bit on CPUs.
    Fp16,
}

impl Precision {
    fn dtype(self) -> DType {
        match self {
            Self::Fp32 => DType::F32,
            Self::Fp16 => DType::F16,
        }
    }

    /// The name used on the command line and in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
        }
    }
}

/// What [`build_graph`] can vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphOptions {
    /// Float type of weights and activations.
    pub precision: Precision,
    /// Steps of the unrolled graph; the config's `halt_max_steps` when `None`.
    pub unrolled_steps: Option<usize>,
}

/// Builds one of the inference graphs; inputs and outputs are those of [`trm_models::GraphSpec`].
///
/// # Errors
/// When the config is one the public code breaks on, or the weights do not fit it.
pub fn build_graph(
    kind: GraphKind,
    config: &TrmConfig,
    weights: &StateDict,
    options: GraphOptions,
) -> Result<Graph, ExportError> {
    config.validate()?;
    weights.check(config)?;
    let model = weights::Model::new(config, weights, options.precision.dtype());
    match kind {
        GraphKind::Step => graphs::step(model),
        GraphKind::Solve => graphs::solve(model),
        GraphKind::Unrolled => graphs::unrolled(model, options.unrolled_steps.unwrap_or(config.halt_max_steps)),
    }
}
