//! A checkpoint's weights and what came with them: which set was read, its files, and the settings that they carry.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use trm_cli::errln;
use trm_export::checkpoint::{ReadOptions, StateDict, is_checkpoint_folder};
use trm_intake::file::FileError;
use trm_intake::{Budget, Limits, Printable};
use trm_models::{CheckpointOrigin, ConfigSource, MANIFEST, ModelError, hash_file};

/// The public code's file of settings.
const ALL_CONFIG: &str = "all_config.yaml";
/// Hugging Face's file of settings.
const HUB_CONFIG: &str = "config.json";
/// The published ones have 1 KB.
const CONFIG_LIMITS: Limits = Limits { bytes: 1 << 20, items: 0, depth: 0, time: None };
/// Keys that Hugging Face's libraries write beside a model's own settings.
const OF_THE_HUB: [&str; 8] = [
    "architectures",
    "model_type",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "auto_map",
    "_name_or_path",
    "library_name",
];
/// The class of the public code's TRM.
const TRM_CLASS: &str = "TinyRecursiveReasoningModel_ACTV1";
/// Where a model's settings lie in a configuration of the hub, if not at its top.
const NESTED: [&str; 3] = ["config_dict", "config", "model_config"];

/// Which weights of a checkpoint are read.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct WeightsArgs {
    /// The set of weights to read, of a checkpoint with several: its key, such as `ema`; keys that are not known are then
    /// left out
    #[arg(long, value_name = "NAME")]
    weights: Option<String>,
}

impl WeightsArgs {
    /// Reads a checkpoint; stderr says what was decided, where there was something to decide.
    pub(crate) fn read(&self, checkpoint: &Path) -> Result<StateDict> {
        let weights =
            StateDict::read_with(checkpoint, &ReadOptions { weights: self.weights.clone(), ..ReadOptions::default() })?;
        for note in weights.ledger().notes() {
            errln!("{}: {note}", checkpoint.display());
        }
        for warning in weights.ledger().warnings() {
            errln!("warning: {}: {warning}", checkpoint.display());
        }
        Ok(weights)
    }
}

/// True if a path is a checkpoint rather than a bundle or the name of a model: a file, or a folder of Hugging Face's hub.
pub(crate) fn is_checkpoint(path: &Path) -> bool {
    path.is_file() || (is_checkpoint_folder(path) && !path.join(MANIFEST).is_file())
}

/// A file in a checkpoint's folder, or in the folder that the checkpoint is.
pub(crate) fn beside(checkpoint: &Path, name: &str) -> PathBuf {
    let folder = if checkpoint.is_dir() { checkpoint } else { checkpoint.parent().unwrap_or(Path::new("")) };
    folder.join(name)
}

/// The file of this name beside a checkpoint, where there is one.
///
/// # Errors
/// Something of that name is there that is no file, or leads nowhere: passed over, it would be missed without a word.
pub(crate) fn there(checkpoint: &Path, name: &str) -> Result<Option<PathBuf>> {
    let path = beside(checkpoint, name);
    match path.symlink_metadata() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        Ok(_) => {}
    }
    let metadata = path.metadata().with_context(|| {
        format!("cannot read {}, which lies beside the checkpoint\nhint: mend the link, or remove it", path.display())
    })?;
    if !metadata.is_file() {
        bail!(
            "{}: no regular file, expected the checkpoint's {name}\nhint: put the file there, or remove it",
            path.display()
        );
    }
    Ok(Some(path))
}

/// True if a configuration lies beside a checkpoint, or in it.
pub(crate) fn has_config(checkpoint: &Path, weights: &StateDict) -> Result<bool> {
    Ok(there(checkpoint, ALL_CONFIG)?.is_some()
        || there(checkpoint, HUB_CONFIG)?.is_some()
        || !matches!(weights.settings(), Ok(None)))
}

/// The configuration that came with a checkpoint: the `all_config.yaml` of the public code, the `config.json` of Hugging
/// Face's hub, or the settings that the file itself carries. Stderr says which.
pub(crate) fn config_of(checkpoint: &Path, weights: &StateDict) -> Result<ConfigSource> {
    let all_config = there(checkpoint, ALL_CONFIG)?;
    let hub = there(checkpoint, HUB_CONFIG)?;
    if all_config.is_some() || (hub.is_none() && matches!(weights.settings(), Ok(None))) {
        let path = beside(checkpoint, ALL_CONFIG);
        let source = ConfigSource::from_yaml_file(&path).map_err(|error| match error {
            error @ ModelError::File(FileError::Io { .. }) => anyhow::Error::new(error).context(format!(
                "{}: no configuration\nhint: pass --config with the all_config.yaml that training saved",
                checkpoint.display()
            )),
            other => other.into(),
        })?;
        errln!("using {}", path.display());
        return Ok(source);
    }
    if let Some((origin, fields)) = weights.settings()? {
        errln!("using the settings in {}", Printable(&origin));
        return Ok(ConfigSource::from_fields(fields, &origin)?);
    }
    let hub = beside(checkpoint, HUB_CONFIG);
    let bytes = Budget::new(CONFIG_LIMITS).read_file(&hub).with_context(|| format!("cannot read {}", hub.display()))?;
    let origin = hub.display().to_string();
    let fields: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
        let reason = error.to_string();
        anyhow::anyhow!(
            "{origin}: not a model configuration: {}\nhint: expected the model's settings in JSON, as Hugging Face's hub has them",
            Printable(&reason)
        )
    })?;
    errln!("using {}", hub.display());
    Ok(ConfigSource::from_fields(of_hub(fields), &origin)?)
}

/// A configuration of the hub as the public code's: the model's own settings, its class as `name`.
fn of_hub(mut fields: Map<String, Value>) -> Map<String, Value> {
    if fields.contains_key("arch") {
        return fields;
    }
    let class = fields.get("architectures").and_then(|classes| classes.get(0)).or_else(|| fields.get("model_type"));
    let class = class.and_then(Value::as_str).map(str::to_owned);
    let nested = NESTED.iter().find(|key| fields.get(**key).is_some_and(Value::is_object));
    if let Some(Value::Object(inner)) = nested.and_then(|key| fields.remove(*key)) {
        fields.extend(inner);
    }
    fields.retain(|key, _| !OF_THE_HUB.contains(&key.as_str()));
    if let Some(class) = class
        && !fields.contains_key("name")
    {
        // The hub's files name a class without its module; TRM's is the public code's own.
        let class = if class == TRM_CLASS { format!("recursive_reasoning.trm@{class}") } else { class };
        fields.insert("name".into(), class.into());
    }
    fields
}

/// The origin that a bundle names: the checkpoint that it was made of. Of several files the hash is that of the list that
/// `sha256sum` prints of them, an index first.
pub(crate) fn origin_of(checkpoint: &Path, weights: &StateDict) -> Result<CheckpointOrigin> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sha256 = match weights.files() {
        [] => hash_file(checkpoint)?.0,
        [file] => hash_file(file)?.0,
        files => {
            let line = |file: &PathBuf| Ok(format!("{}  {}\n", hash_file(file)?.0, name(file)));
            let list = files.iter().map(line).collect::<Result<String>>()?;
            Sha256::digest(list).iter().fold(String::new(), |mut text, byte| {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        }
    };
    let file = weights.files().first().map_or(checkpoint, PathBuf::as_path);
    Ok(CheckpointOrigin { file: name(file), sha256, reading: weights.ledger().notes() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Value {
        let Value::Object(fields) = value else { panic!("a mapping") };
        Value::Object(of_hub(fields))
    }

    #[test]
    fn the_hubs_own_keys_are_no_settings_of_the_model() {
        let flat =
            json!({"architectures": ["TinyRecursiveReasoningModel_ACTV1"], "torch_dtype": "float32", "H_cycles": 3});
        let expected = json!({"name": "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1", "H_cycles": 3});
        assert_eq!(of(flat), expected);
        let nested = json!({"config_dict": {"H_cycles": 3, "name": "trm"}, "transformers_version": "5"});
        assert_eq!(of(nested), json!({"name": "trm", "H_cycles": 3}));
        let ours = json!({"arch": {"name": "trm"}, "seq_len": 81});
        assert_eq!(of(ours.clone()), ours);
    }
}
