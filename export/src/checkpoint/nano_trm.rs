//! nano-trm's Lightning files (the Python package `nano-trm` 0.1.0, `src/nn/models/trm.py`).
//!
//! With 1-D rotary positions or token mixing by an MLP, and without convolutions, it computes what the public code does:
//! the same block, recursion, scales and norms under other names ([`names`](super::names)), and a halting head of one
//! row instead of two. Its settings are the `hyper_parameters` of the file. What it computes otherwise is refused by the
//! setting's name.

use serde_json::{Map, Value, json};

use super::{Ledger, WeightDtype, WeightTensor};

/// The settings in a file, in the public code's names; or the reason why they cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// The key they lie under.
    pub(super) key: String,
    pub(super) fields: Result<Map<String, Value>, String>,
}

/// The public code's names of nano-trm's settings.
const RENAMED: [(&str, &str); 12] = [
    ("hidden_size", "hidden_size"),
    ("num_layers", "L_layers"),
    ("num_heads", "num_heads"),
    ("H_cycles", "H_cycles"),
    ("L_cycles", "L_cycles"),
    ("N_supervision_val", "halt_max_steps"),
    ("ffn_expansion", "expansion"),
    ("halt_exploration_prob", "halt_exploration_prob"),
    ("puzzle_emb_dim", "puzzle_emb_ndim"),
    ("puzzle_emb_len", "puzzle_emb_len"),
    ("rope_theta", "rope_theta"),
    ("use_mlp_t", "mlp_t"),
];
/// Sizes of the data.
const OF_DATA: [(&str, &str); 3] =
    [("vocab_size", "vocab_size"), ("num_puzzles", "num_puzzle_identifiers"), ("seq_len", "seq_len")];
/// Settings of training, and those that other fields decide about.
const WITHOUT_EFFECT: [&str; 17] = [
    "N_supervision",
    "learning_rate",
    "learning_rate_emb",
    "weight_decay",
    "warmup_steps",
    "lr_min_ratio",
    "use_muon",
    "batch_size",
    "pad_value",
    "output_dir",
    "max_grid_size",
    "pos_emb_type",
    "use_conv_swiglu",
    "use_board_swiglu",
    "forward_dtype",
    "_target_",
    "_recursive_",
];

/// A file's settings in the public code's names.
pub(super) fn translate(key: String, fields: Map<String, Value>, tensors: &[(String, WeightTensor)]) -> Settings {
    if fields.contains_key("ffn_expansion") || fields.contains_key("N_supervision") {
        return Settings { key, fields: public_names(&fields, tensors) };
    }
    let fields = if key == "arch" { Map::from_iter([(key.clone(), Value::Object(fields))]) } else { fields };
    Settings { key, fields: Ok(fields) }
}

fn public_names(fields: &Map<String, Value>, tensors: &[(String, WeightTensor)]) -> Result<Map<String, Value>, String> {
    let is = |field: &str| fields.get(field).is_some_and(|value| *value == json!(true) || *value == json!(1));
    for (field, what) in [
        ("use_conv_swiglu", "a convolution along the sequence in every feed-forward layer"),
        ("use_board_swiglu", "a convolution over the board in every feed-forward layer"),
    ] {
        if is(field) {
            return Err(format!("nano-trm's `{field}`, {what}, is nothing that TRM computes"));
        }
    }
    let mlp_t = is("use_mlp_t");
    let positions = match fields.get("pos_emb_type") {
        // Token mixing by an MLP never reads the rotary table.
        _ if mlp_t => "none",
        Some(Value::String(kind)) if kind == "1d" => "rope",
        None => "rope",
        Some(Value::String(kind)) if kind == "2d" => {
            return Err("nano-trm's `pos_emb_type: 2d`, a rotary table of rows and columns, is not TRM's".into());
        }
        Some(other) => return Err(format!("nano-trm's `pos_emb_type` is {other}, expected 1d")),
    };
    let known =
        |field: &str| RENAMED.iter().chain(&OF_DATA).any(|(name, _)| *name == field) || WITHOUT_EFFECT.contains(&field);
    if let Some(unknown) = fields.keys().find(|field| !known(field)) {
        let unknown = trm_intake::Printable(unknown);
        return Err(format!("nano-trm's `{unknown}` is not known here, so it may change what the model computes"));
    }
    let renamed = |names: &[(&str, &str)]| -> Map<String, Value> {
        let rename = |(from, to): &(&str, &str)| Some(((*to).to_owned(), fields.get(*from)?.clone()));
        names.iter().filter_map(rename).collect()
    };
    let mut arch = renamed(&RENAMED);
    arch.insert("name".into(), "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1".into());
    arch.insert("pos_encodings".into(), positions.into());
    arch.insert("H_layers".into(), 0.into());
    arch.insert("no_ACT_continue".into(), true.into());
    // The initial states are made in the dtype of the activations.
    let states = tensors.iter().find(|(name, _)| name == "H_init").map(|(_, tensor)| tensor.dtype);
    arch.insert("forward_dtype".into(), states.unwrap_or(WeightDtype::Bf16).as_str().into());
    let mut all = renamed(&OF_DATA);
    if fields.get("puzzle_emb_dim") == Some(&json!(0)) {
        all.insert("num_puzzle_identifiers".into(), 1.into());
    }
    all.insert("arch".into(), Value::Object(arch));
    Ok(all)
}

/// Gives the halting head its second row: nano-trm has none for "continue", and halts where "halt" is above 0. A row of
/// zeros says the same to both of the public code's rules.
pub(super) fn adapt(tensors: &mut [(String, WeightTensor)], ledger: &mut Ledger) {
    if ledger.dialect.is_none() {
        return;
    }
    let mut extended = false;
    for (name, tensor) in tensors.iter_mut() {
        let head = matches!(name.as_str(), "q_head.weight" | "q_head.bias");
        if head && tensor.shape.first() == Some(&1) {
            tensor.shape[0] = 2;
            tensor.data.resize(2 * tensor.data.len(), 0.0);
            extended = true;
        }
    }
    if extended {
        ledger.adapted.push("the halting head has one row; a row of zeros stands for `continue`".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Map<String, Value>, String> {
        let mut fields = json!({
            "hidden_size": 64, "num_layers": 2, "num_heads": 4, "max_grid_size": 6, "H_cycles": 3, "L_cycles": 6,
            "N_supervision": 16, "N_supervision_val": 8, "ffn_expansion": 4, "learning_rate": 1e-4, "weight_decay": 1.0,
            "halt_exploration_prob": 0.1, "puzzle_emb_dim": 64, "puzzle_emb_len": 16, "rope_theta": 10000,
            "pos_emb_type": "1d", "use_mlp_t": false, "use_conv_swiglu": false, "use_board_swiglu": false,
            "vocab_size": 9, "num_puzzles": 1, "seq_len": 36, "batch_size": 32, "pad_value": 0, "output_dir": "None",
        });
        let fields = fields.as_object_mut().expect("a mapping");
        change(fields);
        translate("hyper_parameters".into(), fields.clone(), &[]).fields
    }

    #[test]
    fn settings_get_the_public_names() {
        let fields = settings(|_| ()).expect("TRM's arithmetic");
        assert_eq!((&fields["seq_len"], &fields["vocab_size"]), (&json!(36), &json!(9)));
        let arch = &fields["arch"];
        assert_eq!((&arch["L_layers"], &arch["expansion"], &arch["halt_max_steps"]), (&json!(2), &json!(4), &json!(8)));
        assert_eq!((&arch["pos_encodings"], &arch["mlp_t"]), (&json!("rope"), &json!(false)));
    }

    #[test]
    fn what_trm_does_not_compute_is_refused_by_name() {
        let refused = |field: &str, value: Value| {
            settings(|fields| drop(fields.insert(field.to_owned(), value))).expect_err("refused")
        };
        assert!(refused("use_conv_swiglu", json!(true)).starts_with("nano-trm's `use_conv_swiglu`"));
        assert!(refused("use_board_swiglu", json!(true)).starts_with("nano-trm's `use_board_swiglu`"));
        assert!(refused("pos_emb_type", json!("2d")).starts_with("nano-trm's `pos_emb_type: 2d`"));
        assert!(refused("pos_emb_type", json!(null)).contains("`pos_emb_type` is null"));
        assert!(refused("use_gates", json!(true)).starts_with("nano-trm's `use_gates` is not known"));
        let mixing = settings(|fields| {
            fields.insert("use_mlp_t".into(), true.into());
            fields.insert("pos_emb_type".into(), "2d".into());
        });
        assert_eq!(mixing.expect("positions are not read")["arch"]["pos_encodings"], "none");
    }
}
