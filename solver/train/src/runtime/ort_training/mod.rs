//! Training through ONNX Runtime's own training API.
//!
//! The API knows `AdamW` for all parameters alike. The puzzle embedding, which has a rule and a learning rate of its own,
//! is kept here: it goes into each step as an input, its gradient comes back as an output, and sign-SGD is done here.
//! So is the moving average. The carry of each group is an input and an output of the training model.

mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::ort::value::{DynValue, PrimitiveTensorElementType, Tensor};
use trm_engine::EngineError;
use trm_engine::ort::OrtEngine;
use trm_export::train::ort_training::{TrainedTensor, TrainingCheckpoint, TrainingModels, gradient_output};

use self::session::{NAME, TrainingSession, failed};
use super::{NamedTensor, TrainBatch, TrainOutput, TrainRuntime, TrainState, UpdateInput, matmul_flops};
use crate::{Result, TrainError};

/// Shapes of a run, and the settings of what is not left to ONNX Runtime.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrtTrainingOptions {
    /// Rows of a batch.
    pub batch: usize,
    /// Carry groups.
    pub groups: usize,
    /// Cells of a puzzle.
    pub seq_len: usize,
    /// Positions `L` of the carry, prefix included.
    pub positions: usize,
    /// Width `D` of the carry.
    pub hidden_size: usize,
    /// Threads; 0 lets ONNX Runtime choose.
    pub threads: usize,
    /// Rate of the moving average; 0 keeps none.
    pub ema: f64,
    /// Decoupled weight decay of the puzzle embedding.
    pub puzzle_emb_weight_decay: f64,
}

/// ONNX Runtime's training API as a [`TrainRuntime`].
pub struct OrtTraining {
    options: OrtTrainingOptions,
    session: TrainingSession,
    flops: u64,
    /// Names of the training model's inputs and outputs, in order.
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// `z_h` and `z_l` of each group.
    carry: Vec<[DynValue; 2]>,
    /// Parameters updated here, with their gradients since the last update.
    outside: BTreeMap<String, Outside>,
    /// Tensors of the state dict that are not trained.
    constants: BTreeMap<String, NamedTensor>,
    /// Moving average of the parameters that ONNX Runtime has; the public code averages no puzzle embedding.
    ema: BTreeMap<String, NamedTensor>,
}

/// A table that is updated row by row: the puzzle embedding.
struct Outside {
    value: NamedTensor,
    gradient: Vec<f32>,
    /// Rows used since the last update: only they change.
    rows: BTreeSet<usize>,
}

impl OrtTraining {
    /// Returns true if the library that is loaded has the training API.
    #[must_use]
    pub fn is_available() -> bool {
        session::is_available()
    }

    /// Starts from `state`, of which `updates` updates have been done.
    ///
    /// # Errors
    /// [`TrainError::NoTrainingApi`] when the loaded library has no training API; those of ONNX Runtime when it
    /// refuses a model; [`TrainError::TrainState`] when `state` lacks a parameter, or has only some of the moments.
    pub fn new(
        engine: &OrtEngine,
        models: &TrainingModels,
        mut state: TrainState,
        updates: u64,
        options: OrtTrainingOptions,
    ) -> Result<Self> {
        let mut take = |name: &String| {
            state.weights.remove(name).ok_or_else(|| bad_state(name, "is missing among the weights".into()))
        };
        let mut parameters = Vec::new();
        for name in &models.parameters {
            let NamedTensor { shape, data } = take(name)?;
            parameters.push(TrainedTensor { name: name.clone(), shape, data, moments: None });
        }
        let mut outside = BTreeMap::new();
        for name in &models.outside {
            let value = take(name)?;
            let gradient = vec![0.0; value.data.len()];
            outside.insert(name.clone(), Outside { value, gradient, rows: BTreeSet::new() });
        }
        if !state.moments.is_empty() {
            for parameter in &mut parameters {
                parameter.moments = Some(take_moments(&mut state.moments, parameter)?);
            }
        }
        if options.ema > 0.0 && state.ema.is_empty() {
            let own = parameters
                .iter()
                .map(|p| (p.name.clone(), NamedTensor { shape: p.shape.clone(), data: p.data.clone() }));
            state.ema = own.collect();
        }
        let checkpoint = TrainingCheckpoint { parameters, step: updates as i64, learning_rate: 0.0 };
        let session = TrainingSession::load(engine, models, &checkpoint, options.threads)?;
        let zeros = || tensor(&options.carry_shape(), vec![0.0_f32; options.carry_len()]);
        let carry = (0..options.groups).map(|_| Ok([zeros()?, zeros()?])).collect::<Result<_>>()?;
        Ok(Self {
            options,
            session,
            flops: matmul_flops(&models.training),
            inputs: models.inputs.clone(),
            outputs: models.outputs.clone(),
            carry,
            outside,
            constants: state.weights,
            ema: if options.ema > 0.0 { state.ema } else { BTreeMap::new() },
        })
    }

    /// Writes a checkpoint in the training API's own format: parameters, moments, number of updates.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.session.save(path)
    }

    /// Writes the forward pass with the present parameters inside, for inference: the named outputs and what they need.
    /// A puzzle embedding stays an input.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn export(&self, path: &Path, outputs: &[&str]) -> Result<()> {
        self.session.export(path, outputs)
    }

    fn input(&self, name: &str, batch: &TrainBatch) -> Result<DynValue> {
        let options = &self.options;
        let (rows, cells) = ([options.batch], [options.batch, options.seq_len]);
        match name {
            "tokens" => checked("tokens", &cells, &batch.tokens),
            "labels" => checked("labels", &cells, &batch.labels),
            "puzzle_ids" => checked("puzzle_ids", &rows, &batch.puzzle_ids),
            "reset" => checked("reset", &rows, &batch.reset),
            "last_step" => checked("last_step", &rows, &batch.last_step),
            other => match self.outside.get(other).map(|table| &table.value).or(self.constants.get(other)) {
                Some(value) => tensor(&value.shape, value.data.clone()),
                None => Err(bad_model(format!("it takes an input `{other}` that training does not know"))),
            },
        }
    }

    /// Adds up the gradients of the parameters that are updated here.
    fn collect_gradients(&mut self, outputs: &Outputs, batch: &TrainBatch) -> Result<()> {
        for (name, table) in &mut self.outside {
            let gradient = outputs.get::<f32>(&gradient_output(name))?;
            if gradient.len() != table.gradient.len() {
                return Err(bad_model(format!("the gradient of `{name}` has {} elements", gradient.len())));
            }
            for (sum, value) in table.gradient.iter_mut().zip(gradient) {
                *sum += value;
            }
            table.rows.extend(batch.puzzle_ids.iter().filter_map(|&id| usize::try_from(id).ok()));
        }
        Ok(())
    }

    fn update_average(&mut self) -> Result<()> {
        let keep = self.options.ema as f32;
        for (name, average) in &mut self.ema {
            for (average, value) in average.data.iter_mut().zip(self.session.parameter(name)?) {
                *average = keep * *average + (1.0 - keep) * value;
            }
        }
        Ok(())
    }
}

impl TrainRuntime for OrtTraining {
    fn name(&self) -> &'static str {
        NAME
    }

    fn flops(&self, _group: usize) -> u64 {
        self.flops
    }

    /// There is one size.
    fn assign(&mut self, _group: usize, _size: usize) -> Result<()> {
        Ok(())
    }

    fn step(&mut self, group: usize, batch: &TrainBatch) -> Result<TrainOutput> {
        let mut given = BTreeMap::new();
        for name in self.inputs.iter().filter(|name| !CARRY.contains(&name.as_str())) {
            given.insert(name.as_str(), self.input(name, batch)?);
        }
        let [z_h, z_l] = &self.carry[group];
        let carry = BTreeMap::from([(CARRY[0], z_h), (CARRY[1], z_l)]);
        // Each name is in one of the two maps.
        let inputs =
            self.inputs.iter().map(|name| carry.get(name.as_str()).copied().unwrap_or_else(|| &given[name.as_str()]));
        let values = self.session.step(&inputs.collect::<Vec<_>>())?;
        let mut outputs = Outputs(self.outputs.iter().cloned().zip(values).collect());
        self.collect_gradients(&outputs, batch)?;
        let output = TrainOutput {
            loss: outputs.get::<f32>("loss")?.first().copied().unwrap_or(f32::NAN),
            lm_loss: outputs.get("lm_loss")?,
            q_loss: outputs.get("q_loss")?,
            exact: outputs.get("exact")?,
            cells_right: outputs.get("cells_right")?,
            q_halt: outputs.get("q_halt")?,
            q_continue: outputs.get("q_continue")?,
        };
        self.carry[group] = [outputs.take("z_h_next")?, outputs.take("z_l_next")?];
        Ok(output)
    }

    /// The API counts the updates itself, from the number that this runtime was started with; `input.step` is not read. It
    /// tells no norm.
    fn update(&mut self, input: &UpdateInput) -> Result<Option<f32>> {
        self.session.update(input.lr as f32)?;
        let (rate, decay) = (input.puzzle_emb_lr, self.options.puzzle_emb_weight_decay);
        for table in self.outside.values_mut() {
            table.update(rate as f32, (1.0 - rate * decay) as f32);
        }
        self.update_average()?;
        Ok(None)
    }

    fn state(&self) -> Result<TrainState> {
        let checkpoint = self.session.checkpoint()?;
        let mut weights = self.constants.clone();
        let mut moments = BTreeMap::new();
        for TrainedTensor { name, shape, data, moments: both } in checkpoint.parameters {
            if let Some([first, second]) = both {
                moments.insert(format!("{name}.m"), NamedTensor { shape: shape.clone(), data: first });
                moments.insert(format!("{name}.v"), NamedTensor { shape: shape.clone(), data: second });
            }
            weights.insert(name, NamedTensor { shape, data });
        }
        weights.extend(self.outside.iter().map(|(name, table)| (name.clone(), table.value.clone())));
        Ok(TrainState { weights, moments, ema: self.ema.clone() })
    }

    fn carry(&self) -> Result<[NamedTensor; 2]> {
        let all = |index: usize| -> Result<NamedTensor> {
            let mut data = Vec::with_capacity(self.options.groups * self.options.carry_len());
            for group in &self.carry {
                data.extend_from_slice(elements::<f32>(CARRY[index], &group[index])?);
            }
            Ok(NamedTensor { shape: vec![data.len()], data })
        };
        Ok([all(0)?, all(1)?])
    }

    fn set_carry(&mut self, carry: &[NamedTensor; 2]) -> Result<()> {
        let shape = self.options.carry_shape();
        let size = self.options.carry_len();
        for (index, given) in carry.iter().enumerate() {
            let expected = self.options.groups * size;
            if given.data.len() != expected {
                let shape = format!("[groups {}, batch, L, D]", self.options.groups);
                return Err(EngineError::InputLength {
                    tensor: CARRY[index],
                    actual: given.data.len(),
                    expected,
                    shape,
                }
                .into());
            }
            for (group, data) in self.carry.iter_mut().zip(given.data.chunks_exact(size)) {
                group[index] = tensor(&shape, data.to_vec())?;
            }
        }
        Ok(())
    }
}

/// The carry's inputs.
const CARRY: [&str; 2] = ["z_h", "z_l"];

impl OrtTrainingOptions {
    fn carry_shape(&self) -> [usize; 3] {
        [self.batch, self.positions, self.hidden_size]
    }

    fn carry_len(&self) -> usize {
        self.carry_shape().iter().product()
    }
}

impl Outside {
    /// Sign-SGD of the rows that were used: `w = keep · w - rate · sign(gradient)`.
    fn update(&mut self, rate: f32, keep: f32) {
        let width = self.value.shape.iter().skip(1).product::<usize>();
        for row in std::mem::take(&mut self.rows) {
            let range = row * width..(row + 1) * width;
            for (value, gradient) in self.value.data[range.clone()].iter_mut().zip(&mut self.gradient[range]) {
                let sign = if *gradient == 0.0 { 0.0 } else { gradient.signum() };
                *value = keep * *value - rate * sign;
                *gradient = 0.0;
            }
        }
    }
}

/// Outputs of a step, by name.
struct Outputs(BTreeMap<String, DynValue>);

impl Outputs {
    fn value(&self, name: &str) -> Result<&DynValue> {
        self.0.get(name).ok_or_else(|| bad_model(format!("it has no output `{name}`")))
    }

    fn get<T: PrimitiveTensorElementType + Clone>(&self, name: &str) -> Result<Vec<T>> {
        elements(name, self.value(name)?).map(<[T]>::to_vec)
    }

    fn take(&mut self, name: &str) -> Result<DynValue> {
        self.0.remove(name).ok_or_else(|| bad_model(format!("it has no output `{name}`")))
    }
}

fn elements<'a, T: PrimitiveTensorElementType>(name: &str, value: &'a DynValue) -> Result<&'a [T]> {
    let extracted = value.try_extract_tensor::<T>().map(|(_, data)| data);
    extracted.map_err(|error| failed(format!("read output `{name}`"), error))
}

/// Makes an input of the given shape; an error if it has another number of elements.
fn checked<T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static>(
    name: &'static str,
    shape: &[usize],
    data: &[T],
) -> Result<DynValue> {
    let expected = shape.iter().product::<usize>();
    if data.len() != expected {
        let shape = format!("{shape:?}");
        return Err(EngineError::InputLength { tensor: name, actual: data.len(), expected, shape }.into());
    }
    tensor(shape, data.to_vec())
}

fn tensor<T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static>(
    shape: &[usize],
    data: Vec<T>,
) -> Result<DynValue> {
    let tensor = Tensor::from_array((shape.to_vec(), data)).map_err(|error| failed("make a tensor", error))?;
    Ok(tensor.into_dyn())
}

fn take_moments(moments: &mut BTreeMap<String, NamedTensor>, parameter: &TrainedTensor) -> Result<[Vec<f32>; 2]> {
    let mut take = |suffix: &str| {
        let name = format!("{}.{suffix}", parameter.name);
        moments
            .remove(&name)
            .map(|tensor| tensor.data)
            .ok_or_else(|| bad_state(&name, "is missing among the moments".into()))
    };
    Ok([take("m")?, take("v")?])
}

fn bad_state(tensor: &str, problem: String) -> TrainError {
    TrainError::TrainState { tensor: tensor.to_owned(), problem }
}

/// The training model is not one of this crate's.
fn bad_model(problem: String) -> TrainError {
    EngineError::Failed { engine: NAME, action: "use the training model".into(), source: problem.into() }.into()
}
