//! MLP-T: a `SwiGLU` over the positions of each channel.

use trm_models::TrmConfig;

use super::TokenMixer;
use crate::ExportError;
use crate::checkpoint::{TensorLayout, positions, swiglu_layout};
use crate::onnx::{GraphBuilder, ValueId};
use crate::trm::norm::{LAST, residual_norm};
use crate::trm::swiglu::{Mixing, swiglu, swiglu_of_last_axis, swiglu_weights};
use crate::trm::weights::Model;

/// MLP-T.
#[derive(Clone, Copy, Debug)]
pub(super) struct MlpT;

impl TokenMixer for MlpT {
    fn module(&self) -> &'static str {
        "mlp_t"
    }

    fn weights(&self) -> &'static [&'static str] {
        &["mlp_t.gate_up_proj.weight", "mlp_t.down_proj.weight"]
    }

    fn layout(&self, config: &TrmConfig, block: &str) -> Vec<TensorLayout> {
        swiglu_layout(config, &format!("{block}.mlp_t"), &positions(config)).into()
    }

    fn suspicion(&self) -> &'static str {
        "these are the weights of an MLP-T model: mlp_t should be true"
    }

    fn has_swiglu(&self) -> bool {
        true
    }

    fn positions_first(&self) -> bool {
        true
    }

    fn multiplications(&self, config: &TrmConfig) -> usize {
        let len = config.total_len();
        3 * len * config.swiglu_inner(len) * config.hidden_size
    }

    fn largest_tensor(&self, config: &TrmConfig) -> usize {
        config.swiglu_inner(config.total_len()) * config.hidden_size
    }

    fn mix(&self, b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError> {
        let path = format!("{block}.mlp_t");
        let (gate_up, down_proj) = swiglu_weights(&path);
        if model.quantised(&gate_up).is_none() && model.quantised(&down_proj).is_none() {
            let mixed = swiglu(b, model, &path, s, Mixing::Tokens)?;
            return Ok(residual_norm(b, model, s, mixed, Mixing::Tokens.axis(model))?);
        }
        // Engines have 8-bit products with the weight on the right only.
        let turned = b.transpose(s, &[0, 2, 1])?;
        let mixed = swiglu_of_last_axis(b, model, [&gate_up, &down_proj], turned)?;
        let normed = residual_norm(b, model, turned, mixed, LAST)?;
        Ok(b.transpose(normed, &[0, 2, 1])?)
    }
}
