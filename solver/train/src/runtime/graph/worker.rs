//! A thread's share of a supervision step.

use std::collections::BTreeMap;
use std::ops::Range;

use ::ort::value::DynValue;
use trm_engine::EngineError;
use trm_engine::ort::failed;

use super::loaded::{LoadedGraph, dyn_tensor, read, remove};
use crate::Result;
use crate::runtime::{TrainBatch, TrainOutput, WaveBatch};

/// A step graph with the gradients that it has added up.
pub(super) struct Worker {
    pub(super) graph: LoadedGraph,
    /// Since the last update, by `NAME.grad`; none before the first step.
    pub(super) gradients: BTreeMap<String, DynValue>,
}

/// Rows of a batch with their carry, `z_h` and `z_l`.
pub(super) struct Part<'a> {
    pub(super) rows: Range<usize>,
    pub(super) carry: &'a mut [DynValue; 2],
}

impl Worker {
    pub(super) fn new(graph: LoadedGraph) -> Self {
        Self { graph, gradients: BTreeMap::new() }
    }

    /// One supervision step of each part, in order. `shared` finds the parameters, and the zeros that sums begin with.
    pub(super) fn step<'a>(
        &mut self,
        shared: &impl Fn(&str) -> Option<&'a DynValue>,
        batch: &TrainBatch,
        seq_len: usize,
        parts: Vec<Part<'_>>,
    ) -> Result<Vec<TrainOutput>> {
        parts.into_iter().map(|part| self.part(shared, batch, seq_len, part)).collect()
    }

    fn part<'a>(
        &mut self,
        shared: &impl Fn(&str) -> Option<&'a DynValue>,
        batch: &TrainBatch,
        seq_len: usize,
        part: Part<'_>,
    ) -> Result<TrainOutput> {
        let Part { rows, carry } = part;
        let cells = rows.start * seq_len..rows.end * seq_len;
        let (count, grid) = ([rows.len()], [rows.len(), seq_len]);
        let mut given = vec![
            ("tokens", dyn_tensor(&grid, batch.tokens[cells.clone()].to_vec())?),
            ("labels", dyn_tensor(&grid, batch.labels[cells.clone()].to_vec())?),
            ("puzzle_ids", dyn_tensor(&count, batch.puzzle_ids[rows.clone()].to_vec())?),
            ("reset", dyn_tensor(&count, batch.reset[rows.clone()].to_vec())?),
            ("last_step", dyn_tensor(&count, batch.last_step[rows].to_vec())?),
        ];
        if let Some(WaveBatch { asked, classes }) = &batch.wave {
            given.push(("asked", dyn_tensor(&grid, asked[cells.clone()].to_vec())?));
            given.push(("wave", dyn_tensor(&grid, classes[cells].to_vec())?));
        }
        let [z_h, z_l] = &*carry;
        let found = |name: &str| match name {
            "z_h" => Some(z_h),
            "z_l" => Some(z_l),
            name => given.iter().find(|(given, _)| *given == name).map(|(_, value)| value).or_else(|| {
                let sum = name.strip_suffix(".sum");
                sum.and_then(|parameter| self.gradients.get(&format!("{parameter}.grad"))).or_else(|| shared(name))
            }),
        };
        let mut outputs = self.graph.run(&found)?;
        let output = TrainOutput {
            loss: read::<f32>(&outputs, "loss")?.first().copied().unwrap_or(f32::NAN),
            lm_loss: read(&outputs, "lm_loss")?,
            q_loss: read(&outputs, "q_loss")?,
            exact: read(&outputs, "exact")?,
            cells_right: read(&outputs, "cells_right")?,
            q_halt: read(&outputs, "q_halt")?,
            q_continue: read(&outputs, "q_continue")?,
        };
        *carry = [remove(&mut outputs, "z_h_next")?, remove(&mut outputs, "z_l_next")?];
        self.gradients = outputs.into_iter().filter(|(name, _)| name.strip_suffix(".grad").is_some()).collect();
        Ok(output)
    }
}

/// The gradients of all workers, taken from them and added up in their order.
pub(super) fn sum_gradients<'a>(workers: impl Iterator<Item = &'a mut Worker>) -> Result<BTreeMap<String, DynValue>> {
    let mut all = workers.map(|worker| std::mem::take(&mut worker.gradients)).filter(|found| !found.is_empty());
    let mut sum = all.next().unwrap_or_default();
    for gradients in all {
        for (name, gradient) in gradients {
            let Some(total) = sum.get_mut(&name) else {
                sum.insert(name, gradient);
                continue;
            };
            let read = |error| failed(format!("add up `{name}`"), error);
            let (_, part) = gradient.try_extract_tensor::<f32>().map_err(read)?;
            let (_, total) = total.try_extract_tensor_mut::<f32>().map_err(read)?;
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }
    Ok(sum)
}

/// The rows of all parts, one after the other.
pub(super) fn joined(parts: impl IntoIterator<Item = TrainOutput>) -> Option<TrainOutput> {
    parts.into_iter().reduce(|mut all, part| {
        all.loss += part.loss;
        all.lm_loss.extend(part.lm_loss);
        all.q_loss.extend(part.q_loss);
        all.exact.extend(part.exact);
        all.cells_right.extend(part.cells_right);
        all.q_halt.extend(part.q_halt);
        all.q_continue.extend(part.q_continue);
        all
    })
}

/// A batch whose every field has as many elements as the graphs take.
pub(super) fn check(batch: &TrainBatch, rows: usize, seq_len: usize) -> Result<()> {
    let wave = batch.wave.iter().flat_map(|WaveBatch { asked, classes }| [("asked", asked), ("wave", classes)]);
    let wave = wave.map(|(name, values)| (name, values.len(), seq_len));
    let always = [
        ("tokens", batch.tokens.len(), seq_len),
        ("labels", batch.labels.len(), seq_len),
        ("puzzle_ids", batch.puzzle_ids.len(), 1),
        ("reset", batch.reset.len(), 1),
        ("last_step", batch.last_step.len(), 1),
    ];
    for (tensor, actual, cells) in always.into_iter().chain(wave) {
        if actual != rows * cells {
            let shape = if cells == 1 { format!("[{rows}]") } else { format!("[{rows}, {cells}]") };
            return Err(EngineError::InputLength { tensor, actual, expected: rows * cells, shape }.into());
        }
    }
    Ok(())
}
