//! One post-norm block: token mixing, then `SwiGLU` over the channels.

use super::norm::{LAST, residual_norm};
use super::swiglu::{Mixing, swiglu};
use super::weights::Model;
use crate::ExportError;
use crate::onnx::{GraphBuilder, ValueId};

/// The block whose weights are under `path`, e.g. `L_level.layers.0`: a state, `[batch, L, D]`, to one of the same shape.
pub(super) fn block(b: &mut GraphBuilder, model: Model<'_>, path: &str, s: ValueId) -> Result<ValueId, ExportError> {
    let s = model.mixer.mix(b, model, path, s)?;
    let mixed = swiglu(b, model, &format!("{path}.mlp"), s, Mixing::Channels)?;
    Ok(residual_norm(b, model, s, mixed, LAST)?)
}
