//! A graph that never ends is ended by `--time-limit`: nothing else can, it is within one call of the engine.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use trm_export::onnx::operators::{ArgMax, Equal, Identity, Loop, Scan, Slice};
use trm_export::onnx::write::encode;
use trm_export::onnx::{Constant, DType, Dim, Graph, GraphBuilder, OnnxError, TensorType, ValueId};
use trm_models::{BundleWriter, GraphKind, GraphTarget, ModelBundle, TrmConfig};

/// A first cell that is given makes a step endless.
const ENDS: &str = ".234341221434321";
const NEVER_ENDS: &str = "1.34341221434321";

/// A step graph with the interface of `config` that answers with the symbol 1 everywhere. For ONNX Runtime, a step of a puzzle whose
/// first cell is 1 is a `Loop` without end; tract has none, and every step is a `Scan` of a `Scan` of a `Scan` of 65,536
/// turns each, which takes years.
fn endless(config: &TrmConfig, target: GraphTarget) -> Result<Graph, OnnxError> {
    let (cells, length, width) = (config.seq_len, config.total_len(), config.hidden_size);
    let mut b = GraphBuilder::new("step", "");
    let tokens = b.input("tokens", TensorType::new(DType::I32, [Dim::Batch, Dim::Fixed(cells)]));
    for (name, dtype) in [("puzzle_ids", DType::I32), ("reset", DType::Bool)] {
        b.input(name, TensorType::new(dtype, [Dim::Batch]));
    }
    let state = TensorType::new(DType::F32, [Dim::Batch, Dim::Fixed(length), Dim::Fixed(width)]);
    let z_h = b.input("z_h", state.clone());
    let z_l = b.input("z_l", state);
    let z_h = if target == GraphTarget::Tract { scans(&mut b, z_h)? } else { repeat(&mut b, tokens, z_h)? };

    let cells = b.node(Slice { axis: 1, start: length - cells, end: length }, &[z_h])?;
    let nothing =
        b.constant("nothing", || Constant::f32(&[width, config.vocab_size], vec![0.0; width * config.vocab_size]));
    let nothing = b.matmul(cells, nothing)?;
    let ones = (0..config.vocab_size).map(|token| if token == 2 { 1.0 } else { 0.0 }).collect::<Vec<_>>();
    let ones = b.constant("ones", || Constant::f32(&[config.vocab_size], ones));
    let logits = b.add(nothing, ones)?;
    let answer = b.node(ArgMax, &[logits])?;
    let answer = b.cast(answer, DType::I32)?;
    let first = b.select(z_h, 2, 0)?;
    let q = b.select(first, 1, 0)?;
    for (name, value) in
        [("answer", answer), ("q_halt", q), ("q_continue", q), ("z_h_next", z_h), ("z_l_next", z_l), ("logits", logits)]
    {
        b.output(name, value)?;
    }
    Ok(b.finish())
}

fn repeat(b: &mut GraphBuilder, tokens: ValueId, z: ValueId) -> Result<ValueId, OnnxError> {
    let mut body = GraphBuilder::new("body", "body/");
    body.input("turn", TensorType::new(DType::I64, []));
    let go_on = body.input("condition_in", TensorType::new(DType::Bool, []));
    let carried = body.input("z", b.ty(z).clone());
    let go_on = body.node(Identity, &[go_on])?;
    let carried = halved(&mut body, carried)?;
    body.output("condition", go_on)?;
    body.output("z_next", carried)?;

    let first = b.select(tokens, 1, 0)?;
    let first = b.select(first, 0, 0)?;
    let one = b.constant("one", || Constant::i32(&[], vec![2]));
    let given = b.node(Equal, &[first, one])?;
    let always = b.constant("always", || Constant::i64(&[], vec![i64::MAX]));
    let never = b.constant("never", || Constant::i64(&[], vec![0]));
    let turns = b.select_where(given, always, never)?;
    let yes = b.constant("yes", Constant::yes);
    b.node(Loop { body: body.finish() }, &[turns, yes, z])
}

fn scans(b: &mut GraphBuilder, z: ValueId) -> Result<ValueId, OnnxError> {
    let mut body: Option<Graph> = None;
    for prefix in ["inner/", "middle/", "outer/"] {
        let mut turn = GraphBuilder::new("body", prefix);
        let carried = turn.input("z", b.ty(z).clone());
        let element = turn.input("element", TensorType::new(DType::F32, []));
        // An element that nobody reads would be left out, and the turns with it.
        let carried = turn.add(carried, element)?;
        let carried = match body.take() {
            None => halved(&mut turn, carried)?,
            Some(body) => scan(&mut turn, carried, body)?,
        };
        turn.output("z_next", carried)?;
        body = Some(turn.finish());
    }
    scan(b, z, body.expect("three bodies"))
}

fn scan(b: &mut GraphBuilder, z: ValueId, body: Graph) -> Result<ValueId, OnnxError> {
    const TURNS: usize = 1 << 16;
    let table = b.constant("table", || Constant::f32(&[TURNS], vec![0.0; TURNS]));
    b.node(Scan { body, scanned: 1 }, &[z, table])
}

fn halved(b: &mut GraphBuilder, z: ValueId) -> Result<ValueId, OnnxError> {
    let half = b.scalar(0.5, DType::F32);
    b.mul(z, half)
}

/// A bundle called `endless`, with such a graph.
fn bundle(folder: &Path, target: GraphTarget) -> PathBuf {
    let of = ModelBundle::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/sudoku-4")).expect("a bundle");
    let mut manifest = of.manifest().clone();
    "endless".clone_into(&mut manifest.name);
    manifest.target = target;
    let graph = endless(&manifest.config, target).expect("a graph");
    let path = folder.join("endless");
    let mut writer = BundleWriter::create(&path, false).expect("a bundle");
    writer.add_graph(GraphKind::Step, &encode(&graph, &[]).onnx, 17, None).expect("written");
    writer.finish(manifest).expect("written");
    path
}

fn trm(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.args(args).current_dir(folder).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.output().expect("trm runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The sentence and the exit code of a program that was ended, in time.
fn assert_ended(output: &Output, started: Instant, expected: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.ends_with("\nhint: --time-limit gives it longer; a graph that never ends is the model's fault\n"),
        "{stderr}"
    );
    assert!(stderr.contains(expected), "{stderr}");
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
}

#[test]
fn a_loop_without_end_is_ended_and_what_was_printed_is_whole() {
    assert!(std::env::var_os("ORT_DYLIB_PATH").is_some(), "cargo xtask test sets ORT_DYLIB_PATH");
    let folder = TempDir::new().expect("a folder");
    bundle(folder.path(), GraphTarget::Portable);
    std::fs::write(folder.path().join("puzzles.txt"), format!("{ENDS}\n{ENDS}\n{NEVER_ENDS}\n{ENDS}\n"))
        .expect("written");
    let started = Instant::now();
    let words = ["--backend", "ort", "--provider", "cpu", "--batch", "1", "--time-limit", "1"];
    let solve = ["solve", "puzzles.txt", "--model", "endless", "--json", "--tries", "0"];
    let output = trm(folder.path(), &[&solve[..], &words].concat());
    assert_ended(&output, started, "error: endless: ort (cpu) did not finish a step within 1 s\n");
    let stdout = text(&output.stdout);
    assert!(stdout.ends_with('\n') && stdout.lines().count() == 2, "{stdout}");
    for line in stdout.lines() {
        let report: Value = serde_json::from_str(line).expect("a whole line");
        assert_eq!(report["verdict"], "verified");
    }

    let started = Instant::now();
    let output = trm(folder.path(), &[&["eval", "endless", "--puzzles", "puzzles.txt"], &words[..]].concat());
    assert_ended(&output, started, "error: endless: ort (cpu) did not finish a step within 1 s\n");
}

#[test]
fn scans_without_end_are_ended_as_well() {
    let folder = TempDir::new().expect("a folder");
    bundle(folder.path(), GraphTarget::Tract);
    std::fs::write(folder.path().join("puzzles.txt"), NEVER_ENDS).expect("written");
    let started = Instant::now();
    let output = trm(
        folder.path(),
        &["solve", "puzzles.txt", "--model", "endless", "--backend", "tract", "--time-limit", "0.5"],
    );
    assert_ended(&output, started, "error: endless: tract (cpu) did not finish a step within 0.5 s\n");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_limit_that_is_long_enough_changes_nothing() {
    let maze = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/maze.txt");
    for limit in ["600", "none", "0"] {
        let args = ["solve", maze.to_str().expect("a path"), "--backend", "tract", "--time-limit", limit];
        let output = trm(Path::new("."), &args);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{limit}");
    }
    let output = trm(Path::new("."), &["solve", "x", "--time-limit", "soon"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected a number of seconds"), "{}", text(&output.stderr));
}
