//! Whole checkpoints as a user gives them to `trm export` and `trm inspect`: what is refused, and what is said.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use trm_export::checkpoint::StateDict;
use trm_models::ModelBundle;

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures/wholes");
    folder.join(name).display().to_string()
}

fn trm(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trm")).args(args).current_dir(folder).output().expect("trm runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {stdout}\nstderr: {stderr}");
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

#[test]
fn several_sets_are_refused_until_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fixture("model_and_ema.pt");
    for command in [vec!["inspect", &file], vec!["export", &file, "--to", "torch", "--out", "out.pt"]] {
        let output = trm(folder.path(), &command);
        assert_exit(&output, 2);
        let stderr = text(&output.stderr);
        assert!(stderr.contains("several sets of weights: `model` (2 tensors), `ema` (2 tensors, a moving average)"));
        assert!(stderr.contains("\nhint: --weights ema reads the moving average"), "{stderr}");
        assert!(!folder.path().join("out.pt").exists());
    }
    let output =
        trm(folder.path(), &["export", &file, "--weights", "ema", "--to", "torch", "--prefix", "", "--out", "out.pt"]);
    assert_exit(&output, 0);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("model_and_ema.pt: weights: `ema`, not `model`"), "{stderr}");
    assert!(stderr.contains("model_and_ema.pt: not needed: `step`"), "{stderr}");
    let written = StateDict::read(folder.path().join("out.pt")).expect("one set");
    assert!(written.get("H_init").is_some_and(|tensor| tensor.data == [5.0, 5.25]));

    let output = trm(folder.path(), &["inspect", &file, "--weights", "ema", "--json"]);
    assert_exit(&output, 0);
    let reading = &json(&output)["reading"];
    assert_eq!((&reading["weights"], &reading["other_weights"][0]), (&"ema".into(), &"model".into()));
    assert_eq!(reading["harmless"][0], "step");
}

#[test]
fn a_lightning_file_brings_its_own_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = trm(folder.path(), &["inspect", &fixture("nano_attention.ckpt"), "--weights", "shadow", "--json"]);
    assert_exit(&output, 0);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("nano_attention.ckpt, `hyper_parameters`"), "{stderr}");
    assert!(stderr.contains("a row of zeros stands for `continue`"), "{stderr}");
    let report = json(&output);
    assert_eq!((&report["config"]["seq_len"], &report["config"]["pos_encodings"]), (&4.into(), &"rope".into()));
    assert_eq!(report["reading"]["filled_from"][0], "state_dict");
    assert!(report["step_graph"]["matmul_flops"].as_u64().is_some_and(|flops| flops > 0));

    for (name, setting) in [("nano_conv.ckpt", "`use_conv_swiglu`"), ("nano_2d.ckpt", "`pos_emb_type: 2d`")] {
        let output = trm(folder.path(), &["inspect", &fixture(name), "--weights", "state_dict"]);
        assert_exit(&output, 2);
        let stderr = text(&output.stderr);
        assert!(stderr.contains(&format!("nano-trm's {setting}")) && stderr.contains("\nhint: "), "{stderr}");
    }
}

#[test]
fn a_folder_of_the_hub_is_a_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, files) in [("hub", 1), ("shards", 3)] {
        let output = trm(folder.path(), &["inspect", &fixture(name), "--json"]);
        assert_exit(&output, 0);
        let report = json(&output);
        assert_eq!((&report["kind"], &report["parameters"]), (&"checkpoint".into(), &6.into()), "{files} files");
        assert_eq!(report["sha256"].as_str().map(str::len), Some(64));
    }
    // Its `config.json` is the configuration.
    let hub = folder.path().join("hub");
    std::fs::create_dir(&hub).expect("made");
    std::fs::copy(PathBuf::from(fixture("hub")).join("model.safetensors"), hub.join("model.safetensors"))
        .expect("copied");
    let config = r#"{"architectures": ["TinyRecursiveReasoningModel_ACTV1"], "torch_dtype": "float32", "H_cycles": 2,
        "L_cycles": 2, "L_layers": 1, "hidden_size": 8, "num_heads": 2, "expansion": 4, "pos_encodings": "rope",
        "halt_max_steps": 4, "halt_exploration_prob": 0.1, "puzzle_emb_len": 0, "seq_len": 4, "vocab_size": 5}"#;
    std::fs::write(hub.join("config.json"), config).expect("written");
    let output = trm(folder.path(), &["inspect", "hub"]);
    assert_exit(&output, 2);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("using hub/config.json"), "{stderr}");
    assert!(stderr.contains("the weights do not fit the configuration: it needs `L_init`"), "{stderr}");
}

#[test]
fn ruined_weights_are_refused_and_untouched_ones_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = trm(folder.path(), &["inspect", &fixture("nan.pt")]);
    assert_exit(&output, 2);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("tensor `H_init` has 1 NaN and 0 infinite values among 2"), "{stderr}");
    assert!(stderr.contains("\nhint: take a checkpoint from before training diverged"), "{stderr}");
    let output = trm(folder.path(), &["inspect", &fixture("zeros.pt")]);
    assert_exit(&output, 0);
    assert!(text(&output.stderr).contains("warning: "), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("`lm_head.weight` is all zero"), "{}", text(&output.stderr));
}

/// A model and its average in one file, told apart by their prefixes.
#[test]
fn a_bundle_says_which_weights_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures/golden/sudoku_mlp_stable");
    let model = StateDict::read(golden.join("step_1000")).expect("the checkpoint");
    let mut tensors = Vec::new();
    for (prefix, factor) in [("online_model.inner.", 0.5), ("ema_model.module.inner.", 1.0)] {
        for (name, tensor) in model.iter() {
            let bytes: Vec<u8> = tensor.data.iter().flat_map(|value| (value * factor).to_le_bytes()).collect();
            tensors.push((format!("{prefix}{name}"), tensor.shape.clone(), bytes));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a view")));
    let bytes = safetensors::serialize(views, None).expect("a file");
    std::fs::write(folder.path().join("both.safetensors"), bytes).expect("written");
    std::fs::copy(golden.join("all_config.yaml"), folder.path().join("all_config.yaml")).expect("copied");

    let line = "export both.safetensors --task sudoku --seq-len 81 --vocab 11 --graphs step --out bundle";
    let args: Vec<&str> = line.split(' ').collect();
    let output = trm(folder.path(), &args);
    assert_exit(&output, 2);
    assert!(text(&output.stderr).contains("hint: --weights ema_model.inner reads the moving average"));
    assert_exit(&trm(folder.path(), &[args.as_slice(), &["--weights", "ema_model"]].concat()), 0);
    let bundle = ModelBundle::open(folder.path().join("bundle")).expect("a bundle");
    let origin = bundle.manifest().checkpoint.clone().expect("recorded");
    assert_eq!(origin.file, "both.safetensors");
    assert_eq!(origin.reading, ["weights: `ema_model.inner`, not `online_model.inner`"]);
    let written = StateDict::read(folder.path().join("bundle/weights.safetensors")).expect("weights");
    assert!(written.iter().eq(model.iter()), "the average's numbers");
}

#[test]
fn an_incomplete_configuration_is_told_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures/golden/sudoku_mlp_stable");
    std::fs::copy(golden.join("step_1000"), folder.path().join("step_1000")).expect("copied");
    let yaml = std::fs::read_to_string(golden.join("all_config.yaml")).expect("read");
    let without: Vec<&str> = yaml.lines().filter(|line| !line.contains("H_cycles")).collect();
    std::fs::write(
        folder.path().join("all_config.yaml"),
        format!("{}\nseq_len: 81\nvocab_size: 11\n", without.join("\n")),
    )
    .expect("written");
    let output = trm(folder.path(), &["inspect", "step_1000"]);
    assert_exit(&output, 0);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        stdout.contains("its configuration is incomplete: all_config.yaml: field `H_cycles` is missing"),
        "{stdout}"
    );
    assert!(!stdout.contains("no configuration"), "{stdout}");
    assert!(stderr.ends_with("using all_config.yaml\n"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn what_lies_beside_a_checkpoint_is_never_passed_over() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures/golden/sudoku_mlp_stable");
    for (name, target, said) in [
        ("identifiers.json", "/dev/zero", "identifiers.json: no regular file"),
        ("identifiers.json", "gone", "cannot read identifiers.json, which lies beside the checkpoint"),
        ("dataset.json", "/dev/zero", "dataset.json: no regular file"),
        ("all_config.yaml", "gone", "cannot read all_config.yaml, which lies beside the checkpoint"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["step_1000", "all_config.yaml"].into_iter().filter(|file| *file != name) {
            std::fs::copy(golden.join(file), folder.path().join(file)).expect("copied");
        }
        std::os::unix::fs::symlink(target, folder.path().join(name)).expect("a link");
        let output = trm(
            folder.path(),
            &["export", "step_1000", "--task", "tokens", "--out", "out", "--seq-len", "81", "--vocab", "11"],
        );
        assert_exit(&output, 2);
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

#[test]
fn what_is_neither_file_nor_folder_is_called_so() {
    let folder = tempfile::tempdir().expect("a folder");
    for place in ["/dev/zero", "/dev/stdin"].into_iter().filter(|place| Path::new(place).exists()) {
        let output = trm(folder.path(), &["inspect", place]);
        assert_exit(&output, 2);
        assert!(text(&output.stderr).contains("neither a folder nor a regular file"), "{}", text(&output.stderr));
    }
}
