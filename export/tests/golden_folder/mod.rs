//! A golden folder: config, weights, inputs and recorded numbers of the public code (`fixtures/golden/README.md`).

use std::path::Path;

use safetensors::SafeTensors;
use trm_export::checkpoint::StateDict;
use trm_export::onnx::eval::Tensor;
use trm_models::{ConfigSource, TrmConfig};

/// The goldens whose numbers do not depend on rounding, computed in float32.
pub(crate) const NAMES_STABLE: [&str; 5] =
    ["sudoku_mlp_stable", "maze_att_stable", "maze_learned_stable", "arc_like_stable", "hrm_att_stable"];

pub(crate) struct Golden {
    pub(crate) config: TrmConfig,
    pub(crate) manifest: serde_json::Value,
    weights: StateDict,
    outputs: Vec<u8>,
}

impl Golden {
    pub(crate) fn open(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name);
        let read = |file: &str| std::fs::read(dir.join(file)).unwrap_or_else(|error| panic!("{name}/{file}: {error}"));
        let manifest: serde_json::Value = serde_json::from_slice(&read("manifest.json")).expect("manifest");
        let size = |key: &str| usize::try_from(manifest["arch"][key].as_u64().expect(key)).expect(key);
        let config = ConfigSource::from_yaml_file(&dir.join("all_config.yaml"))
            .and_then(|source| {
                source
                    .seq_len(size("seq_len"))
                    .vocab_size(size("vocab_size"))
                    .num_puzzle_identifiers(size("num_puzzle_identifiers"))
                    .build()
            })
            .expect("config");
        let weights = StateDict::read(dir.join("step_1000")).expect("checkpoint");
        Self { config, manifest, weights, outputs: read("outputs.safetensors") }
    }

    /// Puzzles in the recorded batch.
    pub(crate) fn rows(&self) -> usize {
        self.ints("puzzle_identifiers").len()
    }

    pub(crate) fn tokens(&self) -> Tensor {
        Tensor::int(&[self.rows(), self.config.seq_len], self.ints("inputs")).expect("tokens")
    }

    pub(crate) fn labels(&self) -> Tensor {
        Tensor::int(&[self.rows(), self.config.seq_len], self.ints("labels")).expect("labels")
    }

    pub(crate) fn puzzle_ids(&self) -> Tensor {
        Tensor::int(&[self.rows()], self.ints("puzzle_identifiers")).expect("ids")
    }

    pub(crate) fn weight(&self, name: &str) -> Tensor {
        let tensor = self.weights.get(name).unwrap_or_else(|| panic!("no weight {name}"));
        Tensor::float(&tensor.shape, tensor.data.iter().map(|&value| f64::from(value)).collect()).expect("weight")
    }

    fn ints(&self, name: &str) -> Vec<i64> {
        let tensors = SafeTensors::deserialize(&self.outputs).expect("safetensors");
        let tensor = tensors.tensor(name).expect(name);
        tensor.data().chunks_exact(4).map(|b| i64::from(i32::from_le_bytes(b.try_into().expect("4")))).collect()
    }
}
