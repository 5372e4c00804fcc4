//! Messages into what the planner takes, and its path back into a message.

use trm_plan::{OccupancyMap, Pose};

use super::messages::{Header, OccupancyGrid, Path, Point, Pose3, PoseStamped, Quaternion};
use crate::{HostError, Result};

/// Tolerance of a quaternion's length, which should be 1. Rounding makes 1e-7 of it; senders that forget to normalise
/// make much more.
const LENGTH_TOLERANCE: f64 = 0.01;

impl Quaternion {
    /// A turn about the z axis by an angle in radians, counterclockwise seen from above.
    #[must_use]
    pub fn from_yaw(yaw: f64) -> Self {
        let (sin, cos) = (yaw / 2.0).sin_cos();
        Self { x: 0.0, y: 0.0, z: sin, w: cos }
    }

    /// The heading in radians, -π to π: the angle of the turned x axis over the ground. Roll and pitch are left out.
    ///
    /// # Errors
    /// [`HostError::Ros2Message`] for a quaternion that is no rotation: not finite, or of a length other than 1.
    pub fn yaw(&self) -> Result<f64> {
        let length = [self.x, self.y, self.z, self.w].iter().map(|part| part * part).sum::<f64>().sqrt();
        if !length.is_finite() || (length - 1.0).abs() > LENGTH_TOLERANCE {
            return Err(HostError::Ros2Message {
                what: "orientation".into(),
                reason: format!(
                    "[{}, {}, {}, {}] has length {length}, expected a unit quaternion, such as [0, 0, 0, 1] for no turn",
                    self.x, self.y, self.z, self.w
                ),
            });
        }
        Ok(f64::atan2(
            2.0 * (self.w * self.z + self.x * self.y),
            self.w * self.w + self.x * self.x - self.y * self.y - self.z * self.z,
        ))
    }
}

impl From<Pose> for Pose3 {
    fn from(pose: Pose) -> Self {
        Self { position: Point { x: pose.x, y: pose.y, z: 0.0 }, orientation: Quaternion::from_yaw(pose.yaw) }
    }
}

impl Pose3 {
    /// The pose seen from above.
    ///
    /// # Errors
    /// [`HostError::Ros2Message`] for a position that is not finite and for an orientation that is no rotation.
    pub fn on_ground(&self) -> Result<Pose> {
        let (x, y) = (self.position.x, self.position.y);
        if !(x.is_finite() && y.is_finite()) {
            return Err(HostError::Ros2Message {
                what: "position".into(),
                reason: format!("[{x}, {y}] is not finite, expected metres"),
            });
        }
        Ok(Pose::new(x, y, self.orientation.yaw()?))
    }
}

impl OccupancyGrid {
    /// The map in the header's frame; `source` is what errors call it, such as its topic.
    ///
    /// # Errors
    /// [`HostError::Plan`] for what [`OccupancyMap::new`] refuses; [`HostError::Ros2Message`] for an origin that is no
    /// pose.
    pub fn into_map(self, source: &str) -> Result<OccupancyMap> {
        let origin = self.info.origin.on_ground().map_err(|error| match error {
            HostError::Ros2Message { what, reason } => {
                HostError::Ros2Message { what: format!("{source}: the origin's {what}"), reason }
            }
            other => other,
        })?;
        let size = (self.info.width as usize, self.info.height as usize);
        let map = OccupancyMap::new(source, size, trm_plan::map::decimal(self.info.resolution), origin, self.data)?;
        Ok(map.with_frame(self.header.frame_id))
    }
}

impl Path {
    /// A path in a frame.
    #[must_use]
    pub fn new(header: Header, path: &[Pose]) -> Self {
        let poses = path.iter().map(|&pose| PoseStamped { header: header.clone(), pose: pose.into() }).collect();
        Self { header, poses }
    }

    /// The same way by its ends and corners alone, without the poses that lie on straight lines.
    pub(super) fn corners(&self) -> Self {
        let mut poses: Vec<PoseStamped> = Vec::new();
        for (index, pose) in self.poses.iter().enumerate() {
            let is_on_a_line = match (poses.last(), self.poses.get(index + 1)) {
                (Some(before), Some(after)) => lies_between(&before.pose, &pose.pose, &after.pose),
                _ => false,
            };
            if !is_on_a_line {
                poses.push(pose.clone());
            }
        }
        Self { header: self.header.clone(), poses }
    }
}

/// True if the way over a place does not turn there: by less than a millionth of a radian.
fn lies_between(before: &Pose3, here: &Pose3, after: &Pose3) -> bool {
    let way = |to: &Pose3| (to.position.x - before.position.x, to.position.y - before.position.y);
    let ((ax, ay), (bx, by)) = (way(here), way(after));
    let along = ax * bx + ay * by;
    // A way that turns back lies beyond.
    along > 0.0 && ax * ax + ay * ay <= along && (ax * by - ay * bx).abs() <= 1e-6 * along
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2, PI};

    use super::*;
    use crate::ros2::cdr::{decode, encode};

    #[test]
    fn known_turns_have_known_quaternions() {
        for (yaw, [z, w]) in [
            (0.0, [0.0, 1.0]),
            (FRAC_PI_2, [FRAC_1_SQRT_2, FRAC_1_SQRT_2]),
            (-FRAC_PI_2, [-FRAC_1_SQRT_2, FRAC_1_SQRT_2]),
            (PI, [1.0, 0.0]),
        ] {
            let turn = Quaternion::from_yaw(yaw);
            assert!((turn.z - z).abs() < 1e-15 && (turn.w - w).abs() < 1e-15, "{yaw}: {turn:?}");
            assert_eq!((turn.x, turn.y), (0.0, 0.0));
        }
    }

    #[test]
    fn headings_survive_the_way_there_and_back() {
        for step in -100..=100 {
            let yaw = f64::from(step) / 100.0 * PI;
            let turn = Quaternion::from_yaw(yaw);
            let back = turn.yaw().unwrap();
            assert!((back - yaw).sin().abs() < 1e-12 && (back - yaw).cos() > 0.0, "{yaw} came back as {back}");
            // The same rotation has a second quaternion.
            let other = Quaternion { x: -turn.x, y: -turn.y, z: -turn.z, w: -turn.w };
            assert!((other.yaw().unwrap() - yaw).sin().abs() < 1e-12);
        }
    }

    #[test]
    fn the_heading_of_a_tilted_robot_is_that_over_the_ground() {
        // Yaw 90 degrees after pitch 60 degrees: q = yaw · pitch, by hand.
        let (pitch_sin, pitch_cos) = (PI / 6.0).sin_cos();
        let tilted = Quaternion {
            x: -FRAC_1_SQRT_2 * pitch_sin,
            y: FRAC_1_SQRT_2 * pitch_sin,
            z: FRAC_1_SQRT_2 * pitch_cos,
            w: FRAC_1_SQRT_2 * pitch_cos,
        };
        assert!((tilted.yaw().unwrap() - FRAC_PI_2).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_rotation_is_refused() {
        let refused = |x, y, z, w| Quaternion { x, y, z, w }.yaw().unwrap_err().to_string();
        assert_eq!(
            refused(0.0, 0.0, 0.0, 0.0),
            "orientation: [0, 0, 0, 0] has length 0, expected a unit quaternion, such as [0, 0, 0, 1] for no turn"
        );
        assert!(refused(0.0, 0.0, 0.0, 2.0).contains("length 2"));
        assert!(refused(f64::NAN, 0.0, 0.0, 1.0).contains("length NaN"));
        assert!(refused(f64::INFINITY, 0.0, 0.0, 1.0).contains("length inf"));
        assert!(Quaternion { x: 0.0, y: 0.0, z: 0.707, w: 0.707 }.yaw().is_ok());
    }

    #[test]
    fn a_pose_that_is_not_finite_is_refused() {
        let mut pose = Pose3::default();
        pose.position.y = f64::NAN;
        assert_eq!(pose.on_ground().unwrap_err().to_string(), "position: [0, NaN] is not finite, expected metres");
    }

    fn grid() -> OccupancyGrid {
        let mut grid = OccupancyGrid { data: vec![0, 100, -1, 50, 0, 0], ..OccupancyGrid::default() };
        grid.header.frame_id = "earth".into();
        (grid.info.width, grid.info.height, grid.info.resolution) = (3, 2, 0.05);
        grid.info.origin = Pose::new(-1.0, 2.0, FRAC_PI_2).into();
        grid
    }

    #[test]
    fn a_grid_becomes_a_map() {
        let map = grid().into_map("/map").unwrap();
        assert_eq!((map.source(), map.frame(), map.width(), map.height()), ("/map", "earth", 3, 2));
        // Bit for bit what was meant, not what single precision made of it.
        assert!(map.resolution().to_bits() == 0.05_f64.to_bits());
        assert_eq!(map.values(), [0, 100, -1, 50, 0, 0]);
        let origin = map.origin();
        assert!((origin.x, origin.y) == (-1.0, 2.0) && (origin.yaw - FRAC_PI_2).abs() < 1e-12);
    }

    #[test]
    fn bad_grids_are_refused_with_what_is_wrong() {
        let refused = |change: fn(&mut OccupancyGrid)| {
            let mut grid = grid();
            change(&mut grid);
            grid.into_map("/map").unwrap_err().to_string()
        };
        assert!(refused(|grid| grid.info.resolution = 0.0).contains("the resolution is 0"));
        assert!(refused(|grid| grid.info.resolution = -0.05).contains("the resolution is -0.05"));
        assert!(refused(|grid| grid.info.resolution = f32::NAN).contains("the resolution is NaN"));
        assert!(refused(|grid| grid.info.resolution = f32::INFINITY).contains("the resolution is inf"));
        assert!(refused(|grid| grid.data.truncate(5)).contains("5 values, a map of 3x2 cells has 6"));
        assert!(refused(|grid| grid.data.clear()).contains("0 values"));
        assert!(refused(|grid| grid.info.width = 0).contains("no cells"));
        assert!(refused(|grid| grid.info.height = u32::MAX).contains("3x4294967295"));
        assert!(refused(|grid| grid.data[3] = -2).contains("cell 3 holds -2"));
        assert!(refused(|grid| grid.data[3] = 101).contains("cell 3 holds 101"));
        assert!(
            refused(|grid| grid.info.origin.position.x = f64::NAN).starts_with("/map: the origin's position: [NaN, 2]")
        );
        assert!(refused(|grid| grid.info.origin.orientation.w = 7.0).starts_with("/map: the origin's orientation: "));
    }

    #[test]
    fn a_length_on_the_wire_allocates_nothing() {
        let bytes = encode(&grid()).unwrap();
        // The cells come last: their number, then a byte each.
        let at = bytes.len() - 6 - 4;
        assert_eq!(bytes[at..at + 4], 6_u32.to_le_bytes());
        for length in [7, 1 << 31, u32::MAX] {
            let lying = [&bytes[..at], &length.to_le_bytes(), &bytes[at + 4..]].concat();
            assert!(decode::<OccupancyGrid>(&lying).is_err(), "{length}");
        }
    }

    #[test]
    fn a_path_carries_frame_and_headings() {
        let header = Header { frame_id: "map".into(), ..Header::default() };
        let path = Path::new(header.clone(), &[Pose::new(1.0, 2.0, 0.0), Pose::new(3.0, 4.0, PI)]);
        assert_eq!(path.header, header);
        assert_eq!(path.poses.len(), 2);
        assert_eq!(path.poses[1].header, header);
        assert_eq!(path.poses[1].pose.position, Point { x: 3.0, y: 4.0, z: 0.0 });
        assert!((path.poses[1].pose.orientation.yaw().unwrap().abs() - PI).abs() < 1e-12);
        assert!(Path::new(header, &[]).poses.is_empty());
    }
    #[test]
    fn corners_are_the_same_way() {
        let header = Header { frame_id: "map".into(), ..Header::default() };
        let place = |(x, y): (f64, f64)| Pose::new(x, y, 0.0);
        // Along, a slight bend, up, and back again over the same place.
        let mut places: Vec<_> = (0..50).map(|step| (f64::from(step) * 0.1, 0.3)).collect();
        places.extend((1..50).map(|step| (4.9 + f64::from(step) * 0.1, 0.3 + f64::from(step) * 1e-4)));
        places.extend([(9.8, 1.0), (9.8, 2.0), (9.8, 1.5)]);
        let corners = Path::new(header.clone(), &places.into_iter().map(place).collect::<Vec<_>>()).corners();
        let found: Vec<_> = corners.poses.iter().map(|pose| (pose.pose.position.x, pose.pose.position.y)).collect();
        assert_eq!(found.len(), 5, "{found:?}");
        assert!((found[1].0 - 4.9).abs() < 1e-9 && (found[3].1 - 2.0).abs() < 1e-9, "{found:?}");
        for few in [&[][..], &[(1.0, 1.0)], &[(1.0, 1.0), (1.0, 1.0)], &[(1.0, 1.0), (2.0, 2.0)]] {
            let path = Path::new(header.clone(), &few.iter().copied().map(place).collect::<Vec<_>>());
            assert_eq!(path.corners(), path);
        }
    }
}
