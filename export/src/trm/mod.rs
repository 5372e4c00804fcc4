//! TRM and HRM as ONNX graphs, after "Less is More: Recursive Reasoning with Tiny Networks" (arXiv 2510.04871) and
//! the public implementation.
//!
//! Letters in shapes: S cells of the grid, P prefix positions of the puzzle embedding, L = P + S, D hidden size,
//! V vocabulary, T outer (`H_cycles`) and n inner (`L_cycles`) cycles.

mod block;
pub(crate) mod embedding;
mod graphs;
pub mod mixer;
mod norm;
pub mod quantize;
pub(crate) mod recursion;
mod swiglu;
pub(crate) mod weights;

use trm_models::{GraphKind, GraphTarget, Precision, TrmConfig};

use crate::ExportError;
use crate::checkpoint::StateDict;
use crate::onnx::{DType, Graph};
use quantize::{Activations, Quantization};

/// Float type that a graph computes in. Norms, halting head, logits and the carry are float32 in either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatType {
    /// 32-bit.
    #[default]
    Fp32,
    /// 16-bit, for GPUs; slower than 32-bit on CPUs.
    Fp16,
}

impl FloatType {
    fn dtype(self) -> DType {
        match self {
            Self::Fp32 => DType::F32,
            Self::Fp16 => DType::F16,
        }
    }
}

/// The options of [`build_graph`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GraphOptions<'a> {
    /// Float type of weights and activations.
    pub float: FloatType,
    /// Products in 8 bits; the others, and everything between them, are float32 then.
    pub quantization: Option<&'a Quantization>,
    /// Steps of the unrolled graph; the config's `halt_max_steps` when `None`.
    pub unrolled_steps: Option<usize>,
    /// The engines that the step graph is written for.
    pub target: GraphTarget,
}

impl GraphOptions<'_> {
    /// The precision of the graphs of a model.
    #[must_use]
    pub fn precision(&self, config: &TrmConfig) -> Precision {
        let Some(quantization) = self.quantization else {
            return match self.float {
                FloatType::Fp32 => Precision::Float32,
                FloatType::Fp16 => Precision::Float16,
            };
        };
        let all = quantize::products(config).iter().all(|name| quantization.products.contains_key(name));
        match (all, quantization.activations) {
            (true, Activations::Dynamic) => Precision::Int8,
            (true, Activations::Static) => Precision::Int8Static,
            (false, Activations::Dynamic) => Precision::Mixed,
            (false, Activations::Static) => Precision::MixedStatic,
        }
    }
}

/// Builds one of the inference graphs; inputs and outputs are those of [`trm_models::GraphSpec`].
///
/// # Errors
/// When the config is one the public code breaks on, or the weights do not fit it.
pub fn build_graph(
    kind: GraphKind,
    config: &TrmConfig,
    weights: &StateDict,
    options: GraphOptions<'_>,
) -> Result<Graph, ExportError> {
    config.validate()?;
    weights.check(config)?;
    let compute = if options.quantization.is_some() { DType::F32 } else { options.float.dtype() };
    let model = weights::Model::new(config, weights, compute).quantised_by(options.quantization);
    let model = if kind == GraphKind::Step { model.targeting(options.target) } else { model };
    match kind {
        GraphKind::Step => graphs::step(model),
        GraphKind::Solve => graphs::solve(model),
        GraphKind::Unrolled => graphs::unrolled(model, options.unrolled_steps.unwrap_or(config.halt_max_steps)),
    }
}

/// A float32 step graph that observes: its further outputs are the squares of the largest magnitudes, `[channels]` f32, of
/// each product's input, in every pass. The names are those of the products' weights, in the order of these outputs.
///
/// # Errors
/// Those of [`build_graph`].
pub fn calibration_graph(config: &TrmConfig, weights: &StateDict) -> Result<(Graph, Vec<String>), ExportError> {
    config.validate()?;
    weights.check(config)?;
    graphs::calibration(weights::Model::new(config, weights, DType::F32))
}
