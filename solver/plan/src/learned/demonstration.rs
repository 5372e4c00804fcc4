//! A drive over a map as something to learn from: where it went, and where a planner goes that believes a model.

use std::sync::Arc;

use rand::Rng;
use trm_intake::Fault;

use super::features::{FeatureSpec, Features, set_way};
use super::layer::Layers;
use super::levels::neighbours;
use super::way::way;
use crate::cheapest::cheapest;
use crate::free_space::{FreeSpace, Robot};
use crate::map::{MapCell, OccupancyMap};
use crate::{PlanError, Result};

/// Cells within which a free one is looked for where a drive went through none.
const FREE_WITHIN: usize = 6;
/// Cells of a model between a stretch of a drive and the edge of its window.
const MARGIN: i64 = 4;
/// Shortest stretch, in cells of a model.
const SHORTEST: f64 = 4.0;

/// A map with what a model sees of it: one for all drives over it.
#[derive(Debug, Clone)]
pub struct Ground {
    map: Arc<OccupancyMap>,
    robot: Robot,
    space: FreeSpace,
    features: Features,
    has_way: bool,
}

impl Ground {
    /// A map with the features of a model.
    ///
    /// # Errors
    /// Those of [`FreeSpace::new`] and [`FeatureSpec::features`].
    pub fn new(spec: &FeatureSpec, map: Arc<OccupancyMap>, robot: &Robot, layers: &Layers) -> Result<Self> {
        let space = FreeSpace::new(&map, robot)?;
        let features = spec.features(&map, robot, &space, layers)?;
        Ok(Self { map, robot: *robot, space, features, has_way: spec.way })
    }
}

/// A drive over a map.
#[derive(Debug, Clone)]
pub struct Demonstration {
    ground: Arc<Ground>,
    /// The cells that it went through, one beside the other.
    driven: Vec<MapCell>,
}

impl Demonstration {
    /// A drive over a map: places in metres of the map's frame.
    ///
    /// # Errors
    /// [`PlanError::BadDrive`] for a drive that leaves the map, or does not get from one free place to another.
    pub fn new(ground: Arc<Ground>, path: &[[f64; 2]]) -> Result<Self> {
        let Ground { map, robot, space, .. } = &*ground;
        let driven = cells_of(map, path)?;
        let fault = |fault: Fault| PlanError::BadDrive { source_name: format!("a drive on {}", map.source()), fault };
        if driven.len() < 2 {
            return Err(fault("it stays in one cell".into()));
        }
        let free = driven.iter().filter(|&&cell| space.is_free(cell)).count();
        if 2 * free < driven.len() {
            let share = 100.0 * (driven.len() - free) as f64 / driven.len() as f64;
            return Err(fault(
                Fault::from(format!("{share:.0} % of it is where a robot of radius {} m cannot be", robot.radius))
                    .advise("is it in the map's frame, and the radius the robot's (--radius)?"),
            ));
        }
        Ok(Self { ground, driven })
    }

    /// Cells of the model along x and y.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.ground.features.width, self.ground.features.height)
    }

    /// A stretch of the drive in a window of `side` model's cells, chosen at random; `None` where the ends of one are not free.
    pub fn stretch(&self, side: usize, rng: &mut impl Rng) -> Option<Stretch> {
        let block = self.ground.features.block;
        let unit = |rng: &mut dyn rand::Rng| (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let most = self.driven.len() - 1;
        let shortest = ((SHORTEST * block as f64) as usize).clamp(1, most);
        let length = shortest + ((most - shortest) as f64 * unit(rng).sqrt()).round() as usize;
        let first = ((self.driven.len() - length) as f64 * unit(rng)) as usize;
        let quarters = rng.next_u64() % 4;
        self.cut(&self.driven[first..=(first + length).min(most)], side).map(|stretch| stretch.turned(quarters))
    }

    /// The whole drive, as far as it fits into a window.
    #[must_use]
    pub fn whole(&self, side: usize) -> Option<Stretch> {
        self.cut(&self.driven, side)
    }

    /// As much of a drive's cells as fits into a window around them.
    fn cut(&self, driven: &[MapCell], side: usize) -> Option<Stretch> {
        let features = &self.ground.features;
        let block = features.block;
        let room = (side as i64 - 2 * MARGIN).max(1);
        let of_model = |cell: MapCell| ((cell.x / block) as i64, (cell.y / block) as i64);
        let (mut low, mut high) = (of_model(driven[0]), of_model(driven[0]));
        let mut fits = 0;
        for &cell in driven {
            let (x, y) = of_model(cell);
            let (next_low, next_high) = ((low.0.min(x), low.1.min(y)), (high.0.max(x), high.1.max(y)));
            if next_high.0 - next_low.0 >= room || next_high.1 - next_low.1 >= room {
                break;
            }
            (low, high) = (next_low, next_high);
            fits += 1;
        }
        // In the middle of the window; a map that is smaller than that, in the window's corner.
        let start = |low: i64, high: i64, map: usize| {
            let spare = side as i64 - (high - low + 1);
            (low - spare / 2).clamp(0, (map as i64 - side as i64).max(0))
        };
        let corner = (start(low.0, high.0, features.width), start(low.1, high.1, features.height));
        self.window(&driven[..fits], corner, side)
    }

    fn window(&self, driven: &[MapCell], corner: (i64, i64), side: usize) -> Option<Stretch> {
        let Ground { space, features: of_map, has_way, .. } = &*self.ground;
        let (block, channels, has_way) = (of_map.block, of_map.channels, *has_way);
        let cells = side * block;
        let origin = (corner.0 as usize * block, corner.1 as usize * block);
        let local = |cell: MapCell| (cell.y - origin.1) * cells + cell.x - origin.0;
        let free_end = |cell: &MapCell| space.nearest(*cell, FREE_WITHIN);
        let inside = |cell: &MapCell| {
            (origin.0..origin.0 + cells).contains(&cell.x) && (origin.1..origin.1 + cells).contains(&cell.y)
        };
        let from = free_end(driven.first()?).filter(inside)?;
        let to = free_end(driven.last()?).filter(inside)?;
        let is_free: Vec<bool> = (0..cells * cells)
            .map(|index| space.is_free(MapCell { x: origin.0 + index % cells, y: origin.1 + index / cells }))
            .collect();
        let mut features = of_map.window(corner, (side, side));
        let (from, to) = (local(from), local(to));
        if from == to {
            return None;
        }
        if has_way {
            set_way(&mut features, (side, channels), &way(&is_free, cells, to), (cells, block));
        }
        let driven = driven.iter().map(|&cell| local(cell)).collect();
        Some(Stretch { side, block, channels, has_way, features, is_free, driven, from, to })
    }
}

/// A stretch of a drive in a square window.
#[derive(Debug, Clone)]
pub struct Stretch {
    side: usize,
    block: usize,
    channels: usize,
    has_way: bool,
    features: Vec<f32>,
    /// The map's cells, `[side · block, side · block]`.
    is_free: Vec<bool>,
    driven: Vec<usize>,
    from: usize,
    to: usize,
}

/// Paths in a window: what was driven, and what a planner takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The derivative by each level of what the drive costs beyond the planner's path, for each metre driven, `[side, side]`.
    pub pull: Vec<f32>,
    /// Cost of the drive by that of the planner's path, less 1; below 0 where disturbed levels, or the ends, make it so.
    pub excess: f64,
    /// Cells of the map that the planner's path goes through.
    pub planned: Vec<usize>,
}

impl Stretch {
    /// The features of the window's cells, `[side, side, channels]`.
    #[must_use]
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Cells of the map that were driven through, numbered in the window.
    #[must_use]
    pub fn driven(&self) -> &[usize] {
        &self.driven
    }

    /// Cells of the map along a side of the window.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.side * self.block
    }

    /// Plans over levels `[side, side]`, where a metre at level 1 costs `factor` beyond itself, and compares that with the
    /// drive. `None` where there is no way at all.
    ///
    /// `disturb` changes what a metre costs in a cell of the window for the search: a margin that the drive has to win by, or
    /// noise, by which nearly as cheap paths are taken too.
    #[must_use]
    pub fn compare(
        &self,
        levels: &[f32],
        factor: f64,
        mut disturb: impl FnMut(usize, f64) -> f64,
    ) -> Option<Comparison> {
        let cells = self.cells();
        let spread = |cell: usize| {
            let at = |cell: usize| neighbours((cell as f64 + 0.5) / self.block as f64, self.side);
            let ((left, right, to_right), (below, above, up)) = (at(cell % cells), at(cell / cells));
            [
                (below * self.side + left, (1.0 - up) * (1.0 - to_right)),
                (below * self.side + right, (1.0 - up) * to_right),
                (above * self.side + left, up * (1.0 - to_right)),
                (above * self.side + right, up * to_right),
            ]
        };
        let weight = |cell: usize| {
            let level: f64 = spread(cell).iter().map(|&(at, share)| share * f64::from(levels[at])).sum();
            1.0 + factor * level
        };
        let weights: Vec<f32> = (0..cells * cells).map(|cell| disturb(cell, weight(cell)).max(1.0) as f32).collect();
        let (planned, _) = cheapest((cells, cells), |cell| self.is_free[cell], &weights, self.from, self.to)?;
        let length = length(&self.driven, cells).max(1.0);
        let mut pull = vec![0.0; self.side * self.side];
        let mut cost = |path: &[usize], sign: f64| {
            let mut cost = 0.0;
            for pair in path.windows(2) {
                let step = step_length(pair[0], pair[1], cells);
                for &cell in pair {
                    cost += 0.5 * step * weight(cell);
                    for (at, share) in spread(cell) {
                        pull[at] += (sign * 0.5 * step * share * factor / length) as f32;
                    }
                }
            }
            cost
        };
        let (driven, best) = (cost(&self.driven, 1.0), cost(&planned, -1.0));
        Some(Comparison { pull, excess: driven / best.max(1.0) - 1.0, planned })
    }

    /// The window after quarter turns to the left, with all that is in it.
    fn turned(self, quarters: u64) -> Self {
        (0..quarters).fold(self, |stretch, _| stretch.quarter())
    }

    fn quarter(mut self) -> Self {
        let turn = |cell: usize, side: usize| {
            let (x, y) = (cell % side, cell / side);
            x * side + (side - 1 - y)
        };
        let (side, cells, channels) = (self.side, self.side * self.block, self.channels);
        let mut features = vec![0.0; self.features.len()];
        for (cell, numbers) in self.features.chunks_exact(channels).enumerate() {
            let at = turn(cell, side) * channels;
            let turned = &mut features[at..at + channels];
            turned.copy_from_slice(numbers);
            if self.has_way {
                let [x, y] = [numbers[channels - 2], numbers[channels - 1]];
                turned[channels - 2..].copy_from_slice(&[-y, x]);
            }
        }
        let mut is_free = vec![false; self.is_free.len()];
        for (cell, &free) in self.is_free.iter().enumerate() {
            is_free[turn(cell, cells)] = free;
        }
        for cell in &mut self.driven {
            *cell = turn(*cell, cells);
        }
        Self { features, is_free, from: turn(self.from, cells), to: turn(self.to, cells), ..self }
    }
}

/// The cells that a path goes through, each beside the one before, as a search would go through them.
fn cells_of(map: &OccupancyMap, path: &[[f64; 2]]) -> Result<Vec<MapCell>> {
    let mut cells: Vec<MapCell> = Vec::new();
    for &[x, y] in path {
        let cell = map.cell_at(x, y).ok_or_else(|| PlanError::BadDrive {
            source_name: format!("a drive on {}", map.source()),
            fault: Fault::from(format!("{x},{y} is outside of the map"))
                .advise("are its places in metres of the map's frame?"),
        })?;
        let Some(&last) = cells.last() else {
            cells.push(cell);
            continue;
        };
        // Cells nearby are passed over: noise of a centimetre would make stairs of a straight line.
        if last.x.abs_diff(cell.x).max(last.y.abs_diff(cell.y)) < 2 && cells.len() > 1 {
            continue;
        }
        let steps = last.x.abs_diff(cell.x).max(last.y.abs_diff(cell.y));
        let between = |from: usize, to: usize, step: usize| {
            let share = step as f64 / steps as f64;
            (from as f64 + share * (to as f64 - from as f64)).round() as usize
        };
        cells.extend(
            (1..=steps).map(|step| MapCell { x: between(last.x, cell.x, step), y: between(last.y, cell.y, step) }),
        );
    }
    Ok(cells)
}

fn step_length(a: usize, b: usize, width: usize) -> f64 {
    let is_diagonal = a % width != b % width && a / width != b / width;
    if is_diagonal { std::f64::consts::SQRT_2 } else { f64::from(u8::from(a != b)) }
}

/// The length of a path over a grid, in cells.
fn length(path: &[usize], width: usize) -> f64 {
    path.windows(2).map(|pair| step_length(pair[0], pair[1], width)).sum()
}
