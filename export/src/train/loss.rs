//! The loss of one supervision step: cross entropy of the answer in float64 and the halting head's.
//!
//! After the public code's `ACTLossHead`: for each row the mean over its labelled cells, plus half the binary cross
//! entropy of the halting logits, summed over the batch.

use super::LossKind;
use crate::ExportError;
use crate::onnx::operators::{Equal, Less, Log, Neg, Not, ReduceSum, Softmax, Softplus};
use crate::onnx::tensor::Elements;
use crate::onnx::{Constant, DType, Dim, GraphBuilder, OnnxError, ValueId};

/// Label of a cell that has no answer.
const IGNORE_LABEL: i32 = -100;

/// The parts of the answer's loss, a value for each row.
pub(crate) struct AnswerLoss {
    /// Mean cross entropy over the labelled cells, f64 `[batch]`.
    pub(crate) cross_entropy: ValueId,
    /// Labelled cells that are right, i32 `[batch]`.
    pub(crate) cells_right: ValueId,
    /// True if all labelled cells are right, bool `[batch]`; also for a row without labels, as in the reference.
    pub(crate) exact: ValueId,
}

/// Adds the loss of `logits` f32 `[batch, S, V]` and `answer`, with `labels`, both i32 `[batch, S]`. The cross entropy is of
/// `asked`, labels that are not yet the answer's, where they are given.
pub(crate) fn answer_loss(
    b: &mut GraphBuilder,
    kind: LossKind,
    logits: ValueId,
    answer: ValueId,
    labels: ValueId,
    asked: Option<ValueId>,
) -> Result<AnswerLoss, ExportError> {
    let (rows, ..) = sizes(b, logits);
    let cross_entropy = cross_entropy(b, kind, logits, asked.unwrap_or(labels))?;
    let count = labelled(b, labels)?;
    let right = b.node(Equal, &[answer, labels])?;
    let right = b.cast(right, DType::F64)?;
    let right = b.node(ReduceSum { axes: vec![1] }, &[right])?;
    let exact = b.node(Equal, &[right, count])?;
    let exact = b.reshape(exact, &[rows])?;
    let right = b.reshape(right, &[rows])?;
    Ok(AnswerLoss { cross_entropy, cells_right: b.cast(right, DType::I32)?, exact })
}

/// Mean cross entropy of `logits` f32 `[batch, S, V]` over the cells that `labels` i32 `[batch, S]` label, f64 `[batch]`.
pub(super) fn cross_entropy(
    b: &mut GraphBuilder,
    kind: LossKind,
    logits: ValueId,
    labels: ValueId,
) -> Result<ValueId, ExportError> {
    let (rows, cells, vocabulary) = sizes(b, logits);
    let count = labelled(b, labels)?;
    let tokens = b.constant(&format!("vocabulary.{vocabulary}"), || {
        Constant::i32(&[vocabulary], (0..vocabulary as i32).collect::<Vec<_>>())
    });
    let column = b.reshape(labels, &[rows, cells, Dim::Fixed(1)])?;
    let one_hot = b.node(Equal, &[column, tokens])?;
    let wide = b.cast(logits, DType::F64)?;
    let log_probability = match kind {
        LossKind::Stablemax => log_stablemax(b, wide)?,
        LossKind::Softmax => log_softmax(b, wide)?,
    };
    // Chosen rather than multiplied: what is not the label may be infinitely unlikely.
    let zero = b.scalar(0.0, DType::F64);
    let picked = b.select_where(one_hot, log_probability, zero)?;
    let sum = b.node(ReduceSum { axes: vec![1, 2] }, &[picked])?;
    let sum = b.reshape(sum, &[rows])?;
    let one = b.scalar(1.0, DType::F64);
    let none = b.node(Less, &[count, one])?;
    let divisor = b.select_where(none, one, count)?;
    let divisor = b.reshape(divisor, &[rows])?;
    let mean = b.div(sum, divisor)?;
    Ok(b.node(Neg, &[mean])?)
}

/// Labelled cells of each row, f64 `[batch, 1]`.
fn labelled(b: &mut GraphBuilder, labels: ValueId) -> Result<ValueId, ExportError> {
    let ignored = b.constant("label.ignored", || Constant::i32(&[], vec![IGNORE_LABEL]));
    let ignored = b.node(Equal, &[labels, ignored])?;
    let labelled = b.node(Not, &[ignored])?;
    let labelled = b.cast(labelled, DType::F64)?;
    Ok(b.node(ReduceSum { axes: vec![1] }, &[labelled])?)
}

fn sizes(b: &GraphBuilder, logits: ValueId) -> (Dim, Dim, usize) {
    match b.ty(logits).shape[..] {
        [rows, cells, Dim::Fixed(vocabulary)] => (rows, cells, vocabulary),
        _ => (Dim::Batch, Dim::Fixed(0), 0),
    }
}

/// `log(s / sum(s))` over the last axis with `s(v) = v + 1` for v ≥ 0 and `1 / (1 - v + 1e-30)` below.
fn log_stablemax(b: &mut GraphBuilder, logits: ValueId) -> Result<ValueId, OnnxError> {
    b.scoped("stablemax", |b| {
        let (zero, one) = (b.scalar(0.0, DType::F64), b.scalar(1.0, DType::F64));
        let negative = b.node(Less, &[logits, zero])?;
        let above = b.add(logits, one)?;
        let distance = b.sub(one, logits)?;
        let tiny = double(b, "tiny", 1e-30);
        let distance = b.add(distance, tiny)?;
        let below = b.div(one, distance)?;
        let s = b.select_where(negative, below, above)?;
        let sum = b.node(ReduceSum { axes: vec![2] }, &[s])?;
        let (s, sum) = (b.node(Log, &[s])?, b.node(Log, &[sum])?);
        b.sub(s, sum)
    })
}

/// `log(softmax)` over the last axis, of probabilities not below 1e-300.
fn log_softmax(b: &mut GraphBuilder, logits: ValueId) -> Result<ValueId, OnnxError> {
    b.scoped("softmax", |b| {
        let probability = b.node(Softmax, &[logits])?;
        let least = double(b, "least", 1e-300);
        let probability = b.add(probability, least)?;
        b.node(Log, &[probability])
    })
}

fn double(b: &mut GraphBuilder, name: &str, value: f64) -> ValueId {
    b.constant(&format!("loss.{name}"), || Constant { shape: Vec::new(), elements: Elements::F64([value].into()) })
}

/// Binary cross entropy with logits, `softplus(q) - q t`, f32 `[batch]`.
pub(super) fn halting_loss(b: &mut GraphBuilder, q: ValueId, target: ValueId) -> Result<ValueId, ExportError> {
    let softplus = b.node(Softplus, &[q])?;
    let agreed = b.mul(q, target)?;
    Ok(b.sub(softplus, agreed)?)
}
