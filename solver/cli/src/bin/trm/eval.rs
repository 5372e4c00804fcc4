//! `trm eval`: how good and how fast a model is.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;
use trm_cli::backend::BackendArgs;
use trm_cli::{Exit, console, deadline, interrupt};
use trm_engine::ort::ExecutionProvider;
use trm_intake::Printable;
use trm_puzzles::{DataSet, Generate, IGNORE_LABEL, Puzzle, Task, Verdict, seeded};
use trm_solver::measure::eval::{StepAccuracy, evaluate};
use trm_solver::{Evaluation, Model, Question, Rate, Solver, SolverError};

use crate::escalation;
use crate::generate::{Kind, Ratings};
use crate::reading::ReadingArgs;
use crate::solve::{RunArgs, read_puzzles};
use crate::task::Size;

/// The most puzzles of `--escalation`.
const MOST_ESCALATED: usize = 100_000;

/// Measure a model on a data set, on fresh generated puzzles, or on puzzles without answers.
///
/// Prints the share of answers that are exact (equal to the label on every labelled cell), valid by the task's rules
/// and, for mazes, optimal, each with its 95 % Wilson interval; and the same after every step. `cell` is the share of right
/// cells among the labelled cells of all puzzles together; `accuracy` is the mean over puzzles of each one's share, as the
/// public training code reports it. Cells that a label ignores, and puzzles without labelled cells, count for neither.
/// Ctrl-C prints what was measured so far.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct Args {
    /// A shipped model's name, or a bundle's folder
    #[arg(value_name = "BUNDLE")]
    bundle: String,
    /// Folder of a data set of the public training code (with dataset.json)
    #[arg(long, value_name = "DIR", group = "source")]
    data: Option<PathBuf>,
    /// Fresh puzzles of the model's size
    #[arg(long, value_name = "KIND", group = "source")]
    generate: Option<Kind>,
    /// A file of puzzles, judged by the rules, and by their answers where it has them
    #[arg(long, value_name = "FILE", group = "source")]
    puzzles: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Rows and columns of the puzzles, for a model of any size; of a data set and a file it is read from them
    #[arg(long, value_name = "HxW", conflicts_with_all = ["data", "puzzles"])]
    size: Option<Size>,
    /// Number of generated puzzles; their seed is --seed
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "generate")]
    count: usize,
    /// Take only the first N puzzles
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    run: RunArgs,
    /// When to stop: max-steps (the reference's evaluation), `q-halt[:THRESHOLD[:STEPS]]`, verified, verified+q-halt…
    #[arg(long, value_name = "POLICY", default_value = "max-steps")]
    halt: String,
    /// Symmetric copies to try when an answer is not verified
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1000))]
    tries: u16,
    /// Run all --tries and --rollouts of every puzzle that the first attempt fails, print what 1, 2, 4, … of them give
    /// and cost, and draw it into this SVG file
    #[arg(long, value_name = "FILE.svg", conflicts_with = "halt")]
    escalation: Option<PathBuf>,
    /// Print one JSON object; with --escalation, an array of its points
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, verbose: bool) -> anyhow::Result<Exit> {
    let options = args.run.options(&args.halt, args.tries)?;
    if args.count == 0 {
        bail!("--count 0: nothing to measure");
    }
    if args.limit == Some(0) {
        bail!("--limit 0: nothing to measure");
    }
    let model = of_size(args, Model::open(&args.bundle)?)?;
    let source = Source::open(args, &model)?;
    deadline::start(args.run.time_limit);
    let backend = args.backend.open(verbose)?;
    let tuning = backend.tuning(model.bundle());
    let options = args.run.tuned(&options, tuning.as_ref());
    let fallbacks = RefCell::new(Vec::new());
    let task: Arc<dyn Task> = model.task().into();
    if let Some(svg) = &args.escalation {
        let count = args.limit.unwrap_or(usize::MAX);
        let found = source.len().min(count);
        if found > MOST_ESCALATED {
            bail!(
                "--escalation: {found} puzzles are more than the limit of {MOST_ESCALATED}\nhint: all attempts at each are \
                 kept to the end; --limit 1000 is enough for a curve"
            );
        }
        let questions = source.questions(task.as_ref()).take(count).collect::<Result<Vec<_>, _>>()?;
        let mut loaded =
            backend.load_step(model.bundle(), &args.backend.tuned_options(options.batch, tuning.as_ref()))?;
        return escalation::run(&model, loaded.session.as_mut(), &options, questions, svg, args.json);
    }
    let mut solver = Solver::new(Arc::clone(&task), model.config().clone(), options, |batch| {
        let loaded = backend.load_step(model.bundle(), &args.backend.tuned_options(batch, tuning.as_ref()))?;
        *fallbacks.borrow_mut() = loaded.fallbacks;
        Ok(loaded.session)
    });

    interrupt::listen_briefly()?;
    let count = source.len().min(args.limit.unwrap_or(usize::MAX));
    let bar = progress_bar(count);
    let questions = source.questions(task.as_ref()).take(count);
    let evaluation = evaluate(&mut solver, questions, &mut |so_far| {
        bar.set_position(so_far.puzzles as u64);
        if let Some(good) = so_far.scores.exact.value().or(so_far.scores.valid.value()) {
            bar.set_message(format!("{:.1} %", 100.0 * good));
        }
        !interrupt::requested()
    })?;
    bar.finish_and_clear();

    let complete = evaluation.puzzles == count;
    let fallbacks = fallbacks.borrow();
    let report = JsonReport::new(args, &model, &evaluation, complete, count, &fallbacks);
    let mut out = console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write_table(&mut out, &report, &evaluation)?;
    }
    out.flush()?;
    Ok(if complete { Exit::Done } else { Exit::Interrupted })
}

/// The model at the size of the puzzles that it is measured on.
fn of_size(args: &Args, model: Model) -> anyhow::Result<Model> {
    let (height, width, origin) = if let Some(Size { height, width }) = args.size {
        (height, width, "--size".to_owned())
    } else if model.only_kind().is_some() {
        return Ok(model);
    } else if let Some(dir) = &args.data {
        let side = DataSet::read(dir)?.metadata.seq_len.isqrt();
        (side, side, dir.display().to_string())
    } else if let Some(file) = &args.puzzles {
        let Some(first) = read_puzzles(std::slice::from_ref(file), Some(&model), &args.reading)?.into_iter().next()
        else {
            return Ok(model);
        };
        return Ok(model.for_size(first.kind, &first.source)?);
    } else {
        return Ok(model);
    };
    let task = model.task().name();
    let kind =
        model.kind_of_size(height, width).with_context(|| format!("{origin}: no {task} has {height}x{width} cells"))?;
    Ok(model.for_size(kind, &origin)?)
}

/// Refuses an answer that breaks the rules: nothing could be measured by it.
fn check_answer(puzzle: &Puzzle) -> anyhow::Result<()> {
    let Some(answer) = &puzzle.solution else { return Ok(()) };
    match puzzle.task().verify(&puzzle.grid, answer) {
        Verdict::Verified { .. } | Verdict::Unverifiable { .. } => Ok(()),
        verdict => bail!(
            "{}: the answer that the file gives is {verdict}\nhint: correct it, or take the answer out",
            Printable(&puzzle.source)
        ),
    }
}

fn progress_bar(count: usize) -> ProgressBar {
    // Drawn on stderr, and only if that is a terminal.
    let bar = ProgressBar::with_draw_target(Some(count as u64), console::progress_target());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} puzzles, {per_sec}, {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Where the questions come from.
enum Source {
    Data(Box<DataSet>),
    Generated { generator: Box<dyn Generate>, count: usize, seed: u64 },
    Puzzles(Vec<Puzzle>),
}

impl Source {
    fn open(args: &Args, model: &Model) -> anyhow::Result<Self> {
        if let Some(dir) = &args.data {
            let data = DataSet::read(dir)?;
            let shape = |seq_len: usize, vocab_size: usize| format!("seq_len {seq_len} and vocab_size {vocab_size}");
            let (found, config) = (&data.metadata, model.config());
            if (found.seq_len, found.vocab_size) != (config.seq_len, config.vocab_size) {
                return Err(SolverError::DataSetMismatch {
                    origin: dir.display().to_string(),
                    found: shape(found.seq_len, found.vocab_size),
                    model: model.name().to_owned(),
                    expected: shape(config.seq_len, config.vocab_size),
                }
                .into());
            }
            return Ok(Self::Data(Box::new(data)));
        }
        if let Some(file) = &args.puzzles {
            let puzzles = read_puzzles(std::slice::from_ref(file), Some(model), &args.reading)?;
            if let Some(other) = puzzles.iter().find(|puzzle| puzzle.kind != model.kind() && model.takes(puzzle.kind)) {
                bail!(
                    "{}: this is a {}, the first puzzle a {}: a measurement is of one size\n\
                     hint: split the file by size, and measure each",
                    Printable(&other.source),
                    trm_solver::model::describe(&other.kind),
                    trm_solver::model::describe(&model.kind())
                );
            }
            puzzles.iter().try_for_each(|puzzle| model.check_fit(puzzle))?;
            puzzles.iter().try_for_each(check_answer)?;
            return Ok(Self::Puzzles(puzzles));
        }
        let Some(kind) = args.generate else { unreachable!("clap requires one of the three") };
        let generator = kind.generator(model.name(), model.kind(), Ratings::default())?;
        Ok(Self::Generated { generator, count: args.count, seed: args.run.seed })
    }

    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Generated { count, .. } => *count,
            Self::Puzzles(puzzles) => puzzles.len(),
        }
    }

    /// The questions, made as they are asked for.
    fn questions<'a>(&'a self, task: &'a dyn Task) -> Box<dyn Iterator<Item = Result<Question, SolverError>> + 'a> {
        match self {
            Self::Data(data) => Box::new((0..data.len()).filter_map(|index| {
                let label = data.label(index)?.to_vec();
                // A data set may come without labels: then there is nothing to be exact about.
                let label = label.iter().any(|&token| token != IGNORE_LABEL).then_some(label);
                Some(Question::from_tokens(task, data.input(index)?.to_vec(), data.puzzle_identifiers[index], label))
            })),
            Self::Generated { generator, count, seed } => {
                let mut rng = seeded(*seed);
                Box::new((0..*count).map(move |_| {
                    let example = generator.generate(&mut rng)?;
                    let label = task.encode(&example.solution)?;
                    Ok(Question::new(task, example.puzzle, 0)?.with_label(label))
                }))
            }
            Self::Puzzles(puzzles) => Box::new(puzzles.iter().map(|puzzle| {
                let question = Question::new(task, puzzle.grid.clone(), 0)?;
                let label = puzzle.solution.as_ref().map(|answer| task.encode(answer)).transpose()?;
                Ok(label.into_iter().fold(question, Question::with_label))
            })),
        }
    }
}

/// A measurement. Other programs rely on the first eight keys; shares are 0 to 1, null where there is nothing to count;
/// intervals hold with 95 %.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Measurement")]
pub(crate) struct JsonReport<'a> {
    puzzles: usize,
    exact: Option<f64>,
    cell: Option<f64>,
    valid: Option<f64>,
    optimal: Option<f64>,
    mean_steps: Option<f64>,
    puzzles_per_second: Option<f64>,
    by_step: Vec<JsonStep>,
    /// The mean over puzzles of the share of right cells; `cell` is the share of all puzzles' cells together.
    accuracy: Option<f64>,
    exact_interval: Option<[f64; 2]>,
    valid_interval: Option<[f64; 2]>,
    optimal_interval: Option<[f64; 2]>,
    mean_total_steps: Option<f64>,
    symmetric: usize,
    /// Final answers found by a rollout.
    by_rollout: usize,
    rollouts: u16,
    noise: f32,
    seconds: f64,
    /// All puzzles were measured; false after Ctrl-C.
    complete: bool,
    requested: usize,
    model: &'a str,
    task: &'static str,
    source: String,
    halt: &'a str,
    tries: u16,
    seed: u64,
    backend: Option<&'static str>,
    #[schemars(with = "Option<String>")]
    provider: Option<ExecutionProvider>,
    fallbacks: &'a [String],
}

/// Where the first attempts stand after a step.
#[derive(Debug, Serialize, JsonSchema)]
struct JsonStep {
    step: usize,
    exact: Option<f64>,
    cell: Option<f64>,
    accuracy: Option<f64>,
    valid: Option<f64>,
    halted: Option<f64>,
}

impl<'a> JsonReport<'a> {
    fn new(
        args: &'a Args,
        model: &'a Model,
        evaluation: &Evaluation,
        complete: bool,
        requested: usize,
        fallbacks: &'a [String],
    ) -> Self {
        let interval = |rate: &Rate| {
            rate.value().map(|_| {
                let (low, high) = rate.interval();
                [low, high]
            })
        };
        let step = |(index, at): (usize, &StepAccuracy)| JsonStep {
            step: index + 1,
            exact: at.scores.exact.value(),
            cell: at.scores.cell.value(),
            accuracy: at.scores.accuracy.value(),
            valid: at.scores.valid.value(),
            halted: at.halted.value(),
        };
        let source = match (&args.data, args.generate, &args.puzzles) {
            (Some(dir), ..) => dir.display().to_string(),
            (_, Some(kind), _) => kind.name(),
            (.., Some(file)) => file.display().to_string(),
            _ => String::new(),
        };
        Self {
            puzzles: evaluation.puzzles,
            exact: evaluation.scores.exact.value(),
            cell: evaluation.scores.cell.value(),
            valid: evaluation.scores.valid.value(),
            optimal: evaluation.optimal.value(),
            mean_steps: evaluation.mean_steps(),
            puzzles_per_second: evaluation.puzzles_per_second(),
            by_step: evaluation.by_step.iter().enumerate().map(step).collect(),
            accuracy: evaluation.scores.accuracy.value(),
            exact_interval: interval(&evaluation.scores.exact),
            valid_interval: interval(&evaluation.scores.valid),
            optimal_interval: interval(&evaluation.optimal),
            mean_total_steps: evaluation.mean_total_steps(),
            symmetric: evaluation.symmetric,
            by_rollout: evaluation.rollouts,
            rollouts: args.run.rollouts,
            noise: args.run.noise,
            seconds: evaluation.time.as_secs_f64(),
            complete,
            requested,
            model: model.name(),
            task: model.task().name(),
            source,
            halt: &args.halt,
            tries: args.tries,
            seed: args.run.seed,
            backend: evaluation.ran_on.map(|(backend, _)| backend),
            provider: evaluation.ran_on.map(|(_, provider)| provider),
            fallbacks,
        }
    }
}

fn write_table(out: &mut impl Write, report: &JsonReport<'_>, evaluation: &Evaluation) -> io::Result<()> {
    if !report.complete {
        writeln!(out, "PARTIAL: interrupted after {} of {} puzzles", report.puzzles, report.requested)?;
    }
    writeln!(
        out,
        "{} on {}: {} puzzles, --halt {}, --tries {}{}",
        report.model,
        report.source,
        report.puzzles,
        report.halt,
        report.tries,
        match report.rollouts {
            0 => String::new(),
            rollouts => format!(", --rollouts {rollouts} --noise {}", report.noise),
        }
    )?;
    for (name, rate) in
        [("exact", &evaluation.scores.exact), ("valid", &evaluation.scores.valid), ("optimal", &evaluation.optimal)]
    {
        if let Some(value) = rate.value() {
            let (low, high) = rate.interval();
            writeln!(
                out,
                "  {name:<8} {:>6.2} %  (95 %: {:.2} to {:.2} %; {} of {})",
                100.0 * value,
                100.0 * low,
                100.0 * high,
                rate.hits,
                rate.total
            )?;
        }
    }
    if let Some(cell) = report.cell {
        writeln!(out, "  {:<8} {:>6.2} %", "cell", 100.0 * cell)?;
    }
    if let Some(accuracy) = report.accuracy {
        writeln!(
            out,
            "  {:<8} {:>6.2} %  (the mean of each puzzle's share of right cells)",
            "accuracy",
            100.0 * accuracy
        )?;
    }
    if let (Some(steps), Some(total)) = (report.mean_steps, report.mean_total_steps) {
        writeln!(
            out,
            "  steps    {steps:>6.2} a puzzle ({total:.2} with all attempts; {} answers from symmetric copies{})",
            report.symmetric,
            match report.rollouts {
                0 => String::new(),
                _ => format!(", {} from rollouts", report.by_rollout),
            }
        )?;
    }
    if let (Some(speed), Some((backend, provider))) = (report.puzzles_per_second, evaluation.ran_on) {
        writeln!(out, "  speed    {speed:>6.1} puzzles/s on {backend} ({provider})")?;
    }
    if report.puzzles == 0 {
        return Ok(());
    }
    writeln!(out, "first attempts after each step, in %:\n  step    exact     cell    valid   halted")?;
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.2}", 100.0 * share));
    for JsonStep { step, exact, cell, valid, halted, .. } in &report.by_step {
        writeln!(
            out,
            "  {step:>4} {:>8} {:>8} {:>8} {:>8}",
            percent(*exact),
            percent(*cell),
            percent(*valid),
            percent(*halted)
        )?;
    }
    Ok(())
}
