//! Sessions of rten.

use std::sync::atomic::Ordering;

use ::rten::{Value, ValueOrView};
use rayon::prelude::*;
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};
use trm_models::{GraphKind, TrmConfig};

use super::{Prepared, failed, stack};
use crate::{ActOutput, ActStep, Carry, Result};
use crate::{SessionInfo, SolveInput, SolveOutput, SolveSession, StepSession, checks};

impl Prepared {
    /// Runs something on every row, side by side where there are threads for it. A run within the pool's own threads
    /// starts no others: idle ones take parts of the operators of the rows that are left.
    fn on_rows<R: Send, T: Send>(
        &self,
        rows: &mut [R],
        run: impl Fn(usize, &mut R) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let mut results = Vec::with_capacity(rows.len());
        // rten orders a graph's operators when it first runs, and remembers.
        while results.len() < rows.len() && !self.is_ordered.load(Ordering::Relaxed) {
            let index = results.len();
            results.push(stack::deep_enough(self.operators, || run(index, &mut rows[index]))??);
        }
        let first = results.len();
        let run_row = |(index, row): (usize, &mut R)| run(first + index, row);
        let others = || rows[first..].par_iter_mut().with_max_len(1).enumerate().map(run_row).collect();
        results.extend(self.pool.run::<Result<Vec<T>>, _>(others)?);
        Ok(results)
    }

    /// Runs the graph on one row.
    fn run(&self, inputs: Vec<ValueOrView<'_>>) -> Result<Outputs> {
        let inputs = self.inputs.iter().copied().zip(inputs).collect();
        let outputs = self.model.run(inputs, &self.outputs, Some(self.run_options()));
        let outputs = outputs.map_err(|error| failed(format!("run the {} graph", self.info.graph), error))?;
        self.is_ordered.store(true, Ordering::Relaxed);
        Ok(Outputs { next: 0, outputs: outputs.into_iter() })
    }

    /// A row's tokens and puzzle id as inputs. The lengths must have been checked.
    fn puzzle<'a>(&self, row: usize, tokens: &'a [i32], puzzle_ids: &'a [i32]) -> [ValueOrView<'a>; 2] {
        let seq_len = self.config.seq_len;
        let tokens = &tokens[row * seq_len..(row + 1) * seq_len];
        [
            TensorView::from_data(&[1, seq_len], tokens).into(),
            TensorView::from_data(&[1], &puzzle_ids[row..=row]).into(),
        ]
    }

    /// Shape of a row's carry.
    fn carry_shape(&self) -> [usize; 3] {
        [1, self.config.total_len(), self.config.hidden_size]
    }
}

/// The outputs of a run, in the order of the graph's specification.
struct Outputs {
    next: usize,
    outputs: std::vec::IntoIter<Value>,
}

impl Outputs {
    /// The next output, if it has the type and as many elements as the graph's specification says: a graph need not
    /// return what it declares.
    fn take<T>(&mut self, len: usize) -> Result<Tensor<T>>
    where
        Tensor<T>: TryFrom<Value, Error: std::error::Error + Send + Sync + 'static>,
    {
        let action = format!("read output {}", self.next);
        self.next += 1;
        let Some(value) = self.outputs.next() else { return Err(failed(action, "it is missing")) };
        let tensor: Tensor<T> = value.try_into().map_err(|error| failed(action.clone(), error))?;
        if tensor.len() != len {
            let problem = format!("it has {} elements, expected {len}", tensor.len());
            return Err(failed(action, problem));
        }
        Ok(tensor)
    }
}

/// One output of all rows, one after the other; `width` zeros for a row that was left out.
fn gather<O, T: Copy + Default>(rows: &[Option<O>], width: usize, output: impl Fn(&O) -> &Tensor<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(rows.len() * width);
    for row in rows {
        match row {
            Some(row) => all.extend(output(row).iter()),
            None => all.resize(all.len() + width, T::default()),
        }
    }
    all
}

/// The carry of a row: the pair of tensors that the last step returned, which the next step reads where they are.
struct Row {
    z_h: Tensor<f32>,
    z_l: Tensor<f32>,
}

/// The outputs of a step of one row.
struct Stepped {
    answer: Tensor<i32>,
    q_halt: Tensor<f32>,
    q_continue: Tensor<f32>,
    row: Row,
    /// Empty unless they are wanted.
    logits: Tensor<f32>,
}

/// A step graph.
pub(super) struct RtenStepSession {
    prepared: Prepared,
    rows: Vec<Row>,
    /// Rows that hold a carry.
    started: Vec<bool>,
}

impl RtenStepSession {
    pub(super) fn new(prepared: Prepared) -> Self {
        let (batch, shape) = (prepared.info.batch, prepared.carry_shape());
        let zeros = || Tensor::zeros(&shape);
        let rows = (0..batch).map(|_| Row { z_h: zeros(), z_l: zeros() }).collect();
        Self { prepared, rows, started: vec![false; batch] }
    }
}

impl StepSession for RtenStepSession {
    fn info(&self) -> &SessionInfo {
        &self.prepared.info
    }

    fn config(&self) -> &TrmConfig {
        &self.prepared.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        let Self { prepared, rows, started } = self;
        checks::check_step(&prepared.config, started, input)?;
        let TrmConfig { seq_len, vocab_size, .. } = prepared.config;
        let logits_len = prepared.want_logits.then_some(seq_len * vocab_size);
        let carry_len = prepared.carry_shape().iter().product();
        let outputs = prepared.on_rows(rows, |index, row| {
            if input.idle[index] {
                return Ok(None);
            }
            let [tokens, puzzle_id] = prepared.puzzle(index, &input.tokens, &input.puzzle_ids);
            let reset = Tensor::from_data(&[1], vec![i32::from(input.reset[index])]);
            let inputs = vec![tokens, puzzle_id, reset.into(), row.z_h.view().into(), row.z_l.view().into()];
            let mut outputs = prepared.run(inputs)?;
            Ok(Some(Stepped {
                answer: outputs.take(seq_len)?,
                q_halt: outputs.take(1)?,
                q_continue: outputs.take(1)?,
                row: Row { z_h: outputs.take(carry_len)?, z_l: outputs.take(carry_len)? },
                logits: logits_len.map_or_else(|| Ok(Tensor::zeros(&[0])), |len| outputs.take(len))?,
            }))
        })?;
        let output = ActOutput {
            answer: gather(&outputs, seq_len, |row| &row.answer),
            q_halt: gather(&outputs, 1, |row| &row.q_halt),
            q_continue: gather(&outputs, 1, |row| &row.q_continue),
            logits: logits_len.map(|len| gather(&outputs, len, |row| &row.logits)),
        };
        checks::check_finite(GraphKind::Step, "q_halt", &output.q_halt)?;
        for ((row, started), output) in rows.iter_mut().zip(started).zip(outputs) {
            *started = output.is_some();
            if let Some(output) = output {
                *row = output.row;
            }
        }
        Ok(output)
    }

    fn carry(&self) -> Result<Carry> {
        let states = |state: fn(&Row) -> &Tensor<f32>| self.rows.iter().flat_map(|row| state(row).to_vec()).collect();
        Ok(Carry { z_h: states(|row| &row.z_h), z_l: states(|row| &row.z_l) })
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        checks::check_carry(&self.prepared.config, self.rows.len(), carry)?;
        let shape = self.prepared.carry_shape();
        let width = shape.iter().product();
        let tensor = |values: &[f32]| Tensor::from_data(&shape, values.to_vec());
        let values = carry.z_h.chunks_exact(width).zip(carry.z_l.chunks_exact(width));
        self.rows = values.map(|(z_h, z_l)| Row { z_h: tensor(z_h), z_l: tensor(z_l) }).collect();
        self.started.fill(true);
        Ok(())
    }

    fn add_to_carry(&mut self, row: usize, delta: &Carry) -> Result<()> {
        checks::check_delta(&self.prepared.config, &self.started, row, delta)?;
        let row = &mut self.rows[row];
        for (state, delta) in [(&mut row.z_h, &delta.z_h), (&mut row.z_l, &delta.z_l)] {
            state.iter_mut().zip(delta).for_each(|(value, delta)| *value += delta);
        }
        Ok(())
    }
}

/// The outputs of a solve of one row.
struct Solved {
    answer: Tensor<i32>,
    q_halt: Tensor<f32>,
    q_continue: Tensor<f32>,
    steps: Tensor<i32>,
    /// Empty unless they are wanted.
    logits: Tensor<f32>,
}

/// A solve or unrolled graph.
pub(super) struct RtenSolveSession {
    prepared: Prepared,
}

impl RtenSolveSession {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self { prepared }
    }
}

impl SolveSession for RtenSolveSession {
    fn info(&self) -> &SessionInfo {
        &self.prepared.info
    }

    fn config(&self) -> &TrmConfig {
        &self.prepared.config
    }

    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput> {
        let prepared = &self.prepared;
        let Prepared { config, info, .. } = prepared;
        let max_steps = checks::check_solve(config, info.graph, info.batch, input)?;
        let TrmConfig { seq_len, vocab_size, .. } = *config;
        let logits_len = prepared.want_logits.then_some(seq_len * vocab_size);
        let outputs = prepared.on_rows(&mut vec![(); info.batch], |row, ()| {
            let mut inputs = Vec::from(prepared.puzzle(row, &input.tokens, &input.puzzle_ids));
            inputs.push(Tensor::from(input.halt_threshold).into());
            // At most 1,000,000, by the check. rten has no 64-bit integers.
            inputs.extend(max_steps.map(|steps| Tensor::from(steps as i32).into()));
            let mut outputs = prepared.run(inputs)?;
            Ok(Some(Solved {
                answer: outputs.take(seq_len)?,
                q_halt: outputs.take(1)?,
                q_continue: outputs.take(1)?,
                steps: outputs.take(1)?,
                logits: logits_len.map_or_else(|| Ok(Tensor::zeros(&[0])), |len| outputs.take(len))?,
            }))
        })?;
        let output = SolveOutput {
            answer: gather(&outputs, seq_len, |row| &row.answer),
            q_halt: gather(&outputs, 1, |row| &row.q_halt),
            q_continue: gather(&outputs, 1, |row| &row.q_continue),
            steps: gather(&outputs, 1, |row| &row.steps),
            logits: logits_len.map(|len| gather(&outputs, len, |row| &row.logits)),
        };
        checks::check_finite(info.graph, "q_halt", &output.q_halt)?;
        Ok(output)
    }
}
