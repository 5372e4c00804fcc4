//! The recursion of one ACT step and the heads that read its result.

use trm_models::{Architecture, GraphTarget, TrmConfig};

use super::block::block;
use super::weights::{Layout, Model};
use crate::ExportError;
use crate::onnx::operators::{ArgMax, Gather, Identity, Loop, Scan};
use crate::onnx::{Constant, DType, Graph, GraphBuilder, TensorType, ValueId};

/// The latent state between steps, each `[batch, L, D]` (or `[D]`, broadcasting, before the first step).
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// The answer's state.
    pub(crate) h: ValueId,
    /// The reasoning state.
    pub(crate) l: ValueId,
}

/// The outputs of the halting head, `[batch]` float32 each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Q {
    pub(crate) halt: ValueId,
    pub(crate) cont: ValueId,
}

/// One of the model's networks: TRM has one for both states, HRM has one for each.
#[derive(Clone, Copy, Debug)]
struct Network {
    path: &'static str,
    layers: usize,
}

fn networks(config: &TrmConfig) -> (Network, Network) {
    let low = Network { path: "L_level", layers: config.l_layers };
    match config.architecture {
        Architecture::Hrm => (low, Network { path: "H_level", layers: config.h_layers }),
        Architecture::Trm => (low, low),
    }
}

/// `T · (n + 1)` passes: T times { n times `z_L = net(z_L, z_H + x)`; `z_H = net(z_H, z_L)` }.
pub(crate) fn recurse(b: &mut GraphBuilder, model: Model<'_>, state: State, x: ValueId) -> Result<State, ExportError> {
    if model.positions_first() {
        let turn = |b: &mut GraphBuilder, value| b.transpose(value, &[1, 0, 2]);
        let turned = State { h: turn(b, state.h)?, l: turn(b, state.l)? };
        let x = turn(b, x)?;
        let state = cycles(b, model, turned, x)?;
        return Ok(State { h: turn(b, state.h)?, l: turn(b, state.l)? });
    }
    if model.loops() { passes(b, model, state, x) } else { cycles(b, model, state, x) }
}

/// The same passes as turns of one `Loop`, or of a `Scan` over what they add. TRM has one network: in turn `(n + 1) k - 1` it
/// works on `z_H`, in the others on `z_L`.
fn passes(b: &mut GraphBuilder, model: Model<'_>, state: State, x: ValueId) -> Result<State, ExportError> {
    let period = model.config.l_cycles + 1;
    let turns = model.config.h_cycles * period;
    let on_l = Constant::f32(&[turns], (1..=turns).map(|turn| f32::from(turn % period != 0)).collect::<Vec<_>>());
    let on_l = on_l.to_float(model.compute);
    let carried = if model.target == GraphTarget::Tract {
        let table = b.constant("on_z_l", || on_l);
        let body = scan_body(b, model, state, x)?;
        b.nodes(Scan { body, scanned: 1 }, &[state.h, state.l, table])?
    } else {
        let body = loop_body(b, model, state, x, on_l)?;
        let count = b.constant("turns", || Constant::i64(&[], vec![turns as i64]));
        let condition = b.constant("true", Constant::yes);
        b.nodes(Loop { body }, &[count, condition, state.h, state.l])?
    };
    Ok(State { h: carried[0], l: carried[1] })
}

fn loop_body(
    outer: &GraphBuilder,
    model: Model<'_>,
    state: State,
    x: ValueId,
    on_l: Constant,
) -> Result<Graph, ExportError> {
    let mut b = GraphBuilder::new("passes", "pass/");
    let turn = b.input("turn", TensorType::new(DType::I64, []));
    let condition = b.input("condition_in", TensorType::new(DType::Bool, []));
    let h = b.input("z_h", outer.ty(state.h).clone());
    let l = b.input("z_l", outer.ty(state.l).clone());
    let x = b.capture(outer, x);
    let table = b.constant("on_z_l", || on_l);
    let on_l = b.node(Gather { axis: 0 }, &[table, turn])?;
    let next = turn_of(&mut b, model, State { h, l }, x, on_l)?;
    // The condition goes round unchanged: the number of turns ends the loop.
    let go_on = b.node(Identity, &[condition])?;
    b.output("condition", go_on)?;
    b.output("z_h_next", next.h)?;
    b.output("z_l_next", next.l)?;
    Ok(b.finish())
}

fn scan_body(outer: &GraphBuilder, model: Model<'_>, state: State, x: ValueId) -> Result<Graph, ExportError> {
    let mut b = GraphBuilder::new("passes", "pass/");
    let h = b.input("z_h", outer.ty(state.h).clone());
    let l = b.input("z_l", outer.ty(state.l).clone());
    let on_l = b.input("on_z_l", TensorType::new(model.compute, []));
    let x = b.capture(outer, x);
    let next = turn_of(&mut b, model, State { h, l }, x, on_l)?;
    b.output("z_h_next", next.h)?;
    b.output("z_l_next", next.l)?;
    Ok(b.finish())
}

/// The pass on `z_L` where the scalar `on_l` is 1, on `z_H` where it is 0.
fn turn_of(
    b: &mut GraphBuilder,
    model: Model<'_>,
    State { h, l }: State,
    x: ValueId,
    on_l: ValueId,
) -> Result<State, ExportError> {
    let (low, _) = networks(model.config);
    // Either starts from z_H + z_L; that of z_L has the puzzle added, that of z_H nothing.
    let both = b.add(h, l)?;
    let puzzle = b.mul(x, on_l)?;
    let worked_on = pass(b, model, low, both, puzzle)?;
    let on_l = b.cast(on_l, DType::Bool)?;
    Ok(State { h: b.select_where(on_l, h, worked_on)?, l: b.select_where(on_l, worked_on, l)? })
}

fn cycles(b: &mut GraphBuilder, model: Model<'_>, state: State, x: ValueId) -> Result<State, ExportError> {
    let (low, high) = networks(model.config);
    let State { mut h, mut l } = state;
    for outer in 0..model.config.h_cycles {
        for inner in 0..model.config.l_cycles {
            if model.trains() && (outer, inner) == gradient_start(model.config) {
                h = b.detach(h)?;
                l = b.detach(l)?;
            }
            l = b.scoped(format!("h{outer}.l{inner}"), |b| {
                let injection = b.add(h, x)?;
                pass(b, model, low, l, injection)
            })?;
        }
        h = b.scoped(format!("h{outer}"), |b| pass(b, model, high, h, l))?;
    }
    Ok(State { h, l })
}

/// The pass, by outer and inner cycle, from which on a training step keeps gradients: the first of the last outer cycle,
/// and for HRM the very last update of `z_L`.
fn gradient_start(config: &TrmConfig) -> (usize, usize) {
    let inner = match config.architecture {
        Architecture::Trm => 0,
        Architecture::Hrm => config.l_cycles.saturating_sub(1),
    };
    (config.h_cycles.saturating_sub(1), inner)
}

/// `net(s, injection)`: the sum, then each block in order.
fn pass(
    b: &mut GraphBuilder,
    model: Model<'_>,
    network: Network,
    s: ValueId,
    injection: ValueId,
) -> Result<ValueId, ExportError> {
    let mut s = b.add(s, injection)?;
    for layer in 0..network.layers {
        s = b.scoped(format!("layer{layer}"), |b| block(b, model, &format!("{}.layers.{layer}", network.path), s))?;
    }
    Ok(s)
}

/// `q_head` of what the mixer pools, `z_H[:, 0]` in the reference, in float32.
pub(crate) fn halting_head(b: &mut GraphBuilder, model: Model<'_>, h: ValueId) -> Result<Q, ExportError> {
    b.scoped("q_head", |b| {
        let pooled = model.mixer.pool(b, model, h)?;
        let pooled = b.cast(pooled, DType::F32)?;
        let weight = model.weight_f32(b, "q_head.weight", Layout::Transposed)?;
        let bias = model.weight_f32(b, "q_head.bias", Layout::Stored)?;
        let product = b.matmul(pooled, weight)?;
        let q = b.add(product, bias)?;
        Ok(Q { halt: b.select(q, 1, 0)?, cont: b.select(q, 1, 1)? })
    })
}

/// The value that is held against the threshold, above which a row halts: `q_halt`, or `q_halt - q_continue` with
/// Q-learning.
pub(crate) fn halting_margin(b: &mut GraphBuilder, model: Model<'_>, q: Q) -> Result<ValueId, ExportError> {
    if model.config.halts_by_q_learning() { Ok(b.sub(q.halt, q.cont)?) } else { Ok(q.halt) }
}

/// `lm_head(z_H)[:, P:]`: float32 logits `[batch, S, V]`, and the answer, their argmax, i32 `[batch, S]`.
pub(crate) fn answer_head(
    b: &mut GraphBuilder,
    model: Model<'_>,
    h: ValueId,
) -> Result<(ValueId, ValueId), ExportError> {
    b.scoped("lm_head", |b| {
        let logits = model.mixer.logits(b, model, h)?;
        let answer = b.node(ArgMax, &[logits])?;
        Ok((logits, b.cast(answer, DType::I32)?))
    })
}
