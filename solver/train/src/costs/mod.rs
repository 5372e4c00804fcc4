//! Learning what ground costs from drives: a planner searches over what the network believes, and where it goes another way than
//! was driven, that way becomes dearer and the driven one cheaper.
//!
//! The derivative of the loss by a cell's cost is what was driven through it less what the planner drives through it: the
//! subgradient of maximum-margin planning (Ratliff, Bagnell, Zinkevich 2006), and with noise on the costs that of maximum
//! entropy (perturb and maximise: Berthet et al., arXiv 2002.08676).

mod lessons;
mod run;
mod settings;
mod teacher;

use std::collections::BTreeMap;

use ::ort::value::DynValue;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use trm_engine::SessionOptions;
use trm_engine::ort::{ExecutionProvider, OrtEngine, ProviderChoice};
use trm_export::cost_network::{CostNetwork, cost_forward, cost_step};
use trm_export::train::{UpdateOptions, UpdateRule, parameter_update};
use trm_plan::learned::Stretch;
use trm_solver::costs::CostWeights;

pub use self::lessons::Lesson;
pub use self::run::{CostWatch, LearnedCosts, learn_costs};
pub use self::settings::CostSettings;
pub use self::teacher::{CostLoss, Likeness};
use self::teacher::{likeness, pull};
use crate::Result;
use crate::init::truncated_normal;
use crate::runtime::loaded::{LoadedGraph, copy, dyn_tensor, read, remove};

/// Settings of a training of costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostTrainingOptions {
    /// Stretches of drives in a step.
    pub batch: usize,
    /// Model's cells along a side of their windows.
    pub side: usize,
    /// Metres that a metre at the level 1 costs beyond itself.
    pub factor: f64,
    /// The lesson of a drive.
    pub loss: CostLoss,
    /// Decay of all weights.
    pub weight_decay: f64,
    /// Threads within an operator; 0 for one a core.
    pub threads: usize,
    /// Seed of the weights.
    pub seed: u64,
}

impl Default for CostTrainingOptions {
    fn default() -> Self {
        Self { batch: 4, side: 64, factor: 15.0, loss: CostLoss::Margin, weight_decay: 0.05, threads: 0, seed: 0 }
    }
}

/// Result of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostStep {
    /// Mean of the drives' costs by those of the planner's paths, less 1.
    pub excess: f64,
    /// Mean level of the windows' cells.
    pub level: f64,
    /// Norm of the gradient, before it is clipped.
    pub grad_norm: f64,
}

/// Rates of the moments, and of the moving average.
const UPDATE: UpdateOptions = UpdateOptions {
    wave: false,
    rule: UpdateRule::AdamW { eps: 1e-8 },
    beta1: 0.9,
    beta2: 0.98,
    weight_decay: 0.0,
    puzzle_emb_weight_decay: 0.0,
    clip_grad_norm: Some(1.0),
    ema: Some(0.98),
};

/// A network of costs in training, on the CPU.
pub struct CostTraining {
    network: CostNetwork,
    options: CostTrainingOptions,
    forward: LoadedGraph,
    step: LoadedGraph,
    update: LoadedGraph,
    /// Tensors, moments and averages by input name.
    values: BTreeMap<String, DynValue>,
    rng: ChaCha8Rng,
    steps: i32,
}

impl CostTraining {
    /// Starts from `weights`, or from random ones: truncated normal of deviation `1 / sqrt(in)`, what leads to a cell's level zero,
    /// so that at first all cells are alike.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn new(
        engine: &OrtEngine,
        network: CostNetwork,
        weights: Option<&CostWeights>,
        options: CostTrainingOptions,
    ) -> Result<Self> {
        let session = SessionOptions {
            threads: options.threads,
            provider: ProviderChoice::Only(ExecutionProvider::Cpu),
            ..SessionOptions::default()
        };
        let (size, batch) = ((options.side, options.side), options.batch);
        let forward = LoadedGraph::load(engine, "a look at costs", &cost_forward(&network, size, batch)?, &session)?;
        let step = LoadedGraph::load(engine, "a step of costs", &cost_step(&network, size, batch)?, &session)?;
        let update = UpdateOptions { weight_decay: options.weight_decay, ..UPDATE };
        let update = parameter_update(&network.parameters(), &update)?;
        let update = LoadedGraph::load(engine, "an update of costs", &update, &session)?;
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let drawn = first_weights(&network, &mut rng);
        let weights = weights.unwrap_or(&drawn);
        let mut values = BTreeMap::new();
        for (name, shape) in network.tensors() {
            let start = weights.get(&name).or_else(|| drawn.get(&name)).cloned().unwrap_or_default();
            for suffix in [".m", ".v"] {
                values.insert(format!("{name}{suffix}"), dyn_tensor(&shape, vec![0.0_f32; start.len()])?);
            }
            values.insert(format!("{name}.ema"), dyn_tensor(&shape, start.clone())?);
            values.insert(name, dyn_tensor(&shape, start)?);
        }
        Ok(Self { network, options, forward, step, update, values, rng, steps: 0 })
    }

    /// A step with `batch` stretches of drives.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn step(&mut self, stretches: &[Stretch], lr: f64) -> Result<CostStep> {
        self.steps += 1;
        let features = self.features(stretches.iter())?;
        let levels = self.look(&features, "")?;
        let cells = self.options.side * self.options.side;
        let level = levels.iter().map(|&level| f64::from(level)).sum::<f64>() / levels.len() as f64;
        let mut pulls = vec![0.0; levels.len()];
        let mut excess = 0.0;
        for (number, stretch) in stretches.iter().enumerate() {
            let of_row = number * cells..(number + 1) * cells;
            let (row, levels) = (&mut pulls[of_row.clone()], &levels[of_row]);
            excess += pull(stretch, levels, &self.options, &mut self.rng, row) / stretches.len() as f64;
        }
        for pull in &mut pulls {
            *pull /= stretches.len() as f32;
        }
        let pulls = dyn_tensor(&[self.options.batch, cells], pulls)?;
        let mut outputs = self.step.run(&|name| match name {
            "features" => Some(&features),
            "pull" => Some(&pulls),
            name => self.values.get(name),
        })?;
        let correction = |beta: f64| (1.0 - beta.powi(self.steps)) as f32;
        let scalars = [
            ("lr", lr as f32),
            ("puzzle_emb_lr", 0.0),
            ("bias_correction1", correction(UPDATE.beta1)),
            ("bias_correction2", correction(UPDATE.beta2)),
        ];
        for (name, value) in scalars {
            outputs.insert(name.to_owned(), dyn_tensor(&[], vec![value])?);
        }
        let mut next = self.update.run(&|name| outputs.get(name).or_else(|| self.values.get(name)))?;
        let grad_norm = read::<f32>(&next, "grad_norm")?[0];
        for (name, value) in &mut self.values {
            if let Ok(new) = remove(&mut next, &format!("{name}.next")) {
                *value = new;
            }
        }
        Ok(CostStep { excess, level, grad_norm: grad_norm.into() })
    }

    /// Plans over the levels of the averaged weights, and says how like the drives that is.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn measure(&mut self, stretches: &[Stretch]) -> Result<Likeness> {
        let cells = self.options.side * self.options.side;
        let mut all = Vec::new();
        for part in stretches.chunks(self.options.batch) {
            // Filled up with the first, which counts once.
            let filled = part.iter().chain(std::iter::repeat(&part[0])).take(self.options.batch);
            let features = self.features(filled)?;
            let levels = self.look(&features, ".ema")?;
            let rows = part.iter().zip(levels.chunks_exact(cells));
            all.extend(rows.filter_map(|(stretch, levels)| likeness(stretch, levels, self.options.factor)));
        }
        Ok(Likeness::mean(&all))
    }

    /// A copy of the weights: their moving average.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn weights(&self) -> Result<CostWeights> {
        let of = |(name, _): (String, _)| {
            let value = &self.values[&format!("{name}.ema")];
            Ok((name.clone(), copy(&name, value)?.data))
        };
        self.network.tensors().into_iter().map(of).collect()
    }

    fn features<'a>(&self, stretches: impl Iterator<Item = &'a Stretch>) -> Result<DynValue> {
        let features = stretches.flat_map(|stretch| stretch.features().iter().copied()).collect();
        dyn_tensor(&[self.options.batch, self.options.side * self.options.side, self.network.channels], features)
    }

    fn look(&mut self, features: &DynValue, suffix: &str) -> Result<Vec<f32>> {
        let Self { forward, values, .. } = self;
        let outputs = forward.run(&|name| match name {
            "features" => Some(features),
            name => values.get(&format!("{name}{suffix}")),
        })?;
        read::<f32>(&outputs, "levels")
    }
}

/// New weights.
#[must_use]
pub fn first_weights(network: &CostNetwork, rng: &mut ChaCha8Rng) -> CostWeights {
    let draw = |(name, shape): (String, Vec<usize>)| {
        let count = shape.iter().product();
        let data = match shape[..] {
            _ if CostNetwork::begins_at_zero(&name) => vec![0.0; count],
            [_, inputs] => truncated_normal(rng, count, 1.0 / (inputs as f64).sqrt()),
            _ => truncated_normal(rng, count, 1.0),
        };
        (name, data)
    };
    network.tensors().into_iter().map(draw).collect()
}
