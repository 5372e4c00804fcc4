//! The meaning of the keys of whole checkpoints.

use serde_json::{Map, Value as Json};

/// The fate of a key that holds no weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Tensors of the optimiser and its like: never looked into.
    Optimizer,
    /// A key without influence on what the model computes.
    Harmless,
    /// A key that may change what the model computes.
    Unknown,
}

/// Keys under which settings lie, the likeliest first.
pub(super) const SETTINGS: [&str; 9] =
    ["hyper_parameters", "all_config", "config", "cfg", "model_config", "model_args", "hparams", "args", "arch"];

/// Parts of the names under which optimisers, schedules and random number generators keep their state.
const OF_TRAINING: [&str; 10] =
    ["optim", "scheduler", "sched", "scaler", "scaling", "mixedprecision", "rng", "random", "generator_state", "adam"];

/// Keys that say nothing about what the model computes.
const HARMLESS: [&str; 70] = [
    "epoch",
    "epochs",
    "current_epoch",
    "step",
    "steps",
    "_step",
    "global_step",
    "num_steps",
    "total_steps",
    "train_step",
    "iteration",
    "iterations",
    "iter",
    "iters",
    "it",
    "n_iter",
    "num_updates",
    "updates",
    "n_averaged",
    "samples_seen",
    "tokens_seen",
    "loops",
    "callbacks",
    "averaging_state",
    "pytorch-lightning_version",
    "hparams_name",
    "hparams_type",
    "datamodule_hparams_name",
    "datamodule_hparams_type",
    "datamodule_hyper_parameters",
    "_metadata",
    "metadata",
    "meta",
    "version",
    "torch_version",
    "format",
    "format_version",
    "date",
    "time",
    "timestamp",
    "elapsed",
    "seed",
    "loss",
    "losses",
    "metrics",
    "metric",
    "scores",
    "score",
    "acc",
    "accuracy",
    "exact_accuracy",
    "history",
    "log",
    "logs",
    "ds_config",
    "ds_version",
    "dp_world_size",
    "mp_world_size",
    "skipped_steps",
    "global_samples",
    "buffer_names",
    "param_shapes",
    "name",
    "run_name",
    "experiment",
    "project",
    "run_id",
    "task",
    "git",
    "commit",
];

/// Beginnings and endings of figures of training.
const PREFIXES: [&str; 12] =
    ["best_", "last_", "val_", "valid_", "eval_", "test_", "train_", "wandb", "git_", "dataset", "data_", "early_stop"];
const SUFFIXES: [&str; 11] =
    ["_loss", "_acc", "_accuracy", "_score", "_metric", "_metrics", "_version", "_time", "_epoch", "_step", "_history"];

/// Settings beside weights; those of the model are used.
const ALSO_SETTINGS: [&str; 12] = [
    "seq_len",
    "vocab_size",
    "num_puzzle_identifiers",
    "options",
    "opt",
    "params_config",
    "train_config",
    "hydra_config",
    "ema_decay",
    "ema_rate",
    "decay",
    "ema",
];

/// Settles the fate of a key that turned out to hold no weights.
pub(super) fn fate(key: &str) -> Fate {
    let key = key.to_ascii_lowercase();
    let key = key.as_str();
    if OF_TRAINING.iter().any(|part| key.contains(part)) {
        return Fate::Optimizer;
    }
    let harmless = HARMLESS.contains(&key)
        || SETTINGS.contains(&key)
        || ALSO_SETTINGS.contains(&key)
        || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| key.ends_with(suffix))
        || key.ends_with("_extra_state")
        || key.ends_with("datamodule");
    if harmless { Fate::Harmless } else { Fate::Unknown }
}

/// True if weights lie under such a key, whatever their names.
pub(super) fn holds_weights(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let words = ["model", "state_dict", "weights", "params", "parameters", "module", "network", "net"];
    words.iter().any(|word| key.contains(word)) && !key.contains("hyper_param") || is_average(&key)
}

/// True if a set of this name is a moving average.
pub(super) fn is_average(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["shadow", "averag", "polyak", "swa_", "teacher"];
    let of_ema = |word: &str| word.starts_with("ema") || word.ends_with("_ema") || word == "swa" || word == "modelema";
    words.iter().any(|word| name.contains(word)) || name.split(|c: char| !c.is_ascii_alphanumeric()).any(of_ema)
}

/// True if settings are those of a model.
pub(super) fn describes_a_model(fields: &Map<String, Json>) -> bool {
    ["arch", "hidden_size", "H_cycles"].iter().any(|field| fields.contains_key(*field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_told_by_their_names() {
        for name in
            ["ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "callbacks.EMACallback.shadow", "swa"]
        {
            assert!(is_average(name), "{name}");
        }
        for name in ["model", "state_dict", "schema", "module", "current_model_state", "embedding"] {
            assert!(!is_average(name), "{name}");
        }
    }

    #[test]
    fn what_training_keeps_is_harmless_and_what_is_not_known_is_not() {
        for key in
            ["epoch", "pytorch-lightning_version", "best_val_acc", "hyper_parameters", "config", "args", "val_loss"]
        {
            assert_eq!(fate(key), Fate::Harmless, "{key}");
        }
        for key in ["optimizer", "optimizer_states", "lr_schedulers", "grad_scaler", "rng_state", "MixedPrecision"] {
            assert_eq!(fate(key), Fate::Optimizer, "{key}");
        }
        for key in ["embed_scale", "temperature", "extra", "adapter", ""] {
            assert_eq!(fate(key), Fate::Unknown, "{key}");
        }
    }
}
