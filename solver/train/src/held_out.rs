//! Measuring weights on puzzles that training never sees: all steps, the last answer counts, as in the reference.

use trm_engine::ort::OrtEngine;
use trm_engine::{ActStep, Engine, SessionOptions};
use trm_export::checkpoint::{StateDict, WeightDtype, WeightTensor};
use trm_export::trm::GraphOptions;
use trm_models::TrmConfig;
use trm_puzzles::Task;
use trm_solver::graph_of_weights;
use trm_solver::measure::score::{LabelScore, Score, Scores};

use super::data::TrainExample;
use super::log::EvalRecord;
use super::runtime::{NamedTensor, Weights, largest_tensor};
use crate::Result;

/// Most rows of an evaluation's batch.
const ROWS: usize = 32;
/// Most bytes of its largest tensor: on a large grid there are fewer rows.
const LARGEST_TENSOR: usize = 2 << 20;

/// Measures exact, right and valid answers to `examples` with these weights; `None` as soon as `stop` is true. `step`
/// and `seconds` of the record are left at zero.
///
/// # Errors
///
/// [`TrainError::Export`](crate::TrainError::Export) if the weights do not fit the configuration;
/// [`TrainError::Engine`](crate::TrainError::Engine) if ONNX Runtime fails.
pub fn measure(
    engine: &OrtEngine,
    config: &TrmConfig,
    weights: &Weights,
    task: &dyn Task,
    examples: &[TrainExample],
    options: &SessionOptions,
    stop: &mut dyn FnMut() -> bool,
) -> Result<Option<EvalRecord>> {
    let source = graph_of_weights("training", config, &state_dict(weights), GraphOptions::default())?;
    let rows = ROWS.min(LARGEST_TENSOR / largest_tensor(config)).min(examples.len()).max(1);
    let options = SessionOptions { batch: rows, want_logits: false, ..options.clone() };
    let mut session = engine.load_step_graph(&source, &options)?;
    let mut scores = Scores::default();
    for batch in examples.chunks(rows) {
        // The last batch is filled up with its first puzzle, which is not counted again.
        let row = |number: usize| batch.get(number).unwrap_or(&batch[0]);
        let tokens = (0..rows).flat_map(|number| row(number).tokens.iter().copied()).collect();
        let puzzle_ids = (0..rows).map(|number| row(number).puzzle_id).collect();
        let mut input = ActStep::first(tokens, puzzle_ids);
        let mut answer = session.step(&input)?.answer;
        input.reset.fill(false);
        for _ in 1..config.halt_max_steps {
            if stop() {
                return Ok(None);
            }
            answer = session.step(&input)?.answer;
        }
        for (example, answer) in batch.iter().zip(answer.chunks_exact(config.seq_len)) {
            scores.add(&match task.decode(&task.blank_grid(), &example.tokens) {
                Ok(puzzle) => Score::of(task, &puzzle, Some(&example.labels), answer),
                Err(_) => Score { label: LabelScore::of(&example.labels, answer), valid: None },
            });
        }
    }
    let Scores { exact, cell, valid, .. } = scores;
    let (exact_low, exact_high) = exact.interval();
    Ok(Some(EvalRecord {
        exact: exact.value().unwrap_or(0.0),
        exact_low,
        exact_high,
        cell: cell.value().unwrap_or(0.0),
        valid: valid.value(),
        n: exact.total,
        ..EvalRecord::default()
    }))
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
