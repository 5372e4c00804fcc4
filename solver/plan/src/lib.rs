//! Planning on maps: an occupancy map, a start and a goal in metres go in, a path in metres comes out that was checked
//! on the map's full resolution. Who finds the ways through the windows of the map is a [`MazeSolver`]: a network, or
//! [exact search](ExactMazes).
//!
//! ```
//! use trm_plan::{ExactMazes, Goal, OccupancyMap, Outcome, PlanOptions, Planner, Pose, Robot, Terrain};
//!
//! // A hall of 6 m x 3 m with a wall across that leaves 0.8 m open.
//! let mut values = vec![0; 60 * 30];
//! (0..22).for_each(|row| values[row * 60 + 30] = 100);
//! let map = OccupancyMap::new("hall", (60, 30), 0.1, Pose::default(), values)?;
//!
//! let terrain = Terrain::new(map, Robot { radius: 0.2, ..Robot::default() })?;
//! let mut planner = Planner::new(terrain, ExactMazes { side: 9 }, PlanOptions::default());
//!
//! let plan = planner.plan(Pose::new(0.5, 0.5, 0.0), Goal { x: 5.5, y: 0.5, yaw: None })?;
//! let Outcome::Planned(path) = plan.outcome else { panic!("there is a way") };
//! assert!(path.length > 6.0 && path.clearance > 0.2);
//! # Ok::<(), trm_plan::PlanError>(())
//! ```
//!
//! From map to path:
//! 1. [`FreeSpace`]: an exact distance transform, cut at the robot's radius. Where the robot's centre may be.
//! 2. The planning grid: coarse cells, their free cells fallen into regions that hang together; connected exactly where
//!    the map is. An exact route over it.
//! 3. Windows: the route cut into mazes of the solver's size, each with all that is around. It solves them side
//!    by side; what is not verified, or a detour, is replaced by the exact route, and named.
//! 4. Smoothing, and [`check_path`] on the map itself, by code that shares nothing with the rest.
//!
//! Refused are places where the robot cannot be (the nearest where it can is offered), maps of more than
//! [`map::MAX_CELLS`], robots without a size.

mod cheapest;
mod check;
mod costs;
mod drive;
mod error;
mod exact;
mod footprint;
mod free_space;
pub mod learned;
pub mod map;
mod maze_solver;
mod picture;
mod planner;
mod planning_grid;
mod pose;
pub mod recording;
mod report;
mod sight;
mod smooth;
mod terrain;
mod watch;
mod window;
pub mod worlds;

pub use check::{PathFault, check_costs, check_path};
pub use costs::{CostMap, CostOptions, HIGHEST_LEVEL, Inflation, Mask, MaskKind};
pub use drive::{Drive, LayerSource};
pub use error::PlanError;
pub use exact::{ExactSearch, length, shortest_path};
pub use footprint::{Footprint, check_footprint};
pub use free_space::{FreeSpace, Robot, UnknownSpace};
pub use map::{MapCell, OccupancyMap};
pub use maze_solver::{Attempt, Effort, ExactMazes, MazeSolver};
pub use picture::{grey_picture, picture};
pub use planner::{Fallback, PlanOptions, Planner};
pub use pose::{Goal, Pose, normalized};
pub use report::{MOST_POSES, NetworkMiss, Outcome, Plan, PlanTime, PlannedPath, Segment, SegmentPlanner};
pub use terrain::Terrain;
pub use watch::StopWatch;

/// The result of this crate's fallible functions.
pub type Result<T, E = PlanError> = std::result::Result<T, E>;
