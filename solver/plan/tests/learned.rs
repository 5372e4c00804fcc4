//! Lessons of drives: features of layers, comparisons of drives with plans, and worlds to learn from.

use std::error::Error;
use std::sync::Arc;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use trm_plan::learned::{
    CostPredictor, Demonstration, FeatureSpec, Features, Ground, Layer, LayerKind, Layers, Levels,
};
use trm_plan::worlds::{World, WorldKind};
use trm_plan::{CostMap, CostOptions, FreeSpace, MapCell, OccupancyMap, Pose, Robot, UnknownSpace};

const ROBOT: Robot = Robot { radius: 0.0, unknown: UnknownSpace::Free, occupied_from: 65 };

fn hall(side: usize, resolution: f64) -> OccupancyMap {
    OccupancyMap::new("a hall", (side, side), resolution, Pose::default(), vec![0; side * side]).expect("a map")
}

fn layers(values: Vec<f32>) -> Layers {
    Layers::from([("ground".to_owned(), Layer::Cells(values))])
}

fn features(spec: &FeatureSpec, map: &OccupancyMap, layers: &Layers) -> Result<Features, String> {
    let space = FreeSpace::new(map, &ROBOT).expect("free space");
    spec.features(map, &ROBOT, &space, layers).map_err(|error| trm_intake::explained(&error))
}

#[test]
fn features_are_shares_and_means_of_blocks() {
    let map = hall(4, 0.1);
    let mut ground = vec![0.0; 16];
    ground[0] = 7.0;
    ground[1] = 7.0;
    let layers = layers(ground);
    let spec = FeatureSpec::of([&layers], 0.2, false, &[]).expect("a spec");
    assert_eq!(spec.layers[0].kind, LayerKind::Classes(vec![0.0, 7.0]));
    assert_eq!(spec.names().len(), spec.channels());
    let found = features(&spec, &map, &layers).expect("features");
    assert_eq!((found.width, found.height, found.block), (2, 2, 2));
    let of_ground = |cell: usize, expected: [f32; 2]| {
        let found = &found.data[cell * found.channels + found.channels - 2..][..2];
        assert!((found[0] - expected[0]).hypot(found[1] - expected[1]) < 1e-6, "{found:?} is not {expected:?}");
    };
    of_ground(0, [0.5, 0.5]);
    of_ground(1, [1.0, 0.0]);
    // A class that the model has not seen, a layer that is missing, and one that it does not know.
    let unseen = features(&spec, &map, &self::layers(vec![3.0; 16])).expect_err("refused");
    assert!(unseen.contains("the layer `ground` has the value 3, which the model has not seen"), "{unseen}");
    let missing = features(&spec, &map, &Layers::new()).expect_err("refused");
    assert!(missing.contains("`ground` is missing") && missing.contains("--layer NAME=FILE"), "{missing}");
    let mut more = layers.clone();
    more.insert("slope".to_owned(), Layer::Value(1.0));
    assert!(features(&spec, &map, &more).expect_err("refused").contains("`slope` is not one that the model knows"));
}

#[test]
fn amounts_are_ranges_and_numbers_for_a_whole_map_are_too() {
    let map = hall(8, 0.2);
    let mut layers = layers((0..64).map(|value| value as f32).collect());
    layers.insert("hour".to_owned(), Layer::Value(14.0));
    let other =
        Layers::from([("ground".to_owned(), Layer::Cells(vec![0.0; 64])), ("hour".to_owned(), Layer::Value(3.0))]);
    let spec = FeatureSpec::of([&layers, &other], 0.2, false, &[]).expect("a spec");
    assert_eq!(spec.layers[0].kind, LayerKind::Range([0.0, 63.0]));
    assert_eq!(spec.layers[1].kind, LayerKind::Range([3.0, 14.0]));
    // An hour between those that were seen, and one beyond them, are no errors; its marks add up to one.
    for hour in [9.0, 23.0] {
        layers.insert("hour".to_owned(), Layer::Value(hour));
        let found = features(&spec, &map, &layers).expect("features");
        let marks: f32 = found.data[found.channels - 8..found.channels].iter().sum();
        assert!((marks - 1.0).abs() < 1e-6, "{marks}");
    }
    // Few values are classes, unless they are said to be amounts.
    let few = self::layers((0..64).map(|value| (value % 3) as f32).collect());
    let asked = |ranges: &[String]| FeatureSpec::of([&few], 0.2, false, ranges).map(|spec| spec.layers[0].kind.clone());
    assert_eq!(asked(&[]).expect("classes"), LayerKind::Classes(vec![0.0, 1.0, 2.0]));
    assert_eq!(asked(&["ground".to_owned()]).expect("a range"), LayerKind::Range([0.0, 2.0]));
    assert!(asked(&["grond".to_owned()]).expect_err("refused").to_string().contains("`grond` is over no map"));
    let without = Layers::new();
    let error = FeatureSpec::of([&few, &without], 0.2, false, &[]).expect_err("refused").to_string();
    assert!(error.contains("`ground` is not over every map"), "{error}");
}

/// Drives around the middle of a hall, from the left to the right.
fn detour() -> Demonstration {
    let map = hall(24, 1.0);
    let layers = Layers::new();
    let spec = FeatureSpec::of([&layers], 1.0, false, &[]).expect("a spec");
    let path = [[1.5, 12.5], [1.5, 20.5], [22.5, 20.5], [22.5, 12.5]];
    let ground = Ground::new(&spec, Arc::new(map), &ROBOT, &layers).expect("a map");
    Demonstration::new(Arc::new(ground), &path).expect("a drive")
}

#[test]
fn where_a_plan_goes_another_way_the_drive_pulls() {
    let stretch = detour().whole(32).expect("a stretch");
    let flat = vec![0.1; 32 * 32];
    let compared = stretch.compare(&flat, 10.0, |_, weight| weight).expect("a plan");
    // 37 m instead of 21.
    assert!((compared.excess - (37.0 / 21.0 - 1.0)).abs() < 0.02, "{}", compared.excess);
    let at = |x: usize, y: usize| compared.pull[y * 32 + x];
    assert!(at(11, 20) > 0.0, "what was driven should be cheaper");
    assert!(at(11, 12) < 0.0, "what was not should be dearer");
    assert!(at(11, 16).abs() < 1e-6, "of what nobody drove through nothing is known");
    // The derivative of the cost: 10 for each metre at level 1, by the metres driven.
    let sum: f32 = compared.pull.iter().sum();
    assert!((f64::from(sum) - 10.0 * (37.0 - 21.0) / 37.0).abs() < 0.2, "{sum}");
    // Levels that follow it make the plan the drive.
    let learned: Vec<f32> = compared.pull.iter().map(|&pull| if pull < -1e-3 { 1.0 } else { 0.0 }).collect();
    let dearer = stretch.compare(&learned, 10.0, |_, weight| weight).expect("a plan");
    assert!(dearer.excess < compared.excess && dearer.planned != compared.planned);
    // Where the plan is the drive there is nothing to learn.
    let walls: Vec<f32> =
        (0..32 * 32).map(|cell| if cell / 32 < 20 && cell % 32 > 1 && cell % 32 < 22 { 1.0 } else { 0.0 }).collect();
    let same = stretch.compare(&walls, 10.0, |_, weight| weight).expect("a plan");
    assert!(same.excess.abs() < 0.05, "{}", same.excess);
}

#[test]
fn stretches_are_parts_of_the_drive_however_they_are_turned() {
    let demonstration = detour();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let whole = demonstration.whole(32).expect("a stretch").driven().len();
    let mut lengths = Vec::new();
    for _ in 0..200 {
        let stretch = demonstration.stretch(32, &mut rng).expect("a stretch");
        assert_eq!(stretch.features().len() % (32 * 32), 0);
        let cells = stretch.cells();
        for pair in stretch.driven().windows(2) {
            let far = (pair[0] % cells).abs_diff(pair[1] % cells).max((pair[0] / cells).abs_diff(pair[1] / cells));
            assert_eq!(far, 1);
        }
        let compared = stretch.compare(&vec![0.0; 32 * 32], 10.0, |_, weight| weight).expect("a plan");
        assert!(compared.excess > -1e-9);
        lengths.push(stretch.driven().len());
    }
    assert!(lengths.iter().any(|&length| length < whole / 3) && lengths.iter().any(|&length| length > 2 * whole / 3));
}

#[test]
fn drives_that_teach_nothing_are_refused() {
    let map = hall(8, 1.0);
    let spec = FeatureSpec::of([&Layers::new()], 1.0, false, &[]).expect("a spec");
    let refused = |robot: &Robot, path: &[[f64; 2]]| {
        let ground = Ground::new(&spec, Arc::new(map.clone()), robot, &Layers::new()).expect("a map");
        trm_intake::explained(&Demonstration::new(Arc::new(ground), path).expect_err("refused"))
    };
    assert!(refused(&ROBOT, &[[1.0, 1.0], [9.0, 1.0]]).contains("9,1 is outside of the map"));
    assert!(refused(&ROBOT, &[[1.1, 1.1], [1.2, 1.2]]).contains("it stays in one cell"));
    let wide = Robot { radius: 3.5, unknown: UnknownSpace::Blocked, ..ROBOT };
    assert!(
        refused(&wide, &[[1.5, 1.5], [6.5, 1.5]]).contains("100 % of it is where a robot of radius 3.5 m cannot be")
    );
}

/// Says that the right half of a map is dear.
struct RightHalf(FeatureSpec);

impl CostPredictor for RightHalf {
    fn spec(&self) -> &FeatureSpec {
        &self.0
    }

    fn factor(&self) -> f64 {
        4.0
    }

    fn levels(&mut self, features: &Features) -> Result<Vec<f32>, Box<dyn Error + Send + Sync>> {
        let level = |cell: usize| if cell % features.width >= features.width / 2 { 1.0 } else { 0.0 };
        Ok((0..features.width * features.height).map(level).collect())
    }
}

#[test]
fn levels_become_costs_between_the_middles_of_the_model_s_cells() {
    let map = hall(40, 0.1);
    let spec = FeatureSpec { cell: 0.5, way: false, layers: Vec::new() };
    let levels = Levels::predicted(&mut RightHalf(spec), &map, &ROBOT, &Layers::new(), None).expect("levels");
    let options = CostOptions { learned: Some(levels), ..CostOptions::default() };
    let space = FreeSpace::new(&map, &ROBOT).expect("free space");
    let costs = CostMap::new(&map, &space, &ROBOT, &options).expect("costs");
    let weight = |x: usize| costs.weight(MapCell { x, y: 7 });
    assert!((weight(5) - 1.0).abs() < 1e-6 && (weight(35) - 5.0).abs() < 1e-6);
    // Half way between a cheap cell's middle (1.75 m) and a dear one's (2.25 m).
    assert!((f64::midpoint(weight(19), weight(20)) - 3.0).abs() < 1e-6);
    assert!(weight(18) < weight(19) && weight(20) < weight(21));
}

#[test]
fn worlds_are_the_same_every_time_and_their_experts_know_them() {
    for kind in WorldKind::ALL {
        let mut regrets = Vec::new();
        for seed in 0..6 {
            let world = World::generate(kind, 64, 3, seed).expect("a world");
            let again = World::generate(kind, 64, 3, seed).expect("a world");
            assert_eq!((&world.map, &world.layers), (&again.map, &again.layers), "{}", kind.as_str());
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let Some((from, to)) = world.ends(&mut rng) else { continue };
            let (path, best) = world.best(from, to).expect("a way");
            // The cost of the best path, added up along its lines, is what the search says.
            let places: Vec<[f64; 2]> = path.iter().map(|&cell| world.map.centre(cell).into()).collect();
            let along = world.cost(&places);
            assert!((along / best - 1.0).abs() < 0.03, "{}: {along} is not {best}", kind.as_str());
            let drive = world.drive(from, to, &mut rng).expect("a drive");
            regrets.push(world.cost(&drive) / best - 1.0);
        }
        let mean = regrets.iter().sum::<f64>() / regrets.len() as f64;
        assert!(regrets.len() >= 4 && (-0.02..0.15).contains(&mean), "{}: {regrets:?}", kind.as_str());
    }
}

#[test]
fn who_keeps_right_goes_back_on_the_other_side() {
    let world = World::generate(WorldKind::KeepRight, 64, 0, 1).expect("a world");
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (from, to) = world.ends(&mut rng).expect("ends");
    let (there, there_cost) = world.best(from, to).expect("a way");
    let (_, back_cost) = world.best(to, from).expect("a way");
    let reversed: Vec<[f64; 2]> = there.iter().rev().map(|&cell| world.map.centre(cell).into()).collect();
    assert!(world.cost(&reversed) > 1.3 * back_cost, "{} {back_cost} {there_cost}", world.cost(&reversed));
}
