//! Self-attention.

use trm_models::{PosEncodings, TrmConfig};

use super::TokenMixer;
use crate::ExportError;
use crate::checkpoint::{LayoutDim, TensorLayout};
use crate::onnx::operators::{Concat, MultiHeadAttention, RotaryEmbedding, Softmax, Split};
use crate::onnx::{Constant, Dim, GraphBuilder, ValueId};
use crate::trm::norm::{LAST, residual_norm};
use crate::trm::quantize::{linear, linear_part, observe};
use crate::trm::weights::{Model, Part};

/// Self-attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention;

impl TokenMixer for Attention {
    fn module(&self) -> &'static str {
        "self_attn"
    }

    fn weights(&self) -> &'static [&'static str] {
        &["self_attn.qkv_proj.weight", "self_attn.o_proj.weight"]
    }

    fn layout(&self, config: &TrmConfig, block: &str) -> Vec<TensorLayout> {
        let hidden = LayoutDim::field("hidden_size", config.hidden_size);
        let qkv = LayoutDim::new(3 * config.hidden_size, format!("3 · hidden_size {}", config.hidden_size));
        vec![
            TensorLayout::linear(format!("{block}.self_attn.qkv_proj.weight"), [&qkv, &hidden]),
            TensorLayout::linear(format!("{block}.self_attn.o_proj.weight"), [&hidden, &hidden]),
        ]
    }

    fn suspicion(&self) -> &'static str {
        "these are the weights of an attention model: mlp_t should be false"
    }

    /// Counts queries, keys, values and the output; then the scores, and the sums that they weigh.
    fn multiplications(&self, config: &TrmConfig) -> usize {
        let (len, width) = (config.total_len(), config.hidden_size);
        4 * len * width * width + 2 * len * len * width
    }

    /// The scores.
    fn largest_tensor(&self, config: &TrmConfig) -> usize {
        config.num_heads * config.total_len() * config.total_len()
    }

    fn mix(&self, b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError> {
        let mixed = attention(b, model, &format!("{block}.self_attn"), s)?;
        Ok(residual_norm(b, model, s, mixed, LAST)?)
    }
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

/// Mixes queries, keys and values `[batch, L, D]` into each position's average of the others' values, `[batch, L, D]`.
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
