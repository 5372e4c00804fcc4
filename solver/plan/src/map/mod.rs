//! Maps of where a robot can be: those that SLAM writes, those of benchmarks, those that people draw.
//!
//! [`OccupancyMap::read`] takes a file and finds out its format, one of these:
//!
//! - `map_server`: a yaml beside a pgm, png or bmp, by the rules of nav2's `map_io.cpp`;
//! - `nav_msgs/OccupancyGrid` as json (rosbridge) or yaml (`ros2 topic echo`);
//! - MovingAI `.map`, with [`scenarios`] of a `.scen`;
//! - mazes drawn in ASCII, and micromouse mazes, with or without `S` and `G`.
//!
//! [`OccupancyMap::write_map_server`] writes the first of these.

mod drawing;
mod map_server;
mod moving_ai;
mod occupancy_grid;
mod pixels;
mod read;
mod warehouse;
mod write;

use std::ops::RangeInclusive;

pub use moving_ai::{Scenario, scenarios};
pub use read::{LIMITS, LoadedMap};
pub(crate) use read::{picture_over, pixels_over};
pub use warehouse::warehouse;

use super::Pose;
use crate::{PlanError, Result};

/// The most cells that a map may have: 5,000 x 5,000. Planning takes some 20 bytes a cell.
pub const MAX_CELLS: usize = 25_000_000;

/// Metres a cell that a map may have, from those of microscopes to those of planets. Within them all that follows,
/// such as a robot's radius in cells, is a finite number.
const RESOLUTIONS: RangeInclusive<f64> = 1e-9..=1e9;

/// Cells along the radius of a robot for which a map's cells are divided.
const CELLS_A_RADIUS: f64 = 4.0;

/// The value of a cell about which nothing is known.
pub const UNKNOWN: i8 = -1;

/// The value of a cell that is free.
pub const FREE: i8 = 0;

/// The value of a cell that is certainly occupied.
pub const OCCUPIED: i8 = 100;

/// The frame of a map that names none.
pub const DEFAULT_FRAME: &str = "map";

/// A cell of a map: columns count along the map's x axis, rows along its y axis, from the corner at the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapCell {
    /// Column, from 0.
    pub x: usize,
    /// Row, from 0 at the bottom.
    pub y: usize,
}

/// An occupancy map, laid out as a `nav_msgs/OccupancyGrid`: row by row from the bottom, each row along x.
#[derive(Debug, Clone, PartialEq)]
pub struct OccupancyMap {
    source: String,
    frame: String,
    width: usize,
    height: usize,
    resolution: f64,
    origin: Pose,
    /// `[height, width]`: 0 free to 100 occupied, [`UNKNOWN`].
    values: Vec<i8>,
}

impl OccupancyMap {
    /// A map of `values` `[height, width]`, 0 free to 100 occupied or [`UNKNOWN`], the bottom row first. `resolution`
    /// is metres a cell; `origin` is the pose of the map's bottom left corner in its frame; errors call the map
    /// `source`.
    ///
    /// # Errors
    ///
    /// [`PlanError::MapTooLarge`] for more cells than [`MAX_CELLS`]; [`PlanError::BadMap`] for a map without cells,
    /// another number of values, a value outside -1 to 100, a resolution outside 1e-9 to 1e9, an origin that is not
    /// finite.
    pub fn new(
        source: impl Into<String>,
        (width, height): (usize, usize),
        resolution: f64,
        origin: Pose,
        values: Vec<i8>,
    ) -> Result<Self> {
        let source = source.into();
        check_size(&source, width, height)?;
        let bad = |fault: String| PlanError::BadMap { source_name: source.clone(), fault: fault.into() };
        if values.len() != width * height {
            return Err(bad(format!(
                "{} values, a map of {width}x{height} cells has {}",
                values.len(),
                width * height
            )));
        }
        if let Some(position) = values.iter().position(|value| !(UNKNOWN..=100).contains(value)) {
            return Err(bad(format!(
                "cell {position} holds {}, expected 0 (free) to 100 (occupied), or -1 (unknown)",
                values[position]
            )));
        }
        check_resolution(&source, resolution)?;
        if !origin.is_finite() {
            return Err(bad(format!("the origin [{}, {}, {}] is not finite", origin.x, origin.y, origin.yaw)));
        }
        let origin = Pose::new(origin.x, origin.y, origin.yaw);
        Ok(Self { source, frame: DEFAULT_FRAME.to_owned(), width, height, resolution, origin, values })
    }

    /// The map in a frame of another name than [`DEFAULT_FRAME`].
    #[must_use]
    pub fn with_frame(self, frame: impl Into<String>) -> Self {
        Self { frame: frame.into(), ..self }
    }

    /// The map with another size of its cells, in metres; the origin stays where it is.
    ///
    /// For formats that tell none: mazes and MovingAI maps are read as 1 m a cell.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadMap`] for a resolution outside 1e-9 to 1e9.
    pub fn with_resolution(self, resolution: f64) -> Result<Self> {
        check_resolution(&self.source, resolution)?;
        Ok(Self { resolution, ..self })
    }

    /// The map with each cell divided into `parts x parts`, so that a robot that is smaller than a cell keeps its distance
    /// from walls by more than whole cells.
    ///
    /// # Errors
    ///
    /// [`PlanError::MapTooLarge`] if that makes more than [`MAX_CELLS`].
    pub fn divided(&self, parts: usize) -> Result<Self> {
        let parts = parts.max(1);
        let (width, height) = (self.width.saturating_mul(parts), self.height.saturating_mul(parts));
        check_size(&self.source, width, height)?;
        let row = |y: usize| &self.values[y * self.width..(y + 1) * self.width];
        let values = (0..height)
            .flat_map(|y| row(y / parts).iter().flat_map(move |&value| std::iter::repeat_n(value, parts)))
            .collect();
        Ok(Self { width, height, resolution: self.resolution / parts as f64, values, ..self.clone() })
    }

    /// The map with cells that are small compared with a robot of a radius in metres: in one cell of its own size it could be anywhere. Cells that
    /// are larger than its radius are divided until that is four of them; the number of parts along a side.
    ///
    /// # Errors
    ///
    /// Those of [`divided`](Self::divided).
    pub(crate) fn fine_enough(self, radius: f64) -> Result<(Self, usize)> {
        // Numbers of single precision are off by a ten-millionth.
        if radius <= 0.0 || self.resolution <= radius * (1.0 + 1e-6) {
            return Ok((self, 1));
        }
        let parts = (CELLS_A_RADIUS * self.resolution / radius).ceil() as usize;
        Ok((self.divided(parts)?, parts))
    }

    /// The name of the map in errors.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name of the frame that places on the map are given in.
    #[must_use]
    pub fn frame(&self) -> &str {
        &self.frame
    }

    /// Cells along x.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Cells along y.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Metres a cell.
    #[must_use]
    pub fn resolution(&self) -> f64 {
        self.resolution
    }

    /// The pose of the bottom left corner in the map's frame.
    #[must_use]
    pub fn origin(&self) -> Pose {
        self.origin
    }

    /// `[height, width]`: 0 free to 100 occupied, [`UNKNOWN`]; the bottom row first.
    #[must_use]
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// The value of a cell; `None` outside the map.
    #[must_use]
    pub fn get(&self, cell: MapCell) -> Option<i8> {
        (cell.x < self.width && cell.y < self.height).then(|| self.values[cell.y * self.width + cell.x])
    }

    /// The cell at a place of the map's frame; `None` outside the map.
    #[must_use]
    pub fn cell_at(&self, x: f64, y: f64) -> Option<MapCell> {
        let (column, row) = self.to_cells(x, y);
        let inside = |value: f64, side: usize| value >= 0.0 && value < side as f64;
        (inside(column, self.width) && inside(row, self.height))
            .then_some(MapCell { x: column as usize, y: row as usize })
    }

    /// The place of a cell's centre in the map's frame.
    #[must_use]
    pub fn centre(&self, cell: MapCell) -> (f64, f64) {
        self.to_frame(cell.x as f64 + 0.5, cell.y as f64 + 0.5)
    }

    /// A place of the map's frame in cells from the map's bottom left corner.
    #[must_use]
    pub fn to_cells(&self, x: f64, y: f64) -> (f64, f64) {
        let (sin, cos) = self.origin.yaw.sin_cos();
        let (dx, dy) = (x - self.origin.x, y - self.origin.y);
        ((cos * dx + sin * dy) / self.resolution, (cos * dy - sin * dx) / self.resolution)
    }

    /// The place in the map's frame of a point given in cells from the map's bottom left corner.
    #[must_use]
    pub fn to_frame(&self, column: f64, row: f64) -> (f64, f64) {
        let (sin, cos) = self.origin.yaw.sin_cos();
        let (dx, dy) = (column * self.resolution, row * self.resolution);
        (self.origin.x + cos * dx - sin * dy, self.origin.y + sin * dx + cos * dy)
    }
}

/// The number that was meant by one of single precision: 0.05 of a map's yaml travels as 0.05000000075, which after a
/// thousand cells is a cell off by a thousandth of its size for nothing.
#[must_use]
pub fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// Refuses a map without cells, or with more than [`MAX_CELLS`], before anything is read or allocated.
pub(crate) fn check_size(source: &str, width: usize, height: usize) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(PlanError::BadMap {
            source_name: source.to_owned(),
            fault: format!("a map of {width}x{height} cells has no cells").into(),
        });
    }
    match width.checked_mul(height) {
        Some(cells) if cells <= MAX_CELLS => Ok(()),
        _ => Err(PlanError::MapTooLarge { source_name: source.to_owned(), width, height, limit: MAX_CELLS }),
    }
}

pub(crate) fn check_resolution(source: &str, resolution: f64) -> Result<()> {
    if RESOLUTIONS.contains(&resolution) {
        return Ok(());
    }
    let fault = if resolution.is_finite() && resolution > 0.0 {
        format!(
            "the resolution is {resolution:e}, expected {:e} to {:e} metres a cell, such as 0.05",
            RESOLUTIONS.start(),
            RESOLUTIONS.end()
        )
    } else {
        format!("the resolution is {resolution}, expected metres a cell above zero, such as 0.05")
    };
    Err(PlanError::BadMap { source_name: source.to_owned(), fault: fault.into() })
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;

    fn map(origin: Pose) -> OccupancyMap {
        OccupancyMap::new("a test", (4, 3), 0.5, origin, vec![0; 12]).expect("a map")
    }

    #[test]
    fn places_become_cells_and_back() {
        let map = map(Pose::new(-1.0, 2.0, 0.0));
        assert_eq!(map.cell_at(-1.0, 2.0), Some(MapCell { x: 0, y: 0 }));
        assert_eq!(map.cell_at(0.99, 3.49), Some(MapCell { x: 3, y: 2 }));
        assert_eq!(map.cell_at(1.0, 3.0), None);
        assert_eq!(map.cell_at(-1.01, 2.0), None);
        assert_eq!(map.cell_at(f64::NAN, 2.0), None);
        assert_eq!(map.centre(MapCell { x: 1, y: 2 }), (-0.25, 3.25));
    }

    #[test]
    fn a_turned_map_turns_its_cells() {
        let map = map(Pose::new(10.0, 20.0, FRAC_PI_2));
        let (x, y) = map.centre(MapCell { x: 3, y: 0 });
        assert!((x - 9.75).abs() < 1e-12 && (y - 21.75).abs() < 1e-12, "{x} {y}");
        assert_eq!(map.cell_at(x, y), Some(MapCell { x: 3, y: 0 }));
    }

    #[test]
    fn a_divided_map_is_the_same_map() {
        let whole = OccupancyMap::new("m", (2, 2), 1.0, Pose::new(3.0, 4.0, 0.3), vec![0, 100, -1, 7]).expect("a map");
        let divided = whole.divided(3).expect("a map");
        assert_eq!((divided.width(), divided.height(), divided.origin()), (6, 6, whole.origin()));
        for cell in (0..36).map(|i| MapCell { x: i % 6, y: i / 6 }) {
            let (x, y) = divided.centre(cell);
            let around = whole.cell_at(x, y).expect("inside");
            assert_eq!(around, MapCell { x: cell.x / 3, y: cell.y / 3 });
            assert_eq!(divided.get(cell), whole.get(around));
        }
        assert!(whole.divided(3_000).expect_err("too large").to_string().contains("6000x6000"));
        assert!(whole.divided(usize::MAX).is_err());
    }

    #[test]
    fn bad_maps_are_refused_with_what_is_wrong() {
        let refused = |size, resolution, origin, values| {
            OccupancyMap::new("m.yaml", size, resolution, origin, values).expect_err("refused").to_string()
        };
        let origin = Pose::default();
        assert!(refused((0, 3), 0.1, origin, vec![]).contains("0x3 cells has no cells"));
        assert!(refused((20_000, 20_000), 0.1, origin, vec![]).contains("20000x20000"));
        assert!(refused((usize::MAX, 2), 0.1, origin, vec![]).contains("limit"));
        assert!(refused((2, 1), 0.0, origin, vec![0, 0]).contains("resolution is 0"));
        assert!(refused((2, 1), -0.1, origin, vec![0, 0]).contains("above zero"));
        assert!(refused((2, 1), f64::NAN, origin, vec![0, 0]).contains("resolution is NaN"));
        assert!(refused((2, 1), 0.1, origin, vec![0, 101]).contains("cell 1 holds 101"));
        assert!(refused((2, 1), 0.1, origin, vec![0]).contains("1 values"));
        assert!(refused((2, 1), 0.1, Pose { x: f64::INFINITY, ..origin }, vec![0, 0]).contains("not finite"));
    }
}
