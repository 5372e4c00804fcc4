//! Drives with their maps and layers read: what there is to learn from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use trm_plan::learned::{Demonstration, FeatureSpec, Ground, Layer, Layers};
use trm_plan::map::LoadedMap;
use trm_plan::{Drive, LayerSource, OccupancyMap, PlanError, Robot};
use trm_solver::SolverError;

use crate::{Result, TrainError};

/// A drive over a map with layers.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// The map.
    pub map: Arc<OccupancyMap>,
    /// The layers over it.
    pub layers: Arc<Layers>,
    /// Places in metres.
    pub path: Vec<[f64; 2]>,
}

impl Lesson {
    /// Reads the maps and layers of drives, each once.
    ///
    /// # Errors
    /// Those of [`LoadedMap::read`] and [`Layer::read`].
    pub fn read(drives: &[Drive]) -> Result<Vec<Self>> {
        let mut maps: BTreeMap<PathBuf, Arc<OccupancyMap>> = BTreeMap::new();
        let mut known: Vec<(&PathBuf, &BTreeMap<String, LayerSource>, Arc<Layers>)> = Vec::new();
        let mut lessons = Vec::with_capacity(drives.len());
        for drive in drives {
            if !maps.contains_key(&drive.map) {
                maps.insert(drive.map.clone(), Arc::new(LoadedMap::read(&drive.map)?.map));
            }
            let map = Arc::clone(&maps[&drive.map]);
            let found = known.iter().find(|(path, sources, _)| *path == &drive.map && *sources == &drive.layers);
            let layers = if let Some((.., layers)) = found {
                Arc::clone(layers)
            } else {
                let read = |(name, source): (&String, &LayerSource)| {
                    Ok::<_, PlanError>((name.clone(), Layer::read(name, source, &map)?))
                };
                let layers = Arc::new(drive.layers.iter().map(read).collect::<Result<Layers, _>>()?);
                known.push((&drive.map, &drive.layers, Arc::clone(&layers)));
                layers
            };
            lessons.push(Self { map, layers, path: drive.path.clone() });
        }
        Ok(lessons)
    }

    /// The drives with what a model sees of their maps, each map looked at once; or the reason why one is none.
    pub(super) fn demonstrations<'a>(
        lessons: &'a [Self],
        features: &FeatureSpec,
        robot: &Robot,
    ) -> Vec<Result<Demonstration, PlanError>> {
        let mut known: Vec<(&'a Self, Arc<Ground>)> = Vec::new();
        let demonstration = |lesson: &'a Self| {
            let is_same = |(other, _): &&(&Self, _)| {
                Arc::ptr_eq(&other.map, &lesson.map) && Arc::ptr_eq(&other.layers, &lesson.layers)
            };
            let ground = if let Some((_, ground)) = known.iter().find(is_same) {
                Arc::clone(ground)
            } else {
                let ground = Arc::new(Ground::new(features, Arc::clone(&lesson.map), robot, &lesson.layers)?);
                known.push((lesson, Arc::clone(&ground)));
                ground
            };
            Demonstration::new(ground, &lesson.path)
        };
        lessons.iter().map(demonstration).collect()
    }
}

impl From<PlanError> for TrainError {
    fn from(error: PlanError) -> Self {
        SolverError::from(error).into()
    }
}
