//! The options that choose an engine, and the engine they lead to.

use std::path::PathBuf;

use clap::ValueEnum;
use trm_engine::ort::{Candidate, Device, ExecutionProvider, OrtEngine, ProviderChoice, ProviderOptions};
use trm_engine::tuning::{Trial, Tuning, TuningCache};
use trm_engine::{
    Engine, EngineEntry, EngineError, GraphSource, MAX_THREADS, Result, SessionInfo, SessionOptions, SolveSession,
    StepSession, registry,
};
use trm_models::{GraphKind, ModelBundle};

pub use crate::choice::BackendChoice;
use crate::{deadline, errln};

/// Which execution provider ONNX Runtime uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProviderName {
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
    #[must_use]
    pub fn named(self) -> Option<ExecutionProvider> {
        match self {
            Self::Auto => None,
            Self::Cpu => Some(ExecutionProvider::Cpu),
            Self::Cuda => Some(ExecutionProvider::Cuda),
            Self::TensorRt => Some(ExecutionProvider::TensorRt),
        }
    }

    /// True if it names a GPU.
    fn wants_gpu(self) -> bool {
        self.named().is_some_and(|provider| provider.device() == Device::Gpu)
    }
}

/// Parses a number of threads, of which a machine can have so many: each takes memory before it has done anything.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 0..=MAX_THREADS) => Ok(threads),
        _ => Err(format!("expected 0 to {MAX_THREADS}; 0 leaves the choice to the program")),
    }
}

/// Engine and device.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Engine")]
pub struct BackendArgs {
    /// Engine that runs the model
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub backend: BackendChoice,
    /// Execution provider of ONNX Runtime
    #[arg(long, value_name = "PROVIDER", default_value = "auto")]
    pub provider: ProviderName,
    /// Threads within an operator; 0 takes what `trm bench --tune` found best, or one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    pub threads: usize,
    /// Library and device
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Use the next best provider or engine where the one asked for does not work
    #[arg(long)]
    pub allow_fallback: bool,
}

/// ONNX Runtime's library, and the device that it uses.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Engine")]
pub struct DeviceArgs {
    /// Number of the GPU
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub device_id: i32,
    /// ONNX Runtime's shared library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    pub ort_lib: Option<PathBuf>,
    /// Folder for TensorRT's compiled engines and timings
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Most GPU memory that ONNX Runtime may take, in MiB
    #[arg(long, value_name = "MIB")]
    pub gpu_mem_limit: Option<usize>,
    /// Let TensorRT compute in half precision
    #[arg(long)]
    pub fp16: bool,
    /// Record a step as a CUDA graph and replay it
    #[arg(long)]
    pub cuda_graph: bool,
    /// Let ONNX Runtime's CPU multiply in bfloat16, on ARM processors that can; others compute as ever
    #[arg(long)]
    pub bf16_products: bool,
}

impl DeviceArgs {
    /// The options as execution providers take them.
    #[must_use]
    pub fn provider_options(&self) -> ProviderOptions {
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
pub struct EngineArgs {
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
    ///
    /// # Errors
    ///
    /// Those of [`OrtEngine::load`].
    pub fn open(&self) -> Result<OrtEngine> {
        OrtEngine::load(self.ort_lib.as_deref())
    }

    /// The options as a session takes them.
    #[must_use]
    pub fn session_options(&self) -> SessionOptions {
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
pub struct Backend {
    engines: Vec<Box<dyn Engine>>,
    /// Reason why an engine that would have been preferred is not among them.
    passed_over: Option<String>,
    verbose: bool,
    provider: ProviderName,
}

/// A loaded session with the reasons why it is not on a more preferred engine or provider.
pub struct Loaded<S: ?Sized> {
    /// The session.
    pub session: Box<S>,
    /// Reasons why it does not run on a more preferred engine or provider, one line each.
    pub fallbacks: Vec<String>,
}

/// The engines of a choice, the preferred one first. A library that is named, or a provider that only ONNX Runtime has,
/// leaves no engine that is built in.
///
/// # Errors
/// [`EngineError::ProcessorOnly`] for a GPU on an engine without; [`EngineError::NotBuilt`] for an engine that is not there.
pub fn wanted_engines(
    backend: BackendChoice,
    provider: ProviderName,
    device: &DeviceArgs,
) -> Result<Vec<&'static EngineEntry>> {
    let gpu = provider.wants_gpu();
    match backend {
        BackendChoice::Engine(engine) if gpu && !engine.has_gpu => {
            Err(EngineError::ProcessorOnly { engine: engine.name })
        }
        BackendChoice::Engine(engine) => Ok(vec![engine]),
        BackendChoice::Absent(engine) => Err(EngineError::NotBuilt { engine }),
        BackendChoice::Auto => {
            let library_only = gpu || device.ort_lib.is_some();
            Ok(registry::ALL.iter().filter(|engine| !(library_only && engine.built_in)).collect())
        }
    }
}

impl BackendArgs {
    /// Opens the engines that were asked for. With `auto` they are ONNX Runtime if its library works, and those that are
    /// built in: the first one that takes the graph runs it.
    ///
    /// # Errors
    /// When none can be opened.
    pub fn open(&self, verbose: bool) -> Result<Backend> {
        let mut wanted = wanted_engines(self.backend, self.provider, &self.device)?;
        if self.allow_fallback {
            wanted.extend(registry::built_in().filter(|other| !wanted.contains(other)).collect::<Vec<_>>());
        }
        let mut backend = Backend { engines: Vec::new(), passed_over: None, verbose, provider: self.provider };
        let last = wanted.len().saturating_sub(1);
        for (position, entry) in wanted.into_iter().enumerate() {
            match (entry.open)(self.device.ort_lib.as_deref()) {
                Ok(engine) => {
                    if let (true, Some(remark)) = (verbose, engine.remark()) {
                        errln!("{remark}");
                    }
                    backend.engines.push(engine);
                }
                Err(error) if position < last => backend.pass_over(entry.name, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(backend)
    }

    /// The engine for graphs that are no bundle's, and ONNX Runtime's library where it is that: the first that can be opened.
    ///
    /// # Errors
    /// The last one's, if none can.
    pub fn first(&self) -> Result<(&'static EngineEntry, Option<OrtEngine>)> {
        let wanted = wanted_engines(self.backend, self.provider, &self.device)?;
        let mut failed = EngineError::NotBuilt { engine: "ort" };
        for entry in wanted {
            if entry.built_in {
                return Ok((entry, None));
            }
            match OrtEngine::load(self.device.ort_lib.as_deref()) {
                Ok(engine) => return Ok((entry, Some(engine))),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Returns true if a GPU is asked for by name.
    #[must_use]
    pub fn wants_gpu(&self) -> bool {
        self.provider.wants_gpu()
    }

    /// The options as a session takes them.
    #[must_use]
    pub fn session_options(&self, batch: usize) -> SessionOptions {
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
    #[must_use]
    pub fn tuned_options(&self, batch: usize, tuning: Option<&Tuning>) -> SessionOptions {
        let mut options = self.session_options(batch);
        if let (0, Some(tuning)) = (options.threads, tuning) {
            let Trial { threads, spinning, .. } = tuning.of_batch(batch);
            options = SessionOptions { threads, spinning, ..options };
        }
        options
    }
}

impl Backend {
    /// Recalls what `trm bench --tune` found best for a bundle on the preferred engine.
    #[must_use]
    pub fn tuning(&self, bundle: &ModelBundle) -> Option<Tuning> {
        let (cache, engine) = (TuningCache::of_user()?, self.engines.first()?.name());
        let providers = self.provider.named().map_or(ExecutionProvider::ALL.to_vec(), |provider| vec![provider]);
        let tuning = providers.iter().find_map(|&provider| cache.recall(bundle, engine, provider))?;
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
    ///
    /// # Errors
    ///
    /// Those of [`GraphSource::from_bundle`] and [`Backend::load_step_graph`].
    pub fn load_step(&self, bundle: &ModelBundle, options: &SessionOptions) -> Result<Loaded<dyn StepSession>> {
        self.load_step_graph(&GraphSource::from_bundle(bundle, GraphKind::Step)?, options)
    }

    /// Loads a step graph on the first engine that takes it.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::load_step_graph`] on the last engine, or on the first that finds fault with the graph or
    /// options.
    pub fn load_step_graph(
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
    ///
    /// # Errors
    ///
    /// Those of [`Engine::load_solve_graph`], as [`Backend::load_step_graph`].
    pub fn load_solve_graph(
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

    fn pass_over(&mut self, engine: &str, error: &EngineError) {
        let reason = reason(engine, error);
        // A library that is there and does not work is a surprise worth a line; none at all is not.
        if !is_plain_absence(error) {
            errln!("warning: not using {reason}");
        }
        self.passed_over = Some(reason);
    }
}

/// True if there is no library of ONNX Runtime, nor anything that would be expected to be one.
pub fn is_plain_absence(error: &EngineError) -> bool {
    matches!(error, EngineError::LibraryNotFound { refused } if !refused.iter().any(Candidate::is_surprising))
}

fn may_work_elsewhere(error: &EngineError) -> bool {
    error.is_engine_failure() || matches!(error, EngineError::Unsupported { .. })
}

/// An engine with why it does not work, in one line.
fn reason(engine: &str, error: &EngineError) -> String {
    let mut text = match error {
        // Where it was looked for is for those who ask for this engine.
        error if is_plain_absence(error) => "no ONNX Runtime library found".to_owned(),
        _ => error.to_string(),
    };
    if let Some(cause) = std::error::Error::source(error) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{engine}: {text}")
}
