//! What the node asks of a planner.

use std::sync::Arc;

use trm_solver::plan::{OccupancyMap, Pose};

use crate::Result;

/// Finds paths on a map. The node is written against this, so that it is tested without a network.
pub trait PathPlanner {
    /// Takes a map in place of the one before, and does all that does not depend on start and goal. After an error there
    /// is still the map before, or none.
    fn set_map(&mut self, map: Arc<OccupancyMap>, settings: &PlannerSettings) -> Result<()>;

    /// A path from `start` to `goal`, both in the map's frame. Called with a map only.
    ///
    /// Fails for a start or goal that the robot cannot stand at, and when nothing was found within the planner's limits.
    fn plan(&mut self, start: Pose, goal: Pose) -> Result<Outcome>;
}

/// How planning ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// There is a path.
    Planned(Planned),
    /// There is none, which was proven: why, in words.
    Unreachable(String),
}

/// A path and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// From start to goal, in the map's frame.
    pub path: Vec<Pose>,
    /// The share of the path's segments that the network solved, 0 to 1.
    pub network_share: f64,
    /// Metres along the path.
    pub length_m: f64,
    /// Milliseconds that planning took.
    pub ms: f64,
}

/// What a planner can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannerSettings {
    /// Metres from the robot's centre that stay free of walls.
    pub robot_radius: f64,
    /// What cells are of which nothing is known.
    pub unknown: UnknownSpace,
    /// What stands in where the network fails.
    pub fallback: Fallback,
}

impl Default for PlannerSettings {
    fn default() -> Self {
        Self { robot_radius: 0.22, unknown: UnknownSpace::default(), fallback: Fallback::default() }
    }
}

/// How cells of which nothing is known are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownSpace {
    /// As walls.
    #[default]
    Blocked,
    /// As floor.
    Free,
}

impl UnknownSpace {
    /// `blocked` or `free`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Free => "free",
        }
    }
}

/// What stands in where the network fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallback {
    /// Exact search, for the segment that the network failed at.
    #[default]
    Astar,
    /// Nothing: planning fails.
    None,
}

impl Fallback {
    /// `astar` or `none`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Astar => "astar",
            Self::None => "none",
        }
    }
}
