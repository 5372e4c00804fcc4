//! Where a [`TrmConfig`] comes from: the public `all_config.yaml`, the data set's `dataset.json`, and explicit values.

use std::path::Path;

use serde_json::{Map, Value};

use crate::config::FORWARD_DTYPES;
use crate::{Architecture, ModelError, PosEncodings, Result, TrmConfig};

/// Larger files are not configurations; the published ones have 1 KB.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Collects what a [`TrmConfig`] is made of, then checks it as a whole.
///
/// An explicit value wins over the files. `dataset.json` and the configuration may both give a field if they agree.
///
/// Fields are looked for under `arch:` first, then at the top level, where some checkpoints keep `seq_len` and its like; a
/// bare architecture file (the public `config/arch/*.yaml`) works too. Keys that mean nothing here are ignored. Numbers
/// may be written as the reference's parser accepts them: `4`, `4.0` or `"4"`.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    config: Document,
    dataset: Option<Document>,
    seq_len: Option<usize>,
    vocab_size: Option<usize>,
    num_puzzle_identifiers: Option<usize>,
}

/// A parsed file and the name by which errors call it.
#[derive(Debug, Clone)]
struct Document {
    origin: String,
    fields: Map<String, Value>,
}

impl ConfigSource {
    /// Reads an `all_config.yaml`.
    pub fn from_yaml_file(path: &Path) -> Result<Self> {
        Self::from_yaml_str(&read_text(path)?, &path.display().to_string())
    }

    /// Parses the text of an `all_config.yaml`; `origin` is what errors call it.
    pub fn from_yaml_str(text: &str, origin: &str) -> Result<Self> {
        let budget = serde_saphyr::budget! { max_events: 100_000, max_aliases: 100, max_depth: 32 };
        // A field of the training configuration may well be `.inf`.
        let options = serde_saphyr::options! {
            budget: budget, with_snippet: false, non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        };
        let value = serde_saphyr::from_str_with_options(text, options).map_err(|error| ModelError::ConfigSyntax {
            origin: origin.to_owned(),
            // Some of the parser's messages span lines.
            reason: error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
        })?;
        Ok(Self {
            config: Document::new(value, origin)?,
            dataset: None,
            seq_len: None,
            vocab_size: None,
            num_puzzle_identifiers: None,
        })
    }

    /// Adds a data set's `dataset.json`: `seq_len`, `vocab_size`, `num_puzzle_identifiers`.
    pub fn dataset_file(mut self, path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let value = serde_json::from_str(&read_text(path)?)
            .map_err(|error| ModelError::ConfigSyntax { origin: origin.clone(), reason: error.to_string() })?;
        self.dataset = Some(Document::new(value, &origin)?);
        Ok(self)
    }

    /// Cells of the grid, whatever the files say.
    #[must_use]
    pub fn seq_len(mut self, seq_len: usize) -> Self {
        self.seq_len = Some(seq_len);
        self
    }

    /// Number of tokens, whatever the files say.
    #[must_use]
    pub fn vocab_size(mut self, vocab_size: usize) -> Self {
        self.vocab_size = Some(vocab_size);
        self
    }

    /// Rows of the puzzle-embedding table, whatever the files say.
    #[must_use]
    pub fn num_puzzle_identifiers(mut self, count: usize) -> Self {
        self.num_puzzle_identifiers = Some(count);
        self
    }

    /// The configuration, complete and [validated](TrmConfig::validate).
    pub fn build(&self) -> Result<TrmConfig> {
        let arch = &self.config;
        let name = arch.text("name", None)?;
        let (architecture, first_release) = architecture(&name, &arch.origin)?;
        let hrm = architecture == Architecture::Hrm;
        let pos_encodings = pos_encodings(&arch.text("pos_encodings", None)?, first_release, &arch.origin)?;
        let puzzle_emb_ndim = arch.count("puzzle_emb_ndim", Some(0))?;
        let config = TrmConfig {
            architecture,
            seq_len: self.data_field("seq_len", "--seq-len", self.seq_len, None)?,
            vocab_size: self.data_field("vocab_size", "--vocab", self.vocab_size, None)?,
            hidden_size: arch.count("hidden_size", None)?,
            num_heads: arch.count("num_heads", None)?,
            expansion: arch.number("expansion", None)?,
            h_cycles: arch.count("H_cycles", None)?,
            l_cycles: arch.count("L_cycles", None)?,
            h_layers: arch.count("H_layers", if hrm { None } else { Some(0) })?,
            l_layers: arch.count("L_layers", None)?,
            // HRM's first release has attention only and ignores the field.
            mlp_t: !first_release && arch.flag("mlp_t", false)?,
            pos_encodings,
            puzzle_emb_ndim,
            puzzle_emb_len: if hrm { 0 } else { arch.count("puzzle_emb_len", Some(16))? },
            num_puzzle_identifiers: self.data_field(
                "num_puzzle_identifiers",
                "--num-puzzle-identifiers",
                self.num_puzzle_identifiers,
                (puzzle_emb_ndim == 0).then_some(1),
            )?,
            halt_max_steps: arch.count("halt_max_steps", None)?,
            halt_exploration_prob: arch.number("halt_exploration_prob", None)?,
            no_act_continue: !hrm && arch.flag("no_ACT_continue", true)?,
            rms_norm_eps: arch.number("rms_norm_eps", Some(1e-5))?,
            rope_theta: arch.number("rope_theta", Some(10_000.0))?,
            forward_dtype: forward_dtype(&arch.text("forward_dtype", Some("bfloat16"))?, &arch.origin)?,
        };
        config.validate()?;
        Ok(config)
    }

    /// A field of the data set: from the flag, else from `dataset.json` and the configuration, which have to agree.
    fn data_field(
        &self,
        field: &'static str,
        flag: &str,
        given: Option<usize>,
        default: Option<usize>,
    ) -> Result<usize> {
        if let Some(given) = given {
            return Ok(given);
        }
        let in_config = self.config.find(field).is_some().then(|| self.config.count(field, None)).transpose()?;
        let in_dataset = match &self.dataset {
            Some(dataset) if dataset.find(field).is_some() => Some(dataset.count(field, None)?),
            _ => None,
        };
        match (in_dataset, in_config) {
            (Some(dataset), Some(config)) if dataset != config => Err(ModelError::BadField {
                origin: self.dataset.as_ref().map_or_else(String::new, |dataset| dataset.origin.clone()),
                field,
                found: dataset.to_string(),
                expected: format!("{config} as in {}", self.config.origin),
                hint: Some(format!("is it the data set the model was trained on? {flag} N settles it")),
            }),
            (Some(value), _) | (None, Some(value)) => Ok(value),
            (None, None) => default.ok_or_else(|| ModelError::MissingField {
                origin: match &self.dataset {
                    Some(dataset) => format!("{} and {}", self.config.origin, dataset.origin),
                    None => self.config.origin.clone(),
                },
                field,
                hint: format!("pass {flag} N, or --dataset with the data set's dataset.json"),
            }),
        }
    }
}

impl Document {
    fn new(value: Value, origin: &str) -> Result<Self> {
        match value {
            Value::Object(fields) => Ok(Self { origin: origin.to_owned(), fields }),
            _ => Err(ModelError::ConfigSyntax { origin: origin.to_owned(), reason: "not a mapping of fields".into() }),
        }
    }

    /// A field's value: under `arch:`, else at the top level. `${.other}`, Hydra's reference to a sibling (the public
    /// `puzzle_emb_ndim: ${.hidden_size}`), is followed once.
    fn find(&self, field: &str) -> Option<&Value> {
        let arch = self.fields.get("arch").and_then(Value::as_object);
        let lookup = |field: &str| arch.and_then(|arch| arch.get(field)).or_else(|| self.fields.get(field));
        let value = lookup(field)?;
        let sibling = value.as_str().and_then(|text| text.strip_prefix("${.")?.strip_suffix('}'));
        sibling.and_then(lookup).or(Some(value))
    }

    fn read<T>(
        &self,
        field: &'static str,
        default: Option<T>,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let Some(value) = self.find(field) else {
            return default.ok_or_else(|| ModelError::MissingField {
                origin: self.origin.clone(),
                field,
                hint: "it is written under `arch:` in the all_config.yaml of the public training code".into(),
            });
        };
        parse(value).ok_or_else(|| {
            let interpolation = value.as_str().is_some_and(|text| text.contains("${"));
            ModelError::BadField {
                origin: self.origin.clone(),
                field,
                found: shorten(&value.to_string()),
                expected: expected.to_owned(),
                hint: interpolation.then(|| "use the resolved all_config.yaml that training saved".into()),
            }
        })
    }

    fn count(&self, field: &'static str, default: Option<usize>) -> Result<usize> {
        self.read(field, default, "a whole number", |value| {
            let number = as_number(value)?;
            // Exact in f64 up to 2^53, far above any size that validation lets through.
            (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as usize)
        })
    }

    fn number(&self, field: &'static str, default: Option<f64>) -> Result<f64> {
        self.read(field, default, "a number", as_number)
    }

    fn flag(&self, field: &'static str, default: bool) -> Result<bool> {
        self.read(field, Some(default), "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => match number.as_f64() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                _ => None,
            },
            // The words that pydantic, the reference's parser, takes.
            Value::String(word) => match word.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" | "t" | "y" => Some(true),
                "false" | "no" | "off" | "0" | "f" | "n" => Some(false),
                _ => None,
            },
            _ => None,
        })
    }

    fn text(&self, field: &'static str, default: Option<&str>) -> Result<String> {
        self.read(field, default.map(str::to_owned), "a word", |value| value.as_str().map(str::to_owned))
    }
}

fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// The architecture that `arch.name` (`module.path@Class`) names, and whether it is HRM's first release, which knows
/// neither `mlp_t` nor `pos_encodings: none`.
fn architecture(name: &str, origin: &str) -> Result<(Architecture, bool)> {
    let module = name.split('@').next().unwrap_or(name);
    match module.rsplit('.').next().unwrap_or(module) {
        "trm" | "TinyRecursiveReasoningModel_ACTV1" => Ok((Architecture::Trm, false)),
        "hrm" | "HierarchicalReasoningModel_ACTV1" => Ok((Architecture::Hrm, false)),
        "hrm_act_v1" => Ok((Architecture::Hrm, true)),
        // Forks compute something else under the same class names (trm_singlez, trm_hier6, ...), so no guess is made.
        _ => Err(ModelError::BadField {
            origin: origin.to_owned(),
            field: "name",
            found: format!("`{}`", shorten(name)),
            expected: "a model of the module trm, hrm or hrm_act_v1".into(),
            hint: Some(
                "if this fork computes exactly what the public trm.py does, write name: \
                 recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1"
                    .into(),
            ),
        }),
    }
}

fn pos_encodings(word: &str, first_hrm_release: bool, origin: &str) -> Result<PosEncodings> {
    let (expected, hint) = match word {
        "rope" => return Ok(PosEncodings::Rope),
        "learned" => return Ok(PosEncodings::Learned),
        "none" if !first_hrm_release => return Ok(PosEncodings::None),
        "none" => ("rope or learned", "HRM's first release (hrm_act_v1) has no model without positions"),
        _ => (
            "rope, learned or none",
            "the public code takes any other word for none without saying so; if the model was trained like that, write none",
        ),
    };
    Err(ModelError::BadField {
        origin: origin.to_owned(),
        field: "pos_encodings",
        found: format!("`{}`", shorten(word)),
        expected: expected.into(),
        hint: Some(hint.into()),
    })
}

/// The dtype's full name; torch knows some by two.
fn forward_dtype(word: &str, origin: &str) -> Result<String> {
    let name = match word {
        "float" => "float32",
        "half" => "float16",
        "double" => "float64",
        name => name,
    };
    if FORWARD_DTYPES.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(ModelError::BadField {
        origin: origin.to_owned(),
        field: "forward_dtype",
        found: format!("`{}`", shorten(word)),
        expected: format!("one of {}", FORWARD_DTYPES.join(", ")),
        hint: None,
    })
}

/// At most 80 characters of a value, on one line, for an error message.
fn shorten(value: &str) -> String {
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Reads a small text file, refusing one too large to be a configuration.
fn read_text(path: &Path) -> Result<String> {
    let bytes = crate::file::read_limited(path, MAX_CONFIG_BYTES, "configuration")?;
    String::from_utf8(bytes)
        .map_err(|_| ModelError::ConfigSyntax { origin: path.display().to_string(), reason: "not UTF-8 text".into() })
}
