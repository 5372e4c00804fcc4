//! Writes the step graph of a checkpoint of the public code as ONNX, with the files beside it:
//! `cargo run --release --example export -- CHECKPOINT all_config.yaml sudoku.onnx`.
#![expect(clippy::print_stdout, reason = "a program to read, not to ship")]

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use trm_export::checkpoint::StateDict;
use trm_export::onnx::write::encode;
use trm_export::trm::{GraphOptions, build_graph};
use trm_models::{ConfigSource, GraphKind};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("usage: export CHECKPOINT CONFIG OUT");
    let (checkpoint, config, out) = (next()?, next()?, next()?);
    // Sizes that the configuration does not say; `dataset.json` has them.
    let source = ConfigSource::from_yaml_file(Path::new(&config))?.seq_len(81).vocab_size(11).num_puzzle_identifiers(1);
    let config = source.build()?;
    let weights = StateDict::read(&checkpoint)?;
    let model = encode(&build_graph(GraphKind::Step, &config, &weights, GraphOptions::default())?, &[]);
    fs::write(&out, &model.onnx)?;
    for (file, tensor) in &model.external {
        fs::write(Path::new(&out).with_file_name(file), tensor.to_le_bytes())?;
    }
    println!("{out}: {} bytes, {} tensors beside it", model.onnx.len(), model.external.len());
    Ok(())
}
