//! Models of costs: networks that say how dear each cell of a map is, from what lies in and around it.

mod folder;
mod predictor;

pub use folder::{COST_WEIGHTS, CostManifest, CostModel, CostWeights};
pub use predictor::LoadedCosts;
