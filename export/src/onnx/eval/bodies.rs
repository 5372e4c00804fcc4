//! The operators with a graph inside.

use std::collections::HashMap;

use ndarray::{ArrayD, Axis, IxDyn};

use super::{Tensor, evaluation, run};
use crate::ExportError;
use crate::onnx::graph::{Graph, ValueId};

/// What a body takes from the graph around it.
fn captured(body: &Graph, values: &HashMap<ValueId, Tensor>) -> Result<HashMap<ValueId, Tensor>, ExportError> {
    body.captures()
        .map(|(here, there)| values.get(&there).map(|tensor| (here, tensor.clone())))
        .collect::<Option<HashMap<_, _>>>()
        .ok_or_else(|| evaluation(body.name(), "a captured value was not computed"))
}

/// Once for each element of what is scanned.
pub(super) fn scan(
    body: &Graph,
    inputs: &[&Tensor],
    scanned: usize,
    values: &HashMap<ValueId, Tensor>,
) -> Result<Vec<Tensor>, ExportError> {
    let captures = captured(body, values)?;
    let (carried, scanned) = inputs.split_at(inputs.len() - scanned);
    let mut carried = carried.iter().map(|&tensor| tensor.clone()).collect::<Vec<_>>();
    let turns = scanned.first().map_or(0, |tensor| tensor.shape()[0]);
    for turn in 0..turns {
        let element = |tensor: &&Tensor| Ok(Tensor::Float(tensor.floats()?.index_axis(Axis(0), turn).to_owned()));
        let elements = scanned.iter().map(element).collect::<Result<Vec<_>, ExportError>>()?;
        carried = run(body, &carried.into_iter().chain(elements).collect::<Vec<_>>(), &captures)?;
    }
    Ok(carried)
}

/// While the condition holds, as often as was asked for at most.
pub(super) fn repeat(
    body: &Graph,
    inputs: &[&Tensor],
    values: &HashMap<ValueId, Tensor>,
) -> Result<Vec<Tensor>, ExportError> {
    let captures = captured(body, values)?;
    let most = inputs[0].ints()?.first().copied().unwrap_or(0);
    let mut go_on = inputs[1].bools()?.first().copied().unwrap_or(false);
    let mut carried = inputs[2..].iter().map(|&tensor| tensor.clone()).collect::<Vec<_>>();
    let mut turn = 0;
    while go_on && turn < most {
        let head =
            [Tensor::Int(ArrayD::from_elem(IxDyn(&[]), turn)), Tensor::Bool(ArrayD::from_elem(IxDyn(&[]), true))];
        let arguments = head.into_iter().chain(carried).collect::<Vec<_>>();
        let mut outputs = run(body, &arguments, &captures)?;
        go_on = outputs.remove(0).bools()?.first().copied().unwrap_or(false);
        carried = outputs;
        turn += 1;
    }
    Ok(carried)
}
