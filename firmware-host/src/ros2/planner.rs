//! The planner that the node asks.

use std::sync::Arc;

use trm_plan::{Fallback, Inflation, OccupancyMap, Pose, Robot};

use crate::Result;

/// Finds paths on a map. The node is written against this, so that it is tested without a network.
pub trait PathPlanner {
    /// Takes a map in place of the one before, and does all that does not depend on start and goal.
    ///
    /// # Errors
    /// When the map cannot be planned on. There is still the map before, or none.
    fn set_map(&mut self, map: Arc<OccupancyMap>, kind: MapKind, settings: &PlannerSettings) -> Result<()>;

    /// A path from `start` to `goal`, both in the map's frame. Called with a map only.
    ///
    /// # Errors
    /// When the robot cannot stand at the start or the goal, or when planning itself fails.
    fn plan(&mut self, start: Pose, goal: Pose) -> Result<Outcome>;
}

/// The meaning of a map's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// Space that is free or occupied: the robot's radius is kept from obstacles, and inflation adds costs.
    Occupancy,
    /// A costmap of nav2, which has the robot's radius and the inflation in it: the robot's centre may be in cells below 99, at the
    /// costs that they say. Neither radius nor inflation is applied again.
    Costmap,
}

/// Result of planning.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// There is a path.
    Planned(Planned),
    /// There is none, which was proven: why, in words.
    Unreachable(String),
    /// None was found, though there may be one: why, in words.
    Failed(String),
}

/// A path and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// From start to goal, in the map's frame.
    pub path: Vec<Pose>,
    /// The share of the path's segments that the network solved, 0 to 1; `None` where there are none: the way is too short, or
    /// exact search planned by costs.
    pub network_share: Option<f64>,
    /// Metres along the path.
    pub length_m: f64,
    /// Metres of free ground that cost as much, where there are costs.
    pub cost_m: Option<f64>,
    /// Milliseconds that planning took.
    pub ms: f64,
}

/// Settings of a planner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannerSettings {
    /// The robot's radius, and which cells are obstacles to it.
    pub robot: Robot,
    /// Stand-in where the network fails.
    pub fallback: Fallback,
    /// Metres between poses of a path, at most; 0 for the corners alone.
    pub spacing: f64,
    /// Inflation around obstacles, as nav2's layer has it; none with a radius of 0. With it exact search plans, by costs.
    pub inflation: Inflation,
    /// True to lead a robot that stands too close to an obstacle out to the nearest free place first.
    pub escape: bool,
}

impl Default for PlannerSettings {
    fn default() -> Self {
        // nav2's controllers want poses closer to each other than they look ahead.
        Self {
            robot: Robot::default(),
            fallback: Fallback::default(),
            spacing: 0.1,
            inflation: Inflation { radius: 0.0, scaling: Inflation::SCALING },
            escape: false,
        }
    }
}
