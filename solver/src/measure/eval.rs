//! Measuring a model on many puzzles: how many answers are exact, valid and optimal, after how many steps, how fast.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trm_engine::halt_signal;
use trm_engine::ort::ExecutionProvider;
use trm_models::TrmConfig;
use trm_puzzles::Task;

use super::score::{Rate, Score, Scores};
use crate::solve::{AttemptKind, Observer, Question, SolveReport, Solver, StepView};
use crate::{HaltPolicy, Result};

/// Where the first attempts stand after a number of steps; one that has stopped counts with its last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepAccuracy {
    /// Their answers.
    pub scores: Scores,
    /// Puzzles for which the model's own signal has asked to stop at this step or before.
    pub halted: Rate,
}

/// Counts of a model's answers to a set of puzzles.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// Puzzles that were finished.
    pub puzzles: usize,
    /// Final answers.
    pub scores: Scores,
    /// Mazes: final answers whose path is valid and shortest. No cases for other tasks.
    pub optimal: Rate,
    /// Final answers found for a symmetric copy.
    pub symmetric: usize,
    /// Final answers found by a rollout.
    pub rollouts: usize,
    /// Steps of the attempts that gave the final answers, summed.
    pub steps: usize,
    /// Steps of all attempts, summed.
    pub total_steps: usize,
    /// After 1, 2, … steps of the first attempts.
    pub by_step: Vec<StepAccuracy>,
    /// From the first step to the last answer.
    pub time: Duration,
    /// Engine and provider that ran.
    pub ran_on: Option<(&'static str, ExecutionProvider)>,
}

impl Evaluation {
    /// Steps of the attempts that gave the final answers, on average.
    #[must_use]
    pub fn mean_steps(&self) -> Option<f64> {
        (self.puzzles > 0).then(|| self.steps as f64 / self.puzzles as f64)
    }

    /// Steps that a puzzle cost on average, all its attempts together.
    #[must_use]
    pub fn mean_total_steps(&self) -> Option<f64> {
        (self.puzzles > 0).then(|| self.total_steps as f64 / self.puzzles as f64)
    }

    /// Finished puzzles a second, loading not included.
    #[must_use]
    pub fn puzzles_per_second(&self) -> Option<f64> {
        (!self.time.is_zero()).then(|| self.puzzles as f64 / self.time.as_secs_f64())
    }
}

/// Solves the questions and counts. `go_on` is asked after every step, with what has been measured so far; when it
/// says no, the puzzles on their way are dropped and the rest is returned.
///
/// # Errors
///
/// Those of [`Solver::run`].
pub fn evaluate(
    solver: &mut Solver<'_>,
    questions: impl IntoIterator<Item = Result<Question>>,
    go_on: &mut dyn FnMut(&Evaluation) -> bool,
) -> Result<Evaluation> {
    let halting_threshold = match solver.options().halt {
        HaltPolicy::QHalt(q_halt) | HaltPolicy::VerifiedOrQHalt(q_halt) => q_halt.threshold,
        HaltPolicy::MaxSteps | HaltPolicy::Verified => 0.0,
    };
    let max_steps = solver.max_steps();
    let (task, config) = (Arc::clone(solver.task()), solver.config().clone());
    let mut tally = Tally {
        task,
        config,
        halting_threshold,
        running: HashMap::new(),
        evaluation: Evaluation { by_step: vec![StepAccuracy::default(); max_steps], ..Evaluation::default() },
        started: None,
        go_on,
    };
    solver.run(questions, &mut tally)?;
    Ok(tally.evaluation)
}

/// The answer of a first attempt after a step, against its label and by the rules.
#[derive(Debug, Clone, Copy)]
struct StepScore {
    score: Score,
    /// The model has asked to stop, now or before.
    halted: bool,
}

/// Counts while the solver runs.
struct Tally<'a> {
    task: Arc<dyn Task>,
    config: TrmConfig,
    halting_threshold: f32,
    /// Scores of the first attempts of unfinished puzzles, step by step.
    running: HashMap<usize, Vec<StepScore>>,
    evaluation: Evaluation,
    started: Option<Instant>,
    go_on: &'a mut dyn FnMut(&Evaluation) -> bool,
}

impl Observer for Tally<'_> {
    fn step(&mut self, step: &StepView<'_>) {
        if step.attempt != AttemptKind::First {
            return;
        }
        let puzzle = &step.question.grid;
        let scores = self.running.entry(step.index).or_default();
        let halted_before = scores.last().is_some_and(|score| score.halted);
        scores.push(StepScore {
            score: Score::of(self.task.as_ref(), puzzle, step.question.label.as_deref(), step.answer),
            halted: halted_before || halt_signal(&self.config, step.q_halt, step.q_continue) > self.halting_threshold,
        });
    }

    fn done(&mut self, index: usize, question: &Question, report: SolveReport) {
        let scores = self.running.remove(&index).unwrap_or_default();
        let total = &mut self.evaluation;
        for (step, into) in total.by_step.iter_mut().enumerate() {
            // An attempt that has stopped keeps its answer.
            let Some(score) = scores.get(step).or(scores.last()) else { continue };
            into.scores.add(&score.score);
            into.halted.add(score.halted);
        }
        let score = Score::of_judged(&report.verdict, question.label.as_deref(), &report.tokens);
        total.scores.add(&score);
        if score.valid.is_some() && self.task.judges_length() {
            total.optimal.add(report.verdict.path().is_some_and(|path| path.optimal()));
        }
        total.puzzles += 1;
        total.symmetric += usize::from(report.found_by == AttemptKind::Symmetric);
        total.rollouts += usize::from(report.found_by == AttemptKind::Rollout);
        total.steps += report.steps;
        total.total_steps += report.total_steps;
        total.ran_on = Some((report.backend, report.provider));
        total.time = self.started.map_or(Duration::ZERO, |started| started.elapsed());
    }

    fn stop(&mut self) -> bool {
        // First asked before the first step, when the session is loaded.
        self.started.get_or_insert_with(Instant::now);
        !(self.go_on)(&self.evaluation)
    }
}
