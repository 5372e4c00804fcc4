//! Solves what was read, with the shipped models or models of the user's own.

use std::ops::ControlFlow;
use std::sync::Arc;

use trm_engine::{Engine, SessionOptions};
use trm_puzzles::{Grid, PuzzleKind, Task};
use trm_solver::{AttemptKind, Model, Observer, Question, SolveOptions, SolveReport, Solver, StepView};

use crate::Result;

/// Solvers by task and size, loaded when first needed.
pub struct Solving {
    engine: Arc<dyn Engine>,
    /// Models that go before the shipped ones.
    own: Vec<Model>,
    options: SolveOptions,
    solvers: Vec<(PuzzleKind, Solver<'static>)>,
}

impl std::fmt::Debug for Solving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solving").field("engine", &self.engine.name()).finish_non_exhaustive()
    }
}

impl Solving {
    /// With an engine and models that are preferred to the shipped ones.
    #[must_use]
    pub fn new(engine: Box<dyn Engine>, own: Vec<Model>) -> Self {
        Self { engine: engine.into(), own, options: SolveOptions::default(), solvers: Vec::new() }
    }

    /// With at most `max_steps` ACT steps an attempt, instead of what each model's configuration says.
    #[must_use]
    pub fn with_max_steps(mut self, max_steps: usize) -> Self {
        self.options.max_steps = Some(max_steps);
        self
    }

    /// Replaces the preferred models, for puzzles that come from here on.
    pub fn set_models(&mut self, own: Vec<Model>) {
        self.own = own;
        self.solvers.clear();
    }

    /// Solves a puzzle; `on_step` sees the answer after every step and may end the matter, which gives `None`.
    ///
    /// When the first attempt fails, symmetric copies are tried side by side: their steps are counted on, and the answer of
    /// the first attempt stays the one that is seen.
    ///
    /// # Errors
    /// When no model fits, the puzzle breaks its own rules, or the engine fails.
    pub fn solve(
        &mut self,
        kind: PuzzleKind,
        grid: &Grid,
        on_step: &mut dyn FnMut(usize, &Grid) -> ControlFlow<()>,
    ) -> Result<Option<SolveReport>> {
        let solver = self.solver(kind)?;
        let task = Arc::clone(solver.task());
        let question = Question::new(task.as_ref(), grid.clone(), 0)?;
        let mut watch =
            Watch { task: task.as_ref(), on_step, first: 0, steps: 0, seen: None, stopped: false, report: None };
        solver.run(std::iter::once(Ok(question)), &mut watch)?;
        Ok(watch.report)
    }

    fn solver(&mut self, kind: PuzzleKind) -> Result<&mut Solver<'static>> {
        if let Some(position) = self.solvers.iter().position(|(of, _)| *of == kind) {
            return Ok(&mut self.solvers[position].1);
        }
        let exact = self.own.iter().find(|model| model.kind() == kind);
        let model = match exact.or_else(|| self.own.iter().find(|model| model.takes(kind))) {
            Some(model) => model.for_size(kind, "the picture")?,
            None => Model::for_kind(kind, "the picture")?,
        };
        let (engine, config) = (Arc::clone(&self.engine), model.config().clone());
        let task: Arc<dyn Task> = Arc::from(model.task());
        let load = move |rows: usize| {
            engine.load_step(model.bundle(), &SessionOptions { batch: rows, ..SessionOptions::default() })
        };
        let solver = Solver::new(task, config, self.options.clone(), load);
        self.solvers.push((kind, solver));
        let last = self.solvers.len() - 1;
        Ok(&mut self.solvers[last].1)
    }
}

/// Passes steps on as grids.
struct Watch<'a> {
    task: &'a dyn Task,
    on_step: &'a mut dyn FnMut(usize, &Grid) -> ControlFlow<()>,
    /// Steps of the first attempt.
    first: usize,
    /// Steps of all attempts, those side by side counted once.
    steps: usize,
    /// The answer that was seen last, as a grid.
    seen: Option<Grid>,
    stopped: bool,
    report: Option<SolveReport>,
}

impl Observer for Watch<'_> {
    fn step(&mut self, step: &StepView<'_>) {
        if self.stopped {
            return;
        }
        if step.attempt == AttemptKind::First {
            self.first = step.steps;
            self.seen = self.task.answer(&step.question.grid, step.answer).ok().or(self.seen.take());
        }
        // Of several symmetric copies side by side no picture can be made that anybody would follow.
        let steps = if step.attempt == AttemptKind::First { step.steps } else { self.first + step.steps };
        if let (true, Some(grid)) = (steps > self.steps, &self.seen) {
            self.steps = steps;
            self.stopped = (self.on_step)(steps, grid).is_break();
        }
    }

    fn done(&mut self, _: usize, _: &Question, report: SolveReport) {
        self.report = Some(report);
    }

    fn stop(&mut self) -> bool {
        self.stopped
    }
}
