//! Loads one step graph on several engines, one turn after the other: load time, time of a step, memory, and whether the
//! answers are equal. [docs/engines.md](../../../docs/engines.md) has what it said.
#![allow(clippy::print_stdout, reason = "a developer's program, whose results go to stdout")]

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use trm_benches::full_size::{FullSize, random_weights};
use trm_engine::ort::{ExecutionProvider, ProviderChoice};
use trm_engine::{ActStep, SessionOptions, StepSession, registry};
use trm_export::checkpoint::StateDict;
use trm_export::trm::GraphOptions;
use trm_models::{GraphTarget, TrmConfig};
use trm_solver::Model;
use trm_solver::graph_of_weights;

const USAGE: &str = "\
usage: engines MODEL RUNNER[,RUNNER…] [option…]

MODEL is a shipped model, or full-sudoku or full-maze: the published sizes with random weights. A RUNNER is ort, tract or
rten, with `:TARGET` behind it for a graph that is not portable: tract:tract, ort:ort-cpu. Answers are compared with those of
the first runner. The largest memory is the process's: name a single runner to know a runner's.

  --rounds N   turns of every runner (5)
  --steps N    steps of a turn (4)
  --threads N  threads of every runner (2)
  --rows N     puzzles at once, all of them the same (1)
";

/// Seed of weights and puzzle: random, but the same in every run.
const SEED: u64 = 20_251_004;

struct Options {
    model: String,
    runners: Vec<String>,
    rounds: usize,
    steps: usize,
    threads: usize,
    rows: usize,
}

struct Runner {
    name: String,
    load_ms: f64,
    session: Box<dyn StepSession>,
    /// Milliseconds of each step.
    times: Vec<f64>,
    /// After each step: the answer, and the halting logit.
    outcomes: Vec<(Vec<i32>, f32)>,
}

fn main() -> Result<()> {
    let Some(options) = Options::of_arguments()? else {
        print!("{USAGE}");
        return Ok(());
    };
    let (config, weights, tokens) = puzzle(&options.model)?;
    let load = |name: &String| Runner::load(name, &config, &weights, &options);
    let mut runners = options.runners.iter().map(load).collect::<Result<Vec<_>>>()?;
    let mut input = ActStep::first(tokens.repeat(options.rows), vec![0; options.rows]);
    for _ in 0..options.rounds {
        for runner in &mut runners {
            input.reset.fill(true);
            for _ in 0..options.steps {
                let started = Instant::now();
                let output = runner.session.step(&input)?;
                runner.times.push(started.elapsed().as_secs_f64() * 1e3);
                runner.outcomes.push((output.answer, output.q_halt[0]));
                input.reset.fill(false);
            }
        }
    }
    println!(
        "| {} | load ms | step ms, median | cells that differ | q_halt within |\n|---|---|---|---|---|",
        options.model
    );
    let expected = runners.first().context("no runner")?.outcomes.clone();
    for runner in &mut runners {
        let cells: usize = expected.iter().zip(&runner.outcomes).map(|(a, b)| differing(&a.0, &b.0)).sum();
        let all: usize = expected.iter().map(|(answer, _)| answer.len()).sum();
        let distance = expected.iter().zip(&runner.outcomes).map(|(a, b)| (a.1 - b.1).abs()).fold(0.0, worst);
        runner.times.sort_by(f64::total_cmp);
        let (median, load) = (runner.times[runner.times.len() / 2], runner.load_ms);
        println!("| {} | {load:.1} | {median:.2} | {cells} of {all} | {distance:.1e} |", runner.name);
    }
    if let Some(kibibytes) = peak_memory() {
        println!("largest memory of the process: {:.1} MiB", kibibytes / 1024.0);
    }
    Ok(())
}

/// The larger number, NaN being the largest.
fn worst(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }
}

fn differing(a: &[i32], b: &[i32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count() + a.len().abs_diff(b.len())
}

/// Most memory of this process in KiB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Configuration and weights of a model, and a puzzle for it, `[seq]`.
fn puzzle(name: &str) -> Result<(TrmConfig, StateDict, Vec<i32>)> {
    if let Some(full) = name.strip_prefix("full-") {
        let model = FullSize::all().into_iter().find(|model| model.name == full);
        let model = model.with_context(|| format!("no published configuration is called {full:?}"))?;
        let (weights, tokens) = (random_weights(&model.config, SEED), model.tokens(SEED));
        return Ok((model.config, weights, tokens));
    }
    let model = Model::open(name)?;
    let (config, test) = (model.config().clone(), model.bundle().self_test()?);
    Ok((config.clone(), StateDict::of_bundle(model.bundle())?, test.tokens[..config.seq_len].to_vec()))
}

impl Runner {
    fn load(name: &str, config: &TrmConfig, weights: &StateDict, options: &Options) -> Result<Self> {
        let (engine, target) = name.split_once(':').unwrap_or((name, "portable"));
        let target = [GraphTarget::Portable, GraphTarget::OrtCpu, GraphTarget::Tract]
            .into_iter()
            .find(|known| known.as_str() == target)
            .with_context(|| format!("no target is called {target:?}"))?;
        let entry = registry::find(engine).with_context(|| format!("no engine is called {engine:?}"))?;
        let engine = (entry.open)(None)?;
        let graph_options = GraphOptions { target, ..GraphOptions::default() };
        let source = graph_of_weights(&options.model, config, weights, graph_options)?;
        let session_options = SessionOptions {
            batch: options.rows,
            threads: options.threads,
            provider: ProviderChoice::Only(ExecutionProvider::Cpu),
            ..SessionOptions::default()
        };
        let session = engine.load_step_graph(&source, &session_options)?;
        let load_ms = session.info().load_time.as_secs_f64() * 1e3;
        Ok(Self { name: name.to_owned(), load_ms, session, times: Vec::new(), outcomes: Vec::new() })
    }
}

impl Options {
    /// `None` if help was asked for.
    fn of_arguments() -> Result<Option<Self>> {
        use lexopt::prelude::*;

        let mut parser = lexopt::Parser::from_env();
        let (mut words, mut rounds, mut steps, mut threads, mut rows) = (Vec::new(), 5, 4, 2, 1);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("help") | Short('h') => return Ok(None),
                Long("rounds") => rounds = parser.value()?.parse()?,
                Long("steps") => steps = parser.value()?.parse()?,
                Long("threads") => threads = parser.value()?.parse()?,
                Long("rows") => rows = parser.value()?.parse()?,
                Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        let [model, runners] = words.try_into().ok().context(USAGE)?;
        ensure!(rounds > 0 && steps > 0, "nothing would be measured");
        let runners = runners.split(',').map(str::to_owned).collect();
        Ok(Some(Self { model, runners, rounds, steps, threads, rows }))
    }
}
