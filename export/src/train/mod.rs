//! Training as graphs: one supervision step with its gradients, the updates, and the files of the runtime that runs
//! them.

mod loss;
pub mod ort_training;
mod step;
mod update;

pub(crate) use loss::answer_loss;
pub use step::{BUFFERS, StepOptions, WAVE_CLASSES, WAVE_HEAD, trained_layout, training_step};
pub use update::{PUZZLE_EMB, UpdateOptions, UpdateRule, parameter_update, update_graph};

use serde::{Deserialize, Serialize};

use crate::onnx::{GraphBuilder, ValueId};

/// The answer's loss, over the vocabulary of each labelled cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// Cross entropy of stablemax probabilities (arXiv 2501.04697), the public code's choice.
    #[default]
    Stablemax,
    /// Cross entropy of softmax probabilities.
    Softmax,
}

/// A supervision step with its gradients: parameters and data are inputs, the carry goes in and out.
#[derive(Debug)]
pub struct Differentiated {
    /// The graph.
    pub builder: GraphBuilder,
    /// The scalar that is differentiated.
    pub loss: ValueId,
    /// The inputs that are parameters, by name.
    pub parameters: Vec<(String, ValueId)>,
    /// The gradient of each parameter, by the parameter's name.
    pub gradients: Vec<(String, ValueId)>,
    /// The other values that a step returns, by name.
    pub outputs: Vec<(&'static str, ValueId)>,
}
