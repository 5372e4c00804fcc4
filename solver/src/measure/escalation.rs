//! Measures retries at equal compute: accuracy against steps, for symmetric copies, for rollouts and for both.
//!
//! Every retry of a failed puzzle is run to its end once. From these follow answers and cost of fewer retries: the
//! first four of sixteen are the four that `--tries 4` would run.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

use trm_engine::StepSession;
use trm_intake::file::write_atomically;
use trm_models::TrmConfig;
use trm_pictures::chart::{BLUE, Chart, Curve, GREEN, RED};
use trm_puzzles::Task;

use crate::batch::{Job, Noise, Scheduler};
use crate::measure::score::Rate;
use crate::solve::run::{Context, Way};
use crate::{HaltReason, Observer, Question, Result, SolveOptions, SolveReport, SolverError};

/// Steps and verdict of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Steps until the answer was verified, or the limit.
    pub steps: usize,
    /// `true` if the answer was verified.
    pub verified: bool,
}

/// All attempts at a puzzle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts {
    /// The first.
    pub first: Outcome,
    /// Symmetric copies, if the first failed. A puzzle may have fewer than were asked for.
    pub symmetric: Vec<Outcome>,
    /// Rollouts, if the first failed.
    pub rollouts: Vec<Outcome>,
}

impl Attempts {
    /// Combines the first attempt with the first `symmetric` copies and `rollouts`: verified if one of them was, with
    /// the steps of all of them together, the retries running side by side until one is verified.
    #[must_use]
    pub fn with(&self, symmetric: usize, rollouts: usize) -> Outcome {
        let retries = || self.symmetric.iter().take(symmetric).chain(self.rollouts.iter().take(rollouts));
        let fastest = retries().filter(|retry| retry.verified).map(|retry| retry.steps).min();
        let steps: usize = retries().map(|retry| retry.steps.min(fastest.unwrap_or(usize::MAX))).sum();
        Outcome { steps: self.first.steps + steps, verified: self.first.verified || fastest.is_some() }
    }
}

/// Accuracy and cost of a number of retries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Symmetric copies.
    pub symmetric: usize,
    /// Rollouts.
    pub rollouts: usize,
    /// Puzzles with a verified answer.
    pub solved: Rate,
    /// Steps a puzzle, all attempts together.
    pub steps: f64,
}

impl Point {
    /// Makes the point of these puzzles.
    #[must_use]
    pub fn new(puzzles: &[Attempts], symmetric: usize, rollouts: usize) -> Self {
        let outcomes: Vec<_> = puzzles.iter().map(|puzzle| puzzle.with(symmetric, rollouts)).collect();
        let hits = outcomes.iter().filter(|outcome| outcome.verified).count();
        let steps = outcomes.iter().map(|outcome| outcome.steps).sum::<usize>() as f64;
        Self {
            symmetric,
            rollouts,
            solved: Rate { hits, total: outcomes.len() },
            steps: steps / outcomes.len().max(1) as f64,
        }
    }
}

/// Runs the first attempt at each question, and `options.tries` symmetric copies and `options.rollouts` of those that
/// fail, each until it is verified or at the limit of steps.
///
/// # Errors
///
/// [`SolverError::NoRules`] for a task that nobody can verify; [`SolverError::Noise`]; [`SolverError::Engine`] if the
/// session fails; [`SolverError::Puzzle`] if a symmetric copy cannot be made.
pub fn measure(
    session: &mut dyn StepSession,
    task: &dyn Task,
    options: &SolveOptions,
    questions: Vec<Question>,
) -> Result<Vec<Attempts>> {
    struct Nobody;
    impl Observer for Nobody {
        fn done(&mut self, _: usize, _: &Question, _: SolveReport) {}
    }
    options.check()?;
    if !task.has_rules() {
        return Err(SolverError::NoRules);
    }
    let config: TrmConfig = session.config().clone();
    let mut nobody = Nobody;
    let context = Context::new(task, &config, options, &mut nobody);
    let max_steps = options.max_steps.unwrap_or(config.halt_max_steps);

    let questions: Vec<_> = questions.into_iter().map(Rc::new).collect();
    let firsts = questions.iter().map(|question| (Rc::clone(question), None)).collect();
    let firsts = run_all(session, &context, max_steps, firsts)?;
    let mut puzzles: Vec<_> =
        firsts.into_iter().map(|first| Attempts { first, symmetric: Vec::new(), rollouts: Vec::new() }).collect();

    let (mut jobs, mut owners) = (Vec::new(), Vec::new());
    for (index, question) in questions.iter().enumerate().filter(|(index, _)| !puzzles[*index].first.verified) {
        for (question, way) in context.retries(question)? {
            owners.push((index, matches!(way, Way::Noise(_))));
            jobs.push((question, way.noise(options.noise)));
        }
    }
    for ((index, noisy), outcome) in owners.into_iter().zip(run_all(session, &context, max_steps, jobs)?) {
        let puzzle = &mut puzzles[index];
        if noisy { &mut puzzle.rollouts } else { &mut puzzle.symmetric }.push(outcome);
    }
    Ok(puzzles)
}

/// Runs attempts to their ends; the outcomes in the order of the attempts.
fn run_all(
    session: &mut dyn StepSession,
    context: &Context<'_>,
    max_steps: usize,
    attempts: Vec<(Rc<Question>, Option<Noise>)>,
) -> Result<Vec<Outcome>> {
    let mut scheduler = Scheduler::new(session);
    let mut order = HashMap::new();
    let mut outcomes = vec![Outcome { steps: 0, verified: false }; attempts.len()];
    for (index, (question, noise)) in attempts.into_iter().enumerate() {
        let (tokens, puzzle_id) = (question.tokens.clone(), question.puzzle_id);
        let job = Job::new(tokens, puzzle_id, move |row| {
            if context.judge(&question.grid, row.answer).is_ok_and(|(_, verdict)| verdict.is_verified()) {
                return Some(HaltReason::Verified);
            }
            (row.steps >= max_steps).then_some(HaltReason::MaxSteps)
        });
        order.insert(scheduler.enqueue(job.with_noise(noise))?, index);
    }
    while !scheduler.is_idle() {
        for done in scheduler.step()? {
            let verified = done.reason == HaltReason::Verified;
            outcomes[order[&done.job]] = Outcome { steps: done.steps, verified };
        }
    }
    Ok(outcomes)
}

/// The points for a single pass, and for 1, 2, 4, … retries of each kind as far as `options` went; `both` takes half of
/// each.
#[must_use]
pub fn points(puzzles: &[Attempts], options: &SolveOptions) -> Vec<Point> {
    let up_to = |most: usize| std::iter::successors(Some(1), |k| Some(k * 2)).take_while(move |&k| k <= most);
    let mut points = vec![Point::new(puzzles, 0, 0)];
    points.extend(up_to(options.tries).map(|tries| Point::new(puzzles, tries, 0)));
    points.extend(up_to(options.rollouts).map(|rollouts| Point::new(puzzles, 0, rollouts)));
    points.extend(up_to(options.tries.min(options.rollouts)).map(|half| Point::new(puzzles, half, half)));
    points
}

/// Draws accuracy against steps into an SVG.
///
/// # Errors
///
/// [`SolverError::File`] if the file cannot be written.
pub fn plot(points: &[Point], svg: &Path) -> Result<()> {
    let curve = |name, colour, belongs: &dyn Fn(&Point) -> bool| {
        let with_single = points.iter().filter(|point| point.symmetric + point.rollouts == 0 || belongs(point));
        let points = with_single.map(|point| (point.steps, point.solved.value().unwrap_or(0.0))).collect();
        Curve { name, colour, points }
    };
    let curves = vec![
        curve("SYMMETRIC COPIES", BLUE, &|point| point.symmetric > 0 && point.rollouts == 0),
        curve("ROLLOUTS", RED, &|point| point.symmetric == 0 && point.rollouts > 0),
        curve("BOTH", GREEN, &|point| point.symmetric > 0 && point.rollouts > 0),
    ];
    let text = Chart::of_shares("VERIFIED", "STEPS A PUZZLE", curves).to_svg();
    Ok(write_atomically(svg, |file| file.write_all(text.as_bytes()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(steps: usize, verified: bool) -> Outcome {
        Outcome { steps, verified }
    }

    #[test]
    fn retries_run_until_one_is_verified() {
        let failed = Attempts {
            first: outcome(16, false),
            symmetric: vec![outcome(16, false), outcome(5, true)],
            rollouts: vec![outcome(3, true), outcome(16, false)],
        };
        assert_eq!(failed.with(0, 0), outcome(16, false));
        assert_eq!(failed.with(1, 0), outcome(32, false));
        assert_eq!(failed.with(2, 0), outcome(16 + 5 + 5, true));
        assert_eq!(failed.with(0, 2), outcome(16 + 3 + 3, true));
        assert_eq!(failed.with(2, 2), outcome(16 + 4 * 3, true));
        assert_eq!(failed.with(9, 0), failed.with(2, 0), "as many as there are");
        let solved = Attempts { first: outcome(4, true), symmetric: Vec::new(), rollouts: Vec::new() };
        let point = Point::new(&[failed, solved], 1, 0);
        assert_eq!((point.solved, point.steps), (Rate { hits: 1, total: 2 }, 18.0));
    }

    #[test]
    fn curves_begin_at_the_single_pass() {
        let puzzles = [Attempts {
            first: outcome(16, false),
            symmetric: vec![outcome(16, false); 4],
            rollouts: vec![outcome(2, true); 4],
        }];
        let options = SolveOptions { tries: 4, rollouts: 2, ..SolveOptions::default() };
        let points = points(&puzzles, &options);
        let taken: Vec<_> = points.iter().map(|point| (point.symmetric, point.rollouts)).collect();
        assert_eq!(taken, [(0, 0), (1, 0), (2, 0), (4, 0), (0, 1), (0, 2), (1, 1), (2, 2)]);
        let dir = tempfile::tempdir().expect("a folder");
        let svg = dir.path().join("curve.svg");
        plot(&points, &svg).expect("written");
        let text = std::fs::read_to_string(svg).expect("readable");
        assert!(["ROLLOUTS", "SYMMETRIC COPIES", "BOTH", "STEPS A PUZZLE"].iter().all(|label| text.contains(label)));
    }
}
