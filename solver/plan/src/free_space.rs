//! The cells in which the centre of a round robot may be: an exact distance transform of the map, cut at the robot's
//! radius.

use super::map::{MapCell, OccupancyMap, UNKNOWN};
use crate::{PlanError, Result};

/// Distance where the map has no obstacle at all. Real distances end below it, so that the two are never mixed up.
const FAR: u32 = u32::MAX;

/// The robot that drives, and its caution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Robot {
    /// Metres from its centre to its farthest point; 0 for a point.
    pub radius: f64,
    /// Its view of unknown cells.
    pub unknown: UnknownSpace,
    /// Cells of this value and more are obstacles, 1 to 100. Maps that are trinary hold 0 and 100 only.
    pub occupied_from: i8,
}

/// The view that a robot takes of cells about which a map knows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownSpace {
    /// Obstacles: no part of the robot ever covers one.
    #[default]
    Blocked,
    /// Free.
    Free,
}

impl Default for Robot {
    /// 0.22 m (the radius of the robot in nav2's own configuration), unknown space blocked, and obstacles from 65 on,
    /// the value from which ROS counts a cell as occupied.
    fn default() -> Self {
        Self { radius: 0.22, unknown: UnknownSpace::Blocked, occupied_from: 65 }
    }
}

impl Robot {
    /// True if a cell of this value is an obstacle.
    #[must_use]
    pub fn is_obstacle(&self, value: i8) -> bool {
        match value {
            UNKNOWN => self.unknown == UnknownSpace::Blocked,
            _ => value >= self.occupied_from,
        }
    }

    pub(crate) fn check(&self, map: &OccupancyMap) -> Result<()> {
        if !(self.radius.is_finite() && self.radius >= 0.0) {
            return Err(PlanError::Radius { reason: format!("is {}", self.radius) });
        }
        let across = map.resolution() * (map.width() as f64).hypot(map.height() as f64);
        if self.radius > across {
            let reason = format!("of {} m is more than the map's {across:.2} m across", self.radius);
            return Err(PlanError::Radius { reason });
        }
        if !(1..=100).contains(&self.occupied_from) {
            return Err(PlanError::OccupiedFrom { value: self.occupied_from });
        }
        Ok(())
    }
}

/// The cells in which the robot's centre may be.
///
/// A cell is free if the centre of every obstacle cell is farther from its own centre than the robot's radius: the rule
/// of nav2's inflation layer, whose inscribed cost is a collision (`nav2_costmap_2d/plugins/inflation_layer.cpp`).
/// Outside of the map is unknown space: nothing is free there, and where unknown space is an obstacle the cells along the edge are
/// one cell away from it.
#[derive(Debug, Clone)]
pub struct FreeSpace {
    width: usize,
    height: usize,
    /// Squared distance from a cell's centre to that of the nearest obstacle, in cells, `[height, width]`.
    squared: Vec<u32>,
    /// The largest squared distance at which the robot touches the obstacle.
    touching: u32,
    free_cells: usize,
}

impl FreeSpace {
    /// The free space of a robot on a map.
    ///
    /// # Errors
    ///
    /// [`PlanError::Radius`] for a radius below zero, not finite, or larger than the map; [`PlanError::OccupiedFrom`]
    /// for a threshold outside of 1 to 100.
    pub fn new(map: &OccupancyMap, robot: &Robot) -> Result<Self> {
        robot.check(map)?;
        let (width, height) = (map.width(), map.height());
        let mut squared: Vec<u32> =
            map.values().iter().map(|&value| if robot.is_obstacle(value) { 0 } else { FAR }).collect();
        distance_transform(&mut squared, width, height);
        if robot.is_obstacle(UNKNOWN) {
            beyond_the_edge(&mut squared, width, height);
        }
        let cells = robot.radius / map.resolution();
        // A radius of whole cells touches what is exactly so far away, whatever the division has rounded: 0.3 / 0.1 is
        // less than 3. Squared distances are whole numbers, so the margin matters to a square within a millionth only.
        let touching = (cells * cells + 1e-6).floor().min(f64::from(FAR - 1)) as u32;
        let free_cells = squared.iter().filter(|&&distance| distance > touching).count();
        Ok(Self { width, height, squared, touching, free_cells })
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

    /// Number of free cells.
    #[must_use]
    pub fn free_cells(&self) -> usize {
        self.free_cells
    }

    /// True if the robot's centre may be in the cell of this index, row by row.
    #[must_use]
    pub fn is_free_index(&self, index: usize) -> bool {
        self.squared[index] > self.touching
    }

    /// True if the robot's centre may be in a cell; never outside the map.
    #[must_use]
    pub fn is_free(&self, cell: MapCell) -> bool {
        cell.x < self.width && cell.y < self.height && self.is_free_index(cell.y * self.width + cell.x)
    }

    /// Takes a cell out of the free ones, whatever its distance from obstacles.
    pub(crate) fn forbid(&mut self, index: usize) {
        self.free_cells -= usize::from(self.is_free_index(index));
        self.squared[index] = 0;
    }

    /// True if the cell at these coordinates is free; coordinates may lie outside the map.
    pub(crate) fn is_free_at(&self, x: i64, y: i64) -> bool {
        x >= 0 && y >= 0 && self.is_free(MapCell { x: x as usize, y: y as usize })
    }

    /// Cells from the centre of a cell to that of the nearest obstacle; infinite where there is none.
    #[must_use]
    pub fn distance(&self, cell: MapCell) -> f64 {
        match self.squared[cell.y * self.width + cell.x] {
            FAR => f64::INFINITY,
            squared => f64::from(squared).sqrt(),
        }
    }

    /// The free cell nearest to a cell, no farther than `most` cells; `None` if there is none.
    #[must_use]
    pub fn nearest(&self, cell: MapCell, most: usize) -> Option<MapCell> {
        let columns = cell.x.saturating_sub(most)..=(cell.x + most).min(self.width - 1);
        let rows = cell.y.saturating_sub(most)..=(cell.y + most).min(self.height - 1);
        let squared = |other: &MapCell| other.x.abs_diff(cell.x).pow(2) + other.y.abs_diff(cell.y).pow(2);
        rows.flat_map(|y| columns.clone().map(move |x| MapCell { x, y }))
            .filter(|other| self.is_free(*other) && squared(other) <= most * most)
            .min_by_key(squared)
    }
}

/// Lowers distances to those from the unknown cells around the map.
fn beyond_the_edge(squared: &mut [u32], width: usize, height: usize) {
    for (y, row) in squared.chunks_exact_mut(width).enumerate() {
        let vertical = (y + 1).min(height - y);
        for (x, cell) in row.iter_mut().enumerate() {
            let cells = vertical.min(x + 1).min(width - x) as u64;
            *cell = u32::try_from(cells * cells).unwrap_or(FAR - 1).min(*cell);
        }
    }
}

/// Replaces cells by the exact squared Euclidean distance to the nearest one that holds 0. All others hold [`FAR`]
/// before, and keep it if there is no 0 at all.
///
/// Meijster, Roerdink, Hesselink: A general algorithm for computing distance transforms in linear time (2000).
fn distance_transform(cells: &mut [u32], width: usize, height: usize) {
    // Within columns: the distance, not squared. Both passes are in integers, so that the result is exact.
    for y in 1..height {
        for x in 0..width {
            let below = cells[(y - 1) * width + x];
            let here = &mut cells[y * width + x];
            *here = (*here).min(below.saturating_add(1));
        }
    }
    for y in (0..height.saturating_sub(1)).rev() {
        for x in 0..width {
            let above = cells[(y + 1) * width + x];
            let here = &mut cells[y * width + x];
            *here = (*here).min(above.saturating_add(1));
        }
    }
    // Along rows: the lower envelope of the parabolas (x - i)² + g(i)².
    let mut columns: Vec<Option<i64>> = vec![None; width];
    let mut envelope: Vec<(i64, i64)> = Vec::with_capacity(width);
    for row in cells.chunks_exact_mut(width) {
        for (column, &distance) in columns.iter_mut().zip(row.iter()) {
            *column = (distance < FAR).then(|| i64::from(distance) * i64::from(distance));
        }
        envelope.clear();
        for (i, column) in columns.iter().enumerate() {
            let (Some(square), i) = (*column, i as i64) else { continue };
            let value = |x: i64, i: i64, square: i64| (x - i) * (x - i) + square;
            let mut from = 0;
            while let Some(&(start, other)) = envelope.last() {
                let other_square = columns[other as usize].unwrap_or(0);
                if value(start, i, square) <= value(start, other, other_square) {
                    envelope.pop();
                    continue;
                }
                // The first column at which the new parabola is no higher: their crossing, rounded up.
                let twice = 2 * (i - other);
                from = (i * i - other * other + square - other_square + twice - 1).div_euclid(twice);
                break;
            }
            if envelope.is_empty() {
                from = 0;
            }
            if from < width as i64 {
                envelope.push((from, i));
            }
        }
        if envelope.is_empty() {
            continue;
        }
        let mut position = 0;
        for (x, cell) in row.iter_mut().enumerate() {
            let x = x as i64;
            while envelope.get(position + 1).is_some_and(|&(from, _)| from <= x) {
                position += 1;
            }
            let i = envelope[position].1;
            let squared = (x - i) * (x - i) + columns[i as usize].unwrap_or(0);
            // Along more than 65,535 cells a square may not fit. It stays below `FAR`, which stands for no obstacle.
            *cell = u32::try_from(squared).unwrap_or(FAR - 1).min(FAR - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Pose;

    /// Nothing is around the map, or unknown.
    const ALL_KNOWN: Robot = Robot { radius: 0.22, unknown: UnknownSpace::Free, occupied_from: 65 };

    fn map(width: usize, values: Vec<i8>) -> OccupancyMap {
        let height = values.len() / width;
        OccupancyMap::new("a test", (width, height), 0.5, Pose::default(), values).expect("a map")
    }

    proptest! {
        #[test]
        fn distances_are_those_of_a_search_over_all_obstacles(
            (width, values) in (1_usize..24, 1_usize..24).prop_flat_map(|(width, height)| (
                Just(width),
                proptest::collection::vec(prop_oneof![12 => Just(0_i8), 1 => Just(100_i8)], width * height),
            ))
        ) {
            let map = map(width, values.clone());
            let space = FreeSpace::new(&map, &ALL_KNOWN).expect("free space");
            let bounded = FreeSpace::new(&map, &Robot::default()).expect("free space");
            let obstacles: Vec<(usize, usize)> =
                (0..values.len()).filter(|&i| values[i] == 100).map(|i| (i % width, i / width)).collect();
            for index in 0..values.len() {
                let (x, y) = (index % width, index / width);
                let nearest = obstacles.iter().map(|o| o.0.abs_diff(x).pow(2) + o.1.abs_diff(y).pow(2)).min();
                let squared = space.squared[index];
                prop_assert_eq!((squared < FAR).then_some(squared as usize), nearest, "at {},{}", x, y);
                // With unknown cells around the map.
                let height = values.len() / width;
                let edge = (x + 1).min(width - x).min(y + 1).min(height - y).pow(2);
                prop_assert_eq!(bounded.squared[index] as usize, nearest.map_or(edge, |nearest| nearest.min(edge)));
            }
        }
    }

    #[test]
    fn a_radius_of_whole_cells_touches_what_is_so_far_away() {
        let mut values = vec![0; 9];
        values[0] = 100;
        let space =
            |radius| FreeSpace::new(&map(9, values.clone()), &Robot { radius, ..ALL_KNOWN }).expect("free space");
        let first_free = |radius| (0..9).find(|&x| space(radius).is_free(MapCell { x, y: 0 }));
        assert_eq!(first_free(0.0), Some(1));
        assert_eq!(first_free(0.99), Some(2));
        assert_eq!(first_free(1.0), Some(3));
        // 0.3 / 0.1 is less than 3 in floating point.
        assert_eq!(first_free(1.5), Some(4));
        assert_eq!(first_free(4.5), None);
    }

    #[test]
    fn unknown_cells_are_what_the_robot_takes_them_for() {
        let values = vec![0, 0, -1, 64, 65];
        let free = |robot: Robot| {
            let space = FreeSpace::new(&map(5, values.clone()), &Robot { radius: 0.0, ..robot }).expect("free space");
            (0..5).map(|x| space.is_free(MapCell { x, y: 0 })).collect::<Vec<_>>()
        };
        assert_eq!(free(Robot::default()), [true, true, false, true, false]);
        let unknown_free = Robot { unknown: UnknownSpace::Free, ..Robot::default() };
        assert_eq!(free(unknown_free), [true, true, true, true, false]);
        assert_eq!(free(Robot { occupied_from: 64, ..unknown_free }), [true, true, true, false, false]);
    }

    #[test]
    fn a_map_without_obstacles_is_free_everywhere() {
        let space = FreeSpace::new(&map(3, vec![0; 6]), &ALL_KNOWN).expect("free space");
        assert_eq!(space.free_cells(), 6);
        assert!(space.distance(MapCell { x: 0, y: 0 }).is_infinite());
    }

    #[test]
    fn the_nearest_free_cell_is_found_within_bounds() {
        let values = vec![100, 100, 100, 0, 0];
        let space = FreeSpace::new(&map(5, values), &Robot { radius: 0.0, ..Robot::default() }).expect("free space");
        let cell = |x| MapCell { x, y: 0 };
        assert_eq!(space.nearest(cell(0), 3), Some(cell(3)));
        assert_eq!(space.nearest(cell(0), 2), None);
        assert_eq!(space.nearest(cell(4), 0), Some(cell(4)));
    }

    #[test]
    fn the_robot_keeps_off_the_edge_of_the_map_where_unknown_space_is_an_obstacle() {
        let free = |robot: Robot| FreeSpace::new(&map(5, vec![0; 25]), &robot).expect("free space").free_cells();
        let robot = Robot { radius: 0.5, ..Robot::default() };
        assert_eq!((free(robot), free(Robot { unknown: UnknownSpace::Free, ..robot })), (9, 25));
    }

    #[test]
    fn robots_that_cannot_be_are_refused() {
        let refused = |robot| FreeSpace::new(&map(2, vec![0, 0]), &robot).expect_err("refused").to_string();
        let robot = Robot::default();
        assert!(refused(Robot { radius: -0.1, ..robot }).starts_with("the robot's radius is -0.1"));
        assert!(refused(Robot { radius: f64::NAN, ..robot }).contains("NaN"));
        assert!(refused(Robot { occupied_from: 0, ..robot }).starts_with("0 is no value of an obstacle"));
    }
}
