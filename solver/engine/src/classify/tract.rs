//! A classifier on tract.

use std::sync::Arc;

use rayon::prelude::*;
use tract_onnx::prelude::*;

use super::BATCH;
use crate::EngineError;
use crate::Result;

/// A loaded classifier.
pub(super) struct TractClassifier {
    plan: Arc<TypedRunnableModel>,
    size: usize,
    classes: usize,
}

impl TractClassifier {
    pub(super) fn load(graph: &[u8], size: usize, classes: usize) -> Result<Self> {
        let load = || -> TractResult<_> {
            let shape = [BATCH, size, size];
            let model = tract_onnx::onnx()
                .with_ignore_value_info(true)
                .model_for_read(&mut &*graph)?
                .with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?
                .into_optimized()?;
            let output = model.output_fact(0)?;
            if output.shape.as_concrete() != Some(&[BATCH, classes]) {
                return Err(TractError::msg(format!("it returns {output:?}, not {classes} classes")));
            }
            model.into_runnable()
        };
        let plan = load().map_err(|error| failed("load a classifier", error))?;
        Ok(Self { plan, size, classes })
    }

    /// Probabilities of whole pictures, some of which are classified side by side.
    pub(super) fn classify(&self, pictures: &[f32]) -> Result<Vec<f32>> {
        let pixels = self.size * self.size;
        let run = |part: &[f32]| -> TractResult<Vec<f32>> {
            let mut whole = part.to_vec();
            whole.resize(BATCH * pixels, 0.0);
            let input = Tensor::from_shape(&[BATCH, self.size, self.size], &whole)?;
            let output = self.plan.run(tvec!(input.into_tvalue()))?;
            let values = output[0].to_plain_array_view::<f32>()?;
            Ok(values.iter().copied().take(part.len() / pixels * self.classes).collect())
        };
        let parts: TractResult<Vec<_>> = pictures.par_chunks(BATCH * pixels).map(run).collect();
        Ok(parts.map_err(|error| failed("classify", error))?.concat())
    }
}

fn failed(action: &str, error: TractError) -> EngineError {
    EngineError::Failed { engine: "tract", action: action.into(), source: error.into_boxed_dyn_error() }
}
