//! Graphs with one float input and one float output, of fixed sizes, as a network of costs is: on ONNX Runtime, rten or tract.

#[cfg(feature = "rten")]
mod rten;
#[cfg(feature = "tract")]
mod tract;

#[cfg(feature = "rten")]
use self::rten::RtenGraph;
#[cfg(feature = "tract")]
use self::tract::TractGraph;
use crate::ort::session::load_plain;
use crate::ort::{ExecutionProvider, OrtEngine, ProviderChoice, failed as ort_failed};
use crate::{EngineEntry, EngineError, Result, SessionOptions};

/// A graph that is loaded.
pub struct SingleGraph {
    shape: Vec<usize>,
    runs_on: RunsOn,
}

enum RunsOn {
    #[cfg(feature = "tract")]
    Tract(TractGraph),
    #[cfg(feature = "rten")]
    Rten(Box<RtenGraph>),
    Ort(Box<::ort::session::Session>),
}

impl std::fmt::Debug for SingleGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SingleGraph")
            .field("engine", &self.engine())
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl SingleGraph {
    /// Loads a graph whose input has a shape into an engine; `ort` is the library, where that is chosen. The `onnx` is an
    /// encoded graph.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it is no such graph; those of [`OrtEngine::load`].
    pub fn load(
        entry: &EngineEntry,
        ort: Option<&OrtEngine>,
        onnx: &[u8],
        shape: &[usize],
        threads: usize,
    ) -> Result<Self> {
        let runs_on = match entry.name {
            #[cfg(feature = "tract")]
            "tract" => RunsOn::Tract(TractGraph::load(onnx, shape)?),
            #[cfg(feature = "rten")]
            "rten" => RunsOn::Rten(Box::new(RtenGraph::load(onnx, threads)?)),
            _ => {
                let options = SessionOptions {
                    threads,
                    provider: ProviderChoice::Only(ExecutionProvider::Cpu),
                    ..SessionOptions::default()
                };
                let opened = if ort.is_none() { Some(OrtEngine::load(None)?) } else { None };
                let Some(engine) = ort.or(opened.as_ref()) else {
                    return Err(EngineError::NotBuilt { engine: "ort" });
                };
                RunsOn::Ort(Box::new(load_plain(engine, "a graph", onnx, &options)?.0))
            }
        };
        Ok(Self { shape: shape.to_vec(), runs_on })
    }

    /// `ort`, `rten` or `tract`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self.runs_on {
            #[cfg(feature = "tract")]
            RunsOn::Tract(_) => "tract",
            #[cfg(feature = "rten")]
            RunsOn::Rten(_) => "rten",
            RunsOn::Ort(_) => "ort",
        }
    }

    /// The output for an input, row by row.
    ///
    /// # Errors
    /// [`EngineError::Failed`] for an input of another size, and when the engine fails.
    pub fn run(&mut self, input: Vec<f32>) -> Result<Vec<f32>> {
        if input.len() != self.shape.iter().product::<usize>() {
            return Err(EngineError::Failed {
                engine: self.engine(),
                action: "run a graph".into(),
                source: format!("{} numbers are no input of shape {:?}", input.len(), self.shape).into(),
            });
        }
        match &mut self.runs_on {
            #[cfg(feature = "tract")]
            RunsOn::Tract(graph) => graph.run(&self.shape, &input),
            #[cfg(feature = "rten")]
            RunsOn::Rten(graph) => graph.run(&self.shape, input),
            RunsOn::Ort(session) => {
                let shape = self.shape.clone();
                let run = || -> ::ort::Result<Vec<f32>> {
                    let input = ::ort::value::Tensor::from_array((shape, input))?;
                    let outputs = session.run(::ort::inputs![input])?;
                    Ok(outputs[0].try_extract_tensor::<f32>()?.1.to_vec())
                };
                Ok(run().map_err(|error| ort_failed("run a graph", error))?)
            }
        }
    }
}
