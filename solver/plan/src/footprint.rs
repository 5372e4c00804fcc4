//! Robots that are not round: a polygon, and its check along a path in the direction of travel.

use std::f64::consts::TAU;
use std::str::FromStr;

use super::check::PathFault;
use super::free_space::Robot;
use super::map::{MapCell, OccupancyMap, UNKNOWN};
use super::pose::{Pose, normalized};
use crate::{PlanError, Result};

/// Corners that a footprint may have.
const MOST_CORNERS: usize = 64;
/// Radii that are tried between the circle around a footprint and the one in it.
const RADII: usize = 5;

/// The outline of a robot as seen from above, around its centre, in metres; x is ahead.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    corners: Vec<(f64, f64)>,
}

impl Footprint {
    /// A polygon of these corners, in either order.
    ///
    /// # Errors
    /// [`PlanError::Footprint`] for fewer than three corners or more than 64, one that is not finite, and a polygon that its centre is not in.
    pub fn new(corners: Vec<(f64, f64)>) -> Result<Self> {
        let refused = |reason: &str| Err(PlanError::Footprint { reason: reason.to_owned() });
        if !(3..=MOST_CORNERS).contains(&corners.len()) {
            return refused(&format!("{} corners, a polygon has 3 to {MOST_CORNERS}", corners.len()));
        }
        if !corners.iter().all(|&(x, y)| x.abs() < 1e6 && y.abs() < 1e6) {
            return refused("a corner that is no place near the robot");
        }
        let footprint = Self { corners };
        if !footprint.holds((0.0, 0.0)) || footprint.inscribed() < 1e-9 {
            return refused("its centre, 0,0, outside of it");
        }
        Ok(footprint)
    }

    /// Metres from the centre to the nearest point of the outline.
    #[must_use]
    pub fn inscribed(&self) -> f64 {
        self.to_outline((0.0, 0.0))
    }

    /// Metres from the centre to the farthest corner.
    #[must_use]
    pub fn circumscribed(&self) -> f64 {
        self.corners.iter().map(|&(x, y)| x.hypot(y)).fold(0.0, f64::max)
    }

    /// Radii to plan with, one after the other, until a path passes [`check_footprint`]: first that of the circle around the
    /// footprint, which fits wherever it is turned, then smaller ones down to that of the circle in it.
    #[must_use]
    pub fn radii(&self, resolution: f64) -> Vec<f64> {
        // A place is known to a cell, and an obstacle's cell counts as a whole.
        let (least, most) = (self.inscribed(), self.circumscribed() + 1.25 * resolution);
        let step = (most - least) / (RADII - 1) as f64;
        (0..RADII).map(|number| most - step * number as f64).collect()
    }

    fn edges(&self) -> impl Iterator<Item = ((f64, f64), (f64, f64))> {
        self.corners.iter().copied().zip(self.corners.iter().copied().cycle().skip(1))
    }

    /// True if a point is within the polygon, by the number of edges to its right.
    fn holds(&self, (x, y): (f64, f64)) -> bool {
        let crosses = |&((ax, ay), (bx, by)): &((f64, f64), (f64, f64))| {
            (ay > y) != (by > y) && x < ax + (y - ay) / (by - ay) * (bx - ax)
        };
        self.edges().filter(crosses).count() % 2 == 1
    }

    fn to_outline(&self, (x, y): (f64, f64)) -> f64 {
        let distance = |((ax, ay), (bx, by)): ((f64, f64), (f64, f64))| {
            let (dx, dy) = (bx - ax, by - ay);
            let squared = dx * dx + dy * dy;
            let t = if squared > 0.0 { (((x - ax) * dx + (y - ay) * dy) / squared).clamp(0.0, 1.0) } else { 0.0 };
            (x - ax - t * dx).hypot(y - ay - t * dy)
        };
        self.edges().map(distance).fold(f64::INFINITY, f64::min)
    }
}

impl FromStr for Footprint {
    type Err = PlanError;

    /// As nav2's parameter `footprint` has it: `[[0.3, 0.2], [0.3, -0.2], [-0.3, -0.2], [-0.3, 0.2]]`.
    fn from_str(text: &str) -> Result<Self> {
        let corners: Vec<(f64, f64)> = serde_json::from_str(text)
            .map_err(|_| PlanError::Footprint { reason: format!("no list of corners: `{text}`") })?;
        Self::new(corners)
    }
}

/// Checks that a robot with this footprint touches nothing on a path that it drives forwards, turning on the spot at its
/// corners; at its ends too, from and to these angles, if they are known. An obstacle is touched if its cell's centre is within the outline or less
/// than half a cell from it.
///
/// # Errors
///
/// [`PathFault::Footprint`] with the first place where it touches, [`PathFault::Outside`] where it reaches beyond the map and unknown
/// space is an obstacle.
pub fn check_footprint(
    map: &OccupancyMap,
    robot: &Robot,
    footprint: &Footprint,
    (start_yaw, goal_yaw): (Option<f64>, Option<f64>),
    path: &[Pose],
) -> Result<(), PathFault> {
    let step = map.resolution() / 2.0;
    let reach = footprint.circumscribed();
    let turned = |at: Pose, from: f64, to: f64| -> Result<(), PathFault> {
        // The shorter way around.
        let turn = normalized(to - from);
        let steps = (turn.abs().min(TAU) * reach / step).ceil().max(1.0) as usize;
        (0..=steps).try_for_each(|number| {
            let yaw = from + turn * number as f64 / steps as f64;
            placed(map, robot, footprint, Pose { yaw, ..at })
        })
    };
    let mut yaw = start_yaw;
    for pair in path.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let length = a.distance(&b);
        if length > 0.0 {
            let along = (b.y - a.y).atan2(b.x - a.x);
            turned(a, yaw.unwrap_or(along), along)?;
            yaw = Some(along);
            let steps = (length / step).ceil() as usize;
            for number in 1..=steps {
                let t = number as f64 / steps as f64;
                let at = Pose { x: a.x + t * (b.x - a.x), y: a.y + t * (b.y - a.y), yaw: along };
                placed(map, robot, footprint, at)?;
            }
        }
    }
    match (path.last(), yaw, goal_yaw) {
        (Some(&last), Some(yaw), Some(goal_yaw)) => turned(last, yaw, goal_yaw),
        _ => Ok(()),
    }
}

/// Checks the footprint at one pose.
fn placed(map: &OccupancyMap, robot: &Robot, footprint: &Footprint, at: Pose) -> Result<(), PathFault> {
    let margin = map.resolution() / 2.0;
    let reach = (footprint.circumscribed() + margin) / map.resolution();
    let (column, row) = map.to_cells(at.x, at.y);
    let range = |centre: f64, side: usize| {
        let first = (centre - reach).floor().max(0.0) as usize;
        first..((centre + reach).ceil().max(0.0) as usize + 1).min(side)
    };
    let (sin, cos) = at.yaw.sin_cos();
    let is_outside = |&(x, y): &(f64, f64)| {
        let (column, row) = map.to_cells(at.x + cos * x - sin * y, at.y + sin * x + cos * y);
        !(0.0..=map.width() as f64).contains(&column) || !(0.0..=map.height() as f64).contains(&row)
    };
    if robot.is_obstacle(UNKNOWN) && footprint.corners.iter().any(is_outside) {
        return Err(PathFault::Outside { at: (at.x, at.y) });
    }
    for y in range(row, map.height()) {
        for x in range(column, map.width()) {
            let cell = MapCell { x, y };
            if !map.get(cell).is_some_and(|value| robot.is_obstacle(value)) {
                continue;
            }
            let (centre_x, centre_y) = map.centre(cell);
            let (dx, dy) = (centre_x - at.x, centre_y - at.y);
            let seen = (cos * dx + sin * dy, cos * dy - sin * dx);
            if footprint.holds(seen) || footprint.to_outline(seen) < margin {
                return Err(PathFault::Footprint { at, obstacle: cell });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_2, PI};

    use super::*;

    /// 1 m long, 0.4 m wide.
    fn long() -> Footprint {
        "[[0.5, 0.2], [0.5, -0.2], [-0.5, -0.2], [-0.5, 0.2]]".parse().expect("a footprint")
    }

    /// A corridor of 5 m x 0.6 m in a block, along x, its middle at y 1.
    fn corridor() -> OccupancyMap {
        let value = |index: usize| {
            let y = (index / 100) as f64 * 0.05 + 0.025;
            if (y - 1.0).abs() < 0.3 { 0 } else { 100 }
        };
        OccupancyMap::new("corridor", (100, 40), 0.05, Pose::default(), (0..4000).map(value).collect()).expect("a map")
    }

    fn check(path: &[(f64, f64)], ends: (Option<f64>, Option<f64>)) -> Result<(), PathFault> {
        let path: Vec<Pose> = path.iter().map(|&(x, y)| Pose::new(x, y, 0.0)).collect();
        check_footprint(&corridor(), &Robot::default(), &long(), ends, &path)
    }

    #[test]
    fn a_long_robot_drives_along_a_corridor_and_cannot_turn_in_it() {
        let along = [(1.0, 1.0), (4.0, 1.0)];
        assert_eq!(check(&along, (None, None)), Ok(()));
        assert_eq!(check(&along, (Some(0.0), Some(0.0))), Ok(()));
        for ends in [(Some(FRAC_PI_2), None), (None, Some(PI)), (Some(PI), None)] {
            let fault = check(&along, ends).expect_err("it turns");
            assert!(matches!(fault, PathFault::Footprint { .. }), "{fault}");
        }
        assert!(check(&[(1.0, 1.0), (4.0, 1.1)], (None, None)).is_err());
        assert!(check(&[(1.0, 1.0), (2.0, 1.0), (2.0, 1.2)], (None, None)).is_err());
    }

    #[test]
    fn radii_go_from_the_circle_around_to_the_circle_within() {
        assert!((long().inscribed() - 0.2).abs() < 1e-12 && (long().circumscribed() - 0.29_f64.sqrt()).abs() < 1e-12);
        let radii = long().radii(0.05);
        assert!(radii[0] > long().circumscribed() && radii.windows(2).all(|pair| pair[0] > pair[1]));
        assert!((radii[radii.len() - 1] - 0.2).abs() < 1e-9);
    }

    #[test]
    fn a_concave_outline_is_what_it_is() {
        let corner = Footprint::new(vec![(-0.2, -0.2), (1.0, -0.2), (1.0, 0.1), (0.1, 0.1), (0.1, 1.0), (-0.2, 1.0)]);
        let corner = corner.expect("a footprint");
        assert!(corner.holds((0.9, 0.0)) && corner.holds((0.0, 0.9)) && !corner.holds((0.5, 0.5)));
    }

    #[test]
    fn what_is_no_footprint_is_refused() {
        let refused = |text: &str| text.parse::<Footprint>().expect_err("refused").to_string();
        assert!(refused("[[1,1],[2,2]]").contains("2 corners"));
        assert!(refused("[[1,1],[2,1],[2,2]]").contains("outside of it"));
        assert!(refused("[[1e9,1],[-1,1],[0,-2]]").contains("no place near the robot"));
        assert!(refused("0.3").contains("no list of corners: `0.3`"));
    }
}
