//! Training steps: our runtimes against PyTorch's modes, in one run, turn and turn about.
//!
//! Every runner is a process of its own with the same weights and batches; the ratio is taken round by round.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "for developers, who see a panic where they close the pipe"
)]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use lexopt::prelude::*;
use trm_benches::arguments::{count, names};
use trm_benches::full_size::random_weights;
use trm_benches::report::processor;
use trm_benches::spread::Spread;
use trm_benches::training::child::Trainer;
use trm_benches::training::ours::{self, RUNTIMES, Setup};
use trm_benches::training::report::{ModelReport, Ratio, Report, RunnerReport};
use trm_benches::training::{Batches, TrainModel};

const USAGE: &str = "\
usage: cargo xtask bench --train [option…]

  --models sudoku,maze,full  the models to train (sudoku and maze; full is of the published size)
  --modes LIST               PyTorch's: eager-fp32,compile-fp32,eager-bf16,compile-bf16 (all; compile needs a C++ compiler)
  --runtimes LIST            ours (all that this build has)
  --rounds N                 rounds, in each of which every runner has its turn (7)
  --steps N                  steps of a turn (5; 2 for full)
  --threads N                threads of every runner (2)
  --json FILE                write the figures there too

Paths are taken from the workspace's root.
";

/// The Python program.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/pytorch_train.py");
const MODES: [&str; 4] = ["eager-fp32", "compile-fp32", "eager-bf16", "compile-bf16"];
/// Seed of weights and batches: random, but the same in every run.
const SEED: u64 = 20_251_004;
/// Steps before anything is timed, whose losses are compared: compilation, memory, caches.
const WARM_UP: usize = 3;
/// Largest differences of the first losses, relative to the first runner's. Only the first step starts from equal
/// weights and carries.
const LOSS_TOLERANCE: [f64; WARM_UP] = [1e-4, 1e-2, 5e-2];
/// The same limits where a side computes in bfloat16, with 8 bits of mantissa through all passes.
const BF16_LOSS_TOLERANCE: [f64; WARM_UP] = [5e-2, 1e-1, 1e-1];
/// Below this load average a machine is quiet.
const QUIET_LOAD: f64 = 0.5;

struct Options {
    models: Vec<String>,
    modes: Vec<String>,
    runtimes: Vec<String>,
    rounds: usize,
    steps: Option<usize>,
    threads: usize,
    json: Option<PathBuf>,
    child: Option<(String, PathBuf)>,
}

fn main() -> Result<()> {
    let Some(options) = parse()? else {
        print!("{USAGE}");
        return Ok(());
    };
    if let Some((runtime, batches)) = &options.child {
        return serve_ours(runtime, batches, &options);
    }
    let mut report = Report {
        processor: processor(),
        load_before: trm_engine::machine::load_average(),
        threads: options.threads,
        rounds: options.rounds,
        models: Vec::new(),
    };
    if report.load_before.is_some_and(|load| load > QUIET_LOAD) {
        eprintln!("warning: the machine is busy; the ratios will mean little");
    }
    if options.runtimes.is_empty() {
        eprintln!("warning: no runtime of ours is in this build; PyTorch's modes are compared among themselves");
    }
    for model in TrainModel::all() {
        if options.models.iter().any(|name| name == model.name) {
            report.models.push(run_model(&model, &options)?);
        }
    }
    print!("{}", report.to_markdown());
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&report)?;
        trm_intake::file::write_atomically(path, |file| writeln!(file, "{json}"))?;
    }
    Ok(())
}

/// Our side, as the process that the bench starts.
fn serve_ours(runtime: &str, batches: &Path, options: &Options) -> Result<()> {
    let (_, start) = RUNTIMES.iter().find(|(name, _)| *name == runtime).context("there is no such runtime")?;
    let [name] = options.models.as_slice() else { bail!("a child trains one model") };
    let model = TrainModel::all().into_iter().find(|model| model.name == name).context("there is no such model")?;
    let text = std::fs::read_to_string(batches).with_context(|| format!("cannot read {}", batches.display()))?;
    let batches: Batches = serde_json::from_str(&text)?;
    let weights = random_weights(&model.config, SEED);
    let setup = Setup { config: model.config, weights, batch: model.batch, threads: options.threads };
    let mut runtime = start(&setup)?;
    // What the runtime has copied should not count against it.
    drop(setup);
    ours::serve(runtime.as_mut(), &batches, options.threads, std::io::stdin().lock(), std::io::stdout().lock())
}

/// A process that trains, and the seconds of its steps so far, by round.
struct Runner {
    name: String,
    mode: Option<String>,
    trainer: Trainer,
    rounds: Vec<f64>,
    first_losses: Vec<f64>,
}

impl Runner {
    fn warmed(name: String, mode: Option<String>, mut trainer: Trainer) -> Result<Self> {
        let first = trainer.run(WARM_UP)?;
        eprintln!(
            "{name} is ready after {:.1} s of steps, losses {:.4?}",
            first.seconds.iter().sum::<f64>(),
            first.losses
        );
        Ok(Self { name, mode, trainer, rounds: Vec::new(), first_losses: first.losses })
    }

    fn is_bf16(&self) -> bool {
        self.mode.as_ref().is_some_and(|mode| mode.ends_with("bf16"))
    }
}

fn run_model(model: &TrainModel, options: &Options) -> Result<ModelReport> {
    let steps = options.steps.unwrap_or(if model.name == "full" { 2 } else { 5 });
    eprintln!("{}: {}, batch {}", model.name, model.what, model.batch);
    let mut runners = load(model, options)?;
    check_agreement(&runners)?;
    for round in 1..=options.rounds {
        for runner in &mut runners {
            let seconds = Spread::of(&runner.trainer.run(steps)?.seconds).context("a turn has no time")?.median;
            eprintln!("round {round} of {}: {:8.1} ms  {}", options.rounds, seconds * 1e3, runner.name);
            runner.rounds.push(model.batch as f64 / seconds);
        }
    }
    let reports = runners.iter().map(|runner| summarise(runner, &runners)).collect::<Result<Vec<_>>>()?;
    Ok(ModelReport {
        model: model.name.to_owned(),
        what: model.what.to_owned(),
        batch: model.batch,
        steps,
        runners: reports,
    })
}

/// PyTorch's modes first, then our runtimes, all with the same weights and batches.
fn load(model: &TrainModel, options: &Options) -> Result<Vec<Runner>> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let file = |name: &str| folder.path().join(name);
    let (config, weights, batches) = (file("config.json"), file("weights.safetensors"), file("batches.json"));
    std::fs::write(&config, serde_json::to_vec(&model.config)?).context("cannot write the configuration")?;
    random_weights(&model.config, SEED).write_safetensors(&weights, "")?;
    std::fs::write(&batches, serde_json::to_vec(&model.batches(SEED))?).context("cannot write the batches")?;

    let threads = options.threads.to_string();
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let mut runners = Vec::new();
    for mode in &options.modes {
        let mut command = Command::new(&python);
        command.args([SCRIPT, "--serve", "--mode", mode, "--threads", &threads]);
        command.arg("--config").arg(&config).arg("--weights").arg(&weights).arg("--data").arg(&batches);
        let trainer = Trainer::start("PyTorch", &mut command, options.threads)?;
        let name = format!("PyTorch {} {mode}", trainer.version);
        runners.push(Runner::warmed(name, Some(mode.clone()), trainer)?);
    }
    for runtime in &options.runtimes {
        let mut command = Command::new(std::env::current_exe().context("cannot tell this program's path")?);
        command.args(["--models", model.name, "--threads", &threads, "--child", runtime]).arg(&batches);
        let trainer = Trainer::start("trm-solver", &mut command, options.threads)?;
        runners.push(Runner::warmed(trainer.version.clone(), None, trainer)?);
    }
    Ok(runners)
}

/// Refuses runners that compute different things: a comparison of their speed means nothing.
fn check_agreement(runners: &[Runner]) -> Result<()> {
    let Some((baseline, others)) = runners.split_first() else { return Ok(()) };
    for runner in others {
        let wide = runner.is_bf16() || baseline.is_bf16();
        let tolerance = if wide { BF16_LOSS_TOLERANCE } else { LOSS_TOLERANCE };
        for (step, limit) in tolerance.iter().enumerate() {
            let (ours, theirs) = (runner.first_losses[step], baseline.first_losses[step]);
            // Written so that NaN does not pass.
            let agrees = (ours - theirs).abs() <= limit * theirs.abs();
            ensure!(
                agrees,
                "{} and {} disagree in step {}: losses {ours} and {theirs}",
                runner.name,
                baseline.name,
                step + 1
            );
        }
    }
    Ok(())
}

fn summarise(runner: &Runner, runners: &[Runner]) -> Result<RunnerReport> {
    let mut ratios = Vec::new();
    for other in runners {
        let Some(mode) = &other.mode else { continue };
        let by_round: Vec<_> = runner.rounds.iter().zip(&other.rounds).map(|(ours, theirs)| ours / theirs).collect();
        let ratio = Spread::of(&by_round).context("no round was timed")?;
        ratios.push(Ratio { against: mode.clone(), ratio });
    }
    Ok(RunnerReport {
        runner: runner.name.clone(),
        samples_per_second: Spread::of(&runner.rounds).context("no round was timed")?,
        ratios,
        peak_memory: runner.trainer.peak_memory(),
        first_losses: runner.first_losses.clone(),
    })
}

fn parse() -> Result<Option<Options>> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let mut options = Options {
        models: owned(&["sudoku", "maze"]),
        modes: owned(&MODES),
        runtimes: RUNTIMES.iter().map(|(name, _)| (*name).to_owned()).collect(),
        rounds: 7,
        steps: None,
        threads: 2,
        json: None,
        child: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("models") => {
                options.models = names(&mut parser, &TrainModel::all().map(|model| model.name.to_owned()))?;
            }
            Long("modes") => options.modes = names(&mut parser, &options.modes)?,
            Long("runtimes") => options.runtimes = names(&mut parser, &options.runtimes)?,
            Long("rounds") => options.rounds = count(&mut parser, "--rounds", 1..=10_000)?,
            Long("steps") => options.steps = Some(count(&mut parser, "--steps", 1..=10_000)?),
            Long("threads") => options.threads = count(&mut parser, "--threads", 1..=10_000)?,
            Long("json") => options.json = Some(parser.value()?.into()),
            // How the bench starts its own processes; not for people.
            Long("child") => options.child = Some((parser.value()?.string()?, parser.value()?.into())),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}
