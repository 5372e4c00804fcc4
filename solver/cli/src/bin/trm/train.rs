//! `trm train`: a model from nothing, or from a bundle, on this machine.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trm_cli::backend::EngineArgs;
use trm_cli::{Exit, console, errln, interrupt};
use trm_engine::Engine as _;
use trm_engine::SessionOptions;
use trm_engine::ort::OrtEngine;
use trm_export::checkpoint::StateDict;
use trm_export::trm::GraphOptions;
use trm_export::{BundleRequest, export_bundle};
use trm_models::{GraphKind, Measured, TaskKind};
use trm_solver::Model;
use trm_train::config::{TrainConfig, parse_task};
use trm_train::config_sections::DataConfig;
use trm_train::held_out::{self, state_dict};
use trm_train::log::{EvalRecord, TaskRecord, TrainRecord};
use trm_train::run::RunFolder;
use trm_train::runtime::{NamedTensor, Weights};
use trm_train::trainer::{CURVES_SVG, TrainEnd, TrainObserver, Trainer};

use crate::{export, learn_costs, task};

/// The bundle in a run's folder.
const MODEL: &str = "model";
/// The run's settings, in its bundle: what fine-tuning takes its old puzzles from.
pub(crate) const TRAINING: &str = "training.toml";
/// Updates of a fine-tuning run unless it says otherwise.
const FINE_TUNING_STEPS: u64 = 500;
/// Learning rate of a fine-tuning run, a fraction of what training from nothing takes.
const FINE_TUNING_LR: f64 = 1e-4;

/// Arguments of `trm train`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Settings of the run, as TOML
    #[arg(value_name = "CONFIG", conflicts_with = "task")]
    pub(crate) config: Option<PathBuf>,
    /// Task with its size: sudoku-4, sudoku-9, maze-9, maze-11x15, tokens-81x11; or costs, learned from drives over maps
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Folder of the run: settings, log, curves, checkpoints, and at the end the bundle `model`
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on with the run in the folder
    #[arg(long, conflicts_with_all = ["config", "task", "from"])]
    pub(crate) resume: bool,
    /// Change a setting: `optimizer.lr=5e-4`, `batch.size=64`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Fine-tune the model of a bundle
    #[arg(long, value_name = "BUNDLE", conflicts_with_all = ["config", "task"])]
    pub(crate) from: Option<String>,
    /// Puzzles to train on, one JSON object with `puzzle` and `answer` a line; with --from, in turn with generated ones of
    /// the kind that the model knows. For costs drives, one JSON object with `map`, `layers` and `path` a line
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// With --from: parameters that stay as they are, by the beginning of their names
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) freeze: Vec<String>,
    /// Most minutes of training
    #[arg(long, value_name = "M")]
    pub(crate) max_minutes: Option<f64>,
    /// Most memory that the process should take: fewer rows at once where more would be over it
    #[arg(long, value_name = "MIB")]
    pub(crate) max_memory: Option<usize>,
    /// With --from: write the bundle even if it is no better than the one it comes from
    #[arg(long, requires = "from")]
    pub(crate) keep: bool,
    /// What was measured of the finished model, for its card: a JSON list of objects with `what`, `value`, `n`, `command`
    #[arg(long, value_name = "FILE")]
    pub(crate) measured: Option<PathBuf>,
    /// Licence of the model, for its card
    #[arg(long, value_name = "LICENCE")]
    pub(crate) licence: Option<String>,
    /// The robot's radius in metres, where costs are learned [default: 0.22]
    #[arg(long, value_name = "M")]
    pub(crate) radius: Option<f64>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Result of a run.
#[derive(Debug, Serialize)]
struct Outcome {
    end: &'static str,
    step: u64,
    samples: u64,
    seconds: f64,
    /// The weights that were written: the step of the best evaluation, or the last.
    weights_of_step: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compared: Vec<Compared>,
}

/// A set of held-out puzzles before and after fine-tuning.
#[derive(Debug, Serialize)]
struct Compared {
    puzzles: &'static str,
    before: EvalRecord,
    after: EvalRecord,
}

/// Runs the command.
pub(crate) fn run(args: &Args, verbose: bool) -> Result<Exit> {
    if learn_costs::is_asked_for(args) {
        return learn_costs::run(args, verbose);
    }
    if args.radius.is_some() {
        bail!("--radius is the robot's, for costs\nhint: leave it out, or give --task costs");
    }
    let engine = args.engine.open()?;
    let session = args.engine.session_options();
    let (mut trainer, start) = if args.resume {
        let (folder, mut config) = RunFolder::open(&args.out)?;
        let folder = folder.locked()?;
        args.change(&mut config)?;
        let loaded = folder.read()?;
        for warning in &loaded.warnings {
            errln!("warning: {warning}");
        }
        let trainer = Trainer::resume(&engine, config, folder.clone(), loaded.checkpoint, session.clone())?;
        // What was changed holds from now on, for this run and the next --resume.
        folder.write_config(trainer.config())?;
        (trainer, None)
    } else {
        let (mut config, weights) = args.begin()?;
        args.change(&mut config)?;
        config.validate()?;
        let folder = RunFolder::create(&args.out, &config)?;
        (Trainer::start(&engine, config, folder, weights.clone(), session.clone())?, weights)
    };
    for warning in trainer.warnings() {
        errln!("warning: {warning}");
    }
    if verbose {
        errln!("training with {} on ONNX Runtime {}", trainer.runtime_name(), engine.version());
    }
    interrupt::listen()?;
    let mut watch = Watch::new(trainer.config().schedule.steps, trainer.state().step);
    let end = trainer.run(&mut watch);
    watch.bar.finish_and_clear();
    let end = match end? {
        // Measuring and exporting what is saved can be done another time.
        TrainEnd::Finished | TrainEnd::TimeUp if interrupt::saved() => TrainEnd::Stopped,
        end => end,
    };
    let outcome = finish(args, &engine, &trainer, end, start.as_ref(), watch.last)?;
    outcome.print(args.json)?;
    Ok(if end == TrainEnd::Stopped { Exit::Interrupted } else { Exit::Done })
}

impl Args {
    /// Settings and weights that a new run begins with.
    fn begin(&self) -> Result<(TrainConfig, Option<Weights>)> {
        if let Some(path) = &self.config {
            return Ok((TrainConfig::read(path)?, None));
        }
        if let Some(task) = &self.task {
            return Ok((TrainConfig::preset(task)?, None));
        }
        let Some(from) = &self.from else {
            bail!("nothing to train\nhint: give a settings file, --task TASK, --from BUNDLE, or --resume");
        };
        let model = Model::open(from)?;
        let weights = StateDict::of_bundle(model.bundle()).context(
            "fine-tuning starts from the bundle's weights\nhint: give the bundle's folder, such as models/sudoku",
        )?;
        weights.check(model.config())?;
        let named = |(name, tensor): (&str, &trm_export::checkpoint::WeightTensor)| {
            (name.to_owned(), NamedTensor { shape: tensor.shape.clone(), data: tensor.data.clone() })
        };
        Ok((fine_tuning(&model)?, Some(weights.iter().map(named).collect())))
    }

    /// Changes the settings as the options say.
    fn change(&self, config: &mut TrainConfig) -> Result<()> {
        if let Some(data) = &self.data {
            let jsonl = DataConfig { jsonl: Some(data.clone()), ..DataConfig::default() };
            if self.from.is_some() {
                config.data.push(jsonl);
            } else if !self.resume {
                config.data = vec![jsonl];
            }
        }
        if !self.freeze.is_empty() {
            config.optimizer.freeze.clone_from(&self.freeze);
        }
        for setting in &self.set {
            let (key, value) = setting
                .split_once('=')
                .with_context(|| format!("--set {setting}: no `=`\nhint: --set optimizer.lr=5e-4"))?;
            config.set(key.trim(), value.trim())?;
        }
        if let Some(minutes) = self.max_minutes {
            config.schedule.max_minutes = minutes;
        }
        if let Some(limit) = self.max_memory {
            config.runtime.max_memory = limit;
        }
        Ok(config.validate()?)
    }
}

/// Settings that adapt a model: its own configuration, a low learning rate, all visits from the start.
fn fine_tuning(model: &Model) -> Result<TrainConfig> {
    let task = model.task();
    let spec = &model.bundle().manifest().task;
    let name = match (spec.kind, spec.box_height, spec.box_width) {
        (TaskKind::Sudoku, Some(height), Some(width)) => format!("sudoku-{height}x{width}"),
        (TaskKind::Arc, ..) => "arc".to_owned(),
        (TaskKind::Tokens, ..) => format!("tokens-{}x{}", task.seq_len(), task.vocab_size()),
        (TaskKind::Sudoku | TaskKind::Maze, ..) => format!("{}-{}x{}", task.name(), task.height(), task.width()),
    };
    let mut config = TrainConfig::preset(&name)?;
    if let Ok(text) = model.bundle().file(TRAINING) {
        let text = String::from_utf8_lossy(&text);
        let trained = TrainConfig::from_toml(&format!("{}: {TRAINING}", model.name()), &text)?;
        let fits =
            |source: &DataConfig| source.task.as_deref().is_none_or(|task| parse_task(task) == Some(model.kind()));
        config.data.clear();
        for source in trained.data.into_iter().filter(fits) {
            match source.dataset.iter().chain(&source.jsonl).find(|path| !path.exists()) {
                Some(path) => errln!(
                    "warning: {} was trained on {}, which is not here: its old puzzles are without these",
                    model.name(),
                    path.display()
                ),
                None => config.data.push(DataConfig { task: None, ..source }),
            }
        }
        config.optimizer.clip_grad_norm = trained.optimizer.clip_grad_norm;
    }
    if config.data.is_empty() && matches!(spec.kind, TaskKind::Sudoku | TaskKind::Maze) {
        config.data = vec![DataConfig { generate: true, ..DataConfig::default() }];
    }
    config.adopt_model(model.config());
    model.name().clone_into(&mut config.name);
    config.optimizer.lr = FINE_TUNING_LR;
    config.schedule.steps = FINE_TUNING_STEPS;
    config.schedule.warmup_steps = FINE_TUNING_STEPS / 10;
    config.batch.visits = vec![[0, model.config().halt_max_steps as u64]];
    config.evaluation.every = FINE_TUNING_STEPS / 5;
    Ok(config)
}

/// Writes the bundle of the best weights, with what was measured.
fn finish(
    args: &Args,
    engine: &OrtEngine,
    trainer: &Trainer,
    end: TrainEnd,
    start: Option<&Weights>,
    last: Option<EvalRecord>,
) -> Result<Outcome> {
    let (config, state) = (trainer.config(), trainer.state());
    let mut outcome = Outcome {
        end: match end {
            TrainEnd::Finished => "finished",
            TrainEnd::TimeUp => "time-up",
            TrainEnd::Stopped => "stopped",
        },
        step: state.step,
        samples: state.samples,
        seconds: state.train_seconds,
        weights_of_step: state.step,
        exact: None,
        valid: None,
        interval: None,
        n: None,
        bundle: None,
        compared: Vec::new(),
    };
    if end == TrainEnd::Stopped {
        return Ok(outcome);
    }
    let (weights, trained) = trainer.best_weights()?;
    outcome.weights_of_step = trained.step;
    if let Some(before) = start {
        outcome.compared = compare(engine, args, config, before, &weights)?;
        if !args.keep && !outcome.compared.iter().all(Compared::is_kept) {
            return Ok(outcome);
        }
    }
    let kind = config.task_kind()?;
    let options = args.engine.session_options();
    let model = config.trm_config()?;
    let record = match last {
        Some(record) if record.step == trained.step => record,
        _ => measure(engine, config, &weights, &options)?,
    };
    outcome.exact = Some(record.exact);
    outcome.valid = record.valid;
    outcome.interval = Some((record.exact_low, record.exact_high));
    outcome.n = Some(record.n);
    let target = args.out.join(MODEL);
    let curves = args.out.join(CURVES_SVG);
    let held_out = Measured {
        what: format!("exact after {} steps, held-out puzzles of the run", model.halt_max_steps),
        value: record.exact,
        interval: Some((record.exact_low, record.exact_high)),
        n: record.n,
        command: "trm train".to_owned(),
    };
    let mut accuracy = args.measured.as_deref().map(export::measured).transpose()?.unwrap_or_default();
    accuracy.push(held_out);
    let request = BundleRequest {
        name: config.name.clone(),
        task: trm_solver::model::spec(&kind),
        config: &model,
        weights: &state_dict(&weights),
        graphs: [GraphKind::Step, GraphKind::Solve].into(),
        options: GraphOptions::default(),
        sample: task::sample(&kind, &model)?,
        training_data: Some(format!(
            "{} puzzles, {} supervision steps of one, {:.0} minutes; settings in {TRAINING}, curves in {CURVES_SVG}",
            trained.next_index,
            trained.samples,
            trained.train_seconds / 60.0
        )),
        licence: args.licence.clone(),
        accuracy,
        checkpoint: None,
        configuration: None,
        identities: None,
        with_weights: true,
        notes: None,
        files: vec![
            (TRAINING.to_owned(), config.to_toml()?.into_bytes()),
            (
                CURVES_SVG.to_owned(),
                std::fs::read(&curves).with_context(|| format!("cannot read {}", curves.display()))?,
            ),
        ],
    };
    export_bundle(request, &target, true)?;
    outcome.bundle = Some(target);
    Ok(outcome)
}

/// Weights before and after, on held-out puzzles of the old data and of the new.
fn compare(
    engine: &OrtEngine,
    args: &Args,
    config: &TrainConfig,
    before: &Weights,
    after: &Weights,
) -> Result<Vec<Compared>> {
    let options = args.engine.session_options();
    let is_new = |data: &DataConfig| args.data.is_some() && data.jsonl == args.data;
    let sets = [("old", false), ("new", true)].into_iter().filter_map(|(name, new)| {
        let data: Vec<_> = config.data.iter().filter(|data| is_new(data) == new).cloned().collect();
        (!data.is_empty()).then(|| (name, TrainConfig { data, ..config.clone() }))
    });
    sets.map(|(puzzles, config)| {
        let measure = |weights: &Weights| measure(engine, &config, weights, &options);
        Ok(Compared { puzzles, before: measure(before)?, after: measure(after)? })
    })
    .collect()
}

/// Measures weights on the held-out puzzles to the end: what was trained is saved, and a signal ends the program.
fn measure(
    engine: &OrtEngine,
    config: &TrainConfig,
    weights: &Weights,
    options: &SessionOptions,
) -> Result<EvalRecord> {
    let (sets, steps) = (held_out::sets(config)?, config.evaluation.steps);
    let record = held_out::measure(engine, &sets, steps, weights, options, &mut || false)?;
    record.context("the measurement was broken off")
}

impl Compared {
    /// New puzzles must be solved more often, old ones no less than chance explains.
    fn is_kept(&self) -> bool {
        match self.puzzles {
            "new" => self.after.exact > self.before.exact,
            _ => self.after.exact >= self.before.exact_low,
        }
    }
}

impl Outcome {
    fn print(&self, json: bool) -> Result<()> {
        let mut out = console::stdout();
        if json {
            serde_json::to_writer(&mut out, self)?;
            return Ok(writeln!(out)?);
        }
        writeln!(
            out,
            "{} at step {}, {} samples, {:.0} s of training",
            self.end, self.step, self.samples, self.seconds
        )?;
        if !self.compared.is_empty() {
            writeln!(out, "held-out puzzles    n    before             after")?;
        }
        for Compared { puzzles, before, after } in &self.compared {
            let share =
                |r: &EvalRecord| format!("{:.1} % ({:.1}-{:.1})", r.exact * 1e2, r.exact_low * 1e2, r.exact_high * 1e2);
            writeln!(out, "{puzzles:<16} {:>4}    {:<18} {}", before.n, share(before), share(after))?;
        }
        if let (Some(exact), Some((low, high)), Some(n)) = (self.exact, self.interval, self.n) {
            let valid = self.valid.map_or_else(String::new, |valid| format!(", {:.1} % valid", valid * 1e2));
            writeln!(
                out,
                "held-out puzzles: {:.1} % exact ({:.1}-{:.1}){valid}, {n} puzzles, weights of step {}",
                exact * 1e2,
                low * 1e2,
                high * 1e2,
                self.weights_of_step
            )?;
        }
        match &self.bundle {
            Some(bundle) => writeln!(out, "wrote {}", bundle.display())?,
            None if self.end == "stopped" => writeln!(out, "saved; --resume goes on")?,
            None => writeln!(out, "no bundle: the new weights are no better; --keep writes them all the same")?,
        }
        Ok(())
    }
}

/// The run on a terminal: a bar, and a line for every evaluation.
struct Watch {
    bar: ProgressBar,
    last: Option<EvalRecord>,
}

impl Watch {
    fn new(steps: u64, done: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps), console::progress_target());
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {msg}, {eta} left") {
            bar.set_style(style);
        }
        bar.set_position(done);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, last: None }
    }
}

impl TrainObserver for Watch {
    fn updated(&mut self, window: &TrainRecord) {
        let exact = window.exact.map_or_else(String::new, |exact| format!(", {:.0} % exact", exact * 1e2));
        let gflops = window.gflops.map_or_else(String::new, |gflops| format!(", {gflops:.0} GFLOP/s"));
        let loss = window.loss;
        self.bar.set_message(format!("loss {loss:.3}{exact}, {:.0} samples/s{gflops}", window.samples_per_s));
        self.bar.set_position(window.step);
    }

    fn evaluated(&mut self, record: &EvalRecord) {
        self.last = Some(record.clone());
        let valid = record.valid.map_or_else(String::new, |valid| format!(", {:.1} % valid", valid * 1e2));
        let line = format!(
            "step {}, {:.0} s: {:.1} % of {} held-out puzzles exact ({:.1}-{:.1}){valid}",
            record.step,
            record.seconds,
            record.exact * 1e2,
            record.n,
            record.exact_low * 1e2,
            record.exact_high * 1e2
        );
        let of_task = |of: &TaskRecord| format!("{} {:.1} %", of.task, of.valid.unwrap_or(of.exact) * 1e2);
        let by_task = record.by_task.iter().map(of_task).collect::<Vec<_>>().join(", ");
        let by_task = if by_task.is_empty() { by_task } else { format!("\n  {by_task}") };
        self.bar.suspend(|| errln!("{line}{by_task}"));
    }

    fn stop(&mut self) -> bool {
        interrupt::requested()
    }
}
