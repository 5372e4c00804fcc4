//! From a start and a goal to a checked path.

use std::time::{Duration, Instant};

use super::check::check_path;
use super::exact::{self, ExactSearch};
use super::free_space::{FreeSpace, Robot};
use super::map::{MapCell, OccupancyMap};
use super::network::Network;
use super::planning_grid::{Node, PlanningGrid};
use super::sight::{Point, is_clear};
use super::smooth::{Corner, length, smooth};
use super::window::{Window, cut};
use super::{Goal, Pose};
use crate::{HaltPolicy, Result, SolveOptions, SolverError};

/// How far around a start or goal that is not free a place is looked for that could be meant, in cells. Farther, if the
/// robot's radius is.
const OFFERED_WITHIN: usize = 20;

/// A map made ready for a robot.
#[derive(Debug, Clone)]
pub struct Terrain {
    map: OccupancyMap,
    robot: Robot,
    space: FreeSpace,
    grid: PlanningGrid,
}

impl Terrain {
    /// Inflates the map's obstacles by the robot's radius and reduces it to the planning grid.
    pub fn new(map: OccupancyMap, robot: Robot) -> Result<Self> {
        let space = FreeSpace::new(&map, &robot)?;
        let grid = PlanningGrid::new(&space, robot.radius / map.resolution());
        Ok(Self { map, robot, space, grid })
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &OccupancyMap {
        &self.map
    }

    /// The robot.
    #[must_use]
    pub fn robot(&self) -> &Robot {
        &self.robot
    }

    /// Where the robot's centre may be.
    #[must_use]
    pub fn free_space(&self) -> &FreeSpace {
        &self.space
    }

    /// Metres along a side of a cell of the planning grid.
    #[must_use]
    pub fn planning_cell(&self) -> f64 {
        self.grid.scale() as f64 * self.map.resolution()
    }

    /// Whether the planning grid has a way between two cells; that is exact, see its module. `false` for cells that are
    /// not free.
    #[must_use]
    pub fn connected(&self, from: MapCell, to: MapCell) -> bool {
        let inside = |cell: MapCell| cell.x < self.map.width() && cell.y < self.map.height();
        match (inside(from) && inside(to)).then(|| (self.grid.node_of(from), self.grid.node_of(to))) {
            Some((Some(from), Some(to))) => self.grid.connected(from, to),
            _ => false,
        }
    }

    /// Length in metres of the shortest path in eight directions over free cells, by exact search from cell to cell;
    /// `None` if there is none. A path that is not bound to eight directions may be up to 8 % shorter.
    #[must_use]
    pub fn optimal_length(&self, from: MapCell, to: MapCell, search: ExactSearch) -> Option<f64> {
        let path = exact::shortest_path(&self.space, from, to, search)?;
        Some(exact::length(&path) * self.map.resolution())
    }

    /// The free cell in which a place is. The error says what is there instead, and offers the nearest free place.
    pub fn free_cell(&self, what: &'static str, x: f64, y: f64) -> Result<MapCell> {
        let refuse = |reason: String, hint: Option<String>| SolverError::PlaceRefused { what, x, y, reason, hint };
        let Some(cell) = self.map.cell_at(x, y) else {
            let reason = if x.is_finite() && y.is_finite() { "is outside of the map" } else { "is no place" };
            return Err(refuse(reason.to_owned(), Some(self.extent())));
        };
        if self.space.is_free(cell) {
            return Ok(cell);
        }
        let reason = match self.map.get(cell) {
            Some(super::map::UNKNOWN) if self.robot.is_obstacle(super::map::UNKNOWN) => "is unknown space".to_owned(),
            Some(value) if self.robot.is_obstacle(value) => "is in an obstacle".to_owned(),
            _ => format!(
                "is {:.2} m from an obstacle, too close for a robot of radius {} m",
                self.space.distance(cell) * self.map.resolution(),
                self.robot.radius
            ),
        };
        let within = OFFERED_WITHIN.max((self.robot.radius / self.map.resolution()).ceil() as usize * 2);
        let hint = match self.space.nearest(cell, within) {
            Some(free) => {
                let (free_x, free_y) = self.map.centre(free);
                format!(
                    "the nearest free place is {free_x:.3},{free_y:.3}, {:.2} m away",
                    (free_x - x).hypot(free_y - y)
                )
            }
            None => format!("no place within {:.2} m is free", within as f64 * self.map.resolution()),
        };
        Err(refuse(reason, Some(hint)))
    }

    /// Length in cells of the way along nodes, pulled tight.
    fn tight_length(&self, nodes: &[Node]) -> f64 {
        let Some(&first) = nodes.first() else { return 0.0 };
        let corner = |point| Corner { point, network: true };
        let mut corners = vec![corner(self.grid.centre(first))];
        for pair in nodes.windows(2) {
            corners.extend(self.grid.way(&self.space, pair[0], pair[1]).into_iter().map(corner));
        }
        length(&smooth(&self.space, corners))
    }

    /// Where the map lies, for hints.
    fn extent(&self) -> String {
        let (width, height) = (self.map.width() as f64, self.map.height() as f64);
        let corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)].map(|(x, y)| self.map.to_frame(x, y));
        let range = |values: [f64; 4]| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            format!("{least:.2} to {:.2}", values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        };
        format!(
            "the map reaches from x {} and y {} m",
            range(corners.map(|corner| corner.0)),
            range(corners.map(|corner| corner.1))
        )
    }
}

/// Who fills in for the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallback {
    /// The exact route of the planning grid, by A*.
    #[default]
    AStar,
    /// Nobody: the plan fails.
    None,
}

/// How a [`Planner`] works.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanOptions {
    /// What happens to a segment for which the network has no verified path.
    pub fallback: Fallback,
    /// Most ACT steps of an attempt.
    pub max_steps: usize,
    /// Symmetric copies of a window that are tried when the first answer is not verified.
    pub tries: usize,
    /// Seed of the symmetries.
    pub seed: u64,
    /// Time after which the network begins no further step; what is left is for the fallback. `None` for no limit.
    pub network_limit: Option<Duration>,
    /// How much longer than the exact route a segment of the network's may be, both pulled tight, as a factor. Not used
    /// without a fallback.
    pub max_detour: f64,
    /// Replace pieces of the path by straight lines where nothing is in the way.
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

/// Who found the way through a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentPlanner {
    /// The network; its path was verified.
    Network,
    /// The exact route.
    AStar(NetworkMiss),
}

/// Why a segment is not the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMiss {
    /// No path of the network's was verified, within its steps, tries and time.
    Unverified,
    /// Its path is right, but longer than [`PlanOptions::max_detour`] allows.
    Detour,
}

/// A segment: a window of the planning grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Who found the way.
    pub planner: SegmentPlanner,
    /// ACT steps of all of the network's attempts.
    pub steps: usize,
    /// Moves from cell to cell of the planning grid.
    pub moves: usize,
}

/// Where the time of a plan went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanTime {
    /// The route over the planning grid.
    pub route: Duration,
    /// The network on its windows.
    pub network: Duration,
    /// Assembling and smoothing.
    pub smoothing: Duration,
    /// The check on the map.
    pub check: Duration,
    /// All of it.
    pub total: Duration,
}

/// A path from start to goal that was checked on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPath {
    /// Waypoints in the map's frame, two at least; yaw is the direction of travel, at the last one the goal's if it has
    /// one.
    pub poses: Vec<Pose>,
    /// For each pose, whether the line to the next one comes from the network's answers alone.
    pub by_network: Vec<bool>,
    /// Metres.
    pub length: f64,
    /// Metres from the robot's centre to the nearest obstacle, cell centre to cell centre, at the closest; infinite on a
    /// map without obstacles.
    pub clearance: f64,
    /// The windows along it; none if start and goal share a cell of the planning grid.
    pub segments: Vec<Segment>,
}

impl PlannedPath {
    /// The share of segments that the network solved, 0 to 1; `None` if there are no segments.
    #[must_use]
    pub fn network_share(&self) -> Option<f64> {
        let solved = self.segments.iter().filter(|segment| segment.planner == SegmentPlanner::Network).count();
        (!self.segments.is_empty()).then(|| solved as f64 / self.segments.len() as f64)
    }

    /// ACT steps of all segments.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.segments.iter().map(|segment| segment.steps).sum()
    }

    /// The path with a pose every `spacing` metres at least, as controllers want it; with each, whether the line to the
    /// next one comes from the network's answers alone.
    #[must_use]
    pub fn divided(&self, spacing: f64) -> Vec<(Pose, bool)> {
        let mut divided = Vec::new();
        for (pair, &network) in self.poses.windows(2).zip(&self.by_network) {
            let (a, b) = (pair[0], pair[1]);
            let pieces = (a.distance(&b) / spacing).ceil().clamp(1.0, 1e6) as usize;
            divided.extend((0..pieces).map(|piece| {
                let t = piece as f64 / pieces as f64;
                (Pose { x: a.x + t * (b.x - a.x), y: a.y + t * (b.y - a.y), ..a }, network)
            }));
        }
        divided.extend(self.poses.last().map(|&pose| (pose, false)));
        divided
    }
}

/// What came of planning.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A path.
    Planned(PlannedPath),
    /// There is none, which is certain: the free cells that can be reached from the start do not hold the goal.
    Unreachable {
        /// How many cells of the map can be reached from the start.
        reachable_cells: usize,
    },
    /// There is one, but the network did not find all of it, and nobody was to fill in.
    NetworkFailed {
        /// Segments without a verified path.
        failed: usize,
        /// All segments.
        segments: usize,
    },
}

/// What came of planning, and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What came of it.
    pub outcome: Outcome,
    /// Where the time went.
    pub time: PlanTime,
}

/// Plans on a terrain with a network.
#[derive(Debug)]
pub struct Planner {
    terrain: Terrain,
    network: Network,
    options: PlanOptions,
}

impl Planner {
    /// A planner on a terrain.
    #[must_use]
    pub fn new(terrain: Terrain, network: Network, options: PlanOptions) -> Self {
        Self { terrain, network, options }
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

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Plans from a place to a goal.
    ///
    /// Fails for a place outside the map or not free (the error offers the nearest that is), and if the engine does.
    pub fn plan(&mut self, start: Pose, goal: Goal) -> Result<Plan> {
        let began = Instant::now();
        let terrain = &self.terrain;
        if let Some(yaw) = goal.yaw.filter(|yaw| !yaw.is_finite()) {
            let reason = format!("cannot be reached at an angle of {yaw} radians");
            return Err(SolverError::PlaceRefused { what: "goal", x: goal.x, y: goal.y, reason, hint: None });
        }
        let from = terrain.free_cell("start", start.x, start.y)?;
        let to = terrain.free_cell("goal", goal.x, goal.y)?;
        let mut time = PlanTime::default();
        let node = |cell| terrain.grid.node_of(cell).ok_or_else(|| inconsistent("a free cell has no node"));
        let (from_node, to_node) = (node(from)?, node(to)?);
        let Some(route) = terrain.grid.route(from_node, to_node) else {
            time.total = began.elapsed();
            let reachable_cells = terrain.grid.reachable_cells(from_node);
            return Ok(Plan { outcome: Outcome::Unreachable { reachable_cells }, time });
        };
        time.route = began.elapsed();

        let windows = cut(&terrain.grid, &route, self.network.maze_size());
        let (ways, segments) = self.solve(&windows, began)?;
        time.network = began.elapsed() - time.route;
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
        time.smoothing = began.elapsed() - time.route - time.network;

        let target = Pose { x: goal.x, y: goal.y, yaw: 0.0 };
        check_path(&terrain.map, &terrain.robot, start, target, &path.poses)
            .map_err(|fault| inconsistent(&fault.to_string()))?;
        time.total = began.elapsed();
        time.check = time.total - time.smoothing - time.route - time.network;
        Ok(Plan { outcome: Outcome::Planned(path), time })
    }

    /// The way through each window, and who found it.
    fn solve(&mut self, windows: &[Window], began: Instant) -> Result<(Vec<Vec<Node>>, Vec<Segment>)> {
        let options = SolveOptions {
            halt: HaltPolicy::Verified,
            max_steps: Some(self.options.max_steps.max(1)),
            tries: self.options.tries,
            seed: self.options.seed,
            ..SolveOptions::default()
        };
        let deadline = self.options.network_limit.map(|limit| began + limit);
        let mazes: Vec<_> = windows.iter().map(|window| &window.maze).collect();
        let attempts = self.network.solve(&mazes, &options, deadline)?;
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

    /// Whether the network's way is too much longer than the exact route, both pulled tight: a maze does not tell it on
    /// which side of an obstacle the way is shorter by a part of a cell. Where nobody fills in, any way is welcome.
    fn is_detour(&self, way: &[Node], route: &[Node]) -> bool {
        self.options.fallback != Fallback::None
            && way != route
            && self.terrain.tight_length(way) > self.options.max_detour * self.terrain.tight_length(route)
    }
}

fn inconsistent(what: &str) -> SolverError {
    SolverError::PlanFault { what: what.to_owned() }
}

/// Where a path begins and ends: the places, in cells, and the cells that they are in.
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
        super::sight::touched_cells(pair[0].point, pair[1].point, |x, y| {
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
