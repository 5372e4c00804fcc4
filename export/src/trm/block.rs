//! One post-norm block: token mixing (attention or MLP-T), then SwiGLU.

use trm_models::PosEncodings;

use super::quantize::{linear, linear_part, observe};
use super::weights::{Layout, Model, Part};
use crate::ExportError;
use crate::onnx::operators::{
    Concat, MultiHeadAttention, ReduceMean, RotaryEmbedding, Sigmoid, SkipSimplifiedLayerNormalization, Softmax, Split,
    Sqrt,
};
use crate::onnx::{Constant, DType, Dim, GraphBuilder, OnnxError, ValueId};

/// The block whose weights are under `path`, e.g. `L_level.layers.0`: `[batch, L, D]` to `[batch, L, D]`.
pub(super) fn block(b: &mut GraphBuilder, model: Model<'_>, path: &str, s: ValueId) -> Result<ValueId, ExportError> {
    let s = if model.config.mlp_t {
        mix_tokens(b, model, &format!("{path}.mlp_t"), s)?
    } else {
        let mixed = attention(b, model, &format!("{path}.self_attn"), s)?;
        residual_norm(b, model, s, mixed, LAST)?
    };
    let mixed = swiglu(b, model, &format!("{path}.mlp"), s, Mixing::Channels)?;
    Ok(residual_norm(b, model, s, mixed, LAST)?)
}

/// MLP-T with its norm.
fn mix_tokens(b: &mut GraphBuilder, model: Model<'_>, path: &str, s: ValueId) -> Result<ValueId, ExportError> {
    let (gate_up, down_proj) = swiglu_weights(path);
    if model.quantised(&gate_up).is_none() && model.quantised(&down_proj).is_none() {
        let mixed = swiglu(b, model, path, s, Mixing::Tokens)?;
        return Ok(residual_norm(b, model, s, mixed, Mixing::Tokens.axis(model))?);
    }
    // Engines have 8-bit products with the weight on the right only.
    let turned = b.transpose(s, &[0, 2, 1])?;
    let mixed = swiglu_of_last_axis(b, model, [&gate_up, &down_proj], turned)?;
    let normed = residual_norm(b, model, turned, mixed, LAST)?;
    Ok(b.transpose(normed, &[0, 2, 1])?)
}

/// The last axis of `[batch, L, D]`: the channels; of a turned state, the positions.
const LAST: usize = 2;

/// Which axis of `[batch, L, D]`, or of a training graph's `[L, batch, D]`, a layer works along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mixing {
    /// The L positions: the reference transposes, applies the layer and transposes back; here the weight
    /// multiplies from the left, which is the same product without moving the data (a fifth faster, measured).
    Tokens,
    /// The D channels.
    Channels,
}

impl Mixing {
    fn axis(self, model: Model<'_>) -> usize {
        match self {
            Self::Tokens if model.positions_first() => 0,
            Self::Tokens => 1,
            Self::Channels => LAST,
        }
    }

    fn layout(self) -> Layout {
        match self {
            Self::Tokens => Layout::Stored,
            Self::Channels => Layout::Transposed,
        }
    }

    fn product(self, b: &mut GraphBuilder, weight: ValueId, s: ValueId) -> Result<ValueId, ExportError> {
        match self {
            Self::Tokens => Ok(b.matmul(weight, s)?),
            Self::Channels => Ok(b.matmul(s, weight)?),
        }
    }
}

/// `down(silu(gate) · up)`, the gate being the first half of `gate_up`.
fn swiglu(
    b: &mut GraphBuilder,
    model: Model<'_>,
    path: &str,
    s: ValueId,
    mixing: Mixing,
) -> Result<ValueId, ExportError> {
    let (gate_up, down_proj) = swiglu_weights(path);
    if mixing == Mixing::Channels && !model.trains() {
        return swiglu_of_last_axis(b, model, [&gate_up, &down_proj], s);
    }
    b.scoped("swiglu", |b| {
        let shape = b.ty(s).shape.clone();
        let flat = mixing == Mixing::Tokens && model.positions_first();
        // [L, batch, D] as a matrix of L rows.
        let s = if flat { flattened(b, model, s)? } else { s };
        observe(b, model, &gate_up, s, mixing.axis(model))?;
        let mut half = |part| {
            let weight = model.part(b, &gate_up, part, mixing.layout())?;
            mixing.product(b, weight, s)
        };
        let [gate, up] = Part::GATE_UP;
        let (gate, up) = (half(gate)?, half(up)?);
        let product = gated(b, gate, up)?;
        observe(b, model, &down_proj, product, mixing.axis(model))?;
        let weight = model.weight(b, &down_proj, mixing.layout())?;
        let down = mixing.product(b, weight, product)?;
        Ok(if flat { b.reshape(down, &shape)? } else { down })
    })
}

fn swiglu_weights(path: &str) -> (String, String) {
    (format!("{path}.gate_up_proj.weight"), format!("{path}.down_proj.weight"))
}

/// The same along the last axis, in any precision.
fn swiglu_of_last_axis(
    b: &mut GraphBuilder,
    model: Model<'_>,
    [gate_up, down_proj]: [&str; 2],
    s: ValueId,
) -> Result<ValueId, ExportError> {
    b.scoped("swiglu", |b| {
        observe(b, model, gate_up, s, LAST)?;
        let [gate, up] = Part::GATE_UP;
        let gate = linear_part(b, model, gate_up, gate, s)?;
        let up = linear_part(b, model, gate_up, up, s)?;
        let product = gated(b, gate, up)?;
        observe(b, model, down_proj, product, LAST)?;
        linear(b, model, down_proj, product)
    })
}

/// `silu(gate) · up`.
fn gated(b: &mut GraphBuilder, gate: ValueId, up: ValueId) -> Result<ValueId, ExportError> {
    let sigmoid = b.node(Sigmoid, &[gate])?;
    let silu = b.mul(gate, sigmoid)?;
    Ok(b.mul(silu, up)?)
}

fn flattened(b: &mut GraphBuilder, model: Model<'_>, s: ValueId) -> Result<ValueId, ExportError> {
    let Dim::Fixed(rows) = model.batch else { return Ok(s) };
    Ok(b.reshape(s, &[Dim::Fixed(model.config.total_len()), Dim::Fixed(rows * model.config.hidden_size)])?)
}

/// `rms(s + mixed)`, `rms(s) = s / sqrt(mean(s²) + eps)` over an axis, computed in float32, no weight.
fn residual_norm(
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

/// Non-causal softmax attention, heads of width `D / h`, scaled by `1 / sqrt(D / h)`, RoPE on queries and keys.
fn attention(b: &mut GraphBuilder, model: Model<'_>, path: &str, s: ValueId) -> Result<ValueId, ExportError> {
    b.scoped("attention", |b| {
        let name = format!("{path}.qkv_proj.weight");
        observe(b, model, &name, s, LAST)?;
        let qkv = if model.trains() {
            let qkv = linear(b, model, &name, s)?;
            let parts = b.nodes(Split { axis: LAST, sizes: vec![model.config.hidden_size; 3] }, &[qkv])?;
            [parts[0], parts[1], parts[2]]
        } else {
            let [queries, keys, values] = Part::QKV;
            let mut product = |part| linear_part(b, model, &name, part, s);
            [product(queries)?, product(keys)?, product(values)?]
        };
        let attended = if model.fuses() { attend_fused(b, model, qkv)? } else { attend(b, model, qkv)? };
        let name = format!("{path}.o_proj.weight");
        observe(b, model, &name, attended, LAST)?;
        linear(b, model, &name, attended)
    })
}

/// Queries, keys and values `[batch, L, D]` to what each position takes from the others, `[batch, L, D]`.
fn attend(
    b: &mut GraphBuilder,
    model: Model<'_>,
    [queries, keys, values]: [ValueId; 3],
) -> Result<ValueId, ExportError> {
    let config = model.config;
    let (len, hidden, heads, width) = (config.total_len(), config.hidden_size, config.num_heads, config.head_dim());
    let by_head = [model.batch, Dim::Fixed(len), Dim::Fixed(heads), Dim::Fixed(width)];
    let turned = |b: &mut GraphBuilder, x| {
        let x = b.reshape(x, &by_head)?;
        if config.pos_encodings == PosEncodings::Rope { rotate(b, model, x) } else { Ok(x) }
    };
    let (queries, keys) = (turned(b, queries)?, turned(b, keys)?);
    let scale = b.scalar((1.0 / (width as f64).sqrt()) as f32, model.compute);
    let queries = b.mul(queries, scale)?;
    let queries = b.transpose(queries, &[0, 2, 1, 3])?;
    let keys = b.transpose(keys, &[0, 2, 3, 1])?;
    let scores = b.matmul(queries, keys)?;
    let probabilities = b.node(Softmax, &[scores])?;
    let values = b.reshape(values, &by_head)?;
    let values = b.transpose(values, &[0, 2, 1, 3])?;
    let attended = b.matmul(probabilities, values)?;
    let attended = b.transpose(attended, &[0, 2, 1, 3])?;
    Ok(b.reshape(attended, &[model.batch, Dim::Fixed(len), Dim::Fixed(hidden)])?)
}

/// [`attend`] by ONNX Runtime's own operators, which never hold all the scores at once.
fn attend_fused(
    b: &mut GraphBuilder,
    model: Model<'_>,
    [queries, keys, values]: [ValueId; 3],
) -> Result<ValueId, ExportError> {
    let heads = model.config.num_heads;
    let [queries, keys] = if model.config.pos_encodings == PosEncodings::Rope {
        let half = model.config.head_dim() / 2;
        let cos = rope_table(b, model, "rope.half_cos", &[half], |angle, _| angle.cos());
        let sin = rope_table(b, model, "rope.half_sin", &[half], |angle, _| angle.sin());
        let first = b.constant("rope.first", || Constant::i64(&[1], vec![0]));
        let mut rotate = |x| b.node(RotaryEmbedding { heads }, &[x, first, cos, sin]);
        [rotate(queries)?, rotate(keys)?]
    } else {
        [queries, keys]
    };
    Ok(b.node(MultiHeadAttention { heads }, &[queries, keys, values])?)
}

/// `x · cos + rotate_half(x) · sin` on `[batch, L, heads, D/h]`, with `rotate_half(x1, x2) = (-x2, x1)`; the minus
/// is in the table.
fn rotate(b: &mut GraphBuilder, model: Model<'_>, x: ValueId) -> Result<ValueId, ExportError> {
    let width = model.config.head_dim();
    let half = width / 2;
    let cos = rope_table(b, model, "rope.cos", &[1, width], |angle, _| angle.cos());
    let sin = rope_table(
        b,
        model,
        "rope.sin",
        &[1, width],
        |angle, channel| if channel < half { -angle.sin() } else { angle.sin() },
    );
    let halves = b.nodes(Split { axis: 3, sizes: vec![half, half] }, &[x])?;
    let swapped = b.node(Concat { axis: 3 }, &[halves[1], halves[0]])?;
    let straight = b.mul(x, cos)?;
    let across = b.mul(swapped, sin)?;
    Ok(b.add(straight, across)?)
}

/// A table over positions and the channels of a head, `[L, tail…]`, from each one's angle and channel, rounded where the
/// reference rounds: frequencies and angles are float32, which at position 900 is 3e-5 of an angle.
fn rope_table(
    b: &mut GraphBuilder,
    model: Model<'_>,
    name: &str,
    tail: &[usize],
    entry: impl Fn(f64, usize) -> f64,
) -> ValueId {
    let (len, width, theta) = (model.config.total_len(), model.config.head_dim(), model.config.rope_theta);
    let half = width / 2;
    let angle = |position: usize, channel: usize| {
        let exponent = (2 * (channel % half)) as f32 / width as f32;
        let frequency = 1.0 / (theta.powf(f64::from(exponent)) as f32);
        f64::from(position as f32 * frequency)
    };
    b.constant(name, || {
        let channels: usize = tail.iter().product();
        let cells = (0..len).flat_map(|position| (0..channels).map(move |channel| (position, channel)));
        let data = cells.map(|(position, channel)| entry(angle(position, channel), channel) as f32).collect::<Vec<_>>();
        let shape: Vec<usize> = std::iter::once(len).chain(tail.iter().copied()).collect();
        Constant::f32(&shape, data).to_float(model.compute)
    })
}
