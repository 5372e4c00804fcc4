//! Training side by side: the models, the batches that both sides train on, and our side of it.

pub mod child;
pub mod ours;
pub mod report;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use trm_models::TrmConfig;
use trm_train::runtime::TrainBatch;

use crate::full_size::FullSize;

/// Learning rate of both sides, the published one.
pub const LEARNING_RATE: f64 = 1e-4;
/// Successive batches, gone through round and round.
const STEPS: usize = 8;
/// One row in so many starts a new puzzle, as with models that halt after a few steps.
const VISITS: u32 = 4;

/// A model to train and the rows of its batch.
pub struct TrainModel {
    /// `sudoku`, `maze` or `full`.
    pub name: &'static str,
    /// Its distinguishing features, in a few words.
    pub what: &'static str,
    /// Its configuration.
    pub config: TrmConfig,
    /// Rows of a batch.
    pub batch: usize,
}

impl TrainModel {
    /// Two models that a small machine learns, and one of the published size.
    #[must_use]
    pub fn all() -> [Self; 3] {
        let [full, _] = FullSize::all().map(|model| model.config);
        let small = TrmConfig {
            hidden_size: 128,
            num_heads: 4,
            expansion: 2.0,
            h_cycles: 2,
            l_cycles: 2,
            puzzle_emb_ndim: 128,
            puzzle_emb_len: 1,
            ..full.clone()
        };
        let maze = TrmConfig { vocab_size: 6, ..small.clone() };
        [
            Self { name: "sudoku", what: "MLP-T, 81 cells, width 128, 6 passes", config: small, batch: 32 },
            Self { name: "maze", what: "MLP-T, 9x9, width 128, 6 passes", config: maze, batch: 32 },
            Self { name: "full", what: "MLP-T, 81 cells, width 512, 21 passes", config: full, batch: 4 },
        ]
    }

    /// Batches of random tokens and labels: the time of a step does not depend on their values.
    #[must_use]
    pub fn batches(&self, seed: u64) -> Batches {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (cells, vocab) = (self.batch * self.config.seq_len, self.config.vocab_size as i32);
        let mut draw = || (0..cells).map(|_| rng.random_range(1..vocab)).collect();
        let (tokens, labels) = (0..STEPS).map(|_| (draw(), draw())).unzip();
        let fresh = |step: usize| (0..self.batch).map(|_| u8::from(step == 0 || rng.random_ratio(1, VISITS))).collect();
        Batches { tokens, labels, reset: (0..STEPS).map(fresh).collect() }
    }
}

/// The batches of successive steps; puzzle identities are 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    /// Tokens of each step, `[batch * seq]`.
    pub tokens: Vec<Vec<i32>>,
    /// Labels of each step, `[batch * seq]`.
    pub labels: Vec<Vec<i32>>,
    /// Resets of each step, `[batch]`: 1 for rows that start a new puzzle.
    pub reset: Vec<Vec<u8>>,
}

impl Batches {
    /// The batch of a step, counted from 0; `None` when there are no batches.
    #[must_use]
    pub fn get(&self, step: usize) -> Option<TrainBatch> {
        let index = step.checked_rem(self.reset.len())?;
        let reset = &self.reset[index];
        Some(TrainBatch {
            tokens: self.tokens.get(index)?.clone(),
            labels: self.labels.get(index)?.clone(),
            puzzle_ids: vec![0; reset.len()],
            reset: reset.iter().map(|&fresh| fresh != 0).collect(),
            last_step: vec![false; reset.len()],
            wave: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_valid_and_batches_are_seeded_and_fit() {
        for model in TrainModel::all() {
            model.config.validate().unwrap();
            let batches = model.batches(1);
            assert_eq!(batches, model.batches(1));
            assert_ne!(batches, model.batches(2));
            let first = batches.get(0).unwrap();
            assert_eq!(first.tokens.len(), model.batch * model.config.seq_len);
            assert!(first.labels.iter().all(|&label| (1..model.config.vocab_size as i32).contains(&label)));
            assert!(first.reset.iter().all(|&fresh| fresh));
            assert_eq!(batches.get(STEPS), Some(first));
            assert_ne!(batches.get(1), batches.get(0));
        }
    }
}
