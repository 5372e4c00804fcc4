//! Configurations to start from.

use trm_models::{ConfigSource, TrmConfig};

/// The public TRM configuration for sudoku, as training saves it.
pub(crate) const TRM: &str = "\
arch:
  H_cycles: 3
  H_layers: 0
  L_cycles: 6
  L_layers: 2
  expansion: 4
  forward_dtype: bfloat16
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  hidden_size: 512
  loss:
    loss_type: stablemax_cross_entropy
    name: losses@ACTLossHead
  mlp_t: true
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  no_ACT_continue: true
  num_heads: 8
  pos_encodings: none
  puzzle_emb_len: 16
  puzzle_emb_ndim: 512
data_paths:
- data/sudoku
ema: true
load_checkpoint: null
lr: 0.0001
";

/// The public HRM configuration.
pub(crate) const HRM: &str = "\
arch:
  H_cycles: 2
  H_layers: 4
  L_cycles: 2
  L_layers: 4
  expansion: 4
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  hidden_size: 512
  name: recursive_reasoning.hrm@HierarchicalReasoningModel_ACTV1
  num_heads: 8
  pos_encodings: rope
  puzzle_emb_ndim: 512
";

pub(crate) fn source(yaml: &str) -> ConfigSource {
    ConfigSource::from_yaml_str(yaml, "all_config.yaml")
        .expect("YAML")
        .seq_len(81)
        .vocab_size(11)
        .num_puzzle_identifiers(1)
}

pub(crate) fn build(yaml: &str) -> TrmConfig {
    source(yaml).build().unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// The TRM configuration with one line replaced, or left out.
pub(crate) fn with(field: &str, line: &str) -> String {
    let changed: Vec<String> = TRM
        .lines()
        .filter_map(|old| match old.trim_start().strip_prefix(field) {
            Some(rest) if rest.starts_with(':') && old.starts_with("  ") && !old.starts_with("    ") => {
                (!line.is_empty()).then(|| format!("  {line}"))
            }
            _ => Some(old.to_owned()),
        })
        .collect();
    assert_ne!(changed.join("\n"), TRM.trim_end(), "{field} was there");
    changed.join("\n")
}

pub(crate) fn refusal(yaml: &str) -> String {
    trm_intake::explained(&source(yaml).build().expect_err("refused"))
}
