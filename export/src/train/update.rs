//! The optimiser update as a graph: gradients, parameters, moments and moving average in, the new ones out.

use std::collections::BTreeSet;

use trm_models::TrmConfig;

use super::{BUFFERS, trained_layout};
use crate::ExportError;
use crate::onnx::operators::{Atan, Equal, Less, ReduceSum, Sqrt, Unsqueeze};
use crate::onnx::{DType, Dim, Graph, GraphBuilder, OnnxError, TensorType, ValueId};

/// The table of puzzle embeddings: a buffer of the reference with an optimiser of its own.
pub const PUZZLE_EMB: &str = "puzzle_emb.weights";

/// The rule by which parameters follow their gradients. Both decay weights apart from the gradient, and first:
/// `p ← p (1 - lr · decay)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// `p ← p - lr / (1 - β₁ᵗ) · atan2(m, sqrt(v / (1 - β₂ᵗ)))` (Adam-atan2, arXiv 2407.05872, as the public code has it).
    AdamAtan2,
    /// `p ← p - lr / (1 - β₁ᵗ) · m / (sqrt(v / (1 - β₂ᵗ)) + eps)` (arXiv 1711.05101, as PyTorch has it).
    AdamW {
        /// Added to the root.
        eps: f64,
    },
}

/// Everything of an update that does not change from one to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateOptions {
    /// The rule for all but the puzzle embedding, which follows the sign of its gradient.
    pub rule: UpdateRule,
    /// Rate of the first moment.
    pub beta1: f64,
    /// Rate of the second moment.
    pub beta2: f64,
    /// Decay of all weights but the puzzle embedding's.
    pub weight_decay: f64,
    /// Decay of those rows of the puzzle embedding that were used.
    pub puzzle_emb_weight_decay: f64,
    /// Greatest global norm of the gradients, the puzzle embedding's not counted; longer ones are scaled to it.
    pub clip_grad_norm: Option<f64>,
    /// True if the wave's head is trained as well.
    pub wave: bool,
    /// Rate of the moving average: `e ← rate · e + (1 - rate) p`.
    pub ema: Option<f64>,
}

/// Builds the update. Inputs: f32 scalars `lr`, `puzzle_emb_lr`, `bias_correction1` (1 - β₁ᵗ), `bias_correction2`; for each
/// parameter its name, `NAME.grad`, `NAME.m`, `NAME.v` and, with a moving average, `NAME.ema`; for the puzzle embedding its
/// name, `NAME.grad`, and `NAME.used` bool `[N]`, the rows that were in a batch since the last update. Outputs: `grad_norm`,
/// the global norm before clipping, and every parameter, moment and average as `….next`. `H_init` and `L_init` are not
/// trained, nor are the parameters in `frozen`, which are no inputs then.
///
/// # Errors
/// When the configuration is one the public code breaks on.
pub fn update_graph(
    config: &TrmConfig,
    options: &UpdateOptions,
    frozen: &BTreeSet<String>,
) -> Result<Graph, ExportError> {
    config.validate()?;
    let is_trained = |name: &str| !BUFFERS.contains(&name) && !frozen.contains(name);
    let tensors = trained_layout(config, options.wave).into_iter().filter(|tensor| is_trained(&tensor.name));
    parameter_update(&tensors.map(|tensor| (tensor.name, tensor.shape)).collect::<Vec<_>>(), options)
}

/// The update of any parameters, given by name and shape; inputs and outputs as those of [`update_graph`].
///
/// # Errors
/// None for the shapes that parameters have.
pub fn parameter_update(parameters: &[(String, Vec<usize>)], options: &UpdateOptions) -> Result<Graph, ExportError> {
    let mut builder = GraphBuilder::new("update", "");
    let b = &mut builder;
    let rates = Rates::inputs(b, options)?;
    let mut trained = Vec::new();
    for (name, shape) in parameters {
        let shape = shape.iter().map(|&size| Dim::Fixed(size)).collect::<Vec<_>>();
        let ty = TensorType::new(DType::F32, shape);
        let value = b.input(name, ty.clone());
        let gradient = b.input(&format!("{name}.grad"), ty.clone());
        trained.push((name.as_str(), ty, value, gradient));
    }
    let counted = trained.iter().filter(|(name, ..)| *name != PUZZLE_EMB).map(|(.., gradient)| *gradient);
    let norm = global_norm(b, counted.collect::<Vec<_>>().as_slice())?;
    let scale = match options.clip_grad_norm {
        Some(greatest) => Some(clip_scale(b, norm, greatest)?),
        None => None,
    };
    b.output("grad_norm", norm)?;
    for (name, ty, value, gradient) in trained {
        if name == PUZZLE_EMB {
            let used = b.input(&format!("{name}.used"), TensorType::new(DType::Bool, [ty.shape[0]]));
            let next = b.scoped("sign_sgd", |b| sign_sgd(b, &rates, value, gradient, used))?;
            b.output(&format!("{name}.next"), next)?;
            continue;
        }
        let m = b.input(&format!("{name}.m"), ty.clone());
        let v = b.input(&format!("{name}.v"), ty.clone());
        let gradient = match scale {
            Some(scale) => b.mul(gradient, scale)?,
            None => gradient,
        };
        let [next, m, v] = b.scoped("adam", |b| adam(b, options, &rates, [value, gradient, m, v]))?;
        b.output(&format!("{name}.next"), next)?;
        b.output(&format!("{name}.m.next"), m)?;
        b.output(&format!("{name}.v.next"), v)?;
        if let Some(rate) = options.ema {
            let average = b.input(&format!("{name}.ema"), ty);
            let average = b.scoped("ema", |b| towards(b, average, next, 1.0 - rate))?;
            b.output(&format!("{name}.ema.next"), average)?;
        }
    }
    Ok(builder.finish())
}

/// Scalars that every parameter's update uses.
struct Rates {
    /// `lr / (1 - β₁ᵗ)`.
    step: ValueId,
    /// `sqrt(1 - β₂ᵗ)`.
    root_correction: ValueId,
    /// `1 - lr · weight_decay`.
    kept: ValueId,
    puzzle_emb_lr: ValueId,
    /// `1 - puzzle_emb_lr · puzzle_emb_weight_decay`.
    puzzle_emb_kept: ValueId,
}

impl Rates {
    fn inputs(b: &mut GraphBuilder, options: &UpdateOptions) -> Result<Self, ExportError> {
        let mut scalar = |name: &str| b.input(name, TensorType::new(DType::F32, []));
        let (lr, puzzle_emb_lr) = (scalar("lr"), scalar("puzzle_emb_lr"));
        let (correction1, correction2) = (scalar("bias_correction1"), scalar("bias_correction2"));
        let mut kept = |lr: ValueId, decay: f64| {
            let (decay, one) = (b.scalar(decay as f32, DType::F32), b.scalar(1.0, DType::F32));
            let lost = b.mul(lr, decay)?;
            b.sub(one, lost)
        };
        let kept = (kept(lr, options.weight_decay)?, kept(puzzle_emb_lr, options.puzzle_emb_weight_decay)?);
        Ok(Self {
            step: b.div(lr, correction1)?,
            root_correction: b.node(Sqrt, &[correction2])?,
            kept: kept.0,
            puzzle_emb_lr,
            puzzle_emb_kept: kept.1,
        })
    }
}

/// The square root of the sum of all squares.
fn global_norm(b: &mut GraphBuilder, gradients: &[ValueId]) -> Result<ValueId, OnnxError> {
    b.scoped("norm", |b| {
        let mut total = b.scalar(0.0, DType::F32);
        for &gradient in gradients {
            let square = b.mul(gradient, gradient)?;
            let axes = (0..b.ty(gradient).rank()).collect();
            let sum = b.node(ReduceSum { axes }, &[square])?;
            let sum = b.reshape(sum, &[])?;
            total = b.add(total, sum)?;
        }
        b.node(Sqrt, &[total])
    })
}

/// `min(1, greatest / (norm + 1e-6))`, as PyTorch's `clip_grad_norm_`.
fn clip_scale(b: &mut GraphBuilder, norm: ValueId, greatest: f64) -> Result<ValueId, OnnxError> {
    b.scoped("clip", |b| {
        let (greatest, one) = (b.scalar(greatest as f32, DType::F32), b.scalar(1.0, DType::F32));
        let tiny = b.scalar(1e-6, DType::F32);
        let norm = b.add(norm, tiny)?;
        let scale = b.div(greatest, norm)?;
        let longer = b.node(Less, &[scale, one])?;
        b.select_where(longer, scale, one)
    })
}

/// `from + share · (to - from)`.
fn towards(b: &mut GraphBuilder, from: ValueId, to: ValueId, share: f64) -> Result<ValueId, ExportError> {
    let share = b.scalar(share as f32, DType::F32);
    let distance = b.sub(to, from)?;
    let part = b.mul(distance, share)?;
    Ok(b.add(from, part)?)
}

/// Parameter and moments after the update.
fn adam(
    b: &mut GraphBuilder,
    options: &UpdateOptions,
    rates: &Rates,
    [value, gradient, m, v]: [ValueId; 4],
) -> Result<[ValueId; 3], ExportError> {
    let m = towards(b, m, gradient, 1.0 - options.beta1)?;
    let square = b.mul(gradient, gradient)?;
    let v = towards(b, v, square, 1.0 - options.beta2)?;
    let root = b.node(Sqrt, &[v])?;
    let root = b.div(root, rates.root_correction)?;
    let direction = match options.rule {
        UpdateRule::AdamAtan2 => {
            // The root is not negative, so the quotient's angle is atan2's; 0 / 0 is the angle 0.
            let zero = b.scalar(0.0, DType::F32);
            let quotient = b.div(m, root)?;
            let angle = b.node(Atan, &[quotient])?;
            let still = b.node(Equal, &[m, zero])?;
            b.select_where(still, zero, angle)?
        }
        UpdateRule::AdamW { eps } => {
            let eps = b.scalar(eps as f32, DType::F32);
            let below = b.add(root, eps)?;
            b.div(m, below)?
        }
    };
    let kept = b.mul(value, rates.kept)?;
    let change = b.mul(direction, rates.step)?;
    Ok([b.sub(kept, change)?, m, v])
}

/// `p (1 - lr · decay) - lr · sign(gradient)` for the rows that were used.
fn sign_sgd(
    b: &mut GraphBuilder,
    rates: &Rates,
    value: ValueId,
    gradient: ValueId,
    used: ValueId,
) -> Result<ValueId, ExportError> {
    let zero = b.scalar(0.0, DType::F32);
    let positive = b.greater(gradient, zero)?;
    let negative = b.node(Less, &[gradient, zero])?;
    let positive = b.cast(positive, DType::F32)?;
    let negative = b.cast(negative, DType::F32)?;
    let sign = b.sub(positive, negative)?;
    let kept = b.mul(value, rates.puzzle_emb_kept)?;
    let change = b.mul(sign, rates.puzzle_emb_lr)?;
    let next = b.sub(kept, change)?;
    let used = b.node(Unsqueeze { axes: vec![1] }, &[used])?;
    Ok(b.select_where(used, next, value)?)
}
