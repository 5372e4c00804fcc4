//! The results of planning: a path, or the reason why there is none.

use std::time::Duration;

use super::{PathFault, Pose};

/// The most poses that a path is divided into: a kilometre, a millimetre apart.
pub const MOST_POSES: usize = 1_000_000;

/// The planner that found the way through a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentPlanner {
    /// The network; its path was verified.
    Network,
    /// The exact route.
    AStar(NetworkMiss),
}

/// The reason why a segment is not the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMiss {
    /// No path of the network's was verified, within its steps and tries.
    Unverified,
    /// Time was up before a path was verified.
    TimedOut,
    /// Its path is right, but longer than [`PlanOptions::max_detour`](super::PlanOptions::max_detour) allows.
    Detour,
}

/// A segment: a window of the planning grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The planner that found the way.
    pub planner: SegmentPlanner,
    /// ACT steps of all of the network's attempts.
    pub steps: usize,
    /// Moves from cell to cell of the planning grid.
    pub moves: usize,
    /// Its lower left and its upper right corner: columns and rows of the map's cells from the map's lower left corner. A
    /// window may reach beyond the map.
    pub corners: [(i64, i64); 2],
}

/// The time of each stage of a plan.
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
    /// For each pose, true if the line to the next one comes from the network's answers alone.
    pub by_network: Vec<bool>,
    /// Metres.
    pub length: f64,
    /// Metres from the robot's centre to the nearest obstacle, cell centre to cell centre, at the closest; infinite on a
    /// map without obstacles.
    pub clearance: f64,
    /// Metres likewise, at the median along the path.
    pub median_clearance: f64,
    /// Poses at the beginning of the path that lead out of a place too close to an obstacle; mostly none. The rest keeps its
    /// distance.
    pub way_out: usize,
    /// Metres of free ground that cost as much as the path; `None` without costs.
    pub cost: Option<f64>,
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

    /// The number of poses that [`divided`](Self::divided) would make with this spacing, were there no limit.
    #[must_use]
    pub fn poses_at(&self, spacing: f64) -> f64 {
        let pieces = |pair: &[Pose]| (pair[0].distance(&pair[1]) / spacing).ceil().max(1.0);
        self.poses.windows(2).map(pieces).sum::<f64>() + 1.0
    }

    /// The path with poses no more than `spacing` metres apart, as controllers want it. The flag of each is true if
    /// the line to the next one comes from the network's answers alone. There are no more than [`MOST_POSES`]: a
    /// spacing that would give more is widened.
    #[must_use]
    pub fn divided(&self, spacing: f64) -> Vec<(Pose, bool)> {
        let spacing = match self.poses_at(spacing) {
            count if count <= MOST_POSES as f64 => spacing,
            // Each line between two poses may add one more than its share.
            _ => self.length / (MOST_POSES.saturating_sub(self.poses.len())).max(1) as f64,
        };
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

/// The outcome of planning.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A path.
    Planned(PlannedPath),
    /// There is no path, which is certain: the free cells that can be reached from the start do not hold the goal.
    Unreachable {
        /// Number of cells of the map that can be reached from the start.
        reachable_cells: usize,
    },
    /// There is a path for a round robot, but on it the footprint touches an obstacle.
    DoesNotFit {
        /// The place.
        fault: PathFault,
    },
    /// There is a path, but the network did not find all of it, and nobody was to fill in.
    NetworkFailed {
        /// Segments without a verified path.
        failed: usize,
        /// All segments.
        segments: usize,
    },
}

/// The outcome of planning, and its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The outcome.
    pub outcome: Outcome,
    /// The time of each stage.
    pub time: PlanTime,
}
