//! Masks: pictures that lie over a map and say where to go slowly, rather not, or never.

use std::path::Path;

use trm_intake::Fault;

use super::HIGHEST_LEVEL;
use crate::map::{LoadedMap, MapCell, OCCUPIED, OccupancyMap, UNKNOWN, picture_over};
use crate::{PlanError, Result};

/// The meaning of a mask's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskKind {
    /// 0 costs nothing, 99 nearly the highest level, 100 forbids to go: nav2's keepout masks. The robot's centre may not
    /// be there; its edge may.
    Level,
    /// Per cents of full speed, 0 for no limit: nav2's speed masks of type 1, with `base` 0 and `multiplier` 1.
    Speed,
}

/// A mask over a map. Where it says nothing, and outside of it, it costs nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    values: OccupancyMap,
    kind: MaskKind,
}

/// The mark of a mask on a cell.
pub(super) enum Marked {
    Nothing,
    Level(u8),
    Forbidden,
    /// The share of full speed, above 0.
    Speed(f64),
}

impl Mask {
    /// A mask of the values of a map, in the same frame as the map that it is for.
    ///
    /// # Errors
    /// [`PlanError::BadMap`] for a mask of speeds without any.
    pub fn new(values: OccupancyMap, kind: MaskKind) -> Result<Self> {
        if kind == MaskKind::Speed && values.values().iter().all(|&value| value == 0 || value == UNKNOWN) {
            let fault = Fault::from("a mask of speeds without a limit: every cell is 0 or unknown");
            return Err(PlanError::BadMap {
                source_name: values.source().to_owned(),
                fault: fault
                    .advise("its values are per cents of full speed; is it a mask of costs, or its mode not raw?"),
            });
        }
        Ok(Self { values, kind })
    }

    /// Reads a mask: a map in any of the formats, with its own origin and resolution, or a picture alone that has as many
    /// pixels as `map` has cells. Of a picture alone black is the most and white nothing.
    ///
    /// # Errors
    /// Those of [`LoadedMap::read`]; [`PlanError::BadMap`] for a picture of another size.
    pub fn read(path: &Path, kind: MaskKind, map: &OccupancyMap) -> Result<Self> {
        match picture_over(path, map)? {
            Some(values) => Self::new(values, kind),
            None => Self::new(LoadedMap::read(path)?.map, kind),
        }
    }

    /// The mask over the cells of a map.
    pub(super) fn over<'a>(&'a self, map: &'a OccupancyMap) -> Overlay<'a> {
        let (mask, here) = (&self.values, map);
        let is_aligned = (mask.width(), mask.height()) == (here.width(), here.height())
            && mask.resolution().to_bits() == here.resolution().to_bits()
            && mask.origin() == here.origin();
        Overlay { mask: self, map, is_aligned }
    }
}

/// A mask over the cells of a map.
pub(super) struct Overlay<'a> {
    mask: &'a Mask,
    map: &'a OccupancyMap,
    is_aligned: bool,
}

impl Overlay<'_> {
    /// The mark at the middle of a cell, as nav2's filters look it up.
    pub(super) fn at(&self, cell: MapCell) -> Marked {
        let values = &self.mask.values;
        let value = if self.is_aligned {
            values.get(cell)
        } else {
            let (x, y) = self.map.centre(cell);
            values.cell_at(x, y).and_then(|cell| values.get(cell))
        };
        match (value, self.mask.kind) {
            (None | Some(UNKNOWN | 0), _) => Marked::Nothing,
            (Some(OCCUPIED), MaskKind::Level) => Marked::Forbidden,
            // nav2's getMaskCost, of 254 levels; 253 is inscribed, so that it comes out as the highest.
            (Some(value), MaskKind::Level) => {
                Marked::Level(((f64::from(value) * 2.54).round() as u8).min(HIGHEST_LEVEL))
            }
            (Some(value), MaskKind::Speed) => Marked::Speed(f64::from(value) / 100.0),
        }
    }
}
