//! Planning on maps: real ones, random ones, networks that fail. Paths are judged here by code of the test's own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand::Rng;
use trm_engine::tract::TractEngine;
use trm_engine::{ActOutput, ActStep, Carry, Engine, Result, SessionInfo, SessionOptions, StepSession};
use trm_intake::explained;
use trm_models::TrmConfig;
use trm_plan::map::{LoadedMap, scenarios, warehouse};
use trm_plan::{
    ExactSearch, Fallback, Goal, MapCell, NetworkMiss, OccupancyMap, Outcome, PlanOptions, PlannedPath, Planner, Pose,
    Robot, SegmentPlanner, Terrain,
};
use trm_puzzles::seeded;
use trm_solver::measure::plan_trial::{Summary, random_pairs, try_pair};
use trm_solver::{Model, Network};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plan/tests/fixtures/maps").join(name)
}

fn network(lanes: usize) -> Network {
    let model = Model::open("maze-9").expect("a shipped model");
    Network::new(&model, lanes, || TractEngine.load_step(model.bundle(), &SessionOptions::default()))
        .expect("the network")
}

/// Without a time limit: what comes out depends on the input alone.
fn unhurried() -> PlanOptions {
    PlanOptions { network_limit: None, ..PlanOptions::default() }
}

fn planner(map: OccupancyMap, robot: Robot, options: PlanOptions) -> Planner<Network> {
    Planner::new(Terrain::new(map, robot).expect("a terrain"), network(2), options)
}

/// Where a robot may be, found by stamping a disc on every obstacle: neither a distance transform nor anything else of
/// the planner's.
struct Stamped {
    width: usize,
    height: usize,
    resolution: f64,
    origin: (f64, f64),
    free: Vec<bool>,
}

impl Stamped {
    /// For maps that are not turned, unknown space blocked.
    fn new(map: &OccupancyMap, radius: f64) -> Self {
        assert!(map.origin().yaw.abs() < 1e-12, "this check knows no turned maps");
        let (width, height) = (map.width(), map.height());
        let mut free = vec![true; width * height];
        let cells = radius / map.resolution();
        let reach = cells.ceil() as i64;
        let inside = |x: i64, y: i64| (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
        // Around the map is unknown space.
        let around = (-reach..height as i64 + reach).flat_map(|y| (-reach..width as i64 + reach).map(move |x| (x, y)));
        for (x, y) in around {
            if inside(x, y) && (0..65).contains(&map.values()[y as usize * width + x as usize]) {
                continue;
            }
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    if inside(x + dx, y + dy) && f64::from((dx * dx + dy * dy) as i32).sqrt() <= cells + 1e-9 {
                        free[(y + dy) as usize * width + (x + dx) as usize] = false;
                    }
                }
            }
        }
        let origin = (map.origin().x, map.origin().y);
        Self { width, height, resolution: map.resolution(), origin, free }
    }

    fn cell(&self, pose: &Pose) -> (usize, usize) {
        let x = ((pose.x - self.origin.0) / self.resolution).floor();
        let y = ((pose.y - self.origin.1) / self.resolution).floor();
        assert!(x >= 0.0 && y >= 0.0 && (x as usize) < self.width && (y as usize) < self.height, "{pose:?} is outside");
        (x as usize, y as usize)
    }

    /// Points along the path that are a fiftieth of a cell apart are all free.
    fn assert_clear(&self, path: &PlannedPath) {
        for pair in path.poses.windows(2) {
            let points = (pair[0].distance(&pair[1]) / self.resolution * 50.0).ceil() as usize + 1;
            for point in 0..=points {
                let t = point as f64 / points as f64;
                let at = Pose::new(pair[0].x * (1.0 - t) + pair[1].x * t, pair[0].y * (1.0 - t) + pair[1].y * t, 0.0);
                let (x, y) = self.cell(&at);
                assert!(self.free[y * self.width + x], "the robot touches something at {at:?}");
            }
        }
    }

    /// Returns true if a way leads from one place to the other, by flooding.
    fn connected(&self, from: &Pose, to: &Pose) -> bool {
        let index = |(x, y): (usize, usize)| y * self.width + x;
        let mut seen = vec![false; self.free.len()];
        let mut queue = VecDeque::from([index(self.cell(from))]);
        let goal = index(self.cell(to));
        while let Some(here) = queue.pop_front() {
            if here == goal {
                return true;
            }
            let (x, y) = (here % self.width, here / self.width);
            let next = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
            for (x, y) in next.into_iter().filter(|&(x, y)| x < self.width && y < self.height) {
                let there = index((x, y));
                if self.free[there] && !std::mem::replace(&mut seen[there], true) {
                    queue.push_back(there);
                }
            }
        }
        false
    }
}

/// Plans between random pairs, judges every answer by [`Stamped`], and sums up.
fn measured(map: OccupancyMap, robot: Robot, pairs: usize, seed: u64) -> Summary {
    let stamped = Stamped::new(&map, robot.radius);
    let mut planner = planner(map, robot, unhurried());
    let pairs = random_pairs(planner.terrain(), pairs, seed).expect("pairs");
    let results: Vec<_> = pairs
        .iter()
        .map(|pair| {
            assert!(pair.start.distance(&pair.goal) > 3.0);
            let result = try_pair(&mut planner, pair, true).expect("a result");
            match &result.outcome {
                Outcome::Planned(path) => {
                    stamped.assert_clear(path);
                    let last = path.poses[path.poses.len() - 1];
                    assert!(path.poses[0].distance(&pair.start) + last.distance(&pair.goal) < 1e-9);
                    let length: f64 = path.poses.windows(2).map(|pair| pair[0].distance(&pair[1])).sum();
                    assert!((length - path.length).abs() < 1e-6 * length.max(1.0), "{length} is not {}", path.length);
                    assert!(path.clearance > robot.radius);
                }
                Outcome::Unreachable { .. } => assert!(!stamped.connected(&pair.start, &pair.goal), "{pair:?}"),
                Outcome::NetworkFailed { .. } | Outcome::DoesNotFit { .. } => {
                    panic!("a fallback is there, no footprint")
                }
            }
            result
        })
        .collect();
    Summary::of(&results)
}

/// Asserts what is promised for real maps, robot radius 0.22 m.
fn assert_good(summary: &Summary, least_planned: usize, least_share: f64) {
    assert!(summary.all_right(), "{summary:?}");
    assert!(summary.planned >= least_planned, "only {} planned", summary.planned);
    let ratio = summary.length_ratio.expect("paths");
    assert!(ratio.p50 <= 1.10 && ratio.max <= 1.25, "{ratio:?}");
    let share = summary.network_share().expect("segments");
    assert!(share >= least_share, "the network solved {share} of the segments");
}

#[test]
fn depot_is_planned_between_a_hundred_pairs() {
    let map = OccupancyMap::read(&fixture("depot.yaml")).expect("a map");
    assert_good(&measured(map, Robot::default(), 100, 11), 90, 0.97);
}

#[test]
fn tb3_sandbox_is_planned_between_a_hundred_pairs() {
    let map = OccupancyMap::read(&fixture("tb3_sandbox.yaml")).expect("a map");
    assert_good(&measured(map, Robot::default(), 100, 11), 100, 0.85);
}

#[test]
fn warehouses_are_planned_too() {
    let map = warehouse(600, 800, 5).expect("a warehouse");
    assert_good(&measured(map, Robot::default(), 30, 11), 25, 0.95);
}

/// Exact search finds the published length of every scenario; no path along the planning grid is shorter, and smoothing
/// makes none longer.
#[test]
fn scenarios_are_as_long_as_published() {
    let map = OccupancyMap::read(&fixture("arena.map")).expect("a map");
    let published = scenarios(&fixture("arena.map.scen"), &map).expect("scenarios");
    assert_eq!(published.len(), 160);
    let point = Robot { radius: 0.0, ..Robot::default() };
    let stamped = Stamped::new(&map, 0.0);
    let mut smooth = planner(map.clone(), point, unhurried());
    let mut angular = planner(map, point, PlanOptions { smooth: false, ..unhurried() });
    let mut ratios = Vec::new();
    for scenario in published {
        let terrain = smooth.terrain();
        let cell = |pose: Pose| terrain.free_cell("place", pose.x, pose.y).expect("a free cell");
        let exact = terrain.optimal_length(cell(scenario.start), cell(scenario.goal), ExactSearch::AStar);
        let exact = exact.expect("a way");
        assert!((exact - scenario.octile_length).abs() < 1e-4, "line {}: {exact}", scenario.line);
        let planned = |planner: &mut Planner<Network>| match planner
            .plan(scenario.start, Goal::from(scenario.goal))
            .expect("a plan")
            .outcome
        {
            Outcome::Planned(path) => path,
            other => panic!("line {}: {other:?}", scenario.line),
        };
        let (smooth, angular) = (planned(&mut smooth), planned(&mut angular));
        stamped.assert_clear(&smooth);
        stamped.assert_clear(&angular);
        assert!(angular.length >= exact - 1e-6, "line {}: {} is too short", scenario.line, angular.length);
        assert!(smooth.length <= angular.length + 1e-9);
        if exact > 0.0 {
            ratios.push(smooth.length / exact);
        }
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[ratios.len() / 2] <= 1.10 && ratios[ratios.len() - 1] <= 1.25, "{:?}", ratios.last());
}

/// A session that gives back the puzzle, or noise, as its answer, and takes its time.
struct Useless {
    info: SessionInfo,
    config: TrmConfig,
    noise: bool,
    delay: Duration,
}

impl StepSession for Useless {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        std::thread::sleep(self.delay);
        let mut rng = seeded(input.tokens.iter().map(|&token| token as u64).sum());
        let answer = if self.noise {
            input.tokens.iter().map(|_| (rng.next_u32() % 6) as i32).collect()
        } else {
            input.tokens.clone()
        };
        let rows = input.puzzle_ids.len();
        Ok(ActOutput { answer, q_halt: vec![f32::NAN; rows], q_continue: vec![0.0; rows], logits: None })
    }

    fn carry(&self) -> Result<Carry> {
        Ok(Carry { z_h: Vec::new(), z_l: Vec::new() })
    }

    fn set_carry(&mut self, _: &Carry) -> Result<()> {
        Ok(())
    }
}

fn useless(noise: bool, delay: Duration) -> Network {
    let model = Model::open("maze-9").expect("a shipped model");
    let info = TractEngine.load_step(model.bundle(), &SessionOptions::default()).expect("a session").info().clone();
    let config = model.config().clone();
    Network::new(&model, 2, || Ok(Box::new(Useless { info: info.clone(), config: config.clone(), noise, delay })))
        .expect("a network")
}

#[test]
fn where_the_network_fails_the_exact_route_fills_in_and_is_named() {
    let map = OccupancyMap::read(&fixture("depot.yaml")).expect("a map");
    let stamped = Stamped::new(&map, 0.22);
    let terrain = Terrain::new(map, Robot::default()).expect("a terrain");
    let (start, goal) = (Pose::new(2.0, 7.0, 0.0), Goal { x: 25.0, y: 4.0, yaw: Some(1.0) });
    for noise in [false, true] {
        let network = || useless(noise, Duration::ZERO);
        let mut planner = Planner::new(terrain.clone(), network(), unhurried());
        let Outcome::Planned(path) = planner.plan(start, goal).expect("a plan").outcome else { panic!("no path") };
        stamped.assert_clear(&path);
        assert_eq!(path.network_share(), Some(0.0));
        let filled_in = SegmentPlanner::AStar(NetworkMiss::Unverified);
        assert!(path.segments.len() > 5 && path.segments.iter().all(|segment| segment.planner == filled_in));
        assert!(path.by_network.iter().all(|network| !network));
        assert_eq!(path.poses.last().map(|pose| pose.yaw), Some(1.0));

        let alone = PlanOptions { fallback: Fallback::None, ..unhurried() };
        let plan = Planner::new(terrain.clone(), network(), alone).plan(start, goal).expect("a plan");
        let segments = path.segments.len();
        assert_eq!(plan.outcome, Outcome::NetworkFailed { failed: segments, segments });
    }
}

#[test]
fn a_slow_network_is_not_waited_for() {
    let map = OccupancyMap::read(&fixture("depot.yaml")).expect("a map");
    let options = PlanOptions { network_limit: Some(Duration::from_millis(50)), ..PlanOptions::default() };
    let terrain = Terrain::new(map, Robot::default()).expect("a terrain");
    let mut planner = Planner::new(terrain, useless(false, Duration::from_millis(20)), options);
    let began = Instant::now();
    let plan = planner.plan(Pose::new(2.0, 7.0, 0.0), Goal { x: 25.0, y: 4.0, yaw: None }).expect("a plan");
    // Unlimited, 13 segments of 6 steps and 3 more tries would take three seconds.
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let Outcome::Planned(path) = plan.outcome else { panic!("no path") };
    assert_eq!(path.network_share(), Some(0.0));
    // No failure of the network's.
    let late = SegmentPlanner::AStar(NetworkMiss::TimedOut);
    assert!(path.segments.iter().all(|segment| segment.planner == late), "{:?}", path.segments);
}

#[test]
fn plans_do_not_depend_on_the_number_of_lanes() {
    let map = OccupancyMap::read(&fixture("tb3_sandbox.yaml")).expect("a map");
    let terrain = Terrain::new(map, Robot::default()).expect("a terrain");
    let pairs = random_pairs(&terrain, 5, 3).expect("pairs");
    let outcomes = |lanes| {
        let mut planner = Planner::new(terrain.clone(), network(lanes), unhurried());
        let plan = |pair: &trm_solver::measure::plan_trial::Pair| planner.plan(pair.start, Goal::from(pair.goal));
        pairs.iter().map(plan).map(|plan| plan.expect("a plan").outcome).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(1), outcomes(3));
}

#[test]
fn a_turned_map_has_the_same_path_turned() {
    let map = OccupancyMap::read(&fixture("tb3_sandbox.yaml")).expect("a map");
    let turn = 0.7_f64;
    let turned = |x: f64, y: f64| (5.0 + x * turn.cos() - y * turn.sin(), -3.0 + x * turn.sin() + y * turn.cos());
    let origin = turned(map.origin().x, map.origin().y);
    let other = OccupancyMap::new(
        "turned",
        (map.width(), map.height()),
        map.resolution(),
        Pose::new(origin.0, origin.1, turn),
        map.values().to_vec(),
    )
    .expect("a map");
    let path = |map: OccupancyMap, start: Pose, goal: Pose| {
        let mut planner = planner(map, Robot::default(), unhurried());
        match planner.plan(start, Goal { yaw: None, ..Goal::from(goal) }).expect("a plan").outcome {
            Outcome::Planned(path) => path,
            other => panic!("{other:?}"),
        }
    };
    let (start, goal) = (Pose::new(-2.0, -0.5, 0.0), Pose::new(0.55, 1.75, 0.0));
    let moved = |pose: Pose| {
        let (x, y) = turned(pose.x, pose.y);
        Pose::new(x, y, turn)
    };
    let plain = path(map, start, goal);
    let rotated = path(other, moved(start), moved(goal));
    assert!((plain.length - rotated.length).abs() < 1e-6, "{} {}", plain.length, rotated.length);
    assert_eq!(plain.poses.len(), rotated.poses.len());
    for (a, b) in plain.poses.iter().zip(&rotated.poses) {
        let (x, y) = turned(a.x, a.y);
        assert!((x - b.x).abs() < 1e-6 && (y - b.y).abs() < 1e-6, "{a:?} {b:?}");
        let off = (b.yaw - a.yaw - turn).rem_euclid(std::f64::consts::TAU);
        assert!(off.min(std::f64::consts::TAU - off) < 1e-6, "{a:?} {b:?}");
    }
}

#[test]
fn places_where_the_robot_cannot_be_are_refused_and_a_near_one_offered() {
    let map = OccupancyMap::read(&fixture("depot.yaml")).expect("a map");
    let mut planner = planner(map, Robot::default(), unhurried());
    let free = Pose::new(2.0, 7.0, 0.0);
    let goal = |x, y, yaw| Goal { x, y, yaw };
    let mut refused = |start, goal| explained(&planner.plan(start, goal).expect_err("refused"));

    let wall = refused(free, goal(15.1, 4.8, None));
    assert!(wall.starts_with("the goal 15.1,4.8 is "), "{wall}");
    assert!(wall.contains("\nhint: the nearest free place is "), "{wall}");
    let outside = refused(free, goal(100.0, 4.0, None));
    assert!(
        outside.starts_with("the goal 100,4 is outside of the map\nhint: the map reaches from x 0.00 to 30.2"),
        "{outside}"
    );
    let nan = refused(free, goal(f64::NAN, 4.0, None));
    assert!(nan.starts_with("the goal NaN,4 is no place"), "{nan}");
    let infinite = refused(free, goal(25.0, 4.0, Some(f64::INFINITY)));
    assert!(infinite.starts_with("the goal 25,4 cannot be reached at an angle of inf"), "{infinite}");
    let start = refused(Pose::new(-1.0, 3.0, 0.0), goal(25.0, 4.0, None));
    assert!(start.starts_with("the start -1,3 is outside of the map"), "{start}");
}

#[test]
fn start_and_goal_may_be_anywhere_in_a_cell_even_the_same_place() {
    let map = OccupancyMap::read(&fixture("depot.yaml")).expect("a map");
    let stamped = Stamped::new(&map, 0.22);
    let mut planner = planner(map, Robot::default(), unhurried());
    let mut path = |start: Pose, goal: Pose| match planner.plan(start, Goal::from(goal)).expect("a plan").outcome {
        Outcome::Planned(path) => path,
        other => panic!("{other:?}"),
    };
    let here = Pose::new(2.013, 7.0499, 0.5);
    let nowhere = path(here, here);
    assert_eq!((nowhere.poses.len(), nowhere.network_share()), (2, None));
    assert!(nowhere.length.abs() < 1e-12 && (nowhere.poses[1].yaw - 0.5).abs() < 1e-12);
    let near = path(here, Pose::new(2.0201, 7.0101, 0.0));
    assert_eq!(near.poses.len(), 2);
    assert!((near.length - 0.0404_f64).abs() < 1e-3);
    let far = path(here, Pose::new(24.9999, 4.0001, 0.0));
    stamped.assert_clear(&far);
    assert_eq!((far.poses[0].x, far.poses[0].y), (here.x, here.y));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Random maps, robots and places: every path stands the test's own check, and there is none exactly if flooding
    /// finds none. By a network that fails, and so by the fallback: the network's part is tested on windows.
    #[test]
    fn every_path_on_random_maps_is_clear(
        (width, values) in (4_usize..60, 4_usize..60).prop_flat_map(|(width, height)| (
            Just(width),
            proptest::collection::vec(prop_oneof![9 => Just(0_i8), 1 => Just(100_i8), 1 => Just(-1_i8)], width * height),
        )),
        // Cells of 0.1 m are divided for the smaller ones.
        radius in prop_oneof![Just(0.0), 0.04..0.2_f64],
        seed in any::<u64>(),
        offsets in proptest::array::uniform4(0.01..0.99_f64),
    ) {
        let size = (width, values.len() / width);
        let map = OccupancyMap::new("random", size, 0.1, Pose::new(-1.0, 2.0, 0.0), values).expect("a map");
        let robot = Robot { radius, ..Robot::default() };
        let terrain = Terrain::new(map, robot).expect("a terrain");
        prop_assert_eq!(terrain.parts() > 1, radius > 0.0 && radius < 0.1);
        let stamped = Stamped::new(terrain.map(), radius);
        let (width, cell) = (terrain.map().width(), terrain.map().resolution());
        let size = (width, terrain.map().height());
        let free: Vec<MapCell> = (0..size.0 * size.1)
            .map(|index| MapCell { x: index % width, y: index / width })
            .filter(|&cell| terrain.free_space().is_free(cell))
            .collect();
        prop_assert_eq!(free.len(), stamped.free.iter().filter(|&&free| free).count());
        prop_assume!(!free.is_empty());
        let mut rng = seeded(seed);
        let mut place = |dx: f64, dy: f64| {
            let at = free[(rng.next_u64() % free.len() as u64) as usize];
            Pose::new(-1.0 + (at.x as f64 + dx) * cell, 2.0 + (at.y as f64 + dy) * cell, 0.0)
        };
        let (start, goal) = (place(offsets[0], offsets[1]), place(offsets[2], offsets[3]));
        let mut planner = Planner::new(terrain, useless(false, Duration::ZERO), unhurried());
        match planner.plan(start, Goal::from(goal)).expect("a plan").outcome {
            Outcome::Planned(path) => {
                stamped.assert_clear(&path);
                prop_assert!(stamped.connected(&start, &goal));
            }
            Outcome::Unreachable { .. } => prop_assert!(!stamped.connected(&start, &goal)),
            Outcome::NetworkFailed { .. } | Outcome::DoesNotFit { .. } => {
                prop_assert!(false, "a fallback is there, no footprint");
            }
        }
    }
}

#[test]
fn a_maze_is_planned_as_a_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/maze.txt");
    let LoadedMap { map, start, goal, .. } = LoadedMap::read(&path).expect("a maze");
    let (start, goal) = (start.expect("S"), goal.expect("G"));
    let mut planner = planner(map, Robot { radius: 0.0, ..Robot::default() }, unhurried());
    let Outcome::Planned(path) = planner.plan(start, Goal::from(goal)).expect("a plan").outcome else {
        panic!("no path")
    };
    // 9 x 9 cells are more than the 7 x 7 within the model's frame, but the way needs no more than these.
    assert_eq!((path.segments.len(), path.network_share()), (1, Some(1.0)));
}
