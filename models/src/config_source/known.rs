//! The keys and classes that the public training code knows.

use crate::Architecture;

/// The settings that a model's class reads from `arch:`, `name` included.
pub(super) const ARCH_FIELDS: [&str; 20] = [
    "name",
    "H_cycles",
    "L_cycles",
    "H_layers",
    "L_layers",
    "hidden_size",
    "num_heads",
    "expansion",
    "mlp_t",
    "mixer",
    "board",
    "pos_encodings",
    "puzzle_emb_ndim",
    "puzzle_emb_len",
    "halt_max_steps",
    "halt_exploration_prob",
    "no_ACT_continue",
    "rms_norm_eps",
    "rope_theta",
    "forward_dtype",
];

/// The sizes that a model's class takes from the data set.
pub(super) const DATA_FIELDS: [&str; 3] = ["seq_len", "vocab_size", "num_puzzle_identifiers"];

/// Keys under `arch:` that only training reads: the loss head, the share of a batch, and the dropouts that forks add
/// (TrelisResearch/TinyRecursiveModels), which are off outside training.
pub(super) const ARCH_HARMLESS: [&str; 4] = ["loss", "batch_size", "puzzle_emb_dropout", "grid_token_dropout"];

/// Keys beside `arch:` that say how training ran: those of the public `PretrainConfig` (TRM's and HRM's), of Hydra, of
/// the forks that were compared, of Hugging Face's `config.json`, and of checkpoints that name their run.
pub(super) const TRAINING: [&str; 44] = [
    "data_path",
    "data_paths",
    "data_paths_test",
    "evaluators",
    "global_batch_size",
    "epochs",
    "lr",
    "lr_min_ratio",
    "lr_warmup_steps",
    "weight_decay",
    "beta1",
    "beta2",
    "puzzle_emb_lr",
    "puzzle_emb_weight_decay",
    "project_name",
    "run_name",
    "load_checkpoint",
    "checkpoint_path",
    "seed",
    "checkpoint_every_eval",
    "checkpoint_every_n_steps",
    "eval_interval",
    "min_eval_interval",
    "eval_save_outputs",
    "ema",
    "ema_rate",
    "freeze_weights",
    "entity",
    "hydra",
    "task",
    "train",
    "step",
    "architectures",
    "model_type",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "_name_or_path",
    "auto_map",
    "license",
    "tags",
    "library_name",
    "pipeline_tag",
    "datasets",
];

/// Keys of the public `dataset.json` that describe the data and not the model.
pub(super) const DATASET_HARMLESS: [&str; 7] = [
    "pad_id",
    "ignore_label_id",
    "blank_identifier_id",
    "total_groups",
    "mean_puzzle_examples",
    "total_puzzles",
    "sets",
];

/// A class of the public code that computes what this program computes.
pub(super) struct KnownClass {
    /// `module@Class`, as `arch.name` has it; some forks write `models.` in front.
    name: &'static str,
    pub(super) architecture: Architecture,
    pub(super) release: Release,
}

/// Which settings a class reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// HRM's first: neither `mlp_t` nor `pos_encodings: none`.
    First,
    /// The public code's today.
    Current,
    /// This project's (`benches/python/symmetric.py`): `mixer` and `board`, and no positions.
    Symmetric,
}

/// Conservative: forks keep the class's name when they change what it computes (`trm_singlez`, `trm_hier6`,
/// `transformers_baseline`), so a class counts with its module only. The forks that keep these modules
/// (`TrelisResearch`, `alphaXiv`) add settings, and unknown settings are refused.
const CLASSES: [KnownClass; 4] = [
    KnownClass {
        name: "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1",
        architecture: Architecture::Trm,
        release: Release::Current,
    },
    KnownClass {
        name: "recursive_reasoning.symmetric@SymmetricReasoningModel_ACTV1",
        architecture: Architecture::Trm,
        release: Release::Symmetric,
    },
    KnownClass {
        name: "recursive_reasoning.hrm@HierarchicalReasoningModel_ACTV1",
        architecture: Architecture::Hrm,
        release: Release::Current,
    },
    KnownClass {
        name: "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1",
        architecture: Architecture::Hrm,
        release: Release::First,
    },
];

/// The class of that name.
pub(super) fn class(name: &str) -> Option<&'static KnownClass> {
    let name = name.strip_prefix("models.").unwrap_or(name);
    CLASSES.iter().find(|class| class.name == name)
}

/// The names of all known classes, for messages.
pub(super) fn class_names() -> String {
    CLASSES.map(|class| class.name).join(", ")
}

/// True if two names differ in case and separators only: `mlp_T` and `mlp_t`.
pub(super) fn same_but_for_spelling(a: &str, b: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = char> {
        text.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase())
    }
    letters(a).eq(letters(b))
}

/// The candidate that is spelled most like the word, unless all are too different to be meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// No key is that long; a longer word costs no time.
    const LONGEST: usize = 64;
    if word.chars().count() > LONGEST {
        return None;
    }
    let distance = |candidate: &&str| edit_distance(&word.to_lowercase(), &candidate.to_lowercase());
    let best = candidates.into_iter().map(|candidate| (distance(&candidate), candidate)).min_by_key(|(d, _)| *d)?;
    (best.0 <= best.1.len().div_ceil(3)).then_some(best.1)
}

/// The number of letters to insert, delete or replace (V. Levenshtein, 1965).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        let keys = || ARCH_FIELDS.into_iter().chain(DATA_FIELDS);
        for (word, expected) in [
            ("mlp_T", Some("mlp_t")),
            ("H_cycle", Some("H_cycles")),
            ("hidden_sizes", Some("hidden_size")),
            ("rope_thet", Some("rope_theta")),
            ("vocabsize", Some("vocab_size")),
            ("adaptive_depth_controller", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys()), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), keys()), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
    }

    #[test]
    fn classes_count_with_their_modules() {
        assert!(class("recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1").is_some());
        assert!(
            class("models.hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1")
                .is_some_and(|c| c.release == Release::First)
        );
        for name in ["trm", "trm@", "trm@SomethingElse", "recursive_reasoning.trm@HierarchicalReasoningModel_ACTV1"] {
            assert!(class(name).is_none(), "{name}");
        }
    }
}
