//! Readers of weights, configurations and bundles.

use std::io::{Cursor, Write as _};
use std::path::Path;

use trm_export::checkpoint::{ReadOptions, StateDict};
use trm_export::onnx::OnnxSummary;
use trm_export::train::ort_training::TrainingCheckpoint;
use trm_models::{ConfigSource, Manifest, SelfTest};
use trm_train::config::TrainConfig;
use zip::write::SimpleFileOptions;

fn weights(name: &str, data: &[u8]) -> bool {
    // Changed names are to be loaded as well.
    let options = ReadOptions { any_names: true, ..ReadOptions::default() };
    StateDict::from_bytes(data, name, &options).is_ok()
}

/// A torch file, as it lies on the disk.
pub(crate) fn checkpoint(data: &[u8]) -> bool {
    weights("checkpoint.pt", data)
}

/// The pickle in a torch file: behind an archive's checksums hardly a changed byte would reach it.
pub(crate) fn checkpoint_pickle(data: &[u8]) -> bool {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let numbers: Vec<u8> = (0..64_u8).flat_map(|number| f32::from(number).to_le_bytes()).collect();
    let files: [(&str, &[u8]); 5] = [
        ("archive/data.pkl", data),
        ("archive/byteorder", b"little"),
        ("archive/data/0", &numbers),
        ("archive/data/1", &numbers),
        ("archive/version", b"3\n"),
    ];
    for (name, content) in files {
        if archive.start_file(name, stored).and_then(|()| Ok(archive.write_all(content)?)).is_err() {
            return false;
        }
    }
    archive.finish().is_ok_and(|archive| weights("pickle.pt", archive.get_ref()))
}

pub(crate) fn safetensors(data: &[u8]) -> bool {
    weights("model.safetensors", data)
}

pub(crate) fn npz(data: &[u8]) -> bool {
    weights("model.npz", data)
}

pub(crate) fn onnx(data: &[u8]) -> bool {
    OnnxSummary::from_bytes(data, Path::new("model.onnx")).is_ok()
}

pub(crate) fn ort_checkpoint(data: &[u8]) -> bool {
    TrainingCheckpoint::from_bytes(data, Path::new("checkpoint")).is_ok()
}

pub(crate) fn manifest(data: &[u8]) -> bool {
    Manifest::parse(data, "bundle").is_ok()
}

/// The smallest model: the faults of a self-test do not depend on the width of its carry.
const SMALL: &str = "arch:
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  H_cycles: 1
  L_cycles: 1
  H_layers: 0
  L_layers: 1
  expansion: 4
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  hidden_size: 8
  mlp_t: true
  no_ACT_continue: true
  num_heads: 2
  pos_encodings: none
  puzzle_emb_len: 1
  puzzle_emb_ndim: 8
";

pub(crate) fn self_test(data: &[u8]) -> bool {
    let source = ConfigSource::from_yaml_str(SMALL, "small.yaml");
    let config = source.and_then(|source| source.seq_len(16).vocab_size(6).num_puzzle_identifiers(2).build());
    config.is_ok_and(|config| SelfTest::decode(data, &config, "bundle").is_ok())
}

pub(crate) fn config_yaml(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let source = ConfigSource::from_yaml_str(&text, "all_config.yaml");
    source.and_then(|source| source.seq_len(81).vocab_size(11).num_puzzle_identifiers(1).build()).is_ok()
}

pub(crate) fn train_config(data: &[u8]) -> bool {
    TrainConfig::from_toml("config.toml", &String::from_utf8_lossy(data)).is_ok()
}
