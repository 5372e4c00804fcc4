//! The sources of a [`TrmConfig`]: the public `all_config.yaml`, the data set's `dataset.json`, and explicit values.

mod account;
mod known;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};
use trm_intake::{Budget, Limits, Printable};

use self::account::Account;
use self::known::{ARCH_FIELDS, DATA_FIELDS, Release};
use crate::config::FORWARD_DTYPES;
use crate::{Architecture, ModelError, Result, TrmConfig, strict_json};

pub use self::record::{ConfigRecord, Setting, SettingSource};

/// Larger files are not configurations; the published ones have 1 KB.
const CONFIG_LIMITS: Limits = Limits { bytes: 1 << 20, items: 100_000, depth: 32, time: None };
const NO_FIELDS: &str = "not a mapping of fields";

/// Collects the values of a [`TrmConfig`], then checks it as a whole.
///
/// An explicit value wins over the files. `dataset.json` and the configuration may both give a field if they agree.
///
/// The model's settings stand under `arch:`; in a file without it (the public `config/arch/*.yaml`), at the top level.
/// `seq_len`, `vocab_size` and `num_puzzle_identifiers` may stand beside `arch:`, where some checkpoints keep them.
/// Numbers may be written as the reference's parser accepts them: `4`, `4.0` or `"4"`.
///
/// Every key is accounted for: it is a setting, or known to matter in training only, or an error under `arch:` and
/// named by [`ConfigRecord::unknown`] elsewhere. A setting in a place where the public code does not read it is an error.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    config: Document,
    dataset: Option<Document>,
    /// Explicit values by field, each with the option that gave it.
    given: BTreeMap<&'static str, (Value, &'static str)>,
    table_rows: Option<usize>,
    ignored: BTreeSet<String>,
    assumed: Option<Architecture>,
}

/// A parsed file and the name by which errors call it.
#[derive(Debug, Clone)]
struct Document {
    origin: String,
    fields: Map<String, Value>,
}

impl ConfigSource {
    /// Reads an `all_config.yaml`.
    ///
    /// # Errors
    ///
    /// [`ModelError::File`] for a file that cannot be read or is too large; otherwise those of
    /// [`ConfigSource::from_yaml_str`].
    pub fn from_yaml_file(path: &Path) -> Result<Self> {
        let refused = |origin, reason| ModelError::ConfigSyntax { origin, reason };
        Self::from_yaml_str(&read_text(path, "configuration", refused)?, &path.display().to_string())
    }

    /// Parses the text of an `all_config.yaml`; errors call it `origin`.
    ///
    /// # Errors
    ///
    /// [`ModelError::ConfigSyntax`] for a text that is not YAML, or not a mapping.
    pub fn from_yaml_str(text: &str, origin: &str) -> Result<Self> {
        let budget = serde_saphyr::budget! { max_events: 100_000, max_aliases: 100, max_depth: 32 };
        // A field of the training configuration may well be `.inf`. A leading zero means octal to Python's YAML 1.1, so that
        // such a number is kept as it is written, and refused where it is a setting.
        let options = serde_saphyr::options! {
            budget: budget, with_snippet: false, non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
            leading_zero_numbers_as_strings: true,
        };
        let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            ModelError::ConfigSyntax { origin: origin.to_owned(), reason: trm_intake::yaml::reason(&error) }
        })?;
        match value {
            Value::Object(fields) => Self::from_fields(fields, origin),
            _ => Err(ModelError::ConfigSyntax { origin: origin.to_owned(), reason: NO_FIELDS.to_owned() }),
        }
    }

    /// Takes fields that were read elsewhere, such as the configuration inside a checkpoint; errors call them
    /// `origin`. They may stand under `arch`, as in an `all_config.yaml`, or at the top level.
    ///
    /// # Errors
    ///
    /// None at present: fields are checked by [`ConfigSource::resolve`].
    pub fn from_fields(fields: Map<String, Value>, origin: &str) -> Result<Self> {
        Ok(Self::new(Document { origin: origin.to_owned(), fields }))
    }

    fn new(config: Document) -> Self {
        Self {
            config,
            dataset: None,
            given: BTreeMap::new(),
            table_rows: None,
            ignored: BTreeSet::new(),
            assumed: None,
        }
    }

    /// Adds a data set's `dataset.json`: `seq_len`, `vocab_size`, `num_puzzle_identifiers`.
    ///
    /// # Errors
    ///
    /// [`ModelError::File`] for a file that cannot be read or is too large, [`ModelError::DatasetSyntax`] for one that
    /// is not JSON, or not a mapping.
    pub fn dataset_file(mut self, path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let refused = |reason| ModelError::DatasetSyntax { origin: origin.clone(), reason };
        let text = read_text(path, "data set's description", |_, reason| refused(reason))?;
        self.dataset = match strict_json::parse(&text).map_err(|error| refused(error.to_string()))? {
            Value::Object(fields) => Some(Document { origin, fields }),
            _ => return Err(refused(NO_FIELDS.to_owned())),
        };
        Ok(self)
    }

    /// Cells of the grid, whatever the files say.
    #[must_use]
    pub fn seq_len(self, seq_len: usize) -> Self {
        self.give("seq_len", seq_len.into(), "--seq-len")
    }

    /// Number of tokens, whatever the files say.
    #[must_use]
    pub fn vocab_size(self, vocab_size: usize) -> Self {
        self.give("vocab_size", vocab_size.into(), "--vocab")
    }

    /// Rows of the puzzle-embedding table, whatever the files say.
    #[must_use]
    pub fn num_puzzle_identifiers(self, count: usize) -> Self {
        self.give("num_puzzle_identifiers", count.into(), "--num-puzzle-identifiers")
    }

    /// Rows of the puzzle-embedding table among the weights, taken where nothing else says how many puzzles there are.
    #[must_use]
    pub fn table_rows(mut self, rows: usize) -> Self {
        self.table_rows = Some(rows);
        self
    }

    /// Any setting by the reference's name (with or without `arch.` in front), whatever the files say. The value is read
    /// as one of the files would be.
    ///
    /// # Errors
    /// [`ModelError::UnknownSetting`] for a name that is none, or that has been given before.
    pub fn set(self, key: &str, value: &str) -> Result<Self> {
        let plain = key.strip_prefix("arch.").unwrap_or(key);
        let mut fields = ARCH_FIELDS.into_iter().chain(DATA_FIELDS);
        let unknown = |reason: String, hint: String| ModelError::UnknownSetting { option: "--set", reason, hint };
        let Some(field) = fields.find(|field| *field == plain) else {
            let names = || ARCH_FIELDS.into_iter().chain(DATA_FIELDS);
            let hint = match known::nearest(plain, names()) {
                Some(near) => format!("is `{near}` meant?"),
                None => format!("the settings are {}", names().collect::<Vec<_>>().join(", ")),
            };
            return Err(unknown(format!("there is no setting `{}`", Printable(key)), hint));
        };
        if let Some((_, option)) = self.given.get(field) {
            let reason = format!("`{field}` is given twice, the first time by {option}");
            return Err(unknown(reason, "give it once".to_owned()));
        }
        Ok(self.give(field, value.into(), "--set"))
    }

    /// Leaves out a key that is unknown, or that stands where it is not read.
    #[must_use]
    pub fn ignore(mut self, key: &str) -> Self {
        self.ignored.insert(key.to_owned());
        self
    }

    /// Takes an unknown class, or a configuration without a class, as this architecture.
    #[must_use]
    pub fn assume(mut self, architecture: Architecture) -> Self {
        self.assumed = Some(architecture);
        self
    }

    fn give(mut self, field: &'static str, value: Value, option: &'static str) -> Self {
        self.given.insert(field, (value, option));
        self
    }

    /// The configuration, complete and [validated](TrmConfig::validate).
    ///
    /// # Errors
    ///
    /// Those of [`ConfigSource::resolve`].
    pub fn build(&self) -> Result<TrmConfig> {
        self.resolve().map(|(config, _)| config)
    }

    /// The configuration as [`build`](Self::build) makes it, with the account of where it came from.
    ///
    /// # Errors
    ///
    /// [`ModelError::MissingField`], [`ModelError::BadField`], [`ModelError::UnknownClass`];
    /// [`ModelError::UnknownKeys`] and [`ModelError::MisplacedKey`] for keys that are no setting where they stand;
    /// [`ModelError::ConfigSyntax`] for an `arch` that is no mapping, [`ModelError::UnknownSetting`] for an ignored key
    /// that is not there; those of [`TrmConfig::validate`].
    pub fn resolve(&self) -> Result<(TrmConfig, ConfigRecord)> {
        let mut account = Account::new(self);
        let (architecture, release) = account.class()?;
        account.account_for_keys(architecture, release)?;
        let symmetric = release == Release::Symmetric;
        let hrm = architecture == Architecture::Hrm;
        let puzzle_emb_ndim = account.count("puzzle_emb_ndim", Some(0))?;
        let default_identities = (puzzle_emb_ndim == 0).then_some(1);
        let config = TrmConfig {
            architecture,
            seq_len: account.data_field("seq_len", "--seq-len", None)?,
            vocab_size: account.data_field("vocab_size", "--vocab", None)?,
            hidden_size: account.count("hidden_size", None)?,
            num_heads: if symmetric { account.fixed("num_heads", 1) } else { account.count("num_heads", None)? },
            expansion: account.number("expansion", None)?,
            h_cycles: account.count("H_cycles", None)?,
            l_cycles: account.count("L_cycles", None)?,
            h_layers: account.count("H_layers", if hrm { None } else { Some(0) })?,
            l_layers: account.count("L_layers", None)?,
            mixer: account.mixer(release)?,
            pos_encodings: account.pos_encodings(release)?,
            puzzle_emb_ndim,
            puzzle_emb_len: if hrm || symmetric {
                account.fixed("puzzle_emb_len", 0)
            } else {
                account.count("puzzle_emb_len", Some(16))?
            },
            num_puzzle_identifiers: account.data_field(
                "num_puzzle_identifiers",
                "--num-puzzle-identifiers",
                default_identities,
            )?,
            halt_max_steps: account.count("halt_max_steps", None)?,
            halt_exploration_prob: account.number("halt_exploration_prob", None)?,
            no_act_continue: if hrm {
                account.fixed("no_ACT_continue", false)
            } else {
                account.flag("no_ACT_continue", true)?
            },
            rms_norm_eps: account.number("rms_norm_eps", Some(1e-5))?,
            rope_theta: account.number("rope_theta", Some(10_000.0))?,
            board: account.board(release)?,
            forward_dtype: account.forward_dtype()?,
        };
        config.validate()?;
        Ok((config, account.into_record()))
    }
}

impl Document {
    /// The file's name without its folder.
    fn file(&self) -> String {
        let name = Path::new(&self.origin).file_name();
        name.map_or_else(|| self.origin.clone(), |name| name.to_string_lossy().into_owned())
    }

    /// The fields under `arch:`.
    fn arch(&self) -> Option<&Map<String, Value>> {
        self.fields.get("arch").and_then(Value::as_object)
    }

    /// A field's value and its key with what it stands under. `${.other}`, Hydra's reference to a sibling (the public
    /// `puzzle_emb_ndim: ${.hidden_size}`), is followed once.
    fn find(&self, field: &str) -> Option<(&Value, String)> {
        let (fields, key) = match self.arch() {
            Some(arch) if arch.contains_key(field) => (arch, format!("arch.{field}")),
            Some(_) if !DATA_FIELDS.contains(&field) => return None,
            _ => (&self.fields, field.to_owned()),
        };
        let value = fields.get(field)?;
        let sibling = value.as_str().and_then(|text| text.strip_prefix("${.")?.strip_suffix('}'));
        Some((sibling.and_then(|name| fields.get(name)).unwrap_or(value), key))
    }
}

/// Reads a small text file, refusing one too large to be a `what`.
fn read_text(path: &Path, what: &'static str, refused: impl Fn(String, String) -> ModelError) -> Result<String> {
    let bytes = trm_intake::file::read_within(path, &mut Budget::new(CONFIG_LIMITS), what)?;
    String::from_utf8(bytes).map_err(|_| refused(path.display().to_string(), "not UTF-8 text".into()))
}
