//! The one error type of this crate.

use std::borrow::Cow;
use std::path::PathBuf;

use trm_engine::EngineError;
use trm_export::ExportError;
use trm_export::onnx::OnnxError;
use trm_intake::Hint;
use trm_intake::file::FileError;
use trm_models::ModelError;
use trm_pictures::WriteError;
use trm_puzzles::PuzzleError;
use trm_solver::SolverError;

/// The reasons why a model could not be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Training through ONNX Runtime's training API was asked for, and the library has none.
    #[error("{}: this build of ONNX Runtime has no training API", library.display())]
    NoTrainingApi {
        /// The library in use.
        library: PathBuf,
    },
    /// The state to go on training from does not fit the model.
    #[error("tensor `{tensor}` {problem}")]
    TrainState {
        /// The tensor's name.
        tensor: String,
        /// The fault.
        problem: String,
    },
    /// Training produced numbers that are none.
    #[error("step {step}: {what} is {value}: training has diverged")]
    Diverged {
        /// The optimiser step.
        step: u64,
        /// The quantity that is no number: the loss, the gradient's norm, a tensor.
        what: String,
        /// Its value.
        value: f64,
        /// The step of the checkpoint that is kept.
        saved: Option<u64>,
    },
    /// Settings of a training run that cannot be used.
    #[error("{origin}: {reason}")]
    TrainConfig {
        /// The file, or the option that set them.
        origin: String,
        /// Which setting, its value, what was expected.
        reason: String,
        /// The advice.
        hint: Option<String>,
    },
    /// Training data that cannot be trained on.
    #[error("{origin}: {reason}")]
    TrainData {
        /// File and line, data set and example, or source.
        origin: String,
        /// The fault.
        reason: String,
        /// The advice.
        hint: String,
    },
    /// A run's folder or checkpoint that cannot be used.
    #[error("{}: {reason}", path.display())]
    RunFolder {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        reason: String,
        /// The advice.
        hint: String,
    },
    /// A file or folder could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A picture of the curves could not be written.
    #[error(transparent)]
    Picture(#[from] WriteError),
    /// A configuration or a bundle was refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A puzzle, or a data set, was refused.
    #[error(transparent)]
    Puzzle(#[from] PuzzleError),
    /// No training graph could be made, or a checkpoint not be read or written.
    #[error(transparent)]
    Export(Box<ExportError>),
    /// An engine could not load or run a graph.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A model could not be opened, or not be measured.
    #[error(transparent)]
    Solver(Box<SolverError>),
}

// Boxed, both: they would make every result of this crate larger.
impl From<SolverError> for TrainError {
    fn from(error: SolverError) -> Self {
        Self::Solver(Box::new(error))
    }
}

impl From<ExportError> for TrainError {
    fn from(error: ExportError) -> Self {
        Self::Export(Box::new(error))
    }
}

impl From<OnnxError> for TrainError {
    fn from(error: OnnxError) -> Self {
        ExportError::from(error).into()
    }
}

impl TrainError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let error = FileError::io(action, path);
        move |source| error(source).into()
    }

    /// True for a failure of an engine or a device, false for bad input.
    #[must_use]
    pub fn is_engine_failure(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_engine_failure(),
            Self::Solver(error) => error.is_engine_failure(),
            _ => false,
        }
    }
}

impl Hint for TrainError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::File(error) => return error.hint(),
            Self::Picture(error) => return error.hint(),
            Self::Model(error) => return error.hint(),
            Self::Puzzle(error) => return error.hint(),
            Self::Export(error) => return error.hint(),
            Self::Engine(error) => return error.hint(),
            Self::Solver(error) => return error.hint(),
            Self::NoTrainingApi { .. } => {
                "`runtime.kind = \"graph\"` trains with any build; the last builds with the API \
                                           are of version 1.19.2: on Linux x86_64, give --ort-lib the path that `cargo \
                                           xtask ort-training` prints"
                    .into()
            }
            Self::TrainState { .. } => "was the state saved by a run with this configuration?".into(),
            Self::Diverged { saved, .. } => {
                let saved = saved.map_or_else(
                    || "nothing was saved yet".to_owned(),
                    |saved| format!("the checkpoint of step {saved} is kept"),
                );
                format!("{saved}; lower optimizer.lr or set optimizer.clip_grad_norm").into()
            }
            Self::TrainConfig { hint, .. } => return hint.as_deref().map(Cow::from),
            Self::TrainData { hint, .. } | Self::RunFolder { hint, .. } => hint.into(),
        })
    }
}
