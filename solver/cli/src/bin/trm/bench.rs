//! `trm bench`: what models cost on this machine.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trm_cli::backend::{BackendChoice, DeviceArgs, ProviderName, wanted_engines};
use trm_cli::{Exit, InvalidOption, console, errln, failure, interrupt};
use trm_engine::machine::{Machine, Sensors, forget_peak_memory, load_average, peak_memory};
use trm_engine::ort::{Device, ExecutionProvider, OrtEngine, ProviderChoice};
use trm_engine::tuning::{Trial, Tuning, TuningCache};
use trm_engine::{Engine, GraphSource, SessionOptions};
use trm_models::{GraphKind, Precision, SHIPPED};
use trm_solver::measure::bench::{Timing, measure};
use trm_solver::{Model, SolverError};

/// Above this many other programs that want to run, times are not the machine's own.
const BUSY: f64 = 0.5;
/// Below this share of the clock that a core can reach, a machine saves power or is too hot.
const SLOWED: f64 = 0.9;

/// Measure steps, puzzles and memory on this machine, for every engine, provider, batch and number of threads.
///
/// Prints a Markdown table to paste into an issue, with what the machine is and how warm it ran. Puzzles are fresh ones of
/// the model's task, each in one attempt that stops when its answer is verified.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shipped models' names, or bundles' folders; left out, every shipped model
    #[arg(value_name = "BUNDLE")]
    models: Vec<String>,
    /// Find what each model runs fastest with, and remember it: `solve` and `eval` take it where --threads and --batch are
    /// left out. Whether idle threads should spin is tried as well
    #[arg(long)]
    tune: bool,
    /// Rows that run together; left out, 1 and 8, or with --tune 1 to 32
    #[arg(long, value_name = "ROWS,…", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Vec<u32>,
    /// Threads within an operator; left out, one, and one for each core, with --tune also what is between
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: Vec<u16>,
    /// Time for each figure: steps take it once, puzzles take it once more
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Seed of the puzzles
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Engine to measure; auto measures each that works
    #[arg(long, value_name = "ENGINE", default_value = "auto", help_heading = "Engine")]
    backend: BackendChoice,
    /// Execution provider of ONNX Runtime to measure; auto measures each that works
    #[arg(long, value_name = "PROVIDER", default_value = "auto", help_heading = "Engine")]
    provider: ProviderName,
    #[command(flatten)]
    device: DeviceArgs,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(seconds),
        _ => Err("expected seconds, above 0 and at most 3600".to_owned()),
    }
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    machine: Machine,
    /// Programs that wanted to run in the minute before, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    load_before: Option<f64>,
    /// False under emulation.
    meaningful: bool,
    /// Engines and providers that were not measured, and why.
    left_out: Vec<String>,
    rows: Vec<Row>,
    /// With `--tune`: what was remembered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tuned: Vec<Tuned>,
    /// Every combination was measured; false after Ctrl-C.
    complete: bool,
}

/// One combination.
#[derive(Debug, Serialize)]
struct Row {
    /// Of the model, among those that were measured.
    #[serde(skip)]
    position: usize,
    model: String,
    precision: Precision,
    engine: &'static str,
    provider: ExecutionProvider,
    threads: usize,
    /// Idle threads spin instead of sleep.
    spinning: bool,
    batch: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_ms: Option<f64>,
    #[serde(flatten)]
    timing: Option<Timing>,
    /// The most memory that the process held from the row's start to its end, in MiB; what earlier rows left behind
    /// is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_mib: Option<f64>,
    /// After the row.
    #[serde(flatten)]
    sensors: Sensors,
    /// Reason why it could not be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The fastest rows and threads for a model on an engine and provider.
#[derive(Debug, Serialize)]
struct Tuned {
    model: String,
    engine: &'static str,
    provider: ExecutionProvider,
    #[serde(flatten)]
    tuning: Tuning,
    /// Where it is remembered.
    file: PathBuf,
}

/// An engine and provider that sessions are loaded on.
struct Target {
    engine: Box<dyn Engine>,
    provider: ExecutionProvider,
    /// Idle threads can spin.
    spins: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let (built_in, from_library): (Vec<_>, Vec<_>) =
        wanted_engines(args.backend, args.provider, &args.device)?.into_iter().partition(|engine| engine.built_in);
    args.check_tuning()?;
    let models = args.models()?;
    let load_before = load_average();
    if let Some(load) = load_before.filter(|&load| load > BUSY) {
        errln!(
            "warning: other programs are running (load average {load:.2}): times will be longer than the machine's own"
        );
    }
    interrupt::listen_briefly()?;
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::this().with_power_mode(),
        load_before,
        meaningful: true,
        left_out: Vec::new(),
        rows: Vec::new(),
        tuned: Vec::new(),
        complete: false,
    };
    report.meaningful = !report.machine.emulated;

    let bar = progress_bar();
    // The built-in engines first: ONNX Runtime's library stays in memory once it is loaded.
    for entry in &built_in {
        let target = Target { engine: (entry.open)(None)?, provider: ExecutionProvider::Cpu, spins: false };
        args.measure_all(&target, &models, &bar, &mut report.rows);
    }
    if !from_library.is_empty() {
        for target in args.ort_targets(&models[0], !built_in.is_empty(), &mut report.left_out)? {
            args.measure_all(&target, &models, &bar, &mut report.rows);
        }
    }
    bar.finish_and_clear();
    report.complete = !interrupt::requested();
    if args.tune && report.complete {
        report.tuned = remember(&models, &report.rows)?;
    }

    let mut out = console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report.write(&mut out)?;
    }
    let measured = report.rows.iter().any(|row| row.problem.is_none());
    Ok(match (report.complete, measured) {
        (false, _) => Exit::Interrupted,
        (true, true) => Exit::Done,
        (true, false) => Exit::EngineFailed,
    })
}

/// Remembers what each model ran fastest with.
fn remember(models: &[Model], rows: &[Row]) -> Result<Vec<Tuned>> {
    let cache = TuningCache::of_user().ok_or_else(|| InvalidOption {
        option: "--tune",
        reason: "there is no folder to remember anything in".to_owned(),
        hint: Some("set HOME or XDG_CACHE_HOME".to_owned()),
    })?;
    let mut tuned = Vec::new();
    for (position, model) in models.iter().enumerate() {
        let mut targets: Vec<_> = rows.iter().map(|row| (row.engine, row.provider)).collect();
        targets.dedup();
        for (engine, provider) in targets {
            let own = |row: &&Row| (row.position, row.engine, row.provider) == (position, engine, provider);
            let trials: Vec<_> = rows.iter().filter(own).filter_map(Row::trial).collect();
            if let Some(tuning) = Tuning::best_of(&trials) {
                let file = cache.remember(model.bundle(), engine, provider, &tuning)?;
                tuned.push(Tuned { model: model.name().to_owned(), engine, provider, tuning, file });
            }
        }
    }
    Ok(tuned)
}

fn progress_bar() -> ProgressBar {
    // Drawn on stderr, and only if that is a terminal.
    let bar = ProgressBar::with_draw_target(None, console::progress_target());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} rows measured, {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

impl Args {
    /// Refuses `--tune` where what is remembered would be wrong: without single puzzles, or on an emulated machine.
    fn check_tuning(&self) -> Result<()> {
        let refuse = |reason: &str, hint: &str| {
            let (reason, hint) = (reason.to_owned(), Some(hint.to_owned()));
            Err(InvalidOption { option: "--tune", reason, hint }.into())
        };
        if self.tune && !self.batch.is_empty() && !self.batch.contains(&1) {
            return refuse("a single puzzle would not be measured", "--batch 1,8 measures one and eight rows");
        }
        if self.tune && Machine::this().emulated {
            return refuse("this machine is emulated", "run it on the board");
        }
        Ok(())
    }

    fn models(&self) -> Result<Vec<Model>> {
        let shipped = || SHIPPED.iter().map(|shipped| shipped.name.to_owned()).collect();
        let names: Vec<String> = if self.models.is_empty() { shipped() } else { self.models.clone() };
        Ok(names.iter().map(|name| Model::open(name)).collect::<Result<_, _>>()?)
    }

    /// ONNX Runtime on each provider that works, or on the one that was named. Where there is no library, it is left out
    /// with the reason.
    fn ort_targets(&self, model: &Model, others_ran: bool, left_out: &mut Vec<String>) -> Result<Vec<Target>> {
        let engine = match OrtEngine::load(self.device.ort_lib.as_deref()) {
            Ok(engine) => engine,
            Err(error) if others_ran => {
                left_out.push(format!("ort: {}", one_line(error)));
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let target = |provider: ExecutionProvider| {
            let spins = provider.device() == Device::Processor;
            Target { engine: Box::new(engine.clone()), provider, spins }
        };
        if let Some(provider) = self.provider.named() {
            return Ok(vec![target(provider)]);
        }
        let graph = GraphSource::from_bundle(model.bundle(), GraphKind::Step)?;
        let mut targets = Vec::new();
        for (provider, problem) in engine.probe_providers(&graph, &self.device.provider_options()) {
            match problem {
                None => targets.push(target(provider)),
                Some(reason) => left_out.push(format!("ort {provider}: {reason}")),
            }
        }
        Ok(targets)
    }

    fn measure_all(&self, target: &Target, models: &[Model], bar: &ProgressBar, rows: &mut Vec<Row>) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut threads: Vec<usize> = match self.threads.as_slice() {
            [] if self.tune => powers_of_two(cores).chain([cores]).collect(),
            [] => vec![1, cores],
            named => named.iter().copied().map(usize::from).collect(),
        };
        threads.dedup();
        if target.provider.device() == Device::Gpu {
            // A GPU's kernels do not depend on them.
            threads.drain(..threads.len() - 1);
        }
        let batches = match self.batch.as_slice() {
            [] if self.tune => powers_of_two(32).collect(),
            [] => vec![1, 8],
            named => named.iter().map(|&rows| rows as usize).collect(),
        };
        for (position, model) in models.iter().enumerate() {
            let pairs = threads.iter().flat_map(|&threads| batches.iter().map(move |&batch| (threads, batch)));
            for (threads, batch) in pairs {
                // Rows of a batch are lanes of one thread each, which wait for nothing.
                let tries_spinning = self.tune && target.spins && threads > 1 && batch == 1;
                for spinning in [false, true].into_iter().take(1 + usize::from(tries_spinning)) {
                    if interrupt::requested() {
                        return;
                    }
                    bar.set_message(format!("{} on {} ({})", model.name(), target.engine.name(), target.provider));
                    let options = SessionOptions { batch, threads, spinning, ..SessionOptions::default() };
                    rows.push(Row { position, ..self.measure(target, model, &options) });
                    bar.inc(1);
                }
            }
        }
    }

    fn measure(&self, target: &Target, model: &Model, options: &SessionOptions) -> Row {
        let options = SessionOptions {
            provider: ProviderChoice::Only(target.provider),
            provider_options: self.device.provider_options(),
            bfloat16_products: self.device.bf16_products,
            ..options.clone()
        };
        let mut row = Row {
            position: 0,
            model: model.name().to_owned(),
            precision: model.bundle().manifest().precision,
            engine: target.engine.name(),
            provider: target.provider,
            threads: options.threads,
            spinning: options.spinning,
            batch: options.batch,
            engine_version: None,
            load_ms: None,
            timing: None,
            peak_mib: None,
            sensors: Sensors::default(),
            problem: None,
        };
        let from_here = forget_peak_memory();
        let measured =
            target.engine.load_step(model.bundle(), &options).map_err(SolverError::from).and_then(|mut session| {
                row.engine_version = Some(session.info().engine_version.clone());
                row.load_ms = Some(session.info().load_time.as_secs_f64() * 1e3);
                measure(session.as_mut(), model, Duration::from_secs_f64(self.seconds), self.seed)
            });
        match measured {
            Ok(timing) => row.timing = Some(timing),
            Err(error) => row.problem = Some(one_line(error)),
        }
        let peak = peak_memory(std::process::id()).filter(|_| from_here);
        row.peak_mib = peak.map(|bytes| bytes as f64 / f64::from(1 << 20));
        row.sensors = Sensors::read();
        row
    }
}

fn one_line(error: impl Into<anyhow::Error>) -> String {
    failure::message(&error.into()).replace("\nhint: ", "; ")
}

impl Report {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.meaningful {
            writeln!(out, "EMULATED: these figures mean nothing for a real machine\n")?;
        }
        writeln!(out, "trm {} on {}", self.version, self.machine)?;
        if let Some(load) = self.load_before {
            writeln!(out, "Load average before the start: {load:.2}")?;
        }
        for reason in &self.left_out {
            writeln!(out, "Not measured: {reason}")?;
        }
        if !self.complete {
            writeln!(out, "PARTIAL: interrupted")?;
        }
        writeln!(
            out,
            "\n| model | precision | engine | threads | rows | load ms | step ms, p99 | puzzle ms | steps | verified | peak MiB | °C | MHz |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        for row in &self.rows {
            row.write(out)?;
        }
        for Tuned { model, engine, provider, tuning: Tuning { single, stream }, file } in &self.tuned {
            writeln!(
                out,
                "\n{model} on {engine} ({provider}): {:.3} ms a puzzle with {}, in a stream {:.3} ms with {} rows and {}; \
                 remembered in {}",
                single.puzzle_ms,
                single.threads_in_words(),
                stream.puzzle_ms,
                stream.batch,
                stream.threads_in_words(),
                file.display()
            )?;
        }
        if let Some((clock, full)) = self.slowed() {
            writeln!(out, "\nThe clock was down to {clock} of {full} MHz: the machine was saving power, or too hot.")?;
        }
        out.flush()
    }

    /// The lowest clock after a row beside what the cores can reach, if it is much lower.
    fn slowed(&self) -> Option<(u64, u64)> {
        let clocks = self.rows.iter().filter_map(|row| row.sensors.clock_mhz.zip(row.sensors.max_clock_mhz));
        clocks.min().filter(|&(clock, full)| (clock as f64) < SLOWED * full as f64)
    }
}

/// 1, 2, 4, … up to a limit.
fn powers_of_two(limit: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |power| power.checked_mul(2)).take_while(move |&power| power <= limit)
}

impl Row {
    /// The row as a trial for tuning; `None` for one that failed.
    fn trial(&self) -> Option<Trial> {
        let puzzle_ms = self.timing.as_ref()?.puzzle.puzzle_ms;
        Some(Trial { batch: self.batch, threads: self.threads, spinning: self.spinning, puzzle_ms })
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let version = self.engine_version.as_deref().unwrap_or_default();
        write!(
            out,
            "| {} | {} | {} {version} {} | {}{} | {} |",
            self.model,
            self.precision,
            self.engine,
            self.provider,
            self.threads,
            if self.spinning { " spinning" } else { "" },
            self.batch
        )?;
        let (Some(Timing { step, puzzle }), Some(load_ms)) = (&self.timing, self.load_ms) else {
            return writeln!(out, " {} |  |  |  |  |  |  |  |", self.problem.as_deref().unwrap_or("no result"));
        };
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        writeln!(
            out,
            " {load_ms:.1} | {:.3}, {:.3} | {:.3} | {:.1} | {} | {} | {} | {} |",
            step.step_ms.p50,
            step.step_ms.p99,
            puzzle.puzzle_ms,
            puzzle.steps_per_puzzle,
            or_dash(puzzle.verified.map(|share| format!("{:.1} %", 100.0 * share))),
            or_dash(self.peak_mib.map(|mebibytes| format!("{mebibytes:.0}"))),
            or_dash(self.sensors.celsius.map(|celsius| format!("{celsius:.0}"))),
            or_dash(self.sensors.clock_mhz.map(|clock| clock.to_string())),
        )
    }
}
