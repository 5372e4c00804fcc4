//! The one error type of this crate.

use std::borrow::Cow;
use std::error::Error;
use std::path::PathBuf;

use trm_engine::EngineError;
use trm_export::ExportError;
use trm_export::onnx::OnnxError;
use trm_intake::file::FileError;
use trm_intake::{Hint, hint_as};
use trm_models::ModelError;
use trm_pictures::PictureError;
use trm_plan::PlanError;
use trm_puzzles::PuzzleError;

/// The reasons why a model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SolverError {
    /// The bundle, its configuration or a graph's interface was refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A puzzle, a file of puzzles or a data set was refused.
    #[error(transparent)]
    Puzzle(#[from] PuzzleError),
    /// A checkpoint was refused, or no graph could be made of it.
    #[error(transparent)]
    Export(Box<ExportError>),
    /// A recording of the reference implementation cannot be used.
    #[error("{}: not a usable golden: {reason}", path.display())]
    BadGolden {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A model that is neither a folder nor shipped.
    #[error("no model `{name}`: it is no folder, and no shipped model has that name")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
        /// A model with nearly that name.
        closest: Option<&'static str>,
        /// The models there are, with what they solve.
        shipped: String,
    },
    /// A bundle whose task and configuration contradict each other.
    #[error("{model}: {reason}")]
    ModelTask {
        /// The bundle's name.
        model: String,
        /// The mismatch.
        reason: String,
    },
    /// A puzzle of another task or size than the model's, or than every shipped model's.
    #[error("{origin}: this is a {puzzle}, {needs}")]
    NoFittingModel {
        /// Where the puzzle came from.
        origin: String,
        /// Task and size of the puzzle.
        puzzle: String,
        /// The puzzle that the model needs instead, or that no model fits.
        needs: String,
        /// The models there are, with what they solve.
        shipped: String,
    },
    /// A data set of another sequence length or vocabulary than the model's.
    #[error("{origin}: {found}, {model} needs {expected}")]
    DataSetMismatch {
        /// The data set.
        origin: String,
        /// Its sequence length and vocabulary.
        found: String,
        /// The model's name.
        model: String,
        /// The model's sequence length and vocabulary.
        expected: String,
    },
    /// A halting policy that does not exist.
    #[error("unknown halting policy `{text}`")]
    UnknownHaltPolicy {
        /// The request, as it may be shown.
        text: String,
    },
    /// A halting policy that listens to no signal before a step that no attempt gets to.
    #[error("`{text}`: {min_steps} steps before halting")]
    HaltMinSteps {
        /// The policy, as it may be shown.
        text: String,
        /// Its steps.
        min_steps: usize,
    },
    /// A standard deviation of the noise of rollouts that is negative, infinite or NaN.
    #[error("{noise} is no standard deviation")]
    Noise {
        /// The number.
        noise: f32,
    },
    /// Only a task with rules can be measured by verified answers.
    #[error("nobody can verify answers of this task")]
    NoRules,
    /// More pairs of places than are kept.
    #[error("{count} pairs are more than the limit of {limit}")]
    TooManyPairs {
        /// Pairs that were asked for.
        count: usize,
        /// Most pairs.
        limit: usize,
    },
    /// A map with too little room for places that are far enough apart.
    #[error("{map}: {reason}")]
    NoPairs {
        /// The map.
        map: String,
        /// The missing part.
        reason: String,
    },
    /// A recording of a network with other sizes.
    #[error("{reason}")]
    OtherModel {
        /// The recording, the model and their sizes.
        reason: String,
        /// The advice.
        hint: String,
    },
    /// A model that solves something else than mazes of three cells a side at least.
    #[error("{model} solves a {solves}, planning needs a maze model")]
    NotMazes {
        /// The model.
        model: String,
        /// Task and size that it solves.
        solves: String,
    },
    /// Sessions whose states would take more memory than planning may.
    #[error("the states of {lanes} sessions of {rows} rows take more than the limit of {limit} bytes")]
    StatesTooLarge {
        /// Sessions side by side.
        lanes: usize,
        /// Rows of each.
        rows: usize,
        /// Most bytes.
        limit: u64,
    },
    /// An engine could not load or run a graph.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Planning failed, or a map was refused.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Hint for SolverError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Model(error) => return error.hint(),
            Self::Puzzle(error) => return error.hint(),
            Self::Export(error) => return error.hint(),
            Self::Engine(error) => return error.hint(),
            Self::Plan(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::BadGolden { .. } => "a golden has outputs.safetensors, all_config.yaml and a checkpoint".into(),
            Self::UnknownModel { closest: Some(closest), shipped, .. } => {
                format!("did you mean `{closest}`? shipped models: {shipped}").into()
            }
            Self::UnknownModel { shipped, .. } => format!("shipped models: {shipped}").into(),
            Self::ModelTask { .. } => {
                "the bundle was made for another task: export the checkpoint again with the right --task".into()
            }
            Self::NoFittingModel { shipped, .. } => {
                format!("shipped models: {shipped}; `trm export` makes a bundle of a checkpoint").into()
            }
            Self::DataSetMismatch { .. } => "give the data set that the model was trained on, or another model".into(),
            Self::UnknownHaltPolicy { .. } => {
                "one of max-steps, verified, q-halt[:THRESHOLD[:MIN_STEPS]] and verified+q-halt[:…]".into()
            }
            Self::HaltMinSteps { .. } => format!("MIN_STEPS is from 1 to {}", crate::halt::MOST_STEPS).into(),
            Self::Noise { .. } => "a number from 0; the network's carry has a root mean square of 1".into(),
            Self::NoRules => "it takes sudokus and mazes".into(),
            Self::TooManyPairs { .. } => "a thousand pairs tell as much".into(),
            Self::OtherModel { hint, .. } => hint.into(),
            Self::NotMazes { .. } => "maze-9 is shipped; left out, it is taken".into(),
            Self::StatesTooLarge { .. } => "take fewer sessions, or fewer rows".into(),
            Self::NoPairs { .. } => "a larger map, a smaller --radius, or --unknown free".into(),
        })
    }
}

impl From<OnnxError> for SolverError {
    fn from(error: OnnxError) -> Self {
        ExportError::from(error).into()
    }
}

impl From<ExportError> for SolverError {
    fn from(error: ExportError) -> Self {
        // Boxed: it would make every result of this crate larger.
        Self::Export(Box::new(error))
    }
}

impl SolverError {
    /// True for a failure of an engine or a device, false for bad input.
    #[must_use]
    pub fn is_engine_failure(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_engine_failure())
    }
}

/// Returns the advice of an error of this crate or of one that it uses; `None` for another, and where there is none.
#[must_use]
pub fn hint_of<'e>(error: &'e (dyn Error + 'static)) -> Option<Cow<'e, str>> {
    /// The advice of an error of one type.
    type HintAs = for<'e> fn(&'e (dyn Error + 'static)) -> Option<Cow<'e, str>>;
    const KNOWN: [HintAs; 9] = [
        hint_as::<SolverError>,
        hint_as::<EngineError>,
        hint_as::<PlanError>,
        hint_as::<ExportError>,
        hint_as::<ModelError>,
        hint_as::<OnnxError>,
        hint_as::<PuzzleError>,
        hint_as::<PictureError>,
        hint_as::<FileError>,
    ];
    KNOWN.iter().find_map(|hint_as| hint_as(error))
}
