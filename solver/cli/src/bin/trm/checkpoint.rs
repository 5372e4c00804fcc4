//! A checkpoint's configuration: from the options, or from the files that training left beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use trm_cli::{errln, failure};
use trm_export::checkpoint::StateDict;
use trm_intake::Printable;
use trm_models::{Architecture, ConfigRecord, ConfigSource, ModelError, TrmConfig};

use crate::identities::IDENTIFIERS;
use crate::weights::{config_of, has_config, there};

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
    /// Set a setting of the model, whatever the files say: `H_cycles=3`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Leave out a key that nothing is known of, or the file `identifiers.json`; may be repeated
    #[arg(long, value_name = "KEY")]
    ignore: Vec<String>,
    /// Take a class that is not known here as one of the public ones: its arithmetic must be the same
    #[arg(long, value_name = "CLASS")]
    assume_class: Option<ClassName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClassName {
    /// Tiny Recursive Model
    Trm,
    /// Hierarchical Reasoning Model
    Hrm,
}

impl From<ClassName> for Architecture {
    fn from(name: ClassName) -> Self {
        match name {
            ClassName::Trm => Self::Trm,
            ClassName::Hrm => Self::Hrm,
        }
    }
}

/// The outcome of [`ConfigArgs::find`]. Whoever asked says what is left undone without a whole configuration.
pub(crate) enum Found {
    /// A configuration, and where its settings came from.
    Complete(Box<(TrmConfig, ConfigRecord)>),
    /// One that does not say all; the message says what is missing from which file.
    Incomplete(String),
    /// None.
    Nothing,
}

impl ConfigArgs {
    /// Returns true if any of it was given.
    pub(crate) fn given(&self) -> bool {
        self.config.is_some()
            || self.dataset.is_some()
            || [self.seq_len, self.vocab, self.num_puzzle_identifiers].iter().any(Option::is_some)
            || !self.set.is_empty()
            || !self.ignore.is_empty()
            || self.assume_class.is_some()
    }

    /// True if the file of identities is to be left out.
    pub(crate) fn ignores_identifiers(&self) -> bool {
        self.ignore.iter().any(|key| key == IDENTIFIERS)
    }

    /// The configuration of a checkpoint: what was asked for, or what lies beside it. Files that were not named are named
    /// on stderr.
    pub(crate) fn find(&self, checkpoint: &Path, weights: &StateDict) -> Result<Found> {
        if !self.given() && !has_config(checkpoint, weights)? {
            return Ok(Found::Nothing);
        }
        match self.read(checkpoint, weights) {
            Err(error) if !self.given() && matches!(error.downcast_ref(), Some(ModelError::MissingField { .. })) => {
                Ok(Found::Incomplete(failure::message(&error)))
            }
            found => found.map(|found| Found::Complete(Box::new(found))),
        }
    }

    /// The configuration of a checkpoint, with where its settings came from. How many puzzle identities there are, nobody
    /// has to say: the table of their embeddings has that many rows.
    pub(crate) fn read(&self, checkpoint: &Path, weights: &StateDict) -> Result<(TrmConfig, ConfigRecord)> {
        let mut source = if let Some(path) = &self.config {
            ConfigSource::from_yaml_file(path)?
        } else {
            config_of(checkpoint, weights)?
        };
        if let Some(path) = &self.dataset {
            source = source.dataset_file(path)?;
        } else if let Some(path) = there(checkpoint, "dataset.json")? {
            errln!("using {}", path.display());
            source = source.dataset_file(&path)?;
        }
        let (config, record) = self.apply(source, weights)?.resolve()?;
        if !record.unknown.is_empty() {
            let keys: Vec<String> = record.unknown.iter().take(20).map(|key| Printable(key).to_string()).collect();
            let more = record.unknown.len() - keys.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            errln!("warning: nothing is known of {}{more}: not used", keys.join(", "));
        }
        Ok((config, record))
    }

    /// A configuration's source with what the options say.
    fn apply(&self, mut source: ConfigSource, weights: &StateDict) -> Result<ConfigSource> {
        if let Some(seq_len) = self.seq_len {
            source = source.seq_len(seq_len);
        }
        if let Some(vocab_size) = self.vocab {
            source = source.vocab_size(vocab_size);
        }
        if let Some(count) = self.num_puzzle_identifiers {
            source = source.num_puzzle_identifiers(count);
        }
        for setting in &self.set {
            let (key, value) = setting
                .split_once('=')
                .with_context(|| format!("--set {}: no `=`\nhint: --set H_cycles=3", Printable(setting)))?;
            source = source.set(key.trim(), value.trim())?;
        }
        for key in self.ignore.iter().filter(|key| *key != IDENTIFIERS) {
            if key.trim().is_empty() {
                bail!("--ignore: no key\nhint: --ignore KEY, as the message about it says");
            }
            source = source.ignore(key.trim());
        }
        if let Some(class) = self.assume_class {
            source = source.assume(class.into());
        }
        let rows = weights.get("puzzle_emb.weights").and_then(|table| table.shape.first().copied());
        Ok(source.table_rows(rows.unwrap_or(1)))
    }
}
