//! Step graphs for one engine: the same numbers, and a clear refusal elsewhere.

mod common;

use std::process::Command;

use common::{Golden, assert_close, options, ort};
use trm_export::Sample;
use trm_export::bundle::reference_run;
use trm_export::onnx::write::encode;
use trm_export::trm::{GraphOptions, build_graph};
use trm_models::{GraphKind, GraphTarget, ModelBundle};
use trm_solver::engine::ort::{ExecutionProvider, ProviderChoice};
use trm_solver::engine::tract::TractEngine;
use trm_solver::{Engine, GraphSource, SessionOptions, selftest};

const LOOPED: GraphOptions<'static> = GraphOptions {
    precision: trm_export::trm::Precision::Fp32,
    quantization: None,
    unrolled_steps: None,
    target: GraphTarget::OrtCpu,
};

fn looped<'a>(golden: &'a Golden, bytes: &'a [u8]) -> GraphSource<'a> {
    GraphSource { target: GraphTarget::OrtCpu, ..golden.source(GraphKind::Step, bytes) }
}

fn looped_bytes(golden: &Golden) -> Vec<u8> {
    encode(&build_graph(GraphKind::Step, &golden.config, &golden.weights, LOOPED).expect("the graph builds"), &[]).onnx
}

/// In float64 the loop and the unrolled recursion are the same sums in the same order.
#[test]
fn the_loop_is_the_unrolled_recursion() {
    for name in ["sudoku_mlp_stable", "maze_att_stable", "hrm_att_stable"] {
        let golden = Golden::load(name);
        let sample = Sample { tokens: golden.ints("inputs"), puzzle_ids: golden.ints("puzzle_identifiers") };
        let run = |options| {
            let graph =
                build_graph(GraphKind::Step, &golden.config, &golden.weights, options).expect("the graph builds");
            reference_run(&graph, &golden.config, &sample, 3).expect("it evaluates")
        };
        assert_eq!(run(LOOPED), run(GraphOptions::default()), "{name}");
    }
}

#[test]
fn onnx_runtime_computes_the_same_by_either() {
    for name in ["sudoku_mlp_stable", "maze_att_stable"] {
        let golden = Golden::load(name);
        let (unrolled, looped_bytes) = (golden.bytes(GraphKind::Step, 1), looped_bytes(&golden));
        let sources = [golden.source(GraphKind::Step, &unrolled), looped(&golden, &looped_bytes)];
        let [expected, found] = sources.map(|source| {
            let mut session = ort().load_step_graph(&source, &options(golden.batch)).expect("it loads");
            let mut input = golden.first_step();
            session.step(&input).expect("it steps");
            input.reset.fill(false);
            session.step(&input).expect("it steps")
        });
        assert_eq!(found.answer, expected.answer, "{name}");
        assert_close(name, &found.logits.expect("asked for"), &expected.logits.expect("asked for"), 1e-4);
    }
}

/// A bundle is tested by the engines that can run it; the others are no failure.
#[test]
fn a_bundle_for_one_engine_passes_its_self_test_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../export/tests/fixtures/golden/sudoku_mlp_stable/step_1000");
    let out = folder.path().join("looped");
    let output = Command::new(env!("CARGO_BIN_EXE_trm"))
        .args(["export", golden, "--task", "sudoku", "--seq-len", "81", "--vocab", "11"])
        .args(["--num-puzzle-identifiers", "1", "--target", "ort-cpu", "--graphs", "step"])
        .arg("--out")
        .arg(&out)
        .output()
        .expect("trm runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("self-test on ort (cpu), step graph: passed"), "{stdout}");
    assert!(!stdout.contains("self-test on tract"), "{stdout}");
    let bundle = ModelBundle::open(&out).expect("a bundle");
    assert_eq!(bundle.manifest().target, GraphTarget::OrtCpu);
    let options = SessionOptions::default();
    assert_eq!(selftest::run_if_possible(&TractEngine, &bundle, GraphKind::Step, &options).expect("no failure"), None);
}

#[test]
fn other_engines_and_providers_say_what_to_do() {
    let golden = Golden::load("sudoku_mlp_stable");
    let bytes = looped_bytes(&golden);
    let refusal = |engine: &dyn Engine, provider| {
        let options = SessionOptions { provider, ..SessionOptions::default() };
        let error = engine.load_step_graph(&looped(&golden, &bytes), &options).err().expect("it is refused");
        error.to_string()
    };
    let tract = refusal(&TractEngine, ProviderChoice::Auto);
    assert!(tract.contains("exported for ort-cpu") && tract.contains("--target portable"), "{tract}");
    let cuda = refusal(&ort(), ProviderChoice::Only(ExecutionProvider::Cuda));
    assert!(cuda.contains("exported for ort-cpu") && cuda.contains("--target portable"), "{cuda}");
}
