//! Sessions of tract.

use rayon::prelude::*;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::plan::SimpleState;
use trm_models::{GraphKind, TrmConfig};

use super::{Prepared, failed};
use crate::{
    ActOutput, ActStep, Carry, Result, SessionInfo, SolveInput, SolveOutput, SolveSession, StepSession, checks,
};

impl Prepared {
    /// A row that has not run yet.
    fn row(&self) -> TractResult<Row> {
        let zeros = Tensor::zero::<f32>(&[1, self.config.total_len(), self.config.hidden_size])?.into_tvalue();
        Ok(Row { state: SimpleState::new(&self.plan)?, z_h: zeros.clone(), z_l: zeros })
    }

    /// Runs something on every row, in parallel where there are threads for it.
    fn on_rows<R: Send, T: Send>(
        &self,
        rows: &mut [R],
        run: impl Fn(usize, &mut R) -> TractResult<T> + Sync,
    ) -> Result<Vec<T>> {
        let run_row = |(index, row): (usize, &mut R)| run(index, row);
        let results: TractResult<Vec<T>> = match &self.row_pool {
            Some(pool) => pool.install(|| rows.par_iter_mut().with_max_len(1).enumerate().map(run_row).collect()),
            None => rows.iter_mut().enumerate().map(run_row).collect(),
        };
        results.map_err(|error| failed(format!("run the {} graph", self.info.graph), error))
    }

    /// A row's tokens and puzzle id as tensors. The lengths must have been checked.
    fn puzzle(&self, row: usize, tokens: &[i32], puzzle_ids: &[i32]) -> TractResult<[TValue; 2]> {
        let seq_len = self.config.seq_len;
        let tokens = &tokens[row * seq_len..(row + 1) * seq_len];
        Ok([tensor(&[1, seq_len], tokens)?, tensor(&[1], &puzzle_ids[row..=row])?])
    }
}

fn tensor<T: Datum + Copy>(shape: &[usize], values: &[T]) -> TractResult<TValue> {
    Ok(Tensor::from_shape(shape, values)?.into_tvalue())
}

/// Appends a tensor's elements.
fn read<T: Datum + Copy>(value: &TValue, into: &mut Vec<T>) -> TractResult<()> {
    into.extend(value.to_plain_array_view::<T>()?.iter());
    Ok(())
}

/// One output of all rows, one after the other; `width` zeros for a row that was left out.
fn gather<T: Datum + Copy + Default>(outputs: &[Option<TVec<TValue>>], index: usize, width: usize) -> Result<Vec<T>> {
    let mut all = Vec::new();
    outputs
        .iter()
        .try_for_each(|output| {
            if let Some(output) = output {
                return read(&output[index], &mut all);
            }
            all.resize(all.len() + width, T::default());
            Ok(())
        })
        .map_err(|error| failed(format!("read output {index}"), error))?;
    Ok(all)
}

/// A row of a step session. Its carry is the pair of tensors that the last step returned; the next step takes them as
/// they are.
struct Row {
    state: TypedSimpleState,
    z_h: TValue,
    z_l: TValue,
}

/// A step graph.
pub(super) struct TractStepSession {
    prepared: Prepared,
    rows: Vec<Row>,
    /// Rows that hold a carry.
    started: Vec<bool>,
}

impl TractStepSession {
    pub(super) fn new(prepared: Prepared) -> Result<Self> {
        let batch = prepared.info.batch;
        let rows: TractResult<_> = (0..batch).map(|_| prepared.row()).collect();
        let rows = rows.map_err(|error| failed("allocate the carry".to_owned(), error))?;
        Ok(Self { prepared, rows, started: vec![false; batch] })
    }
}

impl StepSession for TractStepSession {
    fn info(&self) -> &SessionInfo {
        &self.prepared.info
    }

    fn config(&self) -> &TrmConfig {
        &self.prepared.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        let Self { prepared, rows, started } = self;
        checks::check_step(&prepared.config, started, input)?;
        let outputs = prepared.on_rows(rows, |index, row| {
            if input.idle[index] {
                return Ok(None);
            }
            let [tokens, puzzle_id] = prepared.puzzle(index, &input.tokens, &input.puzzle_ids)?;
            let reset = tensor(&[1], &input.reset[index..=index])?;
            row.state.run(tvec![tokens, puzzle_id, reset, row.z_h.clone(), row.z_l.clone()]).map(Some)
        })?;
        let TrmConfig { seq_len, vocab_size, .. } = prepared.config;
        let output = ActOutput {
            answer: gather(&outputs, 0, seq_len)?,
            q_halt: gather(&outputs, 1, 1)?,
            q_continue: gather(&outputs, 2, 1)?,
            logits: prepared.want_logits.then(|| gather(&outputs, 5, seq_len * vocab_size)).transpose()?,
        };
        checks::check_finite(GraphKind::Step, "q_halt", &output.q_halt)?;
        for ((row, started), output) in rows.iter_mut().zip(started).zip(&outputs) {
            *started = output.is_some();
            if let Some(output) = output {
                row.z_h = output[3].clone();
                row.z_l = output[4].clone();
            }
        }
        Ok(output)
    }

    fn carry(&self) -> Result<Carry> {
        let mut carry = Carry { z_h: Vec::new(), z_l: Vec::new() };
        self.rows
            .iter()
            .try_for_each(|row| {
                read(&row.z_h, &mut carry.z_h)?;
                read(&row.z_l, &mut carry.z_l)
            })
            .map_err(|error| failed("read the carry".to_owned(), error))?;
        Ok(carry)
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        let config = &self.prepared.config;
        checks::check_carry(config, self.rows.len(), carry)?;
        let shape = [1, config.total_len(), config.hidden_size];
        let width = shape.iter().product();
        let values = carry.z_h.chunks_exact(width).zip(carry.z_l.chunks_exact(width));
        let tensors: TractResult<Vec<_>> =
            values.map(|(z_h, z_l)| Ok((tensor(&shape, z_h)?, tensor(&shape, z_l)?))).collect();
        let tensors = tensors.map_err(|error| failed("write the carry".to_owned(), error))?;
        for (row, (z_h, z_l)) in self.rows.iter_mut().zip(tensors) {
            (row.z_h, row.z_l) = (z_h, z_l);
        }
        self.started.fill(true);
        Ok(())
    }

    fn add_to_carry(&mut self, row: usize, delta: &Carry) -> Result<()> {
        let config = &self.prepared.config;
        checks::check_delta(config, &self.started, row, delta)?;
        let shape = [1, config.total_len(), config.hidden_size];
        let sum = |state: &TValue, delta: &[f32]| -> TractResult<TValue> {
            let mut values = Vec::with_capacity(delta.len());
            read(state, &mut values)?;
            values.iter_mut().zip(delta).for_each(|(value, delta): (&mut f32, _)| *value += delta);
            tensor(&shape, &values)
        };
        let row = &mut self.rows[row];
        let sums = sum(&row.z_h, &delta.z_h).and_then(|z_h| Ok((z_h, sum(&row.z_l, &delta.z_l)?)));
        (row.z_h, row.z_l) = sums.map_err(|error| failed("change the carry".to_owned(), error))?;
        Ok(())
    }
}

/// An unrolled graph.
pub(super) struct TractSolveSession {
    prepared: Prepared,
}

impl TractSolveSession {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self { prepared }
    }
}

impl SolveSession for TractSolveSession {
    fn info(&self) -> &SessionInfo {
        &self.prepared.info
    }

    fn config(&self) -> &TrmConfig {
        &self.prepared.config
    }

    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput> {
        let prepared = &self.prepared;
        let Prepared { config, info, .. } = prepared;
        checks::check_solve(config, info.graph, info.batch, input)?;
        let outputs = prepared.on_rows(&mut vec![(); info.batch], |row, ()| {
            let [tokens, puzzle_id] = prepared.puzzle(row, &input.tokens, &input.puzzle_ids)?;
            prepared.plan.run(tvec![tokens, puzzle_id, tensor(&[], &[input.halt_threshold])?]).map(Some)
        })?;
        let output = SolveOutput {
            answer: gather(&outputs, 0, 0)?,
            q_halt: gather(&outputs, 1, 0)?,
            q_continue: gather(&outputs, 2, 0)?,
            steps: gather(&outputs, 3, 0)?,
            logits: prepared.want_logits.then(|| gather(&outputs, 4, 0)).transpose()?,
        };
        checks::check_finite(info.graph, "q_halt", &output.q_halt)?;
        Ok(output)
    }
}
