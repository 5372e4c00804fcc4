//! Measuring weights on puzzles that training never sees: all steps, the last answer counts, as in the reference.

use trm_engine::ort::OrtEngine;
use trm_engine::{ActStep, Engine, SessionOptions};
use trm_export::checkpoint::{StateDict, WeightDtype, WeightTensor};
use trm_export::trm::GraphOptions;
use trm_models::TrmConfig;
use trm_puzzles::Task;
use trm_solver::graph_of_weights;
use trm_solver::measure::score::{LabelScore, Score, Scores};

use super::config::TrainConfig;
use super::data::{Stream, TrainExample};
use super::log::{EvalRecord, TaskRecord};
use super::runtime::{NamedTensor, Weights, largest_tensor};
use crate::Result;

/// Most rows of an evaluation's batch.
const ROWS: usize = 32;
/// Most bytes of its largest tensor: on a large grid there are fewer rows.
const LARGEST_TENSOR: usize = 2 << 20;

/// Held-out puzzles of one size.
#[derive(Debug)]
pub struct HeldOut {
    /// The task with its size, as the settings name it.
    pub task: String,
    model: TrmConfig,
    rules: Box<dyn Task>,
    examples: Vec<TrainExample>,
}

/// The held-out puzzles of a run, a set for each size.
///
/// # Errors
///
/// As [`Stream::new`].
pub fn sets(config: &TrainConfig) -> Result<Vec<HeldOut>> {
    let set = |run: TrainConfig| {
        let (model, kind, stream) = (run.trm_config()?, run.task_kind()?, Stream::new(&run)?);
        Ok(HeldOut { task: run.task, model, rules: kind.task(), examples: stream.held_out().to_vec() })
    };
    config.evaluated().into_iter().map(set).collect()
}

/// Measures exact, right and valid answers with these weights; `None` as soon as `stop` is true. With `steps` a puzzle has
/// that many steps at most, and its first answer that the rules accept counts; with 0 the answer after all steps of the
/// model. `step` and `seconds` of the record are left at zero.
///
/// # Errors
///
/// [`TrainError::Export`](crate::TrainError::Export) if the weights do not fit the configuration;
/// [`TrainError::Engine`](crate::TrainError::Engine) if ONNX Runtime fails.
pub fn measure(
    engine: &OrtEngine,
    sets: &[HeldOut],
    steps: usize,
    weights: &Weights,
    options: &SessionOptions,
    stop: &mut dyn FnMut() -> bool,
) -> Result<Option<EvalRecord>> {
    let weights = state_dict(weights);
    let mut all = Scores::default();
    let mut by_task = Vec::new();
    for set in sets {
        let mut scores = Scores::default();
        let Some(found) = set.answers(engine, steps, &weights, options, stop)? else { return Ok(None) };
        for score in found {
            scores.add(&score);
            all.add(&score);
        }
        by_task.push(TaskRecord {
            task: set.task.clone(),
            exact: scores.exact.value().unwrap_or(0.0),
            valid: scores.valid.value(),
            n: scores.exact.total,
        });
    }
    if let [_] = by_task[..] {
        by_task.clear();
    }
    let Scores { exact, cell, valid, .. } = all;
    let (exact_low, exact_high) = exact.interval();
    Ok(Some(EvalRecord {
        exact: exact.value().unwrap_or(0.0),
        exact_low,
        exact_high,
        cell: cell.value().unwrap_or(0.0),
        valid: valid.value(),
        n: exact.total,
        by_task,
        ..EvalRecord::default()
    }))
}

impl HeldOut {
    fn answers(
        &self,
        engine: &OrtEngine,
        steps: usize,
        weights: &StateDict,
        options: &SessionOptions,
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<Score>>> {
        let Self { model, examples, .. } = self;
        let source = graph_of_weights("training", model, weights, GraphOptions::default())?;
        let rows = ROWS.min(LARGEST_TENSOR / largest_tensor(model)).min(examples.len()).max(1);
        let options = SessionOptions { batch: rows, want_logits: false, ..options.clone() };
        let mut session = engine.load_step_graph(&source, &options)?;
        let mut scores = Vec::with_capacity(examples.len());
        for batch in examples.chunks(rows) {
            // The last batch is filled up with its first puzzle, which is not counted again.
            let row = |number: usize| batch.get(number).unwrap_or(&batch[0]);
            let tokens = (0..rows).flat_map(|number| row(number).tokens.iter().copied()).collect();
            let puzzle_ids = (0..rows).map(|number| row(number).puzzle_id).collect();
            let mut input = ActStep::first(tokens, puzzle_ids);
            let mut found = vec![None; batch.len()];
            let last = if steps == 0 { model.halt_max_steps } else { steps };
            for step in 1..=last {
                if step > 1 && stop() {
                    return Ok(None);
                }
                let answer = session.step(&input)?.answer;
                input.reset.fill(false);
                if steps == 0 && step < last {
                    continue;
                }
                let answers = answer.chunks_exact(model.seq_len);
                for ((found, example), answer) in found.iter_mut().zip(batch).zip(answers) {
                    if found.as_ref().is_none_or(|score: &Score| score.valid != Some(true)) {
                        *found = Some(self.score(example, answer));
                    }
                }
                if found.iter().all(|score| score.as_ref().is_some_and(|score| score.valid == Some(true))) {
                    break;
                }
            }
            scores.extend(found.into_iter().flatten());
        }
        Ok(Some(scores))
    }

    fn score(&self, example: &TrainExample, answer: &[i32]) -> Score {
        let task = self.rules.as_ref();
        match task.decode(&task.blank_grid(), &example.tokens) {
            Ok(puzzle) => Score::of(task, &puzzle, Some(&example.labels), answer),
            Err(_) => Score { label: LabelScore::of(&example.labels, answer), valid: None },
        }
    }
}

/// Weights as a checkpoint has them.
#[must_use]
pub fn state_dict(weights: &Weights) -> StateDict {
    let mut state = StateDict::new();
    for (name, tensor) in weights {
        let NamedTensor { shape, data } = tensor.clone();
        state.insert(name.clone(), WeightTensor { dtype: WeightDtype::F32, shape, data });
    }
    state
}
