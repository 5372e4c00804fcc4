//! Sessions of ONNX Runtime.

use std::path::Path;
use std::time::Instant;

use ::ort::logging::LogLevel;
use ::ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ::ort::session::builder::GraphOptimizationLevel;
use ::ort::session::{HasSelectedOutputs, IoBinding, OutputSelector, RunOptions, Session};
use ::ort::session::{NoSelectedOutputs, SessionInputValue};
use ::ort::value::{Outlet, PrimitiveTensorElementType, Tensor, TensorElementType, ValueType};
use rayon::prelude::*;
use trm_models::{ElementType, FoundTensor, GraphKind, TrmConfig};

use super::provider::{ExecutionProvider, unsuited};
use super::tensors::{DeviceCarry, Exchanged};
use super::{NAME, OrtEngine, failed};
use crate::engine::{
    GraphSource, SessionInfo, SessionOptions, SolveInput, SolveOutput, SolveSession, StepSession, checks,
};
use crate::{ActOutput, ActStep, Carry, Result, SolverError};

/// A graph loaded on the first provider that takes it: as many sessions as run side by side, each for the rows of a lane.
pub(super) struct Committed {
    sessions: Vec<Session>,
    lane_rows: usize,
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
            Ok((sessions, lane_rows)) => {
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
                return Ok(Committed { sessions, lane_rows, provider, info });
            }
            Err(error) if i + 1 == candidates.len() => return Err(error),
            Err(SolverError::Provider { provider, reason }) => fallbacks.push(format!("{provider}: {reason}")),
            Err(error) => return Err(error),
        }
    }
    unreachable!("a provider choice names at least one provider")
}

/// The sessions, and the rows of each lane.
///
/// On the CPU every row of a batch is a lane of its own, and the threads are divided among sessions: no thread waits for
/// another within an operator, nothing is computed for a row without a puzzle, and a row's numbers are those it has alone
/// (measured in benches/README.md). A GPU wants the whole batch at once, unless its rows would depend on each other.
fn try_provider(
    engine: &OrtEngine,
    graph: &GraphSource<'_>,
    options: &SessionOptions,
    provider: ExecutionProvider,
) -> Result<(Vec<Session>, usize)> {
    let on_cpu = provider == ExecutionProvider::Cpu;
    let row_by_row = options.batch > 1 && (on_cpu || !graph.batch_invariant);
    let threads = options.resolved_threads();
    let sessions = if row_by_row && on_cpu { threads.min(options.batch) } else { 1 };
    let lane_rows = if row_by_row { 1 } else { options.batch };
    let name = format!("the {} graph of {}", graph.kind, graph.name);
    let load = |lane_rows: usize, threads: usize| {
        let options = SessionOptions { batch: lane_rows, threads, ..options.clone() };
        build(engine, &name, &graph.bytes, graph.folder.as_deref(), &options, provider)
    };
    let first = load(lane_rows, (threads / sessions).max(1))?;
    if row_by_row && fixed_batch(&first).is_some_and(|fixed| fixed != 1) {
        // Made for one batch only: it cannot be taken apart.
        let whole = load(options.batch, threads)?;
        check_interface(graph, options.batch, &whole)?;
        return Ok((vec![whole], options.batch));
    }
    check_interface(graph, lane_rows, &first)?;
    let others = (1..sessions).map(|_| load(lane_rows, (threads / sessions).max(1)));
    Ok((std::iter::once(Ok(first)).chain(others).collect::<Result<_>>()?, lane_rows))
}

fn check_interface(graph: &GraphSource<'_>, batch: usize, session: &Session) -> Result<()> {
    let describe = |outlets: &[Outlet]| outlets.iter().map(found_tensor).collect::<Vec<_>>();
    checks::check_interface(graph, batch, &describe(session.inputs()), &describe(session.outputs()))
}

/// The batch that a graph is made for, where it is for one only.
fn fixed_batch(session: &Session) -> Option<usize> {
    let tokens = session.inputs().iter().map(found_tensor).find(|input| input.name == "tokens")?;
    tokens.shape.first().copied().flatten()
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

/// A step graph. The rows of a batch are divided into lanes, and the lanes among the sessions that run side by side.
pub(super) struct OrtStepSession {
    info: SessionInfo,
    config: TrmConfig,
    lane_rows: usize,
    workers: Vec<Worker>,
    /// Rows that hold a carry.
    started: Vec<bool>,
}

/// A session with the lanes that it runs, one after the other.
struct Worker {
    session: Session,
    lanes: Vec<Lane>,
}

/// Rows that run together, from `first` on. Their carry lies in two buffers on the session's device: a step reads one and
/// writes the other.
struct Lane {
    first: usize,
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
    /// Run options for reading either buffer. A CUDA graph is recorded for fixed addresses: one graph for each.
    run_options: [RunOptions<NoSelectedOutputs>; 2],
}

impl OrtStepSession {
    pub(super) fn load(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_kind(graph.kind, true)?;
        let started = Instant::now();
        let Committed { sessions, lane_rows, provider, mut info } = commit(engine, graph, options)?;
        let options = SessionOptions { batch: lane_rows, ..options.clone() };
        let (lanes, every) = (info.batch / lane_rows, sessions.len());
        // Dealt out like cards: a stream that has run short leaves the last rows empty.
        let workers: ::ort::Result<_> = sessions
            .into_iter()
            .enumerate()
            .map(|(worker, session)| {
                let own = (worker..lanes).step_by(every);
                let bind = |lane| Lane::bind(&session, provider, lane * lane_rows, graph.config, &options);
                Ok(Worker { lanes: own.map(bind).collect::<::ort::Result<_>>()?, session })
            })
            .collect();
        let workers = workers.map_err(|error| failed(format!("allocate the tensors of {}", graph.name), error))?;
        info.load_time = started.elapsed();
        Ok(Self { config: graph.config.clone(), lane_rows, workers, started: vec![false; info.batch], info })
    }

    /// All lanes, in the order of their rows.
    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        let count = self.workers.len();
        (0..self.info.batch / self.lane_rows).map(move |lane| &self.workers[lane % count].lanes[lane / count])
    }
}

impl Lane {
    fn bind(
        session: &Session,
        provider: ExecutionProvider,
        first: usize,
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
                Allocator::new(session, memory)?
            }
        };
        let cuda_graph = provider != ExecutionProvider::Cpu && options.provider_options.cuda_graph;
        let on_device = cuda_graph.then_some(&allocator);
        let run_options = |buffer: usize| -> ::ort::Result<_> {
            let mut run_options = RunOptions::new()?;
            if cuda_graph {
                run_options.set("gpu_graph_id", (2 * first + buffer + 1).to_string())?;
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
            first,
            tokens: Exchanged::new("tokens", &[batch, seq_len], on_device)?,
            puzzle_ids: Exchanged::new("puzzle_ids", &[batch], on_device)?,
            reset: Exchanged::new("reset", &[batch], on_device)?,
            answer,
            q_halt,
            q_continue,
            logits,
            carries: [DeviceCarry::new(&allocator, carry_shape)?, DeviceCarry::new(&allocator, carry_shape)?],
            current: 0,
            run_options: [run_options(0)?, run_options(1)?],
            binding,
        })
    }

    fn run(&mut self, session: &mut Session, config: &TrmConfig, rows: usize, input: &ActStep) -> ::ort::Result<()> {
        let range = self.first..self.first + rows;
        let binding = &mut self.binding;
        self.tokens.feed(binding, &input.tokens[range.start * config.seq_len..range.end * config.seq_len])?;
        self.puzzle_ids.feed(binding, &input.puzzle_ids[range.clone()])?;
        self.reset.feed(binding, &input.reset[range])?;
        self.carries[self.current].bind_inputs(binding)?;
        self.carries[1 - self.current].bind_outputs(binding)?;
        session.run_binding_with_options(binding, &self.run_options[self.current])?;
        Ok(())
    }

    /// Adds the outputs of the last run, or zeros for rows that it left out, to those of the lanes before.
    fn collect(&self, ran: bool, output: &mut ActOutput) -> ::ort::Result<()> {
        fn extend<T: PrimitiveTensorElementType + Copy + Default + std::fmt::Debug>(
            all: &mut Vec<T>,
            bound: &Exchanged<T>,
            ran: bool,
        ) -> ::ort::Result<()> {
            let values = bound.fetch()?;
            if ran {
                all.extend(values)
            } else {
                all.resize(all.len() + values.len(), T::default())
            }
            Ok(())
        }
        extend(&mut output.answer, &self.answer, ran)?;
        extend(&mut output.q_halt, &self.q_halt, ran)?;
        extend(&mut output.q_continue, &self.q_continue, ran)?;
        match (&mut output.logits, &self.logits) {
            (Some(all), Some(logits)) => extend(all, logits, ran),
            _ => Ok(()),
        }
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
        let (rows, config) = (self.lane_rows, &self.config);
        let busy = |lane: &Lane| input.idle[lane.first..lane.first + rows].contains(&false);
        let run = |Worker { session, lanes }: &mut Worker| {
            let mut lanes = lanes.iter_mut().filter(|lane| busy(lane));
            lanes.try_for_each(|lane| lane.run(session, config, rows, input))
        };
        let ran = match self.workers.as_mut_slice() {
            [only] => run(only),
            workers => workers.par_iter_mut().try_for_each(run),
        };
        let mut output = ActOutput {
            answer: Vec::new(),
            q_halt: Vec::new(),
            q_continue: Vec::new(),
            logits: self.lanes().next().and_then(|lane| lane.logits.as_ref()).map(|_| Vec::new()),
        };
        ran.and_then(|()| self.lanes().try_for_each(|lane| lane.collect(busy(lane), &mut output)))
            .map_err(|error| failed("run the step graph", error))?;
        checks::check_finite(GraphKind::Step, "q_halt", &output.q_halt)?;
        for lane in self.workers.iter_mut().flat_map(|worker| &mut worker.lanes).filter(|lane| busy(lane)) {
            lane.current = 1 - lane.current;
        }
        self.started.iter_mut().zip(&input.idle).for_each(|(started, idle)| *started = !idle);
        Ok(output)
    }

    fn carry(&self) -> Result<Carry> {
        let mut all = Carry { z_h: Vec::new(), z_l: Vec::new() };
        for lane in self.lanes() {
            let carry = lane.carries[lane.current].read().map_err(|error| failed("read the carry", error))?;
            all.z_h.extend(carry.z_h);
            all.z_l.extend(carry.z_l);
        }
        Ok(all)
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        checks::check_carry(&self.config, self.info.batch, carry)?;
        let row = self.config.total_len() * self.config.hidden_size;
        for lane in self.workers.iter_mut().flat_map(|worker| &mut worker.lanes) {
            let range = lane.first * row..(lane.first + self.lane_rows) * row;
            let part = Carry { z_h: carry.z_h[range.clone()].to_vec(), z_l: carry.z_l[range].to_vec() };
            lane.carries[lane.current].write(&part).map_err(|error| failed("write the carry", error))?;
        }
        self.started.fill(true);
        Ok(())
    }
}

/// A solve or unrolled graph, its rows divided as those of a step graph.
pub(super) struct OrtSolveSession {
    info: SessionInfo,
    config: TrmConfig,
    lane_rows: usize,
    workers: Vec<(Session, RunOptions<HasSelectedOutputs>)>,
}

impl OrtSolveSession {
    pub(super) fn load(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_kind(graph.kind, false)?;
        let Committed { sessions, lane_rows, info, .. } = commit(engine, graph, options)?;
        let run_options = || {
            let outputs = OutputSelector::default();
            let outputs = if options.want_logits { outputs } else { outputs.without("logits") };
            RunOptions::new().map(|run_options| run_options.with_outputs(outputs))
        };
        let workers: ::ort::Result<_> = sessions.into_iter().map(|session| Ok((session, run_options()?))).collect();
        let workers = workers.map_err(|error| failed("create run options", error))?;
        Ok(Self { info, config: graph.config.clone(), lane_rows, workers })
    }

    fn run(&mut self, input: &SolveInput, max_steps: Option<i64>) -> ::ort::Result<SolveOutput> {
        let (rows, seq_len) = (self.lane_rows, self.config.seq_len);
        let firsts: Vec<usize> = (0..self.info.batch).step_by(rows).collect();
        let share = firsts.len().div_ceil(self.workers.len());
        let run = |((session, run_options), firsts): (&mut (Session, _), &[usize])| {
            let lane = |&first: &usize| {
                let lane = SolveInput {
                    tokens: input.tokens[first * seq_len..(first + rows) * seq_len].to_vec(),
                    puzzle_ids: input.puzzle_ids[first..first + rows].to_vec(),
                    ..*input
                };
                run_lane(session, run_options, lane, seq_len, max_steps)
            };
            firsts.iter().map(lane).collect::<::ort::Result<Vec<_>>>()
        };
        let outputs: Vec<Vec<SolveOutput>> = match self.workers.as_mut_slice() {
            [only] => vec![run((only, &firsts))?],
            workers => workers.par_iter_mut().zip(firsts.par_chunks(share)).map(run).collect::<::ort::Result<_>>()?,
        };
        Ok(joined(outputs.into_iter().flatten()))
    }
}

fn run_lane(
    session: &mut Session,
    run_options: &RunOptions<HasSelectedOutputs>,
    input: SolveInput,
    seq_len: usize,
    max_steps: Option<i64>,
) -> ::ort::Result<SolveOutput> {
    let rows = input.puzzle_ids.len();
    let mut inputs: Vec<(&str, SessionInputValue<'_>)> = vec![
        ("tokens", Tensor::from_array(([rows, seq_len], input.tokens))?.into()),
        ("puzzle_ids", Tensor::from_array(([rows], input.puzzle_ids))?.into()),
        ("halt_threshold", scalar(input.halt_threshold)?.into()),
    ];
    if let Some(max_steps) = max_steps {
        inputs.push(("max_steps", scalar(max_steps)?.into()));
    }
    let outputs = session.run_with_options(inputs, run_options)?;
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

/// The outputs of several lanes as one.
fn joined(mut lanes: impl Iterator<Item = SolveOutput>) -> SolveOutput {
    let first = lanes.next().expect("a batch has a lane");
    lanes.fold(first, |mut all, lane| {
        all.answer.extend(lane.answer);
        all.q_halt.extend(lane.q_halt);
        all.q_continue.extend(lane.q_continue);
        all.steps.extend(lane.steps);
        if let (Some(all), Some(logits)) = (&mut all.logits, lane.logits) {
            all.extend(logits);
        }
        all
    })
}

fn scalar<T>(value: T) -> ::ort::Result<Tensor<T>>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
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
