//! What ONNX Runtime's training API loads, made without its Python tool: a training model, an evaluation model, an
//! optimiser model and a checkpoint.
//!
//! The API keeps parameters, gradients and moments itself. It knows one optimiser for all parameters, `AdamW` or SGD; a
//! parameter that follows another rule is left to the caller: it is an input of the training model like any other, and
//! its gradient an output.

mod checkpoint;
mod flatbuffer;
mod model;
mod optimizer;

pub use checkpoint::{TrainedTensor, TrainingCheckpoint};
pub use optimizer::{AdamW, optimizer_model};

use crate::onnx::{GraphBuilder, ValueId};
use crate::{ExportError, Result};

/// A supervision step with its gradients: parameters and data are inputs, the carry goes in and out.
#[derive(Debug)]
pub struct Differentiated {
    /// The graph.
    pub builder: GraphBuilder,
    /// What is differentiated, a scalar.
    pub loss: ValueId,
    /// The inputs that are parameters, by name.
    pub parameters: Vec<(String, ValueId)>,
    /// The gradient of each parameter, by the parameter's name.
    pub gradients: Vec<(String, ValueId)>,
    /// Everything else that a step returns, by name.
    pub outputs: Vec<(&'static str, ValueId)>,
}

/// The files that a training session is made of, except the checkpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingModels {
    /// Forward and backward pass; adds the gradients to those of earlier steps.
    pub training: Vec<u8>,
    /// The forward pass alone.
    pub eval: Vec<u8>,
    /// The update of all parameters.
    pub optimizer: Vec<u8>,
    /// What a step is given, in order: the inputs but for those that the API fills in.
    pub inputs: Vec<String>,
    /// What a step returns, in order: `loss`, the graph's other outputs, the gradients left to the caller.
    pub outputs: Vec<String>,
    /// The parameters that the optimiser updates.
    pub parameters: Vec<String>,
    /// The parameters that the caller updates.
    pub outside: Vec<String>,
}

/// Output of the training model that holds the gradient of a parameter left to the caller.
#[must_use]
pub fn gradient_output(parameter: &str) -> String {
    format!("{parameter}.gradient")
}

/// Writes the three models. `outside` names the parameters that the caller updates.
///
/// # Errors
/// [`ExportError::TrainingGraph`] when a parameter has no gradient or a name that the API reserves, or when none is left to
/// the optimiser.
pub fn training_models(graph: Differentiated, optimizer: &AdamW, outside: &[&str]) -> Result<TrainingModels> {
    let refuse = |problem: String| ExportError::TrainingGraph { problem };
    for name in outside {
        if !graph.parameters.iter().any(|(parameter, _)| parameter == name) {
            return Err(refuse(format!("there is no parameter `{name}` to be updated by the caller")));
        }
    }
    if graph.parameters.len() == outside.len() {
        return Err(refuse("no parameter is left to the optimiser".into()));
    }
    let is_outside = |name: &String| outside.contains(&name.as_str());
    let (left, parameters) = graph.parameters.iter().map(|(name, _)| name.clone()).partition(is_outside);
    let model::Encoded { training, eval, inputs, outputs } = model::encode(graph, outside)?;
    Ok(TrainingModels {
        training,
        eval,
        optimizer: optimizer_model(optimizer),
        inputs,
        outputs,
        parameters,
        outside: left,
    })
}
