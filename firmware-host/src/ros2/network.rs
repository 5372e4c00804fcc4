//! The planner that the node is for: the network's.

use std::sync::Arc;

use trm_solver::engine::ort::OrtEngine;
use trm_solver::engine::tract::TractEngine;
use trm_solver::plan::{
    self, Fallback, Goal, Network, OccupancyMap, PlanOptions, PlannedPath, Planner, Pose, SegmentPlanner, Terrain,
};
use trm_solver::{Engine, Model, SessionOptions};

use super::planner::{Outcome, PathPlanner, Planned, PlannerSettings};
use crate::{EngineChoice, HostError, Result};

/// [`Planner`] on the maps that arrive.
#[derive(Debug)]
pub struct NetworkPlanner {
    /// Until the first map.
    network: Option<Network>,
    /// Since then.
    planner: Option<Planner>,
    settings: PlannerSettings,
}

impl NetworkPlanner {
    /// With a maze model in `lanes` sessions side by side, each of which takes `rows` segments at a time. On a processor one
    /// session of one row for each core is best, on a GPU one session of many rows.
    ///
    /// Fails for a model of something else, and where the engine does.
    pub fn load(engine: EngineChoice, model: &Model, lanes: usize, rows: usize) -> Result<Self> {
        let engine: Box<dyn Engine> = match engine {
            EngineChoice::Tract => Box::new(TractEngine),
            EngineChoice::Ort => Box::new(OrtEngine::load(None)?),
        };
        let threads = (cores() / lanes.max(1)).max(1);
        let options = SessionOptions { batch: rows, threads, ..SessionOptions::default() };
        let network = Network::new(model, lanes, || engine.load_step(model.bundle(), &options))?;
        Ok(Self { network: Some(network), planner: None, settings: PlannerSettings::default() })
    }

    /// The model's name, the engine and the execution provider that run it.
    #[must_use]
    pub fn describe(&self) -> String {
        let network = self.network.as_ref().or(self.planner.as_ref().map(Planner::network));
        network.map_or_else(String::new, |network| {
            format!("{} on {} ({})", network.name(), network.backend(), network.provider())
        })
    }
}

impl PathPlanner for NetworkPlanner {
    fn set_map(&mut self, map: Arc<OccupancyMap>, settings: &PlannerSettings) -> Result<()> {
        let terrain = Terrain::new(Arc::unwrap_or_clone(map), settings.robot)?;
        self.settings = *settings;
        match (&mut self.planner, self.network.take()) {
            (Some(planner), _) => planner.set_terrain(terrain),
            (None, Some(network)) => self.planner = Some(Planner::new(terrain, network, PlanOptions::default())),
            (None, None) => return Err(part("its network is gone")),
        }
        Ok(())
    }

    fn plan(&mut self, start: Pose, goal: Pose) -> Result<Outcome> {
        let planner = self.planner.as_mut().ok_or_else(|| part("there is no map"))?;
        let plan = planner.plan(start, Goal::from(goal))?;
        let ms = plan.time.total.as_secs_f64() * 1e3;
        Ok(match plan.outcome {
            plan::Outcome::Planned(path) => match (self.settings.fallback, without_network(&path)) {
                (Fallback::None, failed @ 1..) => Outcome::Failed(network_failed(failed, path.segments.len())),
                _ => Outcome::Planned(planned(&path, self.settings.spacing, ms)),
            },
            plan::Outcome::Unreachable { reachable_cells } => Outcome::Unreachable(format!(
                "none of the {reachable_cells} cells that the robot can get to from the start is the goal's"
            )),
            plan::Outcome::NetworkFailed { failed, segments } => Outcome::Failed(network_failed(failed, segments)),
        })
    }
}

/// The processor's cores, as far as this process may use them.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn part(reason: &str) -> HostError {
    HostError::Part { part: "planner", reason: reason.to_owned() }
}

/// How many segments another has filled in. The planner always works with a stand-in, because its options are fixed when
/// the network goes into it; whether one is wanted can change while the node runs.
fn without_network(path: &PlannedPath) -> usize {
    path.segments.iter().filter(|segment| segment.planner != SegmentPlanner::Network).count()
}

fn network_failed(failed: usize, segments: usize) -> String {
    format!(
        "the network found no verified way through {failed} of {segments} segments, and nothing stands in for it; set the \
         parameter fallback to astar"
    )
}

fn planned(path: &PlannedPath, spacing: f64, ms: f64) -> Planned {
    let poses = if spacing > 0.0 {
        path.divided(spacing).into_iter().map(|(pose, _)| pose).collect()
    } else {
        path.poses.clone()
    };
    Planned { path: poses, network_share: path.network_share(), length_m: path.length, ms }
}
