//! A path that can be driven, and how fast.

use trm_plan::Pose;

use super::MAX_METRES;
use crate::{LinkError, Result};

/// Points that are this close to the line between their neighbours are left out, metres.
const STRAIGHT: f64 = 0.0005;
/// Points that are closer together than this are one, metres.
const SAME: f64 = 0.001;
/// Points that are looked at again while a line grows, so that a path of many points on one line takes no square of them.
const LONGEST_LINE: usize = 256;

/// A path without what a robot does not need to know: the corners of its line, and the direction at its end. The robot
/// looks where it drives; headings on the way are those of the line.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Metres, at least one.
    pub(super) corners: Vec<[f64; 2]>,
    start_yaw: f64,
    /// Radians.
    pub(super) end_yaw: f64,
}

impl Route {
    /// Takes a path in metres and radians, as a planner gives it; its points may be dense, on one line, or the same.
    ///
    /// # Errors
    /// [`LinkError::Path`] for a path that is empty, not finite, or too far away.
    pub fn new(path: &[Pose]) -> Result<Self> {
        let refuse = |reason, hint| Err(LinkError::Path { name: "the path".to_owned(), reason, hint });
        let (Some(first), Some(last)) = (path.first(), path.last()) else {
            return refuse("has no poses".to_owned(), "a path has one pose at least, where the robot stands");
        };
        for (index, pose) in path.iter().enumerate() {
            if !pose.is_finite() {
                let Pose { x, y, yaw } = pose;
                return refuse(
                    format!("has [{x}, {y}, {yaw}] as pose {index}"),
                    "expected finite numbers: metres, metres, radians",
                );
            }
            if pose.x.abs().max(pose.y.abs()) > MAX_METRES {
                return refuse(
                    format!("has pose {index} at {}, {} metres", pose.x, pose.y),
                    "robots are told places in millimetres; use a map frame within 2,000 km",
                );
            }
        }
        let points: Vec<[f64; 2]> = path.iter().map(|pose| [pose.x, pose.y]).collect();
        Ok(Self { corners: corners(&points), start_yaw: first.yaw, end_yaw: last.yaw })
    }

    /// Where it begins.
    #[must_use]
    pub fn start(&self) -> Pose {
        let [x, y] = self.corners[0];
        Pose::new(x, y, self.start_yaw)
    }

    /// Where it ends.
    #[must_use]
    pub fn goal(&self) -> Pose {
        let [x, y] = self.corners[self.corners.len() - 1];
        Pose::new(x, y, self.end_yaw)
    }

    /// Places at which it begins, bends or ends, in metres.
    #[must_use]
    pub fn corners(&self) -> &[[f64; 2]] {
        &self.corners
    }

    /// Metres to drive.
    #[must_use]
    pub fn length(&self) -> f64 {
        self.corners.windows(2).map(|pair| distance(pair[0], pair[1])).sum()
    }

    /// Metres between a place and the nearest of the route.
    #[must_use]
    pub fn distance(&self, x: f64, y: f64) -> f64 {
        let nearest = self.corners.windows(2).map(|pair| distance_to_line([x, y], pair[0], pair[1]));
        nearest.fold(distance([x, y], self.corners[0]), f64::min)
    }
}

pub(super) fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Metres along the line from `a` to `b`, at which `point` is nearest to it, and the line's length.
pub(super) fn along(point: [f64; 2], a: [f64; 2], b: [f64; 2]) -> (f64, f64) {
    let length = distance(a, b);
    let dot = (point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1]);
    (if length > 0.0 { dot / length } else { 0.0 }, length)
}

/// The place `metres` along the line from `a` to `b`.
pub(super) fn on_line(a: [f64; 2], b: [f64; 2], metres: f64) -> [f64; 2] {
    let length = distance(a, b);
    let share = if length > 0.0 { metres / length } else { 0.0 };
    [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share]
}

/// Metres from a point to the line between `a` and `b`, ends included.
pub(super) fn distance_to_line(point: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (metres, length) = along(point, a, b);
    distance(point, on_line(a, b, metres.clamp(0.0, length)))
}

/// The points at which the line bends.
fn corners(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut corners = vec![points[0]];
    // The first point after the last corner that is on the line that is being made longer.
    let mut begin = 1;
    for (at, &point) in points.iter().enumerate().skip(1) {
        let corner = corners[corners.len() - 1];
        let skipped = &points[begin..at];
        // In order along the line, or it would hide a way there and back.
        let mut before = 0.0;
        let straight = skipped.len() < LONGEST_LINE
            && skipped.iter().all(|&skipped| {
                let (metres, length) = along(skipped, corner, point);
                let forward = (before - STRAIGHT..=length + STRAIGHT).contains(&metres);
                before = metres;
                forward && distance_to_line(skipped, corner, point) <= STRAIGHT
            });
        if !straight {
            corners.push(points[at - 1]);
            begin = at;
        }
    }
    let last = points[points.len() - 1];
    // The goal stays, whatever is near it.
    while corners.len() > 1 && distance(corners[corners.len() - 1], last) < SAME {
        corners.pop();
    }
    if points.len() > 1 && distance(corners[corners.len() - 1], last) >= SAME {
        corners.push(last);
    } else if corners.len() == 1 {
        corners[0] = last;
    }
    corners.dedup_by(|next, kept| distance(*next, *kept) < SAME);
    corners
}

/// Speeds of driving and turning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speeds {
    /// Millimetres a second.
    pub(super) drive_mm_s: u16,
    /// Degrees a second.
    pub(super) turn_deg_s: u16,
}

impl Speeds {
    /// Takes metres a second, 0.01 to 3, and degrees a second, 1 to 720, and rounds both to what the wire carries.
    ///
    /// # Errors
    /// [`LinkError::Path`] for a speed beyond these ranges.
    pub fn new(metres_a_second: f64, degrees_a_second: f64) -> Result<Self> {
        let within = |name, value: f64, least: f64, most: f64, unit| {
            if (least..=most).contains(&value) {
                return Ok(value);
            }
            let reason = format!("is {value} {unit}");
            Err(LinkError::Path {
                name: format!("the {name}"),
                reason,
                hint: "0.01 to 3 m/s, 1 to 720 degrees a second",
            })
        };
        let drive = within("speed", metres_a_second, 0.01, 3.0, "metres a second")?;
        let turn = within("turning speed", degrees_a_second, 1.0, 720.0, "degrees a second")?;
        Ok(Self { drive_mm_s: (drive * 1e3).round() as u16, turn_deg_s: turn.round() as u16 })
    }
}

impl Default for Speeds {
    /// 0.2 metres and 90 degrees a second: a small robot in a maze.
    fn default() -> Self {
        Self { drive_mm_s: 200, turn_deg_s: 90 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(points: &[[f64; 2]]) -> Vec<Pose> {
        points.iter().map(|&[x, y]| Pose::new(x, y, 0.5)).collect()
    }

    fn corners_of(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
        Route::new(&path(points)).unwrap().corners
    }

    #[test]
    fn what_is_on_a_line_is_left_out() {
        let dense: Vec<[f64; 2]> = (0..=100).map(|step| [f64::from(step) / 100.0, f64::from(step) / 50.0]).collect();
        assert_eq!(corners_of(&dense), [[0.0, 0.0], [1.0, 2.0]]);
        let bend = [[0.0, 0.0], [0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [1.0, 0.2], [1.0, 0.4], [1.0, 0.4]];
        assert_eq!(corners_of(&bend), [[0.0, 0.0], [1.0, 0.0], [1.0, 0.4]]);
        // There and back is not nothing.
        assert_eq!(corners_of(&[[0.0, 0.0], [1.0, 0.0], [0.2, 0.0]]), [[0.0, 0.0], [1.0, 0.0], [0.2, 0.0]]);
        assert_eq!(corners_of(&[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]);
        assert_eq!(corners_of(&[[3.0, 4.0]]), [[3.0, 4.0]]);
        assert_eq!(corners_of(&[[3.0, 4.0], [3.0, 4.0002]]), [[3.0, 4.0002]]);
        let route = Route::new(&path(&bend)).unwrap();
        assert!((route.length() - 1.4).abs() < 1e-12);
        assert_eq!((route.start(), route.goal()), (Pose::new(0.0, 0.0, 0.5), Pose::new(1.0, 0.4, 0.5)));
        assert!((route.distance(0.5, -0.3) - 0.3).abs() < 1e-12 && (route.distance(4.0, 4.4) - 5.0).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_driven_is_refused() {
        let message = |path: &[Pose]| trm_intake::explained(&Route::new(path).unwrap_err());
        assert_eq!(message(&[]), "the path has no poses\nhint: a path has one pose at least, where the robot stands");
        let nan = [Pose::default(), Pose { y: f64::NAN, ..Pose::default() }];
        assert_eq!(
            message(&nan),
            "the path has [0, NaN, 0] as pose 1\nhint: expected finite numbers: metres, metres, radians"
        );
        assert!(message(&path(&[[0.0, 0.0], [0.0, -3e6]])).contains("has pose 1 at 0, -3000000 metres\nhint: "));
        for (drive, turn) in [(0.0, 90.0), (f64::NAN, 90.0), (9.0, 90.0), (0.2, 0.0), (0.2, f64::INFINITY)] {
            let message = trm_intake::explained(&Speeds::new(drive, turn).unwrap_err());
            assert!(message.ends_with("hint: 0.01 to 3 m/s, 1 to 720 degrees a second"), "{message}");
        }
    }

    proptest! {
        /// No place of the path is farther from the route than what is left out for being straight.
        #[test]
        fn corners_keep_the_line(steps in prop::collection::vec((-40_i32..40, -40_i32..40), 1..300), scale in 1..50) {
            let mut at = [0.0, 0.0];
            let points: Vec<[f64; 2]> = steps.iter().map(|&(dx, dy)| {
                at = [at[0] + f64::from(dx) / f64::from(scale * 100), at[1] + f64::from(dy) / f64::from(scale * 100)];
                at
            }).collect();
            let route = Route::new(&path(&points)).unwrap();
            for point in &points {
                prop_assert!(route.distance(point[0], point[1]) <= SAME + STRAIGHT, "{point:?}");
            }
            prop_assert_eq!(route.corners.last(), Some(&at));
        }
    }
}
