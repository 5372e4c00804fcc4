//! `trm export`, `inspect`, `parity` and `doctor` as a user runs them: what they print, write and refuse.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod parity_cli;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use trm_export::checkpoint::{DEFAULT_PREFIX, StateDict};
use trm_export::onnx::GraphBuilder;
use trm_export::onnx::tensor::{DType, Dim, TensorType};
use trm_export::onnx::write::encode;
use trm_models::{GraphKind, GraphTarget, ModelBundle, Precision, WEIGHTS};

/// The number of puzzle identities is read off the weights.
const SIZES_SUDOKU: [&str; 4] = ["--seq-len", "81", "--vocab", "11"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures")
}

fn golden(name: &str) -> PathBuf {
    fixtures().join("golden").join(name)
}

fn checkpoint(name: &str) -> String {
    golden(name).join("step_1000").display().to_string()
}

/// `trm` in a folder of its own, with ONNX Runtime. It is never skipped where that is missing.
fn trm(folder: &Path, args: &[&str]) -> Output {
    let library = std::env::var_os("ORT_DYLIB_PATH")
        .expect("this test needs ONNX Runtime, but ORT_DYLIB_PATH is not set: run `cargo xtask test`");
    command(folder, args).env("ORT_DYLIB_PATH", library).output().expect("trm runs")
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.args(args).current_dir(folder);
    command
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}

/// Fails unless `trm` refuses with exit code 2, one line that says this, a hint, and no file written.
#[track_caller]
fn assert_refused(args: &[&str], expected: &str) {
    let folder = folder();
    let output = trm(folder.path(), args);
    assert_exit(&output, 2);
    assert_message(&output, expected);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
fn assert_message(output: &Output, expected: &str) {
    let text = stderr(output);
    let error = text.lines().position(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{text}"));
    let lines: Vec<_> = text.lines().skip(error).collect();
    assert!(lines[0].contains(expected), "{text}");
    assert!(lines.len() >= 2 && lines[1..].iter().all(|line| line.starts_with("hint: ")), "{text}");
    assert!(output.stdout.is_empty(), "{}", stdout(output));
}

/// The sudoku golden as a bundle named `name` in a folder.
fn export_sudoku(folder: &Path, name: &str, more: &[&str]) -> Output {
    let checkpoint = checkpoint("sudoku_mlp_stable");
    let mut args = vec!["export", &checkpoint, "--task", "sudoku", "--out", name];
    args.extend(SIZES_SUDOKU);
    args.extend(more);
    trm(folder, &args)
}

#[test]
fn a_checkpoint_becomes_a_bundle_that_keeps_parity() {
    let folder = folder();
    let output = export_sudoku(folder.path(), "sudoku", &["--graphs", "step,solve,unrolled", "--steps", "2"]);
    assert_exit(&output, 0);
    let config = golden("sudoku_mlp_stable").join("all_config.yaml");
    assert!(stderr(&output).contains(&format!("using {}", config.display())), "{}", stderr(&output));
    let text = stdout(&output);
    for (engine, graphs) in [
        ("tract", &["step", "unrolled"][..]),
        ("rten", &["step", "solve", "unrolled"]),
        ("ort", &["step", "solve", "unrolled"]),
    ] {
        for graph in graphs {
            let line = format!("self-test on {engine} (cpu), {graph} graph: passed");
            assert!(text.contains(&line), "{line}: {text}");
        }
    }

    let bundle = ModelBundle::open(folder.path().join("sudoku")).expect("a bundle");
    bundle.verify().expect("every hash is right");
    let manifest = bundle.manifest();
    assert_eq!((manifest.name.as_str(), manifest.precision.as_str()), ("sudoku", "fp32"));
    assert_eq!((manifest.task.box_height, manifest.task.box_width), (Some(3), Some(3)));
    assert_eq!(manifest.graphs[&GraphKind::Unrolled].steps, Some(2));
    let origin = manifest.checkpoint.as_ref().expect("recorded");
    assert_eq!(origin.file, "step_1000");

    let golden = golden("sudoku_mlp_stable").display().to_string();
    for (backend, graph, rows) in [
        ("ort", "step", 16),
        ("tract", "step", 16),
        ("rten", "step", 16),
        ("ort", "solve", 16),
        ("rten", "solve", 16),
        ("reference", "step", 16),
    ] {
        let args = ["parity", "sudoku", "--golden", &golden, "--backend", backend, "--graph", graph, "--json"];
        let output = trm(folder.path(), &args);
        assert_exit(&output, 0);
        let report = json(&output);
        assert_eq!((&report["passed"], &report["outcome"]), (&true.into(), &"passed".into()), "{report}");
        assert_eq!(report["not_judged"].as_array().map(Vec::len), Some(0), "{report}");
        assert_eq!(report["backend"], backend, "{report}");
        assert_eq!(report["model"], "sudoku", "{report}");
        let steps = report["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), rows, "{report}");
        assert!(steps.iter().all(|row| row["passed"] == true), "{report}");
        assert!(steps[0]["logits"].as_f64().is_some_and(|error| error <= 1e-4), "{report}");
    }
}

#[test]
fn measured_figures_go_into_the_card() {
    let folder = folder();
    let write = |text: &str| std::fs::write(folder.path().join("measured.json"), text).expect("written");
    let figure = r#"[{"what": "exact", "value": 0.95, "interval": [0.91, 0.97], "n": 200, "command": "trm eval m"}]"#;
    write(figure);
    assert_exit(&export_sudoku(folder.path(), "bundle", &["--measured", "measured.json"]), 0);
    let card = std::fs::read_to_string(folder.path().join("bundle/card.md")).expect("a card");
    assert!(card.contains("| exact | 95.0 % | 91.0-97.0 % | 200 | `trm eval m` |"), "{card}");
    for (text, expected) in
        [(figure.replace("0.95", "95"), "`exact` is no share"), ("{}".into(), "not a list of figures")]
    {
        write(&text);
        let output = export_sudoku(folder.path(), "other", &["--measured", "measured.json"]);
        assert_exit(&output, 2);
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(!folder.path().join("other").exists());
    }
}

#[test]
fn weights_come_back_bit_for_bit() {
    let folder = folder();
    assert_exit(&export_sudoku(folder.path(), "bundle", &[]), 0);
    let source = StateDict::read(checkpoint("sudoku_mlp_stable")).expect("the checkpoint");
    let bf16 = checkpoint("sudoku_mlp_bf16");
    for (from, format, file, prefix) in [
        ("bundle", "torch", "weights.pt", DEFAULT_PREFIX),
        ("bundle/weights.safetensors", "torch", "again.pt", "model.inner."),
        ("bundle", "safetensors", "weights.safetensors", ""),
        (&bf16, "torch", "bf16.pt", DEFAULT_PREFIX),
    ] {
        let args = ["export", from, "--to", format, "--out", file, "--prefix", prefix];
        assert_exit(&trm(folder.path(), &args), 0);
        let written = StateDict::read(folder.path().join(file)).expect("reads back");
        let expected = if from == bf16 { StateDict::read(&bf16).expect("the checkpoint") } else { source.clone() };
        assert_eq!(written.len(), expected.len());
        for ((name, a), (_, b)) in written.iter().zip(expected.iter()) {
            assert_eq!((a.dtype, &a.shape), (b.dtype, &b.shape), "{name}");
            assert!(a.data.iter().map(|v| v.to_bits()).eq(b.data.iter().map(|v| v.to_bits())), "{name}");
        }
        // Not twice, unless told.
        let again = trm(folder.path(), &args);
        assert_exit(&again, 2);
        assert_message(&again, "is already there");
    }
}

#[test]
fn an_existing_bundle_is_replaced_only_when_told() {
    let folder = folder();
    assert_exit(&export_sudoku(folder.path(), "bundle", &[]), 0);
    let output = export_sudoku(folder.path(), "bundle", &[]);
    assert_exit(&output, 2);
    assert_message(&output, "bundle is already there");
    assert_exit(&export_sudoku(folder.path(), "bundle", &["--overwrite", "--name", "second"]), 0);
    assert_eq!(ModelBundle::open(folder.path().join("bundle")).expect("a bundle").manifest().name, "second");

    // A file of the user's is not taken away with the old bundle.
    let notes = folder.path().join("bundle/mynotes.txt");
    std::fs::write(&notes, "years").expect("written");
    let output = export_sudoku(folder.path(), "bundle", &["--overwrite"]);
    assert_exit(&output, 2);
    assert_message(&output, "mynotes.txt: not of the bundle that is there");
    assert_eq!(std::fs::read_to_string(&notes).expect("still there"), "years");

    for name in ["../../evil", "a\nb", "", ".hidden"] {
        let output = export_sudoku(folder.path(), "other", &["--name", name]);
        assert_exit(&output, 2);
        assert_message(&output, "cannot be the name of a model");
        assert!(!folder.path().join("other").exists());
    }

    std::fs::create_dir(folder.path().join("mine")).expect("made");
    std::fs::write(folder.path().join("mine/thesis.txt"), "years").expect("written");
    let output = export_sudoku(folder.path(), "mine", &["--overwrite"]);
    assert_exit(&output, 2);
    assert_message(&output, "is not a model bundle, so it is left as it is");
    assert_eq!(std::fs::read_to_string(folder.path().join("mine/thesis.txt")).expect("still there"), "years");
}

#[test]
fn an_arc_bundle_carries_the_names_of_its_puzzles() {
    let folder = folder();
    for file in ["step_1000", "all_config.yaml"] {
        std::fs::copy(golden("arc_like_stable").join(file), folder.path().join(file)).expect("copied");
    }
    let names = r#"["<blank>", "a", "b", "c", "d", "e", "f"]"#;
    std::fs::write(folder.path().join("identifiers.json"), names).expect("written");
    let sizes = r#"{"seq_len": 900, "vocab_size": 12, "num_puzzle_identifiers": 7}"#;
    std::fs::write(folder.path().join("dataset.json"), sizes).expect("written");
    let output = trm(folder.path(), &["export", "step_1000", "--task", "arc", "--graphs", "step", "--out", "arc"]);
    assert_exit(&output, 0);
    for file in ["all_config.yaml", "dataset.json", "identifiers.json"] {
        assert!(stderr(&output).contains(&format!("using {file}")), "{}", stderr(&output));
    }
    let bundle = ModelBundle::open(folder.path().join("arc")).expect("a bundle");
    assert_eq!(bundle.file("identifiers.json").expect("carried").as_ref(), names.as_bytes());
    assert!(!bundle.has_graph(GraphKind::Solve));
}

#[test]
fn half_precision_passes_its_self_test() {
    let folder = folder();
    let output = export_sudoku(folder.path(), "half", &["--precision", "fp16"]);
    assert_exit(&output, 0);
    assert_eq!(
        ModelBundle::open(folder.path().join("half")).expect("a bundle").manifest().precision,
        Precision::Float16
    );
}

#[test]
fn inspect_says_what_things_are() {
    let folder = folder();
    assert_exit(&export_sudoku(folder.path(), "bundle", &["--licence", "MIT"]), 0);
    let output = trm(folder.path(), &["inspect", "bundle", "--json"]);
    assert_exit(&output, 0);
    let report = json(&output);
    assert_eq!(report["kind"], "bundle");
    assert_eq!(report["hashes_verified"], true);
    assert_eq!(report["manifest"]["licence"], "MIT");
    assert_eq!(report["parameters"], 398_018);
    // 21 passes of 2 blocks, each with two SwiGLUs of 3 products, and the heads: 2·m·n·k.
    let swiglus = 2 * 3 * (64 * 97 * 512 + 97 * 64 * 256);
    let heads = 2 * (81 * 64 * 11 + 64 * 2);
    assert_eq!(report["step_flops"], 21 * 2 * swiglus + heads);
    assert_eq!(report["graphs"]["step"]["opset"], 17);
    assert!(report["graphs"]["solve"]["operators"]["Loop"] == 1);
    assert_eq!(report["tensors"].as_array().map(Vec::len), Some(15));

    let text = stdout(&trm(folder.path(), &["inspect", "bundle"]));
    assert!(text.starts_with("bundle: bundle for sudoku of 9x9, fp32"), "{text}");
    assert!(text.contains("L_level.layers.0.mlp.down_proj.weight"), "{text}");

    let output = trm(folder.path(), &["inspect", "bundle/solve.onnx", "--json"]);
    assert_exit(&output, 0);
    assert_eq!((json(&output)["kind"].clone(), json(&output)["graph"].clone()), ("onnx".into(), "solve".into()));

    // Without the sizes the checkpoint is still listed; with them the step graph is known.
    let path = checkpoint("sudoku_mlp_bf16");
    let output = trm(folder.path(), &["inspect", &path, "--json"]);
    assert_exit(&output, 0);
    assert_eq!(json(&output)["tensors"][0]["dtype"], "bfloat16");
    assert!(json(&output).get("step_graph").is_none());
    let mut args = vec!["inspect", &path, "--json"];
    args.extend(SIZES_SUDOKU);
    assert_eq!(json(&trm(folder.path(), &args))["step_graph"]["matmul_flops"], 21 * 2 * swiglus + heads);
}

#[test]
fn inspect_refuses_what_is_not_ours() {
    let folder = folder();
    let mut builder = GraphBuilder::new("classifier", "");
    let pixels = builder.input("pixels", TensorType::new(DType::F32, [Dim::Batch, Dim::Fixed(784)]));
    let doubled = builder.add(pixels, pixels).expect("adds");
    builder.output("classes", doubled).expect("an output");
    std::fs::write(folder.path().join("foreign.onnx"), encode(&builder.finish(), &[]).onnx).expect("written");
    let output = trm(folder.path(), &["inspect", "foreign.onnx"]);
    assert_exit(&output, 2);
    assert!(stdout(&output).contains("pixels"), "{}", stdout(&output));
    let text = stderr(&output);
    assert!(text.contains("not a graph of a TRM or HRM: its inputs are pixels, its outputs classes\nhint: "), "{text}");

    std::fs::write(folder.path().join("text.onnx"), "no protobuf at all").expect("written");
    let output = trm(folder.path(), &["inspect", "text.onnx"]);
    assert_exit(&output, 2);
    assert_message(&output, "text.onnx: not an ONNX file");
    let output = trm(folder.path(), &["inspect", "no-such-model"]);
    assert_exit(&output, 2);
    assert_message(&output, "no model `no-such-model`");
}

#[test]
fn checkpoints_that_cannot_be_used_are_refused() {
    let damaged = folder();
    let original = std::fs::read(checkpoint("sudoku_mlp")).expect("a checkpoint");
    let truncated = damaged.path().join("step_1000");
    std::fs::write(&truncated, &original[..original.len() / 2]).expect("written");
    let truncated = truncated.display().to_string();
    let config = golden("sudoku_mlp").join("all_config.yaml").display().to_string();
    let with = |checkpoint: &str, config: &str, expected: &str| {
        let mut args = vec!["export", checkpoint, "--config", config, "--task", "sudoku", "--out", "bundle"];
        args.extend(SIZES_SUDOKU);
        assert_refused(&args, expected);
    };
    with(&truncated, &config, &truncated);
    let foreign = fixtures().join("checkpoint/foreign.pt").display().to_string();
    with(&foreign, &config, "the pickle refers to `");
    let plain = checkpoint("sudoku_mlp");
    let attention = golden("maze_att").join("all_config.yaml").display().to_string();
    with(&plain, &attention, "the weights do not fit the configuration");
    with(&config, &config, "all_config.yaml");

    let args = ["export", &plain, "--task", "sudoku", "--out", "bundle"];
    assert_refused(&args, "field `seq_len` is missing");
    let mut args = vec!["export", &plain, "--task", "maze", "--out", "bundle"];
    args.extend(SIZES_SUDOKU);
    assert_refused(&args, "--task maze: a grid of 9x9 needs 6 tokens, but the model has vocab_size 11");
    let mut args = vec!["export", &plain, "--task", "sudoku", "--grid", "8x8", "--out", "bundle"];
    args.extend(SIZES_SUDOKU);
    assert_refused(&args, "a grid of 8x8 has 64 cells, but the model has seq_len 81");
    let folder = golden("sudoku_mlp").display().to_string();
    assert_refused(&["export", &folder, "--task", "sudoku", "--out", "bundle"], "is a folder, but no bundle: ");
}

/// The same weights for another target; what the bundle says of itself stays.
#[test]
fn a_bundle_is_written_anew_for_another_target() {
    let folder = folder();
    assert_exit(&export_sudoku(folder.path(), "first", &["--licence", "MIT", "--training-data", "toys"]), 0);
    std::fs::write(folder.path().join("curve.svg"), "<svg/>").expect("written");
    std::fs::write(folder.path().join("notes.md"), "## Curve\n\n![curve](curve.svg)\n").expect("written");
    let mut args = vec!["export", "first", "--out", "second", "--target", "tract", "--graphs", "step"];
    args.extend(["--notes", "notes.md", "--attach", "curve.svg"]);
    let output = trm(folder.path(), &args);
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("self-test on tract (cpu), step graph: passed"), "{}", stdout(&output));
    let [first, second] =
        ["first", "second"].map(|name| ModelBundle::open(folder.path().join(name)).expect("a bundle"));
    let (old, new) = (first.manifest(), second.manifest());
    assert_eq!((new.target, new.graphs.len()), (GraphTarget::Tract, 1));
    assert_eq!((&new.name, &new.task, &new.config), (&old.name, &old.task, &old.config));
    assert_eq!((&new.licence, &new.training_data), (&old.licence, &old.training_data));
    assert_eq!(&*second.file("curve.svg").expect("attached"), b"<svg/>");
    let card = std::fs::read_to_string(folder.path().join("second/card.md")).expect("a card");
    assert!(card.ends_with("## Curve\n\n![curve](curve.svg)\n"), "{card}");
    // Written once more without them, the notes stay as long as the precision does.
    for (precision, out, stays) in [("fp32", "again", true), ("fp16", "half", false)] {
        assert_exit(&trm(folder.path(), &["export", "second", "--out", out, "--precision", precision]), 0);
        let again = std::fs::read_to_string(folder.path().join(out).join("card.md")).expect("a card");
        assert_eq!(again.contains("![curve](curve.svg)"), stays, "{again}");
        assert!(!stays || again == card, "{again}");
    }
    assert_eq!(first.file(WEIGHTS).expect("weights"), second.file(WEIGHTS).expect("weights"));
    assert_eq!(first.self_test().expect("a test").tokens, second.self_test().expect("a test").tokens);

    let refused = |args: &[&str], expected: &str| {
        let output = trm(folder.path(), &[&["export", "first", "--out", "third"], args].concat());
        assert_exit(&output, 2);
        assert_message(&output, expected);
    };
    refused(&["--attach", "first/card.md"], "first/card.md: a bundle has a file of that name");
    refused(&["--notes", "missing.md"], "missing.md: cannot be read");
    refused(&["--task", "sudoku"], "first is a bundle, which says what it solves and how");
    std::fs::write(folder.path().join("first/weights.safetensors"), "other").expect("written");
    refused(&[], "weights.safetensors is damaged or not the bundle's own");
}

#[test]
fn a_flipped_byte_is_found() {
    let folder = folder();
    assert_exit(&export_sudoku(folder.path(), "bundle", &[]), 0);
    let path = folder.path().join("bundle/step.onnx");
    let mut bytes = std::fs::read(&path).expect("the graph");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let golden = golden("sudoku_mlp_stable").display().to_string();
    for args in [vec!["inspect", "bundle"], vec!["parity", "bundle", "--golden", &golden]] {
        let output = trm(folder.path(), &args);
        assert_exit(&output, 2);
        assert_message(&output, "step.onnx is damaged or not the bundle's own: SHA-256 is ");
    }
    let output = trm(folder.path(), &["doctor", "bundle", "--json"]);
    assert_exit(&output, 3);
    let report = json(&output);
    let broken = report["bundles"].as_array().expect("bundles").iter().find(|bundle| bundle["place"] == "bundle");
    let problem = broken.and_then(|bundle| bundle["problem"].as_str()).expect("a problem");
    assert!(problem.contains("step.onnx is damaged"), "{problem}");
}

#[test]
fn a_missing_or_foreign_onnx_runtime_is_named() {
    let folder = folder();
    let golden = golden("maze_learned_stable").display().to_string();
    let foreign = folder.path().join("libonnxruntime.so");
    std::fs::write(&foreign, "not a library").expect("written");
    let foreign = foreign.display().to_string();
    for (library, expected) in
        [("/nowhere/libonnxruntime.so", "/nowhere/libonnxruntime.so: cannot open"), (&foreign, "not a shared library")]
    {
        let args = ["parity", "--golden", &golden, "--backend", "ort", "--ort-lib", library];
        let output = command(folder.path(), &args).output().expect("trm runs");
        assert_exit(&output, 2);
        assert_message(&output, expected);
        // The same from the environment.
        let args = ["parity", "--golden", &golden, "--backend", "ort"];
        let output = command(folder.path(), &args).env("ORT_DYLIB_PATH", library).output().expect("trm runs");
        assert_exit(&output, 2);
        assert_message(&output, expected);
    }
}

#[test]
fn doctor_tests_every_engine() {
    let folder = folder();
    assert_exit(&export_sudoku(folder.path(), "bundle", &[]), 0);
    let output = trm(folder.path(), &["doctor", "bundle", "--json"]);
    assert_exit(&output, 0);
    let report = json(&output);
    assert_eq!(report["passed"], true, "{report}");
    let engines = report["engines"].as_array().expect("engines");
    let names: Vec<_> = engines.iter().map(|engine| engine["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["rten", "tract", "ort"]);
    assert!(engines.iter().all(|engine| engine["passed"] == true), "{report}");
    assert!(engines[2]["library"].as_str().is_some_and(|path| path.contains("onnxruntime")), "{report}");
    assert!(report["machine"]["cores"].as_u64().is_some_and(|cores| cores > 0), "{report}");
    let tests = report["bundles"].as_array().expect("bundles").last().expect("ours")["tests"].clone();
    // The step graph on every engine, the solve graph on those that have loops.
    assert_eq!(tests.as_array().map(Vec::len), Some(5), "{tests}");

    // Where the library was found, and how it was led to.
    let searched = &engines[2]["searched"][0];
    assert_eq!((&searched["origin"], &searched["libraries"][0]["loaded"]), (&"ORT_DYLIB_PATH".into(), &true.into()));

    // Without ONNX Runtime a built-in engine is enough, unless it was asked for.
    let mut alone = command(folder.path(), &["doctor", "bundle", "--json"]);
    let output = alone.env_remove("TRM_ORT_CACHE").env_remove("ORT_DYLIB_PATH").output().expect("trm runs");
    assert_exit(&output, 0);
    let places = json(&output)["engines"][2]["searched"].as_array().expect("places").len();
    assert!(places > 5, "every place is listed: {places}");
    let missing = "/nowhere/libonnxruntime.so";
    for asked_by in ["--ort-lib", "ORT_DYLIB_PATH"] {
        let mut command = command(folder.path(), &["doctor", "bundle", "--json"]);
        match asked_by {
            "--ort-lib" => command.args(["--ort-lib", missing]),
            variable => command.env(variable, missing),
        };
        let output = command.output().expect("trm runs");
        assert_exit(&output, 3);
        let report = json(&output);
        assert_eq!((&report["asked_in_vain"], &report["passed"]), (&asked_by.into(), &false.into()), "{report}");
        let problem = report["engines"][2]["problem"].as_str().unwrap_or_default();
        assert!(problem.contains(missing), "{report}");
    }
}
