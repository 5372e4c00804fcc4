//! Settings of a training run: model, optimiser, schedule, data. One TOML file; everything but name and task has a
//! default.

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use trm_engine::MAX_THREADS;
use trm_export::checkpoint::layout;
use trm_intake::{Budget, Hint as _, Limits, ReadError};
use trm_models::{FOLDER_NAME, NetworkConfig, TrmConfig, is_folder_name};
use trm_puzzles::{Arc, Maze, PuzzleKind, Sudoku, Tokens};
use trm_solver::model::board;

use super::config_sections::{
    BatchConfig, CheckpointConfig, DataConfig, EvaluationConfig, LogConfig, OptimizerConfig, RuntimeConfig,
    ScheduleConfig, SizesConfig, WaveConfig, comment,
};
use crate::{Result, TrainError};

/// Limits of a file of settings; one with every setting has 4 KB.
const CONFIG_LIMITS: Limits = Limits { bytes: 1 << 20, items: 10_000, depth: 0, time: None };
/// The longest line in it, in bytes.
const LONGEST_LINE: u64 = 4 << 10;
/// Most parameters of a model that is trained: twice those of a model with a million puzzle identifiers of width 512.
const MOST_PARAMETERS: usize = 1 << 30;
/// Most numbers in the states of all groups: 8 GiB.
const MOST_STATES: usize = 1 << 31;

/// Where a value came from when it was not a file.
const SETTINGS: &str = "the training settings";

/// A training run's settings, as its `config.toml` holds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The name of the model that is trained.
    pub name: String,
    /// The task with its size: `sudoku-9`, `sudoku-2x3` (boxes), `maze-11x15`, `arc`.
    pub task: String,
    /// Seed of everything random.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// `[model]`: the network.
    #[serde(default)]
    pub model: NetworkConfig,
    /// Loss and optimiser.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Length of the run, and its learning rate.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Composition of a batch.
    #[serde(default)]
    pub batch: BatchConfig,
    /// The wave of mazes.
    #[serde(default)]
    pub wave: WaveConfig,
    /// Sizes of the task in turn, for a model of any size; none: `task` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<SizesConfig>,
    /// Sources of puzzles, mixed by weight.
    #[serde(default = "default_data")]
    pub data: Vec<DataConfig>,
    /// Held-out puzzles.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    /// Times at which the run is saved.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// Times at which figures are written.
    #[serde(default)]
    pub log: LogConfig,
    /// The runtime that computes.
    #[serde(default)]
    pub runtime: RuntimeConfig,
}

fn default_seed() -> u64 {
    1
}

fn default_data() -> Vec<DataConfig> {
    vec![DataConfig { generate: true, ..DataConfig::default() }]
}

impl TrainConfig {
    /// Reads and checks a TOML text; `origin` names it in errors.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] if it is not TOML, or a setting is unknown, missing or cannot be used.
    pub fn from_toml(origin: &str, text: &str) -> Result<Self> {
        Budget::new(CONFIG_LIMITS)
            .take_lines(text.as_bytes(), LONGEST_LINE)
            .map_err(|exceeded| bad(origin, &exceeded.to_string(), None))?;
        let config: Self = toml::from_str(text).map_err(|error| bad(origin, error.to_string().trim_end(), None))?;
        config.validate_as(origin)?;
        Ok(config)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] if it cannot be read; [`TrainError::TrainConfig`] as in [`TrainConfig::from_toml`].
    pub fn read(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let bytes = Budget::new(CONFIG_LIMITS).read_file(path).map_err(|error| match error {
            ReadError::Io(source) => TrainError::io("read", path)(source),
            ReadError::Exceeded(exceeded) => {
                bad(&origin, &exceeded.to_string(), Some("`trm train --out` writes one with every setting"))
            }
        })?;
        let text = String::from_utf8(bytes).map_err(|_| bad(&origin, "not UTF-8 text, expected TOML", None))?;
        Self::from_toml(&origin, &text)
    }

    /// Settings that learn the task on two cores, without a file.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] for a task that does not exist.
    pub fn preset(task: &str) -> Result<Self> {
        let mut config = Self {
            name: task.to_owned(),
            task: task.to_owned(),
            seed: default_seed(),
            model: NetworkConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            batch: BatchConfig::default(),
            wave: WaveConfig::default(),
            sizes: Vec::new(),
            data: default_data(),
            evaluation: EvaluationConfig::default(),
            checkpoint: CheckpointConfig::default(),
            log: LogConfig::default(),
            runtime: RuntimeConfig::default(),
        };
        let kind = config.task_kind()?;
        let cells = kind.task().seq_len();
        let (steps, evaluate) = match cells {
            ..=16 => (600, 200),
            17..=36 => (6_000, 500),
            _ => (20_000, 1_000),
        };
        config.schedule.steps = steps;
        config.evaluation.every = evaluate;
        config.batch.visits = vec![[0, 4], [steps / 4, 16]];
        if cells <= 16 {
            config.model.hidden_size = 64;
            config.model.puzzle_emb_ndim = 64;
        }
        if matches!(kind, PuzzleKind::Arc(_) | PuzzleKind::Tokens(_)) {
            // Nothing makes such puzzles: the data must be named.
            config.data.clear();
            return Ok(config);
        }
        config.validate()?;
        Ok(config)
    }

    /// Task and size.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] for a task that does not exist.
    pub fn task_kind(&self) -> Result<PuzzleKind> {
        parse_task(&self.task).ok_or_else(|| {
            bad(
                SETTINGS,
                &format!("task is `{}`, expected a puzzle with its size", self.task),
                Some("sudoku-9, sudoku-2x3 (boxes of 2x3), maze-9, maze-11x15, arc or tokens-81x11 (81 tokens out of 11)"),
            )
        })
    }

    /// The model's configuration: what is written here, and sequence length and vocabulary of the task.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] for a task that does not exist; [`TrainError::Model`] if the settings do not
    /// go together.
    pub fn trm_config(&self) -> Result<TrmConfig> {
        let kind = self.task_kind()?;
        let task = kind.task();
        let config = self.model.for_task(task.seq_len(), task.vocab_size(), board(&kind));
        config.validate()?;
        Ok(config)
    }

    /// The same model, with the settings of a configuration that exists (fine-tuning).
    pub fn adopt_model(&mut self, config: &TrmConfig) {
        self.model = NetworkConfig::from(config);
    }

    /// Changes one setting by its name, `optimizer.lr` or `data.0.weight`, to a TOML value or a plain word. A setting
    /// that does not fit leaves everything as it was.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] for an unknown setting, or a value that it cannot have.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let origin = format!("--set {key}={value}");
        let mut root = self.to_value()?;
        let parsed = toml::from_str::<Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(value.to_owned()));
        // The reference's flag is another name of the same setting.
        let named = if key == "model.mlp_t" { "model.mixer" } else { key };
        let (path, last) = named.rsplit_once('.').unwrap_or(("", named));
        let mut place = &mut root;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            place = step_into(place, part).ok_or_else(|| {
                bad(&origin, &format!("no settings `{part}`"), Some("the run's config.toml lists all settings"))
            })?;
        }
        match place {
            // An integer is a number too: 1 for a rate must not be refused.
            Value::Table(table) => {
                let parsed = match (table.get(last), parsed) {
                    (Some(Value::Float(_)), Value::Integer(number)) => Value::Float(number as f64),
                    (_, parsed) => parsed,
                };
                table.insert(last.to_owned(), parsed);
            }
            _ => return Err(bad(&origin, &format!("`{path}` has no settings of its own"), None)),
        }
        let changed: Self = root.try_into().map_err(|error: toml::de::Error| {
            bad(&origin, error.message(), Some("the run's config.toml lists all settings"))
        })?;
        changed.validate_as(&origin)?;
        *self = changed;
        Ok(())
    }

    /// The whole configuration as TOML with a comment on every setting: the record of the run, read back by
    /// [`from_toml`](Self::from_toml).
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] if TOML has no form for a value.
    pub fn to_toml(&self) -> Result<String> {
        let plain = toml::to_string(self).map_err(|error| bad(SETTINGS, &error.to_string(), None))?;
        let mut section = String::new();
        let mut text = String::from("# A training run: every setting with the value that was used.\n");
        for line in plain.lines() {
            text.push_str(line);
            if line.starts_with('[') {
                line.trim_matches(['[', ']']).clone_into(&mut section);
            } else if let Some((key, _)) = line.split_once(" = ")
                && let Some(words) = comment(&section, key)
            {
                text.push_str("  # ");
                text.push_str(words);
            }
            text.push('\n');
        }
        Ok(text)
    }

    /// Checks every setting and that they go together.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] for the first setting that cannot be used.
    pub fn validate(&self) -> Result<()> {
        self.validate_as(SETTINGS)
    }

    fn to_value(&self) -> Result<Value> {
        Value::try_from(self).map_err(|error| bad(SETTINGS, &error.to_string(), None))
    }

    fn validate_as(&self, origin: &str) -> Result<()> {
        let refuse = |key: &str, value: String, expected: &str| {
            Err(bad(origin, &format!("{key} is {value}, expected {expected}"), None))
        };
        if !is_folder_name(&self.name) {
            return refuse("name", format!("{:?}", self.name), FOLDER_NAME);
        }
        if i64::try_from(self.seed).is_err() || i64::try_from(self.evaluation.seed).is_err() {
            return refuse("seed", self.seed.max(self.evaluation.seed).to_string(), "a number below 2^63");
        }
        let kind = parse_task(&self.task);
        let Some(kind) = kind else { return self.task_kind().map(drop) };
        for (key, value, low, high) in self.numbers() {
            // NaN is in no range.
            if !(low..=high).contains(&value) {
                return refuse(key, value.to_string(), &format!("{low} to {high}"));
            }
        }
        for (key, value, high) in self.counts() {
            if value == 0 || value > high {
                return refuse(key, value.to_string(), &format!("1 to {high}"));
            }
        }
        if self.runtime.threads > MAX_THREADS {
            return refuse("runtime.threads", self.runtime.threads.to_string(), &format!("0 to {MAX_THREADS}"));
        }
        let rising = self.batch.visits.windows(2).all(|pair| pair[0][0] < pair[1][0]);
        let first = self.batch.visits.first().is_some_and(|visit| visit[0] == 0);
        if !rising || !first || self.batch.visits.iter().any(|visit| visit[1] == 0) {
            return refuse(
                "batch.visits",
                format!("{:?}", self.batch.visits),
                "pairs of a step and the most visits from then on, the first at step 0, rising: [[0, 4], [5000, 16]]",
            );
        }
        if self.wave.speed > 0 && !matches!(kind, PuzzleKind::Maze(_)) {
            return refuse("wave.speed", self.wave.speed.to_string(), "0: only mazes have a wave");
        }
        self.check_sizes(origin)?;
        if self.data.is_empty() {
            return Err(bad(
                origin,
                "no [[data]]: nothing to train on",
                Some("[[data]] with generate = true, dataset or jsonl"),
            ));
        }
        for (index, data) in self.data.iter().enumerate() {
            data.check(&kind).map_err(|reason| bad(origin, &format!("data.{index}: {reason}"), None))?;
        }
        if !self.data.iter().any(|data| data.from == 0) {
            return Err(bad(origin, "no [[data]] has from = 0: the first example has no source", None));
        }
        let refused = |error: TrainError| bad(origin, &error.to_string(), error.hint().as_deref());
        let config = self.trm_config().map_err(refused)?;
        self.check_memory(origin, &config)
    }

    /// Refuses a run whose parameters or states no machine has room for, before any are made.
    pub(super) fn check_memory(&self, origin: &str, config: &TrmConfig) -> Result<()> {
        let product = |numbers: &[usize]| numbers.iter().try_fold(1, |all: usize, &number| all.checked_mul(number));
        let parameters = layout(config)
            .iter()
            .try_fold(0, |sum: usize, tensor| sum.checked_add(product(&tensor.shape)?))
            .filter(|&parameters| parameters <= MOST_PARAMETERS);
        if parameters.is_none() {
            let reason = format!("[model]: more than the limit of {MOST_PARAMETERS} parameters");
            return Err(bad(origin, &reason, Some("lower hidden_size, L_layers or num_puzzle_identifiers")));
        }
        let BatchConfig { size, groups, .. } = self.batch;
        let states = product(&[2, size, groups, config.total_len(), config.hidden_size]);
        if states.is_none_or(|states| states > MOST_STATES) {
            let reason = format!(
                "batch.size {size} with batch.groups {groups} and states of {} positions of {} makes more than the limit \
                 of {MOST_STATES} numbers",
                config.total_len(),
                config.hidden_size
            );
            return Err(bad(origin, &reason, Some("lower batch.size or batch.groups")));
        }
        Ok(())
    }

    /// Rates and shares with the least and the most they can be.
    fn numbers(&self) -> [(&'static str, f64, f64, f64); 12] {
        let o = &self.optimizer;
        [
            ("optimizer.lr", o.lr, 1e-12, 10.0),
            ("optimizer.beta1", o.beta1, 0.0, 0.999_999),
            ("optimizer.beta2", o.beta2, 0.0, 0.999_999),
            ("optimizer.eps", o.eps, 0.0, 1.0),
            ("optimizer.weight_decay", o.weight_decay, 0.0, 1e4),
            ("optimizer.puzzle_emb_lr", o.puzzle_emb_lr, 0.0, 10.0),
            ("optimizer.puzzle_emb_weight_decay", o.puzzle_emb_weight_decay, 0.0, 1e4),
            ("optimizer.clip_grad_norm", o.clip_grad_norm, 0.0, 1e9),
            ("optimizer.ema", o.ema, 0.0, 0.999_999_9),
            ("schedule.lr_min_ratio", self.schedule.lr_min_ratio, 0.0, 1.0),
            ("schedule.max_minutes", self.schedule.max_minutes, 0.0, 1e6),
            ("evaluation.held_out", self.evaluation.held_out, 0.0, 0.9),
        ]
    }

    /// Counts that cannot be zero, with the most they can be.
    fn counts(&self) -> [(&'static str, u64, u64); 8] {
        [
            // 0 is allowed of it: no held-out puzzles.
            ("evaluation.puzzles", self.evaluation.puzzles.max(1) as u64, 1_000_000),
            ("schedule.steps", self.schedule.steps, 1 << 40),
            ("batch.size", self.batch.size as u64, 1 << 16),
            ("batch.accumulation", self.batch.accumulation as u64, 1 << 16),
            ("batch.groups", self.batch.groups as u64, 1 << 12),
            ("checkpoint.every", self.checkpoint.every, 1 << 40),
            ("log.every", self.log.every, 1 << 40),
            ("runtime.generator_threads", self.runtime.generator_threads as u64, 256),
        ]
    }
}

/// A part of a table or list, by name or number.
fn step_into<'a>(value: &'a mut Value, part: &str) -> Option<&'a mut Value> {
    match value {
        Value::Table(table) => table.get_mut(part),
        Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The task that a text names with its size: `sudoku-9`, `sudoku-3x3`, `maze-9`, `maze-11x15`, `arc`, `tokens-81x11`.
#[must_use]
pub fn parse_task(text: &str) -> Option<PuzzleKind> {
    if text == "arc" {
        return Some(PuzzleKind::Arc(Arc));
    }
    let (name, size) = text.split_once('-')?;
    let sides = size.split_once('x').map(|(height, width)| (height.parse().ok(), width.parse().ok()));
    match (name, sides) {
        ("sudoku", Some((height, width))) => Sudoku::new(height?, width?).ok().map(PuzzleKind::Sudoku),
        ("sudoku", None) => Sudoku::with_side(size.parse().ok()?).map(PuzzleKind::Sudoku),
        ("maze", Some((height, width))) => Maze::new(height?, width?).ok().map(PuzzleKind::Maze),
        ("maze", None) => {
            let side = size.parse().ok()?;
            Maze::new(side, side).ok().map(PuzzleKind::Maze)
        }
        ("tokens", Some((length, vocabulary))) => Tokens::new(length?, vocabulary?).ok().map(PuzzleKind::Tokens),
        _ => None,
    }
}

pub(super) fn bad(origin: &str, reason: &str, hint: Option<&str>) -> TrainError {
    TrainError::TrainConfig { origin: origin.to_owned(), reason: reason.to_owned(), hint: hint.map(str::to_owned) }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
