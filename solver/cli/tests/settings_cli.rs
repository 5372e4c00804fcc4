//! Configurations, the origins of their settings, and models without rules, as a user of `trm` meets them.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use trm_models::{Architecture, ModelBundle, SettingSource};
use trm_puzzles::{DataSet, Sudoku, SudokuGenerator, Task};

const TRM_CLASS: &str = "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures/golden").join(name)
}

/// `trm` in a folder, with ONNX Runtime. It is never skipped where that is missing.
fn trm(folder: &Path, args: &[&str]) -> Output {
    let library = std::env::var_os("ORT_DYLIB_PATH")
        .expect("this test needs ONNX Runtime, but ORT_DYLIB_PATH is not set: run `cargo xtask test`");
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.args(args).current_dir(folder).env("ORT_DYLIB_PATH", library).stdin(Stdio::null());
    command.output().expect("trm runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

/// A folder with a golden's checkpoint and a configuration that `edit` has changed.
fn folder_with(name: &str, edit: impl Fn(String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(golden(name).join("step_1000"), folder.path().join("step_1000")).expect("copied");
    let config = std::fs::read_to_string(golden(name).join("all_config.yaml")).expect("text");
    std::fs::write(folder.path().join("all_config.yaml"), edit(config)).expect("written");
    folder
}

/// Exports the sudoku golden's checkpoint in this folder; step graph only.
fn export(folder: &Path, more: &[&str]) -> Output {
    let args = ["export", "step_1000", "--out", "bundle", "--graphs", "step", "--seq-len", "81", "--vocab", "11"];
    trm(folder, &[&args[..], more].concat())
}

/// Fails unless the export ends with exit code 2, this message and no bundle, and succeeds with these options.
#[track_caller]
fn assert_refused_until(folder: &Path, expected: &str, options: &[&str]) -> ModelBundle {
    let output = export(folder, &["--task", "sudoku"]);
    assert_exit(&output, 2);
    let message = stderr(&output);
    assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
    assert!(!folder.join("bundle").exists());
    let output = export(folder, &[&["--task", "sudoku"], options].concat());
    assert_exit(&output, 0);
    ModelBundle::open(folder.join("bundle")).expect("a bundle")
}

#[test]
fn a_foreign_class_is_refused_until_it_is_assumed() {
    let name = "recursive_reasoning.trm@SomethingElse";
    let folder = folder_with("sudoku_mlp_stable", |config| config.replace(TRM_CLASS, name));
    let expected = format!("`name` is `{name}`, a class that is not known here; known are {TRM_CLASS}, ");
    let bundle = assert_refused_until(folder.path(), &expected, &["--assume-class", "trm"]);
    let record = bundle.manifest().configuration.as_ref().expect("recorded");
    assert_eq!((record.class.as_deref(), record.assumed), (Some(name), Some(Architecture::Trm)));
    let text = stdout(&trm(folder.path(), &["inspect", "bundle"]));
    assert!(text.contains(&format!("{name}, not known here: assumed to be TRM")), "{text}");
}

#[test]
fn an_unknown_setting_is_refused_until_it_is_ignored() {
    let folder =
        folder_with("sudoku_mlp_stable", |config| config.replace("  mlp_t: true", "  mlp_t: true\n  mlp_T: false"));
    let expected = "all_config.yaml: nothing is known of `arch.mlp_T` (is `mlp_t` meant?)";
    let bundle = assert_refused_until(folder.path(), expected, &["--ignore", "mlp_T"]);
    assert_eq!(bundle.manifest().configuration.as_ref().expect("recorded").ignored, ["arch.mlp_T"]);
    let text = stdout(&trm(folder.path(), &["inspect", "bundle"]));
    assert!(text.contains("  ignored on request: arch.mlp_T\n"), "{text}");
    // Beside `arch:` it is a setting that nobody reads; what else stands there is named.
    let folder = folder_with("sudoku_mlp_stable", |config| config + "H_cycles: 9\nfavourite_colour: blue\n");
    let expected = "`H_cycles` stands where the public code reads no setting; it reads `H_cycles` under `arch:`";
    let bundle = assert_refused_until(folder.path(), expected, &["--ignore", "H_cycles"]);
    assert_eq!(bundle.manifest().config.h_cycles, 3);
    let output = export(folder.path(), &["--task", "sudoku", "--ignore", "H_cycles", "--overwrite"]);
    assert!(
        stderr(&output).contains("warning: nothing is known of all_config.yaml: favourite_colour: not used\n"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn settings_are_listed_with_where_they_came_from() {
    let folder = folder_with("maze_att_stable", |config| config);
    let sizes = ["--seq-len", "100", "--vocab", "6"];
    let args =
        ["export", "step_1000", "--task", "maze", "--out", "bundle", "--graphs", "step", "--set", "rope_theta=500"];
    let output = trm(folder.path(), &[&args[..], &sizes].concat());
    assert_exit(&output, 0);
    for text in [stdout(&output), stdout(&trm(folder.path(), &["inspect", "bundle"]))] {
        let line = |name: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(name));
            line.unwrap_or_else(|| panic!("{name}: {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("class"), format!("class {TRM_CLASS}"));
        assert_eq!(line("H_cycles"), "H_cycles 3 all_config.yaml: arch.H_cycles");
        assert_eq!(line("rope_theta"), "rope_theta 500 --set");
        assert_eq!(line("rms_norm_eps"), "rms_norm_eps 0.00001 default of the public code");
        assert_eq!(line("seq_len"), "seq_len 100 --seq-len");
        assert_eq!(
            line("no_ACT_continue"),
            "no_ACT_continue true, halts when q_halt > 0 all_config.yaml: arch.no_ACT_continue"
        );
    }
    let report = json(&trm(folder.path(), &["inspect", "bundle", "--json"]));
    let setting = &report["manifest"]["configuration"]["settings"]["rope_theta"];
    assert_eq!((&setting["value"], &setting["from"]), (&500.0.into(), &"option".into()), "{setting}");
    // A checkpoint is inspected with the same options and tells the same.
    let output = trm(folder.path(), &[&["inspect", "step_1000", "--json", "--set", "H_cycles=2"], &sizes[..]].concat());
    assert_exit(&output, 0);
    let report = json(&output);
    assert_eq!(report["config"]["H_cycles"], 2);
    assert_eq!(report["configuration"]["settings"]["H_cycles"]["option"], "--set");
    // The record goes where the model goes.
    assert_exit(&trm(folder.path(), &["export", "bundle", "--out", "again", "--target", "tract"]), 0);
    let [old, new] = ["bundle", "again"].map(|name| ModelBundle::open(folder.path().join(name)).expect("a bundle"));
    assert_eq!(old.manifest().configuration, new.manifest().configuration);
    let record = new.manifest().configuration.as_ref().expect("recorded");
    assert_eq!(record.source("rope_theta"), Some(&SettingSource::Option { option: "--set".to_owned() }));
    // What cannot be set is refused.
    for (set, expected) in [
        ("mlp_T=true", "--set: there is no setting `mlp_T`\nhint: is `mlp_t` meant?"),
        ("H_cycles", "--set H_cycles: no `=`\nhint: --set H_cycles=3"),
        ("H_cycles=x\u{1b}[2J", "--set: `H_cycles` is \"x\\u001b[2J\", expected a whole number"),
    ] {
        let output = trm(folder.path(), &[&["inspect", "step_1000", "--set", set], &sizes[..]].concat());
        assert_exit(&output, 2);
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn every_identity_has_a_name_or_none_has() {
    let folder = folder_with("arc_like_stable", |config| config);
    std::fs::write(folder.path().join("identifiers.json"), r#"["<blank>", "a"]"#).expect("written");
    let args =
        ["export", "step_1000", "--task", "arc", "--graphs", "step", "--seq-len", "900", "--vocab", "12", "--out"];
    let output = trm(folder.path(), &[&args[..], &["refused"]].concat());
    assert_exit(&output, 2);
    let expected = "identifiers.json: 2 names for 7 rows of the table of puzzle embeddings\nhint: ";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    let output = trm(folder.path(), &[&args[..], &["ignored", "--ignore", "identifiers.json"]].concat());
    assert_exit(&output, 0);
    let bundle = ModelBundle::open(folder.path().join("ignored")).expect("a bundle");
    let identities = bundle.manifest().identities.as_ref().expect("recorded");
    assert_eq!((identities.rows, &identities.names, identities.names_ignored), (7, &None, true));
    assert!(!bundle.manifest().files.contains_key("identifiers.json"));
    std::fs::write(folder.path().join("identifiers.json"), r#"["<blank>", "a", "b", "c", "d", "e", "f"]"#)
        .expect("written");
    let output = trm(folder.path(), &[&args[..], &["named"]].concat());
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("  puzzle identities: 7, named by identifiers.json\n"), "{}", stdout(&output));
}

/// The text of a manifest is anybody's.
#[test]
fn no_terminal_obeys_a_manifest() {
    let folder = folder_with("sudoku_mlp_stable", |config| config);
    assert_exit(&export(folder.path(), &["--task", "sudoku", "--licence", "MIT", "--training-data", "toys"]), 0);
    let path = folder.path().join("bundle/manifest.json");
    let whole = std::fs::read_to_string(&path).expect("text");
    std::fs::write(&path, whole.replace("\"bundle\"", "\"x[2J\\u202e\"").replace("\"toys\"", "\"a\\u2028b\""))
        .expect("written");
    std::fs::write(folder.path().join("puzzle.txt"), "0".repeat(81)).expect("written");
    for args in [
        &["inspect", "bundle"][..],
        &["solve", "puzzle.txt", "--model", "bundle", "--max-steps", "1", "--tries", "0"],
        &["doctor", "bundle"],
    ] {
        let output = trm(folder.path(), args);
        let text = stdout(&output) + &stderr(&output);
        assert!(text.contains("x[2J\\u{202e}"), "{args:?}: {text}");
        let obeyed = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{202e}'));
        assert!(!text.chars().any(obeyed), "{args:?}: {text:?}");
    }
    // What no text of a manifest needs is refused, and shown without effect.
    for character in ["\\u001b", "\\u0007", "\\u009b"] {
        std::fs::write(&path, whole.replace("\"MIT\"", &format!("\"MIT{character}\""))).expect("written");
        let output = trm(folder.path(), &["inspect", "bundle"]);
        assert_exit(&output, 2);
        let text = stderr(&output);
        assert!(
            text.contains("has a control character") && !text.chars().any(|c| c != '\n' && c.is_control()),
            "{text:?}"
        );
    }
}

/// The sudoku golden exported as sudoku and as tokens: the same numbers, without rules.
fn sudoku_and_tokens() -> tempfile::TempDir {
    let folder = folder_with("sudoku_mlp_stable", |config| config);
    assert_exit(&export(folder.path(), &["--task", "sudoku"]), 0);
    std::fs::rename(folder.path().join("bundle"), folder.path().join("sudoku")).expect("renamed");
    assert_exit(&export(folder.path(), &["--task", "tokens"]), 0);
    std::fs::rename(folder.path().join("bundle"), folder.path().join("tokens")).expect("renamed");
    folder
}

#[test]
fn sequences_of_tokens_are_solved_without_rules() {
    let folder = sudoku_and_tokens();
    let puzzle = "003020600900305001001806400008102900700000008006708200002609500800203009005010300";
    let tokens: Vec<i32> = puzzle.bytes().map(|digit| i32::from(digit - b'0') + 1).collect();
    let spaced = tokens.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
    std::fs::write(folder.path().join("puzzle.txt"), puzzle).expect("written");
    std::fs::write(folder.path().join("tokens.txt"), format!("{spaced}\n{tokens:?}\n")).expect("written");
    let solve = |file: &str, model: &str| {
        let args =
            ["solve", file, "--model", model, "--halt", "max-steps", "--tries", "0", "--max-steps", "2", "--json"];
        trm(folder.path(), &args)
    };
    let output = solve("tokens.txt", "tokens");
    assert_exit(&output, 0);
    let reports: Vec<serde_json::Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(reports.len(), 2);
    for report in &reports {
        assert_eq!((&report["verdict"], &report["task"]), (&"unverifiable".into(), &"tokens".into()), "{report}");
        assert_eq!(report["puzzle"], spaced.as_str());
    }
    // The same network: where its answer is a digit that is not given, the tokens are those of the digit.
    let output = solve("puzzle.txt", "sudoku");
    let report: serde_json::Value = serde_json::from_str(stdout(&output).trim()).expect("JSON");
    let digits = report["answer"].as_str().expect("text");
    let answer: Vec<u32> =
        reports[0]["answer"].as_str().expect("text").split(' ').map(|word| word.parse().expect("a token")).collect();
    assert_eq!(answer.len(), 81);
    let open = digits.chars().zip(&answer).zip(puzzle.chars()).filter(|&(_, given)| given == '0');
    let known = open.filter_map(|((digit, token), _)| digit.to_digit(10).map(|digit| (digit, token)));
    let known: Vec<_> = known.collect();
    assert!(known.len() > 20 && known.iter().all(|(digit, token)| digit + 1 == **token), "{digits} {answer:?}");

    let args = ["solve", "tokens.txt", "--model", "tokens", "--max-steps", "1"];
    let output = trm(folder.path(), &args);
    assert_exit(&output, 0);
    let text = stdout(&output);
    assert!(text.starts_with("tokens.txt:1  sequence of 81 tokens out of 11\n"), "{text}");
    assert!(text.contains("\nunverifiable: sequences of tokens have no rules to check by\n"), "{text}");
    for (args, expected) in [
        (&["--png", "x.png"][..], "--png: sequences of tokens have no picture"),
        (&["puzzle.txt"], "is no token: expected whole numbers"),
    ] {
        let output = trm(folder.path(), &[&["solve", "tokens.txt", "--model", "tokens"], args].concat());
        assert_exit(&output, 2);
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn models_without_rules_are_measured_by_their_labels() {
    let folder = sudoku_and_tokens();
    let generator = SudokuGenerator::easy(Sudoku::default()).expect("a generator");
    let sets = [("data", 1), ("other", 2)];
    for (name, seed) in sets {
        DataSet::generate(&generator, 6, seed)
            .expect("puzzles")
            .write(&folder.path().join(name).join("test"))
            .expect("written");
    }
    let eval = |model: &str| {
        let output = trm(folder.path(), &["eval", model, "--data", "data/test", "--max-steps", "2", "--json"]);
        assert_exit(&output, 0);
        json(&output)
    };
    let (sudoku, tokens) = (eval("sudoku"), eval("tokens"));
    assert_eq!((&tokens["exact"], &tokens["cell"]), (&sudoku["exact"], &sudoku["cell"]));
    assert!(tokens["cell"].as_f64().is_some() && tokens["exact"].as_f64().is_some(), "{tokens}");
    assert_eq!((tokens["valid"].is_null(), sudoku["valid"].is_null()), (true, false), "nothing to check by");

    for (args, code, expected) in [
        (&["inspect", "tokens"][..], 0, "bundle: bundle for sequence of 81 tokens out of 11, fp32"),
        (&["doctor", "tokens"], 0, "tokens"),
        (&["eval", "tokens", "--generate", "sudoku-easy"], 2, "which solves a sequence of 81 tokens out of 11"),
        (
            &["quantize", "tokens", "--precision", "int8", "--out", "q"],
            2,
            "hint: --calibrate and --held-out take data sets",
        ),
        (
            &[
                "quantize",
                "tokens",
                "--precision",
                "int8",
                "--out",
                "q",
                "--calibrate",
                "data/test",
                "--held-out",
                "other/test",
                "--max-loss",
                "100",
            ],
            0,
            "tokens: int8",
        ),
        (&["train", "--task", "tokens-81x11", "--out", "run"], 2, "no [[data]]: nothing to train on"),
        (&["parity", "tokens", "--golden", &golden("sudoku_mlp_stable").display().to_string()], 0, "passed"),
        (
            &[
                "export",
                "step_1000",
                "--task",
                "tokens",
                "--grid",
                "9x9",
                "--seq-len",
                "81",
                "--vocab",
                "11",
                "--out",
                "x",
            ],
            2,
            "--grid is for puzzles",
        ),
    ] {
        let output = trm(folder.path(), args);
        assert_exit(&output, code);
        let text = stdout(&output) + &stderr(&output);
        assert!(text.contains(expected), "{args:?}: {text}");
    }
    assert_eq!(Sudoku::default().vocab_size(), 11);
}

#[test]
fn sequences_of_tokens_are_trained_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // Token 0 is one like any other: the answer to a sequence is its reverse.
    let line = |seed: u32| {
        let input: Vec<u32> = (0..8).map(|at| (seed * (at + 3) + at * at) % 5).collect();
        let answer: Vec<u32> = input.iter().rev().copied().collect();
        serde_json::json!({"input": input, "answer": answer}).to_string()
    };
    let data: Vec<String> = (1..40).map(line).collect();
    std::fs::write(folder.path().join("data.jsonl"), data.join("\n")).expect("written");
    let settings = ["--set", "schedule.steps=2", "--set", "evaluation.every=2", "--set", "batch.size=4"];
    let args = ["train", "--task", "tokens-8x5", "--data", "data.jsonl", "--out", "run"];
    let output = trm(folder.path(), &[&args[..], &settings].concat());
    assert_exit(&output, 0);
    let bundle = ModelBundle::open(folder.path().join("run/model")).expect("a bundle");
    assert_eq!((bundle.manifest().config.seq_len, bundle.manifest().config.vocab_size), (8, 5));
    let text = stdout(&trm(folder.path(), &["inspect", "run/model"]));
    assert!(text.contains("\nsettings of the run, in training.toml\n"), "{text}");
    std::fs::write(folder.path().join("more.txt"), "0 1 2 3 4 3 2 1\n").expect("written");
    let output = trm(folder.path(), &["solve", "more.txt", "--model", "run/model", "--json"]);
    assert_exit(&output, 0);
    assert_eq!(json(&output)["verdict"], "unverifiable");
    let args = ["train", "--from", "run/model", "--data", "data.jsonl", "--out", "tuned", "--keep"];
    let output =
        trm(folder.path(), &[&args[..], &["--set", "schedule.steps=2", "--set", "evaluation.every=2"]].concat());
    assert_exit(&output, 0);
}
