//! Deals out the rows of a batch to threads.
//!
//! On a CPU a batch goes through the graph a few rows at a time: what a few rows need stays in a core's cache, where a whole
//! batch goes through memory with every operator. The threads take different rows rather than parts of an operator; they
//! meet once a step instead of hundreds of times.

use trm_models::TrmConfig;

use crate::runtime::largest_tensor;
use crate::{Result, TrainError};

/// Bytes that the largest tensor of the rows at work may have: a few such tensors fit a core's second-level cache. On one
/// processor with 2 MiB of it, 256 and 512 KiB were faster than 1 MiB and more.
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
                return Err(TrainError::TrainConfig {
                    origin: "runtime.rows".to_owned(),
                    reason: format!("a batch of {batch} rows cannot be taken {rows} at a time"),
                    hint: Some("a divisor of batch.size, or 0 for one that fits the cache".to_owned()),
                });
            }
        };
        Ok(Self::of(batch, rows, threads))
    }

    fn of(batch: usize, rows: usize, threads: usize) -> Self {
        let parts = batch / rows;
        let workers = threads.min(parts);
        Self { rows, parts, workers, threads: threads / workers }
    }

    /// This one, and those that need less and less memory: fewer rows at once, then fewer threads that take some.
    pub(super) fn and_smaller(self) -> impl Iterator<Item = Self> {
        let batch = self.rows * self.parts;
        let fewer_rows = (1..=self.rows).rev().filter(move |rows| batch.is_multiple_of(*rows));
        let fewer_rows = fewer_rows.map(move |rows| Self { rows, parts: batch / rows, ..self });
        let fewer_workers = (1..self.workers).rev();
        fewer_rows.chain(fewer_workers.map(move |workers| Self { rows: 1, parts: batch, workers, ..self }))
    }

    /// Parts that a worker takes; the last one may have fewer.
    pub(super) fn parts_each(&self) -> usize {
        self.parts.div_ceil(self.workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_ones_keep_every_row() {
        let all = Split::of(8, 4, 2).and_smaller().collect::<Vec<_>>();
        let found = all.iter().map(|split| (split.rows, split.parts, split.workers)).collect::<Vec<_>>();
        assert_eq!(found, [(4, 2, 2), (2, 4, 2), (1, 8, 2), (1, 8, 1)]);
        assert!(
            all.iter().all(|split| split.rows * split.parts == 8 && split.parts_each() * split.workers >= split.parts)
        );
    }

    #[test]
    fn threads_without_a_part_work_within_one() {
        assert_eq!(Split::of(2, 1, 4), Split { rows: 1, parts: 2, workers: 2, threads: 2 });
        assert_eq!(Split::of(8, 8, 3), Split { rows: 8, parts: 1, workers: 1, threads: 3 });
    }
}
