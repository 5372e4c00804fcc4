//! Readers of weights, configurations and bundles.

use std::io::{Cursor, Write as _};
use std::path::Path;

use trm_export::checkpoint::StateDict;
use trm_export::onnx::OnnxSummary;
use trm_export::train::ort_training::TrainingCheckpoint;
use trm_models::{ConfigSource, Manifest, SHIPPED, SelfTest};
use trm_solver::train::config::TrainConfig;
use zip::write::SimpleFileOptions;

use crate::scratch::with_file;

fn weights(name: &str, data: &[u8]) -> bool {
    with_file(name, data, |path| StateDict::read(path).is_ok()).unwrap_or(false)
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

pub(crate) fn self_test(data: &[u8]) -> bool {
    let shipped = SHIPPED.iter().find_map(|model| model.open().ok());
    shipped.is_some_and(|bundle| SelfTest::decode(data, &bundle.manifest().config, "bundle").is_ok())
}

pub(crate) fn config_yaml(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let source = ConfigSource::from_yaml_str(&text, "all_config.yaml");
    source.and_then(|source| source.seq_len(81).vocab_size(11).num_puzzle_identifiers(1).build()).is_ok()
}

pub(crate) fn train_config(data: &[u8]) -> bool {
    TrainConfig::from_toml("config.toml", &String::from_utf8_lossy(data)).is_ok()
}
