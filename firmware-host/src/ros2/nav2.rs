//! The action of nav2's planner server, `nav2_msgs/action/ComputePathToPose`, field by field as the published definitions have it.
//!
//! The goal is the same in all releases; the result has grown at its end, so it is chosen which one is sent ([`Nav2Release`]).
//! Sources: `nav2_msgs/action/ComputePathToPose.action` of navigation2's branches `humble`, `iron`, `jazzy` and `kilted`. What ROS 2
//! puts around them (`_SendGoal_Request` and so on) is [`ros2_client::action`]'s.

use std::time::Duration;

use ros2_client::Message;
use serde::{Deserialize, Serialize};

use super::messages::{Path, PoseStamped};

/// The goal of `ComputePathToPose`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PathGoal {
    /// The place to go to.
    pub goal: PoseStamped,
    /// The place to plan from, if `use_start`.
    pub start: PoseStamped,
    /// The one of several planners that is asked; there is one here, whatever it is called.
    pub planner_id: String,
    /// `false` plans from where the robot is.
    pub use_start: bool,
}

impl Message for PathGoal {}

/// The feedback of `ComputePathToPose`, which has no fields: ROS 2 gives such messages one byte. It is never sent, as by nav2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PathFeedback {
    /// Zero.
    pub structure_needs_at_least_one_member: u8,
}

impl Message for PathFeedback {}

/// `builtin_interfaces/msg/Duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RosDuration {
    /// Whole seconds, rounded down.
    pub sec: i32,
    /// Nanoseconds on top, below 1,000,000,000.
    pub nanosec: u32,
}

impl From<Duration> for RosDuration {
    /// Saturates at 68 years.
    fn from(duration: Duration) -> Self {
        Self { sec: i32::try_from(duration.as_secs()).unwrap_or(i32::MAX), nanosec: duration.subsec_nanos() }
    }
}

/// The error codes of `ComputePathToPose`, the same from Iron to Kilted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum PathError {
    /// There is a path.
    None = 0,
    /// Anything else.
    Unknown = 200,
    /// A pose cannot be brought into the map's frame, or there is no start.
    Tf = 202,
    /// The start is outside of the map.
    StartOutsideMap = 203,
    /// The goal is outside of the map.
    GoalOutsideMap = 204,
    /// The robot cannot stand at the start.
    StartOccupied = 205,
    /// The robot cannot stand at the goal.
    GoalOccupied = 206,
    /// The map did not come in time.
    Timeout = 207,
    /// There is no path, or none was found.
    NoValidPath = 208,
}

/// The answer to a goal, whatever release it is sent for.
#[derive(Debug, Clone, PartialEq)]
pub struct PathAnswer {
    /// The path; without poses if there is none.
    pub path: Path,
    /// The time that planning took.
    pub planning_time: Duration,
    /// The kind of failure.
    pub error: PathError,
    /// The failure in words; empty if there is a path.
    pub message: String,
}

/// A layout of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nav2Release {
    /// Path and planning time.
    Humble,
    /// With `error_code`: Iron, and Jazzy's first packages.
    Iron,
    /// With `error_code` and `error_msg`: Kilted, Rolling, and Jazzy's later packages.
    #[default]
    Kilted,
}

impl Nav2Release {
    /// Parses the name of a release: `humble`, `iron` or `kilted`.
    ///
    /// # Errors
    /// The reason, with the names that are expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "humble" => Ok(Self::Humble),
            "iron" => Ok(Self::Iron),
            "kilted" => Ok(Self::Kilted),
            _ => Err(format!(
                "`{text}` is no layout of the result; expected humble (without an error code), iron (with error_code) or kilted \
                 (with error_code and error_msg): `ros2 interface show nav2_msgs/action/ComputePathToPose` shows yours"
            )),
        }
    }
}

/// The result in Humble.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HumbleResult {
    /// The path; without poses if there is none.
    pub path: Path,
    /// The time that planning took.
    pub planning_time: RosDuration,
}

/// The result in Iron and in Jazzy's first packages.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IronResult {
    /// The path; without poses if there is none.
    pub path: Path,
    /// The time that planning took.
    pub planning_time: RosDuration,
    /// A [`PathError`].
    pub error_code: u16,
}

/// The result in Kilted, Rolling, and Jazzy's later packages.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KiltedResult {
    /// The path; without poses if there is none.
    pub path: Path,
    /// The time that planning took.
    pub planning_time: RosDuration,
    /// A [`PathError`].
    pub error_code: u16,
    /// The failure in words.
    pub error_msg: String,
}

impl Message for HumbleResult {}
impl Message for IronResult {}
impl Message for KiltedResult {}

impl From<PathAnswer> for HumbleResult {
    fn from(answer: PathAnswer) -> Self {
        Self { path: answer.path, planning_time: answer.planning_time.into() }
    }
}

impl From<PathAnswer> for IronResult {
    fn from(answer: PathAnswer) -> Self {
        Self { path: answer.path, planning_time: answer.planning_time.into(), error_code: answer.error as u16 }
    }
}

impl From<PathAnswer> for KiltedResult {
    fn from(answer: PathAnswer) -> Self {
        Self {
            path: answer.path,
            planning_time: answer.planning_time.into(),
            error_code: answer.error as u16,
            error_msg: answer.message,
        }
    }
}
