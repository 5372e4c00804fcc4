//! Our side of the training bench: whatever implements [`TrainRuntime`].

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use trm_engine::SessionOptions;
use trm_engine::ort::{ExecutionProvider, OrtEngine, ProviderChoice};
use trm_export::checkpoint::StateDict;
use trm_export::train::{LossKind, UpdateOptions, UpdateRule};
use trm_models::TrmConfig;
use trm_train::runtime::{GraphTraining, GraphTrainingOptions, NamedTensor, TrainRuntime, TrainState, UpdateInput};

use super::{Batches, LEARNING_RATE};

/// The setup of a runtime. One carry group; Adam-atan2 with the published betas, weight decay 1 and EMA 0.999.
pub struct Setup {
    /// The model's configuration.
    pub config: TrmConfig,
    /// Its weights.
    pub weights: StateDict,
    /// Rows of a batch.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
}

/// Starts a runtime.
pub type Start = fn(&Setup) -> Result<Box<dyn TrainRuntime>>;

/// Our runtimes, by the names that `--runtimes` takes.
pub const RUNTIMES: &[(&str, Start)] = &[("graph", start_graph)];

/// Plain graphs on the ONNX Runtime that is found, on its CPU provider, with the settings of `trm train`.
fn start_graph(setup: &Setup) -> Result<Box<dyn TrainRuntime>> {
    let engine = OrtEngine::load(None)?;
    let weights = setup.weights.iter().map(|(name, tensor)| {
        (name.to_owned(), NamedTensor { shape: tensor.shape.clone(), data: tensor.data.clone() })
    });
    let state = TrainState { weights: weights.collect(), ..TrainState::default() };
    let options = GraphTrainingOptions {
        batch: setup.batch,
        accumulation: 1,
        groups: 1,
        loss: LossKind::Stablemax,
        update: UpdateOptions {
            wave: false,
            rule: UpdateRule::AdamAtan2,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 1.0,
            puzzle_emb_weight_decay: 1.0,
            clip_grad_norm: None,
            ema: Some(0.999),
        },
        frozen: BTreeSet::new(),
        rows: 0,
        max_memory: None,
        session: SessionOptions {
            threads: setup.threads,
            provider: ProviderChoice::Only(ExecutionProvider::Cpu),
            ..SessionOptions::default()
        },
    };
    Ok(Box::new(GraphTraining::new(&engine, std::slice::from_ref(&setup.config), state, options)?))
}

/// Answers `run N` with the seconds and losses of N steps, one line of JSON, until `quit` or the end of the input.
///
/// # Errors
///
/// If a line is neither of these, there are no batches, the runtime fails, or the input or the output does.
pub fn serve(
    runtime: &mut dyn TrainRuntime,
    batches: &Batches,
    threads: usize,
    input: impl BufRead,
    mut output: impl Write,
) -> Result<()> {
    writeln!(output, "{}", json!({"ready": runtime.name(), "threads": threads}))?;
    output.flush()?;
    let mut step = 0;
    for line in input.lines() {
        let line = line?;
        let Some(count) = line.strip_prefix("run ") else {
            if line == "quit" {
                break;
            }
            bail!("expected `run N` or `quit`, was given {line:?}");
        };
        let (mut seconds, mut losses) = (Vec::new(), Vec::new());
        for _ in 0..count.parse::<usize>()? {
            let batch = batches.get(step).context("there are no batches")?;
            step += 1;
            let started = Instant::now();
            let result = runtime.step(0, &batch)?;
            let update = UpdateInput { step: step as u64, lr: LEARNING_RATE, puzzle_emb_lr: LEARNING_RATE };
            runtime.update(&update)?;
            seconds.push(started.elapsed().as_secs_f64());
            losses.push(result.loss);
        }
        writeln!(output, "{}", json!({"seconds": seconds, "losses": losses}))?;
        output.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use trm_train::runtime::{TrainBatch, TrainOutput};

    use super::*;
    use crate::training::TrainModel;
    use crate::training::child::Steps;

    /// A runtime whose loss counts the steps.
    struct Counting {
        steps: u8,
        updates: u64,
    }

    impl TrainRuntime for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn flops(&self, _group: usize) -> u64 {
            0
        }

        fn assign(&mut self, _group: usize, _size: usize) -> trm_train::Result<()> {
            Ok(())
        }

        fn step(&mut self, group: usize, batch: &TrainBatch) -> trm_train::Result<TrainOutput> {
            assert_eq!((group, batch.reset.len()), (0, 32));
            self.steps += 1;
            Ok(TrainOutput {
                loss: f32::from(self.steps),
                lm_loss: Vec::new(),
                q_loss: Vec::new(),
                exact: Vec::new(),
                cells_right: Vec::new(),
                q_halt: Vec::new(),
                q_continue: Vec::new(),
            })
        }

        fn update(&mut self, input: &UpdateInput) -> trm_train::Result<Option<f32>> {
            self.updates += 1;
            assert_eq!(input.step, self.updates);
            Ok(None)
        }

        fn state(&self) -> trm_train::Result<TrainState> {
            Ok(TrainState::default())
        }

        fn carry(&self) -> trm_train::Result<[NamedTensor; 2]> {
            Ok([(); 2].map(|()| NamedTensor { shape: vec![0], data: Vec::new() }))
        }

        fn set_carry(&mut self, _: &[NamedTensor; 2]) -> trm_train::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_step_is_updated_and_answered() {
        let [model, ..] = TrainModel::all();
        let mut runtime = Counting { steps: 0, updates: 0 };
        let mut output = Vec::new();
        serve(&mut runtime, &model.batches(1), 2, &b"run 2\nrun 1\nquit\n"[..], &mut output).unwrap();
        let lines: Vec<_> = output.split(|&byte| byte == b'\n').collect();
        let losses = |line: &[u8]| serde_json::from_slice::<Steps>(line).unwrap().losses;
        assert_eq!((losses(lines[1]), losses(lines[2])), (vec![1.0, 2.0], vec![3.0]));
        assert_eq!((runtime.steps, runtime.updates), (3, 3));
        assert!(serve(&mut runtime, &model.batches(1), 2, &b"walk\n"[..], Vec::new()).is_err());
    }
}
