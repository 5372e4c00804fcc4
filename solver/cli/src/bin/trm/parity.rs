//! `trm parity`: a model against the numbers that the reference implementation recorded.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;
use trm_cli::backend::{Backend, BackendArgs, BackendChoice, DeviceArgs, ProviderName};
use trm_cli::{Exit, console};
use trm_engine::{SessionInfo, SessionOptions, SolveSession, StepSession};
use trm_intake::{Budget, Limits, Printable};
use trm_models::{GraphKind, MANIFEST};
use trm_solver::parity::{
    Comparison, Golden, Outcome, Quantity, ReferenceSolveSession, ReferenceStepSession, Scope, Start, StepComparison,
    Subject, compare_step, compare_whole,
};
use trm_solver::{Model, SolverError};

/// Compare a model with numbers that the public code recorded, step by step.
///
/// The recording says what is judged and how far it may be off (its manifest.json; docs/parity.md). Exit code 0 if all
/// of that is within its limits; 1 if something is out of them, or was not judged: then what was not is named.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A bundle's folder, a shipped model, or a folder with a checkpoint; if left out, the golden's own checkpoint
    model: Option<String>,
    /// Folder with the recorded numbers
    #[arg(long, value_name = "DIR")]
    golden: PathBuf,
    /// Engine that runs the model
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    backend: ParityBackend,
    /// Graph that is run: step, solve or unrolled
    #[arg(long, value_name = "GRAPH", default_value = "step")]
    graph: GraphKind,
    /// Largest absolute error allowed of the numbers that are judged, instead of the golden's own limits
    #[arg(long, value_name = "ERROR", value_parser = limit)]
    atol: Option<f64>,
    /// Judge these steps only (`1,2,4`); the others are said to be left out
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    steps: Option<Vec<usize>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Execution provider of ONNX Runtime
    #[arg(long, value_name = "PROVIDER", default_value = "auto")]
    provider: ProviderName,
    /// Number of the GPU
    #[arg(long, value_name = "N", default_value_t = 0)]
    device_id: i32,
    /// Threads within an operator; 0 takes one for each core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// ONNX Runtime's shared library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    ort_lib: Option<PathBuf>,
    /// Record a step as a CUDA graph and replay it
    #[arg(long)]
    cuda_graph: bool,
}

/// The thing that runs the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParityBackend {
    /// An engine.
    Engine(BackendChoice),
    /// The exporter's reference evaluator: float64, slow, no engine involved.
    Reference,
}

/// Every choice, in the order of the help.
static BACKENDS: LazyLock<Vec<ParityBackend>> = LazyLock::new(|| {
    let engines = BackendChoice::value_variants().iter().copied().map(ParityBackend::Engine);
    engines.chain([ParityBackend::Reference]).collect()
});

impl ValueEnum for ParityBackend {
    fn value_variants<'a>() -> &'a [Self] {
        &BACKENDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Engine(choice) => choice.to_possible_value(),
            Self::Reference => Some(
                PossibleValue::new("reference")
                    .help("The exporter's reference evaluator: float64, slow, no engine involved"),
            ),
        }
    }
}

fn limit(text: &str) -> Result<f64, String> {
    let limit = text.parse().ok().filter(|limit: &f64| limit.is_finite() && *limit >= 0.0);
    limit.ok_or_else(|| format!("`{text}` is not a number of 0 or more"))
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    golden: String,
    model: &'a str,
    backend: &'static str,
    backend_version: String,
    provider: &'static str,
    graph: GraphKind,
    #[serde(flatten)]
    comparison: Comparison,
    /// Where the recording's limits come from.
    limits_from: String,
    ms: f64,
    passed: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, verbose: bool) -> Result<Exit> {
    let golden = Golden::open(&args.golden)?;
    let subject = match &args.model {
        Some(name) => open(name)?,
        None => Subject::of_checkpoint(golden.dir())?,
    };
    golden.check_model(subject.name(), subject.config())?;
    let started = Instant::now();
    let (comparison, info) = args.compare(&subject, &golden, verbose)?;
    let report = Report {
        golden: golden.name(),
        model: subject.name(),
        backend: info.as_ref().map_or("none", |info| info.engine),
        backend_version: info.as_ref().map(|info| info.engine_version.clone()).unwrap_or_default(),
        provider: info.as_ref().map_or("none", |info| info.provider.as_str()),
        graph: args.graph,
        limits_from: golden.judge().map(|judge| Printable(&judge.how).to_string()).unwrap_or_default(),
        ms: (started.elapsed().as_secs_f64() * 1e4).round() / 10.0,
        passed: comparison.outcome == Outcome::Passed,
        comparison,
    };
    let mut out = console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        report.write(&mut out)?;
    }
    Ok(if report.passed { Exit::Done } else { Exit::AnswerFailed })
}

/// A bundle or shipped model, or a folder with a checkpoint and its configuration.
fn open(name: &str) -> Result<Subject> {
    let dir = Path::new(name);
    if dir.join("all_config.yaml").is_file() && !is_bundle(dir) {
        return Ok(Subject::of_checkpoint(dir)?);
    }
    Ok(Subject::of_bundle(Model::open(name)?.bundle().clone())?)
}

/// Goldens have a `manifest.json` too, but of another kind.
fn is_bundle(dir: &Path) -> bool {
    let limits = Limits { bytes: 4 << 20, items: 0, depth: 0, time: None };
    let manifest = Budget::new(limits).read_file(&dir.join(MANIFEST)).unwrap_or_default();
    serde_json::from_slice::<serde_json::Value>(&manifest).is_ok_and(|json| json.get("format_version").is_some())
}

impl Args {
    /// Runs the graph, and says what ran it if anything did. An engine that cannot be opened is an error; a graph that it
    /// cannot run is something not judged.
    fn compare(&self, subject: &Subject, golden: &Golden, verbose: bool) -> Result<(Comparison, Option<SessionInfo>)> {
        let steps = self.steps.as_ref().map(|steps| steps.iter().copied().collect::<BTreeSet<_>>());
        let scope = Scope { atol: self.atol, steps };
        if !golden.can_run() {
            return Ok((Comparison::of_nothing(self.graph, golden, &scope), None));
        }
        let runner = Runner::new(self, verbose)?;
        if self.graph == GraphKind::Step {
            let mut session = match runner.step(subject, golden) {
                Ok(session) => session,
                Err(error) => return Ok((Comparison::not_run(self.graph, error)?, None)),
            };
            return Ok((compare_step(session.as_mut(), golden, &scope)?, Some(session.info().clone())));
        }
        let mut load = |steps| runner.solve(self.graph, steps, subject, golden);
        let comparison = compare_whole(self.graph, golden, &scope, &mut load)?;
        let info = comparison.info().cloned();
        Ok((comparison, info))
    }

    fn backend(&self, backend: BackendChoice) -> BackendArgs {
        BackendArgs {
            backend,
            provider: self.provider,
            threads: self.threads,
            device: DeviceArgs {
                device_id: self.device_id,
                ort_lib: self.ort_lib.clone(),
                cache_dir: None,
                gpu_mem_limit: None,
                fp16: false,
                cuda_graph: self.cuda_graph,
                bf16_products: false,
            },
            allow_fallback: false,
        }
    }
}

/// Loads graphs on what was chosen to run them.
enum Runner {
    Engine { backend: Backend, options: SessionOptions },
    Reference,
}

impl Runner {
    fn new(args: &Args, verbose: bool) -> Result<Self> {
        let choice = match args.backend {
            ParityBackend::Reference => return Ok(Self::Reference),
            ParityBackend::Engine(choice) => choice,
        };
        let args = args.backend(choice);
        let options = SessionOptions { want_logits: true, ..args.session_options(1) };
        Ok(Self::Engine { backend: args.open(verbose)?, options })
    }

    fn step(&self, subject: &Subject, golden: &Golden) -> Result<Box<dyn StepSession>, SolverError> {
        let batch = golden.batch();
        match self {
            Self::Engine { backend, options } => {
                let graph = subject.graph(GraphKind::Step, None)?;
                let options = SessionOptions { batch, ..options.clone() };
                Ok(backend.load_step_graph(&graph.source(), &options)?.session)
            }
            Self::Reference => {
                let graph = subject.build(GraphKind::Step, None)?;
                Ok(Box::new(ReferenceStepSession::new(graph, subject.config(), batch)?))
            }
        }
    }

    fn solve(
        &self,
        kind: GraphKind,
        steps: usize,
        subject: &Subject,
        golden: &Golden,
    ) -> Result<Box<dyn SolveSession>, SolverError> {
        let batch = golden.batch();
        let steps = (kind == GraphKind::Unrolled).then_some(steps);
        match self {
            Self::Engine { backend, options } => {
                let graph = subject.graph(kind, steps)?;
                let options = SessionOptions { batch, ..options.clone() };
                Ok(backend.load_solve_graph(&graph.source(), &options)?.session)
            }
            Self::Reference => {
                let graph = subject.build(kind, steps)?;
                Ok(Box::new(ReferenceSolveSession::new(graph, kind, subject.config(), batch)))
            }
        }
    }
}

impl Report<'_> {
    /// A table of the errors, what was not judged, and a line that sums up.
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { golden, model, backend, backend_version, provider, graph, comparison, .. } = self;
        writeln!(out, "{golden}: {graph} graph of {model} on {backend} {backend_version} ({provider})")?;
        if !comparison.steps.is_empty() {
            self.write_steps(out)?;
        }
        if !self.limits_from.is_empty() {
            writeln!(out, "limits: {}", self.limits_from)?;
        }
        for (what, list) in [("shown only", &comparison.shown), ("left out", &comparison.left_out)] {
            if !list.is_empty() {
                writeln!(out, "{what}: {}", list.join("; "))?;
            }
        }
        for what in &comparison.failures {
            writeln!(out, "failed: {what}")?;
        }
        for what in &comparison.not_judged {
            writeln!(out, "not judged: {what}")?;
        }
        let judged = comparison.steps.iter().filter(|row| row.passed.is_some()).count();
        let worst = comparison.steps.iter().flat_map(|row| row.limits.keys().filter_map(|of| shown_error(row, *of)));
        let worst = worst.fold(0.0, f64::max);
        let ms = self.ms;
        match comparison.outcome {
            Outcome::Passed => writeln!(out, "passed: {judged} steps judged, largest error {worst:.1e}, {ms:.0} ms"),
            Outcome::Failed => {
                writeln!(out, "FAILED: largest error {worst:.1e} over {judged} steps judged, {ms:.0} ms")
            }
            Outcome::NotJudged => writeln!(
                out,
                "NOT JUDGED: nothing is out of its limits in {judged} steps, but {} not judged, {ms:.0} ms",
                match comparison.not_judged.len() {
                    1 => "one thing was".to_owned(),
                    count => format!("{count} things were"),
                }
            ),
        }
    }

    fn write_steps(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "largest absolute error against the reference")?;
        writeln!(
            out,
            "{:>6} {:>9} {:>7} {:>9} {:>10} {:>9} {:>9} {:>8}",
            "step", "logits", "argmax", "q_halt", "q_continue", "z_H", "z_L", "limit"
        )?;
        for row in &self.comparison.steps {
            let error = |error: Option<f64>| error.map_or_else(|| "-".to_owned(), |error| format!("{error:.1e}"));
            let limits = row.limits.iter().filter(|(quantity, _)| **quantity != Quantity::Answer);
            writeln!(
                out,
                "{:>6} {:>9} {:>7} {:>9} {:>10} {:>9} {:>9} {:>8}  {}",
                match row.start {
                    Start::Own => row.step.to_string(),
                    Start::Recorded => format!("{}*", row.step),
                },
                error(row.logits),
                row.argmax_differences.map_or_else(|| "-".to_owned(), |n| n.to_string()),
                error(row.q_halt),
                error(row.q_continue),
                error(row.z_h),
                error(row.z_l),
                limits.map(|(_, limit)| *limit).reduce(f64::max).map_or_else(|| "-".to_owned(), |l| format!("{l:.0e}")),
                match row.passed {
                    Some(true) => "ok",
                    Some(false) => "OUT OF TOLERANCE",
                    None => "shown only",
                }
            )?;
        }
        if self.comparison.steps.iter().any(|row| row.start == Start::Recorded) {
            writeln!(out, "* from the reference's own carry after the step before")?;
        }
        Ok(())
    }
}

/// A judged error that is a distance, not a number of cells.
fn shown_error(row: &StepComparison, quantity: Quantity) -> Option<f64> {
    row.error(quantity).filter(|_| quantity != Quantity::Answer)
}
