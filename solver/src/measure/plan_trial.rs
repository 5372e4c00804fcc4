//! Measures a planner on pairs of places, against exact search: the method of nav2's planner benchmark (random free pairs
//! more than 3 m apart, `nav2/tools/planner_benchmarking`).

use std::time::{Duration, Instant};

use trm_plan::{
    ExactSearch, Goal, MapCell, MazeSolver, NetworkMiss, Outcome, PlanError, PlannedPath, Planner, Pose,
    SegmentPlanner, Terrain, check_path,
};
use trm_puzzles::seeded;

use crate::measure::bench::Spread;
use crate::{Result, SolverError};

/// Metres that start and goal of a random pair are apart at least.
pub const LEAST_DISTANCE: f64 = 3.0;
/// The most random pairs: the result of each is kept to the end.
pub const MOST_PAIRS: usize = 100_000;
/// Draws for each pair before a map counts as too small for any.
const DRAWS_A_PAIR: usize = 10_000;

/// A start and a goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// From here.
    pub start: Pose,
    /// To here.
    pub goal: Pose,
}

/// Draws `count` pairs of free cells' centres more than [`LEAST_DISTANCE`] metres apart, whether or not a way leads
/// from one to the other; the same for the same terrain and seed.
///
/// # Errors
///
/// [`SolverError::TooManyPairs`] for more than [`MOST_PAIRS`]; [`SolverError::NoPairs`] if the map has no room for
/// them.
pub fn random_pairs(terrain: &Terrain, count: usize, seed: u64) -> Result<Vec<Pair>> {
    use rand::Rng;
    if count > MOST_PAIRS {
        return Err(SolverError::TooManyPairs { count, limit: MOST_PAIRS });
    }
    let map = terrain.map();
    let mut rng = seeded(seed);
    let cells = map.width() * map.height();
    let free: Vec<u32> =
        (0..cells as u32).filter(|&index| terrain.free_space().is_free_index(index as usize)).collect();
    let mut draw = || {
        let index = free[(rng.next_u64() % free.len() as u64) as usize] as usize;
        MapCell { x: index % map.width(), y: index / map.width() }
    };
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let draws = if free.is_empty() { 0 } else { DRAWS_A_PAIR };
        let pair = (0..draws).find_map(|_| {
            let (from, to) = (draw(), draw());
            let far = from.x.abs_diff(to.x).pow(2) + from.y.abs_diff(to.y).pow(2);
            let far = (far as f64).sqrt() * map.resolution() > LEAST_DISTANCE;
            far.then(|| {
                let pose = |cell| {
                    let (x, y) = map.centre(cell);
                    Pose::new(x, y, 0.0)
                };
                Pair { start: pose(from), goal: pose(to) }
            })
        });
        pairs.push(pair.ok_or_else(|| SolverError::NoPairs {
            map: map.source().to_owned(),
            reason: format!(
                "no two free places more than {LEAST_DISTANCE} m apart in {DRAWS_A_PAIR} draws: {} of {cells} cells are free for a robot of radius {} m",
                free.len(),
                terrain.robot().radius
            ),
        })?);
    }
    Ok(pairs)
}

/// Result of planning a pair.
#[derive(Debug, Clone)]
pub struct PairResult {
    /// Answer of the planner.
    pub outcome: Outcome,
    /// A planned path, checked anew on the map, touches nothing.
    pub collision_free: bool,
    /// Metres of the shortest path in eight directions, by A*; `None` if there is none.
    pub optimal: Option<f64>,
    /// The same for the least cost, in metres of free ground; `None` without costs too.
    pub optimal_cost: Option<f64>,
    /// The planner's time.
    pub time: Duration,
    /// A*'s time, cell by cell on the whole map.
    pub astar: Duration,
    /// Dijkstra's time, likewise; `None` if it was not run.
    pub dijkstra: Option<Duration>,
}

impl PairResult {
    /// The path, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&PlannedPath> {
        match &self.outcome {
            Outcome::Planned(path) => Some(path),
            _ => None,
        }
    }

    /// Returns true if planner and exact search agree that there is a way, or that there is none.
    #[must_use]
    pub fn agrees(&self) -> bool {
        match self.outcome {
            Outcome::Unreachable { .. } => self.optimal.is_none(),
            Outcome::Planned(_) | Outcome::NetworkFailed { .. } | Outcome::DoesNotFit { .. } => self.optimal.is_some(),
        }
    }
}

/// Plans a pair, checks the path, and searches exactly for comparison.
///
/// # Errors
///
/// [`SolverError::Plan`] if start or goal is not free, or the planner fails; with [`PlanError::PlanFault`] if A* and
/// Dijkstra disagree.
pub fn try_pair(planner: &mut Planner<impl MazeSolver>, pair: &Pair, with_dijkstra: bool) -> Result<PairResult> {
    let plan = planner.plan(pair.start, Goal { x: pair.goal.x, y: pair.goal.y, yaw: None })?;
    let terrain = planner.terrain();
    let from = terrain.free_cell("start", pair.start.x, pair.start.y)?;
    let to = terrain.free_cell("goal", pair.goal.x, pair.goal.y)?;
    let timed = |search| {
        let began = Instant::now();
        let length = terrain.optimal_length(from, to, search);
        (length, began.elapsed())
    };
    let (optimal, astar) = timed(ExactSearch::AStar);
    let dijkstra = if with_dijkstra {
        let (length, time) = timed(ExactSearch::Dijkstra);
        let same = match (length, optimal) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.max(1.0),
            (a, b) => a.is_none() && b.is_none(),
        };
        if !same {
            return Err(PlanError::PlanFault { what: format!("A* finds {optimal:?} m, Dijkstra {length:?} m") }.into());
        }
        Some(time)
    } else {
        None
    };
    let collision_free = match &plan.outcome {
        Outcome::Planned(path) => {
            check_path(terrain.map(), terrain.robot(), pair.start, pair.goal, &path.poses).is_ok()
        }
        _ => false,
    };
    let optimal_cost = terrain.costs().and_then(|_| terrain.optimal_cost(from, to));
    Ok(PairResult {
        outcome: plan.outcome,
        collision_free,
        optimal,
        optimal_cost,
        time: plan.time.total,
        astar,
        dijkstra,
    })
}

/// Results of many pairs, summed up.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Pairs tried.
    pub pairs: usize,
    /// Paths.
    pub planned: usize,
    /// Paths that, checked anew, touch nothing.
    pub collision_free: usize,
    /// Pairs that the planner called unreachable.
    pub unreachable: usize,
    /// Pairs with a way that the network did not find, with nobody to fill in.
    pub network_failed: usize,
    /// Pairs about which planner and exact search disagree whether there is a way.
    pub disagreements: usize,
    /// Length of the path by the exact optimum in eight directions.
    pub length_ratio: Option<Spread>,
    /// Cost of the path by the least cost in eight directions, where there are costs.
    pub cost_ratio: Option<Spread>,
    /// Metres to an obstacle, at the closest of all paths; `None` without obstacles.
    pub least_clearance: Option<f64>,
    /// Metres to an obstacle at the median along a path, of all paths the median; likewise.
    pub median_clearance: Option<f64>,
    /// Segments of all paths.
    pub segments: usize,
    /// Of these, the network's.
    pub network_segments: usize,
    /// Of these, those where its path was right but a detour.
    pub detours: usize,
    /// Of these, those that ran out of time.
    pub timed_out: usize,
    /// ACT steps.
    pub steps: usize,
    /// Milliseconds of a plan, of those that led to a path: planning without a way ends at once. Likewise below.
    pub plan_ms: Option<Spread>,
    /// Milliseconds of A* on the map.
    pub astar_ms: Option<Spread>,
    /// Milliseconds of Dijkstra's algorithm on the map.
    pub dijkstra_ms: Option<Spread>,
}

impl Summary {
    /// Sums up some results.
    #[must_use]
    pub fn of(results: &[PairResult]) -> Self {
        let count = |test: &dyn Fn(&PairResult) -> bool| results.iter().filter(|result| test(result)).count();
        let planned = || results.iter().filter(|result| result.path().is_some());
        let paths = || results.iter().filter_map(PairResult::path);
        let segments = || paths().flat_map(|path| &path.segments);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            pairs: results.len(),
            planned: paths().count(),
            collision_free: count(&|result| result.collision_free),
            unreachable: count(&|result| matches!(result.outcome, Outcome::Unreachable { .. })),
            network_failed: count(&|result| matches!(result.outcome, Outcome::NetworkFailed { .. })),
            disagreements: count(&|result| !result.agrees()),
            length_ratio: Spread::of(results.iter().filter_map(|result| {
                let optimal = result.optimal.filter(|&optimal| optimal > 0.0)?;
                Some(result.path()?.length / optimal)
            })),
            cost_ratio: Spread::of(results.iter().filter_map(|result| {
                let optimal = result.optimal_cost.filter(|&optimal| optimal > 0.0)?;
                Some(result.path()?.cost? / optimal)
            })),
            least_clearance: paths()
                .map(|path| path.clearance)
                .min_by(f64::total_cmp)
                .filter(|least| least.is_finite()),
            median_clearance: Spread::of(paths().map(|path| path.median_clearance))
                .map(|spread| spread.p50)
                .filter(|median| median.is_finite()),
            segments: segments().count(),
            network_segments: segments().filter(|segment| segment.planner == SegmentPlanner::Network).count(),
            detours: segments().filter(|segment| segment.planner == SegmentPlanner::AStar(NetworkMiss::Detour)).count(),
            timed_out: segments()
                .filter(|segment| segment.planner == SegmentPlanner::AStar(NetworkMiss::TimedOut))
                .count(),
            steps: segments().map(|segment| segment.steps).sum(),
            plan_ms: Spread::of(planned().map(|result| ms(result.time))),
            astar_ms: Spread::of(planned().map(|result| ms(result.astar))),
            dijkstra_ms: Spread::of(planned().filter_map(|result| result.dijkstra.map(ms))),
        }
    }

    /// The share of segments that the network solved.
    #[must_use]
    pub fn network_share(&self) -> Option<f64> {
        (self.segments > 0).then(|| self.network_segments as f64 / self.segments as f64)
    }

    /// Returns true if every pair got a right answer: a path that touches nothing, or a true word that there is none.
    #[must_use]
    pub fn all_right(&self) -> bool {
        self.disagreements == 0 && self.network_failed == 0 && self.collision_free == self.planned
    }
}
