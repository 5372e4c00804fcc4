//! Estimates the memory that training takes, before it begins.

use trm_export::checkpoint::layout;
use trm_export::onnx::Graph;
use trm_export::onnx::liveness::peak_bytes;
use trm_models::TrmConfig;

use super::GraphTrainingOptions;
use super::split::Split;
use crate::{Result, TrainError};

/// The program, ONNX Runtime's library, loaded graphs, an evaluation: what is there whatever is trained. Measured.
const BASE: usize = 130 << 20;
/// Bytes that ONNX Runtime's arena takes of the system for each that a graph's values need at once. Measured: 2.3
/// (one row) to 2.4.
const ARENA: f64 = 2.5;
/// Copies of the parameters: weights, moments, average, what an update makes of each, zeros, and those that a checkpoint is
/// written from.
const COPIES: usize = 14;

/// Bytes that a process takes which trains so, with `step` the graph of one part.
pub(super) fn estimate(config: &TrmConfig, options: &GraphTrainingOptions, split: &Split, step: &Graph) -> usize {
    let parameters = layout(config).iter().map(|tensor| 4 * tensor.shape.iter().product::<usize>()).sum::<usize>();
    let state = 4 * config.total_len() * config.hidden_size;
    // z_h and z_l of every row, and the copy that a checkpoint is written from.
    let carry = 2 * options.groups * options.batch * 2 * state;
    let values = ARENA * peak_bytes(step).unwrap_or(0) as f64;
    BASE + parameters * (COPIES + 2 * split.workers) + carry + split.workers * values as usize
}

/// Makes the error of a limit that even the smallest split does not keep.
pub(super) fn too_much(needed: usize, limit: usize) -> TrainError {
    TrainError::TrainConfig {
        origin: "runtime.max_memory".to_owned(),
        reason: format!(
            "training takes about {} MiB even one row at a time on one thread, the limit is {} MiB",
            needed.div_ceil(1 << 20),
            limit >> 20
        ),
        hint: Some(
            "fewer carry groups (batch.groups), fewer rows (batch.size), a smaller model, or more memory".to_owned(),
        ),
    }
}

/// The first split that stays within the limit, with its graph.
pub(super) fn fit(
    config: &TrmConfig,
    options: &GraphTrainingOptions,
    preferred: Split,
    build: impl Fn(&Split) -> Result<Graph>,
) -> Result<(Split, Graph)> {
    let mut least = 0;
    for split in preferred.and_smaller() {
        let step = build(&split)?;
        least = estimate(config, options, &split, &step);
        if options.max_memory.is_none_or(|limit| least <= limit) {
            return Ok((split, step));
        }
    }
    Err(too_much(least, options.max_memory.unwrap_or(0)))
}
