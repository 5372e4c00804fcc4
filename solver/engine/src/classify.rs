//! Classifies small pictures, as a digit reader does: on ONNX Runtime or tract, like the recursive models.

use rayon::prelude::*;
use tract_onnx::prelude::*;

use crate::ort::session::load_plain;
use crate::ort::{OrtEngine, ProviderChoice, failed as ort_failed};
use crate::{EngineError, Result, SessionOptions};

/// Pictures that are classified at once: engines plan for a fixed number, and on tract the parts of a board's cells are divided
/// among threads.
const BATCH: usize = 9;

/// A loaded classifier.
pub struct Classifier {
    size: usize,
    classes: usize,
    runs_on: RunsOn,
}

enum RunsOn {
    Tract(std::sync::Arc<TypedRunnableModel>),
    Ort(Box<::ort::session::Session>),
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier").field("engine", &self.engine()).finish_non_exhaustive()
    }
}

impl Classifier {
    /// Loads a [graph](trm_export::classifier::classify_graph) of pictures of `size` rows and columns into tract.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it is no such graph.
    pub fn on_tract(graph: &[u8], size: usize, classes: usize) -> Result<Self> {
        let load = || -> TractResult<_> {
            let shape = [BATCH, size, size];
            let model = tract_onnx::onnx()
                .with_ignore_value_info(true)
                .model_for_read(&mut &*graph)?
                .with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?
                .into_optimized()?;
            let output = model.output_fact(0)?;
            let found = output.shape.as_concrete();
            if found != Some(&[BATCH, classes]) {
                return Err(tract_onnx::prelude::TractError::msg(format!(
                    "it returns {output:?}, not {classes} classes"
                )));
            }
            model.into_runnable()
        };
        let plan = load().map_err(|error| tract_failed("load a classifier", error))?;
        Ok(Self { size, classes, runs_on: RunsOn::Tract(plan) })
    }

    /// Loads it into ONNX Runtime.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it is no such graph.
    pub fn on_ort(engine: &OrtEngine, graph: &[u8], size: usize, classes: usize) -> Result<Self> {
        let options = SessionOptions {
            batch: BATCH,
            provider: ProviderChoice::Only(crate::ort::ExecutionProvider::Cpu),
            ..SessionOptions::default()
        };
        let (session, _) = load_plain(engine, "a classifier", graph, &options)?;
        Ok(Self { size, classes, runs_on: RunsOn::Ort(Box::new(session)) })
    }

    /// `ort` or `tract`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self.runs_on {
            RunsOn::Tract(_) => "tract",
            RunsOn::Ort(_) => "ort",
        }
    }

    /// Rows and columns of a picture.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Probabilities f32 `[n, classes]` of pictures f32 `[n, size, size]`, row by row.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when the pictures are not whole or the engine fails.
    pub fn classify(&mut self, pictures: &[f32]) -> Result<Vec<f32>> {
        let pixels = self.size * self.size;
        if !pictures.len().is_multiple_of(pixels) {
            return Err(EngineError::Failed {
                engine: self.engine(),
                action: "classify".into(),
                source: format!("{} numbers are no whole number of pictures of {pixels}", pictures.len()).into(),
            });
        }
        let shape = [BATCH, self.size, self.size];
        let wanted = |part: &[f32]| part.len() / pixels * self.classes;
        let filled_up = |part: &[f32]| {
            let mut pictures = part.to_vec();
            pictures.resize(BATCH * pixels, 0.0);
            pictures
        };
        match &mut self.runs_on {
            RunsOn::Tract(plan) => {
                let run = |part: &[f32]| -> TractResult<Vec<f32>> {
                    let input = Tensor::from_shape(&shape, &filled_up(part))?;
                    let output = plan.run(tvec!(input.into_tvalue()))?;
                    let values = output[0].to_plain_array_view::<f32>()?;
                    Ok(values.iter().copied().take(wanted(part)).collect())
                };
                let parts: TractResult<Vec<_>> = pictures.par_chunks(BATCH * pixels).map(run).collect();
                Ok(parts.map_err(|error| tract_failed("classify", error))?.concat())
            }
            RunsOn::Ort(session) => {
                let mut run = |part: &[f32]| -> ::ort::Result<Vec<f32>> {
                    let input = ::ort::value::Tensor::from_array((shape, filled_up(part)))?;
                    let outputs = session.run(::ort::inputs!["pictures" => input])?;
                    Ok(outputs[0].try_extract_tensor::<f32>()?.1[..wanted(part)].to_vec())
                };
                let parts: ::ort::Result<Vec<_>> = pictures.chunks(BATCH * pixels).map(&mut run).collect();
                Ok(parts.map_err(|error| ort_failed("classify", error))?.concat())
            }
        }
    }
}

fn tract_failed(action: &str, error: TractError) -> EngineError {
    EngineError::Failed { engine: "tract", action: action.into(), source: error.into_boxed_dyn_error() }
}
