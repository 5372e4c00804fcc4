//! `Loop`.

use std::slice;

use ndarray::{ArrayD, IxDyn};

use super::{Attribute, Operator};
use crate::OnnxError;
use crate::eval::{Arguments, Tensor};
use crate::graph::Graph;
use crate::infer::{carried_types, expect, types_of};
use crate::tensor::{DType, TensorType};

/// Body repeated: (most iterations i64, condition bool, carried…) to (carried…). The body takes
/// (iteration i64, condition bool, carried…) and returns (condition bool, carried…).
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    /// The repeated graph.
    pub body: Graph,
}

impl Operator for Loop {
    fn name(&self) -> &'static str {
        "Loop"
    }

    fn input_count(&self) -> Option<usize> {
        None
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [count, condition, carried @ ..] = inputs else {
            return Err("needs an iteration count and a condition".into());
        };
        expect(count, DType::I64)?;
        expect(condition, DType::Bool)?;
        let (body_inputs, body_outputs) =
            (types_of(&self.body, self.body.inputs()), types_of(&self.body, self.body.outputs()));
        if body_inputs.len() != carried.len() + 2 || body_outputs.len() != carried.len() + 1 {
            return Err(format!(
                "body with {} inputs and {} outputs for {} carried values",
                body_inputs.len(),
                body_outputs.len(),
                carried.len()
            ));
        }
        carried_types(carried, &body_inputs[2..], &body_outputs[1..])
    }

    /// While the condition holds, as often as was asked for at most.
    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let body = inputs.body(&self.body)?;
        let most = inputs.ints(0)?.first().copied().unwrap_or(0);
        let mut go_on = inputs.bools(1)?.first().copied().unwrap_or(false);
        let mut carried = inputs.tensors()[2..].iter().map(|&tensor| tensor.clone()).collect::<Vec<_>>();
        let mut turn = 0;
        while go_on && turn < most {
            let head =
                [Tensor::Int(ArrayD::from_elem(IxDyn(&[]), turn)), Tensor::Bool(ArrayD::from_elem(IxDyn(&[]), true))];
            let mut outputs = body.run(&head.into_iter().chain(carried).collect::<Vec<_>>())?;
            go_on = outputs.remove(0).bools()?.first().copied().unwrap_or(false);
            carried = outputs;
            turn += 1;
        }
        Ok(carried)
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::graph("body", &self.body)]
    }

    fn bodies(&self) -> &[Graph] {
        slice::from_ref(&self.body)
    }
}
