//! Canonical names, found by how a tensor's name ends: whatever wraps a model puts its own words in front.

use crate::trm::mixer::{self, TokenMixer};

/// Words that wrappers of modules put anywhere in a name: `torch.compile`, data parallelism, FSDP, checkpointing of
/// activations. Empty ones are leading and doubled dots.
const TRANSPARENT: [&str; 9] = [
    "",
    "module",
    "_orig_mod",
    "_orig",
    "_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
    "_dp_wrapped_module",
];

/// Names of models in the modules that hold them. Tensors under several of these are still one model.
const HOLDERS: [&str; 6] = ["model", "inner", "net", "network", "trm", "hrm"];

/// Buffers of the public modules: a moving average of parameters does not have them.
pub(super) const BUFFERS: [&str; 3] = ["H_init", "L_init", "puzzle_emb.weights"];

/// A name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The prefix of the canonical name, without transparent words; empty for a name that has no canonical
    /// ending.
    pub(super) prefix: String,
    /// The canonical name; `None` if the name has no canonical ending.
    pub(super) canonical: Option<String>,
    /// True if the ending is nano-trm's word for it.
    pub(super) nano: bool,
}

/// Takes a name apart.
pub(super) fn parse(name: &str) -> Parsed {
    let words = words(name);
    for start in 0..words.len() {
        if let Some((canonical, nano)) = ending(&words[start..]) {
            return Parsed { prefix: words[..start].join("."), canonical: Some(canonical), nano };
        }
    }
    Parsed { prefix: String::new(), canonical: None, nano: false }
}

/// A name that has no canonical ending, without the prefix that its neighbours have, or without the names of modules
/// that hold the model.
pub(super) fn stripped(name: &str, prefix: &str) -> String {
    let words = words(name);
    let prefix: Vec<&str> = prefix.split('.').filter(|word| !word.is_empty()).collect();
    let rest = words.strip_prefix(prefix.as_slice()).filter(|rest| !prefix.is_empty() && !rest.is_empty());
    let rest = rest.unwrap_or_else(|| {
        let holders = words.iter().take_while(|word| HOLDERS.contains(word)).count();
        &words[holders.min(words.len().saturating_sub(1))..]
    });
    if rest.is_empty() { name.to_owned() } else { rest.join(".") }
}

/// True if a prefix is made of nothing but the usual names of modules that hold a model.
pub(super) fn only_holders(prefix: &str) -> bool {
    prefix.split('.').all(|word| word.is_empty() || HOLDERS.contains(&word))
}

/// True if a name lies under a prefix.
pub(super) fn is_under(name: &str, prefix: &str) -> bool {
    words(name).starts_with(&prefix.split('.').collect::<Vec<_>>())
}

fn words(name: &str) -> Vec<&str> {
    name.split('.').filter(|word| !TRANSPARENT.contains(word)).collect()
}

/// The canonical name that these words are, and whether they are nano-trm's.
fn ending(words: &[&str]) -> Option<(String, bool)> {
    match words {
        ["H_init" | "L_init"]
        | ["embed_tokens" | "embed_pos", "embedding_weight"]
        | ["lm_head", "weight"]
        | ["q_head", "weight" | "bias"]
        | ["puzzle_emb", "weights"] => Some((words.join("."), false)),
        ["z_H_init"] => Some(("H_init".into(), true)),
        ["z_L_init"] => Some(("L_init".into(), true)),
        ["input_embedding", "embedding_weight"] => Some(("embed_tokens.embedding_weight".into(), true)),
        [network @ ("H_level" | "L_level" | "lenet"), "layers", layer, rest @ ..]
            if is_index(layer) && is_block(rest) =>
        {
            let nano = *network == "lenet";
            let network = if nano { "L_level" } else { network };
            Some((format!("{network}.layers.{layer}.{}", rest.join(".")), nano))
        }
        _ => None,
    }
}

/// True for a layer's number as Python writes it.
fn is_index(word: &str) -> bool {
    word.parse::<u16>().is_ok_and(|number| number.to_string() == word)
}

fn is_block(words: &[&str]) -> bool {
    let of_mixers = || mixer::all().flat_map(TokenMixer::weights);
    matches!(words, ["mlp", "gate_up_proj" | "down_proj", "weight"])
        || of_mixers().any(|name| name.split('.').eq(words.iter().copied()))
}

/// The reason why a tensor holds no weights, by its name: counters of training, and tables that follow from the
/// settings. `None` for one that may hold some.
pub(super) fn not_a_weight(name: &str, elements: usize) -> Option<&'static str> {
    let words = words(name);
    match words.as_slice() {
        [.., "rotary_emb" | "pos_embedding", "cos_cached" | "sin_cached" | "inv_freq"] => {
            Some("follows from the settings")
        }
        [.., "puzzle_emb", "local_weights" | "local_ids"] => Some("rows of the last batch in training"),
        [.., last] if elements == 1 && COUNTERS.contains(last) => Some("a counter of training"),
        _ => None,
    }
}

const COUNTERS: [&str; 12] = [
    "num_batches_tracked",
    "n_averaged",
    "num_updates",
    "num_averaged",
    "step",
    "_step",
    "steps",
    "global_step",
    "_alpha_step",
    "initted",
    "update_count",
    "counter",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_parsed(name: &str, prefix: &str, canonical: &str) {
        let parsed = parse(name);
        assert_eq!((parsed.prefix.as_str(), parsed.canonical.as_deref()), (prefix, Some(canonical)), "{name}");
    }

    #[test]
    fn wrappers_are_seen_through_wherever_they_stand() {
        let down = "L_level.layers.0.mlp.down_proj.weight";
        for prefix in [
            "_orig_mod.model.inner.",
            "model.inner.",
            "module._orig_mod.model.inner.",
            "model._orig_mod.inner.",
            "_orig._mod.model.inner.",
            "..model.inner.",
            "_fsdp_wrapped_module.model._fsdp_wrapped_module.inner._checkpoint_wrapped_module.",
        ] {
            assert_parsed(&format!("{prefix}{down}"), "model.inner", down);
        }
        assert_parsed("net._orig_mod.L_level.layers._orig_mod.0.module.mlp.down_proj.weight", "net", down);
        assert_parsed("ema_model.module.H_init", "ema_model", "H_init");
        assert_parsed("lm_head.weight", "", "lm_head.weight");
    }

    #[test]
    fn nano_trm_has_three_names_of_its_own() {
        assert_parsed("lenet.layers.1.self_attn.qkv_proj.weight", "", "L_level.layers.1.self_attn.qkv_proj.weight");
        assert_parsed("input_embedding.embedding_weight", "", "embed_tokens.embedding_weight");
        assert_parsed("z_H_init", "", "H_init");
        assert!(parse("z_H_init").nano && !parse("H_init").nano);
    }

    #[test]
    fn what_only_looks_alike_is_no_weight_of_ours() {
        for name in [
            "L_level.layers.00.mlp.down_proj.weight",
            "L_level.layers.x.mlp.down_proj.weight",
            "L_level.layers.0.mlp.down_proj.bias",
            "lenet.layers.0.mlp.dwconv.weight",
            "lm_head.weight_orig",
            "myH_init",
            "weight",
            "",
        ] {
            assert_eq!(parse(name).canonical, None, "{name}");
        }
    }

    #[test]
    fn other_names_lose_what_their_neighbours_lose() {
        assert_eq!(stripped("net.deep.extra.weight", "net.deep"), "extra.weight");
        assert_eq!(stripped("_orig_mod.model.inner.weight", ""), "weight");
        assert_eq!(stripped("inner", ""), "inner");
        assert_eq!(stripped("module", ""), "module");
    }

    #[test]
    fn counters_and_tables_are_told_from_weights() {
        assert_eq!(not_a_weight("module.n_averaged", 1), Some("a counter of training"));
        assert_eq!(not_a_weight("bn.num_batches_tracked", 1), Some("a counter of training"));
        assert_eq!(not_a_weight("steps", 3), None);
        assert_eq!(not_a_weight("model.inner.rotary_emb.cos_cached", 64), Some("follows from the settings"));
        assert_eq!(not_a_weight("lm_head.weight", 1), None);
    }
}
