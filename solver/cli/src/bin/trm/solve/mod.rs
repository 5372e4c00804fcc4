//! `trm solve`: puzzles in, verified answers out.

mod hint;
mod input;
mod printer;
mod solvers;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use trm_cli::backend::BackendArgs;
use trm_cli::deadline::TimeLimit;
use trm_cli::{Exit, InvalidOption, console, interrupt};
use trm_engine::tuning::Tuning;
use trm_intake::file::{is_same, write_atomically};
use trm_pictures::check_png_path;
use trm_puzzles::{AnswerCount, Puzzle, PuzzleKind};
use trm_solver::solve::DEFAULT_NOISE;
use trm_solver::{HaltPolicy, Model, Question, SolveOptions, SolverError};

pub(crate) use self::hint::JsonHint;
use self::input::Input;
pub(crate) use self::input::read_puzzles;
use self::printer::{GroupPrinter, Printer, Sink};
use self::solvers::Solvers;
use crate::output::Format;
use crate::reading::ReadingArgs;

/// Rows that run together where nothing else is known.
const DEFAULT_BATCH: u32 = 8;

/// Solve puzzles and verify the answers.
///
/// Reads sudokus, mazes and ARC tasks as people have them: `trm formats` shows the forms. Several puzzles in a file, several
/// files, or stdin. Inputs of a puzzle a line may be of any length, and are solved as they come. For a model of `--task tokens`, lines of numbers, JSON arrays or an .npy array. A puzzle without any
/// solution is said to be unsolvable before a network runs. An answer that breaks a rule is tried again on symmetric copies of the puzzle, and
/// what is printed says whether it was verified.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with puzzles; `-`, or none, reads stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A shipped model's name, or a bundle's folder; left out, the shipped model for each puzzle's task and size
    #[arg(long, short, value_name = "NAME|DIR")]
    model: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Name lines and files that cannot be read on stderr, and solve the rest; the exit code is then 1
    #[arg(long)]
    keep_going: bool,
    #[command(flatten)]
    run: RunArgs,
    /// When to stop: verified, `q-halt[:THRESHOLD[:STEPS]]`, verified+q-halt…, max-steps
    #[arg(long, value_name = "POLICY", default_value = "verified")]
    halt: String,
    /// Symmetric copies to try when an answer is not verified; 0 for none
    #[arg(long, value_name = "K", default_value_t = 8, value_parser = clap::value_parser!(u16).range(..=1000))]
    tries: u16,
    /// Search where the model finds no right answer: `none`, or `exact` for a classical search, whose answers are marked as such
    #[arg(long, value_enum, value_name = "SEARCH", default_value_t = Fallback::None)]
    fallback: Fallback,
    /// The model's number for the puzzle's rule (ARC)
    #[arg(long, value_name = "ID", default_value_t = 0)]
    puzzle_id: i32,
    #[command(flatten)]
    form: FormArgs,
    /// Say the next deduction instead of the answer: of sudokus a single and what it follows from, else what the model is surest
    /// of, checked; of mazes the first moves
    #[arg(long, conflicts_with_all = ["watch", "png"])]
    hint: bool,
    /// Solve the first N puzzles only
    #[arg(long, value_name = "N", value_parser = positive)]
    first: Option<usize>,
    /// Also draw the answer into this file; of several puzzles, into numbered files
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Show the answer after every step
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// The form of answers, and the file that they go into.
#[derive(Debug, clap::Args)]
struct FormArgs {
    /// Form of the answers
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Grid)]
    format: Format,
    /// Print one JSON object for each puzzle: --format json
    #[arg(long, conflicts_with_all = ["watch", "format"])]
    json: bool,
    /// Write the answers into this file, whole when the program ends
    #[arg(long, short, value_name = "FILE", conflicts_with = "watch")]
    output: Option<PathBuf>,
}

impl FormArgs {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// A classical search behind the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Fallback {
    /// None.
    None,
    /// Search with singles for sudokus, breadth first for mazes.
    Exact,
}

/// A number of puzzles, at least 1.
fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "expected a number of puzzles".to_owned())
}

/// Options of attempts, which `solve` and `eval` share.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArgs {
    /// Most steps of an attempt; left out, as many as the model was trained with
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_steps: Option<u32>,
    /// Most puzzles, symmetric copies and rollouts that run together; left out, what `trm bench --tune` found best, or 8
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Option<u32>,
    /// Noisy runs to try when an answer is not verified, after the symmetric copies; for tasks that nobody can verify, with
    /// every puzzle, the model's own signal choosing the answer
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1000))]
    pub(crate) rollouts: u16,
    /// Standard deviation of a rollout's noise, added to the carry after each step; the carry's root mean square is 1
    #[arg(long, value_name = "SIGMA", default_value_t = DEFAULT_NOISE, allow_negative_numbers = true)]
    pub(crate) noise: f32,
    /// Seed of the symmetries and the noise
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Most seconds that the engine may take to load the model, and for each step; 0 or `none` for no limit. A graph that
    /// does not end within them ends the program with exit code 3
    #[arg(long, value_name = "SECONDS", default_value = "1800")]
    pub(crate) time_limit: TimeLimit,
}

impl RunArgs {
    /// The solver's options.
    pub(crate) fn options(&self, halt: &str, tries: u16) -> Result<SolveOptions, SolverError> {
        let options = SolveOptions {
            halt: halt.parse::<HaltPolicy>()?,
            max_steps: self.max_steps.map(|steps| steps as usize),
            batch: self.batch.unwrap_or(DEFAULT_BATCH) as usize,
            tries: tries.into(),
            rollouts: self.rollouts.into(),
            noise: self.noise,
            seed: self.seed,
        };
        options.check()?;
        Ok(options)
    }

    /// The options for a model that was tuned on this machine.
    pub(crate) fn tuned(&self, options: &SolveOptions, tuning: Option<&Tuning>) -> SolveOptions {
        let batch = tuning.filter(|_| self.batch.is_none()).map_or(options.batch, |tuning| tuning.stream.batch);
        SolveOptions { batch, ..options.clone() }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, verbose: bool) -> anyhow::Result<Exit> {
    let options = args.run.options(&args.halt, args.tries)?;
    let inputs = args.files.iter().map(PathBuf::as_path).collect::<Vec<_>>();
    if let Some(path) = &args.png {
        check_png_path(path, &inputs).map_err(InvalidOption::named("--png"))?;
    }
    let Some(path) = &args.form.output else {
        interrupt::listen_while_preparing()?;
        let mut out = BufWriter::new(console::stdout());
        return solve(args, &options, verbose, &mut out).0;
    };
    if inputs.iter().any(|input| is_same(input, path)) {
        return Err(InvalidOption {
            option: "--output",
            reason: format!("{} is an input", path.display()),
            hint: Some("give another file".to_owned()),
        }
        .into());
    }
    interrupt::listen_to_save()?;
    let mut result = Ok(Exit::Done);
    // What was solved before an error is kept; where nothing was, so is the old file.
    let written = write_atomically(path, |out| {
        let (ended, shown) = solve(args, &options, verbose, out);
        let is_empty = ended.is_err() && shown == 0;
        result = ended;
        if is_empty { Err(io::Error::other("nothing was solved")) } else { Ok(()) }
    });
    match (result, written) {
        (Err(error), _) => Err(error),
        (Ok(exit), written) => written.map(|()| exit).map_err(Into::into),
    }
}

/// Solves all of the input, and tells how many answers were written.
fn solve(args: &Args, options: &SolveOptions, verbose: bool, out: &mut dyn Write) -> (anyhow::Result<Exit>, usize) {
    let mut sink = Sink::new(args, out);
    let result = solve_into(args, options, verbose, &mut sink);
    sink.finish();
    (result, sink.shown())
}

fn solve_into(args: &Args, options: &SolveOptions, verbose: bool, sink: &mut Sink<'_>) -> anyhow::Result<Exit> {
    let model = args.model.as_deref().map(Model::open).transpose()?;
    let most = args.first.unwrap_or(usize::MAX);
    let mut input = Input::open(&args.files, model.as_ref(), &args.reading, args.keep_going, most)?;
    let want_logits = args.hint || args.fallback == Fallback::Exact;
    let mut solvers = Solvers::new(args, options, model, verbose, want_logits);
    if args.hint {
        return hint::run(args, &mut input, &mut solvers, sink);
    }
    while let Some(mut puzzles) = input.next()? {
        // Pictures are numbered by how many there are.
        while args.png.is_some()
            && let Some(more) = input.next()?
        {
            puzzles.extend(more);
        }
        sink.check(&puzzles)?;
        sink.expect(input.extent());
        let counts = puzzles.iter().map(|puzzle| puzzle.task().count_answers(&puzzle.grid)).collect::<Vec<_>>();
        // Every size needs a model before the first is loaded.
        let solvable = puzzles.iter().zip(&counts).filter(|&(_, &count)| count != AnswerCount::None);
        solvers.check(solvable.map(|(puzzle, _)| puzzle))?;
        let mut printer = Printer::new(&puzzles, &counts, sink);
        printer.print_unsolvable()?;
        solve_piece(args, &puzzles, &counts, &mut solvers, &mut printer)?;
        if interrupt::requested() && (printer.print_waiting()? || !input.extent().is_all) {
            return Ok(Exit::Interrupted);
        }
        if console::is_closed() {
            break;
        }
    }
    Ok(if sink.failed() || input.failed() { Exit::AnswerFailed } else { Exit::Done })
}

/// Solves puzzles that came together, those of a kind side by side.
fn solve_piece(
    args: &Args,
    puzzles: &[Puzzle],
    counts: &[AnswerCount],
    solvers: &mut Solvers<'_>,
    printer: &mut Printer<'_, '_>,
) -> anyhow::Result<()> {
    let mut groups: Vec<(PuzzleKind, Vec<usize>)> = Vec::new();
    let solvable = puzzles.iter().enumerate().filter(|&(index, _)| counts[index] != AnswerCount::None);
    for (index, puzzle) in solvable {
        match groups.iter_mut().find(|(kind, _)| *kind == puzzle.kind) {
            Some((_, members)) => members.push(index),
            None => groups.push((puzzle.kind, vec![index])),
        }
    }
    for (_, group) in groups {
        let loaded = solvers.of(&puzzles[group[0]])?;
        // Frames of puzzles that run side by side would mix: whoever watches sees them one after the other.
        let together = if args.watch { 1 } else { group.len() };
        for members in group.chunks(together.max(1)) {
            if console::is_closed() || interrupt::requested() {
                return Ok(());
            }
            let task = Arc::clone(&loaded.task);
            let grids = members.iter().map(|&member| puzzles[member].grid.clone());
            let questions = grids.map(|grid| Question::new(task.as_ref(), grid, args.puzzle_id));
            let mut view = GroupPrinter {
                printer,
                members,
                model: loaded.model.name(),
                task: task.as_ref(),
                fallbacks: &loaded.fallbacks,
            };
            loaded.solver.run(questions, &mut view)?;
            if let Some(error) = printer.error.take() {
                return Err(error);
            }
        }
    }
    Ok(())
}
