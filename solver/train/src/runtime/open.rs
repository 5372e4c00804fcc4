//! The runtime that a run's settings ask for.

use std::collections::BTreeSet;

use trm_engine::SessionOptions;
use trm_engine::ort::OrtEngine;
use trm_export::train::ort_training::{AdamW, training_models};
use trm_export::train::{BUFFERS, PUZZLE_EMB, StepOptions, UpdateOptions, UpdateRule, training_step};
use trm_models::TrmConfig;

use super::{GraphTraining, GraphTrainingOptions, OrtTraining, OrtTrainingOptions, TrainRuntime, TrainState};
use crate::config::TrainConfig;
use crate::config_sections::{OptimizerConfig, OptimizerKind, RuntimeKind};
use crate::{Result, TrainError};

/// The runtime that the settings ask for; `auto` takes the training API where the library has it and the settings are
/// ones it knows.
pub(crate) fn open_runtime(
    engine: &OrtEngine,
    config: &TrainConfig,
    state: TrainState,
    (updates, session): (u64, &SessionOptions),
) -> Result<Box<dyn TrainRuntime>> {
    let sizes = config.tasks().iter().map(|task| config.of_task(task).trm_config()).collect::<Result<Vec<_>>>()?;
    let model = &sizes[0];
    let frozen = config.optimizer.frozen(model)?;
    let refusal = unknown_to_the_api(config, sizes.len());
    match (config.runtime.kind, refusal) {
        (RuntimeKind::OrtTraining, Some(reason)) => {
            return Err(TrainError::TrainConfig {
                origin: "runtime.kind".to_owned(),
                reason: reason.to_owned(),
                hint: Some(
                    "set runtime.kind = \"graph\", or one size, optimizer.kind = \"adamw\" and no clipping".to_owned(),
                ),
            });
        }
        (RuntimeKind::OrtTraining, None) => {
            return Ok(Box::new(open_api(engine, config, model, (state, updates), (&frozen, session))?));
        }
        (RuntimeKind::Auto, None) if OrtTraining::is_available() => {
            return Ok(Box::new(open_api(engine, config, model, (state, updates), (&frozen, session))?));
        }
        _ => {}
    }
    let options = GraphTrainingOptions {
        batch: config.batch.size,
        accumulation: config.batch.accumulation,
        groups: config.batch.groups,
        loss: config.optimizer.loss,
        update: update_options(config),
        frozen,
        rows: config.runtime.rows,
        max_memory: (config.runtime.max_memory > 0).then_some(config.runtime.max_memory << 20),
        session: session.clone(),
    };
    Ok(Box::new(GraphTraining::new(engine, &sizes, state, options)?))
}

/// Returns the first setting that the training API cannot follow, in words; `None` if it can follow all.
fn unknown_to_the_api(config: &TrainConfig, sizes: usize) -> Option<&'static str> {
    let optimizer = &config.optimizer;
    if sizes > 1 {
        Some("ort-training knows one size of puzzles")
    } else if config.wave.speed > 0 {
        Some("ort-training teaches no wave")
    } else if optimizer.kind != OptimizerKind::AdamW {
        Some("ort-training knows adamw only")
    } else if optimizer.clip_grad_norm > 0.0 {
        Some("ort-training does not clip gradients")
    } else {
        None
    }
}

fn open_api(
    engine: &OrtEngine,
    config: &TrainConfig,
    model: &TrmConfig,
    (state, updates): (TrainState, u64),
    (frozen, session): (&BTreeSet<String>, &SessionOptions),
) -> Result<OrtTraining> {
    let (batch, optimizer) = (&config.batch, &config.optimizer);
    let step = StepOptions {
        batch: batch.size,
        global_batch: batch.size * batch.accumulation,
        loss: optimizer.loss,
        accumulate: false,
        wave: false,
    };
    let mut step = training_step(model, &step)?;
    step.parameters.retain(|(name, _)| !frozen.contains(name));
    step.gradients.retain(|(name, _)| !frozen.contains(name));
    let OptimizerConfig { beta1, beta2, eps, weight_decay, .. } = *optimizer;
    let adamw = AdamW { beta1: beta1 as f32, beta2: beta2 as f32, eps: eps as f32, weight_decay: weight_decay as f32 };
    let outside = step.parameters.iter().any(|(name, _)| name == PUZZLE_EMB).then_some(PUZZLE_EMB);
    let models = training_models(step, &adamw, outside.as_slice())?;
    let options = OrtTrainingOptions {
        batch: batch.size,
        groups: batch.groups,
        seq_len: model.seq_len,
        positions: model.total_len(),
        hidden_size: model.hidden_size,
        threads: session.threads,
        ema: optimizer.ema,
        puzzle_emb_weight_decay: optimizer.puzzle_emb_weight_decay,
    };
    OrtTraining::new(engine, &models, state, updates, options)
}

/// The optimiser's settings as the update graph takes them.
fn update_options(config: &TrainConfig) -> UpdateOptions {
    let optimizer = &config.optimizer;
    UpdateOptions {
        wave: config.wave.speed > 0,
        rule: match optimizer.kind {
            OptimizerKind::AdamAtan2 => UpdateRule::AdamAtan2,
            OptimizerKind::AdamW => UpdateRule::AdamW { eps: optimizer.eps },
        },
        beta1: optimizer.beta1,
        beta2: optimizer.beta2,
        weight_decay: optimizer.weight_decay,
        puzzle_emb_weight_decay: optimizer.puzzle_emb_weight_decay,
        clip_grad_norm: (optimizer.clip_grad_norm > 0.0).then_some(optimizer.clip_grad_norm),
        ema: (optimizer.ema > 0.0).then_some(optimizer.ema),
    }
}

impl OptimizerConfig {
    /// The parameters of a model that the settings keep as they are: those whose names begin with an entry of `freeze`.
    fn frozen(&self, model: &TrmConfig) -> Result<BTreeSet<String>> {
        let names = trm_export::checkpoint::layout(model).into_iter().map(|tensor| tensor.name);
        let names = names.filter(|name| !BUFFERS.contains(&name.as_str())).collect::<Vec<_>>();
        let refuse = |reason: String| TrainError::TrainConfig {
            origin: "optimizer.freeze".to_owned(),
            reason,
            hint: Some(format!("the parameters are {}", names.join(", "))),
        };
        if let Some(entry) = self.freeze.iter().find(|entry| !names.iter().any(|name| name.starts_with(*entry))) {
            return Err(refuse(format!("no parameter's name begins with `{entry}`")));
        }
        let frozen = |name: &&String| self.freeze.iter().any(|entry| name.starts_with(entry));
        let found = names.iter().filter(frozen).cloned().collect::<BTreeSet<_>>();
        if found.len() == names.len() { Err(refuse("nothing is left to train".to_owned())) } else { Ok(found) }
    }
}
