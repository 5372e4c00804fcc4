//! rten, another runtime in pure Rust: a peer of tract that reads the same graphs.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use rten::{Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;
use trm_models::TrmConfig;

/// The version that the workspace builds.
pub const VERSION: &str = "0.24.0";

/// A step graph with the carry of one puzzle.
pub struct RtenStep {
    model: Model,
    inputs: [NodeId; 5],
    outputs: [NodeId; 4],
    options: RunOptions,
    tokens: Tensor<i32>,
    carry: [Tensor<f32>; 2],
    fresh: bool,
}

impl RtenStep {
    /// Loads the step graph of `config`, for `tokens`, `[seq]`.
    ///
    /// # Errors
    /// When rten does not take the graph.
    pub fn load(onnx: Vec<u8>, config: &TrmConfig, tokens: Vec<i32>, threads: usize) -> Result<Self> {
        let model = Model::load(onnx).map_err(|error| anyhow!("rten does not load the graph: {error}"))?;
        // By position: it finds operators by the same names as their outputs.
        let inputs = <[NodeId; 5]>::try_from(model.input_ids()).context("a step graph has five inputs")?;
        let [answer, q_halt, _, h, l, _] =
            <[NodeId; 6]>::try_from(model.output_ids()).context("a step graph has six outputs")?;
        let pool = Arc::new(ThreadPool::with_num_threads(threads));
        let carry = || Tensor::zeros(&[1, config.total_len(), config.hidden_size]);
        Ok(Self {
            inputs,
            outputs: [answer, q_halt, h, l],
            options: RunOptions::default().with_thread_pool(Some(pool)),
            tokens: Tensor::from_data(&[1, tokens.len()], tokens),
            carry: [carry(), carry()],
            fresh: true,
            model,
        })
    }

    /// One step from where the last one ended: the answer `[seq]` and the halting logit.
    ///
    /// # Errors
    /// When rten cannot run the graph.
    pub fn step(&mut self) -> Result<(Vec<i32>, f32)> {
        // rten has neither booleans nor 64-bit integers: both are i32.
        let scalar = |value: i32| Tensor::from_data(&[1], vec![value]);
        let (puzzle_id, reset) = (scalar(0), scalar(i32::from(self.fresh)));
        let [h, l] = &self.carry;
        let values: [ValueOrView<'_>; 5] =
            [self.tokens.view().into(), puzzle_id.into(), reset.into(), h.view().into(), l.view().into()];
        let inputs = self.inputs.into_iter().zip(values).collect();
        let outputs = self.model.run(inputs, &self.outputs, Some(self.options.clone()));
        let outputs = outputs.map_err(|error| anyhow!("rten does not run the graph: {error}"))?;
        let [answer, q_halt, h, l] =
            <[Value; 4]>::try_from(outputs).map_err(|outputs| anyhow!("{} outputs", outputs.len()))?;
        let floats = |value: Value| Tensor::<f32>::try_from(value).map_err(|error| anyhow!("no floats: {error}"));
        let answer = Tensor::<i32>::try_from(answer).map_err(|error| anyhow!("no integers: {error}"))?;
        self.carry = [floats(h)?, floats(l)?];
        self.fresh = false;
        Ok((answer.to_vec(), *floats(q_halt)?.iter().next().context("no q_halt")?))
    }
}
