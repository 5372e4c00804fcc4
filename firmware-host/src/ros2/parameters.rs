//! Parameters of the node: from the command line, and by `ros2 param set` while it runs.

use ros2_client::ParameterValue;
use trm_plan::{Fallback, Pose, UnknownSpace};

use super::planner::PlannerSettings;

const ROBOT_RADIUS: &str = "robot_radius";
const UNKNOWN_SPACE: &str = "unknown_space";
const OCCUPIED_FROM: &str = "occupied_from";
const FALLBACK: &str = "fallback";
const PATH_SPACING: &str = "path_spacing";
const CHECK_FRAMES: &str = "check_frames";
const START: &str = "start";
const INFLATION_RADIUS: &str = "inflation_radius";
const COST_SCALING_FACTOR: &str = "cost_scaling_factor";
const ESCAPE: &str = "escape";

const UNKNOWN_SPACES: [(&str, UnknownSpace); 2] = [("blocked", UnknownSpace::Blocked), ("free", UnknownSpace::Free)];
const FALLBACKS: [(&str, Fallback); 2] = [("astar", Fallback::AStar), ("none", Fallback::None)];

/// The parameters of the node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// `robot_radius`, `unknown_space`, `occupied_from`, `fallback`, `path_spacing`, `inflation_radius`, `cost_scaling_factor`,
    /// `escape`.
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
    pub(super) fn declared(&self) -> [(&'static str, ParameterValue); 10] {
        let PlannerSettings { robot, fallback, spacing, inflation, escape } = self.planner;
        [
            (ROBOT_RADIUS, ParameterValue::Double(robot.radius)),
            (UNKNOWN_SPACE, ParameterValue::String(name(&UNKNOWN_SPACES, robot.unknown).to_owned())),
            (OCCUPIED_FROM, ParameterValue::Integer(robot.occupied_from.into())),
            (FALLBACK, ParameterValue::String(name(&FALLBACKS, fallback).to_owned())),
            (PATH_SPACING, ParameterValue::Double(spacing)),
            (INFLATION_RADIUS, ParameterValue::Double(inflation.radius)),
            (COST_SCALING_FACTOR, ParameterValue::Double(inflation.scaling)),
            (ESCAPE, ParameterValue::Boolean(escape)),
            (CHECK_FRAMES, ParameterValue::Boolean(self.check_frames)),
            (START, ParameterValue::DoubleArray(self.start.map_or_else(Vec::new, |at| vec![at.x, at.y, at.yaw]))),
        ]
    }

    /// These parameters with one changed; why not, in words for whoever sets it.
    pub(super) fn with(mut self, name: &str, value: &ParameterValue) -> Result<Self, String> {
        let planner = &mut self.planner;
        match (name, value) {
            (ROBOT_RADIUS, &ParameterValue::Double(radius)) => planner.robot.radius = metres(name, radius)?,
            (UNKNOWN_SPACE, ParameterValue::String(space)) => planner.robot.unknown = unknown_space(space)?,
            (OCCUPIED_FROM, &ParameterValue::Integer(value)) => planner.robot.occupied_from = occupied_from(value)?,
            (FALLBACK, ParameterValue::String(stand_in)) => planner.fallback = fallback(stand_in)?,
            (PATH_SPACING, &ParameterValue::Double(spacing)) => planner.spacing = metres(name, spacing)?,
            (INFLATION_RADIUS, &ParameterValue::Double(radius)) => planner.inflation.radius = metres(name, radius)?,
            (COST_SCALING_FACTOR, &ParameterValue::Double(value)) => planner.inflation.scaling = scaling(value)?,
            (ESCAPE, &ParameterValue::Boolean(escape)) => planner.escape = escape,
            (CHECK_FRAMES, &ParameterValue::Boolean(check)) => self.check_frames = check,
            (START, ParameterValue::DoubleArray(numbers)) if numbers.is_empty() => self.start = None,
            (START, ParameterValue::DoubleArray(numbers)) => self.start = Some(pose(numbers)?),
            (COST_SCALING_FACTOR, _) => return Err(format!("{name} is a double, such as 10.0")),
            (ROBOT_RADIUS | PATH_SPACING | INFLATION_RADIUS, _) => {
                return Err(format!("{name} is a double, metres, such as 0.22"));
            }
            (OCCUPIED_FROM, _) => return Err(format!("{name} is an integer")),
            (UNKNOWN_SPACE | FALLBACK, _) => return Err(format!("{name} is a string")),
            (CHECK_FRAMES | ESCAPE, _) => return Err(format!("{name} is a bool")),
            (START, _) => return Err(format!("{name} is an array of doubles, such as [1.0, 2.0, 0.0]")),
            _ => return Err(format!("there is no parameter {name}")),
        }
        Ok(self)
    }
}

/// A planner's settings, as log lines name them.
pub(super) fn summary(settings: &PlannerSettings) -> String {
    let PlannerSettings { robot, fallback, inflation, escape, .. } = settings;
    let inflation = match inflation.radius {
        0.0 => String::new(),
        radius => format!(", inflation of {radius} m scaled by {}", inflation.scaling),
    };
    format!(
        "robot radius {} m, unknown space {}, occupied from {}, fallback {}{inflation}{}",
        robot.radius,
        name(&UNKNOWN_SPACES, robot.unknown),
        robot.occupied_from,
        name(&FALLBACKS, *fallback),
        if *escape { ", escape" } else { "" }
    )
}

fn name<T: PartialEq + Copy>(names: &[(&'static str, T)], of: T) -> &'static str {
    names.iter().find(|(_, value)| *value == of).map_or("", |(name, _)| name)
}

fn named<T: Copy>(names: &[(&'static str, T)], what: &str, text: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let expected: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("{what} is `{text}`, expected {}", expected.join(" or "))
    })
}

/// Parses what unknown space counts as: `blocked` or `free`.
///
/// # Errors
/// The reason, with the names that are expected.
pub fn unknown_space(text: &str) -> Result<UnknownSpace, String> {
    named(&UNKNOWN_SPACES, UNKNOWN_SPACE, text)
}

/// Parses what stands in for the network: `astar` or `none`.
///
/// # Errors
/// The reason, with the names that are expected.
pub fn fallback(text: &str) -> Result<Fallback, String> {
    named(&FALLBACKS, FALLBACK, text)
}

/// Checks a length: 0 to 100 metres. `what` is its name in errors.
///
/// # Errors
/// The reason, with the range.
pub fn metres(what: &str, value: f64) -> Result<f64, String> {
    if (0.0..=100.0).contains(&value) {
        return Ok(value);
    }
    Err(format!("{what} is {value}, expected metres from 0 to 100"))
}

/// Checks how fast costs fall with the distance from an obstacle: 0 to 1000 per metre.
///
/// # Errors
/// The reason, with the range.
pub fn scaling(value: f64) -> Result<f64, String> {
    if (0.0..=1000.0).contains(&value) {
        return Ok(value);
    }
    Err(format!("{COST_SCALING_FACTOR} is {value}, expected 0 to 1000"))
}

/// Checks the value from which on a cell is an obstacle: 1 to 100.
///
/// # Errors
/// The reason, with the range.
pub fn occupied_from(value: i64) -> Result<i8, String> {
    match i8::try_from(value) {
        Ok(value @ 1..=100) => Ok(value),
        _ => Err(format!("{OCCUPIED_FROM} is {value}, expected 1 to 100")),
    }
}

/// Reads a pose from x, y and perhaps yaw: metres and radians.
///
/// # Errors
/// The reason: more or fewer numbers, or one that is not finite.
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

#[cfg(test)]
mod tests {
    use trm_plan::{Inflation, Robot};

    use super::*;

    #[test]
    fn what_is_declared_can_be_set() {
        let parameters = Parameters {
            planner: PlannerSettings {
                robot: Robot { radius: 0.3, unknown: UnknownSpace::Free, occupied_from: 50 },
                fallback: Fallback::None,
                spacing: 0.5,
                inflation: Inflation { radius: 0.55, scaling: 3.0 },
                escape: true,
            },
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
            for name in [ROBOT_RADIUS, PATH_SPACING, INFLATION_RADIUS] {
                let said = refused(name, ParameterValue::Double(radius));
                assert_eq!(said, format!("{name} is {radius}, expected metres from 0 to 100"));
            }
        }
        assert_eq!(
            refused(UNKNOWN_SPACE, ParameterValue::String("Free".into())),
            "unknown_space is `Free`, expected blocked or free"
        );
        assert_eq!(
            refused(FALLBACK, ParameterValue::String("rrt".into())),
            "fallback is `rrt`, expected astar or none"
        );
        assert_eq!(refused(START, ParameterValue::DoubleArray(vec![1.0])), "1 numbers, expected x, y or x, y, yaw");
        assert!(refused(START, ParameterValue::DoubleArray(vec![1.0, f64::NAN])).contains("[1, NaN, 0] is not finite"));
        for value in [0, 101, 1 << 40, -1] {
            let said = refused(OCCUPIED_FROM, ParameterValue::Integer(value));
            assert_eq!(said, format!("occupied_from is {value}, expected 1 to 100"));
        }
        assert!(refused(ROBOT_RADIUS, ParameterValue::Integer(1)).contains("is a double"));
        assert!(refused(CHECK_FRAMES, ParameterValue::Integer(1)).contains("is a bool"));
        assert!(refused(COST_SCALING_FACTOR, ParameterValue::Double(-1.0)).contains("expected 0 to 1000"));
        assert!(refused(ESCAPE, ParameterValue::Integer(1)).contains("is a bool"));
        assert!(refused("speed", ParameterValue::Integer(1)).contains("no parameter speed"));
    }
}
