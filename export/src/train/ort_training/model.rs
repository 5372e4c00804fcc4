//! The training model and the evaluation model.

use std::collections::{HashMap, HashSet};

use prost::Message;

use super::{Differentiated, gradient_output};
use crate::onnx::operators::OperatorSet;
use crate::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::onnx::write::{graph_proto, model, value_info};
use crate::onnx::{DType, Dim, TensorType, ValueId};
use crate::{ExportError, Result};

/// The input that says whether the gradients of earlier steps are dropped, by the API's name.
const RESET: &str = "lazy_reset_grad";

/// A node of one of ONNX Runtime's own operators, named after its first output.
pub(super) fn microsoft_node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        name: outputs[0].into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        op_type: op.into(),
        domain: OperatorSet::MICROSOFT.domain.into(),
        ..NodeProto::default()
    }
}

/// The training model and its forward part.
pub(super) struct Encoded {
    pub(super) training: Vec<u8>,
    pub(super) eval: Vec<u8>,
    /// Names of the inputs that the caller gives.
    pub(super) inputs: Vec<String>,
    /// Names of the outputs that the caller gets.
    pub(super) outputs: Vec<String>,
}

/// Encodes the training model, and its forward part as the evaluation model.
pub(super) fn encode(graph: Differentiated, outside: &[&str]) -> Result<Encoded> {
    let Differentiated { mut builder, loss, parameters, gradients, outputs } = graph;
    let gradients = gradients.into_iter().collect::<HashMap<_, _>>();
    builder.output("loss", loss)?;
    for (name, value) in &outputs {
        builder.output(name, *value)?;
    }
    let forward_outputs = 1 + outputs.len();

    let mut accumulated = Vec::new();
    for (name, parameter) in &parameters {
        let gradient = *gradients.get(name).ok_or_else(|| refuse(format!("parameter `{name}` has no gradient")))?;
        let (expected, found) = (builder.ty(*parameter).clone(), builder.ty(gradient));
        if expected != *found || expected.dtype != DType::F32 {
            return Err(refuse(format!(
                "parameter `{name}` is {expected} and its gradient {found}, expected both f32"
            )));
        }
        if outside.contains(&name.as_str()) {
            builder.output(&gradient_output(name), gradient)?;
        } else {
            accumulated.push((name, expected, gradient));
        }
    }
    let graph = builder.finish();
    for (name, parameter) in &parameters {
        if graph.value(*parameter).name != *name {
            return Err(refuse(format!(
                "parameter `{name}` is called `{}` in the graph",
                graph.value(*parameter).name
            )));
        }
    }
    if let Some(reserved) = graph.inputs().iter().map(|&id| &graph.value(id).name).find(|name| is_reserved(name)) {
        return Err(refuse(format!("an input is called `{reserved}`, a name that the training API reserves")));
    }

    let mut training = graph_proto(&graph);
    let kept = |name: &String| accumulated.iter().any(|(parameter, ..)| *parameter == name);
    let inputs = training.input.iter().map(|input| input.name.clone()).filter(|name| !kept(name)).collect();
    let outputs = training.output.iter().map(|output| output.name.clone()).collect();
    let eval = forward_part(&training, forward_outputs);
    let value_name = |id: ValueId| graph.value(id).name.as_str();
    for (name, ty, gradient) in &accumulated {
        accumulate(&mut training, name, ty, value_name(*gradient));
    }
    training.input.push(flag(RESET));
    let mut training = model(training);
    training.opset_import.push(OperatorSet::MICROSOFT.into());
    Ok(Encoded { training: training.encode_to_vec(), eval: model(eval).encode_to_vec(), inputs, outputs })
}

fn refuse(problem: String) -> ExportError {
    ExportError::TrainingGraph { problem }
}

/// True for names that the API takes for gradients and its own flag.
fn is_reserved(name: &str) -> bool {
    name == RESET || ["_grad", "_grad.accumulation.buffer", "_grad.accumulation.out"].iter().any(|s| name.ends_with(s))
}

/// Adds the gradient of one parameter to the buffer that the API keeps for it.
fn accumulate(graph: &mut GraphProto, parameter: &str, ty: &TensorType, gradient: &str) {
    let buffer = format!("{parameter}_grad.accumulation.buffer");
    let out = format!("{parameter}_grad.accumulation.out");
    graph.input.push(value_info(&buffer, ty));
    graph.node.push(microsoft_node("InPlaceAccumulatorV2", &[&buffer, gradient, RESET], &[&out]));
    graph.output.push(flag(&out));
}

fn flag(name: &str) -> ValueInfoProto {
    value_info(name, &TensorType::new(DType::Bool, [Dim::Fixed(1)]))
}

/// The nodes that the first `outputs` outputs need, with all inputs.
fn forward_part(graph: &GraphProto, outputs: usize) -> GraphProto {
    let mut part = graph.clone();
    part.name = "eval".into();
    part.output.truncate(outputs);
    let mut needed = part.output.iter().map(|output| output.name.clone()).collect::<HashSet<_>>();
    // In topological order: seen from the end, every node comes before those it reads from.
    part.node.reverse();
    part.node.retain(|node| {
        let wanted = node.output.iter().any(|output| needed.contains(output));
        if wanted {
            needed.extend(node.input.iter().cloned());
            needed.extend(node.attribute.iter().filter_map(|a| a.g.as_ref()).flat_map(read_around));
        }
        wanted
    });
    part.node.reverse();
    part.initializer.retain(|tensor| needed.contains(&tensor.name));
    part.value_info.retain(|value| needed.contains(&value.name));
    part
}

/// Every name that a body reads; its own among them, which does no harm.
fn read_around(body: &GraphProto) -> Vec<String> {
    body.node
        .iter()
        .flat_map(|node| node.input.iter().cloned())
        .chain(body.output.iter().map(|o| o.name.clone()))
        .collect()
}
