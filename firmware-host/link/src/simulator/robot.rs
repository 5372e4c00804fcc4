//! A robot with two wheels, on a floor without slip: kinematics integrated at a fixed step, in real time.

use std::time::{Duration, Instant};

use trm_plan::{Pose, normalized};
use trm_protocol::device::Odometry;
use trm_protocol::{Motion, Refusal, RobotPose};

use crate::motion::{from_robot, to_robot};

/// Step of the integration.
const STEP: Duration = Duration::from_millis(1);
/// Metres between the wheels.
const TRACK: f64 = 0.16;
/// A waypoint at this distance is where the robot is, metres.
const THERE: f64 = 0.001;
/// Time between two points of the track.
const SAMPLE: Duration = Duration::from_millis(10);

/// A piece of a movement, with what is left of it; both speeds are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leg {
    /// Radians to the left, radians a second.
    Turn(f64, f64),
    /// Metres ahead, metres a second.
    Drive(f64, f64),
}

/// A simulated robot.
#[derive(Debug, Clone)]
pub struct Robot {
    /// Where it is.
    pose: Pose,
    /// Where it believes to be: the same, as long as nobody tells it otherwise and it keeps its memory.
    believed: Pose,
    waypoints: bool,
    /// The present piece of a movement, and the one after it.
    legs: [Option<Leg>; 2],
    arrived: bool,
    started: Instant,
    /// Instant up to which it has moved.
    time: Instant,
    /// Points of the track that nobody has fetched: seconds since the start, pose. `None` if nobody will.
    track: Option<Vec<(f64, Pose)>>,
    sampled: Option<Instant>,
}

impl Robot {
    pub(super) fn new(pose: Pose, waypoints: bool, track: bool) -> Self {
        let now = Instant::now();
        let mut robot = Self {
            pose,
            believed: pose,
            waypoints,
            legs: [None; 2],
            arrived: false,
            started: now,
            time: now,
            track: track.then(Vec::new),
            sampled: None,
        };
        robot.sample();
        robot
    }

    /// Where it is, whatever it believes.
    #[must_use]
    pub fn pose(&self) -> Pose {
        self.pose
    }

    /// `true` while it is on its way.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.legs[0].is_some()
    }

    /// Memory is lost; the robot stays where it is.
    pub(super) fn power_up(&mut self) {
        self.halt(Instant::now());
        (self.believed, self.arrived) = (Pose::default(), false);
    }

    /// Begins a movement instead of what is not finished.
    pub(super) fn begin(&mut self, motion: Motion, now: Instant) -> Result<(), Refusal> {
        let positive = |speed: u16| if speed > 0 { Ok(f64::from(speed)) } else { Err(Refusal::OutOfRange) };
        let drive = |metres, speed_mm_s| Ok(Leg::Drive(metres, positive(speed_mm_s)? / 1e3));
        let turn = |radians, speed_deg_s| Ok(Leg::Turn(radians, positive(speed_deg_s)?.to_radians()));
        self.advance(now);
        let legs = match motion {
            Motion::Stop => [None; 2],
            Motion::Drive { distance_mm, speed_mm_s } => [Some(drive(f64::from(distance_mm) / 1e3, speed_mm_s)?), None],
            Motion::Turn { degrees, speed_deg_s } => [Some(turn(f64::from(degrees).to_radians(), speed_deg_s)?), None],
            Motion::Waypoint { .. } if !self.waypoints => return Err(Refusal::Unsupported),
            Motion::Waypoint { x_mm, y_mm, speed_mm_s, speed_deg_s } => {
                let point = from_robot(RobotPose { x_mm, y_mm, yaw_mdeg: 0 });
                let way = self.believed.distance(&point);
                let towards = (point.y - self.believed.y).atan2(point.x - self.believed.x);
                // There already: no direction is better than another.
                let radians = if way >= THERE { normalized(towards - self.believed.yaw) } else { 0.0 };
                [Some(turn(radians, speed_deg_s)?), Some(drive(way, speed_mm_s)?)]
            }
        };
        (self.legs, self.arrived) = (legs, false);
        self.sample();
        Ok(())
    }

    /// Stands still at once.
    pub(super) fn halt(&mut self, now: Instant) {
        self.advance(now);
        (self.legs, self.arrived) = ([None; 2], false);
        self.sample();
    }

    /// Is told where it is.
    pub(super) fn set_pose(&mut self, pose: RobotPose, now: Instant) {
        self.advance(now);
        self.believed = from_robot(pose);
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Instant) {
        while self.is_moving() && now.saturating_duration_since(self.time) >= STEP {
            self.time += STEP;
            self.step();
            let due = self.sampled.is_none_or(|sampled| self.time.saturating_duration_since(sampled) >= SAMPLE);
            if due || !self.is_moving() {
                self.sample();
            }
        }
        if !self.is_moving() {
            self.time = self.time.max(now);
        }
    }

    /// One step of both wheels.
    fn step(&mut self) {
        let seconds = STEP.as_secs_f64();
        // Metres a second, left and right.
        let (wheels, left, way) = match self.legs[0] {
            None => return,
            Some(Leg::Turn(left, speed)) => {
                let wheel = speed.copysign(left) * TRACK / 2.0;
                ([-wheel, wheel], left, speed * seconds)
            }
            Some(Leg::Drive(left, speed)) => ([speed.copysign(left); 2], left, speed * seconds),
        };
        // The last step ends where the movement does.
        let share = if way > left.abs() { left.abs() / way } else { 1.0 };
        let [rolled_left, rolled_right] = wheels.map(|speed| speed * seconds * share);
        let (ahead, turned) = (f64::midpoint(rolled_left, rolled_right), (rolled_right - rolled_left) / TRACK);
        for pose in [&mut self.pose, &mut self.believed] {
            let middle = pose.yaw + turned / 2.0;
            *pose = Pose::new(pose.x + ahead * middle.cos(), pose.y + ahead * middle.sin(), pose.yaw + turned);
        }
        if way >= left.abs() {
            self.legs = [self.legs[1], None];
            self.arrived = self.legs[0].is_none();
        } else {
            match &mut self.legs[0] {
                Some(Leg::Turn(left, _)) => *left -= turned,
                Some(Leg::Drive(left, _)) => *left -= ahead,
                None => {}
            }
        }
    }

    /// Returns `true` once after each movement that came to its end.
    pub(super) fn take_arrived(&mut self) -> bool {
        std::mem::take(&mut self.arrived)
    }

    pub(super) fn odometry(&self) -> Option<Odometry> {
        Some(Odometry { pose: to_robot(self.believed)?, moving: self.is_moving() })
    }

    fn sample(&mut self) {
        if let Some(track) = &mut self.track {
            track.push((self.time.saturating_duration_since(self.started).as_secs_f64(), self.pose));
            self.sampled = Some(self.time);
        }
    }

    /// Points of the track since the last call.
    pub(super) fn take_track(&mut self) -> Vec<(f64, Pose)> {
        self.track.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn robot() -> Robot {
        Robot::new(Pose::new(1.0, 2.0, 0.0), true, true)
    }

    fn near(pose: Pose, x: f64, y: f64, degrees: f64) {
        let off = normalized(pose.yaw - degrees.to_radians()).abs();
        assert!((pose.x - x).abs() < 1e-9 && (pose.y - y).abs() < 1e-9 && off < 1e-9, "{pose:?}");
    }

    #[test]
    fn movements_end_where_and_when_they_should() {
        let mut robot = robot();
        let begin = robot.time;
        robot.begin(Motion::Drive { distance_mm: -333, speed_mm_s: 500 }, begin).unwrap();
        robot.advance(begin + Duration::from_millis(600));
        assert!(robot.is_moving() && !robot.take_arrived());
        near(robot.pose(), 0.7, 2.0, 0.0);
        robot.advance(begin + Duration::from_millis(667));
        assert!(!robot.is_moving() && robot.take_arrived() && !robot.take_arrived());
        near(robot.pose(), 0.667, 2.0, 0.0);
        robot.begin(Motion::Turn { degrees: 270, speed_deg_s: 360 }, begin + Duration::from_secs(1)).unwrap();
        robot.advance(begin + Duration::from_millis(1500));
        near(robot.pose(), 0.667, 2.0, 180.0);
        robot.advance(begin + Duration::from_mins(1));
        near(robot.pose(), 0.667, 2.0, -90.0);
        let track = robot.take_track();
        assert!(track.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{track:?}");
        assert!(track.len() > 135 && track.len() < 150, "{}", track.len());
    }

    #[test]
    fn a_waypoint_is_a_turn_and_a_drive_from_where_it_believes_to_be() {
        let mut robot = robot();
        let begin = robot.time;
        robot.set_pose(RobotPose { x_mm: 0, y_mm: 0, yaw_mdeg: 180_000 }, begin);
        let waypoint = Motion::Waypoint { x_mm: 0, y_mm: 1500, speed_mm_s: 1000, speed_deg_s: 180 };
        robot.begin(waypoint, begin).unwrap();
        robot.advance(begin + Duration::from_millis(501));
        assert!(robot.is_moving() && !robot.take_arrived(), "turned, not driven");
        robot.advance(begin + Duration::from_secs(9));
        assert_eq!(robot.odometry().unwrap().pose, RobotPose { x_mm: 0, y_mm: 1500, yaw_mdeg: 90_000 });
        near(robot.pose(), 1.0, 0.5, -90.0);
        // Given again, it is there already.
        robot.begin(waypoint, begin + Duration::from_secs(10)).unwrap();
        robot.advance(begin + Duration::from_secs(11));
        near(robot.pose(), 1.0, 0.5, -90.0);
        let mut simple = Robot::new(Pose::default(), false, false);
        assert_eq!(simple.begin(waypoint, simple.time), Err(Refusal::Unsupported));
        assert_eq!(
            simple.begin(Motion::Drive { distance_mm: 1, speed_mm_s: 0 }, simple.time),
            Err(Refusal::OutOfRange)
        );
    }

    #[test]
    fn a_halt_freezes_it_at_once() {
        let mut robot = robot();
        let begin = robot.time;
        robot.begin(Motion::Drive { distance_mm: 1000, speed_mm_s: 1000 }, begin).unwrap();
        robot.halt(begin + Duration::from_millis(250));
        robot.advance(begin + Duration::from_secs(5));
        near(robot.pose(), 1.25, 2.0, 0.0);
        assert!(!robot.take_arrived());
    }
}
