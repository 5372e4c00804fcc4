//! 8-bit products: which of a model's linear layers multiply in int8, on what ranges, and the rescaling that makes it hold.
//!
//! Weights are quantised symmetrically with a scale for each output channel. The product of a SwiGLU's down projection is
//! where accuracy is lost: `silu(gate) · up` has channels hundreds of times larger than the median, which one scale for the
//! whole tensor cannot serve. [`equalise`] divides these channels and multiplies the weights that read them: exact in
//! floats, and what `SmoothQuant` (arXiv 2211.10438) does across a normalisation.

use std::collections::BTreeMap;

use trm_models::{Architecture, TrmConfig};

use super::mixer::token_mixer;
use super::weights::{Layout, Model, Part};
use crate::ExportError;
use crate::checkpoint::{StateDict, WeightTensor};
use crate::onnx::operators::{DequantizeLinear, DynamicQuantizeLinear, MatMulInteger, QuantizeLinear, ReduceMax};
use crate::onnx::{Constant, DType, GraphBuilder, ValueId};

/// Largest magnitude of a quantised weight or, in the static form, activation. -128 stays unused: the range is symmetric.
const LARGEST: f32 = 127.0;

/// The way in which activations become 8-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// Each tensor by its own range while it runs: `DynamicQuantizeLinear` and `MatMulInteger`. A row's numbers then
    /// depend on the rows beside it, so engines run such graphs a row at a time.
    Dynamic,
    /// By ranges found in calibration: `QuantizeLinear` and `DequantizeLinear` around a float product, the form that
    /// TensorRT takes. Rows do not depend on each other.
    Static,
}

/// The products that are 8-bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// The form of quantised activations.
    pub activations: Activations,
    /// State-dict names of the weights whose products are 8-bit, with the largest magnitude that their inputs had in
    /// calibration.
    pub products: BTreeMap<String, f32>,
}

/// State-dict names of all weights whose products can be 8-bit: those of the blocks, and the answer head's. Embeddings are
/// looked up, not multiplied, and the halting head reads one position.
#[must_use]
pub fn products(config: &TrmConfig) -> Vec<String> {
    let mixer = token_mixer(config.mixer).products().iter().copied();
    let parts = mixer.chain(["mlp.gate_up_proj.weight", "mlp.down_proj.weight"]).collect::<Vec<_>>();
    let blocks = blocks(config);
    let of_blocks = blocks.iter().flat_map(|block| parts.iter().map(move |part| format!("{block}.{part}")));
    of_blocks.chain(["lm_head.weight".to_owned()]).collect()
}

/// Paths of the blocks.
fn blocks(config: &TrmConfig) -> Vec<String> {
    let of =
        |level: &str, layers: usize| (0..layers).map(|layer| format!("{level}.layers.{layer}")).collect::<Vec<_>>();
    let mut paths = of("L_level", config.l_layers);
    if config.architecture == Architecture::Hrm {
        paths.extend(of("H_level", config.h_layers));
    }
    paths
}

/// The same model with the inner channels of every SwiGLU brought closer to one range. Channel `i` of the up projection
/// is divided by `s_i = m_i^a / w_i^(1-a)`, and column `i` of the down projection multiplied by it, `m_i` being the
/// channel's largest magnitude in calibration and `w_i` the column's largest weight.
///
/// `magnitudes` has the `m_i` of the down projections by state-dict name; `exponent` is `a`, 0 to 1.
///
/// # Errors
/// [`ExportError::LayoutMismatch`] when a weight is missing or the numbers of channels differ.
pub fn equalise(
    config: &TrmConfig,
    weights: &StateDict,
    magnitudes: &BTreeMap<String, Vec<f32>>,
    exponent: f32,
) -> Result<StateDict, ExportError> {
    let mut equalised = weights.clone();
    let mixer = token_mixer(config.mixer);
    let modules = mixer.has_swiglu().then(|| mixer.module()).into_iter().chain(["mlp"]).collect::<Vec<_>>();
    for path in blocks(config).iter().flat_map(|block| modules.iter().map(move |module| format!("{block}.{module}"))) {
        let (up_name, down_name) = (format!("{path}.gate_up_proj.weight"), format!("{path}.down_proj.weight"));
        let mut up = matrix(weights, &up_name)?.clone();
        let mut down = matrix(weights, &down_name)?.clone();
        let (inner, inputs) = (down.shape[1], up.shape[1]);
        let found = magnitudes.get(&down_name).filter(|found| found.len() == inner && up.shape[0] == 2 * inner);
        let found = found.ok_or_else(|| ExportError::LayoutMismatch {
            origin: weights.origin().into(),
            reason: format!("`{down_name}` has {inner} channels, which calibration did not measure"),
            hint: "calibrate this model".into(),
        })?;
        for (channel, &magnitude) in found.iter().enumerate() {
            let column = || (0..down.shape[0]).map(|row| row * inner + channel);
            let largest = column().map(|at| down.data[at].abs()).fold(0.0, f32::max);
            let scale = magnitude.powf(exponent) / largest.powf(1.0 - exponent);
            // A channel that is never used, or is not read, stays as it is.
            if !scale.is_normal() {
                continue;
            }
            let row = (inner + channel) * inputs;
            up.data[row..row + inputs].iter_mut().for_each(|weight| *weight /= scale);
            for at in column().collect::<Vec<_>>() {
                down.data[at] *= scale;
            }
        }
        equalised.insert(up_name, up);
        equalised.insert(down_name, down);
    }
    Ok(equalised)
}

fn matrix<'a>(weights: &'a StateDict, name: &str) -> Result<&'a WeightTensor, ExportError> {
    weights.get(name).filter(|tensor| tensor.shape.len() == 2).ok_or_else(|| ExportError::LayoutMismatch {
        origin: weights.origin().into(),
        reason: format!("`{name}` is missing or no matrix"),
        hint: "check the weights against the configuration first".into(),
    })
}

/// `x · Wᵀ` over the last axis, in 8 bits where the model's quantisation says so.
pub(crate) fn linear(b: &mut GraphBuilder, model: Model<'_>, name: &str, x: ValueId) -> Result<ValueId, ExportError> {
    let Some(range) = model.quantised(name) else {
        let weight = model.weight(b, name, Layout::Transposed)?;
        return Ok(b.matmul(x, weight)?);
    };
    quantised(b, name, matrix(model.given()?, name)?, range, x)
}

/// The same of a part of the output channels.
pub(super) fn linear_part(
    b: &mut GraphBuilder,
    model: Model<'_>,
    name: &str,
    part: Part,
    x: ValueId,
) -> Result<ValueId, ExportError> {
    let Some(range) = model.quantised(name) else {
        let weight = model.part(b, name, part, Layout::Transposed)?;
        return Ok(b.matmul(x, weight)?);
    };
    let weight = part.rows(matrix(model.given()?, name)?);
    quantised(b, &format!("{name}.{}", part.label), &weight, range, x)
}

fn quantised(
    b: &mut GraphBuilder,
    name: &str,
    weight: &WeightTensor,
    (activations, largest): (Activations, f32),
    x: ValueId,
) -> Result<ValueId, ExportError> {
    let quantised = Quantised::of(weight);
    let (inputs, outputs) = (quantised.inputs, quantised.scales.len());
    let scales = quantised.scales;
    let weight = b.constant(&format!("{name}.int8"), || Constant::i8(&[inputs, outputs], quantised.elements));
    let scale = b.constant(&format!("{name}.scale"), || Constant::f32(&[outputs], scales));
    match activations {
        // The order of casts and products is the one that ONNX Runtime fuses.
        Activations::Dynamic => {
            let x = b.nodes(DynamicQuantizeLinear, &[x])?;
            let product = b.node(MatMulInteger, &[x[0], weight, x[2]])?;
            let product = b.cast(product, DType::F32)?;
            let scale = b.mul(x[1], scale)?;
            Ok(b.mul(product, scale)?)
        }
        Activations::Static => {
            let zero = b.constant("zero.int8", || Constant::i8(&[], vec![0]));
            let zeros = b.constant(&format!("{name}.zeros"), || Constant::i8(&[outputs], vec![0; outputs]));
            let range = b.constant(&format!("{name}.input_scale"), || {
                Constant::scalar(if largest > 0.0 { largest / LARGEST } else { 1.0 })
            });
            let x = b.node(QuantizeLinear, &[x, range, zero])?;
            let x = b.node(DequantizeLinear { axis: 0 }, &[x, range, zero])?;
            let weight = b.node(DequantizeLinear { axis: 1 }, &[weight, scale, zeros])?;
            Ok(b.matmul(x, weight)?)
        }
    }
}

/// A weight in 8 bits.
struct Quantised {
    inputs: usize,
    /// `[in, out]`.
    elements: Vec<i8>,
    /// `[out]`.
    scales: Vec<f32>,
}

impl Quantised {
    /// Quantises a weight `[out, in]`, each output channel by its own largest weight.
    fn of(weight: &WeightTensor) -> Self {
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let row = |output: usize| &weight.data[output * inputs..(output + 1) * inputs];
        let scale = |output: usize| {
            let largest = row(output).iter().map(|weight| weight.abs()).fold(0.0, f32::max);
            if largest > 0.0 { largest / LARGEST } else { 1.0 }
        };
        let scales: Vec<f32> = (0..outputs).map(scale).collect();
        let element = |input: usize, output: usize| {
            (row(output)[input] / scales[output]).round_ties_even().clamp(-LARGEST, LARGEST) as i8
        };
        let elements = (0..inputs).flat_map(|input| (0..outputs).map(move |output| (input, output)));
        Self { inputs, elements: elements.map(|(input, output)| element(input, output)).collect(), scales }
    }
}

/// Marks the square of the largest magnitude that each channel of a product's input has, `[channels]`, if the model is
/// being calibrated. `axis` is the one that the product sums over.
pub(super) fn observe(
    b: &mut GraphBuilder,
    model: Model<'_>,
    name: &str,
    input: ValueId,
    axis: usize,
) -> Result<(), ExportError> {
    if model.calibrates {
        let axes = (0..b.ty(input).rank()).filter(|&other| other != axis).collect();
        let square = b.mul(input, input)?;
        let largest = b.node(ReduceMax { axes }, &[square])?;
        b.mark(name, largest);
    }
    Ok(())
}
