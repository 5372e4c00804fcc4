//! Whole checkpoints: which weights are read, and how everything else in a file is accounted for.

use std::path::{Path, PathBuf};

use trm_export::checkpoint::{ReadOptions, StateDict};
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::trm::{GraphOptions, build_graph};
use trm_intake::explained;
use trm_models::{ConfigSource, GraphKind};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wholes").join(name)
}

fn try_read(name: &str, weights: Option<&str>) -> Result<StateDict, String> {
    let path = fixture(name);
    let options = ReadOptions { weights: weights.map(str::to_owned), ..ReadOptions::default() };
    StateDict::read_with(&path, &options)
        .map_err(|error| explained(&error).replace(&format!("{}: ", path.display()), ""))
}

#[track_caller]
fn read(name: &str, weights: Option<&str>) -> StateDict {
    try_read(name, weights).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn refusal(name: &str, weights: Option<&str>) -> String {
    try_read(name, weights).expect_err("refused")
}

/// The first number of a tensor: -1 in the models of the fixtures, 5 in their averages.
#[track_caller]
fn first(state: &StateDict, name: &str) -> f32 {
    state.get(name).unwrap_or_else(|| panic!("no {name}")).data[0]
}

#[test]
fn several_sets_of_weights_are_refused_by_their_names() {
    assert_eq!(
        refusal("model_and_ema.pt", None),
        "several sets of weights: `model` (2 tensors), `ema` (2 tensors, a moving average)\n\
         hint: --weights ema reads the moving average, which the public code evaluates and publishes"
    );
    assert_eq!(
        refusal("two_models.pt", None),
        "several sets of weights: `model` (2 tensors), `state_dict` (2 tensors)\n\
         hint: name the one to read, such as --weights model"
    );
    let message = refusal("nano_attention.ckpt", None);
    assert!(
        message.starts_with("several sets of weights: `state_dict` (11 tensors), `callbacks.EMACallback.shadow` (")
    );
    assert!(message.contains("hint: --weights callbacks.EMACallback.shadow reads the moving average"), "{message}");
    assert_eq!(
        refusal("model_and_ema.pt", Some("averaged")),
        "no set of weights `averaged`; it has `model`, `ema`\nhint: --weights takes one of these"
    );
}

#[test]
fn the_named_set_is_read_and_the_rest_is_in_the_ledger() {
    for (weights, expected) in [("model", -1.0), ("ema", 5.0)] {
        let state = read("model_and_ema.pt", Some(weights));
        assert_eq!((first(&state, "H_init"), first(&state, "lm_head.weight")), (expected, expected), "{weights}");
        let ledger = state.ledger();
        assert_eq!((ledger.weights.as_str(), ledger.other_weights.len()), (weights, 1));
        assert_eq!(
            (ledger.harmless.as_slice(), ledger.prefix.as_slice()),
            (&["step".into()][..], &["model.inner".into()][..])
        );
        assert!(ledger.notes()[0].starts_with(&format!("weights: `{weights}`, not `")), "{:?}", ledger.notes());
    }
    // The same tensors under two keys leave no choice.
    assert_eq!(read("one_twice.pt", None).len(), 2);
}

#[test]
fn an_average_of_parameters_gets_the_models_buffers() {
    let state = read("ema_of_parameters.pt", Some("shadow"));
    assert_eq!((first(&state, "lm_head.weight"), first(&state, "H_init")), (5.0, -1.0));
    assert_eq!(state.ledger().weights, "ema.shadow");
    assert_eq!(state.ledger().filled_from, Some(("model".into(), vec!["H_init".into()])));
    // Nothing is filled the other way round.
    assert_eq!(read("ema_of_parameters.pt", Some("model")).ledger().filled_from, None);
}

#[test]
fn an_average_without_names_is_seen_and_never_guessed() {
    let message = refusal("ema_without_names.pt", None);
    assert!(message.contains("`model` (2 tensors), `ema.shadow_params` (2 tensors, a moving average)"), "{message}");
    assert!(message.contains("hint: name the one to read, such as --weights model"), "{message}");
    let message = refusal("ema_without_names.pt", Some("shadow_params"));
    assert!(message.starts_with("the 2 tensors of `ema.shadow_params` have no names"), "{message}");
    assert_eq!(read("ema_without_names.pt", Some("model")).len(), 2);
}

#[test]
fn sets_may_differ_by_their_prefix_alone() {
    let message = refusal("ema_by_prefix.pt", None);
    assert!(message.contains("`ema_model` (4 tensors, a moving average), `online_model` (4 tensors)"), "{message}");
    assert!(message.contains("`ema_model.module.H_init` and `online_model.H_init` are both `H_init`"), "{message}");
    let state = read("ema_by_prefix.pt", Some("ema_model"));
    assert_eq!((first(&state, "H_init"), state.len()), (5.0, 2));
    let skipped: Vec<&str> = state.ledger().skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["step", "initted"]);

    let message = refusal("ambiguous.pt", None);
    assert!(message.contains("`lm_head.weight` and `net.lm_head.weight` are both `lm_head.weight`"), "{message}");
    assert_eq!(read("ambiguous.pt", Some("net")).len(), 1);
}

#[test]
fn keys_that_mean_nothing_known_are_named() {
    assert_eq!(
        refusal("unknown_key.pt", None),
        "beside the weights the file has `embed_scale (a number)`, which mean nothing that is known here\n\
         hint: if the model computes the same without, --weights model reads these weights alone"
    );
    let message = refusal("unknown_tensors.pt", None);
    assert!(message.contains("`adapter (a dictionary)`"), "{message}");
    let state = read("unknown_tensors.pt", Some("model"));
    assert_eq!(state.ledger().unknown, ["adapter (a dictionary)"]);
    assert!(state.ledger().notes().iter().any(|note| note.contains("`adapter (a dictionary)`")));
}

#[test]
fn counters_are_named_and_skipped() {
    let state = read("counters.pt", None);
    let skipped: Vec<_> = state.ledger().skipped.iter().map(|(name, why)| (name.as_str(), why.as_str())).collect();
    let why = "a counter of training";
    assert_eq!(skipped, [("n_averaged", why), ("module.bn.num_batches_tracked", why)]);
    assert_eq!(state.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["H_init", "lm_head.weight"]);
}

#[test]
fn ruined_tensors_are_refused_and_untouched_ones_told() {
    let message = refusal("nan.pt", None);
    assert!(
        message.starts_with("tensor `H_init` has 1 NaN and 0 infinite values among 2, the first at [1]"),
        "{message}"
    );
    let state = read("zeros.pt", None);
    assert_eq!(state.ledger().all_zero, ["lm_head.weight"]);
    assert_eq!(state.ledger().warnings(), ["`lm_head.weight` is all zero, as before training"]);
}

#[test]
fn plain_data_of_every_protocol_lies_beside_weights() {
    for name in ["plain_2.pt", "plain_3.pt", "plain_4.pt", "plain_5.pt", "plain_legacy.pt"] {
        let state = read(name, None);
        assert_eq!((first(&state, "H_init"), state.len()), (-1.0, 2), "{name}");
        let harmless = state.ledger().harmless.join(" ");
        assert_eq!(harmless, "args config metrics history date rng_state best_score", "{name}");
    }
}

#[test]
fn folders_of_the_hub_and_shards_are_read() {
    for path in ["hub", "hub/model.safetensors", "shards", "shards/model.safetensors.index.json"] {
        let state = read(path, None);
        assert_eq!((first(&state, "H_init"), first(&state, "lm_head.weight")), (-1.0, -1.0), "{path}");
        assert_eq!(state.files().len(), if path.starts_with("hub") { 1 } else { 3 }, "{path}");
    }
    let message = refusal("..", None);
    assert!(message.contains("a folder without weights: it has none of `model.safetensors.index.json`"), "{message}");
}

#[test]
fn shards_must_hold_what_their_index_says() {
    let folder = tempfile::tempdir().expect("folder");
    for entry in std::fs::read_dir(fixture("shards")).expect("folder") {
        let path = entry.expect("entry").path();
        std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("copied");
    }
    let index = folder.path().join("model.safetensors.index.json");
    let text = std::fs::read_to_string(&index).expect("index");
    let refused = |text: &str| {
        std::fs::write(&index, text).expect("written");
        explained(&StateDict::read(folder.path()).expect_err("refused"))
    };
    let message = refused(&text.replace("model.inner.H_init", "model.inner.L_init"));
    assert!(message.contains("has no tensor `model.inner.L_init`, which "), "{message}");
    let message = refused(&text.replace("model-00001", "../model-00001"));
    assert!(message.contains("names the file `../model-00001-of-00002.safetensors`, which does not lie beside it"));
    let message = refused(&text.replace("model-00002-of", "model-00001-of"));
    assert!(message.contains("has no tensor `model.inner.lm_head.weight`"), "{message}");
    let message = refused("{}");
    assert!(message.contains("no index of shards: missing field `weight_map`"), "{message}");
}

#[test]
fn numpy_archives_are_read() {
    let expected = read("hub", None);
    for name in ["mlx.npz", "packed.npz"] {
        assert!(read(name, None).iter().eq(expected.iter()), "{name}");
    }
    let message = refusal("objects.npz", None);
    assert!(message.starts_with("tensor `H_init` has dtype |O, expected float32"), "{message}");
}

/// nano-trm's own classes wrote the file and computed the numbers.
#[test]
fn nano_trm_computes_the_same() {
    for name in ["attention", "mixing"] {
        let recorded = std::fs::read(fixture(&format!("nano_{name}.json"))).expect("recorded");
        let recorded: serde_json::Value = serde_json::from_slice(&recorded).expect("JSON");
        for weights in ["state_dict", "shadow"] {
            let state = read(&format!("nano_{name}.ckpt"), Some(weights));
            let (origin, fields) = state.settings().expect("TRM's arithmetic").expect("settings");
            let config =
                ConfigSource::from_fields(fields, &origin).and_then(|source| source.build()).expect("complete");
            state.check(&config).expect("its own configuration");
            assert_eq!((config.halt_max_steps, config.forward_dtype.as_str()), (3, "float32"));
            let ledger = state.ledger();
            assert_eq!(ledger.dialect.as_deref(), Some("nano-trm"));
            assert_eq!(ledger.filled_from.is_some(), weights == "shadow", "{ledger:?}");

            let tokens: Vec<Vec<i64>> = serde_json::from_value(recorded["tokens"].clone()).expect("tokens");
            let rows = tokens.len();
            let tokens = Tensor::int(&[rows, config.seq_len], tokens.concat()).expect("tokens");
            let ids = Tensor::int(&[rows], vec![0; rows]).expect("ids");
            let reset = Tensor::bool(&[rows], vec![true; rows]).expect("reset");
            let shape = [rows, config.total_len(), config.hidden_size];
            let carry = Tensor::float(&shape, vec![0.0; shape.iter().product()]).expect("carry");
            let graph = build_graph(GraphKind::Step, &config, &state, GraphOptions::default()).expect("graph");
            let outputs = evaluate(&graph, &[tokens, ids, reset, carry.clone(), carry]).expect("evaluate");
            for (output, what) in [(&outputs[5], "logits"), (&outputs[1], "q_halt")] {
                let expected: Vec<f64> = serde_json::from_value(recorded[weights][what].clone()).expect("numbers");
                let found = output.to_floats().expect("floats");
                assert_eq!(found.len(), expected.len(), "{name} {weights} {what}");
                let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-4, "{name} {weights}: {what} differ by {worst}");
            }
            let continues = outputs[2].to_floats().expect("floats");
            assert!(continues.iter().all(|value| *value == 0.0), "{continues:?}");
        }
    }
}

#[test]
fn nano_trms_other_arithmetic_is_refused_by_name() {
    let message = |name: &str| explained(&read(name, Some("state_dict")).settings().expect_err("refused"));
    assert!(message("nano_conv.ckpt").contains("`hyper_parameters`: nano-trm's `use_conv_swiglu`, a convolution"));
    assert!(message("nano_2d.ckpt").contains("`hyper_parameters`: nano-trm's `pos_emb_type: 2d`"));
    // With settings that say nothing of it the tensors do.
    let plain = read("nano_attention.ckpt", Some("state_dict"));
    let (origin, fields) = plain.settings().expect("TRM's arithmetic").expect("settings");
    let config = ConfigSource::from_fields(fields, &origin).and_then(|source| source.build()).expect("complete");
    let conv = explained(&read("nano_conv.ckpt", Some("state_dict")).check(&config).expect_err("refused"));
    assert!(conv.contains("dwconv.bias` is a convolution, which no public TRM or HRM computes"), "{conv}");
}
