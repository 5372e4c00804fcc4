//! A session of ONNX Runtime's training API.

use std::fs;
use std::path::Path;
use std::ptr::{self, NonNull};

use ::ort::AsPointer as _;
use ::ort::logging::LogLevel;
use ::ort::memory::Allocator;
use ::ort::session::Session;
use ::ort::session::builder::GraphOptimizationLevel;
use ::ort::training::{Checkpoint, Trainer, training_api};
use ::ort::value::DynValue;
use tempfile::TempDir;
use trm_engine::EngineError;
use trm_engine::ort::OrtEngine;
use trm_engine::ort::session::CRASHING_OPTIMIZER;
use trm_export::train::ort_training::{TrainingCheckpoint, TrainingModels};

use crate::{Result, TrainError};

/// Models and checkpoint loaded into the training API.
///
/// ONNX Runtime keeps the weights, adds up the gradients and has the moments; [`Self::checkpoint`] is the way to them.
pub(super) struct TrainingSession {
    trainer: Trainer,
    /// Of the values that a step returns.
    allocator: Allocator,
    outputs: usize,
    inputs: Vec<String>,
    /// The files that the session was made of; exporting reads the evaluation model again. Removed when dropped.
    files: TempDir,
}

/// Returns true if the library that is loaded has the training API.
pub(super) fn is_available() -> bool {
    training_api().is_ok()
}

impl TrainingSession {
    /// Loads the models with the parameters, moments and number of updates of the checkpoint.
    pub(super) fn load(
        engine: &OrtEngine,
        models: &TrainingModels,
        checkpoint: &TrainingCheckpoint,
        threads: usize,
    ) -> Result<Self> {
        training_api().map_err(|_| TrainError::NoTrainingApi { library: engine.library().to_path_buf() })?;
        let files = tempfile::Builder::new().prefix("trm-ort-training").tempdir().map_err(disk)?;
        let write = |name: &str, bytes: &[u8]| -> Result<_> {
            let path = files.path().join(name);
            fs::write(&path, bytes).map_err(disk)?;
            Ok(path)
        };
        let training = write("training.onnx", &models.training)?;
        let eval = write("eval.onnx", &models.eval)?;
        let optimizer = write("optimizer.onnx", &models.optimizer)?;
        let checkpoint = write("checkpoint", &checkpoint.to_bytes()?)?;
        let build = || -> ::ort::Result<Trainer> {
            let builder = Session::builder(engine.environment())?
                .with_log_level(LogLevel::Fatal)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_disabled_optimizers(CRASHING_OPTIMIZER)?
                .with_intra_threads(threads)?;
            let checkpoint = Checkpoint::load(checkpoint)?;
            Trainer::new(builder, Allocator::default(), checkpoint, training, eval, optimizer)
        };
        let trainer = build().map_err(|error| failed("load the training models", error))?;
        let (outputs, inputs) = (models.outputs.len(), models.inputs.clone());
        Ok(Self { trainer, allocator: Allocator::default(), outputs, inputs, files })
    }

    /// Runs forward and backward pass and adds the gradients to those since the last reset. The inputs must be those
    /// of [`TrainingModels::inputs`], in their order; the outputs are in the order of [`TrainingModels::outputs`].
    pub(super) fn step(&mut self, inputs: &[&DynValue]) -> Result<Vec<DynValue>> {
        assert_eq!(inputs.len(), self.inputs.len(), "a training step takes {:?}", self.inputs);
        let step = || {
            let api = training_api()?;
            let inputs = inputs.iter().map(|value| value.ptr()).collect::<Vec<_>>();
            let mut outputs = vec![ptr::null_mut(); self.outputs];
            // ort's own `Trainer::step` cannot wrap what comes back (it names no allocator, which panics).
            //
            // SAFETY: the session is live as long as `self.trainer`, and `&mut self` keeps a second step away. Both
            // arrays have the lengths given with them; `inputs` points to values borrowed for the whole call, which
            // ONNX Runtime reads; it writes a new value or null into each place of `outputs`, and fails without
            // running anything when a length is not the model's. RunOptions may be null.
            #[expect(unsafe_code, reason = "ort::training::Trainer::step panics")]
            let status = unsafe {
                ::ort::Error::result_from_status((api.TrainStep)(
                    self.trainer.ptr().cast_mut(),
                    ptr::null(),
                    inputs.len(),
                    inputs.as_ptr(),
                    outputs.len(),
                    outputs.as_mut_ptr(),
                ))
            };
            status.map(|()| outputs.into_iter().map(|output| self.own(output)).collect::<Vec<_>>())
        };
        let outputs = step().map_err(|error| failed("run a training step", error))?;
        let failed = || EngineError::Failed {
            engine: NAME,
            action: "run a training step".into(),
            source: "an output was not computed".into(),
        };
        Ok(outputs.into_iter().collect::<Option<Vec<_>>>().ok_or_else(failed)?)
    }

    /// Takes over a value that a successful step returned.
    fn own(&self, value: *mut ::ort::sys::OrtValue) -> Option<DynValue> {
        let value = NonNull::new(value)?;
        // SAFETY: TrainStep hands each value that it returns over to the caller, once; models of this crate return
        // tensors on the processor, whose allocator is the default one. They do not depend on the session.
        #[expect(unsafe_code, reason = "ort::training::Trainer::step panics")]
        let value = unsafe { DynValue::from_ptr(value, Some(&self.allocator)) };
        Some(value)
    }

    /// One update of all parameters; the next step's gradients replace those added up so far.
    pub(super) fn update(&mut self, learning_rate: f32) -> Result<()> {
        let mut optimizer = self.trainer.optimizer();
        let mut update = || {
            optimizer.set_lr(learning_rate)?;
            optimizer.step()?;
            optimizer.reset_grad()
        };
        update().map_err(|error| failed("update the parameters", error))
    }

    /// A copy of one parameter.
    pub(super) fn parameter(&self, name: &str) -> Result<Vec<f32>> {
        let copy = || {
            let value = self.trainer.checkpoint().get_parameter(name, &self.allocator)?;
            value.try_extract_tensor::<f32>().map(|(_, data)| data.to_vec())
        };
        copy().map_err(|error| failed(format!("read parameter `{name}`"), error))
    }

    /// Parameters, moments and number of updates.
    pub(super) fn checkpoint(&self) -> Result<TrainingCheckpoint> {
        let path = self.files.path().join("saved");
        self.save(&path)?;
        let bytes = fs::read(&path).map_err(disk)?;
        fs::remove_file(&path).map_err(disk)?;
        Ok(TrainingCheckpoint::from_bytes(&bytes, &path)?)
    }

    /// Writes a checkpoint of the training API.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let saved = self.trainer.checkpoint().save(path, true);
        saved.map_err(|error| failed(format!("save {}", path.display()), error))
    }

    /// Writes the forward pass as an ONNX file with the present parameters inside.
    pub(super) fn export(&self, path: &Path, outputs: &[&str]) -> Result<()> {
        let exported = self.trainer.export(path, outputs);
        exported.map_err(|error| failed(format!("export {}", path.display()), error))
    }
}

/// The engine's name in messages.
pub(super) const NAME: &str = "ort-training";

pub(super) fn failed(action: impl Into<String>, source: ::ort::Error) -> TrainError {
    EngineError::Failed { engine: NAME, action: action.into(), source: Box::new(source) }.into()
}

fn disk(source: std::io::Error) -> TrainError {
    EngineError::Failed { engine: NAME, action: "use a temporary folder".into(), source: Box::new(source) }.into()
}
