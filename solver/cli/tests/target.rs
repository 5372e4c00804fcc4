//! Step graphs for one engine: the same numbers, and a clear refusal elsewhere.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;

use common::{Golden, assert_close, options, ort};
use trm_engine::ort::{ExecutionProvider, ProviderChoice};
use trm_engine::rten::RtenEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{
    ActOutput, ActStep, Carry, Engine, EngineEntry, GraphSource, Result, SessionInfo, SessionOptions, SolveSession,
    StepSession, registry,
};
use trm_export::Sample;
use trm_export::bundle::reference_run;
use trm_export::onnx::write::encode;
use trm_export::trm::quantize::{Activations, Quantization, products};
use trm_export::trm::{FloatType, GraphOptions, build_graph};
use trm_intake::explained;
use trm_models::{GraphKind, GraphTarget, ModelBundle, Precision, TrmConfig};
use trm_solver::Model;
use trm_solver::measure::selftest;

const GOLDENS: [&str; 3] = ["sudoku_mlp_stable", "maze_att_stable", "hrm_att_stable"];

fn for_target(target: GraphTarget) -> GraphOptions<'static> {
    GraphOptions { target, ..GraphOptions::default() }
}

fn source<'a>(golden: &'a Golden, bytes: &'a [u8], target: GraphTarget) -> GraphSource<'a> {
    GraphSource { target, ..golden.source(GraphKind::Step, bytes) }
}

fn bytes_for(golden: &Golden, target: GraphTarget) -> Vec<u8> {
    let graph = build_graph(GraphKind::Step, &golden.config, &golden.weights, for_target(target));
    encode(&graph.expect("the graph builds"), &[]).onnx
}

/// In float64 the loops, the fused norms, attention and rotations are the unrolled recursion, but for the order of sums.
#[test]
fn in_float64_the_target_does_not_matter() {
    for (name, target) in GOLDENS.iter().flat_map(|name| [(name, GraphTarget::OrtCpu), (name, GraphTarget::Tract)]) {
        let golden = Golden::load(name);
        let sample = Sample { tokens: golden.ints("inputs"), puzzle_ids: golden.ints("puzzle_identifiers") };
        let run = |target| {
            let graph = build_graph(GraphKind::Step, &golden.config, &golden.weights, for_target(target));
            reference_run(&graph.expect("the graph builds"), &golden.config, &sample, 3).expect("it evaluates")
        };
        let (found, expected) = (run(target), run(GraphTarget::Portable));
        let name = format!("{name} for {}", target.as_str());
        assert_eq!(found.answer, expected.answer, "{name}");
        for (found, expected) in [
            (&found.q_halt, &expected.q_halt),
            (&found.q_continue, &expected.q_continue),
            (&found.z_h, &expected.z_h),
            (&found.z_l, &expected.z_l),
        ] {
            assert_close(&name, found, expected, 1e-5);
        }
    }
}

#[test]
fn engines_compute_what_they_compute_by_the_portable_graph() {
    let ort: Box<dyn Engine> = Box::new(ort());
    let tract: Box<dyn Engine> = Box::new(TractEngine);
    let rten: Box<dyn Engine> = Box::new(RtenEngine);
    let cases = [
        (&ort, GraphTarget::OrtCpu),
        (&ort, GraphTarget::Tract),
        (&rten, GraphTarget::OrtCpu),
        (&tract, GraphTarget::Tract),
    ];
    for (name, (engine, target)) in GOLDENS.iter().flat_map(|name| cases.map(|case| (name, case))) {
        let golden = Golden::load(name);
        let [expected, found] = [GraphTarget::Portable, target].map(|target| {
            let bytes = bytes_for(&golden, target);
            let source = source(&golden, &bytes, target);
            let mut session = engine.load_step_graph(&source, &options(golden.batch)).expect("it loads");
            let mut input = golden.first_step();
            session.step(&input).expect("it steps");
            input.reset.fill(false);
            let second = session.step(&input).expect("it steps");
            // A fresh puzzle starts from nothing, whatever was there before.
            input.reset.fill(true);
            input.tokens.reverse();
            [second, session.step(&input).expect("it steps")]
        });
        let name = format!("{name} for {} on {}", target.as_str(), engine.name());
        for (found, expected) in found.into_iter().zip(expected) {
            assert_eq!(found.answer, expected.answer, "{name}");
            assert_close(&name, &found.logits.expect("asked for"), &expected.logits.expect("asked for"), 1e-4);
        }
    }
}

/// Holds engines to what their entries say.
#[test]
fn an_engine_runs_what_its_entry_says() {
    let golden = Golden::load("sudoku_mlp_stable");
    for entry in registry::ALL {
        let engine = (entry.open)(None).expect("cargo xtask test sets ORT_DYLIB_PATH");
        for target in [GraphTarget::Portable, GraphTarget::OrtCpu, GraphTarget::Tract] {
            let bytes = bytes_for(&golden, target);
            let loaded = engine.load_step_graph(&source(&golden, &bytes, target), &options(1));
            let says = entry.runs(GraphKind::Step, target);
            assert_eq!(loaded.is_ok(), says, "{}, step graph for {}", entry.name, target.as_str());
        }
        for kind in [GraphKind::Solve, GraphKind::Unrolled] {
            let bytes = golden.bytes(kind, 1);
            let loaded = engine.load_solve_graph(&golden.source(kind, &bytes), &options(1));
            assert_eq!(loaded.is_ok(), entry.runs(kind, GraphTarget::Portable), "{}, {kind}", entry.name);
        }
        for precision in Precision::ALL {
            let ran = first_step(engine.as_ref(), &golden, precision, golden.batch);
            assert_eq!(ran.is_ok(), entry.precisions.contains(&precision), "{}, {precision}", entry.name);
        }
    }
}

/// Runs the first step of a golden's rows as a model of some precision, one after the other where `batch` is 1.
fn first_step(engine: &dyn Engine, golden: &Golden, precision: Precision, batch: usize) -> Result<Vec<ActOutput>> {
    let activations = match precision {
        Precision::Float32 | Precision::Float16 => None,
        Precision::Int8 | Precision::Mixed => Some(Activations::Dynamic),
        Precision::Int8Static | Precision::MixedStatic => Some(Activations::Static),
    };
    let in_float = usize::from(matches!(precision, Precision::Mixed | Precision::MixedStatic));
    let quantization = activations.map(|activations| {
        let products = products(&golden.config).into_iter().skip(in_float).map(|name| (name, 1.0)).collect();
        Quantization { activations, products }
    });
    let float = if precision == Precision::Float16 { FloatType::Fp16 } else { FloatType::Fp32 };
    let options = GraphOptions { float, quantization: quantization.as_ref(), ..GraphOptions::default() };
    assert_eq!(options.precision(&golden.config), precision);
    let graph = build_graph(GraphKind::Step, &golden.config, &golden.weights, options).expect("the graph builds");
    let bytes = encode(&graph, &[]).onnx;
    let source =
        GraphSource { batch_invariant: precision.is_batch_invariant(), ..golden.source(GraphKind::Step, &bytes) };
    let session = SessionOptions { batch, threads: 1, want_logits: true, ..SessionOptions::default() };
    let mut session = engine.load_step_graph(&source, &session)?;
    if batch == golden.batch {
        return Ok(vec![session.step(&golden.first_step())?]);
    }
    (0..golden.batch).map(|row| session.step(&golden.row(row))).collect()
}

/// Holds engines to the promise of their entries that a batch's rows have the numbers they have alone, bit for bit.
#[test]
fn rows_have_the_numbers_they_have_alone_where_an_entry_says_so() {
    let golden = Golden::load("sudoku_mlp_stable");
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    for (entry, precision) in registry::ALL.iter().flat_map(|entry| entry.precisions.iter().map(move |&it| (entry, it)))
    {
        let engine = (entry.open)(None).expect("cargo xtask test sets ORT_DYLIB_PATH");
        let [together, alone] = [golden.batch, 1].map(|batch| {
            let outputs = first_step(engine.as_ref(), &golden, precision, batch).expect("it runs");
            let logits = outputs.iter().flat_map(|output| bits(output.logits.as_deref().expect("asked for")));
            let signals = outputs.iter().flat_map(|output| bits(&output.q_halt));
            (logits.collect::<Vec<_>>(), signals.collect::<Vec<_>>())
        });
        if entry.batch_invariant {
            assert!(together == alone, "{}, {precision}: the rows of a batch have other numbers alone", entry.name);
        }
    }
}

/// Holds the table of docs/engines.md to the entries: a cell says `no` where the engine does not run it, and nowhere else.
#[test]
fn the_table_of_engines_is_what_the_entries_say() {
    let docs = include_str!("../../../docs/engines.md");
    let (_, table) = docs.split_once("## What each of them runs\n\n").expect("the table's title");
    let mut lines = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let engines = lines.next().expect("a head")[2..].to_vec();
    let rows: Vec<_> = lines.skip(1).take_while(|cells| cells.len() > 1).collect();
    assert_eq!(engines.iter().filter(|name| !name.is_empty()).count(), registry::ALL.len());
    let check = |row: &str, runs: &dyn Fn(&EngineEntry) -> bool| {
        let cells = rows.iter().find(|cells| cells[1].starts_with(row)).unwrap_or_else(|| panic!("no row `{row}`"));
        for (name, cell) in engines.iter().zip(&cells[2..]).filter(|(name, _)| !name.is_empty()) {
            let entry = registry::find(name).unwrap_or_else(|| panic!("no engine is called {name}"));
            assert_eq!(*cell != "no", runs(entry), "{row}: {name}");
        }
    };
    for target in [GraphTarget::Portable, GraphTarget::OrtCpu, GraphTarget::Tract] {
        check(&format!("step, for `{}`", target.as_str()), &|entry| entry.runs(GraphKind::Step, target));
    }
    for kind in [GraphKind::Solve, GraphKind::Unrolled] {
        check(kind.as_str(), &|entry| entry.runs(kind, GraphTarget::Portable));
    }
    let of_integers = Precision::ALL.into_iter().filter(|it| !matches!(it, Precision::Float32 | Precision::Float16));
    for precision in of_integers {
        check("int8", &|entry| entry.precisions.contains(&precision));
    }
    check("fp16", &|entry| entry.precisions.contains(&Precision::Float16));
    check("rows of a batch", &|entry| entry.batch_invariant);
}

/// A bundle is tested by the engines that can run it; the others are no failure.
#[test]
fn a_bundle_for_one_engine_passes_its_self_test_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../export/tests/fixtures/golden/sudoku_mlp_stable/step_1000");
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
    for engine in ["ort", "rten"] {
        assert!(stdout.contains(&format!("self-test on {engine} (cpu), step graph: passed")), "{stdout}");
    }
    assert!(!stdout.contains("self-test on tract"), "{stdout}");
    let bundle = ModelBundle::open(&out).expect("a bundle");
    assert_eq!(bundle.manifest().target, GraphTarget::OrtCpu);
    let options = SessionOptions::default();
    assert_eq!(selftest::run_if_possible(&TractEngine, &bundle, GraphKind::Step, &options).expect("no failure"), None);
}

#[test]
fn other_engines_and_providers_say_what_to_do() {
    let golden = Golden::load("sudoku_mlp_stable");
    let refusal = |engine: &dyn Engine, target: GraphTarget, provider| {
        let options = SessionOptions { provider, ..SessionOptions::default() };
        let bytes = bytes_for(&golden, target);
        let error = engine.load_step_graph(&source(&golden, &bytes, target), &options).err().expect("it is refused");
        let message = explained(&error);
        let told = message.contains(&format!("exported for {}", target.as_str()));
        assert!(told && message.contains("--target portable"), "{message}");
        assert!(!message.contains("--backend tract"), "not every program has it: {message}");
    };
    refusal(&TractEngine, GraphTarget::OrtCpu, ProviderChoice::Auto);
    refusal(&RtenEngine, GraphTarget::Tract, ProviderChoice::Auto);
    for target in [GraphTarget::OrtCpu, GraphTarget::Tract] {
        refusal(&ort(), target, ProviderChoice::Only(ExecutionProvider::Cuda));
    }
}

/// Runs on tract, and never starts a row over.
struct Sticky;

struct StickySession {
    inner: Box<dyn StepSession>,
    started: bool,
}

impl Engine for Sticky {
    fn version(&self) -> String {
        TractEngine.version()
    }

    fn name(&self) -> &'static str {
        "sticky"
    }

    fn load_step_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn StepSession>> {
        let inner = TractEngine.load_step_graph(graph, options)?;
        Ok(Box::new(StickySession { inner, started: false }))
    }

    fn load_solve_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn SolveSession>> {
        TractEngine.load_solve_graph(graph, options)
    }
}

impl StepSession for StickySession {
    fn info(&self) -> &SessionInfo {
        self.inner.info()
    }

    fn config(&self) -> &TrmConfig {
        self.inner.config()
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        let mut input = input.clone();
        input.reset.fill(!self.started);
        self.started = true;
        self.inner.step(&input)
    }

    fn carry(&self) -> Result<Carry> {
        self.inner.carry()
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        self.inner.set_carry(carry)
    }

    fn add_to_carry(&mut self, row: usize, delta: &Carry) -> Result<()> {
        self.inner.add_to_carry(row, delta)
    }
}

#[test]
fn a_self_test_finds_out_an_engine_in_which_the_last_puzzle_lives_on() {
    let model = Model::open("sudoku-4").expect("shipped");
    let passed = |engine: &dyn Engine| {
        let report = selftest::run(engine, model.bundle(), GraphKind::Step, &SessionOptions::default());
        report.expect("it runs").passed
    };
    assert!(passed(&TractEngine) && passed(&RtenEngine));
    assert!(!passed(&Sticky));
}

/// ONNX Runtime has such kernels for ARM only.
#[cfg(target_arch = "x86_64")]
#[test]
fn bfloat16_products_change_nothing_on_x86() {
    let golden = Golden::load("maze_att_stable");
    let bytes = bytes_for(&golden, GraphTarget::Portable);
    let [with, without] = [true, false].map(|bfloat16_products| {
        let options = SessionOptions { bfloat16_products, ..options(golden.batch) };
        let source = source(&golden, &bytes, GraphTarget::Portable);
        let mut session = ort().load_step_graph(&source, &options).expect("it loads");
        session.step(&golden.first_step()).expect("it steps").logits.expect("asked for")
    });
    assert_eq!(with, without);
}
