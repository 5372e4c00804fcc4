//! The sections of a training configuration but for `[model]`, each with its defaults; and a comment for every setting.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use trm_export::train::LossKind;
use trm_puzzles::maze::MAX_SIDE;
use trm_puzzles::{Layout, PuzzleKind, Spacing};

/// The optimiser of everything but the puzzle embedding, which has sign-SGD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with `atan2` instead of a division: no epsilon.
    AdamAtan2,
    /// Adam with decoupled decay.
    #[serde(rename = "adamw")]
    AdamW,
}

/// `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which optimiser.
    pub kind: OptimizerKind,
    /// Learning rate after warm-up.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// `AdamW` only.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Learning rate of the puzzle embedding.
    pub puzzle_emb_lr: f64,
    /// Decay of the puzzle embedding.
    pub puzzle_emb_weight_decay: f64,
    /// Largest global norm of the gradients; 0: not clipped.
    pub clip_grad_norm: f64,
    /// Rate of the moving average of the weights; 0: none.
    pub ema: f64,
    /// The loss.
    pub loss: LossKind,
    /// Parameters that stay as they are, by the beginning of their names.
    pub freeze: Vec<String>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::AdamAtan2,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            puzzle_emb_lr: 1e-2,
            puzzle_emb_weight_decay: 0.1,
            clip_grad_norm: 0.0,
            ema: 0.995,
            loss: LossKind::Stablemax,
            freeze: Vec::new(),
        }
    }
}

/// `[schedule]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// Steps until the learning rate is reached.
    pub warmup_steps: u64,
    /// The last learning rate as a share of the first.
    pub lr_min_ratio: f64,
    /// Most minutes of training; 0: no limit.
    pub max_minutes: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { steps: 20_000, warmup_steps: 100, lr_min_ratio: 0.01, max_minutes: 0.0 }
    }
}

/// `[batch]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Rows of a supervision step.
    pub size: usize,
    /// Supervision steps for one optimiser step.
    pub accumulation: usize,
    /// Carry groups, used round robin.
    pub groups: usize,
    /// `[step, visits]`: from an optimiser step on, most ACT steps that one puzzle gets.
    pub visits: Vec<[u64; 2]>,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { size: 32, accumulation: 1, groups: 8, visits: vec![[0, 4], [5_000, 16]] }
    }
}

/// `[[sizes]]`: the sizes that the carry groups work on, in turn, from an optimiser step on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SizesConfig {
    /// The first optimiser step.
    pub from: u64,
    /// Tasks with their sizes: the first group has the first one, and so on; one that is there twice has twice the groups.
    pub tasks: Vec<String>,
}

/// `[wave]`: teaches mazes how far the wave from G, and the way back from S, have got in every step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WaveConfig {
    /// Cells that they go in a step; 0: not taught, mazes are asked for their path at once.
    pub speed: usize,
    /// Cells behind the way back's end that may be marked or not.
    pub slack: usize,
    /// Cells behind the wave's front that it may not have reached yet.
    pub lag: usize,
    /// Cells before the front that it may have reached already.
    pub lead: usize,
}

impl Default for WaveConfig {
    fn default() -> Self {
        Self { speed: 0, slack: 6, lag: 0, lead: 0 }
    }
}

/// Difficulty of generated sudokus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GradeConfig {
    /// Solvable by singles.
    Easy,
    /// Not solvable by singles.
    Hard,
    /// Easy and hard in equal parts.
    Any,
}

/// Layout of generated mazes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutConfig {
    /// One way between any two cells.
    Perfect,
    /// Several ways.
    Loops,
    /// Obstacles at random.
    Obstacles,
    /// Few obstacles.
    Open,
    /// Many obstacles.
    Dense,
    /// Rooms within rooms.
    Rooms,
    /// One corridor that winds inwards.
    Spiral,
}

impl From<LayoutConfig> for Layout {
    fn from(layout: LayoutConfig) -> Self {
        match layout {
            LayoutConfig::Perfect => Self::Perfect,
            LayoutConfig::Loops => Self::Loops,
            LayoutConfig::Obstacles => Self::Obstacles,
            LayoutConfig::Open => Self::Open,
            LayoutConfig::Dense => Self::Dense,
            LayoutConfig::Rooms => Self::Rooms,
            LayoutConfig::Spiral => Self::Spiral,
        }
    }
}

/// The way between start and goal of generated mazes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpacingConfig {
    /// Anywhere, also side by side.
    Any,
    /// Two moves and a fifth of the longest way.
    Apart,
    /// Nine tenths of the longest way.
    Far,
}

impl From<SpacingConfig> for Spacing {
    fn from(spacing: SpacingConfig) -> Self {
        match spacing {
            SpacingConfig::Any => Self::Any,
            SpacingConfig::Apart => Self::Apart,
            SpacingConfig::Far => Self::Far,
        }
    }
}

/// `[[data]]`: one source of puzzles: exactly one of `generate`, `dataset` and `jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The task that it is for, one of several sizes; none: for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Fresh puzzles without end.
    pub generate: bool,
    /// Folder of a public data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<PathBuf>,
    /// File with one puzzle and answer a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonl: Option<PathBuf>,
    /// Generated sudokus: how hard.
    pub grade: GradeConfig,
    /// Generated sudokus: fewest and most givens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub givens: Option<[usize; 2]>,
    /// Generated sudokus: least and greatest rating instead of a grade, guesses of an exhaustive search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<[u64; 2]>,
    /// Generated mazes: layouts in equal parts.
    pub layouts: Vec<LayoutConfig>,
    /// Generated mazes: walls all around.
    pub border: bool,
    /// Generated mazes: how far apart start and goal are at least.
    pub spacing: SpacingConfig,
    /// Generated mazes: smaller ones as well, of sides in this range, put somewhere on the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sides: Option<[usize; 2]>,
    /// Share of the mix, relative to the other sources'.
    pub weight: f64,
    /// First example of the run that may come from here.
    pub from: u64,
    /// First example that no longer does; 0: for ever.
    pub until: u64,
    /// Show every puzzle under a random symmetry of its task.
    pub augment: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            task: None,
            generate: false,
            dataset: None,
            jsonl: None,
            grade: GradeConfig::Easy,
            givens: None,
            rating: None,
            layouts: vec![LayoutConfig::Perfect, LayoutConfig::Loops, LayoutConfig::Obstacles],
            border: true,
            spacing: SpacingConfig::Apart,
            sides: None,
            weight: 1.0,
            from: 0,
            until: 0,
            augment: true,
        }
    }
}

impl DataConfig {
    /// Checks the source; the error says in words what is wrong with it.
    pub(super) fn check(&self, kind: &PuzzleKind) -> Result<(), String> {
        let sources = [self.generate, self.dataset.is_some(), self.jsonl.is_some()];
        if sources.iter().filter(|given| **given).count() != 1 {
            return Err("expected exactly one of generate = true, dataset = \"DIR\" and jsonl = \"FILE\"".to_owned());
        }
        if self.generate && matches!(kind, PuzzleKind::Arc(_) | PuzzleKind::Tokens(_)) {
            return Err(format!("nothing generates {} tasks: expected dataset or jsonl", kind.task().name()));
        }
        if !(self.weight > 0.0 && self.weight <= 1e6) {
            return Err(format!("weight is {}, expected more than 0 and at most 1000000", self.weight));
        }
        if self.until != 0 && self.until <= self.from {
            return Err(format!("until is {}, expected 0 or more than from, {}", self.until, self.from));
        }
        if let Some([least, most]) = self.sides
            && !(3 <= least && least <= most && most <= MAX_SIDE)
        {
            return Err(format!("sides is [{least}, {most}], expected a rising range from 3 to {MAX_SIDE}"));
        }
        if let Some([least, most]) = self.rating {
            if !matches!(kind, PuzzleKind::Sudoku(_)) {
                return Err("rating is for sudokus".to_owned());
            }
            if least > most {
                return Err(format!("rating is [{least}, {most}], expected a rising range"));
            }
        }
        if let Some([low, high]) = self.givens {
            let cells = kind.task().seq_len();
            if low > high || high > cells {
                return Err(format!("givens is [{low}, {high}], expected a rising range up to {cells}"));
            }
        }
        Ok(())
    }
}

/// `[evaluation]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Optimiser steps between evaluations; 0: none.
    pub every: u64,
    /// Held-out puzzles.
    pub puzzles: usize,
    /// Tasks with their sizes that they are of, in equal parts; none: the run's first task. Sizes that are never trained may
    /// be among them.
    pub tasks: Vec<String>,
    /// Most ACT steps, the first answer that the rules accept counting; 0: all steps of the model, the last answer counting.
    pub steps: usize,
    /// Seed of the held-out puzzles; never one of training's.
    pub seed: u64,
    /// Share of a data set or file that is cut off for evaluation.
    pub held_out: f64,
    /// A data set to evaluate on instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<PathBuf>,
    /// A file to evaluate on instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonl: Option<PathBuf>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every: 1_000,
            puzzles: 500,
            tasks: Vec::new(),
            steps: 0,
            seed: 2_510,
            held_out: 0.1,
            dataset: None,
            jsonl: None,
        }
    }
}

/// `[checkpoint]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Optimiser steps between checkpoints.
    pub every: u64,
    /// Save the carry: larger, and a resumed run goes on bit for bit.
    pub carry: bool,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 500, carry: true }
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Optimiser steps between lines.
    pub every: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { every: 20 }
    }
}

/// The runtime of supervision steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// The training API where there is one and the settings allow it, else plain graphs.
    Auto,
    /// Plain graphs on any ONNX Runtime.
    Graph,
    /// ONNX Runtime's training API.
    OrtTraining,
}

/// `[runtime]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Which runtime.
    pub kind: RuntimeKind,
    /// Threads of the runtime, unless the command says otherwise; 0: all cores.
    pub threads: usize,
    /// Rows that a thread computes at once, a divisor of the batch; 0: as many as its cache holds. `graph` on a CPU only.
    pub rows: usize,
    /// Most MiB that the process should take; 0: no limit. `graph` on a CPU only.
    pub max_memory: usize,
    /// Threads that make puzzles.
    pub generator_threads: usize,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self { kind: RuntimeKind::Auto, threads: 0, rows: 0, max_memory: 0, generator_threads: 1 }
    }
}

/// Explains a setting in a few words; `None` for one without a comment.
pub(super) fn comment(section: &str, key: &str) -> Option<&'static str> {
    COMMENTS.iter().find(|entry| (entry.0, entry.1) == (section, key)).map(|entry| entry.2)
}

#[rustfmt::skip]
const COMMENTS: &[(&str, &str, &str)] = &[
    ("", "name", "of the model that is trained"),
    ("", "task", "with its size: sudoku-9, sudoku-2x3 (boxes), maze-11x15, arc"),
    ("", "seed", "of everything random"),
    ("model", "architecture", "trm or hrm"),
    ("model", "hidden_size", "width of the states"),
    ("model", "num_heads", "attention only"),
    ("model", "expansion", "width of the SwiGLU blocks relative to their input"),
    ("model", "H_cycles", "outer cycles of a step"),
    ("model", "L_cycles", "updates of z_L in an outer cycle"),
    ("model", "H_layers", "hrm only"),
    ("model", "L_layers", "blocks of the network"),
    ("model", "mixer", "of positions: mlp_t, attention, and of any size grid, cross (mazes), candidates (sudokus)"),
    ("model", "pos_encodings", "rope, learned or none"),
    ("model", "puzzle_emb_ndim", "0: no puzzle embedding"),
    ("model", "puzzle_emb_len", "prefix positions, 0: as many as needed"),
    ("model", "num_puzzle_identifiers", "rows of the puzzle embedding"),
    ("model", "halt_max_steps", "most steps of one puzzle"),
    ("model", "halt_exploration_prob", "share of rows that may not halt before a random step"),
    ("model", "no_ACT_continue", "halt on q_halt alone, false: q_halt > q_continue"),
    ("model", "rms_norm_eps", "added to the mean square"),
    ("model", "rope_theta", "base of the rotary frequencies"),
    ("optimizer", "kind", "adam-atan2 or adamw"),
    ("optimizer", "lr", "learning rate after warm-up"),
    ("optimizer", "beta1", "decay of the first moment"),
    ("optimizer", "beta2", "decay of the second moment"),
    ("optimizer", "eps", "adamw only"),
    ("optimizer", "weight_decay", "decoupled"),
    ("optimizer", "puzzle_emb_lr", "sign-SGD of the puzzle embedding"),
    ("optimizer", "puzzle_emb_weight_decay", "decoupled"),
    ("optimizer", "clip_grad_norm", "0: off"),
    ("optimizer", "ema", "moving average of the weights, 0: none"),
    ("optimizer", "loss", "stablemax or softmax"),
    ("optimizer", "freeze", "parameters that stay as they are, by the beginning of their names"),
    ("schedule", "steps", "optimizer steps"),
    ("schedule", "warmup_steps", "linear from 0"),
    ("schedule", "lr_min_ratio", "cosine down to this share, 1: constant"),
    ("schedule", "max_minutes", "0: no limit"),
    ("batch", "size", "rows of a supervision step"),
    ("batch", "accumulation", "supervision steps for one optimizer step"),
    ("batch", "groups", "carry groups, used round robin"),
    ("batch", "visits", "[optimizer step, most ACT steps of one puzzle from then on]"),
    ("wave", "speed", "mazes: cells that the wave from G goes in a step, a head of its own is taught where it is; 0: none"),
    ("wave", "slack", "cells at the end of the way back that may be marked or not"),
    ("wave", "lag", "cells behind the front of the wave that it may not have reached yet"),
    ("wave", "lead", "cells before the front that it may have reached already"),
    ("sizes", "from", "optimizer step"),
    ("sizes", "tasks", "of the carry groups, in turn; one that is named twice has twice the groups"),
    ("data", "task", "the size that it is for, of several"),
    ("data", "generate", "fresh puzzles without end"),
    ("data", "dataset", "folder of a public data set"),
    ("data", "jsonl", "one puzzle and answer a line"),
    ("data", "grade", "sudoku: easy, hard or any"),
    ("data", "givens", "sudoku: fewest and most"),
    ("data", "rating", "sudoku: least and greatest rating, instead of a grade"),
    ("data", "layouts", "maze: perfect, loops, obstacles, open, dense, rooms, spiral"),
    ("data", "border", "maze: walls all around"),
    ("data", "spacing", "maze: start and goal any (side by side as well), apart or far"),
    ("data", "sides", "maze: smaller ones as well, of sides from..to, put somewhere on the grid"),
    ("data", "weight", "share of the mix"),
    ("data", "from", "first example of the run that may come from here"),
    ("data", "until", "first example that no longer does, 0: for ever"),
    ("data", "augment", "under random symmetries of the task"),
    ("evaluation", "every", "optimizer steps, 0: never"),
    ("evaluation", "puzzles", "held-out puzzles"),
    ("evaluation", "tasks", "that they are of, in equal parts; none: the run's first task"),
    ("evaluation", "steps", "most ACT steps, the first answer that the rules accept counting; 0: all, the last one counting"),
    ("evaluation", "seed", "of the held-out puzzles"),
    ("evaluation", "held_out", "share of a data set or file that is never trained on"),
    ("evaluation", "dataset", "evaluate on this folder instead"),
    ("evaluation", "jsonl", "evaluate on this file instead"),
    ("checkpoint", "every", "optimizer steps"),
    ("checkpoint", "carry", "false: smaller, and a resumed run is not bit for bit the same"),
    ("log", "every", "optimizer steps"),
    ("runtime", "kind", "auto, graph or ort-training"),
    ("runtime", "threads", "0: all cores"),
    ("runtime", "rows", "of the batch that a thread computes at once, 0: as many as its cache holds"),
    ("runtime", "max_memory", "MiB that the process should stay below, 0: no limit"),
    ("runtime", "generator_threads", "threads that make puzzles"),
];
