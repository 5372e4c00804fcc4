//! Costs learned from drives: what is learned plans better in worlds that were never seen, on every engine alike.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use trm_engine::registry;
use trm_export::cost_network::cost_graph;
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_plan::learned::{CostPredictor as _, Features, Layer, Levels};
use trm_plan::worlds::{World, WorldKind};
use trm_plan::{CostOptions, ExactMazes, Goal, Outcome, PlanOptions, Planner, Pose, Terrain};
use trm_solver::costs::{COST_WEIGHTS, CostModel, LoadedCosts};
use trm_train::costs::{CostSettings, CostWatch, LearnedCosts, Lesson, learn_costs};

fn lessons(kind: WorldKind, count: u64) -> Vec<Lesson> {
    let mut lessons = Vec::new();
    for seed in 0..count {
        let world = World::generate(kind, 48, 0, seed).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let Some((from, to)) = world.ends(&mut rng) else { continue };
        let path = world.drive(from, to, &mut rng).unwrap();
        lessons.push(Lesson { map: Arc::new(world.map.clone()), layers: Arc::new(world.layers.clone()), path });
    }
    lessons
}

fn learn(lessons: &[Lesson], from: Option<&CostModel>, settings: &CostSettings) -> Result<LearnedCosts, String> {
    let mut watch = CostWatch { limit: None, step: &mut |_, _, _| {}, stop: &mut || false };
    learn_costs(&common::ort(), lessons, from, (settings, &World::ROBOT, 1), &mut watch)
        .map_err(|error| trm_intake::explained(&error))
}

/// A linear model: seconds instead of minutes.
fn linear(steps: usize) -> CostSettings {
    CostSettings { l_layers: 0, steps, ..CostSettings::default() }
}

/// Mean hidden cost of planned paths by that of the best, less 1, in worlds that nobody learned from.
fn regret(kind: WorldKind, costs: impl Fn(&World, trm_plan::MapCell) -> CostOptions) -> f64 {
    let mut regrets = Vec::new();
    for seed in 1_000..1_020 {
        let world = World::generate(kind, 48, 0, seed).unwrap();
        let Some((from, to)) = world.ends(&mut ChaCha8Rng::seed_from_u64(seed)) else { continue };
        let terrain = Terrain::with_costs(world.map.clone(), World::ROBOT, &costs(&world, to)).unwrap();
        let options = PlanOptions { smooth: false, ..PlanOptions::default() };
        let ((x, y), (goal_x, goal_y)) = (world.map.centre(from), world.map.centre(to));
        let goal = Goal { x: goal_x, y: goal_y, yaw: None };
        let plan = Planner::new(terrain, ExactMazes { side: 9 }, options).plan(Pose::new(x, y, 0.0), goal).unwrap();
        let Outcome::Planned(path) = plan.outcome else { panic!("there is a way") };
        let path: Vec<[f64; 2]> = path.poses.iter().map(|pose| [pose.x, pose.y]).collect();
        regrets.push(world.cost(&path) / world.best(from, to).unwrap().1 - 1.0);
    }
    assert!(regrets.len() >= 15);
    regrets.iter().sum::<f64>() / regrets.len() as f64
}

#[test]
fn what_ground_costs_is_learned_from_twenty_drives() {
    let kind = WorldKind::Ground;
    let learned = learn(&lessons(kind, 20), None, &linear(300)).unwrap();
    assert!(learned.after.shared > learned.before.shared, "{:?} {:?}", learned.before, learned.after);
    assert!(!learned.is_measured_on_its_own && learned.after.n == 4 && learned.left_out.is_empty());
    let shortest = regret(kind, |_, _| CostOptions {
        inflation: Some(trm_plan::Inflation { radius: 0.0, scaling: 1.0 }),
        ..CostOptions::default()
    });
    let by_model = regret(kind, |world, goal| {
        let entry = registry::find("rten").unwrap();
        let mut loaded = LoadedCosts::new(learned.model.clone(), entry, None, 1);
        let levels = Levels::predicted(&mut loaded, &world.map, &World::ROBOT, &world.layers, Some(goal)).unwrap();
        CostOptions { learned: Some(levels), ..CostOptions::default() }
    });
    // Measured: 0.68 and 0.05.
    assert!(by_model < shortest / 3.0, "{by_model} of {shortest}");
}

#[test]
fn a_network_learns_and_goes_on_from_a_model_with_more_layers() {
    let lessons = lessons(WorldKind::Cliffs, 6);
    let settings = CostSettings { steps: 12, batch: 2, hidden_size: 8, ..CostSettings::default() };
    let first = learn(&lessons, None, &settings).unwrap();
    assert_eq!((first.steps, first.drives), (12, 4));
    assert_eq!(learn(&lessons, None, &settings).unwrap().model, first.model, "the same seed");
    // Another layer, and a kind of ground that the model has not seen.
    let mut more = lessons.clone();
    for lesson in &mut more {
        let mut layers = (*lesson.layers).clone();
        layers.insert("hour".to_owned(), Layer::Value(9.0));
        let Some(Layer::Cells(ground)) = layers.get_mut("ground") else { panic!("ground") };
        ground[100] = 9.0;
        lesson.layers = Arc::new(layers);
    }
    let still = CostSettings { lr: 0.0, weight_decay: 0.0, ..settings.clone() };
    let second = learn(&more, Some(&first.model), &still).unwrap();
    let (old, new) = (&first.model.manifest.features, &second.model.manifest.features);
    assert_eq!(new.channels(), old.channels() + 1 + 8);
    // What is new weighs nothing yet: held-out drives are planned as before.
    assert_eq!((second.before, second.after), (second.after, second.before));
    assert!((second.before.shared - first.after.shared).abs() < 1e-6, "{:?} {:?}", first.after, second.before);
}

#[test]
fn a_run_ends_when_it_should() {
    let lessons = lessons(WorldKind::Ground, 6);
    let limited = |limit, stop_at: usize| {
        let steps = std::cell::Cell::new(0);
        let mut watch =
            CostWatch { limit, step: &mut |step, _, _| steps.set(step), stop: &mut || steps.get() >= stop_at };
        learn_costs(&common::ort(), &lessons, None, (&linear(100_000), &World::ROBOT, 1), &mut watch).unwrap()
    };
    let stopped = limited(None, 5);
    assert!(stopped.is_stopped && stopped.steps == 5);
    let timed = limited(Some(Duration::from_millis(300)), usize::MAX);
    assert!(!timed.is_stopped && timed.steps < 100_000 && timed.seconds < 30.0);
}

#[test]
fn drives_that_cannot_be_learned_from_are_left_out_and_said() {
    let mut lessons = lessons(WorldKind::Ground, 6);
    lessons[2].path = vec![[1.0, 1.0], [99.0, 1.0]];
    let learned = learn(&lessons, None, &linear(3)).unwrap();
    assert_eq!(learned.left_out.len(), 1);
    assert!(learned.left_out[0].contains("drive 3") && learned.left_out[0].contains("outside of the map"));
    for lesson in &mut lessons {
        lesson.path = vec![[1.0, 1.0], [99.0, 1.0]];
    }
    let refused = learn(&lessons, None, &linear(3)).unwrap_err();
    assert!(refused.contains("none can be learned from: drive 1"), "{refused}");
    let few = learn(&self::lessons(WorldKind::Ground, 3), None, &linear(3)).unwrap();
    assert!(few.is_measured_on_its_own);
}

#[test]
fn engines_agree_with_the_evaluator_and_windows_with_the_whole() {
    let lessons = lessons(WorldKind::Cliffs, 6);
    let settings = CostSettings { steps: 4, batch: 2, hidden_size: 8, l_cycles: 1, ..CostSettings::default() };
    let model = learn(&lessons, None, &settings).unwrap().model;
    let channels = model.manifest.network.channels;
    let of_size = |width: usize, height: usize| {
        let data = (0..width * height * channels).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
        Features { width, height, block: 1, channels, data }
    };
    let small = of_size(24, 16);
    let graph = cost_graph(&model.manifest.network, (16, 24), &model.weights).unwrap();
    let wide = small.data.iter().map(|&value| f64::from(value)).collect();
    let input = Tensor::float(&[1, 16 * 24, channels], wide).unwrap();
    let expected = evaluate(&graph, &[input]).unwrap()[0].to_floats().unwrap();
    let large = of_size(130, 100);
    let graph = cost_graph(&model.manifest.network, (100, 130), &model.weights).unwrap();
    let wide = large.data.iter().map(|&value| f64::from(value)).collect();
    let input = Tensor::float(&[1, 100 * 130, channels], wide).unwrap();
    let whole = evaluate(&graph, &[input]).unwrap()[0].to_floats().unwrap();
    for name in ["ort", "rten", "tract"] {
        let ort = (name == "ort").then(common::ort);
        let mut loaded = LoadedCosts::new(model.clone(), registry::find(name).unwrap(), ort, 1);
        for (features, expected) in [(&small, &expected), (&large, &whole)] {
            let found = loaded.levels(features).unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 2e-5, "{name}: {found} is not {expected}");
            }
        }
    }
}

#[test]
fn a_model_is_kept_whole() {
    let mut model = learn(&lessons(WorldKind::Ground, 6), None, &linear(3)).unwrap().model;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("costs");
    model.write(&path, "# a card\n").unwrap();
    assert!(CostModel::is_in(&path) && !CostModel::is_in(folder.path()));
    assert_eq!(CostModel::open(&path).unwrap(), model);
    let refused = || trm_intake::explained(&CostModel::open(&path).unwrap_err());
    let weights = std::fs::read(path.join(COST_WEIGHTS)).unwrap();
    let mut flipped = weights.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(path.join(COST_WEIGHTS), flipped).unwrap();
    assert!(refused().contains("weights.safetensors is damaged"), "{}", refused());
    std::fs::write(path.join(COST_WEIGHTS), weights).unwrap();
    let manifest = std::fs::read_to_string(path.join("manifest.json")).unwrap();
    for (from, to, expected) in [
        ("\"format_version\": 1", "\"format_version\": 99", "99"),
        ("\"channels\": 13", "\"channels\": 14", "contradict each other"),
        ("\"kind\": \"costs\"", "\"kind\": \"digits\"", "a model of kind `digits`, expected costs"),
        ("\"factor\": 15.0", "\"factor\": -1.0", "contradict each other"),
    ] {
        assert!(manifest.contains(from), "{from} is not in {manifest}");
        std::fs::write(path.join("manifest.json"), manifest.replace(from, to)).unwrap();
        assert!(refused().contains(expected), "{}", refused());
    }
}
