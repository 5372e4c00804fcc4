//! The files that ONNX Runtime's training API loads, made without its Python tool: a training model, an evaluation
//! model, an optimiser model and a checkpoint.
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

use super::Differentiated;
use crate::{ExportError, Result};

/// The files that a training session is made of, except the checkpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingModels {
    /// Forward and backward pass; adds the gradients to those of earlier steps.
    pub training: Vec<u8>,
    /// The forward pass alone.
    pub eval: Vec<u8>,
    /// The update of all parameters.
    pub optimizer: Vec<u8>,
    /// The inputs that the caller gives to a step, in order: all but those that the API fills in.
    pub inputs: Vec<String>,
    /// The outputs of a step, in order: `loss`, the graph's other outputs, the gradients left to the caller.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::onnx::operators::ReduceMean;
    use crate::onnx::{DType, Dim, GraphBuilder, OnnxSummary, TensorType};

    const ADAMW: AdamW = AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 };

    /// `loss = mean((x·w)²)` for a column `x`, its gradient by hand; the weight under the name given.
    fn graph(name: &str) -> Differentiated {
        let mut builder = GraphBuilder::new("tiny", "");
        let mut input =
            |name: &str, sizes: [usize; 2]| builder.input(name, TensorType::new(DType::F32, sizes.map(Dim::Fixed)));
        let (x, w) = (input("x", [4, 1]), input(name, [1, 1]));
        let build = |g: &mut GraphBuilder| {
            let y = g.matmul(x, w)?;
            let squared = g.mul(y, y)?;
            let loss = g.node(ReduceMean { axis: 0 }, &[squared])?;
            let x_t = g.transpose(x, &[1, 0])?;
            let half = g.scalar(0.5, DType::F32);
            let scaled = g.mul(y, half)?;
            Ok::<_, ExportError>((y, loss, g.matmul(x_t, scaled)?))
        };
        let (y, loss, gradient) = build(&mut builder).expect("the graph builds");
        Differentiated {
            builder,
            loss,
            parameters: vec![(name.into(), w)],
            gradients: vec![(name.into(), gradient)],
            outputs: vec![("y", y)],
        }
    }

    fn summary(model: &[u8]) -> OnnxSummary {
        OnnxSummary::from_bytes(model, Path::new("x")).expect("it is a model")
    }

    fn names(list: &[(String, String)]) -> Vec<&str> {
        list.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_models_have_the_interface_that_the_api_expects() {
        let models = training_models(graph("w"), &ADAMW, &[]).expect("writes");
        let training = summary(&models.training);
        assert_eq!(training.opsets, [(String::new(), 17), ("com.microsoft".to_owned(), 1)]);
        assert_eq!(names(&training.inputs), ["x", "w", "w_grad.accumulation.buffer", "lazy_reset_grad"]);
        assert_eq!(names(&training.outputs), ["loss", "y", "w_grad.accumulation.out"]);
        assert_eq!(training.operators["InPlaceAccumulatorV2"], 1);

        let eval = summary(&models.eval);
        assert_eq!((names(&eval.inputs), names(&eval.outputs)), (vec!["x", "w"], vec!["loss", "y"]));
        assert!(!eval.operators.contains_key("Transpose"), "the backward pass is left in: {:?}", eval.operators);

        let optimizer = summary(&models.optimizer);
        let sequences = ["params", "gradients", "first_order_moments", "second_order_moments"];
        assert_eq!(names(&optimizer.inputs), [&["learning_rate", "step"][..], &sequences].concat());
        assert_eq!(optimizer.operators["AdamWOptimizer"], 1);
        assert_eq!((models.inputs, models.outputs), (vec!["x".to_owned()], vec!["loss".to_owned(), "y".to_owned()]));
    }

    #[test]
    fn graphs_that_the_api_would_misread_are_refused() {
        let refusal =
            |graph, outside: &[&str]| training_models(graph, &ADAMW, outside).expect_err("accepted").to_string();
        let mut lacking = graph("w");
        lacking.gradients.clear();
        assert_eq!(refusal(lacking, &[]), "no training model: parameter `w` has no gradient");
        let mut renamed = graph("w");
        renamed.parameters[0].0 = "v".into();
        renamed.gradients[0].0 = "v".into();
        assert_eq!(refusal(renamed, &[]), "no training model: parameter `v` is called `w` in the graph");
        let mut wrong = graph("w");
        wrong.gradients[0].1 = wrong.outputs[0].1;
        let error = refusal(wrong, &[]);
        assert_eq!(error, "no training model: parameter `w` is f32[1,1] and its gradient f32[4,1], expected both f32");
        let error = refusal(graph("w_grad"), &[]);
        assert!(error.ends_with("an input is called `w_grad`, a name that the training API reserves"), "{error}");
        assert!(refusal(graph("w"), &["v"]).ends_with("there is no parameter `v` to be updated by the caller"));
        assert!(refusal(graph("w"), &["w"]).ends_with("no parameter is left to the optimiser"));
    }
}
