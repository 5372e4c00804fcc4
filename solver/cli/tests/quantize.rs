//! `trm quantize` on a shipped model: what is written holds on every engine, and what does not hold is not written.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

#[path = "../../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{engines, ort};
use serde_json::Value;
use trm_engine::{ActStep, Engine, SessionOptions, SolveInput};
use trm_export::checkpoint::StateDict;
use trm_export::trm::GraphOptions;
use trm_export::{BundleRequest, Sample, export_bundle};
use trm_models::{GraphKind, ModelBundle, WEIGHTS};
use trm_puzzles::{Generate, SudokuGenerator, seeded};
use trm_solver::measure::selftest;
use trm_solver::{Model, Question};

fn sudoku_4() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/sudoku-4")
}

fn quantize(bundle: &Path, out: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.arg("quantize").arg(bundle).arg("--out").arg(out).args(options);
    command.args(["--count", "200", "--calibration-count", "32", "--json"]).output().expect("trm runs")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Fresh sudokus of 4x4 as tokens, one after the other.
fn puzzles(model: &Model, count: usize) -> Vec<i32> {
    let trm_puzzles::PuzzleKind::Sudoku(kind) = model.kind() else { panic!("a sudoku") };
    let (task, generator, mut rng) = (model.task(), SudokuGenerator::easy(kind).expect("a generator"), seeded(9));
    let mut next = || {
        let example = generator.generate(&mut rng).expect("a puzzle");
        Question::new(task.as_ref(), example.puzzle, 0).expect("a question").tokens
    };
    (0..count).flat_map(|_| next()).collect()
}

#[test]
fn a_quantised_bundle_is_true_and_the_same_on_every_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    for (options, precision, size) in [
        (&["--precision", "int8"][..], "int8", 0.37),
        (&["--precision", "int8", "--activations", "static"], "int8-static", 0.37),
        (&["--precision", "fp16"], "fp16", 0.45),
    ] {
        let out = folder.path().join(precision);
        let output = quantize(&sudoku_4(), &out, options);
        let report = report(&output);
        assert_eq!((output.status.code(), &report["passed"]), (Some(0), &true.into()), "{report}");
        assert_eq!(report["precision"], precision);
        let last = &report["fidelity"]["steps"][15];
        for key in ["before", "after"] {
            assert!(last["exact"][key].as_f64().is_some_and(|share| share > 0.95), "{last}");
        }
        assert!(last["cosine"].as_f64().is_some_and(|cosine| cosine > 0.99), "{last}");
        assert!(report["size"].as_f64().is_some_and(|found| found < size), "{}", report["size"]);

        let bundle = ModelBundle::open(&out).expect("a bundle");
        bundle.verify().expect("whole");
        assert_eq!(bundle.manifest().precision.as_str(), precision);
        assert!(!out.join(WEIGHTS).exists(), "weights that cannot be trained on");
        for engine in engines() {
            for graph in GraphKind::ALL {
                if engine.name() == "tract" && graph == GraphKind::Solve {
                    continue;
                }
                let run = selftest::run_if_possible(engine.as_ref(), &bundle, graph, &SessionOptions::default());
                if let Some(report) = run.expect("the self-test runs") {
                    assert!(report.passed, "{precision}: {} {graph}: {report}", engine.name());
                    assert_eq!(report.answer_differences, 0, "{precision}: {} {graph}: {report}", engine.name());
                }
            }
        }
    }
}

/// The range of a tensor spans a batch, which would let rows disturb each other: they are run one by one.
#[test]
fn rows_of_an_int8_bundle_do_not_depend_on_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("int8");
    assert!(quantize(&sudoku_4(), &out, &["--precision", "int8"]).status.success());
    let bundle = ModelBundle::open(&out).expect("a bundle");
    let model = Model::new(bundle.clone()).expect("a model");
    let (rows, seq_len) = (3, model.config().seq_len);
    let tokens = puzzles(&model, rows);
    let row = |row: usize| tokens[row * seq_len..(row + 1) * seq_len].to_vec();
    for engine in engines() {
        let load =
            |batch| engine.load_step(&bundle, &SessionOptions { batch, ..SessionOptions::default() }).expect("loads");
        let mut together = load(rows);
        let mut alone: Vec<_> = (0..rows).map(|_| load(1)).collect();
        let mut input = ActStep::first(tokens.clone(), vec![0; rows]);
        for step in 1..=4 {
            let output = together.step(&input).expect("runs");
            for (index, session) in alone.iter_mut().enumerate() {
                let reset = vec![step == 1];
                let solo = session.step(&ActStep { reset, ..ActStep::first(row(index), vec![0]) }).expect("runs");
                assert_eq!(output.q_halt[index].to_bits(), solo.q_halt[0].to_bits(), "{} {step}", engine.name());
                assert_eq!(
                    output.answer[index * seq_len..(index + 1) * seq_len],
                    solo.answer,
                    "{} {step}",
                    engine.name()
                );
            }
            input.reset.fill(false);
        }
    }
    let solve = |tokens: Vec<i32>| {
        let batch = tokens.len() / seq_len;
        let input =
            SolveInput { tokens, puzzle_ids: vec![0; batch], halt_threshold: f32::INFINITY, max_steps: Some(4) };
        let options = SessionOptions { batch, ..SessionOptions::default() };
        ort().load_solve(&bundle, GraphKind::Solve, &options).expect("loads").solve(&input).expect("runs")
    };
    let all = solve(tokens.clone());
    for index in 0..rows {
        assert_eq!(all.q_halt[index].to_bits(), solve(row(index)).q_halt[0].to_bits());
    }
}

/// A channel that nothing ever goes through, with a weight beside which all others of its row are nothing in 8 bits: the
/// float model does not notice.
fn brittle(folder: &Path) -> PathBuf {
    let bundle = ModelBundle::open(sudoku_4()).expect("a bundle");
    let (manifest, test) = (bundle.manifest(), bundle.self_test().expect("a self-test"));
    let mut weights = StateDict::read(sudoku_4().join(WEIGHTS)).expect("weights");
    let [up, down] = ["gate_up_proj", "down_proj"].map(|part| format!("L_level.layers.0.mlp.{part}.weight"));
    let mut tensor = weights.get(&up).expect("a weight").clone();
    let (inner, inputs) = (tensor.shape[0] / 2, tensor.shape[1]);
    tensor.data[inner * inputs..(inner + 1) * inputs].fill(0.0);
    weights.insert(up, tensor);
    let mut tensor = weights.get(&down).expect("a weight").clone();
    tensor.data.iter_mut().step_by(inner).for_each(|weight| *weight = 1e6);
    weights.insert(down, tensor);
    let target = folder.join("brittle");
    let request = BundleRequest {
        name: "brittle".into(),
        task: manifest.task.clone(),
        config: &manifest.config,
        weights: &weights,
        graphs: [GraphKind::Step].into(),
        options: GraphOptions::default(),
        sample: Sample { tokens: test.tokens, puzzle_ids: test.puzzle_ids },
        training_data: None,
        licence: None,
        accuracy: Vec::new(),
        checkpoint: None,
        configuration: None,
        identities: None,
        with_weights: true,
        notes: None,
        files: Vec::new(),
    };
    export_bundle(request, &target, false).expect("exported");
    target
}

#[test]
fn what_loses_too_much_is_not_written_and_mixed_leaves_the_culprit_in_float() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bundle, out) = (brittle(folder.path()), folder.path().join("out"));
    let refused = quantize(&bundle, &out, &["--precision", "int8"]);
    let found = report(&refused);
    assert_eq!((refused.status.code(), &found["passed"]), (Some(1), &false.into()), "{found}");
    assert!(found["fidelity"]["loss"].as_f64().is_some_and(|loss| loss > 0.1), "{found}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing was written"));
    assert!(!out.exists());

    let mixed = quantize(&bundle, &out, &["--precision", "mixed"]);
    let found = report(&mixed);
    assert_eq!((mixed.status.code(), &found["precision"]), (Some(0), &"mixed".into()), "{found}");
    let in_float: Vec<_> = found["in_float"].as_array().expect("a list").iter().map(|entry| &entry[0]).collect();
    assert_eq!(in_float, ["L_level.layers.0.mlp.down_proj.weight"], "{found}");
    assert!(ModelBundle::open(&out).expect("a bundle").verify().is_ok());
}

#[test]
fn what_cannot_be_quantised_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let half = folder.path().join("half");
    assert!(quantize(&sudoku_4(), &half, &["--precision", "fp16"]).status.success());
    let other = folder.path().join("other");
    for (bundle, out, options, message) in [
        (&half, &other, &["--precision", "int8"][..], "is fp16 already"),
        (&sudoku_4(), &half, &["--precision", "int8"], "already"),
        (&folder.path().join("nowhere"), &other, &["--precision", "int8"], "nowhere"),
        (&sudoku_4(), &other, &["--precision", "int8", "--max-loss", "NaN"], "--max-loss"),
        (&sudoku_4(), &other, &["--precision", "int8", "--held-out", "nowhere"], "nowhere"),
    ] {
        let output = quantize(bundle, out, options);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(message), "{message}: {stderr}");
        assert!(!other.exists());
    }
}
