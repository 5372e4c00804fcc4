//! Training through plain graphs, on any ONNX Runtime: one graph for a supervision step, one for an update.
//!
//! Parameters, moments, moving average, gradients and carries are values of ONNX Runtime, on the device that computes:
//! what one run returns goes into the next one as it is. A model without positions has a step's graph for every size of
//! puzzles that it learns, and one set of parameters.

pub(crate) mod loaded;
mod memory;
mod split;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;

use ::ort::value::DynValue;
use trm_engine::ort::{Device, ExecutionProvider, OrtEngine, ProviderChoice};
use trm_engine::{EngineError, SessionOptions};
use trm_export::onnx::Graph;
use trm_export::train::{
    LossKind, PUZZLE_EMB, StepOptions, UpdateOptions, trained_layout, training_step, update_graph,
};
use trm_models::TrmConfig;

use self::loaded::{LoadedGraph, copy, dyn_tensor, read, remove};
use self::split::Split;
use self::worker::{Part, Worker, sum_gradients};
use super::{NamedTensor, TrainBatch, TrainOutput, TrainRuntime, TrainState, UpdateInput};
use crate::{Result, TrainError};

/// Sizes and settings that the graphs are built for.
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
    /// Rows that a thread computes at once; 0: as many as its cache holds. The batch must be a multiple. A GPU takes them
    /// all.
    pub rows: usize,
    /// Most bytes that the process may take, by an estimate: fewer rows at once, then fewer threads, where more would be over
    /// it. On a CPU.
    pub max_memory: Option<usize>,
    /// Threads, provider and its settings; the batch in it is not read.
    pub session: SessionOptions,
}

/// Plain graphs as a [`TrainRuntime`].
pub struct GraphTraining {
    options: GraphTrainingOptions,
    provider: ExecutionProvider,
    sizes: Vec<Size>,
    update: LoadedGraph,
    /// Inputs of the update by name: parameters, moments, averages; and the buffers.
    values: BTreeMap<String, DynValue>,
    /// Zeros that sums of gradients begin with, by `NAME.sum`.
    zeros: BTreeMap<String, DynValue>,
    groups: Vec<Group>,
    /// Rows of the puzzle embedding that were used since the last update.
    used: Vec<bool>,
}

/// The step of one size of puzzles.
struct Size {
    config: TrmConfig,
    split: Split,
    workers: Vec<Worker>,
}

/// A carry group.
struct Group {
    /// The number of its size.
    size: usize,
    /// `z_h` and `z_l` of its parts, `[rows, L, D]`.
    carry: Vec<[DynValue; 2]>,
}

impl Group {
    /// A group whose states are zeros.
    fn empty(number: usize, size: &Size) -> Result<Self> {
        let shape = carry_shape(&size.config, size.split.rows);
        let zeros = || dyn_tensor(&shape, vec![0.0_f32; shape.iter().product()]);
        let carry = (0..size.split.parts).map(|_| Ok([zeros()?, zeros()?])).collect::<Result<_>>()?;
        Ok(Self { size: number, carry })
    }
}

/// The carry's inputs.
const CARRY: [&str; 2] = ["z_h", "z_l"];

impl GraphTraining {
    /// Builds the graphs for puzzles of these sizes and starts from `state`; without moments and moving average, from zero
    /// moments and an average that is the weights. All groups have the first size. Carries hold nothing until a group's rows
    /// are reset, or [`TrainRuntime::set_carry`].
    ///
    /// # Errors
    /// Those of ONNX Runtime; [`TrainError::TrainState`] when a tensor is missing or of another shape.
    pub fn new(
        engine: &OrtEngine,
        sizes: &[TrmConfig],
        mut state: TrainState,
        options: GraphTrainingOptions,
    ) -> Result<Self> {
        let (sizes, provider) = load_sizes(engine, sizes, &options)?;
        let config = &sizes[0].config;
        let update = update_graph(config, &options.update, &options.frozen)?;
        let session = SessionOptions { provider: ProviderChoice::Only(provider), ..options.session.clone() };
        let update = LoadedGraph::load(engine, "the optimizer update", &update, &session)?;
        let mut values = BTreeMap::new();
        for tensor in trained_layout(config, options.update.wave) {
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
        let groups = (0..options.groups).map(|_| Group::empty(0, &sizes[0])).collect::<Result<_>>()?;
        let inputs = sizes.iter().flat_map(|size| &size.workers[0].graph.inputs).collect::<BTreeSet<_>>();
        let sums = inputs.into_iter().filter_map(|name| Some((name, values.get(name.strip_suffix(".sum")?)?)));
        let zeros = sums.map(|(name, parameter)| {
            let shape = parameter.shape().iter().map(|&size| size as usize).collect::<Vec<_>>();
            Ok((name.clone(), dyn_tensor(&shape, vec![0.0_f32; shape.iter().product()])?))
        });
        let zeros = zeros.collect::<Result<_>>()?;
        let used = vec![false; config.num_puzzle_identifiers];
        Ok(Self { options, provider, sizes, update, values, zeros, groups, used })
    }

    /// The execution provider that runs the graphs.
    #[must_use]
    pub fn provider(&self) -> ExecutionProvider {
        self.provider
    }
}

impl TrainRuntime for GraphTraining {
    fn name(&self) -> &'static str {
        "graph"
    }

    fn flops(&self, group: usize) -> u64 {
        let size = &self.sizes[self.groups[group].size];
        size.workers[0].graph.flops * size.split.parts as u64
    }

    fn assign(&mut self, group: usize, size: usize) -> Result<()> {
        if self.groups[group].size != size {
            self.groups[group] = Group::empty(size, &self.sizes[size])?;
        }
        Ok(())
    }

    fn step(&mut self, group: usize, batch: &TrainBatch) -> Result<TrainOutput> {
        let Group { size, carry } = &mut self.groups[group];
        let Size { config, split, workers } = &mut self.sizes[*size];
        let (rows, seq_len, each) = (split.rows, config.seq_len, split.parts_each());
        worker::check(batch, self.options.batch, seq_len)?;
        let (values, zeros) = (&self.values, &self.zeros);
        let shared = move |name: &str| values.get(name).or_else(|| zeros.get(name));
        let parts = carry.iter_mut().enumerate();
        let mut parts = parts.map(|(index, carry)| Part { rows: index * rows..(index + 1) * rows, carry });
        let shares = workers.iter_mut().map(|worker| {
            let share = parts.by_ref().take(each).collect::<Vec<_>>();
            move || worker.step(&shared, batch, seq_len, share)
        });
        let outputs = in_parallel(shares.collect())?;
        let output = worker::joined(outputs.into_iter().flatten()).ok_or_else(|| loaded::no_output("loss"))?;
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
        let gradients = sum_gradients(self.sizes.iter_mut().flat_map(|size| &mut size.workers))?;
        let found = |name: &str| given.get(name).or_else(|| self.values.get(name)).or_else(|| gradients.get(name));
        let mut outputs = self.update.run(&found)?;
        let norm = read::<f32>(&outputs, "grad_norm")?.first().copied();
        remove(&mut outputs, "grad_norm")?;
        for (name, value) in outputs {
            if let Some(name) = name.strip_suffix(".next") {
                self.values.insert(name.to_owned(), value);
            }
        }
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
            for part in self.groups.iter().flat_map(|group| &group.carry) {
                data.extend(copy(CARRY[index], &part[index])?.data);
            }
            Ok(NamedTensor { shape: vec![data.len()], data })
        };
        Ok([all(0)?, all(1)?])
    }

    fn set_carry(&mut self, carry: &[NamedTensor; 2]) -> Result<()> {
        let shapes = self.groups.iter().flat_map(|group| {
            let Size { config, split, .. } = &self.sizes[group.size];
            vec![carry_shape(config, split.rows); split.parts]
        });
        let shapes = shapes.collect::<Vec<_>>();
        let expected = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        for (index, given) in carry.iter().enumerate() {
            if given.data.len() != expected {
                let (tensor, shape) = (CARRY[index], "[batch, L, D] of each group".to_owned());
                return Err(EngineError::InputLength { tensor, actual: given.data.len(), expected, shape }.into());
            }
            let mut rest = given.data.as_slice();
            for (part, shape) in self.groups.iter_mut().flat_map(|group| &mut group.carry).zip(&shapes) {
                let (data, others) = rest.split_at(shape.iter().product());
                part[index] = dyn_tensor(shape, data.to_vec())?;
                rest = others;
            }
        }
        Ok(())
    }
}

fn carry_shape(config: &TrmConfig, batch: usize) -> [usize; 3] {
    [batch, config.total_len(), config.hidden_size]
}

/// Runs each on a thread of its own; a single one here.
fn in_parallel<T: Send>(mut jobs: Vec<impl FnOnce() -> Result<T> + Send>) -> Result<Vec<T>> {
    if jobs.len() == 1 {
        return jobs.remove(0)().map(|result| vec![result]);
    }
    std::thread::scope(|scope| {
        let threads = jobs.into_iter().map(|job| scope.spawn(job)).collect::<Vec<_>>();
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        results.collect()
    })
}

/// The steps of all sizes, on the provider that the first one's works on.
fn load_sizes(
    engine: &OrtEngine,
    sizes: &[TrmConfig],
    options: &GraphTrainingOptions,
) -> Result<(Vec<Size>, ExecutionProvider)> {
    let mut options = options.clone();
    let mut loaded = Vec::with_capacity(sizes.len());
    let mut chosen = ExecutionProvider::Cpu;
    for config in sizes {
        let (workers, split, provider) = load_steps(engine, config, &options)?;
        options.session.provider = ProviderChoice::Only(provider);
        chosen = provider;
        loaded.push(Size { config: config.clone(), split, workers });
    }
    Ok((loaded, chosen))
}

/// The step graph for each worker, on the first of the chosen providers that works: all rows at once on a GPU, else dealt
/// out.
fn load_steps(
    engine: &OrtEngine,
    config: &TrmConfig,
    options: &GraphTrainingOptions,
) -> Result<(Vec<Worker>, Split, ExecutionProvider)> {
    let threads = options.session.resolved_threads();
    let mut failure = None;
    for provider in options.session.provider.candidates() {
        let build = |split: &Split| step_graph(config, options, split);
        let (split, step) = if provider.device() == Device::Processor {
            memory::fit(config, options, Split::new(config, options.batch, threads, options.rows)?, build)?
        } else {
            let split = Split::whole(options.batch, threads);
            (split, build(&split)?)
        };
        let provider_only = ProviderChoice::Only(provider);
        let session = SessionOptions { threads: split.threads, provider: provider_only, ..options.session.clone() };
        let load = || Ok(Worker::new(LoadedGraph::load(engine, "the training step", &step, &session)?));
        match (0..split.workers).map(|_| load()).collect::<Result<_>>() {
            Ok(workers) => return Ok((workers, split, provider)),
            Err(error @ TrainError::Engine(EngineError::Provider { .. })) => failure = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(failure.unwrap_or_else(|| unreachable!("a provider choice names at least one provider")))
}

/// The step of one part, with every output that is used.
fn step_graph(config: &TrmConfig, options: &GraphTrainingOptions, split: &Split) -> Result<Graph> {
    let mut step = training_step(
        config,
        &StepOptions {
            batch: split.rows,
            global_batch: options.batch * options.accumulation,
            loss: options.loss,
            accumulate: options.accumulation * split.parts_each() > 1,
            wave: options.update.wave,
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
    Ok(step.builder.finish())
}

fn take(tensors: &mut BTreeMap<String, NamedTensor>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    match tensors.remove(name) {
        Some(tensor) if tensor.shape == shape => Ok(tensor.data),
        Some(tensor) => Err(bad_state(name, format!("has the shape {:?}, expected {shape:?}", tensor.shape))),
        None => Err(bad_state(name, "is missing".into())),
    }
}

fn bad_state(tensor: &str, problem: String) -> TrainError {
    TrainError::TrainState { tensor: tensor.to_owned(), problem }
}
