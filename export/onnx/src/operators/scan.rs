//! `Scan`.

use std::slice;

use ndarray::Axis;

use super::{Attribute, Operator};
use crate::OnnxError;
use crate::eval::{Arguments, Tensor};
use crate::graph::Graph;
use crate::infer::{carried_types, expect_float, types_of};
use crate::tensor::TensorType;

/// Body run for each element of scanned tensors: (carried…, scanned…) to (carried…). The body takes (carried…, one element
/// along the first axis of each scanned tensor) and returns (carried…).
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The repeated graph.
    pub body: Graph,
    /// Number of the inputs, the last ones, that are scanned.
    pub scanned: usize,
}

impl Operator for Scan {
    fn name(&self) -> &'static str {
        "Scan"
    }

    fn input_count(&self) -> Option<usize> {
        None
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let carried = inputs.len().checked_sub(self.scanned).ok_or("has fewer inputs than it scans")?;
        let (carried, scanned) = inputs.split_at(carried);
        let (body_inputs, body_outputs) =
            (types_of(&self.body, self.body.inputs()), types_of(&self.body, self.body.outputs()));
        if body_inputs.len() != inputs.len() || body_outputs.len() != carried.len() {
            let (ins, outs) = (body_inputs.len(), body_outputs.len());
            return Err(format!("body with {ins} inputs and {outs} outputs for {} values", inputs.len()));
        }
        let length = scanned.first().and_then(|ty| ty.shape.first()).ok_or("scans nothing")?;
        for (ty, element) in scanned.iter().zip(&body_inputs[carried.len()..]) {
            expect_float(ty)?;
            if ty.shape.first() != Some(length) || ty.shape[1..] != element.shape || ty.dtype != element.dtype {
                return Err(format!("{ty} is no row of {length} elements {element}"));
            }
        }
        carried_types(carried, &body_inputs, &body_outputs)
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let body = inputs.body(&self.body)?;
        let (carried, scanned) = inputs.tensors().split_at(inputs.tensors().len() - self.scanned);
        let mut carried = carried.iter().map(|&tensor| tensor.clone()).collect::<Vec<_>>();
        let turns = scanned.first().map_or(0, |tensor| tensor.shape()[0]);
        for turn in 0..turns {
            let element = |tensor: &&Tensor| Ok(Tensor::Float(tensor.floats()?.index_axis(Axis(0), turn).to_owned()));
            let elements = scanned.iter().map(element).collect::<Result<Vec<_>, OnnxError>>()?;
            carried = body.run(&carried.into_iter().chain(elements).collect::<Vec<_>>())?;
        }
        Ok(carried)
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::graph("body", &self.body), Attribute::int("num_scan_inputs", self.scanned as i64)]
    }

    fn bodies(&self) -> &[Graph] {
        slice::from_ref(&self.body)
    }
}
