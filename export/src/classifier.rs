//! A small convolutional classifier of square pictures, as graphs. It reads digits.
//!
//! Two 3x3 convolutions, each on a picture whose 2x2 blocks have been folded into channels, and two dense layers, with
//! `silu` between them. A convolution is a matrix product of shifted copies: everything consists of operators that the
//! autodiff has rules for and that every engine is fast at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ExportError;
use crate::autodiff::gradients;
use crate::onnx::operators::{ArgMax, Concat, Pad, ReduceSum, Sigmoid, Slice, Softmax};
use crate::onnx::{Constant, DType, Dim, Graph, GraphBuilder, TensorType, ValueId};
use crate::train::{LossKind, answer_loss};

/// The sizes of a classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassifierConfig {
    /// Rows and columns of a picture, a multiple of 4.
    pub size: usize,
    /// Channels after each convolution.
    pub channels: [usize; 2],
    /// Width of the dense layer.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
}

impl ClassifierConfig {
    /// Names and shapes of the parameters; weights are `[in, out]`.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let [first, second] = self.channels;
        let cells = (self.size / 4) * (self.size / 4);
        let layers = [
            ("conv1", 9 * 4, first),
            ("conv2", 9 * 4 * first, second),
            ("dense", cells * second, self.hidden),
            ("head", self.hidden, self.classes),
        ];
        let both = |(name, inputs, outputs)| {
            [(format!("{name}.weight"), vec![inputs, outputs]), (format!("{name}.bias"), vec![outputs])]
        };
        layers.into_iter().flat_map(both).collect()
    }
}

/// The graph that classifies: `pictures` f32 `[batch, size, size]` to `probabilities` f32 `[batch, classes]`.
///
/// # Errors
/// [`ExportError`] when a parameter is missing.
pub fn classify_graph(config: &ClassifierConfig, weights: &BTreeMap<String, Vec<f32>>) -> Result<Graph, ExportError> {
    let mut builder = GraphBuilder::new("classify", "");
    let b = &mut builder;
    let size = Dim::Fixed(config.size);
    let pictures = b.input("pictures", TensorType::new(DType::F32, [Dim::Batch, size, size]));
    let mut parameters = BTreeMap::new();
    for (name, shape) in config.parameters() {
        let data = weights.get(&name).filter(|data| data.len() == shape.iter().product::<usize>());
        let data = data.ok_or_else(|| missing(&name))?;
        let constant = b.constant(&name, || Constant::f32(&shape, data.as_slice()));
        parameters.insert(name, constant);
    }
    let logits = forward(b, config, &parameters, pictures, None)?;
    let probabilities = b.node(Softmax, &[logits])?;
    b.output("probabilities", probabilities)?;
    Ok(builder.finish())
}

/// The graph of a training step. Inputs: `pictures` f32 `[batch, size, size]`, `labels` i32 `[batch, 1]`, and the
/// parameters by name. Outputs: `loss` f32, the mean cross entropy; `cells_right` i32 `[batch]`; and `NAME.grad`.
///
/// # Errors
/// [`ExportError`] when the sizes do not fit each other.
pub fn classifier_step(config: &ClassifierConfig, batch: usize) -> Result<Graph, ExportError> {
    let mut builder = GraphBuilder::new("classifier_step", "");
    let b = &mut builder;
    let (rows, size) = (Dim::Fixed(batch), Dim::Fixed(config.size));
    let pictures = b.input("pictures", TensorType::new(DType::F32, [rows, size, size]));
    let labels = b.input("labels", TensorType::new(DType::I32, [rows, Dim::Fixed(1)]));
    let parameters: BTreeMap<String, ValueId> = config
        .parameters()
        .into_iter()
        .map(|(name, shape)| {
            let shape = shape.into_iter().map(Dim::Fixed).collect::<Vec<_>>();
            let value = b.input(&name, TensorType::new(DType::F32, shape));
            (name, value)
        })
        .collect();
    let logits = forward(b, config, &parameters, pictures, Some(batch))?;
    let logits = b.reshape(logits, &[rows, Dim::Fixed(1), Dim::Fixed(config.classes)])?;
    let answer = b.node(ArgMax, &[logits])?;
    let answer = b.cast(answer, DType::I32)?;
    let judged = b.scoped("loss", |b| answer_loss(b, LossKind::Softmax, logits, answer, labels, None))?;
    let sum = b.node(ReduceSum { axes: vec![0] }, &[judged.cross_entropy])?;
    let sum = b.reshape(sum, &[])?;
    let count = b.scalar(batch as f32, DType::F64);
    let loss = b.div(sum, count)?;
    let loss = b.cast(loss, DType::F32)?;
    b.output("loss", loss)?;
    b.output("cells_right", judged.cells_right)?;
    let wrt = parameters.values().copied().collect::<Vec<_>>();
    for (name, gradient) in parameters.keys().zip(gradients(b, loss, &wrt)?) {
        b.output(&format!("{name}.grad"), gradient)?;
    }
    Ok(builder.finish())
}

/// Logits f32 `[batch, classes]`. With the batch known, products are of matrices, whose gradients are single products.
fn forward(
    b: &mut GraphBuilder,
    config: &ClassifierConfig,
    parameters: &BTreeMap<String, ValueId>,
    pictures: ValueId,
    batch: Option<usize>,
) -> Result<ValueId, ExportError> {
    let rows = batch.map_or(Dim::Batch, Dim::Fixed);
    let mut side = config.size;
    let mut x = b.reshape(pictures, &[rows, Dim::Fixed(side), Dim::Fixed(side), Dim::Fixed(1)])?;
    let mut channels = 1;
    for (name, outputs) in ["conv1", "conv2"].into_iter().zip(config.channels) {
        x = b.scoped(name, |b| {
            let folded = fold(b, x, rows, side, channels)?;
            let (side, channels) = (side / 2, 4 * channels);
            let neighbours = neighbours(b, folded, side)?;
            let (weight, bias) = layer(parameters, name)?;
            let x = if let Some(batch) = batch {
                let flat = b.reshape(neighbours, &[Dim::Fixed(batch * side * side), Dim::Fixed(9 * channels)])?;
                let x = b.matmul(flat, weight)?;
                b.reshape(x, &[rows, Dim::Fixed(side), Dim::Fixed(side), Dim::Fixed(outputs)])?
            } else {
                b.matmul(neighbours, weight)?
            };
            let x = b.add(x, bias)?;
            silu(b, x)
        })?;
        side /= 2;
        channels = outputs;
    }
    let x = b.reshape(x, &[rows, Dim::Fixed(side * side * channels)])?;
    let x = b.scoped("dense", |b| {
        let (weight, bias) = layer(parameters, "dense")?;
        let x = b.matmul(x, weight)?;
        let x = b.add(x, bias)?;
        silu(b, x)
    })?;
    b.scoped("head", |b| {
        let (weight, bias) = layer(parameters, "head")?;
        let x = b.matmul(x, weight)?;
        Ok(b.add(x, bias)?)
    })
}

fn layer(parameters: &BTreeMap<String, ValueId>, name: &str) -> Result<(ValueId, ValueId), ExportError> {
    let get = |part: &str| {
        let name = format!("{name}.{part}");
        parameters.get(&name).copied().ok_or_else(|| missing(&name))
    };
    Ok((get("weight")?, get("bias")?))
}

fn missing(tensor: &str) -> ExportError {
    let (origin, fault) = ("the classifier's weights".to_owned(), "is missing or of another size".into());
    ExportError::BadTensor { origin, tensor: tensor.to_owned(), fault }
}

fn silu(b: &mut GraphBuilder, x: ValueId) -> Result<ValueId, ExportError> {
    let gate = b.node(Sigmoid, &[x])?;
    Ok(b.mul(x, gate)?)
}

/// Blocks of 2x2 pixels into channels: `[B, S, S, C]` to `[B, S/2, S/2, 4 C]`.
fn fold(b: &mut GraphBuilder, x: ValueId, rows: Dim, side: usize, channels: usize) -> Result<ValueId, ExportError> {
    let (half, two, channel) = (Dim::Fixed(side / 2), Dim::Fixed(2), Dim::Fixed(channels));
    let x = b.reshape(x, &[rows, half, two, half, two, channel])?;
    let x = b.transpose(x, &[0, 1, 3, 2, 4, 5])?;
    Ok(b.reshape(x, &[rows, half, half, Dim::Fixed(4 * channels)])?)
}

/// Each pixel's 3x3 neighbours, zeros outside, as channels: `[B, S, S, C]` to `[B, S, S, 9 C]`.
fn neighbours(b: &mut GraphBuilder, x: ValueId, side: usize) -> Result<ValueId, ExportError> {
    let x = b.node(Pad { axis: 1, before: 1, after: 1 }, &[x])?;
    let x = b.node(Pad { axis: 2, before: 1, after: 1 }, &[x])?;
    let mut shifted = Vec::with_capacity(9);
    for down in 0..3 {
        let x = b.node(Slice { axis: 1, start: down, end: down + side }, &[x])?;
        for right in 0..3 {
            shifted.push(b.node(Slice { axis: 2, start: right, end: right + side }, &[x])?);
        }
    }
    Ok(b.node(Concat { axis: 3 }, &shifted)?)
}
