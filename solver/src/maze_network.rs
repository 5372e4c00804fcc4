//! The network that finds paths through a plan's windows: several sessions side by side, each with its share of them.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use trm_engine::StepSession;
use trm_plan::{Attempt, Effort, MazeSolver};
use trm_puzzles::{Grid, PuzzleKind, Task};

use crate::model::describe;
use crate::solve::solve_in;
use crate::{HaltPolicy, Model, Observer, Question, Result, SolveOptions, SolveReport, SolverError};

/// A maze model that is loaded.
pub struct Network {
    name: String,
    task: Arc<dyn Task>,
    lanes: Vec<Box<dyn StepSession>>,
}

/// Fewest cells along a window's side, its walls among them.
const LEAST_WINDOW: usize = 9;
/// Steps of an attempt at a window of a model of one size.
const STEPS: usize = 6;

/// The most bytes of the states of a network's sessions.
pub const MOST_STATE_BYTES: u64 = 2 << 30;

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("name", &self.name).field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl Network {
    /// Cells of a map along the sides of the windows of a model of any size, unless it is asked for others. Larger windows are
    /// fewer, and take longer all together (docs/plan.md).
    pub const WINDOW: usize = 12;

    /// Loads a maze model in `lanes` sessions, each in a thread of its own while it works; `load` loads one. On a
    /// processor two or more sessions of few rows keep its cores busy; on a GPU one of many rows does.
    ///
    /// # Errors
    ///
    /// [`SolverError::NotMazes`] for a model of another task, or of mazes of fewer than three cells a side;
    /// [`SolverError::Engine`] if a session cannot be loaded.
    pub fn new(
        model: &Model,
        lanes: usize,
        mut load: impl FnMut() -> trm_engine::Result<Box<dyn StepSession>>,
    ) -> Result<Self> {
        let task: Arc<dyn Task> = model.task().into();
        if !matches!(model.kind(), PuzzleKind::Maze(_)) || task.height().min(task.width()) < 3 {
            return Err(SolverError::NotMazes { model: model.name().to_owned(), solves: describe(&model.kind()) });
        }
        let lanes = (0..lanes.max(1)).map(|_| load()).collect::<trm_engine::Result<_>>()?;
        Ok(Self { name: model.name().to_owned(), task, lanes })
    }

    /// The model for windows of so many rows and columns: one of any size at that size, with walls around and at least nine
    /// cells a side; another as it is.
    ///
    /// # Errors
    ///
    /// [`SolverError::NotMazes`] for a model of another task; those of [`Model::for_size`].
    pub fn for_windows(model: &Model, (height, width): (usize, usize)) -> Result<Model> {
        if model.only_kind().is_some() {
            return Ok(model.clone());
        }
        let side = |side: usize| (side + 2).max(LEAST_WINDOW);
        match model.kind_of_size(side(height), side(width)) {
            Some(kind @ PuzzleKind::Maze(_)) => model.for_size(kind, "the windows of a map"),
            _ => Err(SolverError::NotMazes { model: model.name().to_owned(), solves: describe(&model.kind()) }),
        }
    }

    /// Steps of an attempt at a window: few for a model of one size, whose windows are small; a model of any size has its own.
    #[must_use]
    pub fn steps(model: &Model) -> usize {
        if model.only_kind().is_some() { STEPS } else { model.config().halt_max_steps }
    }

    /// Checks that the states of so many sessions of so many rows fit in [`MOST_STATE_BYTES`], before any is loaded.
    ///
    /// # Errors
    ///
    /// [`SolverError::StatesTooLarge`] if they do not.
    pub fn check_memory(model: &Model, lanes: usize, rows: usize) -> Result<()> {
        let config = model.config();
        // Two states; where a cell sees its neighbours, also those of a neighbourhood beside each other.
        let states = if config.mixer.has_board() { 2 + 9 } else { 2 };
        let numbers = [states, lanes, rows, config.total_len(), config.hidden_size, size_of::<f32>()];
        match numbers.iter().try_fold(1, |all: usize, &number| all.checked_mul(number)) {
            Some(bytes) if bytes as u64 <= MOST_STATE_BYTES => Ok(()),
            _ => Err(SolverError::StatesTooLarge { lanes, rows, limit: MOST_STATE_BYTES }),
        }
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine that runs it.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.lanes.first().map_or("", |lane| lane.info().engine)
    }

    /// The execution provider that runs it.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        self.lanes.first().map_or("", |lane| lane.info().provider.as_str())
    }
}

impl MazeSolver for Network {
    fn maze_size(&self) -> (usize, usize) {
        (self.task.height(), self.task.width())
    }

    fn solve(&mut self, mazes: &[&Grid], effort: &Effort) -> Result<Vec<Attempt>, Box<dyn Error + Send + Sync>> {
        Ok(self.attempts(mazes, effort)?)
    }
}

impl Network {
    fn attempts(&mut self, mazes: &[&Grid], effort: &Effort) -> Result<Vec<Attempt>> {
        let options = SolveOptions {
            halt: HaltPolicy::Verified,
            max_steps: Some(effort.max_steps),
            tries: effort.tries,
            seed: effort.seed,
            ..SolveOptions::default()
        };
        let (options, deadline) = (&options, effort.deadline);
        let count = self.lanes.len().min(mazes.len());
        let task = self.task.as_ref();
        // A lane takes every n-th maze: neighbours are alike, and so is the work.
        let share = |lane: usize| (lane..mazes.len()).step_by(count.max(1));
        let work = |lane: usize, session: &mut dyn StepSession| {
            let indices: Vec<usize> = share(lane).collect();
            let mut log = Log { attempts: vec![UNTRIED; indices.len()], deadline, is_late: false };
            let questions = indices.iter().map(|&index| Question::new(task, mazes[index].clone(), 0));
            solve_in(session, task, options, questions, &mut log)?;
            let attempts = log.attempts();
            Ok::<_, SolverError>(indices.into_iter().zip(attempts).collect::<Vec<_>>())
        };
        let mut attempts = vec![UNTRIED; mazes.len()];
        let mut lanes = self.lanes.iter_mut().take(count).enumerate();
        let Some((_, own)) = lanes.next() else { return Ok(attempts) };
        let results = std::thread::scope(|scope| {
            let others: Vec<_> =
                lanes.map(|(lane, session)| scope.spawn(move || work(lane, session.as_mut()))).collect();
            let mut results = vec![work(0, own.as_mut())];
            results.extend(others.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }));
            results
        });
        for result in results {
            for (index, attempt) in result? {
                attempts[index] = attempt;
            }
        }
        Ok(attempts)
    }
}

/// An attempt of which nothing is known.
const UNTRIED: Attempt = Attempt { answer: None, steps: 0, timed_out: true };

/// Collects answers.
struct Log {
    attempts: Vec<Attempt>,
    deadline: Option<Instant>,
    /// True once the deadline has stopped the work.
    is_late: bool,
}

impl Log {
    /// The attempts; without an answer they have failed, unless the deadline has stopped the work before they were done.
    fn attempts(self) -> Vec<Attempt> {
        let judged = |attempt: Attempt| {
            let timed_out = self.is_late && attempt.timed_out && attempt.answer.is_none();
            Attempt { timed_out, ..attempt }
        };
        self.attempts.into_iter().map(judged).collect()
    }
}

impl Observer for Log {
    fn step(&mut self, step: &crate::StepView<'_>) {
        if let Some(attempt) = self.attempts.get_mut(step.index) {
            attempt.steps += 1;
        }
    }

    fn done(&mut self, index: usize, _: &Question, report: SolveReport) {
        if let Some(attempt) = self.attempts.get_mut(index) {
            attempt.steps = report.total_steps;
            attempt.answer = report.verdict.is_verified().then_some(report.answer);
            attempt.timed_out = self.is_late;
        }
    }

    fn stop(&mut self) -> bool {
        self.is_late |= self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.is_late
    }
}
