//! Poses on the wire and in a map: whole millimetres and thousandths of a degree against metres and radians.

use trm_plan::Pose;
use trm_protocol::RobotPose;

/// Farthest from the frame's origin that a path may be, in metres: what fits the wire's millimetres, with room.
pub const MAX_METRES: f64 = 2_000_000.0;

/// The pose as it is said to a robot, rounded; `None` if it is not finite or farther away than [`MAX_METRES`].
#[must_use]
pub fn to_robot(pose: Pose) -> Option<RobotPose> {
    let within = |metres: f64| metres.abs() <= MAX_METRES;
    let fits = pose.is_finite() && within(pose.x) && within(pose.y);
    let yaw = trm_plan::normalized(pose.yaw);
    let (millimetres, millidegrees) = (|metres: f64| (metres * 1e3).round() as i32, yaw.to_degrees() * 1e3);
    fits.then(|| RobotPose {
        x_mm: millimetres(pose.x),
        y_mm: millimetres(pose.y),
        yaw_mdeg: millidegrees.round() as i32,
    })
}

/// The pose that a robot says.
#[must_use]
pub fn from_robot(pose: RobotPose) -> Pose {
    let metres = |millimetres| f64::from(millimetres) / 1e3;
    Pose::new(metres(pose.x_mm), metres(pose.y_mm), (f64::from(pose.yaw_mdeg) / 1e3).to_radians())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poses_come_back_to_the_millimetre() {
        let pose = Pose::new(-1.2346, MAX_METRES, -3.0);
        let robot = to_robot(pose).unwrap();
        assert_eq!(robot, RobotPose { x_mm: -1235, y_mm: 2_000_000_000, yaw_mdeg: -171_887 });
        let back = from_robot(robot);
        assert!(back.distance(&pose) < 0.0008 && (back.yaw - pose.yaw).abs() < 1e-5, "{back:?}");
        let turned = RobotPose { yaw_mdeg: 360_000 * 3 + 90_000, ..RobotPose::default() };
        assert!((from_robot(turned).yaw - std::f64::consts::FRAC_PI_2).abs() < 1e-9);
        for wrong in [Pose { x: f64::NAN, ..pose }, Pose { yaw: f64::INFINITY, ..pose }, Pose { y: 2e6 + 1.0, ..pose }]
        {
            assert_eq!(to_robot(wrong), None);
        }
    }
}
