//! A run that learns costs from drives: a model from nothing, or a better one from a model.

use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use trm_engine::ort::OrtEngine;
use trm_export::cost_network::CostNetwork;
use trm_models::{FORMAT_VERSION, FileHash};
use trm_plan::Robot;
use trm_plan::learned::{Demonstration, FeatureSpec, LayerKind, LayerSpec, Stretch};
use trm_solver::costs::{CostManifest, CostModel, CostWeights};

use super::{CostSettings, CostStep, CostTraining, CostTrainingOptions, Lesson, Likeness};
use crate::{Result, TrainError};

/// Fewest drives of which some are held out.
const LEAST_DRIVES: usize = 5;
/// Steps over which the learning rate rises.
const WARMUP: f64 = 20.0;
/// The learning rate at the end, by its highest.
const LAST_RATE: f64 = 0.02;
/// A linear model's learning rate by a network's: it has nothing to fear.
const LINEAR_RATE: f64 = 10.0;
/// Attempts at a stretch of a drive.
const ATTEMPTS: usize = 1_000;

/// The limits and the watcher of a run.
pub struct CostWatch<'a> {
    /// The time after which it ends.
    pub limit: Option<Duration>,
    /// Told of each step: its number, all there will be, and its result.
    pub step: &'a mut dyn FnMut(usize, usize, CostStep),
    /// True where it should end now, with what it has.
    pub stop: &'a mut dyn FnMut() -> bool,
}

impl std::fmt::Debug for CostWatch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CostWatch").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Result of a run.
#[derive(Debug, Clone)]
pub struct LearnedCosts {
    /// The model.
    pub model: CostModel,
    /// Steps that were taken.
    pub steps: usize,
    /// Seconds of training.
    pub seconds: f64,
    /// True if the run was stopped.
    pub is_stopped: bool,
    /// Drives that were learned from.
    pub drives: usize,
    /// Drives that could not be, with the reason.
    pub left_out: Vec<String>,
    /// True if what it is measured on was learned from, because there are too few drives to hold any out.
    pub is_measured_on_its_own: bool,
    /// Plans on the measured drives before and after: before are all cells alike, or the model that it began with.
    pub before: Likeness,
    /// After.
    pub after: Likeness,
}

/// Learns costs from drives.
///
/// # Errors
/// [`TrainError::TrainData`] where no drive can be learned from; those of the graphs and of ONNX Runtime.
pub fn learn_costs(
    engine: &OrtEngine,
    lessons: &[Lesson],
    from: Option<&CostModel>,
    (settings, robot, threads): (&CostSettings, &Robot, usize),
    watch: &mut CostWatch<'_>,
) -> Result<LearnedCosts> {
    let features = features_of(lessons, from, settings)?;
    let (mut demonstrations, left_out) = read_demonstrations(lessons, &features, robot)?;
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    demonstrations.shuffle(&mut rng);
    let held_out = if demonstrations.len() < LEAST_DRIVES {
        0
    } else {
        (settings.held_out * demonstrations.len() as f64).ceil() as usize
    };
    let largest = demonstrations.iter().map(|d| d.size().0.max(d.size().1)).max().unwrap_or(1);
    let side = largest.next_multiple_of(8).clamp(16, settings.window);
    let measured: Vec<Stretch> = {
        let of = if held_out > 0 { &demonstrations[..held_out] } else { &demonstrations[..] };
        of.iter().filter_map(|demonstration| demonstration.whole(side)).collect()
    };
    let learned = &demonstrations[held_out..];

    let network = match from {
        Some(model) => CostNetwork { channels: features.channels(), ..model.manifest.network },
        None => settings.network(features.channels()),
    };
    let options = CostTrainingOptions {
        batch: settings.batch,
        side,
        factor: from.map_or(settings.factor, |model| model.manifest.factor),
        loss: settings.loss,
        weight_decay: settings.weight_decay,
        threads,
        seed: settings.seed,
    };
    let weights = from.map(|model| widened(model, &features));
    let mut training = CostTraining::new(engine, network, weights.as_ref(), options)?;
    let before = training.measure(&measured)?;
    let began = Instant::now();
    let mut taken = 0;
    let mut is_stopped = false;
    let highest = settings.lr * if network.l_layers == 0 { LINEAR_RATE } else { 1.0 };
    for step in 1..=settings.steps {
        let elapsed = watch.limit.map_or(0.0, |limit| began.elapsed().as_secs_f64() / limit.as_secs_f64().max(1e-9));
        is_stopped = (watch.stop)();
        if elapsed >= 1.0 || is_stopped {
            break;
        }
        let share = (step as f64 / settings.steps as f64).max(elapsed);
        let falling = (0.5 + 0.5 * (std::f64::consts::PI * share).cos()).max(LAST_RATE);
        let stretches = draw(learned, settings.batch, side, &mut rng)?;
        let done = training.step(&stretches, highest * falling * (step as f64 / WARMUP).min(1.0))?;
        if !(done.excess.is_finite() && done.grad_norm.is_finite()) {
            let (what, value) = ("the gradient's norm".to_owned(), done.grad_norm);
            return Err(TrainError::Diverged { step: step as u64, what, value, saved: None });
        }
        taken = step;
        (watch.step)(step, settings.steps, done);
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = training.measure(&measured)?;
    let manifest = CostManifest {
        format_version: FORMAT_VERSION,
        kind: CostManifest::KIND.to_owned(),
        name: "costs".to_owned(),
        network,
        features,
        factor: options.factor,
        weights: FileHash { sha256: String::new(), bytes: 0 },
        training_data: format!(
            "{} drives, {taken} steps of {} stretches ({}), {:.0} s",
            learned.len(),
            settings.batch,
            settings.loss.as_str(),
            seconds
        ),
        accuracy: Vec::new(),
        licence: String::new(),
        producer: format!("trm {}", env!("CARGO_PKG_VERSION")),
    };
    Ok(LearnedCosts {
        model: CostModel { manifest, weights: training.weights()? },
        steps: taken,
        seconds,
        is_stopped,
        drives: learned.len(),
        left_out,
        is_measured_on_its_own: held_out == 0,
        before,
        after,
    })
}

/// The drives with their features, and those that cannot be learned from.
fn read_demonstrations(
    lessons: &[Lesson],
    features: &FeatureSpec,
    robot: &Robot,
) -> Result<(Vec<Demonstration>, Vec<String>)> {
    let mut demonstrations = Vec::new();
    let mut left_out = Vec::new();
    for (number, demonstration) in Lesson::demonstrations(lessons, features, robot).into_iter().enumerate() {
        match demonstration {
            Ok(demonstration) => demonstrations.push(demonstration),
            Err(error) => left_out.push(format!("drive {}: {}", number + 1, trm_intake::explained(&error))),
        }
    }
    if demonstrations.is_empty() {
        let reason = left_out.first().cloned().unwrap_or_default();
        return Err(TrainError::TrainData {
            origin: "the drives".to_owned(),
            reason: format!("none can be learned from: {reason}"),
            hint: "give drives in the map's frame, between places where the robot can be".to_owned(),
        });
    }
    Ok((demonstrations, left_out))
}

/// A batch of stretches of drives, drawn at random.
fn draw(from: &[Demonstration], batch: usize, side: usize, rng: &mut ChaCha8Rng) -> Result<Vec<Stretch>> {
    let mut stretches = Vec::with_capacity(batch);
    for _ in 0..ATTEMPTS {
        let which = (rand::Rng::next_u64(rng) % from.len() as u64) as usize;
        stretches.extend(from[which].stretch(side, rng));
        if stretches.len() == batch {
            return Ok(stretches);
        }
    }
    Err(TrainError::TrainData {
        origin: "the drives".to_owned(),
        reason: "no stretch of any begins and ends where the robot can be".to_owned(),
        hint: "is the radius the robot's?".to_owned(),
    })
}

/// The features of a new model, or those of an old one with what it has not seen.
fn features_of(lessons: &[Lesson], from: Option<&CostModel>, settings: &CostSettings) -> Result<FeatureSpec> {
    let finest = lessons.iter().map(|lesson| lesson.map.resolution()).fold(f64::INFINITY, f64::min);
    let layers = lessons.iter().map(|lesson| &*lesson.layers);
    let fresh = FeatureSpec::of(layers, settings.cell_of(finest), settings.way, &settings.ranges)?;
    let Some(model) = from else { return Ok(fresh) };
    let old = &model.manifest.features;
    let mut layers = old.layers.clone();
    for layer in fresh.layers {
        match layers.iter_mut().find(|known| known.name == layer.name) {
            None => layers.push(layer),
            Some(LayerSpec { kind: LayerKind::Classes(known), .. }) => {
                if let LayerKind::Classes(classes) = layer.kind {
                    known.extend(classes.into_iter().filter(|class| !known.contains(class)).collect::<Vec<_>>());
                }
            }
            // A range stays as the model knows it.
            Some(_) => {}
        }
    }
    Ok(FeatureSpec { layers, ..old.clone() })
}

/// The weights of a model for more features than it had: nothing is known of the new ones.
fn widened(model: &CostModel, features: &FeatureSpec) -> CostWeights {
    let (old, new) = (model.manifest.features.names(), features.names());
    let column = |name: &String| old.iter().position(|known| known == name);
    let columns: Vec<_> = new.iter().map(column).collect();
    let widen = |(name, data): (&String, &Vec<f32>)| {
        let data = if CostNetwork::is_of_features(name) {
            let row = |row: &[f32]| columns.iter().map(|column| column.map_or(0.0, |at| row[at])).collect::<Vec<_>>();
            data.chunks_exact(old.len()).flat_map(row).collect()
        } else {
            data.clone()
        };
        (name.clone(), data)
    };
    model.weights.iter().map(widen).collect()
}
