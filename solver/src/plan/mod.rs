//! Planning on maps: an occupancy map, a start and a goal in metres go in, a path in metres comes out that was checked
//! on the map's full resolution.
//!
//! ```
//! use trm_solver::engine::tract::TractEngine;
//! use trm_solver::plan::{Goal, Network, OccupancyMap, Outcome, PlanOptions, Planner, Pose, Robot, Terrain};
//! use trm_solver::{Engine, Model, SessionOptions};
//!
//! // A hall of 6 m x 3 m with a wall across that leaves 0.8 m open.
//! let mut values = vec![0; 60 * 30];
//! (0..22).for_each(|row| values[row * 60 + 30] = 100);
//! let map = OccupancyMap::new("hall", (60, 30), 0.1, Pose::default(), values)?;
//!
//! let model = Model::open("maze-9")?;
//! let load = || TractEngine.load_step(model.bundle(), &SessionOptions::default());
//! let network = Network::new(&model, 2, load)?;
//! let terrain = Terrain::new(map, Robot { radius: 0.2, ..Robot::default() })?;
//! let mut planner = Planner::new(terrain, network, PlanOptions::default());
//!
//! let plan = planner.plan(Pose::new(0.5, 0.5, 0.0), Goal { x: 5.5, y: 0.5, yaw: None })?;
//! let Outcome::Planned(path) = plan.outcome else { panic!("there is a way") };
//! assert!(path.length > 6.0 && path.clearance > 0.2);
//! # Ok::<(), trm_solver::SolverError>(())
//! ```
//!
//! From map to path:
//! 1. [`FreeSpace`]: an exact distance transform, cut at the robot's radius. Where the robot's centre may be.
//! 2. The planning grid: coarse cells, their free cells fallen into regions that hang together; connected exactly where
//!    the map is. An exact route over it.
//! 3. Windows: the route cut into mazes of the model's size, each with all that is around. The network solves them side
//!    by side; what is not verified, or a detour, is replaced by the exact route, and named.
//! 4. Smoothing, and [`check_path`] on the map itself, by code that shares nothing with the rest.
//!
//! What it refuses: places where the robot cannot be (the nearest where it can is offered), maps of more than
//! [`map::MAX_CELLS`], robots without a size.

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
pub use network::{MOST_STATE_BYTES, Network};
pub use picture::picture;
pub use planner::{Fallback, PlanOptions, Planner};
pub use report::{MOST_POSES, NetworkMiss, Outcome, Plan, PlanTime, PlannedPath, Segment, SegmentPlanner};
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
