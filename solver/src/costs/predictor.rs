//! A model of costs that is loaded into an engine.

use std::collections::HashMap;
use std::error::Error;

use trm_engine::EngineEntry;
use trm_engine::ort::OrtEngine;
use trm_engine::single::SingleGraph;
use trm_export::cost_network::cost_graph;
use trm_export::onnx::write::encode;
use trm_plan::learned::{CostPredictor, FeatureSpec, Features};

use super::CostModel;
use crate::Result;

/// Cells along a side of the largest window that is looked at at once.
const WINDOW: usize = 96;
/// Cells of a window along its edges that another window sees better.
const MARGIN: usize = 16;
/// Sides of graphs are multiples of so many cells, so that few are made.
const STEP: usize = 8;

/// A model that is loaded.
pub struct LoadedCosts {
    model: CostModel,
    engine: &'static EngineEntry,
    ort: Option<OrtEngine>,
    threads: usize,
    /// By rows and columns.
    graphs: HashMap<(usize, usize), SingleGraph>,
}

impl std::fmt::Debug for LoadedCosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedCosts").field("model", &self.model.manifest.name).finish_non_exhaustive()
    }
}

impl LoadedCosts {
    /// A model in an engine; `ort` is the library, where that is chosen. 0 threads are one for each core.
    #[must_use]
    pub fn new(model: CostModel, engine: &'static EngineEntry, ort: Option<OrtEngine>, threads: usize) -> Self {
        Self { model, engine, ort, threads, graphs: HashMap::new() }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &CostModel {
        &self.model
    }

    /// The engine's name.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.engine.name
    }

    fn run(&mut self, features: Vec<f32>, size: (usize, usize)) -> Result<Vec<f32>> {
        let CostModel { manifest, weights } = &self.model;
        if !self.graphs.contains_key(&size) {
            let onnx = encode(&cost_graph(&manifest.network, size, weights)?, &[]).onnx;
            let shape = [1, size.0 * size.1, manifest.network.channels];
            let graph = SingleGraph::load(self.engine, self.ort.as_ref(), &onnx, &shape, self.threads)?;
            self.graphs.insert(size, graph);
        }
        match self.graphs.get_mut(&size) {
            Some(graph) => Ok(graph.run(features)?),
            None => Ok(Vec::new()),
        }
    }

    /// Looks at a map window by window.
    fn by_windows(&mut self, features: &Features) -> Result<Vec<f32>> {
        let (width, height) = (features.width, features.height);
        let side = |cells: usize| cells.next_multiple_of(STEP).min(WINDOW);
        let (columns, rows) = (side(width), side(height));
        let mut levels = vec![0.0; width * height];
        for (bottom, from_y, to_y) in windows(height, rows) {
            for (left, from_x, to_x) in windows(width, columns) {
                let window = features.window((left as i64, bottom as i64), (columns, rows));
                let found = self.run(window, (rows, columns))?;
                for y in from_y..to_y {
                    let row = (y - bottom) * columns;
                    levels[y * width + from_x..y * width + to_x]
                        .copy_from_slice(&found[row + from_x - left..row + to_x - left]);
                }
            }
        }
        Ok(levels)
    }
}

/// Windows of so many cells along a side of a map: their first cell, and the cells that they are for. Each cell is so far from
/// the edge of its window as can be, but for those along the edges of the map.
fn windows(map: usize, window: usize) -> Vec<(usize, usize, usize)> {
    if map <= window {
        return vec![(0, 0, map)];
    }
    let step = window - 2 * MARGIN;
    let mut windows = Vec::new();
    let mut first = 0;
    loop {
        let last = first + window >= map;
        let start = if last { map - window } else { first };
        let from = if start == 0 { 0 } else { windows.last().map_or(0, |&(_, _, to)| to) };
        let to = if last { map } else { start + window - MARGIN };
        windows.push((start, from, to));
        if last {
            return windows;
        }
        first += step;
    }
}

impl CostPredictor for LoadedCosts {
    fn spec(&self) -> &FeatureSpec {
        &self.model.manifest.features
    }

    fn factor(&self) -> f64 {
        self.model.manifest.factor
    }

    fn levels(&mut self, features: &Features) -> Result<Vec<f32>, Box<dyn Error + Send + Sync>> {
        Ok(self.by_windows(features)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_a_map_once_and_see_around_their_cells() {
        for map in [5_usize, 96, 97, 128, 300, 1_001] {
            let window = map.next_multiple_of(STEP).min(WINDOW);
            let mut next = 0;
            for (start, from, to) in windows(map, window) {
                assert_eq!(from, next, "{map}");
                assert!(start <= from && to <= (start + window).min(map), "{map}: {start} {from} {to}");
                assert!(start == 0 || from >= start + MARGIN, "{map}: {start} {from}");
                assert!(to == map || to + MARGIN <= start + window, "{map}: {to}");
                next = to;
            }
            assert_eq!(next, map);
        }
    }
}
