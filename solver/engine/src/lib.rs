//! Runs the graphs of recursive models: engines load them, sessions run them.
//!
//! A session owns the carry and keeps it where it computes: in device memory for CUDA, in the engine's own tensors
//! otherwise. The caller never sees it unless it asks for a copy; it starts a row over with
//! [`ActStep::reset`](crate::ActStep).

mod act;
mod checks;
pub mod classify;
mod error;
mod external;
pub mod machine;
pub mod ort;
pub mod registry;
#[cfg(feature = "rten")]
pub mod rten;
#[cfg(feature = "tract")]
pub mod tract;
pub mod tuning;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use trm_models::{GraphKind, GraphTarget, ModelBundle, TrmConfig};

pub use self::act::{ActOutput, ActStep, Carry, halt_signal};
pub use self::checks::MAX_THREADS;
pub use self::error::{EngineError, Setting};
pub use self::external::ExternalFiles;
use self::ort::{ProviderChoice, ProviderOptions};
pub use self::registry::EngineEntry;

/// The result of this crate's fallible functions.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// A graph to load: an ONNX file with what is known about it.
#[derive(Debug, Clone)]
pub struct GraphSource<'a> {
    /// What errors call it: the bundle's name, or the file's path.
    pub name: &'a str,
    /// Which of the graphs it is.
    pub kind: GraphKind,
    /// The configuration that its inputs and outputs follow from.
    pub config: &'a TrmConfig,
    /// The content of the `.onnx` file.
    pub bytes: Cow<'a, [u8]>,
    /// Where the tensors are that are too large for the file and lie beside it.
    pub external: ExternalFiles<'a>,
    /// A row's numbers do not depend on the rows beside it: not so where activations are quantised by the range of a
    /// whole tensor. Such a graph is run a row at a time.
    pub batch_invariant: bool,
    /// What it is written for, if it is a step graph.
    pub target: GraphTarget,
}

impl<'a> GraphSource<'a> {
    /// A graph of a bundle.
    pub fn from_bundle(bundle: &'a ModelBundle, kind: GraphKind) -> Result<Self> {
        let manifest = bundle.manifest();
        Ok(Self {
            name: &manifest.name,
            kind,
            config: &manifest.config,
            bytes: bundle.graph_bytes(kind)?,
            external: ExternalFiles::Bundle(bundle),
            batch_invariant: manifest.is_batch_invariant(),
            target: manifest.target,
        })
    }
}

/// How a session is to be loaded. An engine ignores what it has no use for.
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

/// The project's folder among the user's caches. A path that is not absolute would be another one in every folder, and is
/// nothing, as the XDG Base Directory Specification has it.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")))?;
    Some(cache.join("trm-edge"))
}

/// What runs a session, as it turned out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// `ort`, `rten` or `tract`.
    pub engine: &'static str,
    /// The engine's version, as far as it tells.
    pub engine_version: String,
    /// The shared library, where the engine is one.
    pub library: Option<PathBuf>,
    /// The execution provider that really runs the graph: `cpu`, `cuda`, `tensorrt`.
    pub provider: &'static str,
    /// Why providers that would have been preferred do not run it, one line each; empty if none was passed over.
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
    fn load_step_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn StepSession>>;

    /// Loads a solve or unrolled graph.
    fn load_solve_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn SolveSession>>;

    /// Loads a bundle's step graph.
    fn load_step(&self, bundle: &ModelBundle, options: &SessionOptions) -> Result<Box<dyn StepSession>> {
        self.load_step_graph(&GraphSource::from_bundle(bundle, GraphKind::Step)?, options)
    }

    /// Loads a bundle's solve or unrolled graph.
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
    /// What runs it.
    fn info(&self) -> &SessionInfo;

    /// The model's configuration.
    fn config(&self) -> &TrmConfig;

    /// Rows of the batch.
    fn batch(&self) -> usize {
        self.info().batch
    }

    /// Runs one ACT step of every row. The input is checked first; after an error the carry is as before.
    fn step(&mut self, input: &ActStep) -> Result<ActOutput>;

    /// A copy of the carry after the last step. Rows that were never started hold no particular values.
    fn carry(&self) -> Result<Carry>;

    /// Replaces the carry of all rows.
    fn set_carry(&mut self, carry: &Carry) -> Result<()>;

    /// Adds to the carry of one row, `[total_len, hidden]` each, and leaves the others as they are.
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
    /// What runs it.
    fn info(&self) -> &SessionInfo;

    /// The model's configuration.
    fn config(&self) -> &TrmConfig;

    /// Rows of the batch.
    fn batch(&self) -> usize {
        self.info().batch
    }

    /// Solves a batch of puzzles from the start.
    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput>;
}
