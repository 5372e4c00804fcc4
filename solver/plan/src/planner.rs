//! From a start and a goal to a checked path.

use std::time::{Duration, Instant};

use super::check::check_path;
use super::map::MapCell;
use super::maze_solver::{Effort, MazeSolver};
use super::planning_grid::Node;
use super::report::{NetworkMiss, Outcome, Plan, PlanTime, PlannedPath, Segment, SegmentPlanner};
use super::sight::{Point, is_clear, touched_cells};
use super::smooth::{Corner, length, smooth};
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
}

impl Default for PlanOptions {
    /// A* fills in; 6 steps, 3 tries, 400 ms for the network, detours of a fifth; smoothing.
    fn default() -> Self {
        Self {
            fallback: Fallback::AStar,
            max_steps: 6,
            tries: 3,
            seed: 0,
            network_limit: Some(Duration::from_millis(400)),
            max_detour: 1.2,
            smooth: true,
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

    /// The solver of the mazes.
    #[must_use]
    pub fn solver(&self) -> &S {
        &self.solver
    }

    /// Plans from a place to a goal.
    ///
    /// # Errors
    ///
    /// [`PlanError::PlaceRefused`] for a place outside the map or not free (it offers the nearest that is);
    /// [`PlanError::MazeSolver`] if the solver fails; [`PlanError::PlanFault`] if a path fails its check.
    pub fn plan(&mut self, start: Pose, goal: Goal) -> Result<Plan> {
        let began = Instant::now();
        let terrain = &self.terrain;
        if let Some(yaw) = goal.yaw.filter(|yaw| !yaw.is_finite()) {
            let reason = format!("cannot be reached at an angle of {yaw} radians");
            return Err(PlanError::PlaceRefused { what: "goal", x: goal.x, y: goal.y, reason, hint: None });
        }
        let from = terrain.free_cell("start", start.x, start.y)?;
        let to = terrain.free_cell("goal", goal.x, goal.y)?;
        let mut time = PlanTime::default();
        let mut watch = StopWatch::start();
        let node = |cell| terrain.grid.node_of(cell).ok_or_else(|| inconsistent("a free cell has no node"));
        let (from_node, to_node) = (node(from)?, node(to)?);
        let Some(route) = terrain.grid.route(from_node, to_node) else {
            time.total = began.elapsed();
            let reachable_cells = terrain.grid.reachable_cells(from_node);
            return Ok(Plan { outcome: Outcome::Unreachable { reachable_cells }, time });
        };
        time.route = watch.lap();

        let windows = cut(&terrain.grid, &route, self.solver.maze_size());
        let (ways, segments) = self.solve(&windows, began)?;
        time.network = watch.lap();
        let failed = segments.iter().filter(|segment| segment.planner != SegmentPlanner::Network).count();
        if failed > 0 && self.options.fallback == Fallback::None {
            time.total = began.elapsed();
            let outcome = Outcome::NetworkFailed { failed, segments: segments.len() };
            return Ok(Plan { outcome, time });
        }

        let terrain = &self.terrain;
        let ends = Ends {
            start: terrain.map.to_cells(start.x, start.y),
            from,
            goal: terrain.map.to_cells(goal.x, goal.y),
            to,
        };
        let mut corners = assemble(terrain, &ends, (from_node, to_node), &ways, &segments);
        if self.options.smooth {
            corners = smooth(&terrain.space, corners);
        }
        let mut path = in_frame(terrain, &corners, goal.yaw, segments);
        // What was asked for, not what it became in cells and back.
        if let [first, .., last] = &mut path.poses[..] {
            (first.x, first.y, last.x, last.y) = (start.x, start.y, goal.x, goal.y);
        }
        time.smoothing = watch.lap();

        let target = Pose { x: goal.x, y: goal.y, yaw: 0.0 };
        check_path(&terrain.map, &terrain.robot, start, target, &path.poses)
            .map_err(|fault| inconsistent(&fault.to_string()))?;
        time.check = watch.lap();
        time.total = began.elapsed();
        Ok(Plan { outcome: Outcome::Planned(path), time })
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
                    None => SegmentPlanner::AStar(NetworkMiss::Unverified),
                    Some(way) if self.is_detour(way, &window.route) => SegmentPlanner::AStar(NetworkMiss::Detour),
                    Some(_) => SegmentPlanner::Network,
                };
                let way = match (planner, found) {
                    (SegmentPlanner::Network, Some(way)) => way,
                    _ => window.route.clone(),
                };
                let segment = Segment { planner, steps: attempt.steps, moves: way.len() - 1 };
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

fn inconsistent(what: &str) -> PlanError {
    PlanError::PlanFault { what: what.to_owned() }
}

/// The ends of a path: the places, in cells, and the cells that they are in.
struct Ends {
    start: Point,
    from: MapCell,
    goal: Point,
    to: MapCell,
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
    let middle = |cell: MapCell| (cell.x as f64 + 0.5, cell.y as f64 + 0.5);
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
    corners.dedup_by(|next, here| {
        let same = next.point == here.point;
        here.network = if same { next.network } else { here.network };
        same
    });
    if corners.len() == 1 {
        // Start and goal are the same place.
        corners.push(corners[0]);
    }
    corners
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
        segments,
    }
}
