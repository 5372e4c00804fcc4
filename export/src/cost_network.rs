//! A network that says how dear each cell of a map is, as graphs: what lies in and around a cell in, a level of 0 to 1 out.
//!
//! It is the recursion of a TRM on the [`grid`](crate::trm::mixer) mixer. In place of tokens each cell has features, which are
//! embedded by a product; in place of an answer's logits each has one number. A second way leads from a cell's own features
//! straight to it: without blocks that is all there is, a linear model of the cell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trm_models::{Board, Mixer, NetworkConfig, TrmConfig};

use crate::ExportError;
use crate::autodiff::gradients;
use crate::checkpoint::{StateDict, WeightDtype, WeightTensor};
use crate::onnx::operators::{ReduceSum, Sigmoid};
use crate::onnx::{DType, Dim, Graph, GraphBuilder, TensorType, ValueId};
use crate::trm::embedding::initial_state;
use crate::trm::mixer::block_layout;
use crate::trm::recursion::{State, recurse};
use crate::trm::weights::{Layout, Model};

/// The states that the recursion starts from, which are not trained.
pub const COST_BUFFERS: [&str; 2] = ["H_init", "L_init"];

const EMBEDDING: &str = "embed_features.weight";
const STRAIGHT: &str = "straight.weight";
const HEAD: &str = "cost_head.weight";
const BIAS: &str = "cost_head.bias";

/// The sizes of a network of costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostNetwork {
    /// Features of a cell.
    pub channels: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Inner width of the `SwiGLU`, by that of the states.
    pub expansion: f64,
    /// Outer cycles.
    #[serde(rename = "H_cycles")]
    pub h_cycles: usize,
    /// Updates of `z_L` in an outer cycle.
    #[serde(rename = "L_cycles")]
    pub l_cycles: usize,
    /// Blocks; 0 for the linear model.
    #[serde(rename = "L_layers")]
    pub l_layers: usize,
}

impl CostNetwork {
    /// The configuration of its recursion on maps of `height x width` cells.
    fn config(&self, (height, width): (usize, usize)) -> TrmConfig {
        let network = NetworkConfig {
            mixer: Mixer::Grid,
            hidden_size: self.hidden_size,
            expansion: self.expansion,
            h_cycles: self.h_cycles,
            l_cycles: self.l_cycles,
            l_layers: self.l_layers.max(1),
            puzzle_emb_ndim: 0,
            puzzle_emb_len: 0,
            num_puzzle_identifiers: 0,
            halt_max_steps: 1,
            ..NetworkConfig::default()
        };
        network.for_task(height * width, self.channels, Some(Board::grid(height, width)))
    }

    /// Refuses sizes that no network has.
    ///
    /// # Errors
    /// [`ExportError`] with the size that cannot be.
    pub fn check(&self) -> Result<(), ExportError> {
        Ok(self.config((1, 1)).validate()?)
    }

    /// Names and shapes of its tensors; weights are `[out, in]`.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (channels, width) = (self.channels, self.hidden_size);
        let mut tensors = vec![(STRAIGHT.to_owned(), vec![1, channels]), (BIAS.to_owned(), vec![1])];
        if self.l_layers > 0 {
            tensors.extend(COST_BUFFERS.map(|name| (name.to_owned(), vec![width])));
            tensors.push((EMBEDDING.to_owned(), vec![width, channels]));
            tensors.push((HEAD.to_owned(), vec![1, width]));
            let config = self.config((1, 1));
            for layer in 0..self.l_layers {
                let block = block_layout(&config, &format!("L_level.layers.{layer}"));
                tensors.extend(block.into_iter().map(|tensor| (tensor.name, tensor.shape)));
            }
        }
        tensors
    }

    /// Those of its tensors that are trained.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = self.tensors();
        tensors.retain(|(name, _)| !COST_BUFFERS.contains(&name.as_str()));
        tensors
    }

    /// The tensors that weigh the features, with a column for each.
    #[must_use]
    pub fn is_of_features(name: &str) -> bool {
        name == STRAIGHT || name == EMBEDDING
    }

    /// True for tensors that begin as zeros: before it has learned anything, every cell is alike.
    #[must_use]
    pub fn begins_at_zero(name: &str) -> bool {
        [STRAIGHT, HEAD, BIAS].contains(&name)
    }

    /// Multiplications for a cell.
    #[must_use]
    pub fn multiplications(&self) -> usize {
        let config = self.config((1, 1));
        let inner = config.swiglu_inner(self.hidden_size);
        let block = crate::trm::mixer::multiplications(&config) + 3 * self.hidden_size * inner;
        self.channels * (self.hidden_size + 1) + self.h_cycles * (self.l_cycles + 1) * self.l_layers * block
    }
}

/// The level that a cell has before anything is learned, as its logit.
const FIRST_LEVEL: f32 = -2.5;

/// The graph that says what cells cost: `features` f32 `[batch, height · width, channels]` to `levels` f32 `[batch, height ·
/// width]`, each above 0 and below 1.
///
/// # Errors
/// [`ExportError`] when a weight is missing or has another shape.
pub fn cost_graph(
    network: &CostNetwork,
    size: (usize, usize),
    weights: &BTreeMap<String, Vec<f32>>,
) -> Result<Graph, ExportError> {
    let config = network.config(size);
    let mut dict = StateDict::new();
    for (name, shape) in network.tensors() {
        let data = weights.get(&name).filter(|data| data.len() == shape.iter().product::<usize>());
        let data = data.ok_or_else(|| {
            let (origin, fault) = ("the network of costs".to_owned(), "is missing or of another size".into());
            ExportError::BadTensor { origin, tensor: name.clone(), fault }
        })?;
        dict.insert(name, WeightTensor { dtype: WeightDtype::F32, shape, data: data.clone() });
    }
    let model = Model::new(&config, &dict, DType::F32);
    let mut builder = GraphBuilder::new("costs", "");
    let b = &mut builder;
    let features = b.input("features", features_type(network, &config, Dim::Batch));
    let levels = levels(b, network, model, features)?;
    b.output("levels", levels)?;
    Ok(builder.finish())
}

/// The same graph with the weights as inputs, for training.
///
/// # Errors
/// [`ExportError`] for sizes that no network has.
pub fn cost_forward(network: &CostNetwork, size: (usize, usize), batch: usize) -> Result<Graph, ExportError> {
    let config = network.config(size);
    let model = Model::of_inputs(&config, batch);
    let mut builder = GraphBuilder::new("costs_forward", "");
    let b = &mut builder;
    let features = b.input("features", features_type(network, &config, Dim::Fixed(batch)));
    inputs(b, network);
    let levels = levels(b, network, model, features)?;
    b.output("levels", levels)?;
    Ok(builder.finish())
}

/// The gradients of a step. Inputs: `features` as above, the tensors by name, and `pull` f32 `[batch, height · width]`, the
/// derivative of the loss by each level, which whoever searched paths over these levels knows. Outputs: `loss`, the sum of
/// levels times pull, and `NAME.grad`.
///
/// # Errors
/// [`ExportError`] for sizes that no network has.
pub fn cost_step(network: &CostNetwork, size: (usize, usize), batch: usize) -> Result<Graph, ExportError> {
    let config = network.config(size);
    let model = Model::of_inputs(&config, batch);
    let mut builder = GraphBuilder::new("costs_step", "");
    let b = &mut builder;
    let features = b.input("features", features_type(network, &config, Dim::Fixed(batch)));
    let cells = TensorType::new(DType::F32, [Dim::Fixed(batch), Dim::Fixed(config.seq_len)]);
    let pull = b.input("pull", cells);
    let tensors = inputs(b, network);
    let levels = levels(b, network, model, features)?;
    let pulled = b.mul(levels, pull)?;
    let loss = b.node(ReduceSum { axes: vec![0, 1] }, &[pulled])?;
    let loss = b.reshape(loss, &[])?;
    b.output("loss", loss)?;
    let trained: Vec<_> = tensors.into_iter().filter(|(name, _)| !COST_BUFFERS.contains(&name.as_str())).collect();
    let wrt: Vec<_> = trained.iter().map(|(_, id)| *id).collect();
    for ((name, _), gradient) in trained.iter().zip(gradients(b, loss, &wrt)?) {
        b.output(&format!("{name}.grad"), gradient)?;
    }
    Ok(builder.finish())
}

fn features_type(network: &CostNetwork, config: &TrmConfig, batch: Dim) -> TensorType {
    TensorType::new(DType::F32, [batch, Dim::Fixed(config.seq_len), Dim::Fixed(network.channels)])
}

fn inputs(b: &mut GraphBuilder, network: &CostNetwork) -> Vec<(String, ValueId)> {
    let add = |(name, shape): (String, Vec<usize>)| {
        let shape = shape.into_iter().map(Dim::Fixed).collect::<Vec<_>>();
        let id = b.input(&name, TensorType::new(DType::F32, shape));
        (name, id)
    };
    network.tensors().into_iter().map(add).collect()
}

/// `sigmoid(straight · features + head · z_H + bias - 2.5)`, `[batch, cells]`.
fn levels(
    b: &mut GraphBuilder,
    network: &CostNetwork,
    model: Model<'_>,
    features: ValueId,
) -> Result<ValueId, ExportError> {
    let product = |b: &mut GraphBuilder, x: ValueId, name: &str| {
        let weight = model.weight(b, name, Layout::Transposed)?;
        Ok::<_, ExportError>(b.matmul(x, weight)?)
    };
    let mut logits = b.scoped("straight", |b| product(b, features, STRAIGHT))?;
    if network.l_layers > 0 {
        let x = b.scoped("embed", |b| {
            let embedded = product(b, features, EMBEDDING)?;
            let scale = b.scalar((network.hidden_size as f64).sqrt() as f32, DType::F32);
            Ok::<_, ExportError>(b.mul(embedded, scale)?)
        })?;
        let state = State { h: initial_state(b, model, "H_init")?, l: initial_state(b, model, "L_init")? };
        let state = recurse(b, model, state, x)?;
        let around = b.scoped("head", |b| product(b, state.h, HEAD))?;
        logits = b.add(logits, around)?;
    }
    let bias = model.weight(b, BIAS, Layout::Stored)?;
    let first = b.scalar(FIRST_LEVEL, DType::F32);
    let logits = b.add(logits, bias)?;
    let logits = b.add(logits, first)?;
    let logits = b.reshape(logits, &[model.batch, Dim::Fixed(model.config.seq_len)])?;
    Ok(b.node(Sigmoid, &[logits])?)
}
