//! The configuration of a model, in the reference's own field names, and the arithmetic that follows from it.

use serde::{Deserialize, Serialize};

use crate::{Board, Mixer, ModelError, Result};

/// The public model that a configuration belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Tiny Recursive Model (arXiv 2510.04871): one network updates both states.
    Trm,
    /// Hierarchical Reasoning Model (arXiv 2506.21734): a network for each of the two states.
    Hrm,
}

impl Architecture {
    /// The name that papers use: `TRM` or `HRM`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trm => "TRM",
            Self::Hrm => "HRM",
        }
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The encoding that tells positions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PosEncodings {
    /// Rotary embedding of queries and keys.
    Rope,
    /// A learned vector a position, added to the token embedding.
    Learned,
    /// No encoding: MLP-T tells positions apart by its own weights.
    None,
}

/// A model's configuration, in the reference's field names (`all_config.yaml`, under `arch:`, and `dataset.json`).
///
/// Read one with [`ConfigSource`](crate::ConfigSource), which also validates it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrmConfig {
    /// TRM or HRM, from `arch.name`.
    pub architecture: Architecture,
    /// S: cells of the grid, row by row.
    pub seq_len: usize,
    /// V: number of tokens, padding included.
    pub vocab_size: usize,
    /// D: width of the states.
    pub hidden_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Width of the `SwiGLU` blocks relative to their input; see [`swiglu_inner`](Self::swiglu_inner).
    pub expansion: f64,
    /// T: outer cycles of one ACT step.
    #[serde(rename = "H_cycles")]
    pub h_cycles: usize,
    /// n: updates of `z_L` in one outer cycle.
    #[serde(rename = "L_cycles")]
    pub l_cycles: usize,
    /// Blocks of HRM's `H_level`; TRM ignores it.
    #[serde(rename = "H_layers")]
    pub h_layers: usize,
    /// Blocks of `L_level`, which is TRM's only network.
    #[serde(rename = "L_layers")]
    pub l_layers: usize,
    /// The part of a block that mixes positions; the reference's flag `mlp_t` where it has the mixer.
    #[serde(flatten, with = "crate::mixer::keys")]
    pub mixer: Mixer,
    /// The encoding that tells positions apart.
    pub pos_encodings: PosEncodings,
    /// Width of a row of the puzzle-embedding table; 0 for none.
    pub puzzle_emb_ndim: usize,
    /// Prefix positions of TRM that hold the puzzle embedding; 0: as many as it needs. HRM ignores it.
    pub puzzle_emb_len: usize,
    /// N: rows of the puzzle-embedding table.
    pub num_puzzle_identifiers: usize,
    /// ACT (supervision) steps.
    pub halt_max_steps: usize,
    /// Training only: share of rows that may not halt before a random step.
    pub halt_exploration_prob: f64,
    /// TRM halts when `q_halt > 0` instead of comparing with `q_continue`. HRM ignores it.
    #[serde(rename = "no_ACT_continue")]
    pub no_act_continue: bool,
    /// Added to the mean square before its root.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// The cells of the task, for a mixer that works on a board; `None` for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<Board>,
    /// Dtype of the reference's activations: `float32`, `bfloat16`, `float16` or `float64`. Weights are float32.
    pub forward_dtype: String,
}

/// Largest accepted width, length or count of anything but puzzle identifiers. The published models stay below 1,000;
/// the limit keeps a mistyped configuration from asking for terabytes.
const MAX_SIZE: usize = 1 << 16;
/// Largest accepted number of puzzle identifiers. Published ARC-AGI checkpoints have about a million.
const MAX_PUZZLE_IDENTIFIERS: usize = 1 << 27;
/// Largest accepted number of block applications in one ACT step, which a step graph unrolls. Published: 42.
const MAX_BLOCKS_PER_STEP: usize = 1 << 14;
/// The values of `forward_dtype` for which the public code computes, besides torch's short names for them.
pub(crate) const FORWARD_DTYPES: [&str; 4] = ["float32", "bfloat16", "float16", "float64"];

impl TrmConfig {
    /// P: positions in front of the grid that hold the puzzle embedding, `puzzle_emb_len`, or
    /// `ceil(puzzle_emb_ndim / hidden_size)` if that is 0. HRM always uses the latter. On a board there are none.
    #[must_use]
    pub fn prefix_len(&self) -> usize {
        if self.mixer.has_board() {
            // The embedding is added to every position.
            0
        } else if self.architecture == Architecture::Trm && self.puzzle_emb_len > 0 {
            self.puzzle_emb_len
        } else if self.hidden_size == 0 {
            0
        } else {
            self.puzzle_emb_ndim.div_ceil(self.hidden_size)
        }
    }

    /// L: positions of the states: P + S, and S times the symbols for candidates.
    #[must_use]
    pub fn total_len(&self) -> usize {
        match self.mixer {
            Mixer::Candidates => self.seq_len.saturating_mul(self.symbols()),
            Mixer::Attention | Mixer::MlpT | Mixer::Grid | Mixer::Cross => self.prefix_len() + self.seq_len,
        }
    }

    /// Symbols of an all-different puzzle: all tokens but padding and blank, tokens 0 and 1.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.vocab_size.saturating_sub(2)
    }

    /// Width of one attention head, `hidden_size / num_heads`.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.hidden_size.checked_div(self.num_heads).unwrap_or(0)
    }

    /// Inner width of the `SwiGLU` over an input of `width`: `256 · ceil(round(expansion · width · 2 / 3) / 256)`, `round`
    /// being Python's (half to even). 1536 for width 512 and expansion 4. On a board, where states are narrow, `expansion · width`.
    #[must_use]
    pub fn swiglu_inner(&self, width: usize) -> usize {
        if self.mixer.has_board() {
            return (self.expansion * width as f64).round_ties_even() as usize;
        }
        // In the reference's order of operations, which decides the last bit.
        let exact = self.expansion * width as f64 * 2.0 / 3.0;
        (exact.round_ties_even() as usize).div_ceil(256) * 256
    }

    /// True if a row halts when `q_halt > q_continue` (HRM, and TRM with `no_ACT_continue: false`) rather than when
    /// `q_halt > 0`.
    #[must_use]
    pub fn halts_by_q_learning(&self) -> bool {
        self.architecture == Architecture::Hrm || !self.no_act_continue
    }

    /// Checks that the public code computes with these settings, and that they are of a size a model can have.
    ///
    /// # Errors
    /// The first setting, or pair of settings, that cannot work, why, and what to change.
    pub fn validate(&self) -> Result<()> {
        self.check_sizes()?;
        self.check_numbers()?;
        self.check_heads()?;
        self.check_board()?;
        self.check_puzzle_embedding()
    }

    fn check_sizes(&self) -> Result<()> {
        let sizes = [
            ("seq_len", self.seq_len),
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("H_cycles", self.h_cycles),
            ("L_cycles", self.l_cycles),
            ("L_layers", self.l_layers),
            ("halt_max_steps", self.halt_max_steps),
        ];
        for (field, size) in sizes {
            within(field, size, 1, MAX_SIZE)?;
        }
        if self.architecture == Architecture::Hrm {
            within("H_layers", self.h_layers, 1, MAX_SIZE)?;
        }
        within("puzzle_emb_len", self.puzzle_emb_len, 0, MAX_SIZE)?;
        within("puzzle_emb_ndim", self.puzzle_emb_ndim, 0, MAX_SIZE)?;
        let fewest = usize::from(self.puzzle_emb_ndim > 0);
        within("num_puzzle_identifiers", self.num_puzzle_identifiers, fewest, MAX_PUZZLE_IDENTIFIERS)?;

        let layers = match self.architecture {
            Architecture::Trm => self.l_layers,
            Architecture::Hrm => self.l_layers.max(self.h_layers),
        };
        let blocks = [self.l_cycles + 1, layers].into_iter().try_fold(self.h_cycles, usize::checked_mul);
        if blocks.is_none_or(|blocks| blocks > MAX_BLOCKS_PER_STEP) {
            return invalid(
                format!(
                    "H_cycles {} with L_cycles {} and {layers} layers is more than {MAX_BLOCKS_PER_STEP} blocks an ACT step",
                    self.h_cycles, self.l_cycles
                ),
                None,
            );
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        if !(self.expansion > 0.0 && self.expansion <= 1024.0) {
            return invalid(format!("expansion is {}, expected more than 0 and at most 1024", self.expansion), None);
        }
        let narrowest =
            if self.mixer.weighs_positions() { self.hidden_size.min(self.total_len()) } else { self.hidden_size };
        if self.swiglu_inner(narrowest) == 0 {
            return invalid(
                format!("expansion {} leaves no inner width for a SwiGLU over {narrowest}", self.expansion),
                None,
            );
        }
        if !(self.rms_norm_eps >= 0.0 && self.rms_norm_eps < 1.0) {
            return invalid(format!("rms_norm_eps is {}, expected 0 or more and less than 1", self.rms_norm_eps), None);
        }
        if !(self.rope_theta > 0.0 && self.rope_theta.is_finite()) {
            return invalid(format!("rope_theta is {}, expected a positive number", self.rope_theta), None);
        }
        if !(0.0..=1.0).contains(&self.halt_exploration_prob) {
            return invalid(
                format!("halt_exploration_prob is {}, expected a probability", self.halt_exploration_prob),
                None,
            );
        }
        if !FORWARD_DTYPES.contains(&self.forward_dtype.as_str()) {
            return invalid(
                format!("forward_dtype is `{}`, expected one of {}", self.forward_dtype, FORWARD_DTYPES.join(", ")),
                None,
            );
        }
        Ok(())
    }

    /// MLP-T uses no heads: the reference builds its rotary table and never reads it.
    fn check_heads(&self) -> Result<()> {
        if !self.mixer.has_heads() {
            return Ok(());
        }
        within("num_heads", self.num_heads, 1, MAX_SIZE)?;
        if !self.hidden_size.is_multiple_of(self.num_heads) {
            return invalid(
                format!("hidden_size {} is not a multiple of num_heads {}", self.hidden_size, self.num_heads),
                None,
            );
        }
        if self.pos_encodings == PosEncodings::Rope && !self.head_dim().is_multiple_of(2) {
            return invalid(
                format!(
                    "hidden_size {} with num_heads {} gives heads of width {}, and rope needs an even width",
                    self.hidden_size,
                    self.num_heads,
                    self.head_dim()
                ),
                None,
            );
        }
        Ok(())
    }

    fn check_board(&self) -> Result<()> {
        let board = match (&self.board, self.mixer.has_board()) {
            (None, false) => return Ok(()),
            (Some(board), true) => board,
            (None, true) => {
                let reason = format!("the mixer {} works on a board, and there is none", self.mixer);
                return invalid(reason, Some("give the task with its size"));
            }
            (Some(_), false) => return invalid(format!("a board for the mixer {}, which has none", self.mixer), None),
        };
        board.validate(self.seq_len)?;
        if self.pos_encodings != PosEncodings::None {
            let reason =
                format!("pos_encodings for the mixer {}, whose weights are the same for every position", self.mixer);
            return invalid(reason, Some("set pos_encodings to none"));
        }
        if self.mixer == Mixer::Candidates {
            within("vocab_size", self.vocab_size, 3, MAX_SIZE)?;
            within("seq_len times the symbols", self.total_len(), 1, MAX_SIZE)?;
            if board.groups.is_empty() {
                return invalid("candidates on a board without groups of cells that all differ".to_owned(), None);
            }
        }
        Ok(())
    }

    fn check_puzzle_embedding(&self) -> Result<()> {
        if self.mixer.has_board() {
            if self.puzzle_emb_ndim == 0 || self.puzzle_emb_ndim == self.hidden_size {
                return Ok(());
            }
            let (ndim, width, mixer) = (self.puzzle_emb_ndim, self.hidden_size, self.mixer);
            let reason =
                format!("puzzle_emb_ndim {ndim} with hidden_size {width}: the mixer {mixer} adds it to every position");
            return invalid(reason, Some("set puzzle_emb_ndim to 0, or to hidden_size"));
        }
        let (prefix, width) = (self.prefix_len(), self.hidden_size);
        if self.puzzle_emb_ndim == 0 && prefix > 0 {
            return invalid(
                format!(
                    "puzzle_emb_len is {prefix} but puzzle_emb_ndim is 0: the public code then reserves {prefix} prefix \
                     positions that it never fills, adds states of {} positions to embeddings of {}, and cuts {prefix} \
                     cells off the logits",
                    self.total_len(),
                    self.seq_len
                ),
                Some("a model without puzzle embedding needs puzzle_emb_len: 0 (left out, it is 16)"),
            );
        }
        if self.puzzle_emb_ndim > prefix * width {
            return invalid(
                format!(
                    "puzzle_emb_ndim {} does not fit into puzzle_emb_len {prefix} positions of hidden_size {width} ({} \
                     numbers)",
                    self.puzzle_emb_ndim,
                    prefix * width
                ),
                Some("puzzle_emb_len: 0 makes as many positions as the embedding needs"),
            );
        }
        Ok(())
    }
}

fn within(field: &str, size: usize, min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&size) {
        return Ok(());
    }
    invalid(format!("{field} is {size}, expected {min} to {max}"), None)
}

fn invalid(reason: String, hint: Option<&str>) -> Result<()> {
    Err(ModelError::InvalidConfig { reason, hint: hint.map(str::to_owned) })
}
