//! One supervision step as a graph: forward, loss, and the gradient of every parameter.

use trm_models::TrmConfig;

use super::loss::{AnswerLoss, answer_loss, cross_entropy, halting_loss};
use super::{Differentiated, LossKind};
use crate::ExportError;
use crate::autodiff::gradients;
use crate::checkpoint::{LayoutDim, TensorLayout, layout};
use crate::onnx::operators::{ReduceSum, Sigmoid};
use crate::onnx::{DType, Dim, GraphBuilder, TensorType, ValueId};
use crate::trm::embedding::{embed, initial_state};
use crate::trm::quantize::linear;
use crate::trm::recursion::{Q, State, answer_head, halting_head, recurse};
use crate::trm::weights::Model;

/// The options of a training graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOptions {
    /// Rows of a batch.
    pub batch: usize,
    /// Divisor of the summed loss: rows of all batches between two updates, on all machines.
    pub global_batch: usize,
    /// The answer's loss.
    pub loss: LossKind,
    /// True to add gradients to those of earlier steps, which are then inputs `NAME.sum`.
    pub accumulate: bool,
    /// True to teach a maze's wave as well.
    pub wave: bool,
}

/// The states that a fresh carry starts from: buffers of the reference, which it does not train.
pub const BUFFERS: [&str; 2] = ["H_init", "L_init"];

/// The head that training a maze's wave adds to a model: from each cell's state the distance to the goal modulo 3 and the side
/// that the way there goes on by, or that the wave is not there yet. The finished model has it no more.
pub const WAVE_HEAD: &str = "wave_head.weight";
/// The classes of the wave: distances modulo 3, each with the four sides that the way goes on by, and one of cells that it has not
/// reached.
pub const WAVE_CLASSES: usize = 3 * 4 + 1;

/// The tensors that training knows: the model's, and the wave's head where that is taught.
#[must_use]
pub fn trained_layout(config: &TrmConfig, wave: bool) -> Vec<TensorLayout> {
    let head = [LayoutDim::new(WAVE_CLASSES, "classes"), LayoutDim::field("hidden_size", config.hidden_size)];
    let head = wave.then(|| TensorLayout::linear(WAVE_HEAD, [&head[0], &head[1]]));
    layout(config).into_iter().chain(head).collect()
}

/// Builds the step. Inputs: `tokens`, `labels` (-100: no label) i32 `[batch, S]`, `puzzle_ids` i32 `[batch]`, `reset` bool
/// `[batch]`, with Q-learning `last_step` bool `[batch]`, `z_h`, `z_l` f32 `[batch, L, D]`, and every tensor of the state dict
/// under its name, with `accumulate` also `NAME.sum` for each parameter; with `wave` i32 `[batch, S]` `asked`, what the cells are
/// to be after this step, and `wave`, their classes. Outputs besides loss and gradients: `lm_loss`, `q_loss`, `q_halt`, `q_continue` f32, `exact` bool,
/// `cells_right` i32, each `[batch]`, and `z_h_next`, `z_l_next`.
///
/// The public code's training step: gradients flow through the last outer cycle only, and not into the carry.
///
/// # Errors
/// When the configuration is one the public code breaks on.
pub fn training_step(config: &TrmConfig, options: &StepOptions) -> Result<Differentiated, ExportError> {
    config.validate()?;
    let model = Model::of_inputs(config, options.batch);
    let mut builder = GraphBuilder::new("train", "");
    let b = &mut builder;
    let rows = Dim::Fixed(options.batch);
    let cells = TensorType::new(DType::I32, [rows, Dim::Fixed(config.seq_len)]);
    let states = TensorType::new(DType::F32, [rows, Dim::Fixed(config.total_len()), Dim::Fixed(config.hidden_size)]);
    let tokens = b.input("tokens", cells.clone());
    let labels = b.input("labels", cells.clone());
    let puzzle_ids = b.input("puzzle_ids", TensorType::new(DType::I32, [rows]));
    let reset = b.input("reset", TensorType::new(DType::Bool, [rows]));
    let q_learning = config.halts_by_q_learning();
    let last_step = q_learning.then(|| b.input("last_step", TensorType::new(DType::Bool, [rows])));
    let carry = State { h: b.input("z_h", states.clone()), l: b.input("z_l", states) };
    let taught = options.wave.then(|| [b.input("asked", cells.clone()), b.input("wave", cells)]);
    let parameters = trained_layout(config, options.wave)
        .into_iter()
        .map(|tensor| {
            let shape = tensor.shape.iter().map(|&size| Dim::Fixed(size)).collect::<Vec<_>>();
            let id = b.input(&tensor.name, TensorType::new(DType::F32, shape));
            (tensor.name, id)
        })
        .collect::<Vec<_>>();

    let x = b.scoped("embed", |b| embed(b, model, tokens, puzzle_ids))?;
    let state = b.scoped("reset", |b| {
        let reset = b.per_row(reset)?;
        let (h, l) = (initial_state(b, model, "H_init")?, initial_state(b, model, "L_init")?);
        Ok::<_, ExportError>(State { h: b.select_where(reset, h, carry.h)?, l: b.select_where(reset, l, carry.l)? })
    })?;
    let state = recurse(b, model, state, x)?;
    let q = halting_head(b, model, state.h)?;
    let (logits, answer) = answer_head(b, model, state.h)?;
    let next = match last_step {
        Some(last_step) => Some((last_step, b.scoped("next", |b| look_ahead(b, model, state, x))?)),
        None => None,
    };
    let (loss, outputs) = b.scoped("loss", |b| {
        let answer = answer_loss(b, options.loss, logits, answer, labels, taught.map(|[asked, _]| asked))?;
        let of_wave = match taught {
            Some([_, wave]) => {
                let logits = linear(b, model, WAVE_HEAD, state.h)?;
                Some(cross_entropy(b, LossKind::Softmax, logits, wave)?)
            }
            None => None,
        };
        total_loss(b, options, &answer, of_wave, (q, next))
    })?;
    let trained = parameters.iter().filter(|(name, _)| !BUFFERS.contains(&name.as_str())).cloned().collect::<Vec<_>>();
    let wrt = trained.iter().map(|(_, id)| *id).collect::<Vec<_>>();
    let found = gradients(b, loss, &wrt)?;
    let gradients = trained.iter().zip(found).map(|((name, _), gradient)| {
        let name = name.clone();
        if !options.accumulate {
            return Ok((name, gradient));
        }
        let sum = b.input(&format!("{name}.sum"), b.ty(gradient).clone());
        Ok((name, b.add(sum, gradient)?))
    });
    let gradients = gradients.collect::<Result<Vec<_>, ExportError>>()?;
    let outputs = outputs.into_iter().chain([("z_h_next", state.h), ("z_l_next", state.l)]).collect();
    Ok(Differentiated { builder, loss, parameters: trained, gradients, outputs })
}

/// The halting logits that the following step would find, without gradient.
fn look_ahead(b: &mut GraphBuilder, model: Model<'_>, state: State, x: ValueId) -> Result<Q, ExportError> {
    let state = State { h: b.detach(state.h)?, l: b.detach(state.l)? };
    let x = b.detach(x)?;
    let next = recurse(b, model, state, x)?;
    halting_head(b, model, next.h)
}

type Outputs = Vec<(&'static str, ValueId)>;

/// The scalar that is differentiated, and the values that a step returns for each row.
fn total_loss(
    b: &mut GraphBuilder,
    options: &StepOptions,
    answer: &AnswerLoss,
    of_wave: Option<ValueId>,
    (q, next): (Q, Option<(ValueId, Q)>),
) -> Result<(ValueId, Outputs), ExportError> {
    let target = b.cast(answer.exact, DType::F32)?;
    let mut q_loss = halting_loss(b, q.halt, target)?;
    if let Some((last_step, next)) = next {
        // Q-learning: what continuing is worth is the better of the next step's two, or its halting if it is the last.
        let halts = b.greater(next.halt, next.cont)?;
        let best = b.select_where(halts, next.halt, next.cont)?;
        let worth = b.select_where(last_step, next.halt, best)?;
        let worth = b.node(Sigmoid, &[worth])?;
        let worth = b.detach(worth)?;
        let of_continuing = halting_loss(b, q.cont, worth)?;
        q_loss = b.add(q_loss, of_continuing)?;
    }
    let half = b.scalar(0.5, DType::F64);
    let halting = b.cast(q_loss, DType::F64)?;
    let halting = b.mul(halting, half)?;
    let mut by_row = b.add(answer.cross_entropy, halting)?;
    if let Some(of_wave) = of_wave {
        by_row = b.add(by_row, of_wave)?;
    }
    let sum = b.node(ReduceSum { axes: vec![0] }, &[by_row])?;
    let sum = b.reshape(sum, &[])?;
    let divisor = b.scalar(options.global_batch as f32, DType::F64);
    let loss = b.div(sum, divisor)?;
    let loss = b.cast(loss, DType::F32)?;
    let lm_loss = b.cast(answer.cross_entropy, DType::F32)?;
    let outputs = vec![
        ("lm_loss", lm_loss),
        ("q_loss", q_loss),
        ("exact", answer.exact),
        ("cells_right", answer.cells_right),
        ("q_halt", q.halt),
        ("q_continue", q.cont),
    ];
    Ok((loss, outputs))
}
