//! The input, output and carry of one step of adaptive computation time.

use trm_models::TrmConfig;

/// A copy of the recurrent state of a whole batch on the host, for parity checks and debugging. While solving, the
/// carry stays inside the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Carry {
    /// High-level state `z_H`, `[batch, total_len, hidden]`.
    pub z_h: Vec<f32>,
    /// Low-level state `z_L`, `[batch, total_len, hidden]`.
    pub z_l: Vec<f32>,
}

/// The input of one ACT step for a whole batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActStep {
    /// Token ids of the puzzles, `[batch, seq]`; they must be given at every step.
    pub tokens: Vec<i32>,
    /// Rows of the puzzle-embedding table, `[batch]`; 0 for models with one row or none.
    pub puzzle_ids: Vec<i32>,
    /// Rows that start a new puzzle from `H_init` / `L_init`, `[batch]`; the others go on from their carry.
    pub reset: Vec<bool>,
    /// Rows without a puzzle, `[batch]`: what comes out for them means nothing, and they hold no carry afterwards. An
    /// engine that runs rows one by one leaves them out.
    pub idle: Vec<bool>,
}

impl ActStep {
    /// The first step of `puzzle_ids.len()` puzzles.
    #[must_use]
    pub fn first(tokens: Vec<i32>, puzzle_ids: Vec<i32>) -> Self {
        let (reset, idle) = (vec![true; puzzle_ids.len()], vec![false; puzzle_ids.len()]);
        Self { tokens, puzzle_ids, reset, idle }
    }
}

/// The output of one ACT step for a whole batch.
#[derive(Debug, Clone, PartialEq)]
pub struct ActOutput {
    /// Argmax over the vocabulary, `[batch, seq]`.
    pub answer: Vec<i32>,
    /// Logit of "this answer is correct", `[batch]`.
    pub q_halt: Vec<f32>,
    /// Logit of "go on", `[batch]`; trained only in models that halt by Q-learning.
    pub q_continue: Vec<f32>,
    /// `[batch, seq, vocab]`, when the session was loaded with `want_logits`.
    pub logits: Option<Vec<f32>>,
}

/// The logit that a halting threshold is compared with: `q_halt`, less `q_continue` for a model that halts by
/// Q-learning.
#[must_use]
pub fn halt_signal(config: &TrmConfig, q_halt: f32, q_continue: f32) -> f32 {
    if config.halts_by_q_learning() { q_halt - q_continue } else { q_halt }
}
