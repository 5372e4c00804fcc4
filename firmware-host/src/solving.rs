//! Solves what was read, with the shipped models or models of the user's own.

use std::ops::ControlFlow;
use std::sync::Arc;

use trm_puzzles::{Grid, PuzzleKind, Task};
use trm_solver::engine::ort::OrtEngine;
use trm_solver::engine::tract::TractEngine;
use trm_solver::{Engine, Model, Observer, Question, SessionOptions, SolveOptions, SolveReport, Solver, StepView};

use crate::Result;

/// Which engine runs the models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// tract, built in.
    #[default]
    Tract,
    /// ONNX Runtime, from its shared library.
    Ort,
}

/// Solvers by task and size, loaded when first needed.
pub struct Solving {
    engine: Arc<dyn Engine + Send + Sync>,
    /// Models that go before the shipped ones.
    own: Vec<Model>,
    solvers: Vec<(PuzzleKind, Solver<'static>)>,
}

impl std::fmt::Debug for Solving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solving").field("engine", &self.engine.name()).finish_non_exhaustive()
    }
}

impl Solving {
    /// With an engine and models that are preferred to the shipped ones.
    ///
    /// # Errors
    /// When ONNX Runtime is chosen and cannot be loaded.
    pub fn new(engine: EngineChoice, own: Vec<Model>) -> Result<Self> {
        let engine: Arc<dyn Engine + Send + Sync> = match engine {
            EngineChoice::Tract => Arc::new(TractEngine),
            EngineChoice::Ort => Arc::new(OrtEngine::load(None)?),
        };
        Ok(Self { engine, own, solvers: Vec::new() })
    }

    /// Replaces the preferred models, for puzzles that come from here on.
    pub fn set_models(&mut self, own: Vec<Model>) {
        self.own = own;
        self.solvers.clear();
    }

    /// Solves a puzzle; `on_step` sees the answer after every step and may end the matter, which gives `None`.
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
        let mut watch = Watch { task: task.as_ref(), on_step, steps: 0, stopped: false, report: None };
        solver.run(std::iter::once(Ok(question)), &mut watch)?;
        Ok(watch.report)
    }

    fn solver(&mut self, kind: PuzzleKind) -> Result<&mut Solver<'static>> {
        if let Some(position) = self.solvers.iter().position(|(of, _)| *of == kind) {
            return Ok(&mut self.solvers[position].1);
        }
        let model = match self.own.iter().find(|model| model.kind() == kind) {
            Some(model) => model.clone(),
            None => Model::for_kind(kind, "the picture")?,
        };
        let (engine, config) = (Arc::clone(&self.engine), model.config().clone());
        let task: Arc<dyn Task> = Arc::from(model.task());
        let load = move |rows: usize| {
            engine.load_step(model.bundle(), &SessionOptions { batch: rows, ..SessionOptions::default() })
        };
        let solver = Solver::new(task, config, SolveOptions::default(), load);
        self.solvers.push((kind, solver));
        let last = self.solvers.len() - 1;
        Ok(&mut self.solvers[last].1)
    }
}

/// Passes steps on as grids.
struct Watch<'a> {
    task: &'a dyn Task,
    on_step: &'a mut dyn FnMut(usize, &Grid) -> ControlFlow<()>,
    steps: usize,
    stopped: bool,
    report: Option<SolveReport>,
}

impl Observer for Watch<'_> {
    fn step(&mut self, step: &StepView<'_>) {
        // Of several symmetric copies side by side no picture can be made that anybody would follow.
        if step.symmetric || self.stopped {
            return;
        }
        self.steps += 1;
        if let Ok(grid) = self.task.decode(&step.question.grid, step.answer) {
            self.stopped = (self.on_step)(self.steps, &grid).is_break();
        }
    }

    fn done(&mut self, _: usize, _: &Question, report: SolveReport) {
        self.report = Some(report);
    }

    fn stop(&mut self) -> bool {
        self.stopped
    }
}
