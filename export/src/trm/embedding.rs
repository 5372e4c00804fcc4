//! Input embedding: tokens and puzzle identity to `x`, `[batch, L, D]`.

use trm_models::PosEncodings;

use super::weights::{Layout, Model};
use crate::ExportError;
use crate::onnx::operators::{Concat, Gather};
use crate::onnx::{DType, Dim, GraphBuilder, ValueId};

/// `sqrt(D) · e`, where `e` is the token embedding with the puzzle embedding in front of it and, with learned
/// positions, `0.707106781 · (e + pos)`. On a board the puzzle embedding is added to every position.
///
/// `tokens` i32 `[batch, S]`, `puzzle_ids` i32 `[batch]`.
pub(crate) fn embed(
    b: &mut GraphBuilder,
    model: Model<'_>,
    tokens: ValueId,
    puzzle_ids: ValueId,
) -> Result<ValueId, ExportError> {
    let config = model.config;
    let mut e = model.mixer.embed(b, model, tokens)?;
    if config.puzzle_emb_ndim > 0 && config.mixer.has_board() {
        let table = model.weight(b, "puzzle_emb.weights", Layout::Stored)?;
        let row = b.node(Gather { axis: 0 }, &[table, puzzle_ids])?;
        let row = b.reshape(row, &[model.batch, Dim::Fixed(1), Dim::Fixed(config.hidden_size)])?;
        e = b.add(e, row)?;
    } else if config.puzzle_emb_ndim > 0 {
        let prefix = puzzle_prefix(b, model, puzzle_ids)?;
        e = b.node(Concat { axis: 1 }, &[prefix, e])?;
    }
    if config.pos_encodings == PosEncodings::Learned {
        let positions = model.weight(b, "embed_pos.embedding_weight", Layout::Stored)?;
        let sum = b.add(e, positions)?;
        // 1/sqrt(2) with the reference's digits.
        let half = b.scalar(0.707_106_77, model.compute);
        e = b.mul(sum, half)?;
    }
    let scale = b.scalar((config.hidden_size as f64).sqrt() as f32, model.compute);
    Ok(b.mul(e, scale)?)
}

/// A row of the puzzle embedding, zero-padded to `P · D` and shaped `[batch, P, D]`.
fn puzzle_prefix(b: &mut GraphBuilder, model: Model<'_>, puzzle_ids: ValueId) -> Result<ValueId, ExportError> {
    let config = model.config;
    let (prefix, hidden, ndim) = (config.prefix_len(), config.hidden_size, config.puzzle_emb_ndim);
    let table = model.weight(b, "puzzle_emb.weights", Layout::Stored)?;
    let row = b.node(Gather { axis: 0 }, &[table, puzzle_ids])?;
    let missing = prefix * hidden - ndim;
    let row = if missing == 0 {
        row
    } else {
        // Rows of zeros with the batch's length, from the row itself: 0 · row would keep a NaN, so the padding
        // is gathered from a table of one zero row instead.
        let zeros = b.constant("puzzle_emb.padding", || {
            crate::onnx::Constant::f32(&[1, missing], vec![0.0; missing]).to_float(model.compute)
        });
        let first = b.sub(puzzle_ids, puzzle_ids)?;
        let padding = b.node(Gather { axis: 0 }, &[zeros, first])?;
        b.node(Concat { axis: 1 }, &[row, padding])?
    };
    Ok(b.reshape(row, &[model.batch, Dim::Fixed(prefix), Dim::Fixed(hidden)])?)
}

/// A state `[D]` as the checkpoint stores it, in the compute type; it broadcasts over batch and positions.
pub(crate) fn initial_state(b: &mut GraphBuilder, model: Model<'_>, name: &str) -> Result<ValueId, ExportError> {
    model.weight(b, name, Layout::Stored)
}

/// Converts a state to the carry between steps, which is float32 whatever the recursion computes in.
pub(crate) fn to_carry(b: &mut GraphBuilder, state: ValueId) -> Result<ValueId, ExportError> {
    Ok(b.cast(state, DType::F32)?)
}
