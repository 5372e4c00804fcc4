//! A checkpoint's configuration: from the options, or from the files that training left beside it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use trm_export::checkpoint::StateDict;
use trm_models::{ConfigSource, ModelError, TrmConfig};

use crate::failure;

/// Where the configuration comes from.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigArgs {
    /// The `all_config.yaml` that training saved; if left out, the one beside the checkpoint
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data set's dataset.json; if left out, the one beside the checkpoint, where there is one
    #[arg(long, value_name = "FILE")]
    dataset: Option<PathBuf>,
    /// Cells of the grid, whatever the files say
    #[arg(long, value_name = "N")]
    seq_len: Option<usize>,
    /// Number of tokens, padding included, whatever the files say
    #[arg(long, value_name = "N")]
    vocab: Option<usize>,
    /// Rows of the puzzle-embedding table, whatever the files say
    #[arg(long, value_name = "N")]
    num_puzzle_identifiers: Option<usize>,
}

impl ConfigArgs {
    /// Whether any of it was given.
    pub(crate) fn given(&self) -> bool {
        self.config.is_some()
            || self.dataset.is_some()
            || [self.seq_len, self.vocab, self.num_puzzle_identifiers].iter().any(Option::is_some)
    }

    /// The configuration of a checkpoint: what was asked for, or what lies beside it if that is complete. Files that
    /// were not named are named on stderr.
    pub(crate) fn find(&self, checkpoint: &Path, weights: &StateDict) -> Result<Option<TrmConfig>> {
        if !self.given() && !beside(checkpoint, "all_config.yaml").is_file() {
            return Ok(None);
        }
        match self.read(checkpoint, weights) {
            Err(error) if !self.given() && matches!(error.downcast_ref(), Some(ModelError::MissingField { .. })) => {
                eprintln!("not enough: {}", failure::message(&error));
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// The configuration of a checkpoint. How many puzzle identities there are, nobody has to say: the table of their
    /// embeddings has that many rows.
    pub(crate) fn read(&self, checkpoint: &Path, weights: &StateDict) -> Result<TrmConfig> {
        let mut source = if let Some(path) = &self.config {
            ConfigSource::from_yaml_file(path)?
        } else {
            let path = beside(checkpoint, "all_config.yaml");
            let source = ConfigSource::from_yaml_file(&path).map_err(|error| match error {
                error @ ModelError::Io { .. } => anyhow::Error::new(error).context(format!(
                    "{}: no configuration\nhint: pass --config with the all_config.yaml that training saved",
                    checkpoint.display()
                )),
                other => other.into(),
            })?;
            eprintln!("using {}", path.display());
            source
        };
        if let Some(path) = &self.dataset {
            source = source.dataset_file(path)?;
        } else {
            let path = beside(checkpoint, "dataset.json");
            if path.is_file() {
                eprintln!("using {}", path.display());
                source = source.dataset_file(&path)?;
            }
        }
        if let Some(seq_len) = self.seq_len {
            source = source.seq_len(seq_len);
        }
        if let Some(vocab_size) = self.vocab {
            source = source.vocab_size(vocab_size);
        }
        if let Some(count) = self.num_puzzle_identifiers {
            source = source.num_puzzle_identifiers(count);
        }
        match source.build() {
            Err(ModelError::MissingField { field: "num_puzzle_identifiers", .. }) => {
                let rows = weights.get("puzzle_emb.weights").and_then(|table| table.shape.first().copied());
                Ok(source.num_puzzle_identifiers(rows.unwrap_or(1)).build()?)
            }
            built => Ok(built?),
        }
    }
}

/// A file in a checkpoint's folder.
pub(crate) fn beside(checkpoint: &Path, name: &str) -> PathBuf {
    checkpoint.parent().unwrap_or(Path::new("")).join(name)
}
