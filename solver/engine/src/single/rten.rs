//! A graph with one input and one output on rten.

use std::sync::Arc;

use ::rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use crate::rten::{check_classifier, read_model};
use crate::{EngineError, Result, SessionOptions};

/// A loaded graph.
pub(super) struct RtenGraph {
    model: Model,
    input: NodeId,
    output: NodeId,
    pool: Arc<ThreadPool>,
}

impl RtenGraph {
    pub(super) fn load(graph: &[u8], threads: usize) -> Result<Self> {
        check_classifier(graph).map_err(|error| failed("load a graph", error))?;
        let model = read_model(&ModelOptions::with_all_ops(), graph).map_err(|error| failed("load a graph", error))?;
        let (&[input], &[output]) = (model.input_ids(), model.output_ids()) else {
            return Err(failed("load a graph", "it has not one input and one output"));
        };
        let threads = SessionOptions { threads, ..SessionOptions::default() }.resolved_threads();
        Ok(Self { model, input, output, pool: Arc::new(ThreadPool::with_num_threads(threads)) })
    }

    pub(super) fn run(&self, shape: &[usize], input: Vec<f32>) -> Result<Vec<f32>> {
        let input = Tensor::from_data(shape, input);
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let outputs = self.model.run_n(vec![(self.input, input.into())], [self.output], Some(options));
        let [output] = outputs.map_err(|error| failed("run a graph", error))?;
        let output: Tensor<f32> = output.try_into().map_err(|error| failed("run a graph", error))?;
        Ok(output.to_vec())
    }
}

fn failed(action: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EngineError {
    EngineError::Failed { engine: "rten", action: action.into(), source: error.into() }
}
