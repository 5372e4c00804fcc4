//! Training a classifier through plain graphs on ONNX Runtime.

use std::collections::BTreeMap;

use ::ort::value::DynValue;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use trm_engine::SessionOptions;
use trm_engine::ort::{ExecutionProvider, OrtEngine, ProviderChoice};
use trm_export::classifier::{ClassifierConfig, classifier_step};
use trm_export::train::{UpdateOptions, parameter_update};

use crate::Result;
use crate::init::truncated_normal;
use crate::runtime::loaded::{LoadedGraph, copy, dyn_tensor, read, remove};

/// Parameters by name, row-major.
pub type ClassifierWeights = BTreeMap<String, Vec<f32>>;

/// Result of a training step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingStep {
    /// Mean cross entropy of the batch.
    pub loss: f32,
    /// Pictures of the batch that were classified rightly.
    pub right: usize,
}

/// A classifier in training, on the CPU.
pub struct ClassifierTraining {
    config: ClassifierConfig,
    batch: usize,
    options: UpdateOptions,
    step: LoadedGraph,
    update: LoadedGraph,
    /// Parameters, moments and averages by input name.
    values: BTreeMap<String, DynValue>,
    steps: i32,
}

impl ClassifierTraining {
    /// Starts from random weights: normal with the deviation `sqrt(2 / inputs)`, biases zero (He, arXiv 1502.01852).
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn new(
        engine: &OrtEngine,
        config: ClassifierConfig,
        batch: usize,
        options: UpdateOptions,
        seed: u64,
    ) -> Result<Self> {
        let session = SessionOptions {
            threads: 1,
            provider: ProviderChoice::Only(ExecutionProvider::Cpu),
            ..SessionOptions::default()
        };
        let step = LoadedGraph::load(engine, "a classifier's step", &classifier_step(&config, batch)?, &session)?;
        let update = parameter_update(&config.parameters(), &options)?;
        let update = LoadedGraph::load(engine, "a classifier's update", &update, &session)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut values = BTreeMap::new();
        for (name, shape) in config.parameters() {
            let count = shape.iter().product();
            let deviation = (2.0 / shape[0] as f64).sqrt();
            let start: Vec<f32> = match shape.len() {
                1 => vec![0.0; count],
                _ => truncated_normal(&mut rng, count, deviation),
            };
            for suffix in [".m", ".v"] {
                values.insert(format!("{name}{suffix}"), dyn_tensor(&shape, vec![0.0_f32; count])?);
            }
            values.insert(format!("{name}.ema"), dyn_tensor(&shape, start.clone())?);
            values.insert(name, dyn_tensor(&shape, start)?);
        }
        Ok(Self { config, batch, options, step, update, values, steps: 0 })
    }

    /// One step with a batch: pictures f32 `[batch, size, size]`, labels `[batch]`.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn step(&mut self, pictures: Vec<f32>, labels: Vec<i32>, lr: f64) -> Result<TrainingStep> {
        self.steps += 1;
        let size = self.config.size;
        let pictures = dyn_tensor(&[self.batch, size, size], pictures)?;
        let labels = dyn_tensor(&[self.batch, 1], labels)?;
        let mut outputs = self.step.run(&|name| match name {
            "pictures" => Some(&pictures),
            "labels" => Some(&labels),
            name => self.values.get(name),
        })?;
        let loss = read::<f32>(&outputs, "loss")?[0];
        let right = read::<i32>(&outputs, "cells_right")?.iter().sum::<i32>() as usize;
        let correction = |beta: f64| (1.0 - beta.powi(self.steps)) as f32;
        let scalars = [
            ("lr", lr as f32),
            ("puzzle_emb_lr", 0.0),
            ("bias_correction1", correction(self.options.beta1)),
            ("bias_correction2", correction(self.options.beta2)),
        ];
        for (name, value) in scalars {
            outputs.insert(name.to_owned(), dyn_tensor(&[], vec![value])?);
        }
        let mut next = self.update.run(&|name| outputs.get(name).or_else(|| self.values.get(name)))?;
        for (name, value) in &mut self.values {
            if let Ok(new) = remove(&mut next, &format!("{name}.next")) {
                *value = new;
            }
        }
        Ok(TrainingStep { loss, right })
    }

    /// A copy of the weights: their moving average where there is one.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn weights(&self) -> Result<ClassifierWeights> {
        let suffix = if self.options.ema.is_some() { ".ema" } else { "" };
        let of = |(name, _): (String, _)| {
            let value = &self.values[&format!("{name}{suffix}")];
            Ok((name.clone(), copy(&name, value)?.data))
        };
        self.config.parameters().into_iter().map(of).collect()
    }
}
