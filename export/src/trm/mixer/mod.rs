//! Token mixers: the parts of blocks that let positions see each other, each in a file that has everything about it.

mod attention;
mod candidates;
mod grid;
mod mlp_t;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use trm_models::{Board, Mixer, TrmConfig};

use super::quantize::{linear, observe};
use super::weights::{Layout, Model};
use crate::ExportError;
use crate::checkpoint::{LayoutDim, TensorLayout, swiglu_layout};
use crate::onnx::operators::{Gather, Max, ReduceMax, ReduceMean, Slice, Split, Sum, Unsqueeze};
use crate::onnx::{DType, Dim, GraphBuilder, ValueId};

/// Sizes of the weights outside of the blocks.
pub(crate) struct Ends {
    /// Rows of the embedding.
    pub(crate) embedded: LayoutDim,
    /// Outputs of the answer's head.
    pub(crate) answers: LayoutDim,
    /// Width of what the halting head reads.
    pub(crate) pooled: LayoutDim,
}

impl Ends {
    /// A row and an output for each token, and the state of one position.
    pub(crate) fn of_tokens(config: &TrmConfig) -> Self {
        let vocabulary = || LayoutDim::field("vocab_size", config.vocab_size);
        let pooled = LayoutDim::field("hidden_size", config.hidden_size);
        Self { embedded: vocabulary(), answers: vocabulary(), pooled }
    }
}

/// The interface of a mixer: its weights, its part of a block's graph, and its cost. One that has no positions also says how
/// tokens become states and states an answer; the others do as the reference does.
///
/// Nothing here fixes the shape of a state but the mixers themselves; what a mixer needs to know of the task comes with
/// the [`Model`].
pub(crate) trait TokenMixer: Debug + Sync {
    /// The name of its module in a block.
    fn module(&self) -> &'static str;

    /// Names of its weights in a block, the same in every public code: all that it may have.
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

    /// Sizes of the weights outside of the blocks.
    fn ends(&self, config: &TrmConfig) -> Ends {
        Ends::of_tokens(config)
    }

    /// Embeds tokens i32 `[batch, S]`, without what tells puzzles and positions apart: `[batch, L - P, D]`.
    ///
    /// # Errors
    /// When a weight is missing.
    fn embed(&self, b: &mut GraphBuilder, model: Model<'_>, tokens: ValueId) -> Result<ValueId, ExportError> {
        let table = model.weight(b, "embed_tokens.embedding_weight", Layout::Stored)?;
        Ok(b.node(Gather { axis: 0 }, &[table, tokens])?)
    }

    /// Returns what the halting head reads of `z_H`: the first position, `[batch, D]`.
    ///
    /// # Errors
    /// When the state does not fit.
    fn pool(&self, b: &mut GraphBuilder, model: Model<'_>, h: ValueId) -> Result<ValueId, ExportError> {
        let _ = model;
        Ok(b.select(h, 1, 0)?)
    }

    /// Returns the logits of the answer, float32 `[batch, S, V]`.
    ///
    /// # Errors
    /// When a weight is missing, or the state does not fit.
    fn logits(&self, b: &mut GraphBuilder, model: Model<'_>, h: ValueId) -> Result<ValueId, ExportError> {
        let config = model.config;
        let cells = if config.prefix_len() == 0 {
            h
        } else {
            b.node(Slice { axis: 1, start: config.prefix_len(), end: config.total_len() }, &[h])?
        };
        observe(b, model, "lm_head.weight", cells, 2)?;
        let logits = linear(b, model, "lm_head.weight", cells)?;
        Ok(b.cast(logits, DType::F32)?)
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
        Mixer::Grid => &grid::GRID,
        Mixer::Cross => &grid::CROSS,
        Mixer::Candidates => &candidates::Candidates,
    }
}

/// The board of a model that has one.
fn board(model: Model<'_>) -> Result<&Board, ExportError> {
    model.config.board.as_ref().ok_or_else(|| ExportError::LayoutMismatch {
        origin: "the configuration".into(),
        reason: format!("the mixer {} works on a board, and there is none", model.config.mixer),
        hint: "give the task with its size".into(),
    })
}

/// Cuts a value along an axis of fixed size into parts of size 1.
fn parts(b: &mut GraphBuilder, value: ValueId, axis: usize) -> Result<Vec<ValueId>, ExportError> {
    let Dim::Fixed(size) = b.ty(value).shape[axis] else { return Ok(vec![value]) };
    Ok(b.nodes(Split { axis, sizes: vec![1; size] }, &[value])?)
}

/// The largest over an axis, which stays with size 1.
///
/// In an inference graph it is the largest of the parts: `ReduceMax` over any axis but the last took three quarters of a step
/// in rten, and ONNX Runtime is as fast either way.
fn largest(b: &mut GraphBuilder, model: Model<'_>, value: ValueId, axis: usize) -> Result<ValueId, ExportError> {
    if model.trains() {
        let most = b.node(ReduceMax { axes: vec![axis] }, &[value])?;
        return Ok(b.node(Unsqueeze { axes: vec![axis] }, &[most])?);
    }
    let parts = parts(b, value, axis)?;
    Ok(b.node(Max, &parts)?)
}

/// The mean over an axis, which stays with size 1; of the parts, as [`largest`].
fn mean(b: &mut GraphBuilder, model: Model<'_>, value: ValueId, axis: usize) -> Result<ValueId, ExportError> {
    if model.trains() {
        return Ok(b.node(ReduceMean { axis }, &[value])?);
    }
    let parts = parts(b, value, axis)?;
    let sum = b.node(Sum, &parts)?;
    let share = b.scalar(1.0 / parts.len() as f32, b.ty(value).dtype);
    Ok(b.mul(sum, share)?)
}

/// All mixers.
pub(crate) fn all() -> impl Iterator<Item = &'static dyn TokenMixer> {
    Mixer::ALL.into_iter().map(token_mixer)
}

/// Names and shapes of a block's tensors: its mixer's and its `SwiGLU`'s.
pub(crate) fn block_layout(config: &TrmConfig, block: &str) -> Vec<TensorLayout> {
    let width = LayoutDim::field("hidden_size", config.hidden_size);
    let mut tensors = token_mixer(config.mixer).layout(config, block);
    tensors.extend(swiglu_layout(config, &format!("{block}.mlp"), &width));
    tensors
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
