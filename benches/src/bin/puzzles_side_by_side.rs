//! Whole puzzles of the shipped models: ours, halted when verified, against the reference's way in PyTorch (every puzzle for all its
//! steps, in a fixed batch), turn and turn about in one run.
#![expect(clippy::disallowed_methods, reason = "it starts what it measures")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "for developers, who see a panic where they close the pipe"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use lexopt::prelude::*;
use serde::Deserialize;
use trm_benches::arguments::{count, names};
use trm_benches::process::LineProcess;
use trm_benches::report::processor;
use trm_benches::shipped::weights_file;
use trm_benches::spread::Spread;
use trm_engine::ort::OrtEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{Engine, EngineError, SessionOptions};
use trm_export::ExportError;
use trm_export::checkpoint::StateDict;
use trm_export::trm::quantize::Activations;
use trm_models::SHIPPED;
use trm_puzzles::{Grid, Task, seeded};
use trm_solver::quantize::{QuantizeOptions, Quantized, Subject, Target, quantize};
use trm_solver::{Model, Observer, Question, SolveOptions, SolveReport, Solver, graph_of_weights};

const USAGE: &str = "\
usage: cargo xtask bench --puzzles [option…]

  --models NAME,…        shipped models (all)
  --modes M,…            PyTorch's: eager-fp32, compile-fp32, eager-bf16, compile-bf16 (all four)
  --engines E,…          ours: ort, ort-int8 (quantised as `trm quantize` does), tract (all three)
  --count N              puzzles of the stream (2000); after the first round, PyTorch is timed on 512 of them
  --single N             puzzles one at a time, in each round (30 for PyTorch, ten times as many for ours)
  --rounds N             rounds, in each of which every runner has its turn (3)
  --tries K              our symmetric copies when an answer is not verified (8)
  --batch N              our rows (16)
  --threads N            threads of every runner (2)
";

/// Seed of the puzzles.
const SEED: u64 = 2026;
/// Our engine with 8-bit products.
const INT8: &str = "ort-int8";
/// Puzzles that ranges are found on, and that the gate judges by.
const CALIBRATION: usize = 64;
const HELD_OUT: usize = 500;
/// Share of right answers that 8 bits may lose.
const MAX_LOSS: f64 = 0.01;
/// Batches that PyTorch is tried with; the fastest is taken.
const PYTORCH_BATCHES: [usize; 3] = [8, 32, 128];
/// Puzzles that PyTorch's batches are compared on.
const TRIAL: usize = 128;
/// Puzzles of PyTorch's stream after the first round.
const LATER_ROUNDS: usize = 512;

struct Options {
    models: Vec<String>,
    modes: Vec<String>,
    engines: Vec<String>,
    count: usize,
    single: usize,
    rounds: usize,
    tries: usize,
    batch: usize,
    threads: usize,
}

fn main() -> Result<()> {
    let Some(options) = parse()? else {
        print!("{USAGE}");
        return Ok(());
    };
    println!(
        "{}, {} threads, {} rounds; median (and quartiles) of puzzles a second. Ours stops at the verified answer and tries {} \
         symmetric copies of what fails; PyTorch runs all steps.",
        processor(),
        options.threads,
        options.rounds,
        options.tries
    );
    if let Some(load) = trm_engine::machine::load_average() {
        println!("Load before the start: {load:.2}.");
    }
    for name in &options.models {
        print!("{}", run_model(name, &options)?);
    }
    Ok(())
}

/// A puzzle, its tokens, and the generator's answer.
struct Sample {
    question: Question,
    solution: Grid,
}

struct Runner {
    name: String,
    side: Side,
    single: Vec<f64>,
    stream: Vec<f64>,
    solved: usize,
}

enum Side {
    PyTorch { process: LineProcess, batch: usize },
    Ours(Box<Solver<'static>>),
}

#[derive(Deserialize)]
struct Ready {
    ready: String,
    threads: usize,
}

#[derive(Deserialize)]
struct Solved {
    seconds: f64,
    answers: Vec<Vec<i32>>,
}

/// Times all runners on one model and formats the table.
fn run_model(name: &str, options: &Options) -> Result<String> {
    let model = Model::open(name)?;
    let samples = samples(&model, options.count, SEED)?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut runners = pytorch(&model, &samples, folder.path(), options)?;
    for engine in &options.engines {
        runners.push(ours(&model, engine, options)?);
    }
    for round in 1..=options.rounds {
        for runner in &mut runners {
            let start = round * options.single % samples.len();
            let singles = match runner.side {
                Side::PyTorch { .. } => options.single,
                Side::Ours(_) => 10 * options.single,
            };
            let singles: Vec<_> = samples.iter().cycle().skip(start).take(singles).collect();
            runner.turn(&model, &singles, &samples, start)?;
            eprintln!(
                "{name}, round {round} of {}: {:8.1} and {:8.1} puzzles/s  {}",
                options.rounds,
                runner.single.last().unwrap_or(&f64::NAN),
                runner.stream.last().unwrap_or(&f64::NAN),
                runner.name
            );
        }
    }
    table(name, &runners, samples.len())
}

fn samples(model: &Model, count: usize, seed: u64) -> Result<Vec<Sample>> {
    let generator = model.kind().generator()?;
    let generator = generator.with_context(|| format!("nothing makes puzzles for {}", model.name()))?;
    let mut rng = seeded(seed);
    (0..count)
        .map(|_| {
            let made = generator.generate(&mut rng)?;
            Ok(Sample { question: Question::new(model.task().as_ref(), made.puzzle, 0)?, solution: made.solution })
        })
        .collect()
}

/// PyTorch in its modes, each with the batch that it is fastest with.
fn pytorch(model: &Model, samples: &[Sample], folder: &Path, options: &Options) -> Result<Vec<Runner>> {
    let (config, puzzles) = (folder.join("config.json"), folder.join("puzzles.txt"));
    let weights = folder.join("weights.safetensors");
    std::fs::write(&config, serde_json::to_vec(model.config())?).context("cannot write the configuration")?;
    let source = weights_file(model.name());
    std::fs::copy(&source, &weights).with_context(|| format!("cannot read {}", source.display()))?;
    let lines: String = samples.iter().fold(String::new(), |mut lines, sample| {
        let words: Vec<_> = sample.question.tokens.iter().map(ToString::to_string).collect();
        let _ = writeln!(lines, "{}", words.join(" "));
        lines
    });
    std::fs::write(&puzzles, lines).context("cannot write the puzzles")?;

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/pytorch_puzzles.py");
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let mut runners = Vec::new();
    for mode in &options.modes {
        let mut command = Command::new(&python);
        command.arg(script).args(["--serve", "--mode", mode, "--threads", &options.threads.to_string()]);
        command.arg("--config").arg(&config).arg("--weights").arg(&weights).arg("--puzzles").arg(&puzzles);
        let mut process = LineProcess::start("PyTorch", &mut command)?;
        let ready: Ready = process.receive().context("PyTorch did not start\nhint: run it by `cargo xtask bench`")?;
        ensure!(ready.threads == options.threads, "PyTorch runs on {} threads", ready.threads);
        let trial = TRIAL.min(samples.len());
        let mut batches = BTreeMap::new();
        for batch in [1].into_iter().chain(PYTORCH_BATCHES) {
            // Once to compile and settle.
            process.ask::<Solved>(&format!("run {batch} 0 {batch}"))?;
            if batch > 1 {
                let solved: Solved = process.ask(&format!("run {batch} 0 {trial}"))?;
                batches.insert(batch, solved.seconds);
            }
        }
        let (&batch, _) = batches.iter().min_by(|a, b| a.1.total_cmp(b.1)).context("no batch was tried")?;
        let name = format!("PyTorch {} {mode}, batch {batch}", ready.ready);
        eprintln!("{name} is ready");
        runners.push(Runner::new(name, Side::PyTorch { process, batch }));
    }
    Ok(runners)
}

fn ours(model: &Model, engine: &str, options: &Options) -> Result<Runner> {
    let name = format!("{engine}, {} rows", options.batch);
    let quantised = if engine == INT8 { Some(quantised(model)?) } else { None };
    let engine: Box<dyn Engine> =
        if engine == "tract" { Box::new(TractEngine) } else { Box::new(OrtEngine::load(None)?) };
    let (model_of_sessions, threads) = (Model::open(model.name())?, options.threads);
    let solve_options = SolveOptions { batch: options.batch, tries: options.tries, ..SolveOptions::default() };
    let solver = Solver::new(model.task(), model.config().clone(), solve_options, move |batch| {
        // What `trm bench --tune` finds for one puzzle at a time: threads that meet in every operator must not sleep between.
        let session_options = SessionOptions { batch, threads, spinning: batch == 1, ..SessionOptions::default() };
        let model = &model_of_sessions;
        let Some(quantised) = &quantised else { return engine.load_step(model.bundle(), &session_options) };
        let (weights, graph_options) = (&quantised.weights, quantised.graph_options());
        let failed = |error: ExportError| EngineError::Failed {
            engine: engine.name(),
            action: "make a graph".to_owned(),
            source: error.into(),
        };
        let source = graph_of_weights(model.name(), model.config(), weights, graph_options).map_err(failed)?;
        engine.load_step_graph(&source, &session_options)
    });
    let mut runner = Runner::new(name, Side::Ours(Box::new(solver)));
    let warm = samples(model, options.batch, SEED)?;
    runner.turn(model, &warm.iter().collect::<Vec<_>>(), &warm, 0)?;
    (runner.single, runner.stream, runner.solved) = (Vec::new(), Vec::new(), 0);
    Ok(runner)
}

/// A shipped model with 8-bit products, as `trm quantize` makes it and lets it pass.
fn quantised(model: &Model) -> Result<Quantized> {
    let task = model.task();
    let questions = |count, seed| -> Result<Vec<Question>> {
        Ok(samples(model, count, seed)?.into_iter().map(|sample| sample.question).collect())
    };
    let (calibration, held_out) = (questions(CALIBRATION, SEED + 1)?, questions(HELD_OUT, SEED + 2)?);
    let weights = StateDict::read(weights_file(model.name()))?;
    let subject = Subject {
        name: model.name(),
        config: model.config(),
        weights: &weights,
        task: task.as_ref(),
        calibration: &calibration,
        held_out: &held_out,
    };
    let options = QuantizeOptions { target: Target::Int8, activations: Activations::Dynamic, max_loss: MAX_LOSS };
    let quantized = quantize(&OrtEngine::load(None)?, &subject, &options, &mut |doing| eprintln!("{doing}"))?;
    ensure!(quantized.fidelity.passed(MAX_LOSS), "8 bits do not hold for {}", model.name());
    Ok(quantized)
}

/// Counts right answers.
struct Marker<'a> {
    task: &'a dyn Task,
    samples: &'a [Sample],
    solved: usize,
}

impl Marker<'_> {
    fn mark(&mut self, index: usize, answer: &Grid) {
        self.solved += usize::from(is_right(self.task, &self.samples[index], answer));
    }
}

impl Observer for Marker<'_> {
    fn done(&mut self, index: usize, _: &Question, report: SolveReport) {
        self.mark(index, &report.answer);
    }
}

/// True for the generator's answer, or in a maze one as short.
fn is_right(task: &dyn Task, sample: &Sample, answer: &Grid) -> bool {
    let verdict = task.verify(&sample.question.grid, answer);
    *answer == sample.solution || verdict.path().is_some_and(|path| path.length == path.shortest)
}

impl Runner {
    fn new(name: String, side: Side) -> Self {
        Self { name, side, single: Vec::new(), stream: Vec::new(), solved: 0 }
    }

    /// Solves some puzzles one at a time, then the whole stream.
    fn turn(&mut self, model: &Model, singles: &[&Sample], samples: &[Sample], first: usize) -> Result<()> {
        let task = model.task();
        let mut marker = Marker { task: task.as_ref(), samples, solved: 0 };
        match &mut self.side {
            Side::PyTorch { process, batch } => {
                let count = singles.len().min(samples.len() - first);
                let solved: Solved = process.ask(&format!("run 1 {first} {count}"))?;
                self.single.push(count as f64 / solved.seconds);
                // It computes the same for every puzzle: one round marks them all, the others time a part.
                let count = if self.stream.is_empty() { samples.len() } else { samples.len().min(LATER_ROUNDS) };
                let solved: Solved = process.ask(&format!("run {batch} 0 {count}"))?;
                self.stream.push(count as f64 / solved.seconds);
                if count < samples.len() {
                    return Ok(());
                }
                for (index, answer) in solved.answers.iter().enumerate() {
                    let grid = &samples[index].question.grid;
                    if let Ok(answer) = task.decode(grid, answer) {
                        marker.mark(index, &answer);
                    }
                }
            }
            Side::Ours(solver) => {
                let started = Instant::now();
                for sample in singles {
                    solver.solve(sample.question.clone())?;
                }
                self.single.push(singles.len() as f64 / started.elapsed().as_secs_f64());
                let started = Instant::now();
                solver.run(samples.iter().map(|sample| Ok(sample.question.clone())), &mut marker)?;
                self.stream.push(samples.len() as f64 / started.elapsed().as_secs_f64());
            }
        }
        self.solved = marker.solved;
        Ok(())
    }
}

fn table(model: &str, runners: &[Runner], count: usize) -> Result<String> {
    let best = |rates: &dyn Fn(&Runner) -> f64| {
        let pytorch = runners.iter().filter(|runner| matches!(runner.side, Side::PyTorch { .. }));
        pytorch.map(rates).fold(0.0, f64::max)
    };
    let median = |rates: &[f64]| Spread::of(rates).map_or(f64::NAN, |spread| spread.median);
    let (single, stream) = (best(&|runner| median(&runner.single)), best(&|runner| median(&runner.stream)));
    let mut text = format!(
        "\n**{model}**, {count} fresh puzzles\n\n| runner | one at a time | x best of PyTorch | stream | x best of PyTorch | right |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    for runner in runners {
        let cell = |rates: &[f64], best: f64| -> Result<String> {
            let Spread { low, median, high, .. } = Spread::of(rates).context("nothing was timed")?;
            Ok(format!("{median:.1} ({low:.1}-{high:.1}) | {:.1}", median / best))
        };
        let (single, stream) = (cell(&runner.single, single)?, cell(&runner.stream, stream)?);
        let right = 100.0 * runner.solved as f64 / count as f64;
        let _ = writeln!(text, "| {} | {single} | {stream} | {right:.2} % |", runner.name);
    }
    Ok(text)
}

fn parse() -> Result<Option<Options>> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let modes = owned(&["eager-fp32", "compile-fp32", "eager-bf16", "compile-bf16"]);
    let models: Vec<_> = SHIPPED.iter().map(|shipped| shipped.name.to_owned()).collect();
    let engines = owned(&["ort", INT8, "tract"]);
    let mut options = Options {
        models: models.clone(),
        modes: modes.clone(),
        engines: engines.clone(),
        count: 2000,
        single: 30,
        rounds: 3,
        tries: 8,
        batch: 16,
        threads: 2,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("models") => options.models = names(&mut parser, &models)?,
            Long("modes") => options.modes = names(&mut parser, &modes)?,
            Long("engines") => options.engines = names(&mut parser, &engines)?,
            Long("count") => options.count = count(&mut parser, "--count", 1..=100_000)?,
            Long("single") => options.single = count(&mut parser, "--single", 1..=100_000)?,
            Long("rounds") => options.rounds = count(&mut parser, "--rounds", 1..=100_000)?,
            Long("tries") => options.tries = count(&mut parser, "--tries", 0..=100_000)?,
            Long("batch") => options.batch = count(&mut parser, "--batch", 1..=100_000)?,
            Long("threads") => options.threads = count(&mut parser, "--threads", 1..=100_000)?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}
