//! Levels that a model has given to a map's cells.

use std::error::Error;

use super::features::{FeatureSpec, Features};
use super::layer::Layers;
use super::way::way;
use crate::free_space::{FreeSpace, Robot};
use crate::map::{MapCell, OccupancyMap};
use crate::{PlanError, Result};

/// Whoever says how dear cells are: a network, or a linear model.
pub trait CostPredictor {
    /// The features that it reads.
    fn spec(&self) -> &FeatureSpec;

    /// Metres that a metre at the level 1 costs beyond itself.
    fn factor(&self) -> f64;

    /// The level of each cell, 0 to 1, `[height, width]`.
    ///
    /// # Errors
    /// Its own.
    fn levels(&mut self, features: &Features) -> Result<Vec<f32>, Box<dyn Error + Send + Sync>>;
}

/// Levels on a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    width: usize,
    height: usize,
    /// Levels along x and y of the map: the last ones may be cut.
    extent: (f64, f64),
    /// `[height, width]`.
    values: Vec<f32>,
    factor: f64,
}

impl Levels {
    /// The levels that a model gives to a map; for a model that looks at the way, those of a way to `goal`.
    ///
    /// # Errors
    /// Those of [`FeatureSpec::features`]; [`PlanError::CostPredictor`] if it fails, or says what is no level;
    /// [`PlanError::BadLayer`] for a model that looks at the way without a goal.
    pub fn predicted(
        predictor: &mut dyn CostPredictor,
        map: &OccupancyMap,
        robot: &Robot,
        layers: &Layers,
        goal: Option<MapCell>,
    ) -> Result<Self> {
        let space = FreeSpace::new(map, robot)?;
        let spec = predictor.spec().clone();
        let mut features = spec.features(map, robot, &space, layers)?;
        if let (true, Some(goal)) = (spec.way, goal) {
            let is_free: Vec<bool> = (0..map.width() * map.height()).map(|index| space.is_free_index(index)).collect();
            let goal = goal.y * map.width() + goal.x;
            features.set_way(&way(&is_free, map.width(), goal), map.width());
        }
        let values = predictor.levels(&features).map_err(PlanError::CostPredictor)?;
        let is_level = |level: &f32| (0.0..=1.0).contains(level);
        if values.len() != features.width * features.height || !values.iter().all(is_level) {
            return Err(PlanError::CostPredictor("it did not give a level of 0 to 1 for each cell".into()));
        }
        Ok(Self::new(&features, (map.width(), map.height()), values, predictor.factor()))
    }

    pub(super) fn new(features: &Features, map: (usize, usize), values: Vec<f32>, factor: f64) -> Self {
        let block = features.block as f64;
        let extent = (map.0 as f64 / block, map.1 as f64 / block);
        Self { width: features.width, height: features.height, extent, values, factor }
    }

    /// The metres that a metre costs beyond itself at a place, given as shares of the map's width and height: linear between the middles of
    /// the model's cells.
    pub(crate) fn extra(&self, x: f64, y: f64) -> f64 {
        let between = |share: f64, extent: f64, side: usize| neighbours(share * extent, side);
        let ((left, right, to_right), (below, above, up)) =
            (between(x, self.extent.0, self.width), between(y, self.extent.1, self.height));
        let level = |x: usize, y: usize| f64::from(self.values[y * self.width + x]);
        let row = |y: usize| level(left, y) + to_right * (level(right, y) - level(left, y));
        self.factor * (row(below) + up * (row(above) - row(below)))
    }
}

/// The two cells of a side between whose middles a place is, and the share of the second.
pub(super) fn neighbours(at: f64, side: usize) -> (usize, usize, f64) {
    let at = (at - 0.5).clamp(0.0, (side - 1) as f64);
    let first = at.floor();
    (first as usize, (first as usize + 1).min(side - 1), at - first)
}
