//! One ACT step at full size: our engines against PyTorch, in one run, turn and turn about.
//!
//! A shared machine changes speed by the minute, so the runners take turns within each round and the ratio is taken
//! round by round.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "for developers, who see a panic where they close the pipe"
)]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lexopt::prelude::*;
use trm_benches::arguments::{count, names};
use trm_benches::full_size::{FullSize, random_weights};
use trm_benches::limit::product_rate;
use trm_benches::pytorch::PyTorch;
use trm_benches::report::{Limit, ModelReport, Report, RunnerReport, processor};
use trm_benches::spread::Spread;
use trm_engine::ort::OrtEngine;
use trm_engine::rten::RtenEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{ActStep, Engine, SessionOptions, StepSession};
use trm_export::checkpoint::StateDict;
use trm_export::trm::GraphOptions;
use trm_export::trm::quantize::{Activations, Quantization, products};
use trm_models::GraphTarget;
use trm_solver::graph_of_weights;

const USAGE: &str = "\
usage: cargo xtask bench [--tract-threads] [option…]

  --tract-threads        build tract with threads within a row, which takes minutes

  --models sudoku,maze   the models to run (both)
  --engines ort,tract    engines to run (these two); ort-int8 multiplies in 8 bits; ort-cpu and ort-cpu-int8 run the graph
                         of `--target ort-cpu`, tract-scan that of `--target tract`; rten, rten-int8 and rten-cpu, which
                         runs the graph of `--target ort-cpu`
  --rounds N             rounds, in each of which every runner has its turn (7)
  --steps N              steps of a turn (5 for sudoku, 2 for maze)
  --threads N            threads of every runner (2)
  --sleeping             let ONNX Runtime's idle threads sleep, as `trm` does unless a model is tuned otherwise
  --reference DIR        a checkout of the public code as the PyTorch side
  --json FILE            write the figures there too

Paths are taken from the workspace's root.
";

/// Seed of weights and puzzle: random, but the same in every run.
const SEED: u64 = 20_251_004;
/// Largest difference of the halting logit between runners, after the first step: float32 rounding through 21 passes
/// of random weights stays far below.
const Q_HALT_TOLERANCE: f32 = 1e-2;
/// Share of cells whose argmax may flip on nearly equal logits.
const ANSWER_TOLERANCE: f64 = 0.02;

/// Our engines and graphs.
const ENGINES: [&str; 9] =
    ["ort", "ort-int8", "ort-cpu", "ort-cpu-int8", "tract", "tract-scan", "rten", "rten-cpu", "rten-int8"];
/// Pause between turns.
const PAUSE: Duration = Duration::from_millis(300);
/// Below this load average a machine is quiet.
const QUIET_LOAD: f64 = 0.5;

struct Options {
    models: Vec<String>,
    engines: Vec<String>,
    rounds: usize,
    steps: Option<usize>,
    threads: usize,
    sleeping: bool,
    reference: Option<PathBuf>,
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let Some(options) = parse()? else {
        print!("{USAGE}");
        return Ok(());
    };
    let engine = OrtEngine::load(None)?;
    let mut report = Report {
        processor: processor(),
        load_before: trm_engine::machine::load_average(),
        threads: options.threads,
        rounds: options.rounds,
        limit: Limit {
            float32: product_rate(&engine, options.threads, false)?,
            int8: product_rate(&engine, options.threads, true)?,
        },
        models: Vec::new(),
    };
    if report.load_before.is_some_and(|load| load > QUIET_LOAD) {
        eprintln!("warning: the machine is busy; the ratios will mean little");
    }
    for model in FullSize::all() {
        if options.models.iter().any(|name| name == model.name) {
            report.models.push(run_model(&model, &options, report.limit)?);
        }
    }
    print!("{}", report.to_markdown());
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&report)?;
        trm_intake::file::write_atomically(path, |file| writeln!(file, "{json}"))?;
    }
    Ok(())
}

/// A runner of steps of one puzzle, with the times they took so far, by round.
struct Runner {
    name: String,
    side: Side,
    rounds: Vec<Vec<f64>>,
    first: Outcome,
    /// True if it multiplies in 8 bits; the runners that do not must agree.
    int8: bool,
    load: Option<Duration>,
}

enum Side {
    PyTorch(PyTorch),
    Ours { session: Box<dyn StepSession>, input: ActStep },
}

/// The answer of a runner.
struct Outcome {
    answer: Vec<i32>,
    q_halt: f32,
}

impl Side {
    /// Runs steps from where the last turn ended.
    fn run(&mut self, steps: usize) -> Result<(Vec<Duration>, Outcome)> {
        match self {
            Self::PyTorch(pytorch) => {
                let result = pytorch.run(steps)?;
                Ok((result.times(), Outcome { q_halt: result.q_halt, answer: result.answer }))
            }
            Self::Ours { session, input } => timed(steps, || {
                let output = session.step(input)?;
                input.reset = vec![false];
                let q_halt = *output.q_halt.first().context("the engine gave no q_halt")?;
                Ok(Outcome { answer: output.answer, q_halt })
            }),
        }
    }
}

/// Runs steps one by one; returns the time of each, and the last one's outcome.
fn timed(steps: usize, mut step: impl FnMut() -> Result<Outcome>) -> Result<(Vec<Duration>, Outcome)> {
    let mut times = Vec::with_capacity(steps);
    let mut outcome = None;
    for _ in 0..steps {
        let started = Instant::now();
        outcome = Some(step()?);
        times.push(started.elapsed());
    }
    Ok((times, outcome.context("a turn needs at least one step")?))
}

impl Runner {
    /// Runs the first step, whose answer is compared, and one more to settle caches and memory.
    fn warmed(name: String, mut side: Side) -> Result<Self> {
        let (_, first) = side.run(1)?;
        side.run(1)?;
        eprintln!("{name} is ready");
        Ok(Self { name, side, rounds: Vec::new(), first, int8: false, load: None })
    }

    fn median_of_round(&self, round: usize) -> Option<f64> {
        Some(Spread::of(self.rounds.get(round)?)?.median)
    }
}

fn run_model(model: &FullSize, options: &Options, limit: Limit) -> Result<ModelReport> {
    let steps = options.steps.unwrap_or(if model.name == "maze" { 2 } else { 5 });
    eprintln!("{}: {}", model.name, model.what);
    let mut runners = load(model, options)?;
    check_agreement(&runners)?;
    for round in 1..=options.rounds {
        for runner in &mut runners {
            // Threads of the one before may spin for a while.
            std::thread::sleep(PAUSE);
            let (times, _) = runner.side.run(steps)?;
            let milliseconds: Vec<_> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
            let median = Spread::of(&milliseconds).map_or(f64::NAN, |spread| spread.median);
            eprintln!("round {round} of {}: {:8.1} ms  {}", options.rounds, median, runner.name);
            runner.rounds.push(milliseconds);
        }
    }
    let baseline = runners.first().context("no runner")?;
    let summaries = runners.iter().map(|runner| summarise(runner, baseline, model.flops(), limit));
    let reports = summaries.collect::<Result<Vec<_>>>()?;
    Ok(ModelReport { model: model.name.to_owned(), what: model.what.to_owned(), steps, runners: reports })
}

/// PyTorch first, then our engines, all with the same weights and puzzle.
fn load(model: &FullSize, options: &Options) -> Result<Vec<Runner>> {
    let weights = random_weights(&model.config, SEED);
    let tokens = model.tokens(SEED);
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let (config_file, weights_file) = (folder.path().join("config.json"), folder.path().join("weights.safetensors"));
    std::fs::write(&config_file, serde_json::to_vec(&model.config)?).context("cannot write the configuration")?;
    weights.write_safetensors(&weights_file, "")?;

    let python = std::env::var_os("PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let reference = options.reference.as_deref();
    let mut pytorch = PyTorch::start(&python, &config_file, &weights_file, options.threads, reference)?;
    pytorch.start_puzzle(&tokens)?;
    let code = if reference.is_some() { "public code" } else { "own baseline" };
    let name = format!("PyTorch {} eager, {code}", pytorch.version);
    let mut runners = vec![Runner::warmed(name, Side::PyTorch(pytorch))?];

    for engine in &options.engines {
        runners.push(engine_runner(engine, model, &weights, &tokens, options)?);
    }
    Ok(runners)
}

/// One of [`ENGINES`].
fn engine_runner(
    engine: &str,
    model: &FullSize,
    weights: &StateDict,
    tokens: &[i32],
    options: &Options,
) -> Result<Runner> {
    let int8 = engine.ends_with("int8");
    // Ranges are found while it runs: no calibration, and for speed no trained weights are needed.
    let quantization = Quantization {
        activations: Activations::Dynamic,
        products: products(&model.config).into_iter().map(|name| (name, 0.0)).collect(),
    };
    let target = match engine {
        "ort-cpu" | "ort-cpu-int8" | "rten-cpu" => GraphTarget::OrtCpu,
        "tract-scan" => GraphTarget::Tract,
        _ => GraphTarget::Portable,
    };
    let graph_options = GraphOptions { quantization: int8.then_some(&quantization), target, ..GraphOptions::default() };
    let source = graph_of_weights(model.name, &model.config, weights, graph_options)?;
    let suffix = [(int8, ", int8"), (target != GraphTarget::Portable, ", own graph")];
    let suffix: String = suffix.into_iter().filter_map(|(applies, words)| applies.then_some(words)).collect();

    let engine: Box<dyn Engine> = match engine.split('-').next() {
        Some("tract") => Box::new(TractEngine),
        Some("rten") => Box::new(RtenEngine),
        _ => Box::new(OrtEngine::load(None)?),
    };
    let session_options =
        SessionOptions { threads: options.threads, spinning: !options.sleeping, ..SessionOptions::default() };
    let session = engine.load_step_graph(&source, &session_options)?;
    let info = session.info();
    let threads = if info.threads == options.threads { "" } else { ", one thread" };
    let name = format!("{} {}{suffix}{threads}", info.engine, info.engine_version);
    let load = Some(info.load_time);
    let runner = Runner::warmed(name, Side::Ours { session, input: ActStep::first(tokens.to_vec(), vec![0]) })?;
    Ok(Runner { int8, load, ..runner })
}

/// Refuses runners that compute different things: a comparison of their speed means nothing. Those with 8 bits are
/// left out: only trained weights can tell what 8 bits lose, and `trm quantize` does.
fn check_agreement(runners: &[Runner]) -> Result<()> {
    let Some((baseline, others)) = runners.split_first() else { return Ok(()) };
    for runner in others.iter().filter(|runner| !runner.int8) {
        let (differences, q_halt) = differences(runner, baseline);
        let limit = ANSWER_TOLERANCE * baseline.first.answer.len() as f64;
        // Written so that NaN does not pass.
        let agrees = q_halt <= Q_HALT_TOLERANCE && differences as f64 <= limit;
        ensure!(
            agrees,
            "{} and {} disagree after one step: {differences} cells, q_halt by {q_halt:.1e}",
            runner.name,
            baseline.name
        );
    }
    Ok(())
}

/// Cells with another answer, and the distance of the halting logits.
fn differences(runner: &Runner, baseline: &Runner) -> (usize, f32) {
    let (ours, theirs) = (&runner.first, &baseline.first);
    let same_length = ours.answer.len() == theirs.answer.len();
    let cells = ours.answer.iter().zip(&theirs.answer).filter(|(a, b)| a != b).count();
    (if same_length { cells } else { usize::MAX }, (ours.q_halt - theirs.q_halt).abs())
}

fn summarise(runner: &Runner, baseline: &Runner, flops: f64, limit: Limit) -> Result<RunnerReport> {
    let all: Vec<_> = runner.rounds.iter().flatten().copied().collect();
    let ratios: Vec<_> = (0..runner.rounds.len())
        .filter_map(|round| Some(baseline.median_of_round(round)? / runner.median_of_round(round)?))
        .collect();
    let (answer_differences, q_halt_difference) = differences(runner, baseline);
    let milliseconds = Spread::of(&all).context("no step was timed")?;
    let limit = if runner.int8 { limit.int8 } else { limit.float32 };
    Ok(RunnerReport {
        runner: runner.name.clone(),
        share_of_limit: flops / (milliseconds.median * 1e6) / limit,
        milliseconds,
        load_milliseconds: runner.load.map(|load| load.as_secs_f64() * 1e3),
        ratio: Spread::of(&ratios).context("no round was timed")?,
        q_halt_difference,
        answer_differences,
    })
}

fn parse() -> Result<Option<Options>> {
    let mut options = Options {
        models: vec!["sudoku".to_owned(), "maze".to_owned()],
        engines: vec!["ort".to_owned(), "tract".to_owned()],
        rounds: 7,
        steps: None,
        threads: 2,
        sleeping: false,
        reference: None,
        json: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("models") => options.models = names(&mut parser, &options.models)?,
            Long("engines") => {
                let known = ENGINES.map(str::to_owned);
                options.engines = names(&mut parser, &known)?;
            }
            Long("rounds") => options.rounds = count(&mut parser, "--rounds", 1..=10_000)?,
            Long("steps") => options.steps = Some(count(&mut parser, "--steps", 1..=10_000)?),
            Long("threads") => options.threads = count(&mut parser, "--threads", 1..=10_000)?,
            Long("sleeping") => options.sleeping = true,
            Long("reference") => options.reference = Some(parser.value()?.into()),
            Long("json") => options.json = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}
