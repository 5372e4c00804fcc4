//! Loading graphs into sessions of ONNX Runtime.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ::ort::logging::LogLevel;
use ::ort::session::Session;
use ::ort::session::builder::GraphOptimizationLevel;
use ::ort::value::{DynValue, Outlet, TensorElementType, ValueType};
use trm_intake::Printable;
use trm_models::{ElementType, FoundTensor};
use trm_onnx::{OnnxError, external_tensors};

use super::outside::{Contained, contain};
use super::provider::{Device, ExecutionProvider, unsuited};
use super::{NAME, OrtEngine, failed};
use crate::{EngineError, GraphSource, Result, SessionInfo, SessionOptions, checks};

/// A graph loaded on the first provider that takes it: as many sessions as run side by side, each for the rows of a lane.
pub(super) struct Committed {
    pub(super) sessions: Vec<Session>,
    pub(super) lane_rows: usize,
    pub(super) provider: ExecutionProvider,
    pub(super) info: SessionInfo,
}

/// Loads a graph on the first of the chosen providers that works, recording why each one before it did not.
/// Registering a provider and committing the session can both fail; either counts.
pub(super) fn commit(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Committed> {
    checks::check_options(options)?;
    let started = Instant::now();
    let contained = contain(graph)?;
    let candidates = options.provider.candidates();
    let mut fallbacks = Vec::new();
    for (i, &provider) in candidates.iter().enumerate() {
        let attempt = match unsuited(provider, graph) {
            Some(reason) => Err(EngineError::Provider { provider, reason }),
            None => try_provider(engine, graph, &contained, options, provider),
        };
        match attempt {
            Ok((sessions, lane_rows)) => {
                let info = SessionInfo {
                    engine: NAME,
                    engine_version: engine.version.clone(),
                    library: Some(engine.library.clone()),
                    provider,
                    fallbacks,
                    graph: graph.kind,
                    batch: options.batch,
                    threads: options.resolved_threads(),
                    load_time: started.elapsed(),
                };
                return Ok(Committed { sessions, lane_rows, provider, info });
            }
            Err(error) if i + 1 == candidates.len() => return Err(error),
            Err(EngineError::Provider { provider, reason }) => fallbacks.push(format!("{provider}: {reason}")),
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
    contained: &Contained<'_>,
    options: &SessionOptions,
    provider: ExecutionProvider,
) -> Result<(Vec<Session>, usize)> {
    let on_cpu = provider.device() == Device::Processor;
    let row_by_row = options.batch > 1 && (on_cpu || !graph.batch_invariant);
    let threads = options.resolved_threads();
    let sessions = if row_by_row && on_cpu { threads.min(options.batch) } else { 1 };
    let lane_rows = if row_by_row { 1 } else { options.batch };
    let name = format!("the {} graph of {}", graph.kind, graph.name);
    let load = |lane_rows: usize, threads: usize| {
        let options = SessionOptions { batch: lane_rows, threads, ..options.clone() };
        let memory = if on_cpu { Memory::AsNeeded } else { Memory::Planned };
        build(engine, &name, &contained.bytes, &contained.initializers, &options, provider, memory)
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
pub const CRASHING_OPTIMIZER: &str = "DivMulFusion";

/// The way in which a session gets the memory of a run.
#[derive(Clone, Copy, PartialEq)]
enum Memory {
    /// Tensor by tensor: 70 MiB less than a plan for a full-size maze, at the same speed.
    AsNeeded,
    /// By a plan that is made in the first run.
    Planned,
}

/// Loads any graph on one provider; `name` is what errors call it, `initializers` are what the bytes leave out.
fn build(
    engine: &OrtEngine,
    name: &str,
    bytes: &[u8],
    initializers: &[(String, Arc<DynValue>)],
    options: &SessionOptions,
    provider: ExecutionProvider,
    memory: Memory,
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
            .with_memory_pattern(memory == Memory::Planned)?
            .with_dimension_override("batch", options.batch as i64)?
            .with_execution_providers(dispatches)?;
        if options.bfloat16_products {
            builder = builder.with_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")?;
        }
        for (name, value) in initializers {
            builder = builder.with_external_initializer(name, Arc::clone(value))?;
        }
        builder.commit_from_memory(bytes)
    };
    build().map_err(|error| match provider.device() {
        // The CPU takes any valid graph: what it refuses is the file's fault, not the provider's.
        Device::Processor => failed(format!("load {name}"), error),
        Device::Gpu => EngineError::Provider { provider, reason: one_line(&error.to_string()) },
    })
}

/// Loads a graph that is in no bundle on the first of the chosen providers that works. TensorRT is passed over:
/// compiling a training graph takes it longer than training.
///
/// # Errors
///
/// [`EngineError::Graph`] if the bytes are no ONNX model, or a tensor lies in another file; [`EngineError::Provider`]
/// if no chosen provider works; [`EngineError::Failed`] if the CPU refuses the graph.
pub fn load_plain(
    engine: &OrtEngine,
    name: &str,
    bytes: &[u8],
    options: &SessionOptions,
) -> Result<(Session, ExecutionProvider)> {
    // Left to itself, ONNX Runtime opens the files that a graph names, from the current folder on.
    if let Some(tensor) = external_tensors(bytes, Path::new(name))?.first() {
        let problem = format!("the tensor {} lies in another file, which is not opened", Printable(&tensor.name));
        return Err(OnnxError::NotOnnx { path: name.into(), problem }.into());
    }
    let mut failure = EngineError::Provider {
        provider: ExecutionProvider::TensorRt,
        reason: "it does not train; cuda and cpu do".to_owned(),
    };
    let trains = |provider: &ExecutionProvider| *provider != ExecutionProvider::TensorRt;
    for provider in options.provider.candidates().into_iter().filter(trains) {
        match build(engine, name, bytes, &[], options, provider, Memory::Planned) {
            Ok(session) => return Ok((session, provider)),
            Err(error @ EngineError::Provider { .. }) => failure = error,
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
