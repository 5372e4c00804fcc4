//! Prints answers: of a part of the input in its order, and all of them in one form.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use trm_cli::{InvalidOption, console, interrupt, numbered};
use trm_puzzles::{AnswerCount, Puzzle, PuzzleKind, Task, Verdict};
use trm_solver::{Observer, Question, SolveReport, StepView};

use super::input::Extent;
use super::{Args, Fallback};
use crate::output::{Form, Solved};
use crate::watch::Watch;

/// The model of an answer that no model gave.
const NO_MODEL: &str = "none";

/// The place that answers go to, in one form, with an account of them.
pub(super) struct Sink<'o> {
    out: &'o mut dyn Write,
    form: Form,
    png: Option<&'o Path>,
    fallback: Fallback,
    watch: Option<Watch>,
    bar: ProgressBar,
    shown: usize,
    failed: bool,
}

impl<'o> Sink<'o> {
    pub(super) fn new(args: &'o Args, out: &'o mut dyn Write) -> Self {
        let to_stdout = args.form.output.is_none();
        let on_terminal = to_stdout && console::stdout().is_terminal();
        Self {
            out,
            form: Form::new(args.form.format(), to_stdout),
            png: args.png.as_deref(),
            fallback: args.fallback,
            watch: args.watch.then(Watch::new),
            // On a terminal the answers show how far it is.
            bar: if on_terminal { ProgressBar::hidden() } else { progress_bar() },
            shown: 0,
            failed: false,
        }
    }

    /// Refuses puzzles that have no such form.
    pub(super) fn check(&self, puzzles: &[Puzzle]) -> anyhow::Result<()> {
        if self.png.is_some() && puzzles.iter().any(|puzzle| matches!(puzzle.kind, PuzzleKind::Tokens(_))) {
            return Err(InvalidOption {
                option: "--png",
                reason: "sequences of tokens have no picture".to_owned(),
                hint: Some("leave --png out; --json prints them for programs".to_owned()),
            }
            .into());
        }
        puzzles.iter().try_for_each(|puzzle| self.form.check(puzzle))
    }

    /// Shows how many answers are to come.
    pub(super) fn expect(&self, read: Extent) {
        let all = match read.share {
            _ if read.is_all => Some(read.puzzles),
            Some(share) if share > 0.0 => Some((read.puzzles as f64 / share) as usize),
            _ => None,
        };
        if let Some(all) = all {
            self.bar.set_length(all as u64);
        }
    }

    /// True if an answer was not right.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Answers that were written.
    pub(super) fn shown(&self) -> usize {
        self.shown
    }

    /// Nothing follows.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Writes a text as it is.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        let Self { out, .. } = self;
        interrupt::prepared();
        self.bar.suspend(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
        self.shown += 1;
        Ok(())
    }

    /// Writes an answer: that of puzzle `index` of `count`.
    fn show(&mut self, solved: &Solved<'_>, index: usize, count: usize) -> anyhow::Result<()> {
        let Self { out, form, .. } = self;
        interrupt::prepared();
        self.bar.suspend(|| form.write(out, solved, self.shown == 0).and_then(|()| out.flush()))?;
        self.shown += 1;
        self.bar.inc(1);
        if let Some(path) = self.png {
            solved.write_png(&numbered(path, index, count))?;
        }
        Ok(())
    }
}

fn progress_bar() -> ProgressBar {
    // Drawn on stderr, and only if that is a terminal.
    let bar = ProgressBar::with_draw_target(None, console::progress_target());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} puzzles, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Prints the answers of one part of the input in its order, however they arrive.
pub(super) struct Printer<'a, 'o> {
    puzzles: &'a [Puzzle],
    counts: &'a [AnswerCount],
    sink: &'a mut Sink<'o>,
    /// Answers that came before their turn.
    waiting: BTreeMap<usize, Solved<'a>>,
    next: usize,
    pub(super) error: Option<anyhow::Error>,
}

impl<'a, 'o> Printer<'a, 'o> {
    pub(super) fn new(puzzles: &'a [Puzzle], counts: &'a [AnswerCount], sink: &'a mut Sink<'o>) -> Self {
        Self { puzzles, counts, sink, waiting: BTreeMap::new(), next: 0, error: None }
    }

    /// Prints that there is no answer, where there is none.
    pub(super) fn print_unsolvable(&mut self) -> anyhow::Result<()> {
        let (puzzles, counts) = (self.puzzles, self.counts);
        for (index, puzzle) in puzzles.iter().enumerate().filter(|&(index, _)| counts[index] == AnswerCount::None) {
            let report = SolveReport::unsolvable(&puzzle.grid, no_answer(puzzle.kind));
            let model = NO_MODEL.to_owned();
            self.print(index, Solved { puzzle, model, report, solutions: counts[index], fallbacks: Vec::new() })?;
        }
        Ok(())
    }

    fn print(&mut self, index: usize, solved: Solved<'a>) -> anyhow::Result<()> {
        self.sink.failed |= !matches!(solved.report.verdict, Verdict::Verified { .. } | Verdict::Unverifiable { .. });
        self.waiting.insert(index, solved);
        while let Some(solved) = self.waiting.remove(&self.next) {
            self.sink.show(&solved, self.next, self.puzzles.len())?;
            self.next += 1;
        }
        Ok(())
    }

    /// Prints answers whose turn will not come. True if puzzles are left unsolved.
    pub(super) fn print_waiting(&mut self) -> anyhow::Result<bool> {
        let unsolved = self.next < self.puzzles.len();
        for (index, solved) in std::mem::take(&mut self.waiting) {
            self.sink.show(&solved, index, self.puzzles.len())?;
        }
        Ok(unsolved)
    }
}

/// The reason that a puzzle has no answer.
fn no_answer(kind: PuzzleKind) -> &'static str {
    match kind {
        PuzzleKind::Maze(_) => "no way leads from S to G",
        _ => "no grid keeps all givens and rules",
    }
}

/// The printer for the puzzles of one run, which numbers them from 0.
pub(super) struct GroupPrinter<'p, 'a, 'o> {
    pub(super) printer: &'p mut Printer<'a, 'o>,
    pub(super) members: &'p [usize],
    pub(super) model: &'p str,
    pub(super) task: &'p dyn Task,
    pub(super) fallbacks: &'p RefCell<Vec<String>>,
}

impl GroupPrinter<'_, '_, '_> {
    fn keep(&mut self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.printer.error.get_or_insert(error);
        }
    }
}

impl Observer for GroupPrinter<'_, '_, '_> {
    fn step(&mut self, step: &StepView<'_>) {
        let Printer { puzzles, sink, .. } = &mut *self.printer;
        let Sink { out, watch: Some(watch), .. } = &mut **sink else { return };
        if let Some(puzzle) = self.members.get(step.index).and_then(|&member| puzzles.get(member)) {
            let result = watch.step(out, puzzle, self.task, step);
            self.keep(result);
        }
    }

    fn retry(&mut self, _: usize, first: &Verdict, copies: usize) {
        let Sink { out, watch: Some(watch), .. } = &mut *self.printer.sink else { return };
        let result = watch.retry(out, first, copies);
        self.keep(result);
    }

    fn done(&mut self, index: usize, _: &Question, report: SolveReport) {
        let Some(&member) = self.members.get(index) else { return };
        let (puzzles, counts) = (self.printer.puzzles, self.printer.counts);
        let puzzle = &puzzles[member];
        let report = match self.printer.sink.fallback {
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
        if let Sink { out, watch: Some(watch), .. } = &mut *self.printer.sink {
            let result = watch.finish(out);
            self.keep(result);
        }
        let result = self.printer.print(member, solved);
        self.keep(result);
    }

    fn stop(&mut self) -> bool {
        self.printer.error.is_some() || console::is_closed() || interrupt::requested()
    }
}
