//! The norm behind each half of a block.

use super::weights::Model;
use crate::onnx::operators::{ReduceMean, SkipSimplifiedLayerNormalization, Sqrt};
use crate::onnx::{Constant, DType, Dim, GraphBuilder, OnnxError, ValueId};

/// The last axis of `[batch, L, D]`: the channels; of a turned state, the positions.
pub(super) const LAST: usize = 2;

/// `rms(s + mixed)`, `rms(s) = s / sqrt(mean(s²) + eps)` over an axis, computed in float32, no weight.
pub(super) fn residual_norm(
    b: &mut GraphBuilder,
    model: Model<'_>,
    s: ValueId,
    mixed: ValueId,
    axis: usize,
) -> Result<ValueId, OnnxError> {
    b.scoped("rms_norm", |b| {
        let epsilon = model.config.rms_norm_eps as f32;
        let last = b.ty(s).shape.last().copied();
        if let (true, LAST, Some(Dim::Fixed(size))) = (model.fuses(), axis, last) {
            let gamma = b.constant(&format!("ones.{size}"), || Constant::f32(&[size], vec![1.0; size]));
            return b.node(SkipSimplifiedLayerNormalization { epsilon }, &[s, mixed, gamma]);
        }
        let sum = b.add(s, mixed)?;
        let sum = b.cast(sum, DType::F32)?;
        let square = b.mul(sum, sum)?;
        let mean = b.node(ReduceMean { axis }, &[square])?;
        let eps = b.scalar(epsilon, DType::F32);
        let mean = b.add(mean, eps)?;
        let root = b.node(Sqrt, &[mean])?;
        let normed = b.div(sum, root)?;
        b.cast(normed, model.compute)
    })
}
