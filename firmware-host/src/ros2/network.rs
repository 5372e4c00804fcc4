//! The planner that the node is for: the network's.

use std::sync::Arc;

use trm_engine::{Engine, SessionOptions};
use trm_plan::{
    self, CostOptions, Fallback, Goal, Mask, MaskKind, OccupancyMap, PlanOptions, PlannedPath, Planner, Pose, Robot,
    SegmentPlanner, Terrain,
};
use trm_solver::{Model, Network};

use super::costmap::INSCRIBED;
use super::planner::{MapKind, Outcome, PathPlanner, Planned, PlannerSettings};
use crate::{HostError, Result};

/// [`Planner`] on the maps that arrive.
#[derive(Debug)]
pub struct NetworkPlanner {
    /// Until the first map.
    network: Option<Network>,
    /// Since then.
    planner: Option<Planner<Network>>,
    options: PlanOptions,
    settings: PlannerSettings,
}

impl NetworkPlanner {
    /// With a maze model in `lanes` sessions side by side, each of which takes `rows` segments at a time. On a processor one
    /// session of one row for each core is best, on a GPU one session of many rows.
    ///
    /// # Errors
    /// [`HostError::Solver`] for a model of something else or one that needs too much memory, and where the engine
    /// fails.
    pub fn load(engine: &dyn Engine, model: &Model, lanes: usize, rows: usize) -> Result<Self> {
        let threads = (cores() / lanes.max(1)).max(1);
        let options = SessionOptions { batch: rows, threads, ..SessionOptions::default() };
        let model = Network::for_windows(model, (Network::WINDOW, Network::WINDOW))?;
        Network::check_memory(&model, lanes, options.batch)?;
        let network = Network::new(&model, lanes, || engine.load_step(model.bundle(), &options))?;
        let options = PlanOptions { max_steps: Network::steps(&model), ..PlanOptions::default() };
        Ok(Self { network: Some(network), planner: None, options, settings: PlannerSettings::default() })
    }

    /// The model's name, the engine and the execution provider that run it.
    #[must_use]
    pub fn describe(&self) -> String {
        let network = self.network.as_ref().or(self.planner.as_ref().map(Planner::solver));
        network.map_or_else(String::new, |network| {
            format!("{} on {} ({})", network.name(), network.backend(), network.provider())
        })
    }
}

impl PathPlanner for NetworkPlanner {
    fn set_map(&mut self, map: Arc<OccupancyMap>, kind: MapKind, settings: &PlannerSettings) -> Result<()> {
        let map = Arc::unwrap_or_clone(map);
        let (robot, costs) = match kind {
            MapKind::Occupancy => {
                let inflation = Some(settings.inflation).filter(|inflation| inflation.radius > 0.0);
                (settings.robot, CostOptions { inflation, ..CostOptions::default() })
            }
            // A mask's 1 to 98 are nav2's costs to within a hundredth.
            MapKind::Costmap => {
                let masks = vec![Mask::new(map.clone(), MaskKind::Level)?];
                let robot = Robot { radius: 0.0, occupied_from: INSCRIBED, ..settings.robot };
                (robot, CostOptions { masks, ..CostOptions::default() })
            }
        };
        let terrain = Terrain::with_costs(map, robot, &costs)?;
        self.options.escape = settings.escape;
        self.settings = *settings;
        match (&mut self.planner, self.network.take()) {
            (Some(planner), _) => {
                planner.set_terrain(terrain);
                planner.set_options(self.options.clone());
            }
            (None, Some(network)) => self.planner = Some(Planner::new(terrain, network, self.options.clone())),
            (None, None) => return Err(part("its network is gone")),
        }
        Ok(())
    }

    fn plan(&mut self, start: Pose, goal: Pose) -> Result<Outcome> {
        let planner = self.planner.as_mut().ok_or_else(|| part("there is no map"))?;
        let plan = planner.plan(start, Goal::from(goal))?;
        let ms = plan.time.total.as_secs_f64() * 1e3;
        Ok(match plan.outcome {
            trm_plan::Outcome::Planned(path) => judged(&path, self.settings.fallback, self.settings.spacing, ms),
            trm_plan::Outcome::Unreachable { reachable_cells } => Outcome::Unreachable(format!(
                "none of the {reachable_cells} cells that the robot can get to from the start is the goal's"
            )),
            trm_plan::Outcome::DoesNotFit { fault } => Outcome::Failed(fault.to_string()),
            trm_plan::Outcome::NetworkFailed { failed, segments } => Outcome::Failed(network_failed(failed, segments)),
        })
    }
}

/// The processor's cores, as far as this process may use them.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn part(reason: &str) -> HostError {
    HostError::Part { part: "planner", reason: reason.to_owned() }
}

/// The path, if somebody may fill in or nobody had to. The planner always works with a stand-in, because its options are
/// fixed when the network goes into it; whether one is wanted can change while the node runs.
fn judged(path: &PlannedPath, fallback: Fallback, spacing: f64, ms: f64) -> Outcome {
    let filled_in = path.segments.iter().filter(|segment| segment.planner != SegmentPlanner::Network).count();
    if fallback == Fallback::None && filled_in > 0 {
        return Outcome::Failed(network_failed(filled_in, path.segments.len()));
    }
    let poses = if spacing > 0.0 {
        path.divided(spacing).into_iter().map(|(pose, _)| pose).collect()
    } else {
        path.poses.clone()
    };
    Outcome::Planned(Planned {
        path: poses,
        network_share: path.network_share(),
        length_m: path.length,
        cost_m: path.cost,
        ms,
    })
}

fn network_failed(failed: usize, segments: usize) -> String {
    format!(
        "the network did not solve {failed} of {segments} segments, and nothing stands in for it; set the parameter fallback \
         to astar"
    )
}

#[cfg(test)]
mod tests {
    use trm_plan::{Inflation, NetworkMiss, Robot, Segment, UnknownSpace};

    use super::*;

    /// 10 x 10 m with a wall across, up to `wall` cells from the left.
    fn map(wall: usize) -> Arc<OccupancyMap> {
        let mut values = vec![0; 10_000];
        values[5000..5000 + wall].fill(100);
        Arc::new(OccupancyMap::new("a test", (100, 100), 0.1, Pose::default(), values).unwrap())
    }

    fn planner() -> NetworkPlanner {
        let engine = (trm_engine::registry::default().open)(None).unwrap();
        NetworkPlanner::load(engine.as_ref(), &Model::open("maze").unwrap(), 1, 1).unwrap()
    }

    #[test]
    fn plans_on_the_map_that_came_last() {
        let mut planner = planner();
        assert!(planner.describe().starts_with("maze on rten"), "{}", planner.describe());
        let (start, goal) = (Pose::new(2.0, 2.0, 0.0), Pose::new(2.0, 8.0, 1.0));
        let error = planner.plan(start, goal).unwrap_err();
        assert_eq!(error.to_string(), "planner: there is no map");

        planner.set_map(map(80), MapKind::Occupancy, &PlannerSettings::default()).unwrap();
        let Outcome::Planned(around) = planner.plan(start, goal).unwrap() else { panic!("there is a way") };
        assert!(around.length_m > 12.0, "{around:?}");
        assert!(around.path.windows(2).all(|pair| pair[0].distance(&pair[1]) < 0.1 + 1e-9));
        assert!((around.path[around.path.len() - 1].yaw - 1.0).abs() < 1e-12);

        planner.set_map(map(100), MapKind::Occupancy, &PlannerSettings::default()).unwrap();
        let Outcome::Unreachable(why) = planner.plan(start, goal).unwrap() else { panic!("there is no way") };
        assert!(why.contains("cells that the robot can get to from the start"), "{why}");

        let corners = PlannerSettings { spacing: 0.0, ..PlannerSettings::default() };
        planner.set_map(map(0), MapKind::Occupancy, &corners).unwrap();
        let Outcome::Planned(straight) = planner.plan(start, goal).unwrap() else { panic!("there is a way") };
        assert!((straight.length_m - 6.0).abs() < 0.1 && straight.path.len() < 10, "{straight:?}");
    }

    #[test]
    fn with_inflation_the_path_keeps_off_the_wall_and_a_docked_robot_is_led_out() {
        let mut planner = planner();
        // Around the wall's end at 8 m, a metre from the map's edge and more.
        let settings = |radius| PlannerSettings {
            inflation: Inflation { radius, scaling: 1.0 },
            escape: true,
            ..PlannerSettings::default()
        };
        let beside = |planner: &mut NetworkPlanner, start: Pose, radius| {
            planner.set_map(map(80), MapKind::Occupancy, &settings(radius)).unwrap();
            let Outcome::Planned(around) = planner.plan(start, Pose::new(2.0, 8.0, 1.0)).unwrap() else {
                panic!("a way")
            };
            let at_the_wall = around.path.iter().filter(|pose| (pose.y - 5.05).abs() < 0.3).map(|pose| pose.x - 8.0);
            (at_the_wall.fold(f64::INFINITY, f64::min), around.cost_m)
        };
        let start = Pose::new(2.0, 2.0, 0.0);
        let (hugging, none) = beside(&mut planner, start, 0.0);
        let (off, cost) = beside(&mut planner, start, 1.5);
        assert!(hugging < 0.35 && off > 0.6, "{hugging} and {off}");
        assert!(none.is_none() && cost > Some(12.0), "{none:?} {cost:?}");
        // A cell from the wall.
        assert!(beside(&mut planner, Pose::new(2.0, 4.85, 0.0), 1.5).1 > Some(12.0));
        let timid = PlannerSettings { escape: false, ..settings(1.5) };
        planner.set_map(map(80), MapKind::Occupancy, &timid).unwrap();
        assert!(planner.plan(Pose::new(2.0, 4.85, 0.0), Pose::new(2.0, 8.0, 1.0)).is_err());
    }

    #[test]
    fn a_costmap_is_not_inflated_again_and_its_costs_count() {
        let mut planner = planner();
        // A wall from the left to 8 m, inscribed cells around it to 8.3 m, and costs that fall from there on to 9.3 m.
        let mut values = vec![0; 10_000];
        let cost = |x: usize, y: usize| match (x.saturating_sub(80), y.abs_diff(50)) {
            (0, 0) => 100,
            (x, y) if x.max(y) <= 3 => 99,
            (x, y) if x.max(y) <= 13 => 98 - 9 * (x.max(y) as i8 - 4),
            _ => 0,
        };
        (0..10_000).for_each(|index| values[index] = cost(index % 100, index / 100));
        let costmap = |values: &[i8]| {
            Arc::new(OccupancyMap::new("a costmap", (100, 100), 0.1, Pose::default(), values.to_vec()).unwrap())
        };
        // A radius that would leave no way at all.
        let robot = Robot { radius: 4.0, unknown: UnknownSpace::Blocked, occupied_from: 1 };
        let settings = PlannerSettings { robot, ..PlannerSettings::default() };
        planner.set_map(costmap(&values), MapKind::Costmap, &settings).unwrap();
        let mut around = |start: Pose| planner.plan(start, Pose::new(2.0, 8.0, 0.0));
        let Outcome::Planned(planned) = around(Pose::new(2.0, 2.0, 0.0)).unwrap() else { panic!("there is a way") };
        let at_the_wall = planned.path.iter().filter(|pose| (pose.y - 5.05).abs() < 0.3).map(|pose| pose.x);
        let nearest = at_the_wall.fold(f64::INFINITY, f64::min);
        assert!(nearest > 9.0, "{nearest}: it keeps off what is dear");
        assert!(planned.network_share.is_none() && planned.cost_m >= Some(planned.length_m), "{planned:?}");
        let error = around(Pose::new(2.0, 4.85, 0.0)).unwrap_err().to_string();
        assert!(error.starts_with("the start 2,4.85 is in an obstacle"), "{error}");
        // Beside the inscribed cells it may stand.
        assert!(matches!(around(Pose::new(2.0, 4.65, 0.0)).unwrap(), Outcome::Planned(_)));
        // Costs beside the wall and none behind it: the same wall without costs is passed closely.
        values.iter_mut().filter(|value| **value < 99).for_each(|value| *value = 0);
        planner.set_map(costmap(&values), MapKind::Costmap, &settings).unwrap();
        let Outcome::Planned(planned) = planner.plan(Pose::new(2.0, 2.0, 0.0), Pose::new(2.0, 8.0, 0.0)).unwrap()
        else {
            panic!("there is a way")
        };
        let at_the_wall = planned.path.iter().filter(|pose| (pose.y - 5.05).abs() < 0.3).map(|pose| pose.x);
        assert!(at_the_wall.fold(f64::INFINITY, f64::min) < 8.6, "{planned:?}");
    }

    #[test]
    fn a_robot_that_cannot_be_leaves_the_map_before() {
        let mut planner = planner();
        planner.set_map(map(0), MapKind::Occupancy, &PlannerSettings::default()).unwrap();
        let robot = Robot { occupied_from: 0, ..Robot::default() };
        let settings = PlannerSettings { robot, ..PlannerSettings::default() };
        assert!(planner.set_map(map(100), MapKind::Occupancy, &settings).is_err());
        let found = planner.plan(Pose::new(2.0, 2.0, 0.0), Pose::new(2.0, 8.0, 0.0)).unwrap();
        assert!(matches!(found, Outcome::Planned(_)), "{found:?}");
    }

    #[test]
    fn without_a_stand_in_the_network_has_to_solve_all_segments() {
        let segment = |planner| Segment { planner, steps: 1, moves: 4, corners: [(0, 0); 2] };
        let path = PlannedPath {
            poses: vec![Pose::default(), Pose::new(1.0, 0.0, 0.0)],
            by_network: vec![true, false],
            length: 1.0,
            clearance: 1.0,
            median_clearance: 1.0,
            way_out: 0,
            cost: None,
            segments: [
                SegmentPlanner::Network,
                SegmentPlanner::AStar(NetworkMiss::Unverified),
                SegmentPlanner::Network,
            ]
            .map(segment)
            .to_vec(),
        };
        let Outcome::Failed(why) = judged(&path, Fallback::None, 0.1, 2.0) else { panic!("one was not solved") };
        assert!(why.starts_with("the network did not solve 1 of 3 segments"), "{why}");
        let Outcome::Planned(planned) = judged(&path, Fallback::AStar, 0.1, 2.0) else { panic!("it was filled in") };
        assert!((planned.network_share.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        let solved = PlannedPath { segments: vec![segment(SegmentPlanner::Network)], ..path };
        assert!(matches!(judged(&solved, Fallback::None, 0.1, 2.0), Outcome::Planned(_)));
    }
}
