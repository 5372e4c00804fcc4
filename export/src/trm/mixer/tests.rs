//! A mixer that only this test knows, from block to graph to numbers.

use std::path::Path;

use trm_models::{ConfigSource, TrmConfig};

use super::*;
use crate::checkpoint::{StateDict, WeightDtype, WeightTensor};
use crate::onnx::eval::{Tensor, evaluate};
use crate::onnx::operators::ReduceMean;
use crate::onnx::{DType, Dim, TensorType};
use crate::trm::block::block;
use crate::trm::norm::{LAST, residual_norm};

/// Every position gets the mean of all positions; no weights.
#[derive(Debug)]
struct MeanOverPositions;

impl TokenMixer for MeanOverPositions {
    fn module(&self) -> &'static str {
        "mean"
    }

    fn weights(&self) -> &'static [&'static str] {
        &[]
    }

    fn layout(&self, _config: &TrmConfig, _block: &str) -> Vec<TensorLayout> {
        Vec::new()
    }

    fn suspicion(&self) -> &'static str {
        "these are the weights of a toy"
    }

    fn multiplications(&self, _config: &TrmConfig) -> usize {
        0
    }

    fn largest_tensor(&self, config: &TrmConfig) -> usize {
        config.total_len() * config.hidden_size
    }

    fn mix(&self, b: &mut GraphBuilder, model: Model<'_>, _block: &str, s: ValueId) -> Result<ValueId, ExportError> {
        let mean = b.node(ReduceMean { axis: 1 }, &[s])?;
        Ok(residual_norm(b, model, s, mean, LAST)?)
    }
}

fn config() -> TrmConfig {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/maze_att_stable/all_config.yaml");
    let source = ConfigSource::from_yaml_file(&golden).expect("config");
    let config = source.seq_len(3).vocab_size(6).num_puzzle_identifiers(1).build().expect("config");
    TrmConfig { hidden_size: 2, rms_norm_eps: 0.0, ..config }
}

/// A state of rows, positions and two channels, each vector divided by its root mean square.
fn normed(state: &[f64]) -> Vec<f64> {
    let vector = |v: &[f64]| {
        let root = f64::midpoint(v[0] * v[0], v[1] * v[1]).sqrt();
        [v[0] / root, v[1] / root]
    };
    state.chunks_exact(2).flat_map(vector).collect()
}

#[test]
fn a_toy_mixer_goes_through_a_block() {
    let config = config();
    let inner = config.swiglu_inner(2);
    let mut weights = StateDict::new();
    // A feed-forward layer that adds nothing.
    for (name, shape) in [("gate_up_proj", [2 * inner, 2]), ("down_proj", [2, inner])] {
        let data = vec![0.0; shape[0] * shape[1]];
        let tensor = WeightTensor { dtype: WeightDtype::F32, shape: shape.to_vec(), data };
        weights.insert(format!("L_level.layers.0.mlp.{name}.weight"), tensor);
    }
    let model = Model::new(&config, &weights, DType::F32).mixed_by(&MeanOverPositions);
    let mut b = GraphBuilder::new("toy", "");
    let s = b.input("s", TensorType::new(DType::F32, [Dim::Batch, Dim::Fixed(3), Dim::Fixed(2)]));
    let mixed = block(&mut b, model, "L_level.layers.0", s).expect("block");
    b.output("mixed", mixed).expect("output");
    let graph = b.finish();

    let state = [1.0, 2.0, 3.0, -1.0, 2.0, 5.0];
    let found = evaluate(&graph, &[Tensor::float(&[1, 3, 2], state.to_vec()).expect("shape")]).expect("evaluated");
    let found = found[0].to_floats().expect("floats");
    // The means over the positions are 2 and 2.
    let expected = normed(&normed(&[3.0, 4.0, 5.0, 1.0, 4.0, 7.0]));
    assert_eq!(found.len(), expected.len());
    let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(near, "{found:?} for {expected:?}");
}

#[test]
fn a_mixer_s_layout_has_its_weights_and_no_others() {
    let config = config();
    for mixer in all() {
        let layout = mixer.layout(&config, "block");
        let found = layout.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>();
        let all = mixer.weights().iter().map(|name| format!("block.{name}"));
        let (without_board, count) = (config.board.is_none(), mixer.weights().len());
        assert_eq!(found, all.filter(|name| found.contains(&name.as_str())).collect::<Vec<_>>());
        assert!(found.len() == count || (without_board && found == ["block.candidates.symbols.weight"]), "{found:?}");
        assert!(mixer.weights().iter().all(|name| name.starts_with(&format!("{}.", mixer.module()))));
    }
}
