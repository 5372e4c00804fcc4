//! Token mixers: the parts of blocks that let positions see each other, each in a file that has everything about it.

mod attention;
mod mlp_t;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use trm_models::{Mixer, TrmConfig};

use super::weights::Model;
use crate::ExportError;
use crate::checkpoint::TensorLayout;
use crate::onnx::{GraphBuilder, ValueId};

/// The interface of a mixer: its weights, its part of a block's graph, and its cost.
///
/// Nothing here fixes the shape of a state but the mixers themselves; what a mixer needs to know of the task comes with
/// the [`Model`].
pub(crate) trait TokenMixer: Debug + Sync {
    /// The name of its module in a block.
    fn module(&self) -> &'static str;

    /// Names of its weights in a block, the same in every public code.
    fn weights(&self) -> &'static [&'static str];

    /// Those of its weights whose products can be 8-bit.
    fn products(&self) -> &'static [&'static str] {
        self.weights()
    }

    /// Names and shapes of its weights in the block under a path, in the order of the reference's modules.
    fn layout(&self, config: &TrmConfig, block: &str) -> Vec<TensorLayout>;

    /// The hint for a file that has its weights where the configuration calls for another mixer.
    fn suspicion(&self) -> &'static str;

    /// True if its module is a `SwiGLU`, which is equalised before it is quantised.
    fn has_swiglu(&self) -> bool {
        false
    }

    /// True if a training graph keeps states as `[L, batch, D]`: mixing over positions is then one product for the whole
    /// batch.
    fn positions_first(&self) -> bool {
        false
    }

    /// Multiplications of a row in one block.
    fn multiplications(&self, config: &TrmConfig) -> usize;

    /// Elements of a row's largest tensor in between.
    fn largest_tensor(&self, config: &TrmConfig) -> usize;

    /// Adds the mixer with its residual and its norm, for the block whose weights are under the path `block`: a state to a
    /// state of the same shape.
    ///
    /// # Errors
    /// When a weight is missing, or the state does not fit.
    fn mix(&self, b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError>;
}

/// The implementation of a mixer.
pub(crate) fn token_mixer(mixer: Mixer) -> &'static dyn TokenMixer {
    match mixer {
        Mixer::Attention => &attention::Attention,
        Mixer::MlpT => &mlp_t::MlpT,
    }
}

/// All mixers.
pub(crate) fn all() -> impl Iterator<Item = &'static dyn TokenMixer> {
    Mixer::ALL.into_iter().map(token_mixer)
}

/// Multiplications of a row in the mixer of one block.
#[must_use]
pub fn multiplications(config: &TrmConfig) -> usize {
    token_mixer(config.mixer).multiplications(config)
}

/// Elements of a row's largest tensor within the mixer of a block.
#[must_use]
pub fn largest_tensor(config: &TrmConfig) -> usize {
    token_mixer(config.mixer).largest_tensor(config)
}
