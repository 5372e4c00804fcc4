//! Features: the numbers by which a model knows a cell.
//!
//! A model has cells of its own, of a size in metres, each a square block of a map's. A block has the shares and means of
//! what its cells have: 1, obstacles, unknown space, nearness to obstacles on four scales, and each layer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trm_intake::Fault;

use super::layer::{Layer, Layers};
use crate::free_space::{FreeSpace, Robot};
use crate::map::{MapCell, OccupancyMap, UNKNOWN};
use crate::{PlanError, Result};

/// Most classes of a layer.
const MOST_CLASSES: usize = 32;
/// Most grey values of a layer that are taken for classes: one of more has amounts of something.
const MOST_GREY_CLASSES: usize = 16;
/// The highest grey value; beyond it are colours.
const WHITE: f32 = 65_535.0;
/// Numbers that a value in a range becomes: how near it is to each of so many marks.
const MARKS: usize = 8;
/// Most layers of a model.
const MOST_LAYERS: usize = 64;
/// Distances over which nearness to obstacles falls by `e`, in cells of the model.
const NEAR: [f32; 4] = [1.0, 2.0, 4.0, 8.0];
/// Features that every map has: 1, share of obstacles, share of unknown space, nearness to obstacles.
const OWN: usize = 3 + NEAR.len();
/// Features of the way to the goal: its direction.
const WAY: usize = 2;

/// The meaning of a layer's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// Each value is a kind of ground of its own, such as the colours of a segmentation.
    Classes(Vec<f32>),
    /// Values are more or less of something, between two bounds; beyond them they count as the bound.
    Range([f32; 2]),
}

impl LayerKind {
    fn channels(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Range(_) => MARKS,
        }
    }
}

/// A layer that a model reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// Its name.
    pub name: String,
    /// The meaning of its values.
    pub kind: LayerKind,
}

/// The values of a layer over some maps.
#[derive(Debug, Default)]
struct Found {
    /// Bits of values, no more than tell that they are no classes.
    values: BTreeSet<u32>,
    least: Option<f32>,
    most: Option<f32>,
    is_number: bool,
}

impl Found {
    fn add(&mut self, layer: &Layer) {
        self.is_number |= matches!(layer, Layer::Value(_));
        for &value in layer.values() {
            self.least = Some(self.least.map_or(value, |least| least.min(value)));
            self.most = Some(self.most.map_or(value, |most| most.max(value)));
            if self.values.len() <= MOST_CLASSES {
                self.values.insert(value.to_bits());
            }
        }
    }

    /// The meaning of the values; `None` for too many colours.
    fn kind(self, is_range: bool) -> Option<LayerKind> {
        let bounds = [self.least.unwrap_or_default(), self.most.unwrap_or_default()];
        let has_colours = bounds[1] > WHITE;
        let most = if has_colours { MOST_CLASSES } else { MOST_GREY_CLASSES };
        if is_range || self.is_number || (!has_colours && self.values.len() > most) {
            return Some(LayerKind::Range(bounds));
        }
        let mut classes: Vec<f32> = self.values.into_iter().map(f32::from_bits).collect();
        classes.sort_by(f32::total_cmp);
        (classes.len() <= most).then_some(LayerKind::Classes(classes))
    }
}

/// The features of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Metres of a model's cell. On a map it is the nearest whole number of the map's cells, at least one.
    pub cell: f64,
    /// True if a cell also knows in which direction the shortest way to the goal goes on: costs are then those of a way to that
    /// goal, such as keeping to one side.
    pub way: bool,
    /// Its layers, in the order of their features.
    pub layers: Vec<LayerSpec>,
}

impl FeatureSpec {
    /// The features for maps with these layers. Colours are classes, and so are grey values of which there are few; many grey
    /// values, numbers for a whole map and the layers named in `ranges` are ranges.
    ///
    /// # Errors
    /// [`PlanError::BadLayer`] where maps have different layers, or too many, or one has too many colours.
    pub fn of<'a>(maps: impl IntoIterator<Item = &'a Layers>, cell: f64, way: bool, ranges: &[String]) -> Result<Self> {
        let refuse = |layer: &str, fault: &str, hint: &str| PlanError::BadLayer {
            layer: layer.to_owned(),
            fault: Fault::from(fault).advise(hint),
        };
        let mut found: Option<BTreeMap<String, Found>> = None;
        for layers in maps {
            let known =
                found.get_or_insert_with(|| layers.keys().map(|name| (name.clone(), Found::default())).collect());
            let odd = layers.keys().find(|name| !known.contains_key(*name));
            if let Some(name) = odd.or_else(|| known.keys().find(|name| !layers.contains_key(*name))) {
                let hint = "give every drive the same layers, by the same names";
                return Err(refuse(name, "is not over every map", hint));
            }
            for (found, layer) in known.values_mut().zip(layers.values()) {
                found.add(layer);
            }
        }
        let found = found.unwrap_or_default();
        if let (true, Some(name)) = (found.len() > MOST_LAYERS, found.keys().last()) {
            return Err(refuse(name, "is one of more than 64", "leave out what matters least"));
        }
        if let Some(name) = ranges.iter().find(|name| !found.contains_key(*name)) {
            return Err(refuse(name, "is over no map", "`ranges` are names of layers"));
        }
        let spec = |(name, found): (String, Found)| {
            let hint = "give classes fewer colours, or amounts of something as greys";
            let kind = found.kind(ranges.contains(&name));
            let kind = kind.ok_or_else(|| refuse(&name, "has more than 32 colours", hint))?;
            Ok(LayerSpec { name, kind })
        };
        Ok(Self { cell, way, layers: found.into_iter().map(spec).collect::<Result<_>>()? })
    }

    /// Numbers of a cell.
    #[must_use]
    pub fn channels(&self) -> usize {
        let of_layers: usize = self.layers.iter().map(|layer| layer.kind.channels()).sum();
        OWN + of_layers + if self.way { WAY } else { 0 }
    }

    /// Names of the numbers of a cell, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = ["1", "obstacle", "unknown"].map(str::to_owned).into();
        names.extend(NEAR.map(|scale| format!("nearness to obstacles over {scale} cells")));
        for layer in &self.layers {
            match &layer.kind {
                LayerKind::Classes(classes) => {
                    names.extend(classes.iter().map(|class| format!("{} {class}", layer.name)));
                }
                LayerKind::Range(_) => names.extend((0..MARKS).map(|mark| format!("{} at {mark}", layer.name))),
            }
        }
        if self.way {
            names.extend(["way along x", "way along y"].map(str::to_owned));
        }
        names
    }

    /// Cells of a map along a side of one of the model's.
    #[must_use]
    pub fn block(&self, map: &OccupancyMap) -> usize {
        ((self.cell / map.resolution()).round() as usize).clamp(1, map.width().max(map.height()))
    }

    /// Checks what was read from a model.
    ///
    /// # Errors
    /// [`PlanError::BadLayer`] for layers that cannot be.
    pub fn check(&self) -> Result<()> {
        let refuse = |layer: &str, fault: &str| {
            Err(PlanError::BadLayer { layer: layer.to_owned(), fault: fault.to_owned().into() })
        };
        if !(self.cell.is_finite() && self.cell > 0.0) || self.layers.len() > MOST_LAYERS {
            return refuse("", "of a model without cells, or one of more than 64");
        }
        for layer in &self.layers {
            let is_possible = match &layer.kind {
                LayerKind::Classes(classes) => {
                    (1..=MOST_CLASSES).contains(&classes.len()) && classes.iter().all(|class| class.is_finite())
                }
                LayerKind::Range([least, most]) => least.is_finite() && most.is_finite() && least <= most,
            };
            if !is_possible {
                return refuse(&layer.name, "has classes or a range that cannot be");
            }
        }
        Ok(())
    }

    /// The features of a map's cells, but for the way to a goal, which are 0.
    ///
    /// # Errors
    /// [`PlanError::BadLayer`] for a layer that is missing or not known, and for a class that the model has not seen.
    pub fn features(&self, map: &OccupancyMap, robot: &Robot, space: &FreeSpace, layers: &Layers) -> Result<Features> {
        let layers = self.known(layers)?;
        let block = self.block(map);
        let (width, height) = (map.width().div_ceil(block), map.height().div_ceil(block));
        let channels = self.channels();
        let mut data = vec![0.0; width * height * channels];
        for y in 0..map.height() {
            for x in 0..map.width() {
                let index = y * map.width() + x;
                let cell = MapCell { x, y };
                let at = ((y / block) * width + x / block) * channels;
                let numbers = &mut data[at..at + channels];
                numbers[0] += 1.0;
                let value = map.values()[index];
                numbers[1] += f32::from(value != UNKNOWN && robot.is_obstacle(value));
                numbers[2] += f32::from(value == UNKNOWN);
                let distance = (space.distance(cell) / block as f64) as f32;
                for (number, scale) in numbers[3..OWN].iter_mut().zip(NEAR) {
                    *number += (-distance / scale).exp();
                }
                let mut first = OWN;
                for (spec, layer) in &layers {
                    spec.kind
                        .count(layer.at(index), &mut numbers[first..])
                        .map_err(|fault| PlanError::BadLayer { layer: spec.name.clone(), fault })?;
                    first += spec.kind.channels();
                }
            }
        }
        // Means over the cells of each block; at the far edges a block has fewer.
        for numbers in data.chunks_exact_mut(channels) {
            let count = numbers[0];
            for number in numbers {
                *number /= count;
            }
        }
        Ok(Features { width, height, block, channels, data })
    }

    /// The layers in the order of their features.
    fn known<'a>(&'a self, layers: &'a Layers) -> Result<Vec<(&'a LayerSpec, &'a Layer)>> {
        let names = || {
            let names: Vec<_> = self.layers.iter().map(|layer| layer.name.as_str()).collect();
            if names.is_empty() { "no layers".to_owned() } else { format!("the layers {}", names.join(", ")) }
        };
        let refuse = |layer: &str, fault: &str| PlanError::BadLayer {
            layer: layer.to_owned(),
            fault: Fault::from(fault).advise(format!("the model has {}; give each with --layer NAME=FILE", names())),
        };
        if let Some(name) = layers.keys().find(|name| self.layers.iter().all(|layer| layer.name != **name)) {
            return Err(refuse(name, "is not one that the model knows"));
        }
        let find = |layer: &'a LayerSpec| {
            let found = layers.get(&layer.name).ok_or_else(|| refuse(&layer.name, "is missing"))?;
            Ok((layer, found))
        };
        self.layers.iter().map(find).collect()
    }
}

impl LayerKind {
    /// Adds what a value is to a block's numbers.
    fn count(&self, value: f32, numbers: &mut [f32]) -> Result<(), Fault> {
        match self {
            Self::Classes(classes) => {
                let class = classes.iter().position(|class| class.to_bits() == value.to_bits());
                let class = class.ok_or_else(|| {
                    Fault::from(format!("has the value {value}, which the model has not seen"))
                        .advise("train with maps that have it, or give it the value of ground like it")
                })?;
                numbers[class] += 1.0;
            }
            Self::Range([least, most]) => {
                let share = if most > least { ((value - least) / (most - least)).clamp(0.0, 1.0) } else { 0.0 };
                let at = share * (MARKS - 1) as f32;
                let below = (at.floor() as usize).min(MARKS - 2);
                numbers[below] += 1.0 - (at - below as f32);
                numbers[below + 1] += at - below as f32;
            }
        }
        Ok(())
    }
}

/// The features of a map's cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Model's cells along x.
    pub width: usize,
    /// Model's cells along y.
    pub height: usize,
    /// Cells of the map along a side of one.
    pub block: usize,
    /// Numbers of a cell.
    pub channels: usize,
    /// `[height, width, channels]`, the bottom row first.
    pub data: Vec<f32>,
}

impl Features {
    /// The features of a window of so many columns and rows from a cell on; zeros where it reaches out of the map.
    #[must_use]
    pub fn window(&self, (left, bottom): (i64, i64), (columns, rows): (usize, usize)) -> Vec<f32> {
        let mut window = vec![0.0; columns * rows * self.channels];
        for (row, numbers) in window.chunks_exact_mut(columns * self.channels).enumerate() {
            let Some(y) = within(bottom + row as i64, self.height) else { continue };
            for (column, numbers) in numbers.chunks_exact_mut(self.channels).enumerate() {
                let Some(x) = within(left + column as i64, self.width) else { continue };
                let at = (y * self.width + x) * self.channels;
                numbers.copy_from_slice(&self.data[at..at + self.channels]);
            }
        }
        window
    }

    /// Puts in the direction of the way, given for each cell of the map, row by row.
    pub(super) fn set_way(&mut self, way: &[[f32; 2]], map_width: usize) {
        set_way(&mut self.data, (self.width, self.channels), way, (map_width, self.block));
    }
}

/// Puts directions of the way into features: the mean over a block, of length 1.
pub(super) fn set_way(
    features: &mut [f32],
    (width, channels): (usize, usize),
    way: &[[f32; 2]],
    (map_width, block): (usize, usize),
) {
    let last = channels - WAY;
    for numbers in features.chunks_exact_mut(channels) {
        numbers[last..].fill(0.0);
    }
    for (index, direction) in way.iter().enumerate() {
        let (x, y) = (index % map_width / block, index / map_width / block);
        let at = (y * width + x) * channels + last;
        features[at] += direction[0];
        features[at + 1] += direction[1];
    }
    for numbers in features.chunks_exact_mut(channels) {
        let length = numbers[last].hypot(numbers[last + 1]);
        if length > 0.0 {
            for number in &mut numbers[last..] {
                *number /= length;
            }
        }
    }
}

fn within(at: i64, side: usize) -> Option<usize> {
    usize::try_from(at).ok().filter(|&at| at < side)
}
