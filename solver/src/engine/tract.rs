//! tract: the pure Rust engine that is built into the binary.
//!
//! tract plans for fixed shapes, so a session is prepared for one batch. It has no `Loop`: it runs the step and the
//! unrolled graph.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto, tensor_shape_proto::dimension};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::plan::SimpleState;
use trm_models::{Axis, ElementType, FoundTensor, GraphKind, GraphSpec, TrmConfig};

use super::checks;
use super::{Engine, GraphSource, SessionInfo, SessionOptions, SolveInput, SolveOutput, SolveSession, StepSession};
use crate::{ActOutput, ActStep, Carry, Result, SolverError};

/// The engine's name.
const NAME: &str = "tract";
/// The version that the workspace pins.
const VERSION: &str = "0.23.9";

/// tract as an engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct TractEngine;

impl Engine for TractEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn load_step_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn StepSession>> {
        checks::check_kind(graph.kind, true)?;
        Ok(Box::new(TractStepSession::new(Prepared::load(graph, options)?)?))
    }

    fn load_solve_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn SolveSession>> {
        checks::check_kind(graph.kind, false)?;
        Ok(Box::new(TractSolveSession { prepared: Prepared::load(graph, options)? }))
    }
}

/// A graph that has been read, specialised to a batch and optimised. Sessions on other threads can share it.
struct Prepared {
    info: SessionInfo,
    config: TrmConfig,
    plan: Arc<TypedRunnableModel>,
    want_logits: bool,
}

impl Prepared {
    fn load(graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_options(options)?;
        if graph.kind == GraphKind::Solve {
            return Err(SolverError::Unsupported {
                engine: NAME,
                graph: graph.kind,
                reason: "it has no Loop operator".to_owned(),
                hint: "use the step or the unrolled graph, or --backend ort".to_owned(),
            });
        }
        let started = Instant::now();
        let action = || format!("load the {} graph of {}", graph.kind, graph.name);
        let framework = tract_onnx::onnx().with_ignore_value_info(true);
        let proto = framework
            .proto_model_for_read(&mut &*graph.bytes)
            .map_err(|error| failed(format!("{}: it is not an ONNX file", action()), error))?;
        let (inputs, outputs) = proto.graph.as_ref().map(interface).unwrap_or_default();
        checks::check_interface(graph, options.batch, &inputs, &outputs)?;

        let spec = GraphSpec::new(graph.kind, graph.config);
        let folder = graph.folder.as_deref().and_then(Path::to_str);
        let plan = prepare(&framework, &proto, folder, &spec, options).map_err(|error| failed(action(), error))?;
        let info = SessionInfo {
            engine: NAME,
            engine_version: VERSION.to_owned(),
            library: None,
            provider: "cpu",
            fallbacks: Vec::new(),
            graph: graph.kind,
            batch: options.batch,
            threads: 1,
            load_time: started.elapsed(),
        };
        Ok(Self { info, config: graph.config.clone(), plan, want_logits: options.want_logits })
    }

    fn batch(&self) -> usize {
        self.info.batch
    }

    /// An input tensor; the length must have been checked.
    fn tensor<T: Datum + Copy>(&self, shape: &[usize], values: &[T]) -> Result<TValue> {
        let tensor = Tensor::from_shape(shape, values).map_err(|error| failed(self.running(), error))?;
        Ok(tensor.into_tvalue())
    }

    fn read<T: Datum + Copy>(&self, value: &TValue) -> Result<Vec<T>> {
        let view = value.to_plain_array_view::<T>().map_err(|error| failed(self.running(), error))?;
        Ok(view.iter().copied().collect())
    }

    fn running(&self) -> String {
        format!("run the {} graph", self.info.graph)
    }
}

/// Specialises the graph to the batch, drops the outputs that nobody reads, and optimises it.
fn prepare(
    framework: &tract_onnx::Onnx,
    proto: &ModelProto,
    folder: Option<&str>,
    spec: &GraphSpec,
    options: &SessionOptions,
) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = framework.parse(proto, folder)?.model;
    let positions: Vec<_> = model.input_outlets()?.iter().map(|outlet| model.node(outlet.node).name.clone()).collect();
    let mut order = Vec::with_capacity(spec.inputs.len());
    for input in &spec.inputs {
        let Some(position) = positions.iter().position(|name| name == input.name) else {
            continue;
        };
        let shape: TVec<usize> = input.shape.iter().map(|axis| concrete(*axis, options.batch)).collect();
        model.set_input_fact(position, InferenceFact::dt_shape(datum_type(input.element), &shape))?;
        order.push(model.input_outlets()?[position]);
    }
    model.set_input_outlets(&order)?;
    let outputs = spec.outputs.iter().map(|output| output.name);
    model.select_outputs_by_name(outputs.filter(|&name| options.want_logits || name != "logits"))?;
    model.into_optimized()?.into_runnable()
}

fn concrete(axis: Axis, batch: usize) -> usize {
    match axis {
        Axis::Batch => batch,
        Axis::Fixed(size) => size,
    }
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
fn failed(action: String, error: TractError) -> SolverError {
    SolverError::Engine { engine: NAME, action, source: error.into() }
}

/// A step graph. The carry is the pair of tensors that the last step returned; the next step takes them as they are.
struct TractStepSession {
    prepared: Prepared,
    state: TypedSimpleState,
    z_h: TValue,
    z_l: TValue,
    /// Rows that hold a carry.
    started: Vec<bool>,
}

impl TractStepSession {
    fn new(prepared: Prepared) -> Result<Self> {
        let shape = [prepared.batch(), prepared.config.total_len(), prepared.config.hidden_size];
        let zeros = Tensor::zero::<f32>(&shape).map_err(|error| failed("allocate the carry".to_owned(), error))?;
        let zeros = zeros.into_tvalue();
        let state = SimpleState::new(&prepared.plan).map_err(|error| failed("start a session".to_owned(), error))?;
        let started = vec![false; prepared.batch()];
        Ok(Self { prepared, state, z_h: zeros.clone(), z_l: zeros, started })
    }
}

impl StepSession for TractStepSession {
    fn info(&self) -> &SessionInfo {
        &self.prepared.info
    }

    fn config(&self) -> &TrmConfig {
        &self.prepared.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        let prepared = &self.prepared;
        checks::check_step(&prepared.config, &self.started, input)?;
        let batch = prepared.batch();
        let inputs = tvec![
            prepared.tensor(&[batch, prepared.config.seq_len], &input.tokens)?,
            prepared.tensor(&[batch], &input.puzzle_ids)?,
            prepared.tensor(&[batch], &input.reset)?,
            self.z_h.clone(),
            self.z_l.clone(),
        ];
        let outputs = self.state.run(inputs).map_err(|error| failed(prepared.running(), error))?;
        let output = ActOutput {
            answer: prepared.read(&outputs[0])?,
            q_halt: prepared.read(&outputs[1])?,
            q_continue: prepared.read(&outputs[2])?,
            logits: if prepared.want_logits { Some(prepared.read(&outputs[5])?) } else { None },
        };
        checks::check_finite(GraphKind::Step, "q_halt", &output.q_halt)?;
        self.z_h = outputs[3].clone();
        self.z_l = outputs[4].clone();
        self.started.fill(true);
        Ok(output)
    }

    fn carry(&self) -> Result<Carry> {
        Ok(Carry { z_h: self.prepared.read(&self.z_h)?, z_l: self.prepared.read(&self.z_l)? })
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        let Prepared { config, .. } = &self.prepared;
        let batch = self.prepared.batch();
        checks::check_carry(config, batch, carry)?;
        let shape = [batch, config.total_len(), config.hidden_size];
        self.z_h = self.prepared.tensor(&shape, &carry.z_h)?;
        self.z_l = self.prepared.tensor(&shape, &carry.z_l)?;
        self.started.fill(true);
        Ok(())
    }
}

/// An unrolled graph.
struct TractSolveSession {
    prepared: Prepared,
}

impl SolveSession for TractSolveSession {
    fn info(&self) -> &SessionInfo {
        &self.prepared.info
    }

    fn config(&self) -> &TrmConfig {
        &self.prepared.config
    }

    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput> {
        let prepared = &self.prepared;
        let Prepared { config, info, .. } = prepared;
        checks::check_solve(config, info.graph, info.batch, input)?;
        let inputs = tvec![
            prepared.tensor(&[info.batch, config.seq_len], &input.tokens)?,
            prepared.tensor(&[info.batch], &input.puzzle_ids)?,
            prepared.tensor(&[], &[input.halt_threshold])?,
        ];
        let outputs = prepared.plan.run(inputs).map_err(|error| failed(prepared.running(), error))?;
        let output = SolveOutput {
            answer: prepared.read(&outputs[0])?,
            q_halt: prepared.read(&outputs[1])?,
            q_continue: prepared.read(&outputs[2])?,
            steps: prepared.read(&outputs[3])?,
            logits: if prepared.want_logits { Some(prepared.read(&outputs[4])?) } else { None },
        };
        checks::check_finite(info.graph, "q_halt", &output.q_halt)?;
        Ok(output)
    }
}
