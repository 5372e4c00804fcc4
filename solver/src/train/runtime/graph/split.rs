//! How the rows of a batch are dealt out.
//!
//! On a CPU a batch goes through the graph a few rows at a time: what a few rows need stays in a core's cache, where a whole
//! batch goes through memory with every operator. The threads take different rows rather than parts of an operator; they
//! meet once a step instead of hundreds of times.

use trm_models::TrmConfig;

use crate::{Result, SolverError};

/// Bytes that the largest tensor of the rows at work may have: a few such tensors fit a core's second-level cache. Measured
/// best on processors with 1 to 2 MiB: between 256 and 512 KiB.
const LARGEST_TENSOR: usize = 512 << 10;

/// Rows a run of the graph, runs a step, and who runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// Rows of a part.
    pub(super) rows: usize,
    /// Parts of a batch.
    pub(super) parts: usize,
    /// Threads that take parts.
    pub(super) workers: usize,
    /// Threads within an operator of a part.
    pub(super) threads: usize,
}

impl Split {
    /// Everything at once.
    pub(super) fn whole(batch: usize, threads: usize) -> Self {
        Self { rows: batch, parts: 1, workers: 1, threads }
    }

    /// `rows` a part, or as many as the cache holds where that is 0, as long as every thread has some.
    pub(super) fn new(config: &TrmConfig, batch: usize, threads: usize, rows: usize) -> Result<Self> {
        let rows = match rows {
            0 => {
                let most = (LARGEST_TENSOR / largest_tensor(config)).min(batch / threads).max(1);
                (1..=most).rev().find(|rows| batch.is_multiple_of(*rows)).unwrap_or(1)
            }
            rows if batch.is_multiple_of(rows) => rows,
            rows => {
                return Err(SolverError::TrainConfig {
                    origin: "runtime.rows".to_owned(),
                    reason: format!("a batch of {batch} rows cannot be taken {rows} at a time"),
                    hint: Some("a divisor of batch.size, or 0 for one that fits the cache".to_owned()),
                });
            }
        };
        let parts = batch / rows;
        let workers = threads.min(parts);
        Ok(Self { rows, parts, workers, threads: threads / workers })
    }

    /// Parts that a worker takes; the last one may have fewer.
    pub(super) fn parts_each(&self) -> usize {
        self.parts.div_ceil(self.workers)
    }
}

/// Bytes of one row's largest tensor: between the products of a `SwiGLU`, or the scores of the attention.
fn largest_tensor(config: &TrmConfig) -> usize {
    let (len, hidden) = (config.total_len(), config.hidden_size);
    let mixing = if config.mlp_t { config.swiglu_inner(len) * hidden } else { config.num_heads * len * len };
    4 * mixing.max(len * config.swiglu_inner(hidden))
}
