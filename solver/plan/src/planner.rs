//! From a start and a goal to a checked path.

use std::time::{Duration, Instant};

use super::PathFault;
use super::check::{check_costs, check_path};
use super::costs::{cheapest_path, relax};
use super::footprint::{Footprint, check_footprint};
use super::free_space::Robot;
use super::map::MapCell;
use super::maze_solver::{Effort, MazeSolver};
use super::planning_grid::Node;
use super::report::{NetworkMiss, Outcome, Plan, PlanTime, PlannedPath, Segment, SegmentPlanner};
use super::sight::{Point, is_clear, touched_cells};
use super::smooth::{Corner, divide, length, smooth};
use super::terrain::Terrain;
use super::window::{Window, cut};
use super::{Goal, Pose, StopWatch};
use crate::{PlanError, Result};

/// The stand-in for the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallback {
    /// The exact route of the planning grid, by A*.
    #[default]
    AStar,
    /// Nobody: the plan fails.
    None,
}

/// The options of a [`Planner`].
#[derive(Debug, Clone, PartialEq)]
pub struct PlanOptions {
    /// The stand-in for a segment for which the network has no verified path.
    pub fallback: Fallback,
    /// Most ACT steps of an attempt.
    pub max_steps: usize,
    /// Symmetric copies of a window that are tried when the first answer is not verified.
    pub tries: usize,
    /// Seed of the symmetries.
    pub seed: u64,
    /// Time after which the network begins no further step; what is left is for the fallback. `None` for no limit.
    pub network_limit: Option<Duration>,
    /// Longest that a segment of the network's may be, as a multiple of the exact route, both pulled tight. Not used
    /// without a fallback.
    pub max_detour: f64,
    /// True to replace pieces of the path by straight lines where nothing is in the way.
    pub smooth: bool,
    /// The robot's outline, if it is not round: a path on which it touches anything is none.
    pub footprint: Option<Footprint>,
    /// True if the start's angle is the robot's, from which a footprint has to turn.
    pub turns_at_start: bool,
    /// True to lead a robot that stands too close to an obstacle out to the nearest free place first.
    pub escape: bool,
}

impl Default for PlanOptions {
    /// A* fills in; 6 steps, 3 tries, no limit of time, so that a plan is the same whatever else runs; detours of a fifth;
    /// smoothing.
    fn default() -> Self {
        Self {
            fallback: Fallback::AStar,
            max_steps: 6,
            tries: 3,
            seed: 0,
            network_limit: None,
            max_detour: 1.2,
            smooth: true,
            footprint: None,
            turns_at_start: false,
            escape: false,
        }
    }
}

/// Plans on a terrain with a solver of mazes.
#[derive(Debug)]
pub struct Planner<S> {
    terrain: Terrain,
    solver: S,
    options: PlanOptions,
}

impl<S: MazeSolver> Planner<S> {
    /// A planner on a terrain.
    #[must_use]
    pub fn new(terrain: Terrain, solver: S, options: PlanOptions) -> Self {
        Self { terrain, solver, options }
    }

    /// The terrain.
    #[must_use]
    pub fn terrain(&self) -> &Terrain {
        &self.terrain
    }

    /// Goes on with another map.
    pub fn set_terrain(&mut self, terrain: Terrain) {
        self.terrain = terrain;
    }

    /// Goes on with other options.
    pub fn set_options(&mut self, options: PlanOptions) {
        self.options = options;
    }

    /// The solver of the mazes.
    #[must_use]
    pub fn solver(&self) -> &S {
        &self.solver
    }

    /// Plans from a place to a goal. On a terrain with costs that is the exact planner's work alone: a maze knows of none.
    ///
    /// # Errors
    ///
    /// [`PlanError::PlaceRefused`] for a place outside the map or not free (it offers the nearest that is);
    /// [`PlanError::MazeSolver`] if the solver fails; [`PlanError::PlanFault`] if a path fails its check.
    pub fn plan(&mut self, start: Pose, goal: Goal) -> Result<Plan> {
        let mut clock = Clock::start();
        if let Some(yaw) = goal.yaw.filter(|yaw| !yaw.is_finite()) {
            let reason = format!("cannot be reached at an angle of {yaw} radians");
            return Err(PlanError::PlaceRefused { what: "goal", x: goal.x, y: goal.y, reason, hint: None });
        }
        let ends = self.ends(start, goal)?;
        let terrain = &self.terrain;
        let node = |cell| terrain.grid.node_of(cell).ok_or_else(|| inconsistent("a free cell has no node"));
        let (from, to) = (node(ends.from)?, node(ends.to)?);
        if !terrain.grid.connected(from, to) {
            let reachable_cells = terrain.grid.reachable_cells(from);
            return Ok(clock.plan(Outcome::Unreachable { reachable_cells }));
        }
        if let Some(costs) = &terrain.costs {
            let found = cheapest_path(&terrain.space, costs, ends.from, ends.to);
            let (cells, _) = found.ok_or_else(|| inconsistent("connected cells have no cheapest path"))?;
            clock.time.route = clock.watch.lap();
            let corner = |point| Corner { point, network: false };
            let cells = cells.into_iter().map(middle);
            let corners = std::iter::once(ends.start).chain(cells).chain([ends.goal]).map(corner).collect();
            let corners = distinct(corners);
            let corners = if self.options.smooth { relax(&terrain.space, costs, corners) } else { corners };
            return self.finish(corners, Vec::new(), &ends, clock);
        }
        let route = terrain.grid.route(from, to).ok_or_else(|| inconsistent("connected nodes have no route"))?;
        clock.time.route = clock.watch.lap();

        let windows = cut(&terrain.grid, &route, self.solver.maze_size());
        let (ways, segments) = self.solve(&windows, clock.began)?;
        clock.time.network = clock.watch.lap();
        let failed = segments.iter().filter(|segment| segment.planner != SegmentPlanner::Network).count();
        if failed > 0 && self.options.fallback == Fallback::None {
            return Ok(clock.plan(Outcome::NetworkFailed { failed, segments: segments.len() }));
        }

        let terrain = &self.terrain;
        let mut corners = assemble(terrain, &ends, (from, to), &ways, &segments);
        if self.options.smooth {
            corners = smooth(&terrain.space, corners);
        }
        self.finish(corners, segments, &ends, clock)
    }

    /// The places to plan between; behind a way out, where one is needed and wanted.
    fn ends(&self, pose: Pose, target: Goal) -> Result<Ends> {
        let terrain = &self.terrain;
        let place = |x, y| terrain.map.to_cells(x, y);
        let (start, from, way_out) = match terrain.free_cell("start", pose.x, pose.y) {
            Ok(cell) => (place(pose.x, pose.y), cell, Vec::new()),
            Err(refused) => {
                let way_out = if self.options.escape { terrain.way_out(pose.x, pose.y) } else { None };
                let Some((way_out, &last)) = way_out.as_ref().and_then(|way| Some((way, way.last()?))) else {
                    return Err(refused);
                };
                (middle(last), last, way_out.clone())
            }
        };
        let to = terrain.free_cell("goal", target.x, target.y)?;
        Ok(Ends { pose, way_out, start, from, goal: place(target.x, target.y), to, target })
    }

    /// The path of these corners in the map's frame, behind the way out, once it is checked.
    fn finish(&self, mut corners: Vec<Corner>, segments: Vec<Segment>, ends: &Ends, mut clock: Clock) -> Result<Plan> {
        let &Ends { pose: start, target: goal, ref way_out, .. } = ends;
        let terrain = &self.terrain;
        let straight = straightened(terrain, start, way_out);
        corners.splice(0..0, straight.iter().map(|&point| Corner { point, network: false }));
        let mut path = in_frame(terrain, &corners, goal.yaw, segments);
        path.way_out = straight.len();
        path.cost = terrain.costs.as_ref().map(|costs| {
            let line = |pair: &[Corner]| costs.of_line(pair[0].point, pair[1].point);
            corners[straight.len()..].windows(2).map(line).sum::<f64>() * terrain.map.resolution()
        });
        // What was asked for, not what it became in cells and back.
        if let [first, .., last] = &mut path.poses[..] {
            (first.x, first.y, last.x, last.y) = (start.x, start.y, goal.x, goal.y);
        }
        clock.time.smoothing = clock.watch.lap();

        let target = Pose { x: goal.x, y: goal.y, yaw: 0.0 };
        let fault = |fault: PathFault| inconsistent(&fault.to_string());
        let from = path.poses.get(path.way_out).copied().unwrap_or(start);
        check_path(&terrain.map, &terrain.robot, from, target, &path.poses[path.way_out..]).map_err(fault)?;
        if let Some(cell) = way_out.first() {
            // No closer than it was: obstacles a ten-thousandth of a cell nearer would be touched.
            let radius = (terrain.space.distance(*cell) - 1e-4).max(0.0) * terrain.map.resolution();
            let robot = Robot { radius, ..terrain.robot };
            check_path(&terrain.map, &robot, start, from, &path.poses[..=path.way_out]).map_err(fault)?;
        }
        if let Some(costs) = &terrain.costs {
            let checked = check_costs(&terrain.map, costs, &path.poses[path.way_out..]).map_err(fault)?;
            let claimed = path.cost.unwrap_or(f64::NAN);
            let is_confirmed = (checked - claimed).abs() <= COST_TOLERANCE * checked.max(terrain.map.resolution());
            if !is_confirmed {
                return Err(inconsistent(&format!("it costs {checked:.4} m, not {claimed:.4}")));
            }
        }
        let touches = self.options.footprint.as_ref().and_then(|footprint| {
            let yaws = ((path.way_out == 0 && self.options.turns_at_start).then_some(start.yaw), goal.yaw);
            check_footprint(&terrain.map, &terrain.robot, footprint, yaws, &path.poses[path.way_out..]).err()
        });
        clock.time.check = clock.watch.lap();
        Ok(clock.plan(touches.map_or(Outcome::Planned(path), |fault| Outcome::DoesNotFit { fault })))
    }

    /// The way through each window, and the planner that found it.
    fn solve(&mut self, windows: &[Window], began: Instant) -> Result<(Vec<Vec<Node>>, Vec<Segment>)> {
        let effort = Effort {
            max_steps: self.options.max_steps.max(1),
            tries: self.options.tries,
            seed: self.options.seed,
            deadline: self.options.network_limit.map(|limit| began + limit),
        };
        let mazes: Vec<_> = windows.iter().map(|window| &window.maze).collect();
        let attempts = self.solver.solve(&mazes, &effort).map_err(PlanError::MazeSolver)?;
        Ok(windows
            .iter()
            .zip(attempts)
            .map(|(window, attempt)| {
                let found = attempt.answer.and_then(|answer| window.path(&answer));
                let planner = match &found {
                    None if attempt.timed_out => SegmentPlanner::AStar(NetworkMiss::TimedOut),
                    None => SegmentPlanner::AStar(NetworkMiss::Unverified),
                    Some(way) if self.is_detour(way, &window.route) => SegmentPlanner::AStar(NetworkMiss::Detour),
                    Some(_) => SegmentPlanner::Network,
                };
                let way = match (planner, found) {
                    (SegmentPlanner::Network, Some(way)) => way,
                    _ => window.route.clone(),
                };
                let segment = Segment { planner, steps: attempt.steps, moves: way.len() - 1, corners: window.corners };
                (way, segment)
            })
            .unzip())
    }

    /// True if the network's way is too much longer than the exact route, both pulled tight: a maze does not tell it
    /// on which side of an obstacle the way is shorter by a part of a cell. Where nobody fills in, any way is welcome.
    fn is_detour(&self, way: &[Node], route: &[Node]) -> bool {
        self.options.fallback != Fallback::None
            && way != route
            && self.terrain.tight_length(way) > self.options.max_detour * self.terrain.tight_length(route)
    }
}

/// Most points of a path at which its distance from obstacles is looked at, beside its corners.
const CLEARANCE_POINTS: usize = 20_000;

/// The share by which a path's cost and that of points along it may differ.
const COST_TOLERANCE: f64 = 0.02;

fn middle(cell: MapCell) -> Point {
    (cell.x as f64 + 0.5, cell.y as f64 + 0.5)
}

/// The way out of a place as few straight lines through its cells, without its last cell; empty if there is none.
fn straightened(terrain: &Terrain, start: Pose, way_out: &[MapCell]) -> Vec<Point> {
    let Some((_, way)) = way_out.split_last() else { return Vec::new() };
    let is_between = |cells: &[MapCell]| {
        let [a, b, c] = [cells[0], cells[1], cells[2]].map(|cell| (cell.x as i64, cell.y as i64));
        (b.0 - a.0, b.1 - a.1) == (c.0 - b.0, c.1 - b.1)
    };
    let turns = way_out.windows(3).filter(|cells| !is_between(cells)).map(|cells| middle(cells[1]));
    let mut points = vec![terrain.map.to_cells(start.x, start.y)];
    points.extend(way.first().map(|&cell| middle(cell)));
    points.extend(turns);
    points.dedup();
    points
}

fn inconsistent(what: &str) -> PlanError {
    PlanError::PlanFault { what: what.to_owned() }
}

/// The time of a plan.
struct Clock {
    began: Instant,
    watch: StopWatch,
    time: PlanTime,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), watch: StopWatch::start(), time: PlanTime::default() }
    }

    /// The plan, which took until now.
    fn plan(self, outcome: Outcome) -> Plan {
        Plan { outcome, time: PlanTime { total: self.began.elapsed(), ..self.time } }
    }
}

/// The ends of a path: the places, in cells, and the cells that they are in.
struct Ends {
    /// The robot's pose.
    pose: Pose,
    /// The cells from there to `from`, where it stands too close to an obstacle.
    way_out: Vec<MapCell>,
    start: Point,
    from: MapCell,
    goal: Point,
    to: MapCell,
    target: Goal,
}

/// The corners without those that are where the one before is; two at least, where start and goal are the same place.
fn distinct(mut corners: Vec<Corner>) -> Vec<Corner> {
    corners.dedup_by(|next, here| {
        let same = next.point == here.point;
        here.network = if same { next.network } else { here.network };
        same
    });
    if corners.len() == 1 {
        corners.push(corners[0]);
    }
    corners
}

/// The path over the map that goes along the nodes: every line of it in free cells.
fn assemble(
    terrain: &Terrain,
    ends: &Ends,
    (from, to): (Node, Node),
    ways: &[Vec<Node>],
    segments: &[Segment],
) -> Vec<Corner> {
    let Terrain { space, grid, .. } = terrain;
    let by_network = |segment: Option<&Segment>| segment.is_some_and(|s| s.planner == SegmentPlanner::Network);
    // Start and goal are tied to the grid within their own cell of it: whose segment that is, is the neighbour's.
    let (first, last) = (by_network(segments.first()), by_network(segments.last()));
    if from == to && is_clear(space, ends.start, ends.goal) {
        return [ends.start, ends.goal].map(|point| Corner { point, network: false }).to_vec();
    }
    let corner = |network: bool| move |point: Point| Corner { point, network };
    let mut corners = vec![corner(first)(ends.start), corner(first)(middle(ends.from))];
    corners.extend(grid.way_to_centre(space, ends.from, from).into_iter().map(corner(first)));
    for (way, segment) in ways.iter().zip(segments) {
        let network = by_network(Some(segment));
        // The flag of a corner is for the line that leaves it.
        if let Some(corner) = corners.last_mut() {
            corner.network = network;
        }
        for pair in way.windows(2) {
            corners.extend(grid.way(space, pair[0], pair[1]).into_iter().map(corner(network)));
        }
    }
    let mut tail = grid.way_to_centre(space, ends.to, to);
    tail.pop();
    tail.reverse();
    corners.extend(tail.into_iter().map(corner(last)));
    corners.extend([corner(last)(middle(ends.to)), corner(last)(ends.goal)]);
    distinct(corners)
}

fn in_frame(terrain: &Terrain, corners: &[Corner], goal_yaw: Option<f64>, segments: Vec<Segment>) -> PlannedPath {
    let map = &terrain.map;
    let mut poses: Vec<Pose> = corners
        .iter()
        .map(|corner| {
            let (x, y) = map.to_frame(corner.point.0, corner.point.1);
            Pose { x, y, yaw: 0.0 }
        })
        .collect();
    let mut yaw = 0.0;
    for at in 1..poses.len() {
        let (dx, dy) = (poses[at].x - poses[at - 1].x, poses[at].y - poses[at - 1].y);
        if dx != 0.0 || dy != 0.0 {
            yaw = dy.atan2(dx);
        }
        poses[at - 1].yaw = yaw;
    }
    if let Some(last) = poses.last_mut() {
        last.yaw = goal_yaw.map_or(yaw, super::normalized);
    }
    let mut clearance = f64::INFINITY;
    for pair in corners.windows(2) {
        touched_cells(pair[0].point, pair[1].point, |x, y| {
            // The path is in the map: cells are counted from 0.
            clearance = clearance.min(terrain.space.distance(MapCell { x: x as usize, y: y as usize }));
            true
        });
    }
    PlannedPath {
        poses,
        by_network: corners.iter().map(|corner| corner.network).collect(),
        length: length(corners) * map.resolution(),
        clearance: clearance * map.resolution(),
        median_clearance: median_clearance(terrain, corners) * map.resolution(),
        way_out: 0,
        cost: None,
        segments,
    }
}

/// The median distance in cells to the nearest obstacle, of points along a path.
fn median_clearance(terrain: &Terrain, corners: &[Corner]) -> f64 {
    let spacing = (length(corners) / CLEARANCE_POINTS as f64).max(0.25);
    let (width, height) = (terrain.map.width(), terrain.map.height());
    let distance = |corner: &Corner| {
        let cell = |value: f64, side: usize| (value.max(0.0) as usize).min(side - 1);
        terrain.space.distance(MapCell { x: cell(corner.point.0, width), y: cell(corner.point.1, height) })
    };
    let mut distances: Vec<f64> = divide(corners, spacing).iter().map(distance).collect();
    let middle = distances.len() / 2;
    *distances.select_nth_unstable_by(middle, f64::total_cmp).1
}
