//! What the node can be told: on the command line, and by `ros2 param set` while it runs.

use ros2_client::ParameterValue;
use trm_solver::plan::Pose;

use super::planner::{Fallback, PlannerSettings, UnknownSpace};

const ROBOT_RADIUS: &str = "robot_radius";
const UNKNOWN_SPACE: &str = "unknown_space";
const FALLBACK: &str = "fallback";
const CHECK_FRAMES: &str = "check_frames";
const START: &str = "start";

/// The parameters of the node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// `robot_radius`, `unknown_space` and `fallback`.
    pub planner: PlannerSettings,
    /// `check_frames`: whether a goal and a start must be in the map's frame. Where not, they are taken as if they were.
    pub check_frames: bool,
    /// `start`: where to plan from, in the map's frame, until a start arrives by message; as an array x, y, yaw, or x, y;
    /// an empty array for none.
    pub start: Option<Pose>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { planner: PlannerSettings::default(), check_frames: true, start: None }
    }
}

impl Parameters {
    /// Names and values, as ROS 2 has them.
    pub(super) fn declared(&self) -> [(&'static str, ParameterValue); 5] {
        [
            (ROBOT_RADIUS, ParameterValue::Double(self.planner.robot_radius)),
            (UNKNOWN_SPACE, ParameterValue::String(self.planner.unknown.name().to_owned())),
            (FALLBACK, ParameterValue::String(self.planner.fallback.name().to_owned())),
            (CHECK_FRAMES, ParameterValue::Boolean(self.check_frames)),
            (START, ParameterValue::DoubleArray(self.start.map_or_else(Vec::new, |at| vec![at.x, at.y, at.yaw]))),
        ]
    }

    /// These parameters with one changed; why not, in words for whoever sets it.
    pub(super) fn with(mut self, name: &str, value: &ParameterValue) -> Result<Self, String> {
        match (name, value) {
            (ROBOT_RADIUS, &ParameterValue::Double(radius)) => self.planner.robot_radius = check_radius(radius)?,
            (UNKNOWN_SPACE, ParameterValue::String(space)) => self.planner.unknown = space.parse()?,
            (FALLBACK, ParameterValue::String(fallback)) => self.planner.fallback = fallback.parse()?,
            (CHECK_FRAMES, &ParameterValue::Boolean(check)) => self.check_frames = check,
            (START, ParameterValue::DoubleArray(numbers)) if numbers.is_empty() => self.start = None,
            (START, ParameterValue::DoubleArray(numbers)) => self.start = Some(pose(numbers)?),
            (ROBOT_RADIUS, _) => return Err(format!("{name} is a double, metres, such as 0.22")),
            (UNKNOWN_SPACE | FALLBACK, _) => return Err(format!("{name} is a string")),
            (CHECK_FRAMES, _) => return Err(format!("{name} is a bool")),
            (START, _) => return Err(format!("{name} is an array of doubles, such as [1.0, 2.0, 0.0]")),
            _ => return Err(format!("there is no parameter {name}")),
        }
        Ok(self)
    }
}

/// A robot's radius in metres, if it can be one.
pub fn check_radius(radius: f64) -> Result<f64, String> {
    if (0.0..=100.0).contains(&radius) {
        return Ok(radius);
    }
    Err(format!("the robot's radius is {radius}, expected metres from 0 to 100"))
}

/// A pose of x, y and perhaps yaw: metres and radians.
pub fn pose(numbers: &[f64]) -> Result<Pose, String> {
    let (x, y, yaw) = match *numbers {
        [x, y] => (x, y, 0.0),
        [x, y, yaw] => (x, y, yaw),
        _ => return Err(format!("{} numbers, expected x, y or x, y, yaw", numbers.len())),
    };
    let pose = Pose { x, y, yaw };
    if !pose.is_finite() {
        return Err(format!("[{x}, {y}, {yaw}] is not finite, expected metres and radians"));
    }
    Ok(Pose::new(x, y, yaw))
}

impl std::str::FromStr for UnknownSpace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Blocked, Self::Free]
            .into_iter()
            .find(|space| space.name() == text)
            .ok_or_else(|| format!("unknown space is `{text}`, expected blocked or free"))
    }
}

impl std::str::FromStr for Fallback {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Astar, Self::None]
            .into_iter()
            .find(|fallback| fallback.name() == text)
            .ok_or_else(|| format!("the fallback is `{text}`, expected astar or none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_can_be_set() {
        let parameters = Parameters {
            planner: PlannerSettings { robot_radius: 0.3, unknown: UnknownSpace::Free, fallback: Fallback::None },
            check_frames: false,
            start: Some(Pose::new(1.0, -2.0, 0.5)),
        };
        for wanted in [parameters, Parameters::default()] {
            let mut reached = if wanted == parameters { Parameters::default() } else { parameters };
            for (name, value) in wanted.declared() {
                reached = reached.with(name, &value).unwrap();
            }
            assert_eq!(reached, wanted);
        }
    }

    #[test]
    fn bad_values_are_refused_with_what_is_wrong() {
        let refused = |name, value| Parameters::default().with(name, &value).unwrap_err();
        for radius in [-0.1, f64::NAN, f64::INFINITY, 101.0] {
            assert!(refused(ROBOT_RADIUS, ParameterValue::Double(radius)).contains("expected metres from 0 to 100"));
        }
        assert_eq!(
            refused(UNKNOWN_SPACE, ParameterValue::String("Free".into())),
            "unknown space is `Free`, expected blocked or free"
        );
        assert_eq!(
            refused(FALLBACK, ParameterValue::String("rrt".into())),
            "the fallback is `rrt`, expected astar or none"
        );
        assert_eq!(refused(START, ParameterValue::DoubleArray(vec![1.0])), "1 numbers, expected x, y or x, y, yaw");
        assert!(refused(START, ParameterValue::DoubleArray(vec![1.0, f64::NAN])).contains("[1, NaN, 0] is not finite"));
        assert!(refused(ROBOT_RADIUS, ParameterValue::Integer(1)).contains("is a double"));
        assert!(refused(CHECK_FRAMES, ParameterValue::Integer(1)).contains("is a bool"));
        assert!(refused("speed", ParameterValue::Integer(1)).contains("no parameter speed"));
    }
}
