//! The options that choose an engine, and the engine they lead to.

use std::path::PathBuf;

use clap::ValueEnum;
use trm_models::{GraphKind, ModelBundle};
use trm_solver::engine::MAX_THREADS;
use trm_solver::engine::ort::{Candidate, ExecutionProvider, OrtEngine, ProviderChoice, ProviderOptions};
use trm_solver::errln;
use trm_solver::tuning::{Trial, Tuning, TuningCache};
use trm_solver::{Engine, GraphSource, Result, SessionInfo, SessionOptions, SolveSession, SolverError, StepSession};

use crate::built_in::BuiltIn;
use crate::deadline;

/// Which engine runs the graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendChoice {
    /// ONNX Runtime where its library is found and works, otherwise a built-in engine: tract, or rten
    Auto,
    /// ONNX Runtime, from a shared library
    Ort,
    /// tract, built in
    #[cfg(feature = "tract")]
    Tract,
    /// rten, built in
    #[cfg(feature = "rten")]
    Rten,
}

/// Which execution provider ONNX Runtime uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderName {
    /// TensorRT, CUDA, CPU: the first that works
    Auto,
    /// The processor
    Cpu,
    /// An NVIDIA GPU
    Cuda,
    /// An NVIDIA GPU through TensorRT; the first run compiles for minutes, later ones read the cache
    #[value(name = "tensorrt")]
    TensorRt,
}

impl ProviderName {
    /// The one that was named.
    pub(crate) fn named(self) -> Option<ExecutionProvider> {
        match self {
            Self::Auto => None,
            Self::Cpu => Some(ExecutionProvider::Cpu),
            Self::Cuda => Some(ExecutionProvider::Cuda),
            Self::TensorRt => Some(ExecutionProvider::TensorRt),
        }
    }
}

/// A number of threads that a machine can have: each takes memory before it has done anything.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 0..=MAX_THREADS) => Ok(threads),
        _ => Err(format!("expected 0 to {MAX_THREADS}; 0 leaves the choice to the program")),
    }
}

/// Engine and device.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct BackendArgs {
    /// Engine that runs the model
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub(crate) backend: BackendChoice,
    /// Execution provider of ONNX Runtime
    #[arg(long, value_name = "PROVIDER", default_value = "auto")]
    pub(crate) provider: ProviderName,
    /// Threads within an operator; 0 takes what `trm bench --tune` found best, or one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    pub(crate) threads: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Use the next best provider or engine where the one asked for does not work
    #[arg(long)]
    pub(crate) allow_fallback: bool,
}

/// ONNX Runtime's library, and the device that it uses.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct DeviceArgs {
    /// Number of the GPU
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) device_id: i32,
    /// ONNX Runtime's shared library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    pub(crate) ort_lib: Option<PathBuf>,
    /// Folder for TensorRT's compiled engines and timings
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Most GPU memory that ONNX Runtime may take, in MiB
    #[arg(long, value_name = "MIB")]
    pub(crate) gpu_mem_limit: Option<usize>,
    /// Let TensorRT compute in half precision
    #[arg(long)]
    pub(crate) fp16: bool,
    /// Record a step as a CUDA graph and replay it
    #[arg(long)]
    pub(crate) cuda_graph: bool,
    /// Let ONNX Runtime's CPU multiply in bfloat16, on ARM processors that can; others compute as ever
    #[arg(long)]
    pub(crate) bf16_products: bool,
}

impl DeviceArgs {
    /// The options as execution providers take them.
    pub(crate) fn provider_options(&self) -> ProviderOptions {
        ProviderOptions {
            device_id: self.device_id,
            memory_limit: self.gpu_mem_limit.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
            fp16: self.fp16,
            cache_dir: self.cache_dir.clone(),
            cuda_graph: self.cuda_graph,
            ..ProviderOptions::default()
        }
    }
}

/// ONNX Runtime and device, where no other engine will do.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Execution provider of ONNX Runtime: cpu or cuda
    #[arg(long, value_name = "PROVIDER", default_value = "auto")]
    provider: ProviderName,
    /// Number of the GPU
    #[arg(long, value_name = "N", default_value_t = 0)]
    device_id: i32,
    /// Threads within an operator; 0 takes one for each core. With the same number, a run is the same bit for bit however
    /// often it is interrupted
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    threads: usize,
    /// Let idle threads spin instead of sleep; measure before you use it
    #[arg(long)]
    spinning: bool,
    /// ONNX Runtime's shared library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    ort_lib: Option<PathBuf>,
}

impl EngineArgs {
    /// Loads the library.
    pub(crate) fn open(&self) -> Result<OrtEngine> {
        OrtEngine::load(self.ort_lib.as_deref())
    }

    /// The options as a session takes them.
    pub(crate) fn session_options(&self) -> SessionOptions {
        let provider = self.provider.named().map_or(ProviderChoice::Auto, ProviderChoice::Only);
        SessionOptions {
            threads: self.threads,
            spinning: self.spinning,
            provider,
            provider_options: ProviderOptions { device_id: self.device_id, ..ProviderOptions::default() },
            ..SessionOptions::default()
        }
    }
}

/// The engines to try, the preferred one first, with what is known about those that cannot be.
pub(crate) struct Backend {
    engines: Vec<Box<dyn Engine>>,
    /// Why an engine that would have been preferred is not among them.
    passed_over: Option<String>,
    verbose: bool,
    provider: ProviderName,
}

/// A loaded session with the reasons why it is not on a more preferred engine or provider.
pub(crate) struct Loaded<S: ?Sized> {
    pub(crate) session: Box<S>,
    pub(crate) fallbacks: Vec<String>,
}

/// Tells whether ONNX Runtime is among the engines of a choice, and which of the built-in ones are. A library that is named,
/// or a provider that only ONNX Runtime has, leaves none of these.
pub(crate) fn wanted_engines(
    backend: BackendChoice,
    provider: ProviderName,
    device: &DeviceArgs,
) -> Result<(bool, &'static [BuiltIn])> {
    let gpu = matches!(provider, ProviderName::Cuda | ProviderName::TensorRt);
    match backend {
        BackendChoice::Ort => Ok((true, &[])),
        BackendChoice::Auto if device.ort_lib.is_none() && !gpu => Ok((true, BuiltIn::ALL)),
        BackendChoice::Auto => Ok((true, &[])),
        #[cfg(feature = "tract")]
        BackendChoice::Tract => on_the_processor(gpu, &[BuiltIn::Tract]),
        #[cfg(feature = "rten")]
        BackendChoice::Rten => on_the_processor(gpu, &[BuiltIn::Rten]),
    }
}

#[cfg(any(feature = "rten", feature = "tract"))]
fn on_the_processor(gpu: bool, engine: &'static [BuiltIn; 1]) -> Result<(bool, &'static [BuiltIn])> {
    if !gpu {
        return Ok((false, engine));
    }
    Err(SolverError::InvalidOption {
        option: "--provider",
        reason: format!("{} runs on the processor only", engine[0].name()),
        hint: Some("--backend ort has cuda and tensorrt".to_owned()),
    })
}

impl BackendArgs {
    /// Opens the engine that was asked for. With `auto` that is ONNX Runtime if its library works, else the first built-in
    /// engine that takes the graph.
    pub(crate) fn open(&self, verbose: bool) -> Result<Backend> {
        let (ort, wanted) = wanted_engines(self.backend, self.provider, &self.device)?;
        let mut built_in = wanted.to_vec();
        if self.allow_fallback {
            built_in.extend(BuiltIn::ALL.iter().filter(|other| !wanted.contains(other)));
        }
        let mut backend = Backend { engines: Vec::new(), passed_over: None, verbose, provider: self.provider };
        if ort {
            match OrtEngine::load(self.device.ort_lib.as_deref()) {
                Ok(engine) => {
                    if let (true, Some(exposed)) = (verbose, engine.exposed()) {
                        errln!("{}: {exposed}", engine.library().display());
                    }
                    backend.engines.push(Box::new(engine));
                }
                Err(error) if !built_in.is_empty() => backend.pass_over("ort", &error),
                Err(error) => return Err(error),
            }
        }
        backend.engines.extend(built_in.into_iter().map(BuiltIn::engine));
        Ok(backend)
    }

    /// Whether a GPU is asked for by name.
    pub(crate) fn wants_gpu(&self) -> bool {
        matches!(self.provider, ProviderName::Cuda | ProviderName::TensorRt)
    }

    /// The options as a session takes them.
    pub(crate) fn session_options(&self, batch: usize) -> SessionOptions {
        let provider = match self.provider.named() {
            None => ProviderChoice::Auto,
            Some(provider) if self.allow_fallback => ProviderChoice::Prefer(provider),
            Some(provider) => ProviderChoice::Only(provider),
        };
        SessionOptions {
            batch,
            threads: self.threads,
            bfloat16_products: self.device.bf16_products,
            provider,
            provider_options: self.device.provider_options(),
            ..SessionOptions::default()
        }
    }

    /// The options for a model that was tuned on this machine.
    pub(crate) fn tuned_options(&self, batch: usize, tuning: Option<&Tuning>) -> SessionOptions {
        let mut options = self.session_options(batch);
        if let (0, Some(tuning)) = (options.threads, tuning) {
            let Trial { threads, spinning, .. } = tuning.of_batch(batch);
            options = SessionOptions { threads, spinning, ..options };
        }
        options
    }
}

impl Backend {
    /// What `trm bench --tune` found best for a bundle on the preferred engine.
    pub(crate) fn tuning(&self, bundle: &ModelBundle) -> Option<Tuning> {
        let (cache, engine) = (TuningCache::of_user()?, self.engines.first()?.name());
        let providers = self.provider.named().map_or(ExecutionProvider::ALL.to_vec(), |provider| vec![provider]);
        let tuning = providers.iter().find_map(|provider| cache.recall(bundle, engine, provider.as_str()))?;
        if self.verbose {
            let Tuning { single, stream } = tuning;
            errln!(
                "{} is tuned for {engine}: {} for one puzzle, {} for a stream in {} rows ({})",
                bundle.label(),
                single.threads_in_words(),
                stream.threads_in_words(),
                stream.batch,
                cache.folder().display()
            );
        }
        Some(tuning)
    }

    /// Loads a bundle's step graph on the first engine that takes it.
    pub(crate) fn load_step(&self, bundle: &ModelBundle, options: &SessionOptions) -> Result<Loaded<dyn StepSession>> {
        self.load_step_graph(&GraphSource::from_bundle(bundle, GraphKind::Step)?, options)
    }

    /// Loads a step graph on the first engine that takes it.
    pub(crate) fn load_step_graph(
        &self,
        graph: &GraphSource<'_>,
        options: &SessionOptions,
    ) -> Result<Loaded<dyn StepSession>> {
        let mut loaded = self.first_that_works(
            graph,
            |engine| engine.load_step_graph(graph, options),
            |session| session.info().clone(),
        )?;
        loaded.session = deadline::watch(graph.name, loaded.session);
        Ok(loaded)
    }

    /// Loads a solve or unrolled graph on the first engine that takes it.
    pub(crate) fn load_solve_graph(
        &self,
        graph: &GraphSource<'_>,
        options: &SessionOptions,
    ) -> Result<Loaded<dyn SolveSession>> {
        self.first_that_works(graph, |engine| engine.load_solve_graph(graph, options), |session| session.info().clone())
    }

    fn first_that_works<S: ?Sized>(
        &self,
        graph: &GraphSource<'_>,
        load: impl Fn(&dyn Engine) -> Result<Box<S>>,
        info: impl Fn(&S) -> SessionInfo,
    ) -> Result<Loaded<S>> {
        let mut fallbacks: Vec<String> = self.passed_over.iter().cloned().collect();
        let last = self.engines.len().saturating_sub(1);
        for (position, engine) in self.engines.iter().enumerate() {
            let loaded = {
                let _call = deadline::Call::begin(|| format!("{}: {} did not load it", graph.name, engine.name()));
                load(engine.as_ref())
            };
            match loaded {
                Ok(session) => {
                    let info = info(&session);
                    fallbacks.extend(info.fallbacks.iter().cloned());
                    self.explain(&info, &fallbacks);
                    return Ok(Loaded { session, fallbacks });
                }
                // What the bundle or the options have wrong, the next engine cannot do better.
                Err(error) if position == last || !may_work_elsewhere(&error) => return Err(error),
                Err(error) => fallbacks.push(reason(engine.name(), &error)),
            }
        }
        unreachable!("a backend has at least one engine")
    }

    fn explain(&self, info: &SessionInfo, fallbacks: &[String]) {
        if self.verbose {
            errln!(
                "{} {} ({}), {} graph, {} rows, {} threads, loaded in {:.1} ms",
                info.engine,
                info.engine_version,
                info.provider,
                info.graph,
                info.batch,
                info.threads,
                info.load_time.as_secs_f64() * 1e3
            );
            for fallback in fallbacks {
                errln!("  not {fallback}");
            }
        }
    }

    fn pass_over(&mut self, engine: &str, error: &SolverError) {
        let reason = reason(engine, error);
        // A library that is there and does not work is a surprise worth a line; none at all is not.
        if !is_plain_absence(error) {
            errln!("warning: not using {reason}");
        }
        self.passed_over = Some(reason);
    }
}

/// True if there is no library of ONNX Runtime, nor anything that would be expected to be one.
pub(crate) fn is_plain_absence(error: &SolverError) -> bool {
    matches!(error, SolverError::LibraryNotFound { refused } if !refused.iter().any(Candidate::is_surprising))
}

fn may_work_elsewhere(error: &SolverError) -> bool {
    error.is_engine_failure() || matches!(error, SolverError::Unsupported { .. })
}

/// An engine with why it does not work, in one line without hints.
fn reason(engine: &str, error: &SolverError) -> String {
    let mut text = match error {
        // Where it was looked for is for those who ask for this engine.
        error if is_plain_absence(error) => "no ONNX Runtime library found".to_owned(),
        _ => error.to_string(),
    };
    if let Some(hint) = text.find("\nhint: ") {
        text.truncate(hint);
    }
    if let Some(cause) = std::error::Error::source(error) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{engine}: {text}")
}
