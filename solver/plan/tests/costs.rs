//! Planning by costs on real maps: inflation, masks, robots that stand too close to a wall.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma};
use trm_plan::{
    CostOptions, ExactMazes, Goal, Inflation, MapCell, Mask, MaskKind, OccupancyMap, Outcome, PlanOptions, PlannedPath,
    Planner, Pose, Robot, Terrain, check_costs, check_path,
};

fn fixture(name: &str) -> OccupancyMap {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/maps").join(name);
    OccupancyMap::read(&path).expect("a map")
}

fn inflated(radius: f64, scaling: f64) -> CostOptions {
    CostOptions { inflation: Some(Inflation { radius, scaling }), ..CostOptions::default() }
}

fn planner(map: OccupancyMap, robot: Robot, costs: &CostOptions) -> Planner<ExactMazes> {
    let terrain = Terrain::with_costs(map, robot, costs).expect("a terrain");
    Planner::new(terrain, ExactMazes { side: 12 }, PlanOptions::default())
}

fn planned(planner: &mut Planner<ExactMazes>, start: (f64, f64), goal: (f64, f64)) -> PlannedPath {
    let goal = Goal { x: goal.0, y: goal.1, yaw: None };
    match planner.plan(Pose::new(start.0, start.1, 0.0), goal).expect("a plan").outcome {
        Outcome::Planned(path) => path,
        other => panic!("{other:?}"),
    }
}

/// Free places more than 3 m apart that a way joins.
fn pairs(terrain: &Terrain, count: usize) -> Vec<(MapCell, MapCell)> {
    use rand::Rng;
    let (width, height) = (terrain.map().width(), terrain.map().height());
    let mut rng = trm_puzzles::seeded(1);
    let mut draw = || loop {
        let index = (rng.next_u64() % (width * height) as u64) as usize;
        if terrain.free_space().is_free_index(index) {
            return MapCell { x: index % width, y: index / width };
        }
    };
    let far = |a: MapCell, b: MapCell| {
        (a.x.abs_diff(b.x).pow(2) + a.y.abs_diff(b.y).pow(2)) as f64 > (3.0 / terrain.map().resolution()).powi(2)
    };
    std::iter::repeat_with(|| (draw(), draw()))
        .filter(|&(a, b)| far(a, b) && terrain.connected(a, b))
        .take(count)
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[test]
fn with_inflation_paths_keep_off_the_walls_and_cost_no_more_than_exact_search() {
    for name in ["depot.yaml", "tb3_sandbox.yaml"] {
        let mut hugging = planner(fixture(name), Robot::default(), &CostOptions::default());
        let mut inflated = planner(fixture(name), Robot::default(), &inflated(1.0, 3.0));
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for (from, to) in pairs(inflated.terrain(), 40) {
            let (start, goal) = (inflated.terrain().map().centre(from), inflated.terrain().map().centre(to));
            without.push(planned(&mut hugging, start, goal).median_clearance);
            let path = planned(&mut inflated, start, goal);
            let (terrain, cost) = (inflated.terrain(), path.cost.expect("a cost"));
            let optimum = terrain.optimal_cost(from, to).expect("a way");
            // Not bound to eight directions a path can be cheaper, down to 8 %.
            assert!(cost <= optimum * (1.0 + 1e-4) && cost > optimum * 0.9, "{name}: {cost} of {optimum}");
            assert!(cost >= path.length && path.clearance > Robot::default().radius);
            let checked = check_costs(terrain.map(), terrain.costs().expect("costs"), &path.poses).expect("allowed");
            assert!((checked - cost).abs() < 0.02 * cost, "{name}: {checked} {cost}");
            let [start, goal] = [start, goal].map(|(x, y)| Pose::new(x, y, 0.0));
            check_path(terrain.map(), terrain.robot(), start, goal, &path.poses).expect("touches nothing");
            with.push(path.median_clearance);
        }
        let (without, with) = (median(without), median(with));
        assert!(with >= 2.0 * Robot::default().radius && with > 1.1 * without, "{name}: {without} becomes {with}");
    }
}

/// A hall of 6 m x 4 m; walls where `is_wall` says so, by metres.
fn hall(is_wall: impl Fn(f64, f64) -> bool) -> OccupancyMap {
    let value = |index: usize| {
        let (x, y) = ((index % 60) as f64 / 10.0 + 0.05, (index / 60) as f64 / 10.0 + 0.05);
        if is_wall(x, y) { 100 } else { 0 }
    };
    OccupancyMap::new("hall", (60, 40), 0.1, Pose::default(), (0..2400).map(value).collect()).expect("a map")
}

/// A picture over the hall, in a folder of its own: black where `is_dark` says so, by metres from the bottom left.
fn picture(is_dark: impl Fn(f64, f64) -> u8) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mask.png");
    let pixel = |x: u32, y: u32| Luma([is_dark(f64::from(x) / 10.0 + 0.05, f64::from(39 - y) / 10.0 + 0.05)]);
    GrayImage::from_fn(60, 40, pixel).save(&path).expect("written");
    (folder, path)
}

const ROBOT: Robot = Robot { radius: 0.2, unknown: trm_plan::UnknownSpace::Blocked, occupied_from: 65 };

#[test]
fn where_a_mask_forbids_to_go_no_path_goes() {
    // Black across the hall, but for the uppermost metre.
    let (_folder, file) = picture(|x, y| if (2.5..3.5).contains(&x) && y < 3.0 { 0 } else { 255 });
    let map = hall(|_, _| false);
    let mask = Mask::read(&file, MaskKind::Level, &map).expect("a mask");
    let costs = CostOptions { masks: vec![mask], ..CostOptions::default() };
    let mut around = planner(map, ROBOT, &costs);
    let path = planned(&mut around, (0.5, 0.5), (5.5, 0.5));
    assert!(path.poses.iter().any(|pose| pose.y >= 3.0) && path.length > 7.0, "{path:?}");
    let into =
        around.plan(Pose::new(0.5, 0.5, 0.0), Goal { x: 3.0, y: 1.0, yaw: None }).expect_err("refused").to_string();
    assert!(into.contains("a mask forbids to go"), "{into}");
    // Straight through is found out by the check.
    let (terrain, straight) = (around.terrain(), [Pose::new(0.5, 0.5, 0.0), Pose::new(5.5, 0.5, 0.0)]);
    let fault = check_costs(terrain.map(), terrain.costs().expect("costs"), &straight).expect_err("forbidden");
    assert!(fault.to_string().starts_with("at 2.5"), "{fault}");
}

#[test]
fn a_closed_mask_makes_the_goal_unreachable() {
    let (_folder, file) = picture(|x, _| if (2.5..3.5).contains(&x) { 0 } else { 255 });
    let map = hall(|_, _| false);
    let masks = vec![Mask::read(&file, MaskKind::Level, &map).expect("a mask")];
    let mut planner = planner(map, ROBOT, &CostOptions { masks, ..CostOptions::default() });
    let plan = planner.plan(Pose::new(0.5, 0.5, 0.0), Goal { x: 5.5, y: 0.5, yaw: None }).expect("a plan");
    assert!(matches!(plan.outcome, Outcome::Unreachable { .. }), "{plan:?}");
}

#[test]
fn slow_and_dear_ground_is_driven_around_where_that_pays() {
    // nav2's speed mask, in raw mode: a tenth of the speed in the middle, up to where the way around is as long as eight metres.
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = |image: &str, mode: &str| {
        format!(
            "image: {image}\nmode: {mode}\nresolution: 0.2\norigin: [2.0, -0.4, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n"
        )
    };
    GrayImage::from_pixel(10, 17, Luma([10])).save(folder.path().join("speed.png")).expect("written");
    std::fs::write(folder.path().join("speed.yaml"), yaml("speed.png", "raw")).expect("written");
    let map = hall(|_, _| false);
    let speed = |kind| Mask::read(&folder.path().join("speed.yaml"), kind, &map);
    let slow = CostOptions { masks: vec![speed(MaskKind::Speed).expect("a mask")], ..CostOptions::default() };
    let path = planned(&mut planner(map.clone(), ROBOT, &slow), (0.5, 0.5), (5.5, 0.5));
    // The mask reaches from x 2 to 4 and to y 3: over its upper corners is 2 · √(1.5² + 2.5²) + 2.
    let around = 2.0 * 1.5_f64.hypot(2.5) + 2.0;
    assert!((path.length - around).abs() < 0.15, "{} {around}", path.length);
    assert!((path.cost.expect("a cost") - path.length).abs() < 0.02 * path.length);
    // The same values as levels, a tenth of the highest, are worth no detour.
    let dear = CostOptions { masks: vec![speed(MaskKind::Level).expect("a mask")], ..CostOptions::default() };
    let path = planned(&mut planner(map.clone(), ROBOT, &dear), (0.5, 0.5), (5.5, 0.5));
    assert!((path.length - 5.0).abs() < 0.02, "{}", path.length);
    // Of 252 levels 25: 1 + 0.016 · 25 for two of five metres.
    assert!((path.cost.expect("a cost") - (5.0 + 2.0 * 0.4)).abs() < 0.02, "{:?}", path.cost);

    let nothing = OccupancyMap::new("empty", (2, 1), 1.0, Pose::default(), vec![0, -1]).expect("a map");
    let refused = Mask::new(nothing, MaskKind::Speed).expect_err("no limits").to_string();
    assert!(refused.contains("a mask of speeds without a limit"), "{refused}");
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let (_folder, file) = picture(|_, _| 255);
    let map = OccupancyMap::new("m", (3, 2), 0.1, Pose::default(), vec![0; 6]).expect("a map");
    let refused = Mask::read(&file, MaskKind::Level, &map).expect_err("refused").to_string();
    assert!(refused.contains("60x40 pixels over a map of 3x2 cells"), "{refused}");
    let missing = Mask::read(Path::new("no.png"), MaskKind::Level, &map).expect_err("refused").to_string();
    assert!(missing.contains("no.png: cannot be read"), "{missing}");
}

#[test]
fn a_docked_robot_is_led_out_if_that_is_wanted() {
    let wall = |x: f64, _: f64| x < 0.1;
    for costs in [CostOptions::default(), inflated(0.8, 5.0)] {
        let mut timid = planner(hall(wall), ROBOT, &costs);
        let docked = Pose::new(0.23, 2.0, 0.0);
        let goal = Goal { x: 5.0, y: 2.0, yaw: None };
        let refused = timid.plan(docked, goal).expect_err("too close").to_string();
        assert!(refused.contains("too close for a robot of radius 0.2 m"), "{refused}");

        let terrain = Terrain::with_costs(hall(wall), ROBOT, &costs).expect("a terrain");
        let options = PlanOptions { escape: true, ..PlanOptions::default() };
        let mut bold = Planner::new(terrain, ExactMazes { side: 12 }, options);
        let Outcome::Planned(path) = bold.plan(docked, goal).expect("a plan").outcome else { panic!("a way") };
        assert!(path.way_out >= 1, "{path:?}");
        assert_eq!((path.poses[0].x, path.poses[0].y), (0.23, 2.0));
        assert!((path.length - 4.77).abs() < 0.1, "{}", path.length);
        let from = path.poses[path.way_out];
        let end = Pose::new(5.0, 2.0, 0.0);
        check_path(bold.terrain().map(), &ROBOT, from, end, &path.poses[path.way_out..]).expect("touches nothing");
        // In the wall there is no way out.
        assert!(bold.plan(Pose::new(0.05, 2.0, 0.0), goal).is_err());
        // A free start needs none.
        let Outcome::Planned(free) = bold.plan(Pose::new(1.0, 2.0, 0.0), goal).expect("a plan").outcome else {
            panic!("a way")
        };
        assert_eq!(free.way_out, 0);
    }
}
