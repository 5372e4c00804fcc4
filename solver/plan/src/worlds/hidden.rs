//! The true costs of ground in made-up worlds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;
use trm_puzzles::seeded;

use super::WorldKind;
use crate::cheapest::MOVES;
use crate::free_space::FreeSpace;
use crate::map::{MapCell, OCCUPIED, OccupancyMap};

/// Points along a cell's length at which a path's cost is looked up.
const POINTS: f64 = 8.0;

/// The costs of a world.
#[derive(Debug, Clone)]
pub(super) struct Hidden {
    side: usize,
    /// The cost of a metre in a cell, in metres of good ground.
    weights: Vec<f32>,
    /// The cost beyond that of being on the wrong side, in cells where walls are to both.
    wrong_side: f32,
    /// Cells to the nearest wall towards east, north, west, south; empty where no side is wrong.
    to_wall: Vec<[u16; 4]>,
}

impl Hidden {
    pub(super) fn new(kind: WorldKind, family: u64, map: &OccupancyMap, ground: &[u8], hour: Option<f32>) -> Self {
        let side = map.width();
        let mut rng = seeded(family);
        let mut price =
            |least: f64, most: f64| least + (most - least) * (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut this = Self { side, weights: vec![1.0; side * side], wrong_side: 0.0, to_wall: Vec::new() };
        match kind {
            WorldKind::Ground => {
                let prices: Vec<f64> =
                    (0..6).map(|class| if class == 0 { 1.0 } else { price(1.0, 3.0).powi(2) }).collect();
                this.each(|cell| prices[usize::from(ground[cell])]);
            }
            WorldKind::Cliffs => {
                let (edge, reach) = (price(5.0, 9.0), price(3.0, 5.0));
                let distances = distances_to(side, |cell| ground[cell] == 1);
                this.each(|cell| match ground[cell] {
                    1 => 12.0,
                    _ => 1.0 + edge * (1.0 - distances[cell] / reach).max(0.0),
                });
            }
            WorldKind::Kerbs => {
                let (kerb, road) = (price(6.0, 10.0), price(1.5, 3.0));
                let to_road = distances_to(side, |cell| ground[cell] == 1);
                let to_pavement = distances_to(side, |cell| ground[cell] == 0);
                this.each(|cell| match ground[cell] {
                    1 if to_pavement[cell] <= 1.5 => kerb,
                    0 if to_road[cell] <= 1.5 => kerb,
                    1 => road,
                    _ => 1.0,
                });
            }
            WorldKind::KeepRight => {
                this.wrong_side = price(2.0, 4.0) as f32;
                this.to_wall = (0..side * side).map(|cell| walls_around(map, cell)).collect();
            }
            WorldKind::Doors => {
                let hour = f64::from(hour.unwrap_or_default());
                let busy = price(15.0, 40.0);
                let opening = price(5.0, 9.0);
                // Morning, afternoon, always passable.
                this.each(|cell| match ground[cell] {
                    1 if (opening..opening + 6.0).contains(&hour) => busy,
                    2 if (opening + 6.0..opening + 12.0).contains(&hour) => busy,
                    3 => 3.0,
                    _ => 1.0,
                });
            }
        }
        this
    }

    fn each(&mut self, weight: impl Fn(usize) -> f64) {
        for (cell, slot) in self.weights.iter_mut().enumerate() {
            *slot = weight(cell) as f32;
        }
    }

    /// The cost of a metre in a cell for somebody who goes in a direction.
    fn weight(&self, cell: usize, (dx, dy): (f64, f64)) -> f32 {
        let weight = self.weights[cell];
        let Some(&[east, north, west, south]) = self.to_wall.get(cell) else { return weight };
        // Along the axis that one goes along more; who goes across has no side.
        let (left, right) = match (dx.abs() > 1.5 * dy.abs(), dy.abs() > 1.5 * dx.abs()) {
            (true, _) if dx > 0.0 => (north, south),
            (true, _) => (south, north),
            (_, true) if dy > 0.0 => (west, east),
            (_, true) => (east, west),
            _ => return weight,
        };
        let is_street = left + right <= 12;
        if is_street && left < right { weight + self.wrong_side } else { weight }
    }

    /// The cheapest path in eight directions, and its cost in cells of good ground; `opinion` weighs cells besides.
    pub(super) fn cheapest(
        &self,
        space: &FreeSpace,
        from: MapCell,
        to: MapCell,
        opinion: Option<&[f32]>,
    ) -> Option<(Vec<MapCell>, f64)> {
        let (side, index) = (self.side, |cell: MapCell| cell.y * self.side + cell.x);
        let mut costs = vec![f32::INFINITY; side * side];
        let mut came_from = vec![usize::MAX; side * side];
        costs[index(from)] = 0.0;
        // Costs are not negative: their bits are in their order.
        let mut open = BinaryHeap::from([Reverse((0_u32, index(from)))]);
        while let Some(Reverse((bits, here))) = open.pop() {
            if bits > costs[here].to_bits() {
                continue;
            }
            if here == index(to) {
                break;
            }
            let (x, y) = ((here % side) as i64, (here / side) as i64);
            for (dx, dy) in MOVES {
                let is_clear =
                    space.is_free_at(x + dx, y + dy) && space.is_free_at(x + dx, y) && space.is_free_at(x, y + dy);
                if !is_clear {
                    continue;
                }
                let next = (y + dy) as usize * side + (x + dx) as usize;
                let direction = (dx as f64, dy as f64);
                let length = direction.0.hypot(direction.1) as f32;
                let cell = |cell: usize| self.weight(cell, direction) * opinion.map_or(1.0, |opinion| opinion[cell]);
                let through = costs[here] + length * f32::midpoint(cell(here), cell(next));
                if through < costs[next] {
                    (costs[next], came_from[next]) = (through, here);
                    open.push(Reverse((through.to_bits(), next)));
                }
            }
        }
        let cost = f64::from(costs[index(to)]);
        if !cost.is_finite() {
            return None;
        }
        let mut path = vec![to];
        let mut here = index(to);
        while here != index(from) {
            here = came_from[here];
            path.push(MapCell { x: here % side, y: here / side });
        }
        path.reverse();
        Some((path, cost))
    }

    /// The cost of a path of straight lines, places in cells; in cells of good ground.
    pub(super) fn of_path(&self, path: &[(f64, f64)]) -> f64 {
        let mut cost = 0.0;
        for pair in path.windows(2) {
            let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            let length = dx.hypot(dy);
            let points = (length * POINTS).ceil().max(1.0);
            for point in 0..points as usize {
                let share = (point as f64 + 0.5) / points;
                let cell = |at: f64| (at.max(0.0) as usize).min(self.side - 1);
                let (x, y) = (cell(pair[0].0 + share * dx), cell(pair[0].1 + share * dy));
                cost += length / points * f64::from(self.weight(y * self.side + x, (dx, dy)));
            }
        }
        cost
    }
}

/// Cells from each cell to the nearest of those that are marked.
fn distances_to(side: usize, is_marked: impl Fn(usize) -> bool) -> Vec<f64> {
    let marked: Vec<(f64, f64)> = (0..side * side)
        .filter(|&cell| is_marked(cell))
        .map(|cell| ((cell % side) as f64, (cell / side) as f64))
        .collect();
    let nearest = |cell: usize| {
        let (x, y) = ((cell % side) as f64, (cell / side) as f64);
        marked.iter().map(|&(mx, my)| (mx - x).hypot(my - y)).fold(f64::INFINITY, f64::min)
    };
    (0..side * side).map(nearest).collect()
}

/// Cells to the nearest wall towards east, north, west and south.
fn walls_around(map: &OccupancyMap, cell: usize) -> [u16; 4] {
    let (x, y) = ((cell % map.width()) as i64, (cell / map.width()) as i64);
    [(1, 0), (0, 1), (-1, 0), (0, -1)].map(|(dx, dy)| {
        let is_wall = |steps: i64| {
            let (x, y) = (x + steps * dx, y + steps * dy);
            let cell =
                MapCell { x: usize::try_from(x).unwrap_or(usize::MAX), y: usize::try_from(y).unwrap_or(usize::MAX) };
            map.get(cell).is_none_or(|value| value == OCCUPIED)
        };
        (0..map.width() as i64).find(|&steps| is_wall(steps)).map_or(u16::MAX, |steps| steps as u16)
    })
}
