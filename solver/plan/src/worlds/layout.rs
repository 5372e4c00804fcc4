//! Walls and ground of made-up worlds.

use rand::Rng;

use super::WorldKind;
use crate::map::{FREE, OCCUPIED};

/// Ground and hour of a world.
pub(super) struct Layout {
    /// The class of each cell's ground.
    pub(super) ground: Vec<u8>,
    pub(super) hour: Option<f32>,
}

/// A world that is being drawn.
pub(super) struct Sketch {
    side: usize,
    values: Vec<i8>,
    /// The cells of doors: left, bottom, width, height.
    doors: Vec<[usize; 4]>,
}

impl Sketch {
    /// Free floor with walls around.
    pub(super) fn new(side: usize) -> Self {
        let is_edge = |cell: usize| {
            let (x, y) = (cell % side, cell / side);
            x == 0 || y == 0 || x == side - 1 || y == side - 1
        };
        let values = (0..side * side).map(|cell| if is_edge(cell) { OCCUPIED } else { FREE }).collect();
        Self { side, values, doors: Vec::new() }
    }

    pub(super) fn values(self) -> Vec<i8> {
        self.values
    }

    fn fill(&mut self, [left, bottom, width, height]: [usize; 4], value: i8) {
        for y in bottom..(bottom + height).min(self.side) {
            for x in left..(left + width).min(self.side) {
                self.values[y * self.side + x] = value;
            }
        }
    }

    /// A few blocks here and there.
    pub(super) fn blocks(&mut self, rng: &mut impl Rng) {
        for _ in 0..between(rng, 5, 12) {
            let (width, height) = (between(rng, 2, self.side / 6), between(rng, 2, self.side / 6));
            let at = [between(rng, 1, self.side - 4), between(rng, 1, self.side - 4), width, height];
            self.fill(at, OCCUPIED);
        }
    }

    /// Blocks of houses with streets around, eight to ten cells wide.
    pub(super) fn corridors(&mut self, rng: &mut impl Rng) {
        let street = between(rng, 8, 10);
        let mut y = 1 + street;
        while y + 4 < self.side - 1 - street {
            let height = between(rng, 4, 9).min(self.side - 1 - street - y);
            let mut x = 1 + street;
            while x + 4 < self.side - 1 - street {
                let width = between(rng, 4, 12).min(self.side - 1 - street - x);
                self.fill([x, y, width, height], OCCUPIED);
                x += width + street;
            }
            y += height + street;
        }
    }

    /// Two walls across, each with three doors.
    pub(super) fn rooms(&mut self, rng: &mut impl Rng) {
        let wide = 5;
        for wall in 1..=2 {
            let at = wall * self.side / 3 + between(rng, 0, 3);
            self.fill([at, 1, 2, self.side - 2], OCCUPIED);
            let part = (self.side - 2) / 3;
            for door in 0..3 {
                let bottom = 1 + door * part + between(rng, 2, part - wide - 2);
                let door = [at, bottom, 2, wide];
                self.fill(door, FREE);
                self.doors.push(door);
            }
        }
        for _ in 0..between(rng, 2, 6) {
            let at = [between(rng, 3, self.side - 6), between(rng, 3, self.side - 6), 3, 3];
            let is_clear = self.doors.iter().all(|door| at[0].abs_diff(door[0]) > 8);
            if is_clear {
                self.fill(at, OCCUPIED);
            }
        }
    }

    /// The ground, and the hour.
    pub(super) fn layers(&self, kind: WorldKind, rng: &mut impl Rng) -> Layout {
        let mut ground = vec![0_u8; self.side * self.side];
        let mut hour = None;
        match kind {
            WorldKind::Ground => {
                for class in (1..6).chain(1..6).chain(1..6) {
                    self.patch(&mut ground, class, self.side / 5, rng);
                }
            }
            WorldKind::Cliffs => {
                for _ in 0..between(rng, 4, 7) {
                    self.patch(&mut ground, 1, self.side / 8, rng);
                }
                for class in [2, 3, 2, 3] {
                    self.patch(&mut ground, class, self.side / 6, rng);
                }
            }
            WorldKind::Kerbs => self.roads(&mut ground, rng),
            WorldKind::KeepRight => {}
            WorldKind::Doors => {
                for (number, &[left, bottom, width, height]) in self.doors.iter().enumerate() {
                    // One of each kind in each wall, in any order.
                    let class = 1 + ((number + self.doors[0][1] + number / 3) % 3) as u8;
                    for y in bottom..bottom + height {
                        for x in left - 1..=left + width {
                            ground[y * self.side + x] = class;
                        }
                    }
                }
                hour = Some(between(rng, 0, 23) as f32);
            }
        }
        Layout { ground, hour }
    }

    /// A round patch with a rough edge, of a class that is not overlaid on what is there.
    fn patch(&self, ground: &mut [u8], class: u8, most: usize, rng: &mut impl Rng) {
        let (x, y) = (between(rng, 2, self.side - 3), between(rng, 2, self.side - 3));
        let (across, up) = (between(rng, 2, most), between(rng, 2, most));
        for (cell, ground) in ground.iter_mut().enumerate() {
            let dx = ((cell % self.side) as f64 - x as f64) / across as f64;
            let dy = ((cell / self.side) as f64 - y as f64) / up as f64;
            let rough = 0.25 * (rng.next_u64() % 1024) as f64 / 1024.0;
            if *ground == 0 && dx.hypot(dy) + rough < 1.0 {
                *ground = class;
            }
        }
    }

    /// Bands of road (1) in pavement (0), with crossings (2).
    fn roads(&self, ground: &mut [u8], rng: &mut impl Rng) {
        for _ in 0..between(rng, 2, 3) {
            let (at, wide) = (between(rng, 6, self.side - 16), between(rng, 6, 9));
            let is_across = rng.next_u64().is_multiple_of(2);
            let crossings = [between(rng, 3, self.side / 2), between(rng, self.side / 2, self.side - 8)];
            for along in 0..self.side {
                let class = if crossings.iter().any(|&first| (first..first + 4).contains(&along)) { 2 } else { 1 };
                for over in at..(at + wide).min(self.side) {
                    let cell = if is_across { over * self.side + along } else { along * self.side + over };
                    ground[cell] = class;
                }
            }
        }
    }
}

fn between(rng: &mut impl Rng, least: usize, most: usize) -> usize {
    least + (rng.next_u64() % (most.max(least) - least + 1) as u64) as usize
}
