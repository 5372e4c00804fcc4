//! Classifies small pictures, as a digit reader does: on ONNX Runtime, rten or tract, like the recursive models.

#[cfg(feature = "rten")]
mod rten;
#[cfg(feature = "tract")]
mod tract;

#[cfg(feature = "rten")]
use self::rten::RtenClassifier;
#[cfg(feature = "tract")]
use self::tract::TractClassifier;
use crate::Result;
use crate::SessionOptions;
use crate::ort::session::load_plain;
use crate::ort::{OrtEngine, ProviderChoice, failed as ort_failed};
use crate::{EngineError, registry};

/// Pictures that are classified at once: engines plan for a fixed number, and on tract and rten the parts of a board's cells
/// are divided among threads.
const BATCH: usize = 9;

/// A loaded classifier.
pub struct Classifier {
    size: usize,
    classes: usize,
    runs_on: RunsOn,
}

enum RunsOn {
    #[cfg(feature = "tract")]
    Tract(TractClassifier),
    #[cfg(feature = "rten")]
    Rten(Box<RtenClassifier>),
    Ort(Box<::ort::session::Session>),
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier").field("engine", &self.engine()).finish_non_exhaustive()
    }
}

impl Classifier {
    /// Loads a graph (`trm_export::classifier::classify_graph`) of pictures of `size` rows and columns into tract.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it is no such graph.
    #[cfg(feature = "tract")]
    pub fn on_tract(graph: &[u8], size: usize, classes: usize) -> Result<Self> {
        Ok(Self { size, classes, runs_on: RunsOn::Tract(TractClassifier::load(graph, size, classes)?) })
    }

    /// Loads it into rten.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it is no such graph.
    #[cfg(feature = "rten")]
    pub fn on_rten(graph: &[u8], size: usize, classes: usize) -> Result<Self> {
        Ok(Self { size, classes, runs_on: RunsOn::Rten(Box::new(RtenClassifier::load(graph, size, classes)?)) })
    }

    /// Loads it into the built-in engine that is preferred, else into ONNX Runtime.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it is no such graph, and where there is no engine.
    pub fn built_in(graph: &[u8], size: usize, classes: usize) -> Result<Self> {
        match registry::default().name {
            #[cfg(feature = "tract")]
            "tract" => Self::on_tract(graph, size, classes),
            #[cfg(feature = "rten")]
            "rten" => Self::on_rten(graph, size, classes),
            _ => Self::on_ort(&OrtEngine::load(None)?, graph, size, classes),
        }
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
            #[cfg(feature = "tract")]
            RunsOn::Tract(classifier) => classifier.classify(pictures),
            #[cfg(feature = "rten")]
            RunsOn::Rten(classifier) => classifier.classify(pictures),
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
