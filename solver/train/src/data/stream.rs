//! The mix of all sources.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trm_puzzles::Task;

use super::source::{Source, transform};
use super::{Excluded, TrainExample, mix};
use crate::config::TrainConfig;
use crate::config_sections::DataConfig;
use crate::{Result, TrainError};

/// Sets the random numbers of held-out puzzles apart from those of training.
const EVALUATION: u64 = 0xe7a1;
/// Draws until a puzzle is found that is not held out.
const ATTEMPTS: u64 = 200;

/// The examples of a run: number `index` is a function of configuration, seed and `index` alone.
#[derive(Debug)]
pub struct Stream {
    task: Box<dyn Task>,
    seed: u64,
    sources: Vec<(DataConfig, Source)>,
    held_out: Vec<TrainExample>,
    excluded: Excluded,
    /// True to give mazes their wave.
    wave: bool,
}

impl Stream {
    /// Opens every source, checks all stored labels, and sets the evaluation's puzzles apart.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] for settings that cannot be used; [`TrainError::TrainData`] for a wrong label, or
    /// examples that no source gives; [`TrainError::Puzzle`] or [`TrainError::Solver`] if a data set or file is
    /// refused.
    pub fn new(config: &TrainConfig) -> Result<Self> {
        let (kind, model) = (config.task_kind()?, config.trm_config()?);
        let task = kind.task();
        let evaluation = &config.evaluation;
        let explicit = evaluation.dataset.is_some() || evaluation.jsonl.is_some();
        let share = if explicit { 0.0 } else { evaluation.held_out };
        let sources = config
            .data
            .iter()
            .map(|data| Ok((data.clone(), Source::open(data, kind, &model, share)?)))
            .collect::<Result<Vec<_>>>()?;
        check_coverage(&sources)?;

        let mut held_out = Vec::new();
        for data in evaluation_sources(config) {
            let source = Source::open(&data, kind, &model, 0.0)?;
            held_out.extend(source.all_held_out(evaluation.puzzles.saturating_sub(held_out.len())));
        }
        if !explicit {
            let weights: f64 = sources.iter().map(|(data, _)| data.weight).sum();
            for (number, (data, source)) in sources.iter().enumerate() {
                let count = (evaluation.puzzles as f64 * data.weight / weights).ceil() as usize;
                let mut rng = rng(evaluation.seed ^ EVALUATION, number as u64, EVALUATION);
                held_out.extend(source.held_out(task.as_ref(), &mut rng, count)?);
            }
            held_out.truncate(evaluation.puzzles);
        }
        let excluded = held_out.iter().map(|example| example.tokens.clone()).collect();
        let wave = config.wave.speed > 0;
        Ok(Self { task, seed: config.seed, sources, held_out, excluded, wave })
    }

    /// Puzzles for evaluation. Training never draws one of them.
    #[must_use]
    pub fn held_out(&self) -> &[TrainExample] {
        &self.held_out
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &dyn Task {
        self.task.as_ref()
    }

    /// Makes example number `index`, from 0.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainData`] if no source gives it, or all puzzles that are drawn for it are held out;
    /// [`TrainError::Puzzle`] if none can be generated.
    pub fn example(&self, index: u64) -> Result<TrainExample> {
        let example = self.drawn(index)?;
        if self.wave { example.with_wave(self.task()) } else { Ok(example) }
    }

    fn drawn(&self, index: u64) -> Result<TrainExample> {
        let task = self.task.as_ref();
        for attempt in 0..ATTEMPTS {
            let mut rng = rng(self.seed, index, attempt);
            let (number, (data, source)) = self.pick(index, &mut rng)?;
            // Counting on reaches every group once an epoch; a second try takes any.
            let position = (attempt == 0).then_some(index);
            let example = source.draw(task, &mut rng, mix(self.seed, number as u64), position)?;
            if self.excluded.contains(&example.tokens) {
                continue;
            }
            // A generator's puzzles are random already.
            if !data.augment || data.generate {
                return Ok(example);
            }
            let symmetry = task.symmetry(&mut rng);
            let example = transform(task, symmetry.as_ref(), example)?;
            if !self.excluded.contains(&example.tokens) {
                return Ok(example);
            }
        }
        Err(TrainError::TrainData {
            origin: "the training data".to_owned(),
            reason: format!("{ATTEMPTS} puzzles in a row are held out for evaluation"),
            hint: format!("the task has few puzzles: lower evaluation.puzzles ({})", self.held_out.len()),
        })
    }

    /// The source of an example, by weight among those whose turn it is.
    fn pick(&self, index: u64, rng: &mut ChaCha8Rng) -> Result<(usize, &(DataConfig, Source))> {
        let active = || self.sources.iter().enumerate().filter(|(_, (data, _))| is_active(data, index));
        let total: f64 = active().map(|(_, (data, _))| data.weight).sum();
        // 2^40 steps are fine enough for any mix.
        let mut rest = (rng.next_u64() >> 24) as f64 / (1_u64 << 40) as f64 * total;
        let mut last = None;
        for (number, source) in active() {
            last = Some((number, source));
            rest -= source.0.weight;
            if rest < 0.0 {
                break;
            }
        }
        last.ok_or_else(|| no_source(index))
    }
}

/// Files and folders named for evaluation only.
fn evaluation_sources(config: &TrainConfig) -> Vec<DataConfig> {
    let evaluation = &config.evaluation;
    let dataset = evaluation.dataset.clone().map(|dir| DataConfig { dataset: Some(dir), ..DataConfig::default() });
    let jsonl = evaluation.jsonl.clone().map(|file| DataConfig { jsonl: Some(file), ..DataConfig::default() });
    dataset.into_iter().chain(jsonl).collect()
}

fn is_active(data: &DataConfig, index: u64) -> bool {
    data.from <= index && (data.until == 0 || index < data.until)
}

/// Every example must have a source: it can only be missing from the start or from where another ends.
fn check_coverage(sources: &[(DataConfig, Source)]) -> Result<()> {
    let edges: BTreeSet<u64> = sources.iter().map(|(data, _)| data.until).collect();
    match edges.into_iter().find(|&edge| !sources.iter().any(|(data, _)| is_active(data, edge))) {
        Some(edge) => Err(no_source(edge)),
        None => Ok(()),
    }
}

fn no_source(index: u64) -> TrainError {
    TrainError::TrainData {
        origin: "the training data".to_owned(),
        reason: format!("no [[data]] gives example {index} and those after it"),
        hint: "leave `until` out of the last source, and let `from` follow on from another's `until`".to_owned(),
    }
}

/// Random numbers of one example and attempt.
fn rng(seed: u64, index: u64, attempt: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, index, attempt, 0x0074_726d]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
