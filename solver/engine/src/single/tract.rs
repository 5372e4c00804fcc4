//! A graph with one input and one output on tract.

use std::sync::Arc;

use tract_onnx::prelude::*;

use crate::{EngineError, Result};

/// A loaded graph.
pub(super) struct TractGraph {
    plan: Arc<TypedRunnableModel>,
}

impl TractGraph {
    pub(super) fn load(graph: &[u8], shape: &[usize]) -> Result<Self> {
        let load = || -> TractResult<_> {
            tract_onnx::onnx()
                .with_ignore_value_info(true)
                .model_for_read(&mut &*graph)?
                .with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?
                .into_optimized()?
                .into_runnable()
        };
        Ok(Self { plan: load().map_err(|error| failed("load a graph", error))? })
    }

    pub(super) fn run(&self, shape: &[usize], input: &[f32]) -> Result<Vec<f32>> {
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(shape, input)?;
            let output = self.plan.run(tvec!(input.into_tvalue()))?;
            Ok(output[0].to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        run().map_err(|error| failed("run a graph", error))
    }
}

fn failed(action: &str, error: TractError) -> EngineError {
    EngineError::Failed { engine: "tract", action: action.into(), source: error.into_boxed_dyn_error() }
}
