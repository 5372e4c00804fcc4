//! Layers over a map: pictures, maps, or one number for all of it.

use std::collections::BTreeMap;
use std::path::Path;

use trm_intake::Fault;

use crate::map::{LoadedMap, OccupancyMap, UNKNOWN, pixels_over};
use crate::{LayerSource, MapCell, PlanError, Result};

/// Layers by name.
pub type Layers = BTreeMap<String, Layer>;

/// A layer over a map.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// A value for each cell, `[height, width]`, the bottom row first: grey values, colours as 0xRRGGBB, or a map's values.
    Cells(Vec<f32>),
    /// The same value everywhere.
    Value(f32),
}

impl Layer {
    /// Reads a layer over `map`: a picture with a pixel for each cell, or a map in any format with its own resolution and
    /// origin, unknown (-1) where it has nothing.
    ///
    /// # Errors
    /// [`PlanError::BadMap`] for a picture of another size, and those of [`LoadedMap::read`]; [`PlanError::BadLayer`] for a
    /// number that is not finite.
    pub fn read(name: &str, source: &LayerSource, map: &OccupancyMap) -> Result<Self> {
        match source {
            LayerSource::File(path) => Self::read_file(path, map),
            LayerSource::Value(value) if (*value as f32).is_finite() => Ok(Self::Value(*value as f32)),
            LayerSource::Value(value) => Err(PlanError::BadLayer {
                layer: name.to_owned(),
                fault: Fault::from(format!("is {value}")).advise("give a number, such as 14"),
            }),
        }
    }

    fn read_file(path: &Path, map: &OccupancyMap) -> Result<Self> {
        if let Some(pixels) = pixels_over(path, map)? {
            return Ok(Self::Cells(pixels.into_iter().map(|pixel| pixel as f32).collect()));
        }
        let layer = LoadedMap::read(path)?.map;
        let value = |index: usize| {
            let (x, y) = map.centre(MapCell { x: index % map.width(), y: index / map.width() });
            f32::from(layer.cell_at(x, y).and_then(|cell| layer.get(cell)).unwrap_or(UNKNOWN))
        };
        Ok(Self::Cells((0..map.width() * map.height()).map(value).collect()))
    }

    /// The value of the cell of an index, row by row.
    pub(super) fn at(&self, index: usize) -> f32 {
        match self {
            Self::Cells(values) => values[index],
            Self::Value(value) => *value,
        }
    }

    /// The values of the layer's cells; one if it is the same everywhere.
    pub(super) fn values(&self) -> &[f32] {
        match self {
            Self::Cells(values) => values,
            Self::Value(value) => std::slice::from_ref(value),
        }
    }
}
