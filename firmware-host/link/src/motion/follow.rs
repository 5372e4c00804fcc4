//! The next movement on a route, from where the robot is.
//!
//! A robot that knows drives of whole millimetres and turns of whole degrees is up to half a degree off its course. So a
//! straight piece of the route is driven in pieces, each aimed at a place on the line ahead, and the last one short: then the
//! robot is nowhere farther than 4 mm from the line and within 2 mm of each corner, whatever the length of the route. Every
//! movement begins where the robot is, not where it should be, so that what was rounded away does not add up.

use trm_plan::{Pose, normalized};
use trm_protocol::Motion;

use super::route::{along, distance, distance_to_line, on_line};
use super::{Route, Speeds};
use crate::{LinkError, Result};

/// A corner is reached at this distance, metres: what is left by a last piece, and what a report in whole millimetres adds.
const REACHED: f64 = 0.003;
/// Directions that differ by less are not worth a turn, degrees. A little more than what rounding leaves, or the robot
/// would turn to and fro.
const COURSE: f64 = 0.505;
/// Distance from the line at which a piece may end on its way, metres.
const ASIDE: f64 = 0.0034;
/// Distance from its corner at which a last piece may end, metres.
const ASIDE_LAST: f64 = 0.00133;
/// A piece of this length ends well on any course, metres.
const PIECE: f64 = 0.38;
/// Length that is left for the last piece, which ends well on any course, metres.
const LAST: f64 = 0.1;
/// Longest drive, metres: millimetres in 16 bits.
const LONGEST: f64 = 32.0;

/// Movements that a robot understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Drives and turns.
    Drives,
    /// Waypoints, and turns.
    Waypoints,
}

/// Next step of a robot that stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// This, and then ask again.
    Give(Motion),
    /// It is so many metres beside the piece of the route that it should be on.
    Beside(f64),
    /// Nothing: it is there.
    Done,
}

/// The way along a route.
#[derive(Debug, Clone)]
pub struct Follower<'r> {
    route: &'r Route,
    speeds: Speeds,
    /// Metres that the robot may be beside the route.
    tolerance: f64,
    /// The corner that it drives to.
    next: usize,
}

impl<'r> Follower<'r> {
    /// At the start of a route. A robot more than `tolerance` metres beside it is not sent anywhere.
    #[must_use]
    pub fn new(route: &'r Route, speeds: Speeds, tolerance: f64) -> Self {
        Self { route, speeds, tolerance, next: 1 }
    }

    /// The corner that it drives to; the number of corners once it is at the last.
    #[must_use]
    pub fn next_corner(&self) -> usize {
        self.next.min(self.route.corners.len())
    }

    /// Returns the next step of the robot that stands `at` this pose.
    pub fn step(&mut self, at: Pose, kind: Kind) -> Step {
        let here = [at.x, at.y];
        while let Some(&target) = self.route.corners.get(self.next) {
            let from = self.route.corners[self.next - 1];
            if distance(here, target) <= REACHED {
                self.next += 1;
                continue;
            }
            if let Some(beside) = self.too_far_beside(at) {
                return Step::Beside(beside);
            }
            return Step::Give(match kind {
                Kind::Waypoints => Motion::Waypoint {
                    x_mm: (target[0] * 1e3).round() as i32,
                    y_mm: (target[1] * 1e3).round() as i32,
                    speed_mm_s: self.speeds.drive_mm_s,
                    speed_deg_s: self.speeds.turn_deg_s,
                },
                Kind::Drives => self.piece(at, from, target),
            });
        }
        if let Some(beside) = self.too_far_beside(at) {
            return Step::Beside(beside);
        }
        match turn(at.yaw, self.route.end_yaw).0 {
            0 => Step::Done,
            degrees => Step::Give(Motion::Turn { degrees, speed_deg_s: self.speeds.turn_deg_s }),
        }
    }

    /// Metres beside the piece of the route that the robot should be on, if they are more than the tolerance.
    #[must_use]
    pub fn too_far_beside(&self, at: Pose) -> Option<f64> {
        let corners = &self.route.corners;
        let to = corners[self.next.min(corners.len() - 1)];
        let from = if self.next < corners.len() { corners[self.next - 1] } else { to };
        Some(distance_to_line([at.x, at.y], from, to)).filter(|beside| *beside > self.tolerance)
    }

    /// Returns what is left to do, to tell whether the robot gets on: corners, and metres to the next, or degrees at
    /// the end.
    #[must_use]
    pub(super) fn left(&self, at: Pose) -> (usize, f64) {
        match self.route.corners.get(self.next) {
            Some(&target) => (self.route.corners.len() - self.next, distance([at.x, at.y], target)),
            None => (0, normalized(self.route.end_yaw - at.yaw).to_degrees().abs()),
        }
    }

    /// A turn towards a place on the line, or a drive to it: as far as whole degrees allow.
    fn piece(&self, at: Pose, from: [f64; 2], target: [f64; 2]) -> Motion {
        let here = [at.x, at.y];
        let rest = distance(here, target);
        let (metres, length) = along(here, from, target);
        let aim = |place: [f64; 2]| {
            let (degrees, off) = turn(at.yaw, (place[1] - at.y).atan2(place[0] - at.x));
            (distance(here, place), degrees, off)
        };
        let aside = |(way, _, off): (f64, i16, f64)| way * off.abs().sin();
        let mut chosen = aim(target);
        if rest > LONGEST || aside(chosen) > ASIDE_LAST {
            let mut ahead = (rest - LAST).min(LONGEST);
            loop {
                // At the line's end at most, for a robot that is beside it.
                chosen = aim(on_line(from, target, (metres + ahead).clamp(0.0, length)));
                if ahead <= PIECE || aside(chosen) <= ASIDE {
                    break;
                }
                ahead = (ahead / 2.0).max(PIECE);
            }
        }
        let (way, degrees, off) = chosen;
        if degrees != 0 {
            return Motion::Turn { degrees, speed_deg_s: self.speeds.turn_deg_s };
        }
        // Never nothing, which would be given again and again.
        let distance_mm = (way * off.cos() * 1e3).round().max(1.0) as i16;
        Motion::Drive { distance_mm, speed_mm_s: self.speeds.drive_mm_s }
    }
}

/// The whole degrees to turn from one direction to another, and how far off that leaves, in radians.
fn turn(from: f64, to: f64) -> (i16, f64) {
    let off = normalized(to - from).to_degrees();
    let degrees = if off.abs() <= COURSE { 0.0 } else { off.round() };
    (degrees as i16, (off - degrees).to_radians())
}

/// Turns a route into drives and turns, for a robot that stands at `from` and does exactly what it is told: it ends
/// within 2 mm and 0.51 degrees of the goal.
///
/// # Errors
/// [`LinkError::Path`] if the robot stands more than 50 mm beside the route's start.
pub fn motions(route: &Route, from: Pose, speeds: Speeds) -> Result<Vec<Motion>> {
    let (mut at, mut motions) = (from, Vec::new());
    let mut follower = Follower::new(route, speeds, 0.05);
    loop {
        match follower.step(at, Kind::Drives) {
            Step::Done => return Ok(motions),
            Step::Beside(metres) => {
                let reason = format!("is {:.0} mm away from the robot", metres * 1e3);
                let hint = "a path begins where the robot stands";
                return Err(LinkError::Path { name: "the path".to_owned(), reason, hint });
            }
            Step::Give(motion) => {
                at = moved(at, motion);
                motions.push(motion);
            }
        }
    }
}

/// Where a robot is after a movement that it did exactly.
pub(super) fn moved(at: Pose, motion: Motion) -> Pose {
    match motion {
        Motion::Drive { distance_mm, .. } => {
            let metres = f64::from(distance_mm) / 1e3;
            Pose { x: at.x + metres * at.yaw.cos(), y: at.y + metres * at.yaw.sin(), ..at }
        }
        Motion::Turn { degrees, .. } => Pose::new(at.x, at.y, at.yaw + f64::from(degrees).to_radians()),
        Motion::Waypoint { x_mm, y_mm, .. } => {
            let (x, y) = (f64::from(x_mm) / 1e3, f64::from(y_mm) / 1e3);
            let yaw = if (x, y) == (at.x, at.y) { at.yaw } else { (y - at.y).atan2(x - at.x) };
            Pose::new(x, y, yaw)
        }
        Motion::Stop => at,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::motion::{from_robot, to_robot};

    fn speeds() -> Speeds {
        Speeds::new(0.25, 120.0).unwrap()
    }

    fn drive(distance_mm: i16) -> Motion {
        Motion::Drive { distance_mm, speed_mm_s: 250 }
    }

    fn turn(degrees: i16) -> Motion {
        Motion::Turn { degrees, speed_deg_s: 120 }
    }

    fn route(points: &[[f64; 2]], end_yaw: f64) -> Route {
        let path: Vec<Pose> = points.iter().map(|&[x, y]| Pose::new(x, y, end_yaw)).collect();
        Route::new(&path).unwrap()
    }

    #[test]
    fn a_maze_takes_a_drive_and_a_turn_a_corner() {
        let maze = route(&[[0.0, 0.0], [0.18, 0.0], [0.54, 0.0], [0.54, 0.36], [0.18, 0.36]], -1.0);
        let motions = motions(&maze, Pose::default(), speeds()).unwrap();
        assert_eq!(motions, [drive(540), turn(90), drive(360), turn(90), drive(360), turn(123)]);
    }

    #[test]
    fn long_drives_are_divided() {
        let road = route(&[[0.0, 0.0], [0.0, 100.0]], std::f64::consts::FRAC_PI_2);
        let motions = motions(&road, Pose::default(), speeds()).unwrap();
        assert_eq!(motions[0], turn(90));
        let driven: i32 = motions[1..]
            .iter()
            .map(|motion| match motion {
                Motion::Drive { distance_mm, .. } => i32::from(*distance_mm),
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!((driven, motions.len()), (100_000, 5));
    }

    #[test]
    fn a_path_of_one_pose_is_a_turn_at_most() {
        let stay = route(&[[5.0, 5.0]], 1.0);
        assert_eq!(motions(&stay, Pose::new(5.0, 5.0, 1.005), speeds()).unwrap(), []);
        assert_eq!(motions(&stay, Pose::new(5.0, 5.0, 0.0), speeds()).unwrap(), [turn(57)]);
    }

    #[test]
    fn a_robot_that_is_elsewhere_is_not_sent_anywhere() {
        let road = route(&[[0.0, 0.0], [1.0, 0.0]], 0.0);
        let error = motions(&road, Pose::new(-0.2, 0.0, 0.0), speeds()).unwrap_err();
        assert_eq!(
            trm_intake::explained(&error),
            "the path is 200 mm away from the robot\nhint: a path begins where the robot stands"
        );
        let mut follower = Follower::new(&road, speeds(), 0.05);
        // In the middle it goes on from there; pushed aside it does not.
        assert_eq!(follower.step(Pose::new(0.4, 0.0, 0.0), Kind::Drives), Step::Give(drive(600)));
        let waypoint = Motion::Waypoint { x_mm: 1000, y_mm: 0, speed_mm_s: 250, speed_deg_s: 120 };
        assert_eq!(follower.step(Pose::new(0.4, 0.01, 3.0), Kind::Waypoints), Step::Give(waypoint));
        let Step::Beside(metres) = follower.step(Pose::new(0.4, 0.25, 0.0), Kind::Drives) else { panic!() };
        assert!((metres - 0.25).abs() < 1e-12);
        assert_eq!(follower.next_corner(), 1);
        assert_eq!(follower.step(Pose::new(0.998, 0.001, 0.0), Kind::Drives), Step::Done);
        assert_eq!(follower.next_corner(), 2);
    }

    /// Paths of any bends, pieces from some millimetres to many metres.
    fn paths() -> impl Strategy<Value = Vec<[f64; 2]>> {
        let piece = (0.0..std::f64::consts::TAU, prop_oneof![0.004..0.05_f64, 0.05..2.0_f64, 2.0..90.0_f64]);
        prop::collection::vec(piece, 1..250).prop_map(|pieces| {
            let mut at = [100.0, -40.0];
            let steps = pieces.into_iter().map(|(angle, metres)| {
                at = [at[0] + metres * angle.cos(), at[1] + metres * angle.sin()];
                at
            });
            [[100.0, -40.0]].into_iter().chain(steps).collect()
        })
    }

    /// Drives a route with a robot that reports whole millimetres and thousandths of a degree; the farthest it was from
    /// the piece of the route that it was on, and where it ended.
    fn driven(route: &Route, yaw: f64, kind: Kind, reported: bool) -> (f64, Pose) {
        let mut at = Pose { yaw, ..route.start() };
        let mut follower = Follower::new(route, speeds(), 0.05);
        let mut farthest = 0.0_f64;
        for count in 0_u32.. {
            assert!(count < 200_000, "does not come to an end");
            let seen = if reported { from_robot(to_robot(at).unwrap()) } else { at };
            let Step::Give(motion) = follower.step(seen, kind) else { break };
            let (from, next) = (at, follower.next_corner());
            at = moved(at, motion);
            if next < route.corners.len() {
                for share in 0..=10 {
                    let place = on_line([from.x, from.y], [at.x, at.y], from.distance(&at) * f64::from(share) / 10.0);
                    farthest = farthest.max(distance_to_line(place, route.corners[next - 1], route.corners[next]));
                }
            }
        }
        (farthest, at)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// However long the path: the end is where it should be, and the robot was never far from the line.
        #[test]
        fn rounding_does_not_add_up(path in paths(), yaw in -3.1..3.1_f64, end_yaw in -3.1..3.1_f64) {
            let route = route(&path, end_yaw);
            for (kind, reported, most, end) in [
                (Kind::Drives, false, 0.004, 0.002),
                (Kind::Drives, true, 0.005, 0.004),
                (Kind::Waypoints, true, 0.004, 0.002),
            ] {
                let (farthest, at) = driven(&route, yaw, kind, reported);
                prop_assert!(farthest <= most, "{kind:?} {reported} {farthest}");
                prop_assert!(at.distance(&route.goal()) <= end, "{kind:?} {reported} {}", at.distance(&route.goal()));
                prop_assert!(normalized(at.yaw - end_yaw).to_degrees().abs() <= 0.51);
            }
        }
    }
}
