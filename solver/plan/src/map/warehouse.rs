//! Random warehouses: racks and aisles, a dock with pallets, offices with doors, pillars, scanner noise. Measurements
//! need maps of any size that are the same on every machine.

use rand::Rng;
use trm_puzzles::seeded;

use super::{FREE, OCCUPIED, OccupancyMap, UNKNOWN};
use crate::{Pose, Result};

/// Metres a cell, as most SLAM maps have.
const RESOLUTION: f64 = 0.05;
/// The smallest side, in cells: below, there is no room for offices, racks and dock.
const LEAST_SIDE: usize = 400;

/// A rectangle, in cells: left, bottom, width, height.
type Rect = (usize, usize, usize, usize);

/// A warehouse of `width x height` cells of 0.05 m; the same for the same size and seed.
///
/// # Errors
///
/// [`PlanError::BadMap`](crate::PlanError::BadMap) for a side of fewer than 400 cells;
/// [`PlanError::MapTooLarge`](crate::PlanError::MapTooLarge) for more cells than [`MAX_CELLS`](super::MAX_CELLS).
pub fn warehouse(width: usize, height: usize, seed: u64) -> Result<OccupancyMap> {
    let source = format!("warehouse:{width}x{height}:{seed}");
    super::check_size(&source, width, height)?;
    if width.min(height) < LEAST_SIDE {
        return Err(super::read::bad(&source, format!("a warehouse has at least {LEAST_SIDE} cells a side")));
    }
    let mut plan = Drawing { width, height, values: vec![UNKNOWN; width * height], rng: seeded(seed) };
    plan.building();
    let values = plan.values;
    OccupancyMap::new(source, (width, height), RESOLUTION, Pose::new(-10.0, -5.0, 0.0), values)
}

struct Drawing<R> {
    width: usize,
    height: usize,
    values: Vec<i8>,
    rng: R,
}

impl<R: Rng> Drawing<R> {
    fn below(&mut self, limit: usize) -> usize {
        (self.rng.next_u64() % limit.max(1) as u64) as usize
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    fn fill(&mut self, (left, bottom, width, height): Rect, value: i8) {
        for y in bottom..(bottom + height).min(self.height) {
            for x in left..(left + width).min(self.width) {
                self.values[y * self.width + x] = value;
            }
        }
    }

    /// Outer walls around free floor; offices at the left, the dock at the bottom, racks in the rest.
    fn building(&mut self) {
        let (margin, wall) = (12, 4);
        let (width, height) = (self.width - 2 * margin, self.height - 2 * margin);
        self.fill((margin, margin, width, height), OCCUPIED);
        let inner = (margin + wall, margin + wall, width - 2 * wall, height - 2 * wall);
        self.fill(inner, FREE);
        let (left, bottom, width, height) = inner;
        let offices = 120;
        self.offices((left, bottom, offices, height));
        let dock = 140;
        self.dock((left + offices + 40, bottom + 20, width - offices - 60, dock - 40));
        self.racks((left + offices + 60, bottom + dock + 40, width - offices - 110, height - dock - 90));
        self.noise(width * height / 3_000);
    }

    /// A row of rooms behind a wall, each with a door to the hall and some with one to the next room.
    fn offices(&mut self, (left, bottom, width, height): Rect) {
        let wall = 3;
        self.fill((left + width, bottom, wall, height), OCCUPIED);
        let mut y = bottom;
        while y < bottom + height {
            let room = self.between(70, 120).min(bottom + height - y);
            let door = self.between(18, 26);
            if room > door + 24 {
                let at = y + self.between(10, room - door - 10);
                self.fill((left + width, at, wall, door), FREE);
                for _ in 0..self.below(3) {
                    let desk = (left + self.below(width - 40), y + self.below(room - 30), 28, 14);
                    self.fill(desk, OCCUPIED);
                }
            }
            self.fill((left, y + room, width, wall), OCCUPIED);
            if self.below(3) == 0 {
                let at = left + self.between(10, width - 40);
                self.fill((at, y + room, 20, wall), FREE);
            }
            y += room + wall;
        }
    }

    /// Pallets at random, some of them side by side.
    fn dock(&mut self, (left, bottom, width, height): Rect) {
        for _ in 0..width * height / 4_000 {
            let (across, up) = if self.below(2) == 0 { (24, 16) } else { (16, 24) };
            let pallet = (left + self.below(width - across), bottom + self.below(height - up), across, up);
            self.fill(pallet, OCCUPIED);
        }
    }

    /// Double rows of racks with aisles between and cross aisles every few racks. Scanners see the posts and whatever is
    /// on the lowest shelf.
    fn racks(&mut self, (left, bottom, width, height): Rect) {
        let (depth, length) = (44, 56);
        let aisle = self.between(44, 64);
        let mut x = left;
        while x + depth <= left + width {
            let cross = self.between(4, 7);
            let (mut y, mut in_row) = (bottom, 0);
            while y + length <= bottom + height {
                if self.below(12) > 0 {
                    self.rack((x, y, depth, length));
                }
                in_row += 1;
                y += length + if in_row % cross == 0 { 60 } else { 0 };
            }
            // A pillar in some aisles.
            if self.below(4) == 0 && x + depth + aisle < left + width {
                let at = bottom + self.below(height);
                self.fill((x + depth + aisle / 2 - 4, at, 8, 8), OCCUPIED);
            }
            x += depth + aisle;
        }
    }

    fn rack(&mut self, (left, bottom, width, height): Rect) {
        for (x, y) in [(0, 0), (width - 4, 0), (0, height - 4), (width - 4, height - 4)] {
            self.fill((left + x, bottom + y, 4, 4), OCCUPIED);
        }
        self.fill((left + width / 2 - 2, bottom, 4, height), OCCUPIED);
        for slot in 0..4 {
            if self.below(4) > 0 {
                let (across, up) = (width / 2 - 6, height / 2 - 4);
                let at = (left + (slot % 2) * (width / 2 + 2) + 2, bottom + (slot / 2) * (height / 2) + 2, across, up);
                self.fill(at, OCCUPIED);
            }
        }
    }

    /// Single occupied cells on the floor.
    fn noise(&mut self, count: usize) {
        for _ in 0..count {
            let at = self.below(self.values.len());
            if self.values[at] == FREE && self.below(12) == 0 {
                self.values[at] = OCCUPIED;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warehouse_is_the_same_every_time_and_mostly_one_floor() {
        let map = warehouse(1006, 1674, 1).expect("a warehouse");
        assert_eq!(map, warehouse(1006, 1674, 1).expect("a warehouse"));
        assert_ne!(map.values(), warehouse(1006, 1674, 2).expect("a warehouse").values());
        let share = |value: i8| map.values().iter().filter(|&&v| v == value).count() as f64 / map.values().len() as f64;
        assert!((0.5..0.85).contains(&share(FREE)), "{} free", share(FREE));
        assert!((0.1..0.4).contains(&share(OCCUPIED)), "{} occupied", share(OCCUPIED));
    }

    #[test]
    fn sizes_that_make_no_warehouse_are_refused() {
        assert!(warehouse(100, 1000, 0).expect_err("refused").to_string().contains("at least 400 cells"));
        assert!(warehouse(20_000, 20_000, 0).expect_err("refused").to_string().contains("limit of 25000000"));
    }
}
