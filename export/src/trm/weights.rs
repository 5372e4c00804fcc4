//! The model's weights in a graph: constants in the compute type, or, for training, inputs.

use trm_models::{Architecture, GraphTarget, TrmConfig};

use super::mixer::{TokenMixer, token_mixer};
use super::quantize::{Activations, Quantization};
use crate::ExportError;
use crate::checkpoint::{StateDict, WeightTensor};
use crate::onnx::operators::Split;
use crate::onnx::{Constant, DType, Dim, GraphBuilder, ValueId};

/// The model as its parts see it: its configuration, its weights, and the float type it computes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model<'a> {
    pub(crate) config: &'a TrmConfig,
    /// The implementation of the configuration's mixer.
    pub(crate) mixer: &'a dyn TokenMixer,
    weights: Weights<'a>,
    /// Rows of a batch: known when the graph is for training.
    pub(crate) batch: Dim,
    /// Products that are computed in 8 bits.
    quantization: Option<&'a Quantization>,
    /// True if the inputs of products are observed.
    pub(crate) calibrates: bool,
    /// The engines that the graph is written for.
    pub(crate) target: GraphTarget,
    /// Type of activations and weights. Norms, the heads' results and the carry outside the graph are float32.
    pub(crate) compute: DType,
}

/// The source of weights.
#[derive(Clone, Copy, Debug)]
enum Weights<'a> {
    /// They are constants of the graph.
    Given(&'a StateDict),
    /// They are inputs of the graph that were added before, under their state-dict names.
    Inputs,
}

/// The layout of a linear layer's `[out, in]` weight in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As stored, `[out, in]`: the weight multiplies from the left.
    Stored,
    /// Transposed, `[in, out]`: the weight multiplies from the right.
    Transposed,
}

/// One of the equal parts that a weight's output channels, its rows as stored, fall into: a product for each part is less
/// work than one product that is taken apart afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name in the graph.
    pub(crate) label: &'static str,
    index: usize,
    of: usize,
}

impl Part {
    /// The gate, and the values that it gates.
    pub(crate) const GATE_UP: [Self; 2] =
        [Self { label: "gate", index: 0, of: 2 }, Self { label: "up", index: 1, of: 2 }];
    /// Queries, keys, values.
    pub(crate) const QKV: [Self; 3] = [
        Self { label: "queries", index: 0, of: 3 },
        Self { label: "keys", index: 1, of: 3 },
        Self { label: "values", index: 2, of: 3 },
    ];

    /// Its rows of a weight.
    pub(crate) fn rows(self, weight: &WeightTensor) -> WeightTensor {
        let mut shape = weight.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows /= self.of;
        }
        let length: usize = shape.iter().product();
        let data = weight.data[self.index * length..(self.index + 1) * length].to_vec();
        WeightTensor { dtype: weight.dtype, shape, data }
    }
}

impl<'a> Model<'a> {
    pub(crate) fn new(config: &'a TrmConfig, weights: &'a StateDict, compute: DType) -> Self {
        Self {
            config,
            mixer: token_mixer(config.mixer),
            weights: Weights::Given(weights),
            batch: Dim::Batch,
            quantization: None,
            calibrates: false,
            target: GraphTarget::Portable,
            compute,
        }
    }

    /// The same model with these products in 8 bits.
    pub(crate) fn quantised_by(self, quantization: Option<&'a Quantization>) -> Self {
        Self { quantization, ..self }
    }

    /// The same model with another mixer.
    #[cfg(test)]
    pub(crate) fn mixed_by(self, mixer: &'a dyn TokenMixer) -> Self {
        Self { mixer, ..self }
    }

    /// The same model written for a target.
    pub(crate) fn targeting(self, target: GraphTarget) -> Self {
        Self { target, ..self }
    }

    /// True if the recursion is a `Loop` or a `Scan`: it can be where one network does every pass.
    pub(crate) fn loops(&self) -> bool {
        self.target != GraphTarget::Portable && self.config.architecture == Architecture::Trm
    }

    /// True if norms, attention and rotations are ONNX Runtime's fused operators, which are float32 on CPUs.
    pub(crate) fn fuses(&self) -> bool {
        self.target == GraphTarget::OrtCpu && self.compute == DType::F32
    }

    /// The same model with its products' inputs observed.
    pub(crate) fn calibrating(self) -> Self {
        Self { calibrates: true, ..self }
    }

    /// The form of the quantised inputs of this weight's product, and their largest magnitude; `None` for a float
    /// product.
    pub(crate) fn quantised(&self, name: &str) -> Option<(Activations, f32)> {
        let quantization = self.quantization?;
        Some((quantization.activations, *quantization.products.get(name)?))
    }

    /// The weights, of a model that has them.
    pub(crate) fn given(&self) -> Result<&'a StateDict, ExportError> {
        match self.weights {
            Weights::Given(weights) => Ok(weights),
            Weights::Inputs => Err(ExportError::LayoutMismatch {
                origin: "the graph's inputs".into(),
                reason: "weights that are trained cannot be quantised".into(),
                hint: "quantise what training has written".into(),
            }),
        }
    }

    /// A model whose weights are inputs of the graph, in float32.
    pub(crate) fn of_inputs(config: &'a TrmConfig, batch: usize) -> Self {
        Self {
            config,
            mixer: token_mixer(config.mixer),
            weights: Weights::Inputs,
            batch: Dim::Fixed(batch),
            quantization: None,
            calibrates: false,
            target: GraphTarget::Portable,
            compute: DType::F32,
        }
    }

    /// True if the graph is differentiated: gradients then stop where the reference's do.
    pub(crate) fn trains(&self) -> bool {
        matches!(self.weights, Weights::Inputs)
    }

    /// A weight as a constant of the compute type, under its state-dict name.
    pub(crate) fn weight(&self, b: &mut GraphBuilder, name: &str, layout: Layout) -> Result<ValueId, ExportError> {
        self.constant(b, name, layout, self.compute)
    }

    /// True if a training graph keeps states as `[L, batch, D]`: mixing over positions is then one product for the
    /// whole batch.
    pub(crate) fn positions_first(&self) -> bool {
        self.trains() && self.mixer.positions_first()
    }

    /// A part of a weight, as [`Model::weight`] gives the whole.
    pub(crate) fn part(
        &self,
        b: &mut GraphBuilder,
        name: &str,
        part: Part,
        layout: Layout,
    ) -> Result<ValueId, ExportError> {
        let label = format!("{name}.{}", part.label);
        if let Weights::Given(weights) = self.weights {
            let tensor = part.rows(weights.get(name).ok_or_else(|| missing(name, weights.origin()))?);
            return Ok(b.constant(&label, || in_layout(&tensor, layout).to_float(self.compute)));
        }
        let weight = self.weight(b, name, Layout::Stored)?;
        let rows = match b.ty(weight).shape[0] {
            Dim::Fixed(rows) => rows / part.of,
            Dim::Batch => 0,
        };
        let parts =
            b.once(&format!("{name}.parts"), |b| b.nodes(Split { axis: 0, sizes: vec![rows; part.of] }, &[weight]))?;
        match layout {
            Layout::Stored => Ok(parts[part.index]),
            Layout::Transposed => transposed_once(b, &label, parts[part.index]),
        }
    }

    /// A weight that stays float32.
    pub(crate) fn weight_f32(&self, b: &mut GraphBuilder, name: &str, layout: Layout) -> Result<ValueId, ExportError> {
        self.constant(b, name, layout, DType::F32)
    }

    fn constant(&self, b: &mut GraphBuilder, name: &str, layout: Layout, dtype: DType) -> Result<ValueId, ExportError> {
        let weights = match self.weights {
            Weights::Given(weights) => weights,
            Weights::Inputs => {
                let input = b.named(name).ok_or_else(|| missing(name, "the graph's inputs"))?;
                return match layout {
                    Layout::Stored => Ok(input),
                    Layout::Transposed => transposed_once(b, name, input),
                };
            }
        };
        let tensor = weights.get(name).ok_or_else(|| missing(name, weights.origin()))?;
        Ok(b.constant(name, || in_layout(tensor, layout).to_float(dtype)))
    }
}

fn missing(name: &str, origin: &str) -> ExportError {
    ExportError::LayoutMismatch {
        origin: origin.into(),
        reason: format!("`{name}` is missing"),
        hint: "check the weights against the configuration first".into(),
    }
}

fn in_layout(tensor: &WeightTensor, layout: Layout) -> Constant {
    match layout {
        Layout::Stored => Constant::f32(&tensor.shape, tensor.data.as_slice()),
        Layout::Transposed => transposed(tensor),
    }
}

fn transposed_once(b: &mut GraphBuilder, name: &str, weight: ValueId) -> Result<ValueId, ExportError> {
    Ok(b.once(&format!("{name}.transposed"), |b| b.transpose(weight, &[1, 0]).map(|value| vec![value]))?[0])
}

/// `[out, in]` to `[in, out]`; a tensor of any other rank is returned as it is.
fn transposed(tensor: &WeightTensor) -> Constant {
    let &[rows, columns] = tensor.shape.as_slice() else {
        return Constant::f32(&tensor.shape, tensor.data.as_slice());
    };
    let data = (0..columns).flat_map(|column| (0..rows).map(move |row| tensor.data[row * columns + column]));
    Constant::f32(&[columns, rows], data.collect::<Vec<_>>())
}
