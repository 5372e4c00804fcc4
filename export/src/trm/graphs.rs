//! The three inference graphs around one ACT step: step, solve (halting in a `Loop`), unrolled.

use trm_models::TrmConfig;

use super::embedding::{embed, initial_state, to_carry};
use super::recursion::{Q, State, answer_head, halting_head, halting_margin, recurse};
use super::weights::Model;
use crate::ExportError;
use crate::onnx::operators::{Equal, Loop, Not, ReduceMax};
use crate::onnx::{Constant, DType, Dim, Graph, GraphBuilder, TensorType, ValueId};

const BATCH: Dim = Dim::Batch;

fn row(dtype: DType) -> TensorType {
    TensorType::new(dtype, [BATCH])
}

fn scalar(dtype: DType) -> TensorType {
    TensorType::new(dtype, [])
}

fn tokens(b: &mut GraphBuilder, config: &TrmConfig) -> ValueId {
    b.input("tokens", TensorType::new(DType::I32, [BATCH, Dim::Fixed(config.seq_len)]))
}

fn state_type(config: &TrmConfig, dtype: DType) -> TensorType {
    TensorType::new(dtype, [BATCH, Dim::Fixed(config.total_len()), Dim::Fixed(config.hidden_size)])
}

/// One ACT step; the carry goes in and out, and `reset` gives a row a fresh one.
pub(super) fn step(model: Model<'_>) -> Result<Graph, ExportError> {
    step_builder(model).map(GraphBuilder::finish)
}

/// A step graph that also returns the squares of the largest magnitudes of its products' inputs, with the names of the
/// products' weights in the order of these outputs.
pub(super) fn calibration(model: Model<'_>) -> Result<(Graph, Vec<String>), ExportError> {
    let mut b = step_builder(model.calibrating())?;
    let marks = b.marks().to_vec();
    for (index, &(_, observed)) in marks.iter().enumerate() {
        b.output(&format!("observed.{index}"), observed)?;
    }
    Ok((b.finish(), marks.into_iter().map(|(name, _)| name).collect()))
}

fn step_builder(model: Model<'_>) -> Result<GraphBuilder, ExportError> {
    let config = model.config;
    let mut b = GraphBuilder::new("step", "");
    let tokens = tokens(&mut b, config);
    let puzzle_ids = b.input("puzzle_ids", row(DType::I32));
    let reset = b.input("reset", row(DType::Bool));
    let z_h = b.input("z_h", state_type(config, DType::F32));
    let z_l = b.input("z_l", state_type(config, DType::F32));

    let x = b.scoped("embed", |b| embed(b, model, tokens, puzzle_ids))?;
    let state = b.scoped("reset", |b| {
        let reset = b.per_row(reset)?;
        Ok::<_, ExportError>(State {
            h: fresh_or(b, model, "H_init", reset, z_h)?,
            l: fresh_or(b, model, "L_init", reset, z_l)?,
        })
    })?;
    let state = recurse(&mut b, model, state, x)?;
    let q = halting_head(&mut b, model, state.h)?;
    let (logits, answer) = answer_head(&mut b, model, state.h)?;

    b.output("answer", answer)?;
    b.output("q_halt", q.halt)?;
    b.output("q_continue", q.cont)?;
    for (name, state) in [("z_h_next", state.h), ("z_l_next", state.l)] {
        let carry = to_carry(&mut b, state)?;
        b.output(name, carry)?;
    }
    b.output("logits", logits)?;
    Ok(b)
}

fn fresh_or(
    b: &mut GraphBuilder,
    model: Model<'_>,
    init: &str,
    reset: ValueId,
    carried: ValueId,
) -> Result<ValueId, ExportError> {
    let fresh = initial_state(b, model, init)?;
    let carried = b.cast(carried, model.compute)?;
    Ok(b.select_where(reset, fresh, carried)?)
}

/// The values that the whole-puzzle graphs keep of each row besides its state.
#[derive(Clone, Copy)]
struct Rows {
    q: Q,
    /// Steps taken, i32 `[batch]`.
    steps: ValueId,
    /// Rows that have halted, bool `[batch]`.
    halted: ValueId,
}

impl Rows {
    /// No step taken: zeros with the batch's length, made from `puzzle_ids`.
    fn start(b: &mut GraphBuilder, puzzle_ids: ValueId) -> Result<Self, ExportError> {
        b.scoped("start", |b| {
            let steps = b.sub(puzzle_ids, puzzle_ids)?;
            let zeros = b.cast(steps, DType::F32)?;
            let halted = b.cast(steps, DType::Bool)?;
            Ok(Self { q: Q { halt: zeros, cont: zeros }, steps, halted })
        })
    }
}

/// One step that leaves halted rows as they are.
fn frozen_step(
    b: &mut GraphBuilder,
    model: Model<'_>,
    (state, rows): (State, Rows),
    x: ValueId,
    threshold: ValueId,
) -> Result<(State, Rows), ExportError> {
    let next = recurse(b, model, state, x)?;
    let next_q = halting_head(b, model, next.h)?;
    b.scoped("halt", |b| {
        let frozen = b.per_row(rows.halted)?;
        let state = State { h: b.select_where(frozen, state.h, next.h)?, l: b.select_where(frozen, state.l, next.l)? };
        let q = Q {
            halt: b.select_where(rows.halted, rows.q.halt, next_q.halt)?,
            cont: b.select_where(rows.halted, rows.q.cont, next_q.cont)?,
        };
        let active = b.node(Not, &[rows.halted])?;
        let active = b.cast(active, DType::I32)?;
        let steps = b.add(rows.steps, active)?;
        let margin = halting_margin(b, model, q)?;
        let done = b.greater(margin, threshold)?;
        let halted = b.or(rows.halted, done)?;
        Ok((state, Rows { q, steps, halted }))
    })
}

/// Outputs of a whole-puzzle graph, the heads applied once to the last state.
fn finish(mut b: GraphBuilder, model: Model<'_>, h: ValueId, rows: Rows) -> Result<Graph, ExportError> {
    let (logits, answer) = answer_head(&mut b, model, h)?;
    b.output("answer", answer)?;
    b.output("q_halt", rows.q.halt)?;
    b.output("q_continue", rows.q.cont)?;
    b.output("steps", rows.steps)?;
    b.output("logits", logits)?;
    Ok(b.finish())
}

/// Whole puzzles in one call: a `Loop` over steps that ends when every row has halted or `max_steps` are done.
pub(super) fn solve(model: Model<'_>) -> Result<Graph, ExportError> {
    let config = model.config;
    let mut b = GraphBuilder::new("solve", "");
    let tokens = tokens(&mut b, config);
    let puzzle_ids = b.input("puzzle_ids", row(DType::I32));
    let threshold = b.input("halt_threshold", scalar(DType::F32));
    let max_steps = b.input("max_steps", scalar(DType::I64));
    let x = b.scoped("embed", |b| embed(b, model, tokens, puzzle_ids))?;
    let rows = Rows::start(&mut b, puzzle_ids)?;

    let body = loop_body(&b, model, x, threshold)?;
    let condition = b.constant("true", Constant::yes);
    // The first state carried in is never read: the body's first turn starts from H_init and L_init. `x` has
    // its shape.
    let inputs = [max_steps, condition, x, x, rows.q.halt, rows.q.cont, rows.steps, rows.halted];
    let carried = b.nodes(Loop { body }, &inputs)?;
    let rows = Rows { q: Q { halt: carried[2], cont: carried[3] }, steps: carried[4], halted: carried[5] };
    finish(b, model, carried[0], rows)
}

fn loop_body(outer: &GraphBuilder, model: Model<'_>, x: ValueId, threshold: ValueId) -> Result<Graph, ExportError> {
    let mut b = GraphBuilder::new("solve_body", "body/");
    let iteration = b.input("iteration", scalar(DType::I64));
    b.input("condition_in", scalar(DType::Bool));
    let carried = State {
        h: b.input("z_h", state_type(model.config, model.compute)),
        l: b.input("z_l", state_type(model.config, model.compute)),
    };
    let rows = Rows {
        q: Q { halt: b.input("q_halt", row(DType::F32)), cont: b.input("q_continue", row(DType::F32)) },
        steps: b.input("steps", row(DType::I32)),
        halted: b.input("halted", row(DType::Bool)),
    };
    let x = b.capture(outer, x);
    let threshold = b.capture(outer, threshold);
    let zero = b.constant("zero", || Constant::i64(&[], vec![0]));
    let first = b.node(Equal, &[iteration, zero])?;
    let state = State {
        h: fresh_or(&mut b, model, "H_init", first, carried.h)?,
        l: fresh_or(&mut b, model, "L_init", first, carried.l)?,
    };
    let (state, rows) = frozen_step(&mut b, model, (state, rows), x, threshold)?;
    let active = b.node(Not, &[rows.halted])?;
    let active = b.cast(active, DType::I32)?;
    let any = b.node(ReduceMax { axes: Vec::new() }, &[active])?;
    let go_on = b.cast(any, DType::Bool)?;
    b.output("condition", go_on)?;
    b.output("z_h_next", state.h)?;
    b.output("z_l_next", state.l)?;
    b.output("q_halt_next", rows.q.halt)?;
    b.output("q_continue_next", rows.q.cont)?;
    b.output("steps_next", rows.steps)?;
    b.output("halted_next", rows.halted)?;
    Ok(b.finish())
}

/// `steps` steps without control flow, for runtimes that lack `Loop`.
pub(super) fn unrolled(model: Model<'_>, steps: usize) -> Result<Graph, ExportError> {
    let config = model.config;
    let mut b = GraphBuilder::new("unrolled", "");
    let tokens = tokens(&mut b, config);
    let puzzle_ids = b.input("puzzle_ids", row(DType::I32));
    let threshold = b.input("halt_threshold", scalar(DType::F32));
    let x = b.scoped("embed", |b| embed(b, model, tokens, puzzle_ids))?;
    let mut rows = Rows::start(&mut b, puzzle_ids)?;
    // [D]: broadcasts to [batch, L, D] in the first pass.
    let mut state = State { h: initial_state(&mut b, model, "H_init")?, l: initial_state(&mut b, model, "L_init")? };
    for step in 0..steps {
        (state, rows) = b.scoped(format!("step{step}"), |b| frozen_step(b, model, (state, rows), x, threshold))?;
    }
    finish(b, model, state.h, rows)
}
