//! Costs: ground that can be driven on, but rather not.
//!
//! A cell has a level of 0 to [`HIGHEST_LEVEL`], as in nav2's costmaps: of the inflation around obstacles, of all masks and of what was learned the
//! highest. A metre through it counts `1 + factor · level / 252`, and where a speed mask slows the robot down, that by its share of full
//! speed. So costs are metres of free ground that one would as soon drive.

mod mask;
mod relax;
mod search;

pub use mask::{Mask, MaskKind};
pub(crate) use relax::relax;
pub(crate) use search::cheapest_path;

use super::free_space::{FreeSpace, Robot};
use super::learned::Levels;
use super::map::{MapCell, OccupancyMap};
use super::sight::Point;
use crate::{PlanError, Result};

/// The highest level of a cell that the robot may be in; nav2's `INSCRIBED_INFLATED_OBSTACLE` less one.
pub const HIGHEST_LEVEL: u8 = 252;

/// The inflation around obstacles, by the formula of nav2's inflation layer (`InflationLayer::computeCost` in
/// `nav2_costmap_2d`): at a distance `d` from the nearest obstacle the level is `252 · exp(-scaling · (d - robot's radius))`, rounded down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inflation {
    /// Metres from an obstacle within which cells cost anything.
    pub radius: f64,
    /// The rate at which costs fall with the distance, per metre.
    pub scaling: f64,
}

impl Inflation {
    /// The layer's own `cost_scaling_factor`.
    pub const SCALING: f64 = 10.0;

    fn level(&self, distance: f64, robot: &Robot) -> u8 {
        if distance > self.radius {
            return 0;
        }
        let fallen = (-self.scaling * (distance - robot.radius)).exp();
        // Saturates: nothing within the robot's radius is free.
        (f64::from(HIGHEST_LEVEL) * fallen).min(f64::from(HIGHEST_LEVEL)) as u8
    }

    fn check(&self) -> Result<()> {
        let is_number = |value: f64| value.is_finite() && value >= 0.0;
        if is_number(self.radius) && is_number(self.scaling) {
            return Ok(());
        }
        Err(PlanError::Costs { reason: format!("an inflation of {} m, scaled by {}", self.radius, self.scaling) })
    }
}

/// Sources of costs.
#[derive(Debug, Clone, PartialEq)]
pub struct CostOptions {
    /// The inflation around obstacles.
    pub inflation: Option<Inflation>,
    /// Masks over the map.
    pub masks: Vec<Mask>,
    /// Levels that a model has learned.
    pub learned: Option<Levels>,
    /// Metres that a metre at the highest level of inflation and masks costs beyond itself.
    pub factor: f64,
}

impl CostOptions {
    /// The factor of nav2's `NavFn`: 0.8 a level, of 50 for a free cell (`COST_FACTOR` and `COST_NEUTRAL`).
    pub const FACTOR: f64 = 0.8 * HIGHEST_LEVEL as f64 / 50.0;

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inflation.is_none() && self.masks.is_empty() && self.learned.is_none()
    }
}

impl Default for CostOptions {
    fn default() -> Self {
        Self { inflation: None, masks: Vec::new(), learned: None, factor: Self::FACTOR }
    }
}

/// The costs of a map's cells.
#[derive(Debug, Clone, PartialEq)]
pub struct CostMap {
    width: usize,
    /// Metres of free ground that cost as much as a metre in the cell, `[height, width]`; infinite where a mask forbids to
    /// go.
    weights: Vec<f32>,
}

impl CostMap {
    /// The costs on a map for a robot.
    ///
    /// # Errors
    /// [`PlanError::Costs`] for numbers that are below zero or not finite.
    pub fn new(map: &OccupancyMap, space: &FreeSpace, robot: &Robot, options: &CostOptions) -> Result<Self> {
        if !(options.factor.is_finite() && options.factor >= 0.0) {
            return Err(PlanError::Costs { reason: format!("a factor of {}", options.factor) });
        }
        options.inflation.iter().try_for_each(Inflation::check)?;
        let width = map.width();
        let mut weights = Vec::with_capacity(width * map.height());
        let masks: Vec<_> = options.masks.iter().map(|mask| mask.over(map)).collect();
        for index in 0..width * map.height() {
            let cell = MapCell { x: index % width, y: index / width };
            let distance = space.distance(cell) * map.resolution();
            let mut level = options.inflation.map_or(0, |inflation| inflation.level(distance, robot));
            let (mut is_forbidden, mut slowness) = (false, 1.0);
            for mask in &masks {
                match mask.at(cell) {
                    mask::Marked::Nothing => {}
                    mask::Marked::Level(marked) => level = level.max(marked),
                    mask::Marked::Forbidden => is_forbidden = true,
                    mask::Marked::Speed(share) => slowness = f64::max(slowness, 1.0 / share),
                }
            }
            let mut extra = options.factor * f64::from(level) / f64::from(HIGHEST_LEVEL);
            if let Some(learned) = &options.learned {
                let share = |at: usize, side: usize| (at as f64 + 0.5) / side as f64;
                extra = extra.max(learned.extra(share(cell.x, width), share(cell.y, map.height())));
            }
            let weight = (1.0 + extra) * slowness;
            weights.push(if is_forbidden { f32::INFINITY } else { weight as f32 });
        }
        Ok(Self { width, weights })
    }

    /// Metres of free ground that cost as much as a metre in a cell, 1 at least; infinite where a mask forbids to go.
    ///
    /// # Panics
    /// Outside of the map.
    #[must_use]
    pub fn weight(&self, cell: MapCell) -> f64 {
        f64::from(self.weights[cell.y * self.width + cell.x])
    }

    /// True if a mask forbids to be in a cell.
    #[must_use]
    pub fn is_forbidden(&self, cell: MapCell) -> bool {
        self.weight(cell).is_infinite()
    }

    /// Takes cells that masks forbid out of free space.
    pub(crate) fn forbid_in(&self, space: &mut FreeSpace) {
        for (index, weight) in self.weights.iter().enumerate() {
            if weight.is_infinite() {
                space.forbid(index);
            }
        }
    }

    /// The cost of a straight line between two points of the map, in cells of free ground.
    pub(crate) fn of_line(&self, a: Point, b: Point) -> f64 {
        let delta = (b.0 - a.0, b.1 - a.1);
        let length = delta.0.hypot(delta.1);
        let border = |from: f64, delta: f64| {
            if delta == 0.0 {
                return (f64::INFINITY, f64::INFINITY);
            }
            let border = if delta > 0.0 { from.floor() + 1.0 } else { from.ceil() - 1.0 };
            ((border - from) / delta, 1.0 / delta.abs())
        };
        let (mut next_x, each_x) = border(a.0, delta.0);
        let (mut next_y, each_y) = border(a.1, delta.1);
        let (mut from, mut cost) = (0.0, 0.0);
        while from < 1.0 {
            let to = next_x.min(next_y).min(1.0);
            let middle = f64::midpoint(from, to);
            let cell = |from: f64, delta: f64, side: usize| ((from + middle * delta).max(0.0) as usize).min(side - 1);
            let (x, y) = (cell(a.0, delta.0, self.width), cell(a.1, delta.1, self.weights.len() / self.width));
            cost += (to - from) * f64::from(self.weights[y * self.width + x]);
            if next_x <= to {
                next_x += each_x;
            }
            if next_y <= to {
                next_y += each_y;
            }
            from = to;
        }
        cost * length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Pose, UnknownSpace};

    fn costs(values: Vec<i8>, width: usize, options: &CostOptions) -> (OccupancyMap, CostMap) {
        let size = (width, values.len() / width);
        let map = OccupancyMap::new("a test", size, 0.1, Pose::default(), values).expect("a map");
        let robot = Robot { radius: 0.2, unknown: UnknownSpace::Free, ..Robot::default() };
        let space = FreeSpace::new(&map, &robot).expect("free space");
        let costs = CostMap::new(&map, &space, &robot, options).expect("costs");
        (map, costs)
    }

    #[test]
    fn inflation_is_nav2s() {
        let mut values = vec![0; 12];
        values[0] = 100;
        let inflation = Some(Inflation { radius: 0.8, scaling: 3.0 });
        let (_, costs) = costs(values, 12, &CostOptions { inflation, ..CostOptions::default() });
        // 252 exp(-3 (d - 0.2)) at 0.3, 0.5 and 0.8 m, rounded down: 186, 102 and 41 of 252; 0.8 per level, of 50.
        for (x, level) in [(3, 186.0), (5, 102.0), (8, 41.0), (9, 0.0)] {
            let weight = costs.weight(MapCell { x, y: 0 });
            assert!((weight - (1.0 + 0.8 * level / 50.0)).abs() < 1e-6, "{x}: {weight}");
        }
    }

    #[test]
    fn masks_are_levels_walls_and_limits_of_speed() {
        let mask = |values: Vec<i8>, kind| {
            let map = OccupancyMap::new("a mask", (2, 1), 0.2, Pose::default(), values).expect("a map");
            Mask::new(map, kind).expect("a mask")
        };
        let masks = vec![mask(vec![50, 100], MaskKind::Level), mask(vec![25, 0], MaskKind::Speed)];
        let (_, costs) = costs(vec![0; 5], 5, &CostOptions { masks, factor: 2.0, ..CostOptions::default() });
        // Half of 252 costs one metre more, at a quarter of the speed four times as much.
        let weights: Vec<f64> = (0..5).map(|x| costs.weight(MapCell { x, y: 0 })).collect();
        assert!((weights[0] - 8.0).abs() < 0.05, "{weights:?}");
        assert_eq!(weights[0].to_bits(), weights[1].to_bits());
        assert!(weights[2].is_infinite() && weights[3].is_infinite());
        // Beyond the masks there are none.
        assert!((weights[4] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let map = OccupancyMap::new("a test", (2, 1), 0.1, Pose::default(), vec![0, 0]).expect("a map");
        let robot = Robot { radius: 0.0, ..Robot::default() };
        let space = FreeSpace::new(&map, &robot).expect("free space");
        let refused =
            |options: CostOptions| CostMap::new(&map, &space, &robot, &options).expect_err("refused").to_string();
        assert!(refused(CostOptions { factor: -1.0, ..CostOptions::default() }).contains("a factor of -1"));
        let inflation = Some(Inflation { radius: f64::NAN, scaling: 1.0 });
        assert!(refused(CostOptions { inflation, ..CostOptions::default() }).contains("NaN"));
    }

    proptest! {
        #[test]
        fn a_line_costs_what_its_points_do(
            values in proptest::collection::vec(0..100_i8, 64),
            (ax, ay, bx, by) in (0.0..8.0_f64, 0.0..8.0_f64, 0.0..8.0_f64, 0.0..8.0_f64),
        ) {
            let mask = OccupancyMap::new("a mask", (8, 8), 0.1, Pose::default(), values).expect("a map");
            let masks = vec![Mask::new(mask, MaskKind::Level).expect("a mask")];
            let (_, costs) = costs(vec![0; 64], 8, &CostOptions { masks, ..CostOptions::default() });
            let points = 20_000;
            let mean = (0..points).map(|i| {
                let t = (f64::from(i) + 0.5) / f64::from(points);
                costs.weight(MapCell { x: (ax + t * (bx - ax)) as usize, y: (ay + t * (by - ay)) as usize })
            }).sum::<f64>() / f64::from(points);
            let sampled = mean * (ax - bx).hypot(ay - by);
            let cost = costs.of_line((ax, ay), (bx, by));
            prop_assert!((cost - sampled).abs() < 1e-2, "{} {}", cost, sampled);
        }
    }
}
