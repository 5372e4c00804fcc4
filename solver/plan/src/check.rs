//! Checks a path on the map itself. Deliberately shares nothing with the planner: no distance transform, no walk over
//! cells, no planning grid. What both follow is the rule: the robot collides where its centre is in a cell whose centre is
//! no farther from an obstacle cell's centre than its radius.

use super::Pose;
use super::costs::CostMap;
use super::free_space::Robot;
use super::map::{MapCell, OccupancyMap, UNKNOWN};

/// Points along a cell at which a path is looked at.
const POINTS_A_CELL: f64 = 50.0;

/// The faults of a path.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PathFault {
    /// At a point of the path the robot, or a part of it where unknown space is an obstacle, is outside of the map.
    Outside {
        /// The point, in the map's frame.
        at: (f64, f64),
    },
    /// At a point of the path the robot touches an obstacle.
    Collision {
        /// The point, in the map's frame.
        at: (f64, f64),
        /// The obstacle's cell.
        obstacle: MapCell,
    },
    /// A point of the path is where a mask forbids to go.
    Forbidden {
        /// The point, in the map's frame.
        at: (f64, f64),
    },
    /// At a pose of the path the footprint touches an obstacle.
    Footprint {
        /// The pose, in the map's frame.
        at: Pose,
        /// The obstacle's cell.
        obstacle: MapCell,
    },
    /// The path does not begin or end where it should.
    Ends {
        /// Which end: `start` or `goal`.
        which: &'static str,
        /// Metres that it is off.
        off: f64,
    },
    /// The path has fewer than two poses, or numbers that are not finite.
    Malformed,
}

impl std::fmt::Display for PathFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Outside { at } => write!(f, "at {:.3}, {:.3} the robot reaches beyond the map", at.0, at.1),
            Self::Collision { at, obstacle } => write!(
                f,
                "at {:.3}, {:.3} the robot touches the obstacle in cell {}, {}",
                at.0, at.1, obstacle.x, obstacle.y
            ),
            Self::Footprint { at, obstacle } => write!(
                f,
                "at {:.3}, {:.3}, turned to {:.2}, the footprint touches the obstacle in cell {}, {}",
                at.x, at.y, at.yaw, obstacle.x, obstacle.y
            ),
            Self::Forbidden { at } => write!(f, "at {:.3}, {:.3} a mask forbids to go", at.0, at.1),
            Self::Ends { which, off } => write!(f, "it misses the {which} by {off:.3} m"),
            Self::Malformed => f.write_str("it has fewer than two poses, or numbers that are not finite"),
        }
    }
}

/// Checks that a path leads from `start` to `goal` and touches nothing, by looking at points along it that are close
/// together.
///
/// # Errors
///
/// The first [`PathFault`]. An end is off if it is more than a micrometre from its place.
pub fn check_path(map: &OccupancyMap, robot: &Robot, start: Pose, goal: Pose, path: &[Pose]) -> Result<(), PathFault> {
    let (Some(first), Some(last), true) = (path.first(), path.last(), path.len() >= 2) else {
        return Err(PathFault::Malformed);
    };
    if !path.iter().all(Pose::is_finite) {
        return Err(PathFault::Malformed);
    }
    for (which, off) in [("start", first.distance(&start)), ("goal", last.distance(&goal))] {
        if off > 1e-6 {
            return Err(PathFault::Ends { which, off });
        }
    }
    let disc = disc(robot.radius / map.resolution());
    let mut seen = None;
    for pair in path.windows(2) {
        let points = (pair[0].distance(&pair[1]) / map.resolution() * POINTS_A_CELL).ceil().max(1.0) as usize;
        for point in 0..=points {
            let t = point as f64 / points as f64;
            let at = (pair[0].x + t * (pair[1].x - pair[0].x), pair[0].y + t * (pair[1].y - pair[0].y));
            let cell = map.cell_at(at.0, at.1).ok_or(PathFault::Outside { at })?;
            if seen == Some(cell) {
                continue;
            }
            seen = Some(cell);
            if let Some(fault) = fault(map, robot, &disc, cell, at) {
                return Err(fault);
            }
        }
    }
    Ok(())
}

/// The cost of a path in metres of free ground, by points along it that are close together.
///
/// # Errors
///
/// [`PathFault::Outside`] and [`PathFault::Forbidden`].
pub fn check_costs(map: &OccupancyMap, costs: &CostMap, path: &[Pose]) -> Result<f64, PathFault> {
    let mut total = 0.0;
    for pair in path.windows(2) {
        let length = pair[0].distance(&pair[1]);
        let points = (length / map.resolution() * POINTS_A_CELL).ceil().max(1.0) as usize;
        for point in 0..points {
            let t = (point as f64 + 0.5) / points as f64;
            let at = (pair[0].x + t * (pair[1].x - pair[0].x), pair[0].y + t * (pair[1].y - pair[0].y));
            let cell = map.cell_at(at.0, at.1).ok_or(PathFault::Outside { at })?;
            if costs.is_forbidden(cell) {
                return Err(PathFault::Forbidden { at });
            }
            total += length / points as f64 * costs.weight(cell);
        }
    }
    Ok(total)
}

/// Offsets of the cells whose centres are within `radius` cells of a cell's.
fn disc(radius: f64) -> Vec<(i64, i64)> {
    let reach = radius.ceil() as i64;
    let all = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
    // The same margin for rounding as a radius of whole cells needs.
    all.filter(|&(dx, dy)| ((dx * dx + dy * dy) as f64) <= radius * radius + 1e-6).collect()
}

/// The fault of a robot in a cell, if there is one. What is outside of the map is unknown.
fn fault(map: &OccupancyMap, robot: &Robot, disc: &[(i64, i64)], cell: MapCell, at: (f64, f64)) -> Option<PathFault> {
    disc.iter().find_map(|&(dx, dy)| {
        let near = usize::try_from(cell.x as i64 + dx).ok().zip(usize::try_from(cell.y as i64 + dy).ok());
        let near = near.map(|(x, y)| MapCell { x, y }).and_then(|near| Some((near, map.get(near)?)));
        match near {
            None => robot.is_obstacle(UNKNOWN).then_some(PathFault::Outside { at }),
            Some((obstacle, value)) => robot.is_obstacle(value).then_some(PathFault::Collision { at, obstacle }),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnknownSpace;

    fn map() -> OccupancyMap {
        // 10 x 4 cells of 0.5 m with an obstacle in cell (5, 2).
        let mut values = vec![0; 40];
        values[25] = 100;
        OccupancyMap::new("a test", (10, 4), 0.5, Pose::default(), values).expect("a map")
    }

    fn check(radius: f64, points: &[(f64, f64)]) -> Result<(), PathFault> {
        check_by(Robot { radius, unknown: UnknownSpace::Free, ..Robot::default() }, points)
    }

    fn check_by(robot: Robot, points: &[(f64, f64)]) -> Result<(), PathFault> {
        let path: Vec<Pose> = points.iter().map(|&(x, y)| Pose::new(x, y, 0.0)).collect();
        let end = |pose: Option<&Pose>| pose.copied().unwrap_or_default();
        check_path(&map(), &robot, end(path.first()), end(path.last()), &path)
    }

    #[test]
    fn a_path_past_the_obstacle_is_right_and_one_through_it_is_not() {
        assert_eq!(check(0.0, &[(0.25, 0.75), (4.75, 0.75)]), Ok(()));
        let through = check(0.0, &[(0.25, 1.25), (4.75, 1.25)]).expect_err("a collision");
        assert!(matches!(through, PathFault::Collision { obstacle: MapCell { x: 5, y: 2 }, .. }), "{through}");
        assert!(through.to_string().starts_with("at 2.5"), "{through}");
    }

    #[test]
    fn the_robot_is_as_wide_as_it_is() {
        let below = [(0.25, 0.75), (4.75, 0.75)];
        assert_eq!(check(0.49, &below), Ok(()));
        assert!(matches!(check(0.5, &below), Err(PathFault::Collision { .. })));
        assert!(matches!(check(0.5, &[(0.25, 0.25), (4.75, 0.25)]), Ok(())));
    }

    #[test]
    fn beyond_the_map_is_unknown_space() {
        let along = [(0.25, 0.75), (4.75, 0.75)];
        let blocked = |radius| check_by(Robot { radius, ..Robot::default() }, &along);
        assert_eq!(blocked(0.49), Ok(()));
        let beyond = blocked(0.5).expect_err("the cell outside is half a metre away");
        assert!(matches!(beyond, PathFault::Outside { .. }), "{beyond}");
        assert!(beyond.to_string().contains("0.250, 0.750 the robot reaches beyond the map"), "{beyond}");
        assert_eq!(check(0.49, &along), Ok(()));
    }

    #[test]
    fn the_tip_of_a_corner_is_not_missed() {
        // Cuts cell (5, 2) by 1.2 cm at its corner (2.5, 1.0).
        assert!(matches!(check(0.0, &[(2.25, 1.267), (2.767, 0.75)]), Err(PathFault::Collision { .. })));
    }

    #[test]
    fn other_faults_are_found() {
        assert!(matches!(check(0.0, &[(0.25, 0.25), (5.25, 0.25)]), Err(PathFault::Outside { .. })));
        assert_eq!(check(0.0, &[(0.25, 0.25)]), Err(PathFault::Malformed));
        assert_eq!(check(0.0, &[]), Err(PathFault::Malformed));
        assert_eq!(check(0.0, &[(0.25, 0.25), (f64::NAN, 0.25)]), Err(PathFault::Malformed));
        let path = [Pose::new(0.25, 0.25, 0.0), Pose::new(1.0, 0.25, 0.0)];
        let goal = Pose::new(1.25, 0.25, 0.0);
        let fault = check_path(&map(), &Robot { radius: 0.0, ..Robot::default() }, path[0], goal, &path);
        assert_eq!(fault, Err(PathFault::Ends { which: "goal", off: 0.25 }));
    }
}
