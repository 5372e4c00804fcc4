//! A trained model, before any engine or tensor library is involved: its configuration, the interface of its graphs
//! and the folder it is shipped in.
//!
//! This crate is the contract between `trm-export`, which writes graphs and bundles, and `trm-engine`, which runs them.
//! It knows neither puzzles nor machine learning.
//!
//! - [`TrmConfig`]: the reference's `all_config.yaml` and `dataset.json`, read by [`ConfigSource`], checked by
//!   [`TrmConfig::validate`].
//! - [`GraphSpec`]: names, dtypes and shapes of every graph's inputs and outputs.
//! - [`ModelBundle`]: a folder, or files built into the program: [`Manifest`], graphs, [`SelfTest`], every file hashed;
//!   written by [`BundleWriter`], signed for whoever has the [`TrustedKey`]. [`SHIPPED`] lists the models that come with
//!   the program.
//!
//! ```
//! use trm_models::{ConfigSource, GraphKind, GraphSpec};
//!
//! let yaml = "
//! arch:
//!   name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
//!   H_cycles: 3
//!   L_cycles: 6
//!   H_layers: 0
//!   L_layers: 2
//!   hidden_size: 512
//!   num_heads: 8
//!   expansion: 4
//!   mlp_t: true
//!   pos_encodings: none
//!   puzzle_emb_ndim: 512
//!   puzzle_emb_len: 16
//!   halt_max_steps: 16
//!   halt_exploration_prob: 0.1
//! ";
//! let config = ConfigSource::from_yaml_str(yaml, "all_config.yaml")?
//!     .seq_len(81)
//!     .vocab_size(11)
//!     .num_puzzle_identifiers(1)
//!     .build()?;
//! assert_eq!(config.total_len(), 16 + 81);
//! assert_eq!(GraphSpec::new(GraphKind::Step, &config).inputs[0].name, "tokens");
//! # Ok::<(), trm_models::ModelError>(())
//! ```
//!
//! Refused, with an error that says so: settings on which the public code itself breaks, sizes no puzzle model has,
//! bundles whose bytes do not match their manifest, and files that a manifest does not list.

mod board;
mod bundle;
mod classifier;
mod config;
mod config_source;
mod error;
mod graph_spec;
mod mixer;
mod network;
mod precision;
mod shipped;
mod strict_json;

pub use board::{Board, GroupKind};
pub use bundle::{
    BundleWriter, CARD, CheckpointOrigin, FOLDER_NAME, FORMAT_VERSION, FileHash, GraphFile, GraphTarget, Identities,
    MANIFEST, Manifest, Measured, ModelBundle, SELF_TEST, SIGNATURE, SelfTest, Signed, TaskKind, TaskSpec, TrustedKey,
    WEIGHTS, hash_file, is_folder_name,
};
pub use classifier::{CLASSIFIER_GRAPH, ClassifierBundle, ClassifierManifest};
pub use config::{Architecture, PosEncodings, TrmConfig};
pub use config_source::{ConfigRecord, ConfigSource, Setting, SettingSource};
pub use error::ModelError;
pub use graph_spec::{Axis, ElementType, FoundTensor, GraphKind, GraphSpec, TensorSpec};
pub use mixer::Mixer;
pub use network::NetworkConfig;
pub use precision::Precision;
pub use shipped::{SHIPPED, ShippedBundle};

/// The result of this crate's fallible functions.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;
