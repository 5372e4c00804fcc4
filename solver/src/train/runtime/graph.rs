//! Training through plain graphs, on any ONNX Runtime: one graph for a supervision step, one for an update.
//!
//! Parameters, moments, moving average, gradients and carries are values of ONNX Runtime, on the device that computes:
//! what one run returns goes into the next one as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use ::ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ::ort::session::Session;
use ::ort::value::{DynValue, PrimitiveTensorElementType, Tensor, TensorValueType};
use trm_export::checkpoint::layout;
use trm_export::onnx::Graph;
use trm_export::onnx::write::encode;
use trm_export::train::{LossKind, PUZZLE_EMB, StepOptions, UpdateOptions, training_step, update_graph};
use trm_models::TrmConfig;

use super::{NamedTensor, TrainBatch, TrainOutput, TrainRuntime, TrainState, UpdateInput, matmul_flops};
use crate::engine::SessionOptions;
use crate::engine::ort::session::load_plain;
use crate::engine::ort::{ExecutionProvider, OrtEngine, failed};
use crate::{Result, SolverError};

/// What the graphs are built for.
#[derive(Debug, Clone)]
pub struct GraphTrainingOptions {
    /// Rows of a batch.
    pub batch: usize,
    /// Supervision steps between two updates.
    pub accumulation: usize,
    /// Carry groups.
    pub groups: usize,
    /// The answer's loss.
    pub loss: LossKind,
    /// The optimiser.
    pub update: UpdateOptions,
    /// Parameters that stay as they are, by name.
    pub frozen: BTreeSet<String>,
    /// Threads, provider and its settings; the batch in it is not read.
    pub session: SessionOptions,
}

/// Plain graphs as a [`TrainRuntime`].
pub struct GraphTraining {
    options: GraphTrainingOptions,
    config: TrmConfig,
    provider: ExecutionProvider,
    step: LoadedGraph,
    update: LoadedGraph,
    /// Inputs of the update by name: parameters, moments, averages; and the buffers.
    values: BTreeMap<String, DynValue>,
    /// Gradients since the last update, by `NAME.grad`; none before the first step.
    gradients: BTreeMap<String, DynValue>,
    /// `z_h` and `z_l` of each group.
    carry: Vec<[DynValue; 2]>,
    /// Rows of the puzzle embedding that were used since the last update.
    used: Vec<bool>,
}

/// Outputs that the host reads after every step; everything else stays on the device.
const READ: [&str; 7] = ["loss", "lm_loss", "q_loss", "exact", "cells_right", "q_halt", "q_continue"];
/// The carry's inputs.
const CARRY: [&str; 2] = ["z_h", "z_l"];

impl GraphTraining {
    /// Builds the graphs and starts from `state`; without moments and moving average, from zero moments and an average
    /// that is the weights. Carries hold nothing until a group's rows are reset, or [`TrainRuntime::set_carry`].
    ///
    /// # Errors
    /// Those of ONNX Runtime; [`SolverError::TrainState`] when a tensor is missing or of another shape.
    pub fn new(
        engine: &OrtEngine,
        config: &TrmConfig,
        mut state: TrainState,
        options: GraphTrainingOptions,
    ) -> Result<Self> {
        let (step, update) = graphs(config, &options)?;
        let (step, provider) = LoadedGraph::load(engine, "the training step", &step, &options.session)?;
        let (update, _) = LoadedGraph::load(engine, "the optimizer update", &update, &options.session)?;
        let mut values = BTreeMap::new();
        for tensor in layout(config) {
            let value = state.weights.remove(&tensor.name);
            let value = value.ok_or_else(|| bad_state(&tensor.name, "is missing among the weights".into()))?;
            if value.shape != tensor.shape {
                let problem = format!("has the shape {:?}, expected {:?}", value.shape, tensor.shape);
                return Err(bad_state(&tensor.name, problem));
            }
            for input in update.inputs.iter().filter(|input| input.starts_with(&tensor.name)) {
                let suffix = &input[tensor.name.len()..];
                let start = match suffix {
                    ".m" | ".v" if state.moments.is_empty() => vec![0.0; value.data.len()],
                    ".m" | ".v" => take(&mut state.moments, input, &value.shape)?,
                    ".ema" if state.ema.is_empty() => value.data.clone(),
                    ".ema" => take(&mut state.ema, &tensor.name, &value.shape)?,
                    _ => continue,
                };
                values.insert(input.clone(), dyn_tensor(&value.shape, start)?);
            }
            values.insert(tensor.name, dyn_tensor(&value.shape, value.data)?);
        }
        let shape = carry_shape(config, options.batch);
        let zeros = || dyn_tensor(&shape, vec![0.0_f32; shape.iter().product()]);
        let carry = (0..options.groups).map(|_| Ok([zeros()?, zeros()?])).collect::<Result<_>>()?;
        let used = vec![false; config.num_puzzle_identifiers];
        let config = config.clone();
        Ok(Self { options, config, provider, step, update, values, gradients: BTreeMap::new(), carry, used })
    }

    /// What runs the graphs.
    #[must_use]
    pub fn provider(&self) -> ExecutionProvider {
        self.provider
    }

    fn data(&self, name: &str, batch: &TrainBatch) -> Result<Option<DynValue>> {
        let (rows, cells) = ([self.options.batch], [self.options.batch, self.config.seq_len]);
        let value = match name {
            "tokens" => checked("tokens", &cells, &batch.tokens)?,
            "labels" => checked("labels", &cells, &batch.labels)?,
            "puzzle_ids" => checked("puzzle_ids", &rows, &batch.puzzle_ids)?,
            "reset" => checked("reset", &rows, &batch.reset)?,
            "last_step" => checked("last_step", &rows, &batch.last_step)?,
            name => match name.strip_suffix(".sum") {
                Some(parameter) if !self.gradients.contains_key(&format!("{parameter}.grad")) => {
                    let shape = self.values[parameter].shape();
                    let shape = shape.iter().map(|&size| size as usize).collect::<Vec<_>>();
                    dyn_tensor(&shape, vec![0.0_f32; shape.iter().product()])?
                }
                _ => return Ok(None),
            },
        };
        Ok(Some(value))
    }
}

impl TrainRuntime for GraphTraining {
    fn name(&self) -> &'static str {
        "graph"
    }

    fn flops(&self) -> u64 {
        self.step.flops
    }

    fn step(&mut self, group: usize, batch: &TrainBatch) -> Result<TrainOutput> {
        let mut given = BTreeMap::new();
        for name in &self.step.inputs {
            if let Some(value) = self.data(name, batch)? {
                given.insert(name.clone(), value);
            }
        }
        let [z_h, z_l] = &self.carry[group];
        let found = |name: &str| match name {
            "z_h" => Some(z_h),
            "z_l" => Some(z_l),
            name => given.get(name).or_else(|| self.values.get(name)).or_else(|| {
                let parameter = name.strip_suffix(".sum")?;
                self.gradients.get(&format!("{parameter}.grad"))
            }),
        };
        let mut outputs = self.step.run(&found)?;
        let output = TrainOutput {
            loss: read::<f32>(&outputs, "loss")?.first().copied().unwrap_or(f32::NAN),
            lm_loss: read(&outputs, "lm_loss")?,
            q_loss: read(&outputs, "q_loss")?,
            exact: read(&outputs, "exact")?,
            cells_right: read(&outputs, "cells_right")?,
            q_halt: read(&outputs, "q_halt")?,
            q_continue: read(&outputs, "q_continue")?,
        };
        self.carry[group] = [remove(&mut outputs, "z_h_next")?, remove(&mut outputs, "z_l_next")?];
        self.gradients = outputs.into_iter().filter(|(name, _)| name.strip_suffix(".grad").is_some()).collect();
        for &id in &batch.puzzle_ids {
            if let Some(used) = usize::try_from(id).ok().and_then(|id| self.used.get_mut(id)) {
                *used = true;
            }
        }
        Ok(output)
    }

    fn update(&mut self, input: &UpdateInput) -> Result<Option<f32>> {
        let (options, number) = (&self.options.update, input.step as f64);
        let mut given = BTreeMap::new();
        for (name, value) in [
            ("lr", input.lr),
            ("puzzle_emb_lr", input.puzzle_emb_lr),
            ("bias_correction1", 1.0 - options.beta1.powf(number)),
            ("bias_correction2", 1.0 - options.beta2.powf(number)),
        ] {
            given.insert(name.to_owned(), dyn_tensor(&[], vec![value as f32])?);
        }
        given.insert(format!("{PUZZLE_EMB}.used"), dyn_tensor(&[self.used.len()], self.used.clone())?);
        let found = |name: &str| given.get(name).or_else(|| self.values.get(name)).or_else(|| self.gradients.get(name));
        let mut outputs = self.update.run(&found)?;
        let norm = read::<f32>(&outputs, "grad_norm")?.first().copied();
        remove(&mut outputs, "grad_norm")?;
        for (name, value) in outputs {
            if let Some(name) = name.strip_suffix(".next") {
                self.values.insert(name.to_owned(), value);
            }
        }
        self.gradients.clear();
        self.used.fill(false);
        Ok(norm)
    }

    fn state(&self) -> Result<TrainState> {
        let mut state = TrainState::default();
        for (name, value) in &self.values {
            let tensor = copy(name, value)?;
            if let Some(parameter) = name.strip_suffix(".ema") {
                state.ema.insert(parameter.to_owned(), tensor);
            } else if name.strip_suffix(".m").or(name.strip_suffix(".v")).is_some() {
                state.moments.insert(name.clone(), tensor);
            } else {
                state.weights.insert(name.clone(), tensor);
            }
        }
        Ok(state)
    }

    fn carry(&self) -> Result<[NamedTensor; 2]> {
        let all = |index: usize| -> Result<NamedTensor> {
            let mut data = Vec::new();
            for group in &self.carry {
                data.extend(copy(CARRY[index], &group[index])?.data);
            }
            let shape = [self.options.groups].into_iter().chain(carry_shape(&self.config, self.options.batch));
            Ok(NamedTensor { shape: shape.collect(), data })
        };
        Ok([all(0)?, all(1)?])
    }

    fn set_carry(&mut self, carry: &[NamedTensor; 2]) -> Result<()> {
        let shape = carry_shape(&self.config, self.options.batch);
        let size = shape.iter().product::<usize>();
        for (index, given) in carry.iter().enumerate() {
            let expected = self.options.groups * size;
            if given.data.len() != expected {
                let shape = format!("[groups {}, batch, L, D]", self.options.groups);
                return Err(SolverError::InputLength {
                    tensor: CARRY[index],
                    actual: given.data.len(),
                    expected,
                    shape,
                });
            }
            for (group, data) in self.carry.iter_mut().zip(given.data.chunks_exact(size)) {
                group[index] = dyn_tensor(&shape, data.to_vec())?;
            }
        }
        Ok(())
    }
}

fn carry_shape(config: &TrmConfig, batch: usize) -> [usize; 3] {
    [batch, config.total_len(), config.hidden_size]
}

/// The step and the update, with every output that is used.
fn graphs(config: &TrmConfig, options: &GraphTrainingOptions) -> Result<(Graph, Graph)> {
    let mut step = training_step(
        config,
        &StepOptions {
            batch: options.batch,
            global_batch: options.batch * options.accumulation,
            loss: options.loss,
            accumulate: options.accumulation > 1,
        },
    )?;
    let b = &mut step.builder;
    b.output("loss", step.loss)?;
    for (name, value) in &step.outputs {
        b.output(name, *value)?;
    }
    for (name, gradient) in step.gradients.iter().filter(|(name, _)| !options.frozen.contains(name)) {
        b.output(&format!("{name}.grad"), *gradient)?;
    }
    Ok((step.builder.finish(), update_graph(config, &options.update, &options.frozen)?))
}

/// A graph that ONNX Runtime has loaded.
struct LoadedGraph {
    name: &'static str,
    session: Session,
    flops: u64,
    inputs: Vec<String>,
    /// Outputs with where they are put.
    outputs: Vec<(String, MemoryInfo<'static>)>,
}

impl LoadedGraph {
    fn load(
        engine: &OrtEngine,
        name: &'static str,
        graph: &Graph,
        options: &SessionOptions,
    ) -> Result<(Self, ExecutionProvider)> {
        let bytes = encode(graph, &[]).onnx;
        let (session, provider) = load_plain(engine, name, &bytes, options)?;
        let memory = |output: &str| match provider {
            ExecutionProvider::Cuda | ExecutionProvider::TensorRt
                if !READ.contains(&output) && output != "grad_norm" =>
            {
                let device = options.provider_options.device_id;
                MemoryInfo::new(AllocationDevice::CUDA, device, AllocatorType::Device, MemoryType::Default)
            }
            _ => MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput),
        };
        let outputs = session.outputs().iter().map(|outlet| Ok((outlet.name().to_owned(), memory(outlet.name())?)));
        let outputs = outputs.collect::<::ort::Result<_>>().map_err(|error| failed("find memory", error))?;
        let inputs = session.inputs().iter().map(|outlet| outlet.name().to_owned()).collect();
        Ok((Self { name, session, flops: matmul_flops(&bytes), inputs, outputs }, provider))
    }

    /// Runs the graph. A new binding for every run: one that was used before would write into the values it returned.
    fn run<'a>(&mut self, input: &dyn Fn(&str) -> Option<&'a DynValue>) -> Result<BTreeMap<String, DynValue>> {
        let mut run = || -> ::ort::Result<BTreeMap<String, DynValue>> {
            let mut binding = self.session.create_binding()?;
            for name in &self.inputs {
                let value = input(name).ok_or_else(|| ::ort::Error::new(format!("no value for the input `{name}`")))?;
                binding.bind_input(name, value)?;
            }
            for (name, memory) in &self.outputs {
                binding.bind_output_to_device(name, memory)?;
            }
            let outputs = self.session.run_binding(&binding)?;
            Ok(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        };
        run().map_err(|error| failed(format!("run {}", self.name), error))
    }
}

fn remove(outputs: &mut BTreeMap<String, DynValue>, name: &str) -> Result<DynValue> {
    outputs.remove(name).ok_or_else(|| no_output(name))
}

fn read<T: PrimitiveTensorElementType + Clone>(outputs: &BTreeMap<String, DynValue>, name: &str) -> Result<Vec<T>> {
    let value = outputs.get(name).ok_or_else(|| no_output(name))?;
    let extracted = value.try_extract_tensor::<T>();
    Ok(extracted.map_err(|error| failed(format!("read output `{name}`"), error))?.1.to_vec())
}

/// A copy on the host.
fn copy(name: &str, value: &DynValue) -> Result<NamedTensor> {
    let extract = || -> ::ort::Result<NamedTensor> {
        let tensor = value.view().downcast::<TensorValueType<f32>>()?;
        let on_device = !tensor.memory_info().is_cpu_accessible();
        let moved = if on_device { Some(tensor.to(AllocationDevice::CPU, 0)?) } else { None };
        let (shape, data) = moved.as_ref().unwrap_or(&tensor).extract_tensor();
        Ok(NamedTensor { shape: shape.iter().map(|&size| size as usize).collect(), data: data.to_vec() })
    };
    extract().map_err(|error| failed(format!("read `{name}`"), error))
}

/// An input of the given shape, or what is wrong with its length.
pub(super) fn checked<T: PrimitiveTensorElementType + Clone + Debug + 'static>(
    name: &'static str,
    shape: &[usize],
    data: &[T],
) -> Result<DynValue> {
    let expected = shape.iter().product::<usize>();
    if data.len() != expected {
        let shape = format!("{shape:?}");
        return Err(SolverError::InputLength { tensor: name, actual: data.len(), expected, shape });
    }
    dyn_tensor(shape, data.to_vec())
}

pub(super) fn dyn_tensor<T: PrimitiveTensorElementType + Clone + Debug + 'static>(
    shape: &[usize],
    data: Vec<T>,
) -> Result<DynValue> {
    let tensor = Tensor::from_array((shape.to_vec(), data)).map_err(|error| failed("make a tensor", error))?;
    Ok(tensor.into_dyn())
}

fn take(tensors: &mut BTreeMap<String, NamedTensor>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    match tensors.remove(name) {
        Some(tensor) if tensor.shape == shape => Ok(tensor.data),
        Some(tensor) => Err(bad_state(name, format!("has the shape {:?}, expected {shape:?}", tensor.shape))),
        None => Err(bad_state(name, "is missing".into())),
    }
}

fn bad_state(tensor: &str, problem: String) -> SolverError {
    SolverError::TrainState { tensor: tensor.to_owned(), problem }
}

fn no_output(name: &str) -> SolverError {
    SolverError::Engine {
        engine: "ort",
        action: "read a training graph's outputs".into(),
        source: format!("there is no output `{name}`").into(),
    }
}
