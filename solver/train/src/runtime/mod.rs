//! Runs supervision steps and optimiser updates: the same training through plain graphs on any ONNX Runtime, or
//! through ONNX Runtime's own training API.
//!
//! A runtime owns parameters, moments, moving average and carries, and keeps them where it computes. The loop sees them
//! only when it saves or evaluates.

mod graph;
mod open;
mod ort_training;

use std::collections::BTreeMap;
use std::path::Path;

use trm_export::onnx::OnnxSummary;
use trm_models::TrmConfig;

pub(crate) use self::graph::loaded;
pub use self::graph::{GraphTraining, GraphTrainingOptions};
pub(crate) use self::open::open_runtime;
pub use self::ort_training::{OrtTraining, OrtTrainingOptions};
use crate::Result;

/// One supervision step's input: a full batch of one carry group.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainBatch {
    /// Token ids, `[batch, seq]`.
    pub tokens: Vec<i32>,
    /// Token ids of the answers, `[batch, seq]`; -100 where no answer is given.
    pub labels: Vec<i32>,
    /// Rows of the puzzle-embedding table, `[batch]`.
    pub puzzle_ids: Vec<i32>,
    /// Rows that start a new puzzle with a fresh carry, `[batch]`.
    pub reset: Vec<bool>,
    /// Rows that end after this step whatever they say, `[batch]`: the target of Q-learning looks no further. Ignored
    /// by models that halt on `q_halt` alone.
    pub last_step: Vec<bool>,
    /// A maze's wave, where it is taught.
    pub wave: Option<WaveBatch>,
}

/// The wave of each maze as it is after the step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WaveBatch {
    /// Token ids that the cells are to have, `[batch, seq]`; -100 for any.
    pub asked: Vec<i32>,
    /// Classes of the cells: distance to the goal modulo 3, or 3 where the wave has not been, `[batch, seq]`.
    pub classes: Vec<i32>,
}

/// Output of a supervision step; all but `loss` are `[batch]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOutput {
    /// The loss that was differentiated: summed over the batch, divided by the global batch size.
    pub loss: f32,
    /// Mean cross entropy over the labelled cells.
    pub lm_loss: Vec<f32>,
    /// The halting head's loss, before its factor 0.5.
    pub q_loss: Vec<f32>,
    /// `true` where every labelled cell is right.
    pub exact: Vec<bool>,
    /// Labelled cells that are right.
    pub cells_right: Vec<i32>,
    /// The halting logit.
    pub q_halt: Vec<f32>,
    /// The continuation logit.
    pub q_continue: Vec<f32>,
}

/// Values that change from one optimiser update to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateInput {
    /// Number of this update, from 1 on.
    pub step: u64,
    /// Learning rate of everything but the puzzle embedding.
    pub lr: f64,
    /// Learning rate of the puzzle embedding.
    pub puzzle_emb_lr: f64,
}

/// A named float tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<f32>,
}

/// Tensors by state-dict name.
pub type Weights = BTreeMap<String, NamedTensor>;

/// Everything that a runtime needs to go on where it was, by state-dict name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainState {
    /// Parameters and buffers, all tensors of the state dict.
    pub weights: BTreeMap<String, NamedTensor>,
    /// First moments of the trained parameters, as `NAME.m`, and second ones, as `NAME.v`.
    pub moments: BTreeMap<String, NamedTensor>,
    /// Moving average of the trained parameters; empty without one.
    pub ema: BTreeMap<String, NamedTensor>,
}

/// Runs supervision steps and updates.
pub trait TrainRuntime {
    /// `graph` or `ort-training`.
    fn name(&self) -> &'static str;

    /// Floating-point operations of the matrix products of one supervision step of a carry group, backward pass included; 0
    /// where unknown.
    fn flops(&self, group: usize) -> u64;

    /// Gives a carry group puzzles of another size, by its number among the sizes that the runtime was made for: its rows
    /// must be reset in its next step. The size that it has already changes nothing.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`](crate::TrainError::Engine) if a value cannot be made.
    fn assign(&mut self, group: usize, size: usize) -> Result<()>;

    /// Runs one supervision step of carry group `group`: forward and backward, gradients added to those since the
    /// last update, the group's carry advanced.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`](crate::TrainError::Engine) if the batch has not the sizes of the run, or ONNX Runtime
    /// fails.
    fn step(&mut self, group: usize, batch: &TrainBatch) -> Result<TrainOutput>;

    /// Applies the gradients and clears them. Returns their global norm, before clipping, where the runtime tells.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`](crate::TrainError::Engine) if ONNX Runtime fails.
    fn update(&mut self, input: &UpdateInput) -> Result<Option<f32>>;

    /// A copy of parameters, moments and moving average.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`](crate::TrainError::Engine) if a value cannot be copied.
    fn state(&self) -> Result<TrainState>;

    /// A copy of the carry of all groups, `z_h` and `z_l`, one group's `[batch, L, D]` after the other.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`](crate::TrainError::Engine) if a value cannot be copied.
    fn carry(&self) -> Result<[NamedTensor; 2]>;

    /// Replaces the carry of all groups, each of the size that it has.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`](crate::TrainError::Engine) if it has another number of values.
    fn set_carry(&mut self, carry: &[NamedTensor; 2]) -> Result<()>;
}

/// Floating-point operations of an encoded graph's matrix products; 0 for a graph of unknown sizes.
fn matmul_flops(model: &[u8]) -> u64 {
    let summary = OnnxSummary::from_bytes(model, Path::new("the training graph"));
    summary.ok().and_then(|summary| summary.matmul_flops).unwrap_or(0)
}

/// Bytes of one row's largest tensor: between the products of a `SwiGLU`, or the scores of the attention.
pub(super) fn largest_tensor(config: &TrmConfig) -> usize {
    let (len, hidden) = (config.total_len(), config.hidden_size);
    let mixing = trm_export::trm::mixer::largest_tensor(config);
    4 * mixing.max(len * config.swiglu_inner(hidden))
}
