//! rten: a second engine in pure Rust that is built into the binary.
//!
//! rten takes shapes as they come. A session runs each row of a batch on its own, so that a row's numbers are exactly
//! those that it has alone, and a row without a puzzle costs nothing. The rows run side by side on the threads of the
//! session; threads that no row keeps busy work within the operators of the others.
//!
//! It has `Loop`, but no `Scan`: it runs the step, the solve and the unrolled graph, and step graphs for `portable` and
//! `ort-cpu`, but none for `tract`. It knows no half precision: graphs in fp16 are computed in float32.

mod interface;
mod rewrite;
mod session;
mod stack;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ::rten::{LoadError, Model, ModelOptions, NodeId, RunOptions, ThreadPool};
use trm_models::{FoundTensor, GraphKind, GraphSpec, GraphTarget, Precision, TensorSpec, TrmConfig};

use self::interface::Declared;
use self::stack::{MOST_IN_BODY, MOST_OPERATORS};
use crate::external::Outside;
use crate::ort::ExecutionProvider;
use crate::{
    Engine, EngineEntry, EngineError, GraphSource, Result, SessionInfo, SessionOptions, SolveSession, StepSession,
    checks, external,
};

/// The engine's name.
const NAME: &str = "rten";
/// The version that the workspace pins.
const VERSION: &str = "0.27.0";
/// The most bytes of a graph whose weights are packed ahead: shipped models have 1 to 2 MiB, full-size ones 20 and more.
const MOST_PACKED: usize = 8 << 20;

/// rten as an engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RtenEngine;

/// rten among the engines.
pub(crate) const ENTRY: EngineEntry = EngineEntry {
    name: NAME,
    about: "rten, built in",
    graphs: &GraphKind::ALL,
    targets: &[GraphTarget::Portable, GraphTarget::OrtCpu],
    // 16-bit floats are widened as they load.
    precisions: &Precision::ALL,
    batch_invariant: true,
    built_in: true,
    has_gpu: false,
    open: |_| Ok(Box::new(RtenEngine)),
};

impl Engine for RtenEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn load_step_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn StepSession>> {
        checks::check_kind(graph.kind, true)?;
        Ok(Box::new(session::RtenStepSession::new(Prepared::load(graph, options)?)))
    }

    fn load_solve_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn SolveSession>> {
        checks::check_kind(graph.kind, false)?;
        Ok(Box::new(session::RtenSolveSession::new(Prepared::load(graph, options)?)))
    }
}

/// A loaded graph: what the rows of a session share.
struct Prepared {
    info: SessionInfo,
    config: TrmConfig,
    model: Model,
    /// In the order of the graph's specification.
    inputs: Vec<NodeId>,
    /// In the order of the graph's specification; without the logits, which come last, unless they are wanted.
    outputs: Vec<NodeId>,
    want_logits: bool,
    /// The threads of the session, where its rows and their operators run.
    pool: Arc<ThreadPool>,
    /// Operators of the graph.
    operators: usize,
    /// The graph has run, so its operators are ordered.
    is_ordered: AtomicBool,
}

/// Reads a graph. One that rten refuses is written anew, if an earlier version of this project wrote it.
pub(crate) fn read_model(options: &ModelOptions, graph: &[u8]) -> Result<Model, LoadError> {
    options.load(graph.to_vec()).or_else(|error| match rewrite::as_written_today(graph) {
        Some(graph) => options.load(graph),
        None => Err(error),
    })
}

/// Checks that any thread's stack holds the order of a classifier's graph.
pub(crate) fn check_classifier(graph: &[u8]) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(stack::check(&interface::read(graph)?, MOST_IN_BODY)?)
}

impl Prepared {
    fn load(graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_options(options)?;
        if (graph.kind, graph.target) == (GraphKind::Step, GraphTarget::Tract) {
            return Err(EngineError::Unsupported {
                engine: NAME,
                graph: graph.kind,
                reason: "it has no Scan operator, and this bundle was exported for tract".to_owned(),
                hint:
                    "use --backend ort, or tract in a program that has it, or export the model with --target portable"
                        .to_owned(),
            });
        }
        let started = Instant::now();
        let action = || format!("load the {} graph of {}", graph.kind, graph.name);
        let outside = external::read(graph)?;
        let declared = interface::read(&graph.bytes)
            .map_err(|error| failed(format!("{}: it is not an ONNX file", action()), error))?;
        stack::check(&declared, MOST_OPERATORS).map_err(|problem| failed(action(), problem))?;
        let Declared { inputs, outputs, operators, .. } = declared;
        checks::check_interface(graph, 1, &inputs, &outputs)?;
        let threads = options.resolved_threads();
        let pool = Arc::new(ThreadPool::with_num_threads(threads));
        let load = || read_model(&loading(&graph.bytes, outside), &graph.bytes);
        let model = stack::deep_enough(operators, load)?;
        let model = model.map_err(|error| failed(action(), error))?;
        let spec = GraphSpec::new(graph.kind, graph.config);
        let wanted = |output: &&TensorSpec| options.want_logits || output.name != "logits";
        let inputs = nodes(model.input_ids(), &inputs, spec.inputs.iter());
        let outputs = nodes(model.output_ids(), &outputs, spec.outputs.iter().filter(wanted));
        let (Some(inputs), Some(outputs)) = (inputs, outputs) else {
            return Err(failed(action(), "two of its inputs or outputs have the same name"));
        };
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
        let (config, want_logits) = (graph.config.clone(), options.want_logits);
        let is_ordered = AtomicBool::new(false);
        Ok(Self { info, config, model, inputs, outputs, want_logits, pool, operators, is_ordered })
    }

    fn run_options(&self) -> RunOptions {
        RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)))
    }
}

/// The options that a graph is loaded with.
fn loading(graph: &[u8], outside: Vec<Outside>) -> ModelOptions {
    let mut options = ModelOptions::with_all_ops();
    // A weight is packed anew for each product that reads it, which is 21 times in an unrolled step: a step takes a
    // quarter less time, and a full-size model four times the memory.
    let bytes = graph.len() + outside.iter().map(|outside| outside.bytes.len()).sum::<usize>();
    options.prepack_weights(bytes <= MOST_PACKED);
    for (name, bytes) in files(outside) {
        options.external_data(&name, bytes);
    }
    options
}

/// The nodes of a model by the names of its specification. rten lists them in the file's order; by name it would find an
/// operator that is called as its output is. `None` if it lists others than the file declares.
fn nodes<'a>(
    ids: &[NodeId],
    declared: &[FoundTensor],
    wanted: impl Iterator<Item = &'a TensorSpec>,
) -> Option<Vec<NodeId>> {
    if ids.len() != declared.len() {
        return None;
    }
    wanted.map(|spec| ids.get(declared.iter().position(|found| found.name == spec.name)?).copied()).collect()
}

/// The files that tensors lie in, put together again as far as the graph reads them.
fn files(outside: Vec<Outside>) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for Outside { tensor, bytes } in outside {
        let file = files.entry(tensor.file).or_default();
        // A file's only tensor, which may be gigabytes, is not copied.
        if file.is_empty() && tensor.offset == 0 {
            *file = bytes;
            continue;
        }
        // No further than the file goes: the tensor was cut out of it.
        let start = tensor.offset as usize;
        file.resize(file.len().max(start + bytes.len()), 0);
        file[start..start + bytes.len()].copy_from_slice(&bytes);
    }
    files
}

/// An error of rten with what was being done.
fn failed(action: String, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EngineError {
    EngineError::Failed { engine: NAME, action, source: error.into() }
}
