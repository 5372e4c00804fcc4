//! tract: an engine in pure Rust, behind the feature `tract`.
//!
//! tract plans for fixed shapes. A session plans for one row and runs each row of a batch on its own, the rows in
//! parallel: a plan for the whole batch is no faster, and only some of its operators use threads. A row's numbers are
//! exactly those that it has alone. Threads within a row take the feature `matmul-threads`. tract has no `Loop`: it
//! runs the step and the unrolled graph.

mod inside;
mod session;

use std::sync::Arc;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto};
use tract_onnx::prelude::multithread::Executor;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::scan::Scan;
use trm_models::{Axis, ElementType, FoundTensor, GraphKind, GraphSpec, GraphTarget, Precision, TrmConfig};

use super::{
    Engine, EngineEntry, GraphSource, SessionInfo, SessionOptions, SolveSession, StepSession, checks, external,
};
use crate::ort::ExecutionProvider;
use crate::{EngineError, Result};

/// The engine's name.
const NAME: &str = "tract";
/// The version that the workspace pins.
const VERSION: &str = "0.23.9";

/// tract as an engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct TractEngine;

/// tract among the engines.
pub(crate) const ENTRY: EngineEntry = EngineEntry {
    name: NAME,
    about: "tract, built in",
    graphs: &[GraphKind::Step, GraphKind::Unrolled],
    targets: &[GraphTarget::Portable, GraphTarget::Tract],
    precisions: &Precision::ALL,
    batch_invariant: true,
    built_in: true,
    has_gpu: false,
    open: |_| Ok(Box::new(TractEngine)),
};

impl Engine for TractEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn load_step_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn StepSession>> {
        checks::check_kind(graph.kind, true)?;
        Ok(Box::new(session::TractStepSession::new(Prepared::load(graph, options)?)?))
    }

    fn load_solve_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn SolveSession>> {
        checks::check_kind(graph.kind, false)?;
        Ok(Box::new(session::TractSolveSession::new(Prepared::load(graph, options)?)))
    }
}

/// A graph that has been read, specialised to one row and optimised: what the rows of a session share.
struct Prepared {
    info: SessionInfo,
    config: TrmConfig,
    plan: Arc<TypedRunnableModel>,
    want_logits: bool,
    /// Where the rows of a batch run, if not one after the other. A batch of one row spreads its matrix products over
    /// threads instead, with the feature `matmul-threads`.
    row_pool: Option<ThreadPool>,
}

impl Prepared {
    fn load(graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_options(options)?;
        let no_loop = |reason: &str, hint: &str| {
            let (reason, hint) = (format!("it has no Loop operator{reason}"), hint.to_owned());
            Err(EngineError::Unsupported { engine: NAME, graph: graph.kind, reason, hint })
        };
        match (graph.kind, graph.target) {
            (GraphKind::Solve, _) => return no_loop("", "use the step or the unrolled graph, or --backend ort"),
            (GraphKind::Step, GraphTarget::OrtCpu) => {
                let hint = "use --backend ort, or export the model with --target portable";
                return no_loop(", and this bundle was exported for ort-cpu", hint);
            }
            _ => {}
        }
        let started = Instant::now();
        let action = || format!("load the {} graph of {}", graph.kind, graph.name);
        let outside = external::read(graph)?;
        let framework = tract_onnx::onnx().with_ignore_value_info(true);
        let mut proto = framework
            .proto_model_for_read(&mut &*graph.bytes)
            .map_err(|error| failed(format!("{}: it is not an ONNX file", action()), error))?;
        let (inputs, outputs) = proto.graph.as_ref().map(interface).unwrap_or_default();
        checks::check_interface(graph, 1, &inputs, &outputs)?;
        proto.graph.iter_mut().for_each(fix_batch);
        inside::put_inside(&mut proto, outside);

        let threads = options.resolved_threads();
        let (row_pool, executor, threads) = if options.batch == 1 {
            let executor = matmul_executor(threads)?;
            (None, executor, if cfg!(feature = "matmul-threads") { threads } else { 1 })
        } else {
            let threads = threads.min(options.batch);
            let row_pool = if threads == 1 { None } else { Some(thread_pool(threads)?) };
            (row_pool, Executor::SingleThread, threads)
        };
        let plan = prepare(&framework, &proto, graph, options.want_logits, executor)
            .map_err(|error| failed(action(), error))?;
        let info = SessionInfo {
            engine: NAME,
            engine_version: VERSION.to_owned(),
            library: None,
            provider: ExecutionProvider::Cpu,
            fallbacks: Vec::new(),
            graph: graph.kind,
            batch: options.batch,
            threads,
            load_time: started.elapsed(),
        };
        Ok(Self { info, config: graph.config.clone(), plan, want_logits: options.want_logits, row_pool })
    }
}

/// Makes the executor of a single row's matrix products.
#[cfg(feature = "matmul-threads")]
fn matmul_executor(threads: usize) -> Result<Executor> {
    match threads {
        1 => Ok(Executor::SingleThread),
        _ => Ok(Executor::MultiThread(Arc::new(thread_pool(threads)?))),
    }
}

#[cfg(not(feature = "matmul-threads"))]
#[expect(clippy::unnecessary_wraps, reason = "starting threads can fail where there are threads to start")]
fn matmul_executor(_threads: usize) -> Result<Executor> {
    Ok(Executor::SingleThread)
}

fn thread_pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("tract-{i}")).build().map_err(|error| {
        EngineError::Failed { engine: NAME, action: format!("start {threads} threads"), source: Box::new(error) }
    })
}

/// Specialises the graph to one row, drops the outputs that nobody reads, and optimises it. The plan's inputs and
/// outputs are in the order of the graph's specification.
fn prepare(
    framework: &tract_onnx::Onnx,
    proto: &ModelProto,
    graph: &GraphSource<'_>,
    want_logits: bool,
    executor: Executor,
) -> TractResult<Arc<TypedRunnableModel>> {
    let spec = GraphSpec::new(graph.kind, graph.config);
    let mut model = framework.parse(proto, None)?.model;
    let outlets = model.input_outlets()?.to_vec();
    let mut inputs = Vec::with_capacity(outlets.len());
    for input in &spec.inputs {
        for &outlet in outlets.iter().filter(|outlet| model.node(outlet.node).name == input.name) {
            inputs.push((outlet, InferenceFact::dt_shape(datum_type(input.element), row_shape(&input.shape))));
        }
    }
    for (outlet, fact) in &inputs {
        model.set_outlet_fact(*outlet, fact.clone())?;
    }
    model.set_input_outlets(&inputs.iter().map(|(outlet, _)| *outlet).collect::<Vec<_>>())?;
    let outputs = spec.outputs.iter().map(|output| output.name);
    model.select_outputs_by_name(outputs.filter(|&name| want_logits || name != "logits"))?;
    let run_options = RunOptions { executor: Some(executor), ..RunOptions::default() };
    let mut model = model.into_typed()?;
    for node in &mut model.nodes {
        // tract means a Scan for streams: the state that a run ends with would be what the next run starts from, whatever
        // carry it is given.
        if let Some(scan) = node.op_as_mut::<Scan>() {
            scan.reset_every_turn = true;
        }
    }
    model.into_optimized()?.into_runnable_with_options(&run_options)
}

/// One row throughout, in the graphs inside as well: a `Scan` does not hand its shapes to its body.
fn fix_batch(graph: &mut GraphProto) {
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|kind| kind.value.as_mut()) else {
            continue;
        };
        for axis in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            if let Some(size @ dimension::Value::DimParam(_)) = &mut axis.value {
                *size = dimension::Value::DimValue(1);
            }
        }
    }
    let bodies =
        graph.node.iter_mut().flat_map(|node| &mut node.attribute).filter_map(|attribute| attribute.g.as_mut());
    bodies.for_each(fix_batch);
}

fn row_shape(axes: &[Axis]) -> TVec<usize> {
    let size = |axis: &Axis| match axis {
        Axis::Batch => 1,
        Axis::Fixed(size) => *size,
    };
    axes.iter().map(size).collect()
}

fn datum_type(element: ElementType) -> DatumType {
    match element {
        ElementType::F32 => DatumType::F32,
        ElementType::I32 => DatumType::I32,
        ElementType::I64 => DatumType::I64,
        ElementType::Bool => DatumType::Bool,
    }
}

/// The inputs (less those that are initializers) and outputs that the file declares.
fn interface(graph: &GraphProto) -> (Vec<FoundTensor>, Vec<FoundTensor>) {
    let initialized = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs = graph.input.iter().filter(|input| !initialized(&input.name));
    (inputs.map(found_tensor).collect(), graph.output.iter().map(found_tensor).collect())
}

fn found_tensor(info: &ValueInfoProto) -> FoundTensor {
    let tensor = info.r#type.as_ref().and_then(|kind| kind.value.as_ref()).map(|Value::TensorType(tensor)| tensor);
    // Element types are numbered as in onnx.proto, TensorProto.DataType.
    let element = tensor.and_then(|tensor| match tensor.elem_type {
        1 => Some(ElementType::F32),
        6 => Some(ElementType::I32),
        7 => Some(ElementType::I64),
        9 => Some(ElementType::Bool),
        _ => None,
    });
    let axes = tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| &shape.dim);
    let size = |value: &Option<dimension::Value>| match value {
        Some(dimension::Value::DimValue(size)) => usize::try_from(*size).ok(),
        _ => None,
    };
    FoundTensor { name: info.name.clone(), element, shape: axes.iter().map(|axis| size(&axis.value)).collect() }
}

/// An error of tract with what was being done.
fn failed(action: String, error: TractError) -> EngineError {
    EngineError::Failed { engine: NAME, action, source: error.into() }
}
