//! The solvers of puzzles' kinds, kept from one part of the input to the next.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use trm_cli::backend::{Backend, BackendArgs};
use trm_puzzles::{Puzzle, PuzzleKind, Task};
use trm_solver::{Model, SolveOptions, Solver};

use super::RunArgs;

/// Solvers that are kept. Each has sessions in memory; an input of many sizes loads them anew.
const MOST: usize = 4;

/// Models at the sizes of the puzzles, and their solvers.
pub(super) struct Solvers<'a> {
    /// The model that was named; otherwise the shipped one that fits.
    model: Option<Model>,
    backend: &'a Backend,
    backend_args: &'a BackendArgs,
    run: &'a RunArgs,
    options: &'a SolveOptions,
    want_logits: bool,
    /// The last used is last.
    loaded: Vec<(PuzzleKind, Loaded<'a>)>,
}

/// A model at a size, with its solver.
pub(super) struct Loaded<'a> {
    pub(super) model: Rc<Model>,
    pub(super) task: Arc<dyn Task>,
    pub(super) solver: Solver<'a>,
    /// Reasons why it does not run on a more preferred engine or provider.
    pub(super) fallbacks: Rc<RefCell<Vec<String>>>,
}

impl<'a> Solvers<'a> {
    pub(super) fn new(
        model: Option<Model>,
        backend: &'a Backend,
        backend_args: &'a BackendArgs,
        run: &'a RunArgs,
        options: &'a SolveOptions,
    ) -> Self {
        Self { model, backend, backend_args, run, options, want_logits: false, loaded: Vec::new() }
    }

    /// The same with logits in its reports.
    pub(super) fn with_logits(self, want_logits: bool) -> Self {
        Self { want_logits, ..self }
    }

    /// The solver for a puzzle.
    pub(super) fn of(&mut self, puzzle: &Puzzle) -> anyhow::Result<&mut Loaded<'a>> {
        let known = self.loaded.iter().position(|(kind, _)| *kind == puzzle.kind);
        let entry = match known {
            Some(place) => self.loaded.remove(place),
            None => {
                let model = model_for(puzzle, self.model.as_ref())?;
                self.loaded.truncate(MOST - 1);
                (puzzle.kind, self.load(model))
            }
        };
        self.loaded.insert(0, entry);
        Ok(&mut self.loaded[0].1)
    }

    fn load(&self, model: Model) -> Loaded<'a> {
        let model = Rc::new(model);
        let fallbacks = Rc::new(RefCell::new(Vec::new()));
        let task: Arc<dyn Task> = model.task().into();
        let tuning = self.backend.tuning(model.bundle());
        let options = self.run.tuned(self.options, tuning.as_ref());
        let (backend, backend_args, want_logits) = (self.backend, self.backend_args, self.want_logits);
        let (own, reasons) = (Rc::clone(&model), Rc::clone(&fallbacks));
        let load = move |batch| {
            let mut options = backend_args.tuned_options(batch, tuning.as_ref());
            options.want_logits |= want_logits;
            let loaded = backend.load_step(own.bundle(), &options)?;
            *reasons.borrow_mut() = loaded.fallbacks;
            Ok(loaded.session)
        };
        let solver = Solver::new(Arc::clone(&task), model.config().clone(), options, load);
        Loaded { model, task, solver, fallbacks }
    }
}

/// The model for a puzzle: the one that was named, which must fit, or the shipped one that fits.
pub(super) fn model_for(puzzle: &Puzzle, named: Option<&Model>) -> anyhow::Result<Model> {
    Ok(match named {
        Some(model) => model.for_size(puzzle.kind, &puzzle.source)?,
        None => Model::for_puzzle(puzzle)?,
    })
}
