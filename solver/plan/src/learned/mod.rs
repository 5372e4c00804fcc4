//! Costs that are learned from drives: layers over a map become features of its cells, somebody who has learned
//! ([`CostPredictor`]) says how dear each cell is, and a drive shows what that should have come to.
//!
//! - [`Layer`]: what is known of a map besides obstacles.
//! - [`FeatureSpec`]: how layers become numbers; part of a model.
//! - [`Levels`]: what a model has said of a map.
//! - [`Demonstration`]: a drive over a map, cut into windows to learn from.

mod demonstration;
mod features;
mod layer;
mod levels;
mod way;

pub use demonstration::{Demonstration, Ground, Stretch};
pub use features::{FeatureSpec, Features, LayerKind, LayerSpec};
pub use layer::{Layer, Layers};
pub use levels::{CostPredictor, Levels};
