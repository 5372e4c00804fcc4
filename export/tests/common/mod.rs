//! Golden checkpoints of the public code.

use std::path::Path;

use trm_export::checkpoint::StateDict;
use trm_models::{ConfigSource, TrmConfig};

/// A golden's configuration and weights; the sizes are those of its data.
pub(crate) fn golden(name: &str, seq_len: usize, vocab: usize) -> (TrmConfig, StateDict) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name);
    let source = ConfigSource::from_yaml_file(&dir.join("all_config.yaml")).expect("config");
    let config = source.seq_len(seq_len).vocab_size(vocab).num_puzzle_identifiers(1).build().expect("config");
    (config, StateDict::read(dir.join("step_1000")).expect("checkpoint"))
}
