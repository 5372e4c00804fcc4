//! The solvers of puzzles' kinds, kept from one part of the input to the next.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use trm_cli::backend::Backend;
use trm_cli::{deadline, interrupt};
use trm_puzzles::{Puzzle, PuzzleKind, Task};
use trm_solver::{Model, SolveOptions, Solver};

use super::Args;

/// Solvers that are kept. Each has sessions in memory; an input of many sizes loads them anew.
const MOST: usize = 4;

/// Models at the sizes of the puzzles, and their solvers. The engine is opened when it is first needed.
pub(super) struct Solvers<'a> {
    /// The model that was named; otherwise the shipped one that fits.
    model: Option<Model>,
    args: &'a Args,
    options: &'a SolveOptions,
    verbose: bool,
    want_logits: bool,
    backend: Option<Rc<Backend>>,
    /// The last used is first.
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
    /// Solvers by the model that was named or by shipped ones; with `want_logits` their reports have logits.
    pub(super) fn new(
        args: &'a Args,
        options: &'a SolveOptions,
        model: Option<Model>,
        verbose: bool,
        want_logits: bool,
    ) -> Self {
        Self { model, args, options, verbose, want_logits, backend: None, loaded: Vec::new() }
    }

    /// Refuses puzzles that no model fits.
    pub(super) fn check<'p>(&self, puzzles: impl Iterator<Item = &'p Puzzle>) -> anyhow::Result<()> {
        let mut kinds = self.loaded.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
        for puzzle in puzzles {
            if !kinds.contains(&puzzle.kind) {
                self.model_for(puzzle)?;
                kinds.push(puzzle.kind);
            }
        }
        Ok(())
    }

    /// The solver for a puzzle.
    pub(super) fn of(&mut self, puzzle: &Puzzle) -> anyhow::Result<&mut Loaded<'a>> {
        let entry = if let Some(place) = self.loaded.iter().position(|(kind, _)| *kind == puzzle.kind) {
            self.loaded.remove(place)
        } else {
            let model = self.model_for(puzzle)?;
            self.loaded.truncate(MOST - 1);
            (puzzle.kind, self.load(model)?)
        };
        self.loaded.insert(0, entry);
        Ok(&mut self.loaded[0].1)
    }

    /// The model for a puzzle: the one that was named, which must fit, or the shipped one that fits.
    fn model_for(&self, puzzle: &Puzzle) -> anyhow::Result<Model> {
        Ok(match &self.model {
            Some(model) => model.for_size(puzzle.kind, &puzzle.source)?,
            None => Model::for_puzzle(puzzle)?,
        })
    }

    fn load(&mut self, model: Model) -> anyhow::Result<Loaded<'a>> {
        let backend = if let Some(backend) = &self.backend {
            Rc::clone(backend)
        } else {
            deadline::start(self.args.run.time_limit);
            let opened = Rc::new(self.args.backend.open(self.verbose)?);
            interrupt::prepared();
            Rc::clone(self.backend.insert(opened))
        };
        let model = Rc::new(model);
        let fallbacks = Rc::new(RefCell::new(Vec::new()));
        let task: Arc<dyn Task> = model.task().into();
        let tuning = backend.tuning(model.bundle());
        let options = self.args.run.tuned(self.options, tuning.as_ref());
        let (args, want_logits) = (&self.args.backend, self.want_logits);
        let (own, reasons) = (Rc::clone(&model), Rc::clone(&fallbacks));
        let load = move |batch| {
            let mut options = args.tuned_options(batch, tuning.as_ref());
            options.want_logits |= want_logits;
            let loaded = backend.load_step(own.bundle(), &options)?;
            *reasons.borrow_mut() = loaded.fallbacks;
            Ok(loaded.session)
        };
        let solver = Solver::new(Arc::clone(&task), model.config().clone(), options, load);
        Ok(Loaded { model, task, solver, fallbacks })
    }
}
