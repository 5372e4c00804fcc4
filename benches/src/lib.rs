//! The common part of the benches: models of the published sizes with random weights, the PyTorch process they are
//! compared with, and figures with their spread.
//!
//! The time of a step does not depend on the values of weights, so no trained model of full size is needed.

pub mod arguments;
pub mod full_size;
pub mod limit;
pub mod logits;
pub mod process;
pub mod pytorch;
pub mod report;
pub mod shipped;
pub mod spread;
pub mod training;
