//! `trm parity`: a model against the numbers that the reference implementation recorded.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use trm_models::{GraphKind, MANIFEST};
use trm_solver::parity::{
    Golden, RECORDED_STEPS, ReferenceSolveSession, ReferenceStepSession, Start, StepComparison, Subject, Tolerances,
    compare_solve, compare_step,
};
use trm_solver::{Model, SessionInfo, SessionOptions, SolveSession, StepSession};

use crate::Exit;
use crate::backend::{Backend, BackendArgs, BackendChoice, DeviceArgs, ProviderName};

/// Arguments of `trm parity`.
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
    /// Largest absolute error allowed at the steps that are judged, instead of the golden's own limits
    #[arg(long, value_name = "ERROR", value_parser = limit)]
    atol: Option<f64>,
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

/// What runs the model: an engine, or the evaluator that needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ParityBackend {
    /// ONNX Runtime where its library is found and works, otherwise tract
    Auto,
    /// ONNX Runtime, from a shared library
    Ort,
    /// tract, built in
    Tract,
    /// The exporter's reference evaluator: float64, slow, no engine involved
    Reference,
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
    steps: Vec<StepComparison>,
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
    let tolerances = Tolerances::of(&golden);
    let tolerances = args.atol.map_or(tolerances, |atol| tolerances.with_limit(atol));
    let started = Instant::now();
    let (steps, info) = args.compare(&subject, &golden, &tolerances, verbose)?;
    let judged = steps.iter().filter_map(|row| row.passed);
    let report = Report {
        golden: golden.name(),
        model: subject.name(),
        backend: info.engine,
        backend_version: info.engine_version,
        provider: info.provider,
        graph: args.graph,
        ms: (started.elapsed().as_secs_f64() * 1e4).round() / 10.0,
        // All of nothing would be true.
        passed: judged.clone().count() > 0 && judged.clone().all(|passed| passed),
        steps,
    };
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        report.write(&mut out)?;
    }
    let nothing_judged = report.steps.iter().all(|row| row.passed.is_none());
    Ok(if report.passed || nothing_judged { Exit::Done } else { Exit::AnswerFailed })
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
    let manifest = std::fs::read(dir.join(MANIFEST)).unwrap_or_default();
    serde_json::from_slice::<serde_json::Value>(&manifest).is_ok_and(|json| json.get("format_version").is_some())
}

impl Args {
    fn compare(
        &self,
        subject: &Subject,
        golden: &Golden,
        tolerances: &Tolerances,
        verbose: bool,
    ) -> Result<(Vec<StepComparison>, SessionInfo)> {
        let runner = Runner::new(self, verbose)?;
        if self.graph == GraphKind::Step {
            let mut session = runner.step(subject, golden)?;
            return Ok((compare_step(session.as_mut(), golden, tolerances)?, session.info().clone()));
        }
        let recorded = RECORDED_STEPS.into_iter().filter(|&step| step <= golden.steps());
        let mut rows = Vec::new();
        let mut session: Option<Box<dyn SolveSession>> = None;
        for steps in recorded {
            // An unrolled graph has its number of steps built in; a solve graph takes any.
            let mut running = match session.take().filter(|_| self.graph == GraphKind::Solve) {
                Some(session) => session,
                None => runner.solve(self.graph, steps, subject, golden)?,
            };
            rows.push(compare_solve(running.as_mut(), golden, tolerances, steps)?);
            session = Some(running);
        }
        let info = session.map(|session| session.info().clone());
        Ok((rows, info.ok_or_else(|| anyhow::anyhow!("{}: no step was recorded", golden.name()))?))
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
            ParityBackend::Auto => BackendChoice::Auto,
            ParityBackend::Ort => BackendChoice::Ort,
            ParityBackend::Tract => BackendChoice::Tract,
        };
        let args = args.backend(choice);
        let options = SessionOptions { want_logits: true, ..args.session_options(1) };
        Ok(Self::Engine { backend: args.open(verbose)?, options })
    }

    fn step(&self, subject: &Subject, golden: &Golden) -> Result<Box<dyn StepSession>> {
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
    ) -> Result<Box<dyn SolveSession>> {
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
    /// A table of the errors and a line that sums them up.
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { golden, model, backend, backend_version, provider, graph, .. } = self;
        writeln!(out, "{golden}: {graph} graph of {model} on {backend} {backend_version} ({provider})")?;
        writeln!(out, "largest absolute error against the reference")?;
        writeln!(
            out,
            "{:>6} {:>9} {:>7} {:>9} {:>10} {:>9} {:>9} {:>8}",
            "step", "logits", "argmax", "q_halt", "q_continue", "z_H", "z_L", "limit"
        )?;
        for row in &self.steps {
            let error = |error: Option<f64>| error.map_or_else(|| "-".to_owned(), |error| format!("{error:.1e}"));
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
                row.tolerance.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.0e}")),
                match row.passed {
                    Some(true) => "ok",
                    Some(false) => "OUT OF TOLERANCE",
                    None => "not judged",
                }
            )?;
        }
        if self.steps.iter().any(|row| row.start == Start::Recorded) {
            writeln!(out, "* from the reference's own carry after step 1")?;
        }
        let judged = self.steps.iter().filter(|row| row.passed.is_some()).count();
        let worst = self.steps.iter().filter(|row| row.passed.is_some()).flat_map(StepComparison::output_errors);
        let worst = worst.fold(0.0, f64::max);
        let ms = self.ms;
        match (judged, self.passed) {
            (0, _) => writeln!(out, "no step can be judged: this recording is chaotic from the first step on"),
            (_, true) => writeln!(out, "passed: {judged} steps judged, largest error {worst:.1e}, {ms:.0} ms"),
            (_, false) => writeln!(out, "FAILED: largest error {worst:.1e} over {judged} steps judged, {ms:.0} ms"),
        }
    }
}
