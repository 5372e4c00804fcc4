//! Sessions of ONNX Runtime.

use std::path::Path;
use std::time::Instant;

use ::ort::logging::LogLevel;
use ::ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ::ort::session::builder::GraphOptimizationLevel;
use ::ort::session::{HasSelectedOutputs, IoBinding, OutputSelector, RunOptions, Session};
use ::ort::session::{NoSelectedOutputs, SessionInputValue};
use ::ort::value::{Outlet, Tensor, TensorElementType, ValueType};
use trm_models::{ElementType, FoundTensor, GraphKind, TrmConfig};

use super::provider::{ExecutionProvider, unsuited};
use super::tensors::{DeviceCarry, Exchanged};
use super::{NAME, OrtEngine, failed};
use crate::engine::{
    GraphSource, SessionInfo, SessionOptions, SolveInput, SolveOutput, SolveSession, StepSession, checks,
};
use crate::{ActOutput, ActStep, Carry, Result, SolverError};

/// A graph loaded on the first provider that takes it.
pub(super) struct Committed {
    session: Session,
    provider: ExecutionProvider,
    info: SessionInfo,
}

/// Loads a graph on the first of the chosen providers that works, recording why each one before it did not.
/// Registering a provider and committing the session can both fail; either counts.
pub(super) fn commit(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Committed> {
    checks::check_options(options)?;
    let started = Instant::now();
    let candidates = options.provider.candidates();
    let mut fallbacks = Vec::new();
    for (i, &provider) in candidates.iter().enumerate() {
        let attempt = match unsuited(provider, graph.kind) {
            Some(reason) => Err(SolverError::Provider { provider, reason: reason.to_owned() }),
            None => try_provider(engine, graph, options, provider),
        };
        match attempt {
            Ok(session) => {
                let describe = |outlets: &[Outlet]| outlets.iter().map(found_tensor).collect::<Vec<_>>();
                checks::check_interface(
                    graph,
                    options.batch,
                    &describe(session.inputs()),
                    &describe(session.outputs()),
                )?;
                let info = SessionInfo {
                    engine: NAME,
                    engine_version: engine.version.clone(),
                    library: Some(engine.library.clone()),
                    provider: provider.as_str(),
                    fallbacks,
                    graph: graph.kind,
                    batch: options.batch,
                    threads: options.resolved_threads(),
                    load_time: started.elapsed(),
                };
                return Ok(Committed { session, provider, info });
            }
            Err(error) if i + 1 == candidates.len() => return Err(error),
            Err(SolverError::Provider { provider, reason }) => fallbacks.push(format!("{provider}: {reason}")),
            Err(error) => return Err(error),
        }
    }
    unreachable!("a provider choice names at least one provider")
}

fn try_provider(
    engine: &OrtEngine,
    graph: &GraphSource<'_>,
    options: &SessionOptions,
    provider: ExecutionProvider,
) -> Result<Session> {
    let name = format!("the {} graph of {}", graph.kind, graph.name);
    build(engine, &name, &graph.bytes, graph.folder.as_deref(), options, provider)
}

/// ONNX Runtime 1.19 crashes when it turns the gradient of a division, `(1 / d) g`, into `g / d`.
pub(crate) const CRASHING_OPTIMIZER: &str = "DivMulFusion";

/// Loads any graph on one provider; `name` is what errors call it.
fn build(
    engine: &OrtEngine,
    name: &str,
    bytes: &[u8],
    folder: Option<&Path>,
    options: &SessionOptions,
    provider: ExecutionProvider,
) -> Result<Session> {
    let dispatches = provider.configure(&options.provider_options)?;
    let build = || -> ::ort::Result<Session> {
        let mut builder = Session::builder(&engine.environment)?
            // What goes wrong is in the errors; the log would only repeat it.
            .with_log_level(LogLevel::Fatal)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_disabled_optimizers(CRASHING_OPTIMIZER)?
            .with_intra_threads(options.resolved_threads())?
            .with_intra_op_spinning(options.spinning)?
            .with_dimension_override("batch", options.batch as i64)?
            .with_execution_providers(dispatches)?;
        if let Some(folder) = folder.and_then(Path::to_str) {
            builder = builder.with_config_entry("session.model_external_initializers_file_folder_path", folder)?;
        }
        builder.commit_from_memory(bytes)
    };
    build().map_err(|error| match provider {
        // The CPU takes any valid graph: what it refuses is the file's fault, not the provider's.
        ExecutionProvider::Cpu => failed(format!("load {name}"), error),
        _ => SolverError::Provider { provider, reason: one_line(&error.to_string()) },
    })
}

/// Loads a graph that is none of a bundle's on the first of the chosen providers that works. TensorRT is passed over:
/// compiling a training graph takes it longer than training.
pub(crate) fn load_plain(
    engine: &OrtEngine,
    name: &str,
    bytes: &[u8],
    options: &SessionOptions,
) -> Result<(Session, ExecutionProvider)> {
    let mut failure = SolverError::Provider {
        provider: ExecutionProvider::TensorRt,
        reason: "it does not train; cuda and cpu do".to_owned(),
    };
    let trains = |provider: &ExecutionProvider| *provider != ExecutionProvider::TensorRt;
    for provider in options.provider.candidates().into_iter().filter(trains) {
        match build(engine, name, bytes, None, options, provider) {
            Ok(session) => return Ok((session, provider)),
            Err(error @ SolverError::Provider { .. }) => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn found_tensor(outlet: &Outlet) -> FoundTensor {
    let (element, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let element = match ty {
                TensorElementType::Float32 => Some(ElementType::F32),
                TensorElementType::Int32 => Some(ElementType::I32),
                TensorElementType::Int64 => Some(ElementType::I64),
                TensorElementType::Bool => Some(ElementType::Bool),
                _ => None,
            };
            (element, shape.iter().map(|&size| usize::try_from(size).ok()).collect())
        }
        _ => (None, Vec::new()),
    };
    FoundTensor { name: outlet.name().to_owned(), element, shape }
}

/// A step graph. The carry lies in two buffers on the session's device: a step reads one and writes the other.
pub(super) struct OrtStepSession {
    info: SessionInfo,
    config: TrmConfig,
    session: Session,
    binding: IoBinding,
    tokens: Exchanged<i32>,
    puzzle_ids: Exchanged<i32>,
    reset: Exchanged<bool>,
    answer: Exchanged<i32>,
    q_halt: Exchanged<f32>,
    q_continue: Exchanged<f32>,
    logits: Option<Exchanged<f32>>,
    /// The carry after the last step, and the buffer that the next step writes.
    carries: [DeviceCarry; 2],
    /// Index of the current carry.
    current: usize,
    /// Rows that hold a carry.
    started: Vec<bool>,
    /// Run options for reading either buffer. A CUDA graph is recorded for fixed addresses: one graph for each.
    run_options: [RunOptions<NoSelectedOutputs>; 2],
}

impl OrtStepSession {
    pub(super) fn load(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_kind(graph.kind, true)?;
        let started = Instant::now();
        let Committed { session, provider, mut info } = commit(engine, graph, options)?;
        let mut this = Self::bind(session, provider, info.clone(), graph.config, options)
            .map_err(|error| failed(format!("allocate the tensors of {}", graph.name), error))?;
        info.load_time = started.elapsed();
        this.info = info;
        Ok(this)
    }

    fn bind(
        session: Session,
        provider: ExecutionProvider,
        info: SessionInfo,
        config: &TrmConfig,
        options: &SessionOptions,
    ) -> ::ort::Result<Self> {
        let batch = options.batch;
        let TrmConfig { seq_len, vocab_size, hidden_size, .. } = *config;
        let allocator = match provider {
            ExecutionProvider::Cpu => Allocator::default(),
            ExecutionProvider::Cuda | ExecutionProvider::TensorRt => {
                let device = options.provider_options.device_id;
                let memory =
                    MemoryInfo::new(AllocationDevice::CUDA, device, AllocatorType::Device, MemoryType::Default)?;
                Allocator::new(&session, memory)?
            }
        };
        let cuda_graph = provider != ExecutionProvider::Cpu && options.provider_options.cuda_graph;
        let on_device = cuda_graph.then_some(&allocator);
        let run_options = |graph_id: &str| -> ::ort::Result<_> {
            let mut run_options = RunOptions::new()?;
            if cuda_graph {
                run_options.set("gpu_graph_id", graph_id)?;
            }
            Ok(run_options)
        };

        let mut binding = session.create_binding()?;
        let mut answer = Exchanged::new("answer", &[batch, seq_len], on_device)?;
        let mut q_halt = Exchanged::new("q_halt", &[batch], on_device)?;
        let mut q_continue = Exchanged::new("q_continue", &[batch], on_device)?;
        answer.bind_output(&mut binding)?;
        q_halt.bind_output(&mut binding)?;
        q_continue.bind_output(&mut binding)?;
        let logits = if options.want_logits {
            let mut logits = Exchanged::new("logits", &[batch, seq_len, vocab_size], on_device)?;
            logits.bind_output(&mut binding)?;
            Some(logits)
        } else {
            None
        };
        let carry_shape = [batch, config.total_len(), hidden_size];
        Ok(Self {
            info,
            config: config.clone(),
            tokens: Exchanged::new("tokens", &[batch, seq_len], on_device)?,
            puzzle_ids: Exchanged::new("puzzle_ids", &[batch], on_device)?,
            reset: Exchanged::new("reset", &[batch], on_device)?,
            answer,
            q_halt,
            q_continue,
            logits,
            carries: [DeviceCarry::new(&allocator, carry_shape)?, DeviceCarry::new(&allocator, carry_shape)?],
            current: 0,
            started: vec![false; batch],
            run_options: [run_options("1")?, run_options("2")?],
            session,
            binding,
        })
    }

    fn run(&mut self, input: &ActStep) -> ::ort::Result<ActOutput> {
        let binding = &mut self.binding;
        self.tokens.feed(binding, &input.tokens)?;
        self.puzzle_ids.feed(binding, &input.puzzle_ids)?;
        self.reset.feed(binding, &input.reset)?;
        self.carries[self.current].bind_inputs(binding)?;
        self.carries[1 - self.current].bind_outputs(binding)?;
        self.session.run_binding_with_options(binding, &self.run_options[self.current])?;
        Ok(ActOutput {
            answer: self.answer.fetch()?,
            q_halt: self.q_halt.fetch()?,
            q_continue: self.q_continue.fetch()?,
            logits: self.logits.as_ref().map(Exchanged::fetch).transpose()?,
        })
    }
}

impl StepSession for OrtStepSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        checks::check_step(&self.config, &self.started, input)?;
        let output = self.run(input).map_err(|error| failed("run the step graph", error))?;
        checks::check_finite(GraphKind::Step, "q_halt", &output.q_halt)?;
        self.current = 1 - self.current;
        self.started.fill(true);
        Ok(output)
    }

    fn carry(&self) -> Result<Carry> {
        self.carries[self.current].read().map_err(|error| failed("read the carry", error))
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        checks::check_carry(&self.config, self.info.batch, carry)?;
        self.carries[self.current].write(carry).map_err(|error| failed("write the carry", error))?;
        self.started.fill(true);
        Ok(())
    }
}

/// A solve or unrolled graph.
pub(super) struct OrtSolveSession {
    info: SessionInfo,
    config: TrmConfig,
    session: Session,
    run_options: RunOptions<HasSelectedOutputs>,
}

impl OrtSolveSession {
    pub(super) fn load(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_kind(graph.kind, false)?;
        let Committed { session, info, .. } = commit(engine, graph, options)?;
        let outputs = OutputSelector::default();
        let outputs = if options.want_logits { outputs } else { outputs.without("logits") };
        let run_options = RunOptions::new().map_err(|error| failed("create run options", error))?.with_outputs(outputs);
        Ok(Self { info, config: graph.config.clone(), session, run_options })
    }

    fn run(&mut self, input: &SolveInput, max_steps: Option<i64>) -> ::ort::Result<SolveOutput> {
        let batch = self.info.batch;
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = vec![
            ("tokens", Tensor::from_array(([batch, self.config.seq_len], input.tokens.clone()))?.into()),
            ("puzzle_ids", Tensor::from_array(([batch], input.puzzle_ids.clone()))?.into()),
            ("halt_threshold", scalar(input.halt_threshold)?.into()),
        ];
        if let Some(max_steps) = max_steps {
            inputs.push(("max_steps", scalar(max_steps)?.into()));
        }
        let outputs = self.session.run_with_options(inputs, &self.run_options)?;
        let floats = |name: &str| -> ::ort::Result<Vec<f32>> { Ok(outputs[name].try_extract_tensor()?.1.to_vec()) };
        let integers = |name: &str| -> ::ort::Result<Vec<i32>> { Ok(outputs[name].try_extract_tensor()?.1.to_vec()) };
        Ok(SolveOutput {
            answer: integers("answer")?,
            q_halt: floats("q_halt")?,
            q_continue: floats("q_continue")?,
            steps: integers("steps")?,
            logits: outputs.contains_key("logits").then(|| floats("logits")).transpose()?,
        })
    }
}

fn scalar<T>(value: T) -> ::ort::Result<Tensor<T>>
where
    T: ::ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    Tensor::from_array((Vec::<i64>::new(), vec![value]))
}

impl SolveSession for OrtSolveSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput> {
        let kind = self.info.graph;
        let max_steps = checks::check_solve(&self.config, kind, self.info.batch, input)?;
        let output = self.run(input, max_steps).map_err(|error| failed(format!("run the {kind} graph"), error))?;
        checks::check_finite(kind, "q_halt", &output.q_halt)?;
        Ok(output)
    }
}
