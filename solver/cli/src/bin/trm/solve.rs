//! `trm solve`: puzzles in, verified answers out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use trm_cli::backend::{Backend, BackendArgs};
use trm_cli::deadline::{self, TimeLimit};
use trm_cli::{Exit, InvalidOption, console, errln, failure, interrupt, numbered};
use trm_engine::tuning::Tuning;
use trm_pictures::check_png_path;
use trm_puzzles::formats::Reading;
use trm_puzzles::{AnswerCount, Puzzle, PuzzleKind, Task, Verdict, formats, maze};
use trm_solver::solve::DEFAULT_NOISE;
use trm_solver::{HaltPolicy, Model, Observer, Question, SolveOptions, SolveReport, Solver, SolverError, StepView};

use crate::output::Solved;
use crate::reading::ReadingArgs;
use crate::text::stdout_has_colour;
use crate::watch::Watch;

/// Rows that run together where nothing else is known.
const DEFAULT_BATCH: u32 = 8;
/// The model of an answer that no model gave.
const NO_MODEL: &str = "none";
/// Name of stdin in messages.
const STDIN: &str = "stdin";

/// Solve puzzles and verify the answers.
///
/// Reads sudokus, mazes and ARC tasks as people have them: `trm formats` shows the forms. Several puzzles in a file, several
/// files, or stdin. For a model of `--task tokens`, lines of numbers, JSON arrays or an .npy array. A puzzle without any
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
    /// Print one JSON object for each puzzle
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    /// Also draw the answer into this file; of several puzzles, into numbered files
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Show the answer after every step
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// A classical search behind the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Fallback {
    /// None.
    None,
    /// Search with singles for sudokus, breadth first for mazes.
    Exact,
}

/// What `solve` and `eval` share.
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
    if let Some(path) = &args.png {
        let inputs = args.files.iter().map(PathBuf::as_path).collect::<Vec<_>>();
        check_png_path(path, &inputs).map_err(InvalidOption::named("--png"))?;
    }
    interrupt::listen_while_preparing()?;
    let model = args.model.as_deref().map(Model::open).transpose()?;
    let Found { puzzles, failures } = read_input(&args.files, model.as_ref(), &args.reading, args.keep_going)?;
    for failure in &failures {
        errln!("{}", failure::message(failure));
    }
    if args.png.is_some() && puzzles.iter().any(|puzzle| matches!(puzzle.kind, PuzzleKind::Tokens(_))) {
        bail!("--png: sequences of tokens have no picture\nhint: leave --png out; --json prints them for programs");
    }
    let counts = puzzles.iter().map(|puzzle| puzzle.task().count_answers(&puzzle.grid)).collect::<Vec<_>>();
    let groups = group_by_model(&puzzles, &counts, model.as_ref())?;
    let watch = args.watch.then(Watch::new);
    let mut printer = Printer::new(&puzzles, &counts, args, watch);
    for (index, puzzle) in puzzles.iter().enumerate().filter(|&(index, _)| counts[index] == AnswerCount::None) {
        let report = SolveReport::unsolvable(&puzzle.grid, no_answer(puzzle.kind));
        printer.print(
            index,
            Solved { puzzle, model: NO_MODEL.to_owned(), report, solutions: AnswerCount::None, fallbacks: Vec::new() },
        )?;
    }
    if groups.is_empty() {
        return Ok(if printer.failed || !failures.is_empty() { Exit::AnswerFailed } else { Exit::Done });
    }
    deadline::start(args.run.time_limit);
    let backend = args.backend.open(verbose)?;
    interrupt::prepared();
    for group in groups.iter().take_while(|_| !console::is_closed() && !interrupt::requested()) {
        solve_group(group, args, &options, &backend, &mut printer)?;
    }
    if interrupt::requested() && printer.print_waiting()? {
        return Ok(Exit::Interrupted);
    }
    Ok(if printer.failed || !failures.is_empty() { Exit::AnswerFailed } else { Exit::Done })
}

/// The reason that a puzzle has no answer.
fn no_answer(kind: PuzzleKind) -> &'static str {
    match kind {
        PuzzleKind::Maze(_) => "no way leads from S to G",
        _ => "no grid keeps all givens and rules",
    }
}

fn solve_group(
    group: &Group,
    args: &Args,
    options: &SolveOptions,
    backend: &Backend,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let model = &group.model;
    let task: Arc<dyn Task> = model.task().into();
    let fallbacks = RefCell::new(Vec::new());
    let tuning = backend.tuning(model.bundle());
    let load = |batch| {
        let loaded = backend.load_step(model.bundle(), &args.backend.tuned_options(batch, tuning.as_ref()))?;
        *fallbacks.borrow_mut() = loaded.fallbacks;
        Ok(loaded.session)
    };
    let mut solver =
        Solver::new(Arc::clone(&task), model.config().clone(), args.run.tuned(options, tuning.as_ref()), load);
    let questions = |members: &[usize]| {
        let grids: Vec<_> = members.iter().map(|&member| printer.puzzles[member].grid.clone()).collect();
        let task = Arc::clone(&task);
        grids.into_iter().map(move |grid| Question::new(task.as_ref(), grid, args.puzzle_id))
    };
    // Frames of puzzles that run side by side would mix: whoever watches sees them one after the other.
    let together = if args.watch { 1 } else { group.members.len() };
    for members in group.members.chunks(together.max(1)) {
        if interrupt::requested() {
            break;
        }
        let questions = questions(members);
        let mut view =
            GroupPrinter { printer, members, model: model.name(), task: task.as_ref(), fallbacks: &fallbacks };
        solver.run(questions, &mut view)?;
        if let Some(error) = printer.error.take() {
            return Err(error);
        }
    }
    Ok(())
}

/// Puzzles that one model solves.
struct Group {
    model: Model,
    /// Their positions in the input.
    members: Vec<usize>,
}

/// The model for each size of puzzles: the one that was named, which must fit all, or the shipped one that fits. Puzzles that
/// have no answer need none.
fn group_by_model(puzzles: &[Puzzle], counts: &[AnswerCount], model: Option<&Model>) -> anyhow::Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let solvable = puzzles.iter().enumerate().filter(|&(index, _)| counts[index] != AnswerCount::None);
    for (index, puzzle) in solvable {
        if let Some(group) = groups.iter_mut().find(|group| group.model.kind() == puzzle.kind) {
            group.members.push(index);
            continue;
        }
        let model = match model {
            Some(model) => model.for_size(puzzle.kind, &puzzle.source)?,
            None => Model::for_puzzle(puzzle)?,
        };
        groups.push(Group { model, members: vec![index] });
    }
    Ok(groups)
}

/// All puzzles of the files, each checked against its rules, before any is solved. Sequences of tokens are read for a model
/// that takes them.
pub(crate) fn read_puzzles(
    files: &[PathBuf],
    model: Option<&Model>,
    reading: &ReadingArgs,
) -> anyhow::Result<Vec<Puzzle>> {
    read_input(files, model, reading, false).map(|found| found.puzzles)
}

/// Puzzles, and what was set aside.
struct Found {
    puzzles: Vec<Puzzle>,
    failures: Vec<anyhow::Error>,
}

/// As [`read_puzzles`]; with `keep_going`, what cannot be read or breaks the rules is set aside.
fn read_input(
    files: &[PathBuf],
    model: Option<&Model>,
    reading: &ReadingArgs,
    keep_going: bool,
) -> anyhow::Result<Found> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() {
        if io::stdin().is_terminal() {
            bail!("no puzzle given\nhint: `trm solve FILE`, or pipe puzzles into stdin");
        }
        &stdin[..]
    } else {
        files
    };
    let asked = Reading { keep_going, ..reading.with(model.and_then(Model::only_kind)) };
    let (mut read, mut failures) = (Vec::new(), Vec::new());
    for file in files {
        let is_stdin = file.as_os_str() == "-";
        let found = if is_stdin { read_stdin(&asked) } else { formats::read_all(file, &asked).map_err(Into::into) };
        match found {
            Ok(found) => {
                read.extend(found.puzzles);
                failures.extend(found.failures.into_iter().map(anyhow::Error::from));
            }
            Err(error) if keep_going => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    let mut puzzles = Vec::with_capacity(read.len());
    for mut puzzle in read {
        // A way that is drawn in a maze is no part of the question.
        if let PuzzleKind::Maze(_) = puzzle.kind {
            puzzle.grid = puzzle.grid.map(|value| if value == maze::PATH { maze::FREE } else { value });
        }
        match puzzle.check() {
            Ok(()) => puzzles.push(puzzle),
            Err(error) if keep_going => failures.push(error.into()),
            Err(error) => return Err(error.into()),
        }
    }
    ReadingArgs::note(&puzzles);
    Ok(Found { puzzles, failures })
}

fn read_stdin(reading: &Reading) -> anyhow::Result<formats::Found> {
    let mut bytes = Vec::new();
    // One byte more than is accepted, so that the parser sees that it is too much.
    io::stdin().lock().take(formats::LIMITS.bytes + 1).read_to_end(&mut bytes).context("cannot read stdin")?;
    Ok(formats::parse_all(STDIN, &bytes, reading)?)
}

/// Prints answers in the order of the input, however they arrive.
struct Printer<'a> {
    puzzles: &'a [Puzzle],
    counts: &'a [AnswerCount],
    fallback: Fallback,
    out: BufWriter<console::Stdout>,
    json: bool,
    colour: bool,
    png: Option<&'a Path>,
    watch: Option<Watch>,
    /// Answers that came before their turn.
    waiting: BTreeMap<usize, Solved<'a>>,
    next: usize,
    shown: usize,
    failed: bool,
    error: Option<anyhow::Error>,
}

impl<'a> Printer<'a> {
    fn new(puzzles: &'a [Puzzle], counts: &'a [AnswerCount], args: &'a Args, watch: Option<Watch>) -> Self {
        Self {
            puzzles,
            counts,
            fallback: args.fallback,
            out: BufWriter::new(console::stdout()),
            json: args.json,
            colour: stdout_has_colour(),
            png: args.png.as_deref(),
            watch,
            waiting: BTreeMap::new(),
            next: 0,
            shown: 0,
            failed: false,
            error: None,
        }
    }

    fn print(&mut self, index: usize, solved: Solved<'a>) -> anyhow::Result<()> {
        self.failed |= !matches!(solved.report.verdict, Verdict::Verified { .. } | Verdict::Unverifiable { .. });
        self.waiting.insert(index, solved);
        while let Some(solved) = self.waiting.remove(&self.next) {
            self.show(self.next, &solved)?;
            self.next += 1;
        }
        Ok(())
    }

    /// Prints answers whose turn will not come. True if puzzles are left unsolved.
    fn print_waiting(&mut self) -> anyhow::Result<bool> {
        let unsolved = self.next < self.puzzles.len();
        for (index, solved) in std::mem::take(&mut self.waiting) {
            self.show(index, &solved)?;
        }
        Ok(unsolved)
    }

    fn show(&mut self, index: usize, solved: &Solved<'_>) -> anyhow::Result<()> {
        if self.json {
            solved.write_json(&mut self.out)?;
        } else {
            if self.shown > 0 {
                writeln!(self.out)?;
            }
            solved.write_drawing(&mut self.out, self.colour)?;
        }
        self.shown += 1;
        self.out.flush()?;
        if let Some(path) = self.png {
            solved.write_png(&numbered(path, index, self.puzzles.len()))?;
        }
        Ok(())
    }
}

/// The printer for the puzzles of one run, which numbers them from 0.
struct GroupPrinter<'p, 'a> {
    printer: &'p mut Printer<'a>,
    members: &'p [usize],
    model: &'p str,
    task: &'p dyn Task,
    fallbacks: &'p RefCell<Vec<String>>,
}

impl GroupPrinter<'_, '_> {
    fn keep(&mut self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.printer.error.get_or_insert(error);
        }
    }
}

impl Observer for GroupPrinter<'_, '_> {
    fn step(&mut self, step: &StepView<'_>) {
        let Printer { puzzles, out, watch: Some(watch), .. } = &mut *self.printer else { return };
        if let Some(puzzle) = self.members.get(step.index).and_then(|&member| puzzles.get(member)) {
            let result = watch.step(out, puzzle, self.task, step);
            self.keep(result);
        }
    }

    fn retry(&mut self, _: usize, first: &Verdict, copies: usize) {
        let Printer { out, watch: Some(watch), .. } = &mut *self.printer else { return };
        let result = watch.retry(out, first, copies);
        self.keep(result);
    }

    fn done(&mut self, index: usize, _: &Question, report: SolveReport) {
        let Some(&member) = self.members.get(index) else { return };
        let (puzzles, counts) = (self.printer.puzzles, self.printer.counts);
        let puzzle = &puzzles[member];
        let report = match self.printer.fallback {
            Fallback::None => report,
            Fallback::Exact => report.or_exact(self.task, &puzzle.grid),
        };
        let solved = Solved {
            puzzle,
            model: self.model.to_owned(),
            report,
            solutions: counts[member],
            fallbacks: self.fallbacks.borrow().clone(),
        };
        if let Some(watch) = &mut self.printer.watch {
            let result = watch.finish(&mut self.printer.out);
            self.keep(result);
        }
        let result = self.printer.print(member, solved);
        self.keep(result);
    }

    fn stop(&mut self) -> bool {
        self.printer.error.is_some() || console::is_closed() || interrupt::requested()
    }
}
