//! Runs the graphs of recursive models: engines load them, sessions run them.
//!
//! ```no_run
//! use trm_engine::{ActStep, SessionOptions, registry};
//! use trm_models::ModelBundle;
//!
//! let bundle = ModelBundle::open("my-bundle")?;
//! let engine = (registry::default().open)(None)?;
//! let mut session = engine.load_step(&bundle, &SessionOptions::default())?;
//! let puzzle = vec![0; session.config().seq_len];
//! let mut step = ActStep::first(puzzle, vec![0]);
//! for number in 1..=4 {
//!     let output = session.step(&step)?;
//!     println!("step {number}: {:?}, halting logit {}", output.answer, output.q_halt[0]);
//!     // From the second step on the row goes on from its carry.
//!     step.reset.fill(false);
//! }
//! # Ok::<(), trm_engine::EngineError>(())
//! ```
//!
//! A session owns the carry and keeps it where it computes: in device memory for CUDA, in the engine's own tensors
//! otherwise. The caller never sees it unless it asks for a copy; it starts a row over with
//! [`ActStep::reset`](crate::ActStep).

mod act;
mod checks;
pub mod classify;
mod entry;
mod error;
mod external;
pub mod machine;
pub mod ort;
pub mod registry;
#[cfg(feature = "rten")]
pub mod rten;
pub mod single;
#[cfg(feature = "tract")]
pub mod tract;
pub mod tuning;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use trm_models::{GraphKind, GraphTarget, ModelBundle, TrmConfig};

pub use self::act::{ActOutput, ActStep, Carry, halt_signal};
pub use self::checks::MAX_THREADS;
pub use self::entry::EngineEntry;
pub use self::error::{EngineError, Setting};
pub use self::external::ExternalFiles;
use self::ort::{ExecutionProvider, ProviderChoice, ProviderOptions};

/// The result of this crate's fallible functions.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// A graph to load: an ONNX file with what is known about it.
#[derive(Debug, Clone)]
pub struct GraphSource<'a> {
    /// Name for messages: the bundle's name, or the file's path.
    pub name: &'a str,
    /// Which of the graphs it is.
    pub kind: GraphKind,
    /// The configuration that its inputs and outputs follow from.
    pub config: &'a TrmConfig,
    /// The content of the `.onnx` file.
    pub bytes: Cow<'a, [u8]>,
    /// Source of the tensors that are too large for the file and lie beside it.
    pub external: ExternalFiles<'a>,
    /// A row's numbers do not depend on the rows beside it: not so where activations are quantised by the range of a
    /// whole tensor. Such a graph is run a row at a time.
    pub batch_invariant: bool,
    /// Target that it was written for, if it is a step graph.
    pub target: GraphTarget,
}

impl<'a> GraphSource<'a> {
    /// Takes a graph of a bundle.
    ///
    /// # Errors
    ///
    /// [`EngineError::Model`] if the bundle does not hold the graph, or its file does not match its hash.
    pub fn from_bundle(bundle: &'a ModelBundle, kind: GraphKind) -> Result<Self> {
        let manifest = bundle.manifest();
        Ok(Self {
            name: &manifest.name,
            kind,
            config: &manifest.config,
            bytes: bundle.graph_bytes(kind)?,
            external: ExternalFiles::Bundle(bundle),
            batch_invariant: manifest.precision.is_batch_invariant(),
            target: manifest.target,
        })
    }
}

/// Options for loading a session. An engine ignores those that it has no use for.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Rows of every input and output.
    pub batch: usize,
    /// Threads within an operator; 0 takes one for each core.
    pub threads: usize,
    /// Let idle threads spin instead of sleep (ONNX Runtime). Faster on a quiet machine; on a busy one the spinning
    /// threads can stall each other, so it is off unless asked for.
    pub spinning: bool,
    /// On the CPU, multiply float32 in bfloat16 where the processor has instructions for it (ONNX Runtime, ARM's `bf16`);
    /// others compute as ever.
    pub bfloat16_products: bool,
    /// Compute the logits, and return them with every step.
    pub want_logits: bool,
    /// Which execution provider runs the graph (ONNX Runtime).
    pub provider: ProviderChoice,
    /// Settings of the execution providers (ONNX Runtime).
    pub provider_options: ProviderOptions,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            batch: 1,
            threads: 0,
            spinning: false,
            bfloat16_products: false,
            want_logits: false,
            provider: ProviderChoice::Auto,
            provider_options: ProviderOptions::default(),
        }
    }
}

impl SessionOptions {
    /// `threads`, or the number of cores where that is 0.
    #[must_use]
    pub fn resolved_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

/// The project's folder among the user's caches: `trm-edge` in `XDG_CACHE_HOME`, else in `.cache` of `HOME`; `None`
/// without either. A relative path counts as none, as the XDG Base Directory Specification has it: it would be
/// another folder wherever the program is started.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")))?;
    Some(cache.join("trm-edge"))
}

/// The engine, library and provider that really run a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// `ort`, `rten` or `tract`.
    pub engine: &'static str,
    /// The engine's version, as far as it tells.
    pub engine_version: String,
    /// The shared library, where the engine is one.
    pub library: Option<PathBuf>,
    /// The execution provider that really runs the graph.
    pub provider: ExecutionProvider,
    /// Reasons why providers that would have been preferred do not run it, one line each; empty if none was passed
    /// over.
    pub fallbacks: Vec<String>,
    /// The graph.
    pub graph: GraphKind,
    /// Rows of every input and output.
    pub batch: usize,
    /// Threads within an operator.
    pub threads: usize,
    /// Time from the bytes of the file to a session that can run.
    pub load_time: Duration,
}

/// Something that loads graphs.
pub trait Engine: Send + Sync {
    /// `ort`, `rten` or `tract`.
    fn name(&self) -> &'static str;

    /// The version; `unknown` if the engine does not tell.
    fn version(&self) -> String;

    /// A line that whoever runs it should know, if there is one.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Loads a step graph.
    ///
    /// # Errors
    ///
    /// [`EngineError::WrongGraph`] for a graph of another kind; [`EngineError::OutOfRange`] for options that no
    /// session takes; [`EngineError::Unsupported`] for a graph that the engine cannot run; [`EngineError::Model`] if
    /// the graph has not the inputs and outputs of its configuration; [`EngineError::Graph`] if a tensor beside it is
    /// refused; [`EngineError::FixedBatch`]; [`EngineError::Provider`]; [`EngineError::Failed`] if the engine refuses
    /// it.
    fn load_step_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn StepSession>>;

    /// Loads a solve or unrolled graph.
    ///
    /// # Errors
    ///
    /// As [`Engine::load_step_graph`].
    fn load_solve_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn SolveSession>>;

    /// Loads a bundle's step graph.
    ///
    /// # Errors
    ///
    /// Those of [`GraphSource::from_bundle`] and [`Engine::load_step_graph`].
    fn load_step(&self, bundle: &ModelBundle, options: &SessionOptions) -> Result<Box<dyn StepSession>> {
        self.load_step_graph(&GraphSource::from_bundle(bundle, GraphKind::Step)?, options)
    }

    /// Loads a bundle's solve or unrolled graph.
    ///
    /// # Errors
    ///
    /// Those of [`GraphSource::from_bundle`] and [`Engine::load_solve_graph`].
    fn load_solve(
        &self,
        bundle: &ModelBundle,
        kind: GraphKind,
        options: &SessionOptions,
    ) -> Result<Box<dyn SolveSession>> {
        self.load_solve_graph(&GraphSource::from_bundle(bundle, kind)?, options)
    }
}

/// A loaded step graph with the carry of its rows.
pub trait StepSession: Send {
    /// The engine, library and provider that run it.
    fn info(&self) -> &SessionInfo;

    /// The model's configuration.
    fn config(&self) -> &TrmConfig;

    /// Rows of the batch.
    fn batch(&self) -> usize {
        self.info().batch
    }

    /// Runs one ACT step of every row. The input is checked first; after an error the carry is as before.
    ///
    /// # Errors
    ///
    /// [`EngineError::InputLength`], [`EngineError::TokenOutOfRange`], [`EngineError::PuzzleIdOutOfRange`] or
    /// [`EngineError::NoCarry`] for an input that does not fit; [`EngineError::NotFinite`] if the network's numbers
    /// overflowed; [`EngineError::Failed`] if the engine fails.
    fn step(&mut self, input: &ActStep) -> Result<ActOutput>;

    /// A copy of the carry after the last step. Rows that were never started hold no particular values.
    ///
    /// # Errors
    ///
    /// [`EngineError::Failed`] if it cannot be copied from the device.
    fn carry(&self) -> Result<Carry>;

    /// Replaces the carry of all rows.
    ///
    /// # Errors
    ///
    /// [`EngineError::InputLength`] for another number of values; [`EngineError::Failed`] if it cannot be copied to
    /// the device.
    fn set_carry(&mut self, carry: &Carry) -> Result<()>;

    /// Adds to the carry of one row, `[total_len, hidden]` each, and leaves the others as they are.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoCarry`] for a row that was not started; [`EngineError::InputLength`] for another number of
    /// values; [`EngineError::Failed`] if the engine fails.
    fn add_to_carry(&mut self, row: usize, delta: &Carry) -> Result<()> {
        let mut carry = self.carry()?;
        for (values, delta) in [(&mut carry.z_h, &delta.z_h), (&mut carry.z_l, &delta.z_l)] {
            let row = values.iter_mut().skip(row * delta.len());
            row.zip(delta).for_each(|(value, delta)| *value += delta);
        }
        self.set_carry(&carry)
    }
}

/// The input of a solve or unrolled graph.
#[derive(Debug, Clone, PartialEq)]
pub struct SolveInput {
    /// Token ids, `[batch, seq]`.
    pub tokens: Vec<i32>,
    /// Rows of the puzzle-embedding table, `[batch]`.
    pub puzzle_ids: Vec<i32>,
    /// A row halts after the step whose halting signal exceeds this logit: 0 is the model's own decision, infinity
    /// runs every step.
    pub halt_threshold: f32,
    /// The step limit of the solve graph; the configuration's `halt_max_steps` if absent. An unrolled graph has its
    /// number of steps built in, and takes none.
    pub max_steps: Option<usize>,
}

/// The output of a solve or unrolled graph.
#[derive(Debug, Clone, PartialEq)]
pub struct SolveOutput {
    /// Argmax over the vocabulary, `[batch, seq]`.
    pub answer: Vec<i32>,
    /// The halting logit at the row's last step, `[batch]`.
    pub q_halt: Vec<f32>,
    /// The continuation logit at the row's last step, `[batch]`.
    pub q_continue: Vec<f32>,
    /// Steps each row ran, `[batch]`.
    pub steps: Vec<i32>,
    /// `[batch, seq, vocab]`, when the session was loaded with `want_logits`.
    pub logits: Option<Vec<f32>>,
}

/// A loaded solve or unrolled graph.
pub trait SolveSession: Send {
    /// The engine, library and provider that run it.
    fn info(&self) -> &SessionInfo;

    /// The model's configuration.
    fn config(&self) -> &TrmConfig;

    /// Rows of the batch.
    fn batch(&self) -> usize {
        self.info().batch
    }

    /// Solves a batch of puzzles from the start.
    ///
    /// # Errors
    ///
    /// [`EngineError::InputLength`], [`EngineError::TokenOutOfRange`], [`EngineError::PuzzleIdOutOfRange`],
    /// [`EngineError::HaltThreshold`], [`EngineError::StepsBuiltIn`] or [`EngineError::OutOfRange`] for an input that
    /// does not fit; [`EngineError::NotFinite`] if the network's numbers overflowed; [`EngineError::Failed`] if the
    /// engine fails.
    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput>;
}
