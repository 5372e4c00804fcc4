//! Planning on maps: an occupancy map, a start and a goal in metres go in, a path in metres comes out that was checked
//! on the map's full resolution.

mod check;
mod exact;
mod free_space;
pub mod map;
mod network;
mod picture;
mod planner;
mod planning_grid;
mod report;
mod sight;
mod smooth;
mod terrain;
pub mod trial;
mod window;

pub use check::{PathFault, check_path};
pub use exact::{ExactSearch, length, shortest_path};
pub use free_space::{FreeSpace, Robot, UnknownSpace};
pub use map::{MapCell, OccupancyMap};
pub use network::Network;
pub use picture::picture;
pub use planner::{Fallback, PlanOptions, Planner};
pub use report::{NetworkMiss, Outcome, Plan, PlanTime, PlannedPath, Segment, SegmentPlanner};
pub use terrain::Terrain;

/// A place and a direction on the ground, in the frame of a map.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pose {
    /// Metres along the frame's x axis.
    pub x: f64,
    /// Metres along the frame's y axis.
    pub y: f64,
    /// Radians from the x axis, counterclockwise, -π to π.
    pub yaw: f64,
}

impl Pose {
    /// A pose; angles are brought into -π to π.
    #[must_use]
    pub fn new(x: f64, y: f64, yaw: f64) -> Self {
        Self { x, y, yaw: normalized(yaw) }
    }

    /// Whether all three numbers are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.yaw.is_finite()
    }

    /// Metres to another place.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// A place to go to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Metres along the map frame's x axis.
    pub x: f64,
    /// Metres along the map frame's y axis.
    pub y: f64,
    /// Radians from the x axis, counterclockwise; `None` if any direction will do.
    pub yaw: Option<f64>,
}

impl From<Pose> for Goal {
    fn from(pose: Pose) -> Self {
        Self { x: pose.x, y: pose.y, yaw: Some(pose.yaw) }
    }
}

/// A stop watch.
#[derive(Debug, Clone, Copy)]
pub struct StopWatch(std::time::Instant);

impl StopWatch {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the last call, or the start.
    pub fn lap(&mut self) -> std::time::Duration {
        let now = std::time::Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now))
    }
}

/// An angle in radians brought into -π to π.
#[must_use]
pub fn normalized(angle: f64) -> f64 {
    let turned = angle.rem_euclid(std::f64::consts::TAU);
    if turned > std::f64::consts::PI { turned - std::f64::consts::TAU } else { turned }
}
