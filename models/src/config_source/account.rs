//! Reading settings, and keeping account of every key.

use serde::Deserialize as _;
use serde_json::Value;
use trm_intake::Printable;

use super::known::{self, ARCH_FIELDS, ARCH_HARMLESS, DATA_FIELDS, DATASET_HARMLESS, Release, TRAINING};
use super::{ConfigRecord, ConfigSource, Document, FORWARD_DTYPES, Setting, SettingSource};
use crate::{Architecture, Board, Mixer, ModelError, PosEncodings, Result};

/// Keys that a message names before it only counts them.
const MOST_NAMED: usize = 8;

/// Reads settings from a [`ConfigSource`] and writes down where each came from.
pub(super) struct Account<'a> {
    source: &'a ConfigSource,
    record: ConfigRecord,
    /// Keys of `source.ignored` that are there.
    found_ignored: Vec<String>,
}

/// A value as it was found.
struct Found<'a> {
    value: &'a Value,
    /// The name of the place in errors.
    origin: String,
    source: SettingSource,
}

impl<'a> Account<'a> {
    pub(super) fn new(source: &'a ConfigSource) -> Self {
        let files = [Some(&source.config), source.dataset.as_ref()];
        let files = files.into_iter().flatten().map(Document::file).collect();
        Self { source, record: ConfigRecord { files, ..ConfigRecord::default() }, found_ignored: Vec::new() }
    }

    pub(super) fn into_record(self) -> ConfigRecord {
        self.record
    }

    /// The architecture that `arch.name` (`module.path@Class`) names, and which settings its class reads.
    pub(super) fn class(&mut self) -> Result<(Architecture, Release)> {
        let assumed = self.source.assumed;
        let Some(found) = self.find("name") else {
            return match assumed {
                Some(architecture) => {
                    self.record.assumed = Some(architecture);
                    Ok((architecture, Release::Current))
                }
                None => Err(ModelError::MissingField {
                    origin: self.source.config.origin.clone(),
                    field: "name",
                    hint: format!("{UNDER_ARCH}; --assume-class trm or --assume-class hrm says it for a file without"),
                }),
            };
        };
        let Some(name) = found.value.as_str() else {
            return Err(bad(&found, "name", "a word", None));
        };
        self.record.class = Some(name.to_owned());
        let (name, known, source) = (name.to_owned(), known::class(name), found.source.clone());
        let class = match (known, assumed) {
            (Some(known), Some(assumed)) if known.architecture != assumed => {
                let expected = format!("a class of {assumed}, as --assume-class says");
                let hint = "this class is known: leave --assume-class out".to_owned();
                return Err(bad(&found, "name", &expected, Some(hint)));
            }
            (Some(known), _) => (known.architecture, known.release),
            (None, Some(assumed)) => {
                self.record.assumed = Some(assumed);
                (assumed, Release::Current)
            }
            (None, None) => {
                return Err(ModelError::UnknownClass {
                    origin: found.origin,
                    class: shown(&name),
                    known: known::class_names(),
                });
            }
        };
        self.keep("name", name, source);
        Ok(class)
    }

    /// Looks at every key of the files: those that are no setting are written down or refused.
    pub(super) fn account_for_keys(&mut self, architecture: Architecture, release: Release) -> Result<()> {
        let source = self.source;
        let config = &source.config;
        if let Some(arch) = config.fields.get("arch")
            && !arch.is_object()
        {
            return Err(ModelError::ConfigSyntax {
                origin: config.origin.clone(),
                reason: format!("`arch` is {}, expected the model's settings", shown(&arch.to_string())),
            });
        }
        let mut unknown = Vec::new();
        for (key, value) in config.arch().unwrap_or(&config.fields) {
            let full = if config.arch().is_some() { format!("arch.{key}") } else { key.clone() };
            if ARCH_FIELDS.contains(&key.as_str()) || DATA_FIELDS.contains(&key.as_str()) {
                if !is_read(key, architecture, release) {
                    self.record.unused.push(full);
                }
            } else if self.is_ignored(key, &full) {
                self.record.ignored.push(full);
            } else if ARCH_HARMLESS.contains(&key.as_str())
                || off(key, value)
                || (config.arch().is_none() && TRAINING.contains(&key.as_str()))
            {
                self.record.unused.push(full);
            } else {
                unknown.push((full, key.as_str()));
            }
        }
        if !unknown.is_empty() {
            return Err(unknown_keys(&config.origin, &unknown));
        }
        if config.arch().is_some() {
            for key in config.fields.keys().filter(|key| *key != "arch") {
                self.beside_settings(config, key, &TRAINING)?;
            }
        }
        if let Some(dataset) = &source.dataset {
            for (key, value) in &dataset.fields {
                self.beside_settings(dataset, key, &DATASET_HARMLESS)?;
                // Padding and "no particular puzzle" are 0 here; a data set that counts otherwise would be misread.
                if let Some(field) = ["pad_id", "blank_identifier_id"].into_iter().find(|field| field == key)
                    && value.as_i64() != Some(0)
                    && !self.source.ignored.contains(key)
                {
                    return Err(ModelError::BadField {
                        origin: dataset.origin.clone(),
                        field,
                        found: shown(&value.to_string()),
                        expected: "0, as the public data sets have it".into(),
                        hint: Some(format!("--ignore {field} reads it as 0 nevertheless")),
                    });
                }
            }
        }
        self.unneeded_ignores()
    }

    /// A key of `dataset.json`, or one beside `arch:`.
    fn beside_settings(&mut self, document: &Document, key: &str, harmless: &[&str]) -> Result<()> {
        if DATA_FIELDS.contains(&key) {
            return Ok(());
        }
        if self.is_ignored(key, key) {
            self.record.ignored.push(key.to_owned());
            return Ok(());
        }
        if harmless.contains(&key) {
            self.record.unused.push(key.to_owned());
            return Ok(());
        }
        // A run may have a name of its own.
        let mut fields = ARCH_FIELDS.into_iter().filter(|field| *field != "name").chain(DATA_FIELDS);
        match fields.find(|field| known::same_but_for_spelling(key, field)) {
            None => {
                let place = document.file();
                self.record.unknown.push(format!("{place}: {key}"));
                Ok(())
            }
            Some(field) if self.source.given.contains_key(field) => {
                self.record.ignored.push(key.to_owned());
                Ok(())
            }
            Some(field) => Err(ModelError::MisplacedKey {
                origin: document.origin.clone(),
                key: Printable(key).to_string(),
                field,
                place: if DATA_FIELDS.contains(&field) { "" } else { " under `arch:`" },
            }),
        }
    }

    fn is_ignored(&mut self, key: &str, full: &str) -> bool {
        let asked: Vec<&String> = self.source.ignored.iter().filter(|asked| *asked == key || *asked == full).collect();
        self.found_ignored.extend(asked.iter().map(|asked| (*asked).clone()));
        !asked.is_empty()
    }

    /// Refuses keys that were to be ignored and are not there: they were mistyped, or belong to another file.
    fn unneeded_ignores(&self) -> Result<()> {
        let Some(key) = self.source.ignored.iter().find(|key| !self.found_ignored.contains(key)) else { return Ok(()) };
        let plain = key.strip_prefix("arch.").unwrap_or(key);
        let (reason, hint) = match ARCH_FIELDS.into_iter().chain(DATA_FIELDS).find(|field| *field == plain) {
            Some(field) => {
                (format!("`{field}` is a setting that the model needs"), format!("--set {field}=VALUE changes it"))
            }
            None => (
                format!("there is no key `{}` in {}", Printable(key), self.record.files.join(" and ")),
                "keys are written as in the file; leave the option out where there is nothing to ignore".to_owned(),
            ),
        };
        Err(ModelError::UnknownSetting { option: "--ignore", reason, hint })
    }

    fn find(&self, field: &str) -> Option<Found<'a>> {
        if let Some((value, option)) = self.source.given.get(field) {
            let source = SettingSource::Option { option: (*option).to_owned() };
            return Some(Found { value, origin: (*option).to_owned(), source });
        }
        find_in(&self.source.config, field)
    }

    fn keep(&mut self, field: &str, value: impl Into<Value>, source: SettingSource) {
        self.record.settings.insert(field.to_owned(), Setting { value: value.into(), source });
    }

    /// A setting that this class has no field for.
    pub(super) fn fixed<T: Into<Value> + Clone>(&mut self, field: &str, value: T) -> T {
        self.keep(field, value.clone(), SettingSource::Class);
        value
    }

    fn read<T: Into<Value> + Clone>(
        &mut self,
        field: &'static str,
        default: Option<T>,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let Some(found) = self.find(field) else {
            let Some(default) = default else {
                return Err(ModelError::MissingField {
                    origin: self.source.config.origin.clone(),
                    field,
                    hint: format!("{UNDER_ARCH}; --set {field}=VALUE gives it"),
                });
            };
            self.keep(field, default.clone(), SettingSource::Default);
            return Ok(default);
        };
        let value = parse(found.value).ok_or_else(|| bad(&found, field, expected, None))?;
        self.keep(field, value.clone(), found.source);
        Ok(value)
    }

    pub(super) fn count(&mut self, field: &'static str, default: Option<usize>) -> Result<usize> {
        self.read(field, default, "a whole number", as_count)
    }

    pub(super) fn number(&mut self, field: &'static str, default: Option<f64>) -> Result<f64> {
        self.read(field, default, "a number", as_number)
    }

    pub(super) fn flag(&mut self, field: &'static str, default: bool) -> Result<bool> {
        self.read(field, Some(default), "true or false", as_flag)
    }

    /// A field of the data set: from the option, else from `dataset.json` and the configuration, which have to agree,
    /// else as many as the table among the weights has rows.
    pub(super) fn data_field(&mut self, field: &'static str, option: &str, default: Option<usize>) -> Result<usize> {
        if self.source.given.contains_key(field) {
            return self.count(field, None);
        }
        let read = |found: Option<Found<'a>>| {
            let parsed = |found: Found<'a>| match as_count(found.value) {
                Some(value) => Ok((value, found)),
                None => Err(bad(&found, field, "a whole number", None)),
            };
            found.map(parsed).transpose()
        };
        let config = &self.source.config;
        // Beside `arch:` as well as under it.
        let beside = config.arch().and(config.fields.get(field)).map(|value| Found {
            value,
            origin: config.origin.clone(),
            source: SettingSource::File { file: config.file(), key: field.to_owned() },
        });
        let places = [
            read(find_in(config, field))?,
            read(beside)?,
            read(self.source.dataset.as_ref().and_then(|dataset| find_in(dataset, field)))?,
        ];
        let mut places = places.into_iter().flatten();
        if let Some((value, first)) = places.next() {
            if let Some((other, place)) = places.find(|(other, _)| *other != value) {
                return Err(ModelError::BadField {
                    origin: place.origin,
                    field,
                    found: other.to_string(),
                    expected: format!("{value} as in {}", first.origin),
                    hint: Some(format!("is it the data set the model was trained on? {option} N settles it")),
                });
            }
            self.keep(field, value, first.source);
            return Ok(value);
        }
        let rows = self.source.table_rows.filter(|_| field == "num_puzzle_identifiers" && default.is_none());
        if let Some(rows) = rows {
            self.keep(field, rows, SettingSource::Weights);
            return Ok(rows);
        }
        if let Some(default) = default {
            self.keep(field, default, SettingSource::Default);
            return Ok(default);
        }
        Err(ModelError::MissingField {
            origin: match &self.source.dataset {
                Some(dataset) => format!("{} and {}", config.origin, dataset.origin),
                None => config.origin.clone(),
            },
            field,
            hint: format!("pass {option} N, or --dataset with the data set's dataset.json"),
        })
    }

    pub(super) fn pos_encodings(&mut self, release: Release) -> Result<PosEncodings> {
        if release == Release::Symmetric {
            self.fixed("pos_encodings", "none");
            return Ok(PosEncodings::None);
        }
        let word = self.read("pos_encodings", None, "a word", as_word)?;
        let (expected, hint) = match word.as_str() {
            "rope" => return Ok(PosEncodings::Rope),
            "learned" => return Ok(PosEncodings::Learned),
            "none" if release != Release::First => return Ok(PosEncodings::None),
            "none" => ("rope or learned", "HRM's first release (hrm_act_v1) has no model without positions"),
            _ => (
                "rope, learned or none",
                "the public code takes any other word for none without saying so; if the model was trained like that, write none",
            ),
        };
        Err(self.bad_word("pos_encodings", &word, expected, Some(hint)))
    }

    /// The mixer: by its name where the class has one, else by the flag `mlp_t`.
    pub(super) fn mixer(&mut self, release: Release) -> Result<Mixer> {
        match release {
            // Attention only; the field is ignored.
            Release::First => Ok(Mixer::from_mlp_t(self.fixed("mlp_t", false))),
            Release::Current => Ok(Mixer::from_mlp_t(self.flag("mlp_t", false)?)),
            Release::Symmetric => {
                let word = self.read("mixer", None, "a word", as_word)?;
                let mixer = word.parse::<Mixer>().ok().filter(|mixer| mixer.has_board());
                mixer.ok_or_else(|| self.bad_word("mixer", &word, "grid, cross or candidates", None))
            }
        }
    }

    /// The board of a class that has one.
    pub(super) fn board(&mut self, release: Release) -> Result<Option<Board>> {
        if release != Release::Symmetric {
            return Ok(None);
        }
        let is_board = |value: &Value| Board::deserialize(value).is_ok().then(|| value.clone());
        let expected =
            "height, width and groups, such as {height: 9, width: 9, groups: [rows, columns, {boxes: [3, 3]}]}";
        let value = self.read("board", None, expected, is_board)?;
        Ok(Board::deserialize(value).ok())
    }

    /// The dtype's full name; torch knows some by two.
    pub(super) fn forward_dtype(&mut self) -> Result<String> {
        let word = self.read("forward_dtype", Some("bfloat16".to_owned()), "a word", as_word)?;
        let name = match word.as_str() {
            "float" => "float32",
            "half" => "float16",
            "double" => "float64",
            name => name,
        };
        if FORWARD_DTYPES.contains(&name) {
            return Ok(name.to_owned());
        }
        Err(self.bad_word("forward_dtype", &word, &format!("one of {}", FORWARD_DTYPES.join(", ")), None))
    }

    fn bad_word(&self, field: &'static str, word: &str, expected: &str, hint: Option<&str>) -> ModelError {
        ModelError::BadField {
            origin: self.find(field).map_or_else(String::new, |found| found.origin),
            field,
            found: format!("`{}`", shown(word)),
            expected: expected.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// The hint for a missing setting.
const UNDER_ARCH: &str = "it is written under `arch:` in the all_config.yaml of the public training code";

fn find_in<'a>(document: &'a Document, field: &str) -> Option<Found<'a>> {
    let (value, key) = document.find(field)?;
    let source = SettingSource::File { file: document.file(), key };
    Some(Found { value, origin: document.origin.clone(), source })
}

/// True if the class reads the setting.
fn is_read(field: &str, architecture: Architecture, release: Release) -> bool {
    match field {
        "mlp_t" | "num_heads" | "pos_encodings" | "puzzle_emb_len" | "rope_theta" if release == Release::Symmetric => {
            false
        }
        "mixer" | "board" => release == Release::Symmetric,
        "puzzle_emb_len" | "no_ACT_continue" => architecture == Architecture::Trm,
        "H_layers" => architecture == Architecture::Hrm,
        "mlp_t" => release != Release::First,
        _ => true,
    }
}

/// True if the key changes nothing at this value: the public code passes `causal: false` itself.
fn off(key: &str, value: &Value) -> bool {
    key == "causal" && as_flag(value) == Some(false)
}

fn unknown_keys(origin: &str, keys: &[(String, &str)]) -> ModelError {
    let name = |(full, key): &(String, &str)| {
        let near = known::nearest(key, ARCH_FIELDS.into_iter().chain(DATA_FIELDS));
        let near = near.map_or_else(String::new, |near| format!(" (is `{near}` meant?)"));
        format!("`{}`{near}", Printable(full))
    };
    let mut names: Vec<String> = keys.iter().take(MOST_NAMED).map(name).collect();
    if keys.len() > MOST_NAMED {
        names.push(format!("and {} more", keys.len() - MOST_NAMED));
    }
    ModelError::UnknownKeys {
        origin: origin.to_owned(),
        keys: names.join(", "),
        ignore: keys
            .iter()
            .take(MOST_NAMED)
            .map(|(_, key)| format!("--ignore {}", Printable(key)))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn bad(found: &Found<'_>, field: &'static str, expected: &str, hint: Option<String>) -> ModelError {
    let text = found.value.as_str().unwrap_or_default();
    let own = if text.contains("${") {
        Some("use the resolved all_config.yaml that training saved")
    } else if has_leading_zero(text) {
        Some("Python's YAML reads a number with a leading zero as octal, 016 as 14: write the number meant without it")
    } else {
        None
    };
    ModelError::BadField {
        origin: found.origin.clone(),
        field,
        found: shown(&found.value.to_string()),
        expected: expected.to_owned(),
        hint: hint.or_else(|| own.map(str::to_owned)),
    }
}

/// True for a number with a zero in front of its digits: octal to the YAML 1.1 of the public code, decimal to YAML 1.2.
fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim().trim_start_matches(['-', '+']).as_bytes();
    matches!(digits, [b'0', b'0'..=b'9' | b'_', ..])
}

fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if has_leading_zero(text) => None,
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn as_count(value: &Value) -> Option<usize> {
    let number = as_number(value)?;
    // Exact in f64 up to 2^53, far above any size that validation lets through.
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as usize)
}

fn as_flag(value: &Value) -> Option<bool> {
    match value {
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
    }
}

fn as_word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// At most 80 characters of a value, as they may be shown.
fn shown(value: &str) -> String {
    match value.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", Printable(&value[..end])),
        None => Printable(value).to_string(),
    }
}
