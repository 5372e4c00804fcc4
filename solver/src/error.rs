//! The one error type of this crate.

use std::path::PathBuf;

use trm_export::ExportError;
use trm_export::onnx::OnnxError;
use trm_models::file::full_disk_hint;
use trm_models::{GraphKind, ModelError};
use trm_puzzles::PuzzleError;

use crate::engine::ort::{Candidate, ExecutionProvider, LibraryProblem};

/// Why a model could not be loaded or run.
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
    #[error("{}: not a usable golden: {reason}\nhint: a golden has outputs.safetensors, all_config.yaml and a checkpoint", path.display())]
    BadGolden {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A model that is neither a folder nor shipped.
    #[error("no model `{name}`: it is no folder, and no shipped model has that name\nhint: shipped models: {shipped}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The models there are, with what they solve.
        shipped: String,
    },
    /// A bundle whose task and configuration contradict each other.
    #[error(
        "{model}: {reason}\nhint: the bundle was made for another task: export the checkpoint again with the right --task"
    )]
    ModelTask {
        /// The bundle's name.
        model: String,
        /// What does not fit.
        reason: String,
    },
    /// A puzzle of another task or size than the model's, or than every shipped model's.
    #[error(
        "{origin}: this is a {puzzle}, {needs}\nhint: shipped models: {shipped}; `trm export` makes a bundle of a checkpoint"
    )]
    NoFittingModel {
        /// Where the puzzle came from.
        origin: String,
        /// Task and size of the puzzle.
        puzzle: String,
        /// What the model needs instead, or that no model fits.
        needs: String,
        /// The models there are, with what they solve.
        shipped: String,
    },
    /// A data set of another sequence length or vocabulary than the model's.
    #[error(
        "{origin}: {found}, {model} needs {expected}\nhint: give the data set that the model was trained on, or another model"
    )]
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
    /// A map that cannot be read, or contradicts itself.
    #[error("{source_name}: {message}")]
    BadMap {
        /// The map, as the caller calls it; mostly a file.
        source_name: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A map with more cells than planning has memory for.
    #[error(
        "{source_name}: {width}x{height} cells are more than the limit of {limit}\nhint: crop the map, or give it a coarser resolution"
    )]
    MapTooLarge {
        /// The map, as the caller calls it.
        source_name: String,
        /// Cells across.
        width: usize,
        /// Cells up.
        height: usize,
        /// Most cells.
        limit: usize,
    },
    /// A start or goal where the robot cannot be.
    #[error("the {what} {x},{y} {reason}{}", hint_line(hint.as_deref()))]
    PlaceRefused {
        /// `start` or `goal`.
        what: &'static str,
        /// Metres in the map's frame.
        x: f64,
        /// Metres in the map's frame.
        y: f64,
        /// What is there instead of free space.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A planned path failed its check on the map: the planner contradicts itself.
    #[error(
        "a path was planned but not confirmed by its check: {what}\nhint: this is a defect of the planner; please report it with the map, start and goal"
    )]
    PlanFault {
        /// What is wrong.
        what: String,
    },
    /// An option or argument that cannot be used as given.
    #[error("{option}: {reason}{}", hint_line(hint.as_deref()))]
    InvalidOption {
        /// The option, by the name under which the user knows it.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A session input has another number of elements than its shape calls for.
    #[error("input `{tensor}` has {actual} values, expected {expected} ({shape})")]
    InputLength {
        /// The input's name in the graph.
        tensor: &'static str,
        /// How many values were given.
        actual: usize,
        /// How many the shape has.
        expected: usize,
        /// The shape, spelled out: `[batch 8, seq 81]`.
        shape: String,
    },
    /// A token that the model has no embedding for.
    #[error("row {row}, cell {cell}: token {token} is outside the model's vocabulary, expected 0 to {}", vocab_size - 1)]
    TokenOutOfRange {
        /// Batch row.
        row: usize,
        /// Position in the row.
        cell: usize,
        /// The token.
        token: i32,
        /// Tokens in the vocabulary.
        vocab_size: usize,
    },
    /// A puzzle id that the model has no embedding for.
    #[error("row {row}: puzzle id {id} is unknown to the model, expected 0 to {}", count.saturating_sub(1))]
    PuzzleIdOutOfRange {
        /// Batch row.
        row: usize,
        /// The id.
        id: i32,
        /// Rows of the puzzle-embedding table.
        count: usize,
    },
    /// A row was stepped on without having been started.
    #[error("row {row} has no carry yet, expected `reset` on its first step")]
    NoCarry {
        /// Batch row.
        row: usize,
    },
    /// The network's output is NaN or infinite: the numbers overflowed on the way.
    #[error(
        "the {graph} graph returned {value} as `{tensor}` of row {row}\nhint: a reduced precision overflowed, or the \
         weights are damaged: try --provider cpu and the float32 bundle"
    )]
    NotFinite {
        /// The graph that ran.
        graph: GraphKind,
        /// The output's name.
        tensor: &'static str,
        /// Batch row.
        row: usize,
        /// The value.
        value: f32,
    },
    /// The engine has no way to run a graph of this kind.
    #[error("{engine} cannot run the {graph} graph: {reason}\nhint: {hint}")]
    Unsupported {
        /// The engine's name.
        engine: &'static str,
        /// The kind of graph.
        graph: GraphKind,
        /// What is missing.
        reason: String,
        /// What to use instead.
        hint: String,
    },
    /// No ONNX Runtime library was found, or none that may be loaded.
    #[error(
        "no ONNX Runtime library found beside the program, in the system's folders or in the active Python environment{}\n\
         hint: `trm doctor` lists every place; `pip install onnxruntime` into an active environment, or name the library by \
         --ort-lib or ORT_DYLIB_PATH",
        refused_libraries(refused)
    )]
    LibraryNotFound {
        /// Files that have the library's name, with why they are not loaded.
        refused: Vec<Candidate>,
    },
    /// A file that was named as ONNX Runtime's library cannot be it.
    #[error("{}: {reason}\nhint: {origin} must name ONNX Runtime's shared library, version 1.{} or newer", path.display(), ort::MINOR_VERSION)]
    LibraryRejected {
        /// The file.
        path: PathBuf,
        /// Who named it: `--ort-lib` or `ORT_DYLIB_PATH`.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// ONNX Runtime's library does not work on this machine.
    #[error(
        "{}: the library {reason}\nhint: ONNX Runtime 1.{} or newer is needed, built for this processor; `--backend tract` \
         needs none",
        path.display(),
        ort::MINOR_VERSION
    )]
    LibraryFails {
        /// The file.
        path: PathBuf,
        /// The fault: `crashes when it is opened (…)`.
        reason: String,
    },
    /// A second ONNX Runtime library was asked for in one process.
    #[error("{} is already loaded, cannot load {} beside it: a process has one ONNX Runtime", loaded.display(), requested.display())]
    LibraryAlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        requested: PathBuf,
    },
    /// Training through ONNX Runtime's training API was asked for, and the library has none.
    #[error(
        "{}: this build of ONNX Runtime has no training API\nhint: `runtime.kind = \"graph\"` trains with any build; \
         the last builds with the API are of version 1.19.2: on Linux x86_64, give --ort-lib the path that \
         `cargo xtask ort-training` prints",
        library.display()
    )]
    NoTrainingApi {
        /// The library in use.
        library: PathBuf,
    },
    /// The state to go on training from does not fit the model.
    #[error("tensor `{tensor}` {problem}\nhint: was the state saved by a run with this configuration?")]
    TrainState {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The execution provider that was asked for does not work here.
    #[error(
        "execution provider {provider} is not usable: {reason}\nhint: --provider auto takes the best one that works; `trm doctor` lists them"
    )]
    Provider {
        /// The provider.
        provider: ExecutionProvider,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// The engine failed.
    #[error("{engine} failed to {action}")]
    Engine {
        /// The engine's name.
        engine: &'static str,
        /// What it was doing, with the graph and tensor: "load the step graph of sudoku9".
        action: String,
        /// The engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    // training
    /// Training produced numbers that are none.
    #[error(
        "step {step}: {what} is {value}: training has diverged\nhint: {}; lower optimizer.lr or set \
         optimizer.clip_grad_norm",
        saved.map_or_else(|| "nothing was saved yet".to_owned(), |saved| format!("the checkpoint of step {saved} is kept"))
    )]
    Diverged {
        /// The optimiser step.
        step: u64,
        /// What is no number: the loss, the gradient's norm, a tensor.
        what: String,
        /// Its value.
        value: f64,
        /// The step of the checkpoint that is kept.
        saved: Option<u64>,
    },
    /// Settings of a training run that cannot be used.
    #[error("{origin}: {reason}{}", hint_line(hint.as_deref()))]
    TrainConfig {
        /// The file, or the option that set them.
        origin: String,
        /// Which setting, its value, what was expected.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Training data that cannot be trained on.
    #[error("{origin}: {reason}\nhint: {hint}")]
    TrainData {
        /// File and line, data set and example, or source.
        origin: String,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// A file of a run's folder could not be read or written.
    #[error("cannot {action} {}{}", path.display(), full_disk_hint(source))]
    RunIo {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A run's folder or checkpoint that cannot be used.
    #[error("{}: {reason}\nhint: {hint}", path.display())]
    RunFolder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: String,
    },
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
    pub(crate) fn run_io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::RunIo { action, path, source }
    }

    /// True for a failure of an engine or a device, false for bad input (a path that names no library is bad input, a
    /// library that crashes is not).
    #[must_use]
    pub fn is_engine_failure(&self) -> bool {
        match self {
            Self::NotFinite { .. } | Self::Provider { .. } | Self::Engine { .. } | Self::LibraryFails { .. } => true,
            Self::LibraryNotFound { refused } => refused.iter().any(Candidate::is_surprising),
            _ => false,
        }
    }
}

/// Most libraries that a message says something of.
const MOST_REFUSED: usize = 3;

/// Candidates that are not loaded, from the first on.
fn refused_libraries(refused: &[Candidate]) -> String {
    let told = |candidate: &Candidate| {
        let problem = candidate.problem.as_ref().map(LibraryProblem::to_string).unwrap_or_default();
        format!("; {}: {problem}", candidate.path.display())
    };
    let rest = refused.len().saturating_sub(MOST_REFUSED);
    let rest = (rest > 0).then(|| format!("; and {rest} more"));
    refused.iter().take(MOST_REFUSED).map(told).chain(rest).collect()
}

/// The optional last line of a message.
fn hint_line(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}
