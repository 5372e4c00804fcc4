//! The comparison of a drive with a map.

use crate::Robot;
use crate::map::{OccupancyMap, UNKNOWN};

/// The places of a drive, by the ground that a map has there. A robot was where it drove: places off free ground mean another frame, another map,
/// or a poor localisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MapFit {
    /// All places.
    pub places: usize,
    /// Those outside of the map.
    pub outside: usize,
    /// Those in space of which the map knows nothing.
    pub unknown: usize,
    /// Those in obstacles.
    pub obstacles: usize,
}

impl MapFit {
    /// Compares a drive with a map.
    #[must_use]
    pub fn new(map: &OccupancyMap, drive: &[[f64; 2]]) -> Self {
        let robot = Robot::default();
        let mut fit = Self { places: drive.len(), ..Self::default() };
        for &[x, y] in drive {
            match map.cell_at(x, y).and_then(|cell| map.get(cell)) {
                None => fit.outside += 1,
                Some(UNKNOWN) => fit.unknown += 1,
                Some(value) if robot.is_obstacle(value) => fit.obstacles += 1,
                Some(_) => {}
            }
        }
        fit
    }

    /// The share of places that are not on free ground, 0 to 1.
    #[must_use]
    pub fn off_share(&self) -> f64 {
        (self.outside + self.unknown + self.obstacles) as f64 / self.places.max(1) as f64
    }
}
