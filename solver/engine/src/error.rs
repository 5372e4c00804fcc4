//! The one error type of this crate.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use trm_intake::Hint;
use trm_intake::file::FileError;
use trm_models::{GraphKind, ModelError};
use trm_onnx::OnnxError;

use crate::ort::{Candidate, ExecutionProvider, LibraryProblem};
use crate::registry;

/// A number that a session is loaded or run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Rows of a batch.
    Batch,
    /// Threads of a session.
    Threads,
    /// Most ACT steps.
    MaxSteps,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Batch => "batch size",
            Self::Threads => "number of threads",
            Self::MaxSteps => "step limit",
        })
    }
}

/// The reasons why a graph could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The bundle or a graph's interface was refused.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// The graph's bytes, or the tensors beside it, are not what they should be.
    #[error(transparent)]
    Graph(Box<OnnxError>),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A number that no session takes.
    #[error("{setting} {value} is out of range, expected 1 to {limit}")]
    OutOfRange {
        /// The number's meaning.
        setting: Setting,
        /// The number.
        value: usize,
        /// The largest that is taken.
        limit: usize,
    },
    /// A graph that is made for another number of rows.
    #[error("the {graph} graph of {name} is made for batch {fixed}, not {batch}")]
    FixedBatch {
        /// The kind of graph.
        graph: GraphKind,
        /// The bundle, or the graph's file.
        name: String,
        /// Rows that it is made for.
        fixed: usize,
        /// Rows that were asked for.
        batch: usize,
    },
    /// A step graph where a solving one is wanted, or the other way round.
    #[error("a {session} session cannot run the {graph} graph")]
    WrongGraph {
        /// The kind of session: `step` or `solve`.
        session: &'static str,
        /// The kind of graph.
        graph: GraphKind,
        /// The graphs that it runs.
        fits: &'static str,
    },
    /// A bundle without the graph that is run step by step.
    #[error("{bundle} has no step graph")]
    NoStepGraph {
        /// The bundle.
        bundle: String,
    },
    /// A halting threshold that nothing can be compared with.
    #[error("the halting threshold is NaN, expected a number")]
    HaltThreshold,
    /// A step limit for a graph that always runs the same number of steps.
    #[error("an unrolled graph has its number of steps built in, expected no limit")]
    StepsBuiltIn,
    /// An engine that was left out of this program.
    #[error("this program was built without {engine}")]
    NotBuilt {
        /// The engine's name, and that of its feature.
        engine: &'static str,
    },
    /// A GPU was asked for, and the engine has none.
    #[error("{engine} runs on the processor only")]
    ProcessorOnly {
        /// The engine's name.
        engine: &'static str,
    },
    /// A name that is no execution provider's.
    #[error("unknown execution provider `{name}`")]
    UnknownProvider {
        /// The name.
        name: String,
    },
    /// A session input has another number of elements than its shape calls for.
    #[error("input `{tensor}` has {actual} values, expected {expected} ({shape})")]
    InputLength {
        /// The input's name in the graph.
        tensor: &'static str,
        /// The number of values given.
        actual: usize,
        /// The number of values that the shape has.
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
    #[error("the {graph} graph returned {value} as `{tensor}` of row {row}")]
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
    #[error("{engine} cannot run the {graph} graph: {reason}")]
    Unsupported {
        /// The engine's name.
        engine: &'static str,
        /// The kind of graph.
        graph: GraphKind,
        /// The missing part.
        reason: String,
        /// The way that works.
        hint: String,
    },
    /// No ONNX Runtime library was found, or none that may be loaded.
    #[error(
        "no ONNX Runtime library found beside the program, in the system's folders or in the active Python environment{}",
        refused_libraries(refused)
    )]
    LibraryNotFound {
        /// Files that have the library's name, with why they are not loaded.
        refused: Vec<Candidate>,
    },
    /// A file that was named as ONNX Runtime's library cannot be it.
    #[error("{}: {reason}", path.display())]
    LibraryRejected {
        /// The file.
        path: PathBuf,
        /// The option or variable that named it: `--ort-lib` or `ORT_DYLIB_PATH`.
        origin: String,
        /// The fault.
        reason: String,
    },
    /// ONNX Runtime's library does not work on this machine.
    #[error("{}: the library {reason}", path.display())]
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
    /// The execution provider that was asked for does not work here.
    #[error("execution provider {provider} is not usable: {reason}")]
    Provider {
        /// The provider.
        provider: ExecutionProvider,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// The engine failed.
    #[error("{engine} failed to {action}")]
    Failed {
        /// The engine's name.
        engine: &'static str,
        /// The attempt, with the graph and tensor: "load the step graph of sudoku9".
        action: String,
        /// The engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Hint for EngineError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let newest = ort::MINOR_VERSION;
        Some(match self {
            Self::Model(error) => return error.hint(),
            Self::Graph(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::WrongGraph { fits, .. } => format!("it runs the {fits} graph").into(),
            Self::NotBuilt { engine } => {
                format!("build it with `--features {engine}`, or leave the choice to auto").into()
            }
            Self::ProcessorOnly { .. } => "ONNX Runtime has cuda and tensorrt".into(),
            Self::UnknownProvider { .. } => "one of auto, cpu, cuda and tensorrt".into(),
            Self::NotFinite { .. } => {
                "a reduced precision overflowed, or the weights are damaged: try --provider cpu and \
                                       the float32 bundle"
                    .into()
            }
            Self::Unsupported { hint, .. } => hint.into(),
            Self::LibraryNotFound { .. } => "`trm doctor` lists every place; `pip install onnxruntime` into an active \
                                             environment, or name the library by --ort-lib or ORT_DYLIB_PATH"
                .into(),
            Self::LibraryRejected { origin, .. } => {
                format!("{origin} must name ONNX Runtime's shared library, version 1.{newest} or newer").into()
            }
            Self::LibraryFails { .. } => {
                let without = registry::built_in().next();
                let without =
                    without.map_or_else(String::new, |engine| format!("; `--backend {}` needs none", engine.name));
                format!("ONNX Runtime 1.{newest} or newer is needed, built for this processor{without}").into()
            }
            Self::Provider { .. } => "--provider auto takes the best one that works; `trm doctor` lists them".into(),
            // What failed is the cause, which has its own.
            _ => return None,
        })
    }
}

// Boxed, both: they would make every result of this crate larger.
impl From<ModelError> for EngineError {
    fn from(error: ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}

impl From<OnnxError> for EngineError {
    fn from(error: OnnxError) -> Self {
        Self::Graph(Box::new(error))
    }
}

impl EngineError {
    /// True for a failure of an engine or a device, false for bad input (a path that names no library is bad input, a
    /// library that crashes is not).
    #[must_use]
    pub fn is_engine_failure(&self) -> bool {
        match self {
            Self::NotFinite { .. } | Self::Provider { .. } | Self::Failed { .. } | Self::LibraryFails { .. } => true,
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
