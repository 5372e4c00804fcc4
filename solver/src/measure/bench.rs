//! Measures the time of a step and of a puzzle on the machine that a session runs on.
//!
//! ```no_run
//! use std::time::Duration;
//! use trm_engine::tract::TractEngine;
//! use trm_engine::{Engine, SessionOptions};
//! use trm_solver::{Model, measure::bench};
//!
//! let model = Model::open("maze-9")?;
//! let mut session = TractEngine.load_step(model.bundle(), &SessionOptions { batch: 8, ..SessionOptions::default() })?;
//! let timing = bench::measure(session.as_mut(), &model, Duration::from_secs(1), 0)?;
//! println!("{:.2} ms a step of 8 rows, {:.2} ms a puzzle", timing.step.step_ms.p50, timing.puzzle.puzzle_ms);
//! # Ok::<(), trm_solver::SolverError>(())
//! ```

use std::time::{Duration, Instant};

use serde::Serialize;
use trm_engine::{ActStep, StepSession};
use trm_puzzles::{Generate, seeded};

use super::score::{Rate, validity};
use crate::solve::solve_in;
use crate::{HaltPolicy, Model, Observer, Question, Result, SolveOptions, SolveReport};

/// Steps that are measured at least, however long they take.
const LEAST_STEPS: usize = 5;

/// Times of a step session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// Step by step.
    #[serde(flatten)]
    pub step: StepTiming,
    /// Puzzle by puzzle.
    #[serde(flatten)]
    pub puzzle: PuzzleTiming,
}

/// Times of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepTiming {
    /// The first step, in milliseconds. Engines prepare their memory in it.
    pub first_step_ms: f64,
    /// A step of all rows, in milliseconds.
    pub step_ms: Spread,
    /// Steps that were measured.
    pub steps: usize,
}

/// Time and steps of a puzzle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PuzzleTiming {
    /// Where the puzzles came from: `generated`, or `self-test` for a task that no generator makes puzzles of.
    pub puzzle_source: &'static str,
    /// Puzzles that were solved, one attempt each.
    pub puzzles: usize,
    /// Wall time by puzzles, in milliseconds: rows run side by side, and encoding and verifying are part of it.
    pub puzzle_ms: f64,
    /// Steps that a puzzle took on average until its answer was verified or steps ran out; of a task without rules,
    /// until the model's own signal.
    pub steps_per_puzzle: f64,
    /// Share of the answers that were verified, 0 to 1; `None` for a task without rules.
    pub verified: Option<f64>,
}

/// Measures steps for `budget`, then puzzles for `budget`; a step or puzzle that was begun is finished. Equal seeds ask
/// equal questions.
///
/// # Errors
///
/// [`SolverError::Engine`](crate::SolverError::Engine) if a step fails;
/// [`SolverError::Puzzle`](crate::SolverError::Puzzle) if no puzzle can be generated;
/// [`SolverError::Model`](crate::SolverError::Model) if the self-test cannot be read, where nothing generates
/// puzzles.
pub fn measure(session: &mut dyn StepSession, model: &Model, budget: Duration, seed: u64) -> Result<Timing> {
    let rows = session.batch();
    let questions = Questions::of(model, seed)?;
    Ok(Timing {
        step: time_steps(session, model, &questions.take(rows)?, budget)?,
        puzzle: time_puzzles(session, model, &questions, budget)?,
    })
}

/// Where questions come from.
enum Questions {
    Generated { generator: Box<dyn Generate>, seed: u64 },
    SelfTest(Question),
}

impl Questions {
    fn of(model: &Model, seed: u64) -> Result<Self> {
        if let Some(generator) = model.kind().generator()? {
            return Ok(Self::Generated { generator, seed });
        }
        let test = model.bundle().self_test()?;
        let tokens = test.tokens[..model.config().seq_len].to_vec();
        Ok(Self::SelfTest(Question::from_tokens(model.task().as_ref(), tokens, test.puzzle_ids[0], None)?))
    }

    fn source(&self) -> &'static str {
        match self {
            Self::Generated { .. } => "generated",
            Self::SelfTest(_) => "self-test",
        }
    }

    /// The questions from the first one on.
    fn iter(&self) -> Box<dyn Iterator<Item = Result<Question>> + '_> {
        match self {
            Self::SelfTest(question) => Box::new(std::iter::repeat_with(|| Ok(question.clone()))),
            Self::Generated { generator, seed } => {
                let mut rng = seeded(*seed);
                Box::new(std::iter::repeat_with(move || {
                    Question::new(generator.task(), generator.generate(&mut rng)?.puzzle, 0)
                }))
            }
        }
    }

    fn take(&self, count: usize) -> Result<Vec<Question>> {
        self.iter().take(count).collect()
    }
}

/// Times steps as puzzles that never halt make them: every row starts over when its steps have run out.
fn time_steps(
    session: &mut dyn StepSession,
    model: &Model,
    questions: &[Question],
    budget: Duration,
) -> Result<StepTiming> {
    let tokens = questions.iter().flat_map(|question| question.tokens.iter().copied()).collect();
    let mut input = ActStep::first(tokens, questions.iter().map(|question| question.puzzle_id).collect());
    let mut time_step = |first: bool| -> Result<f64> {
        input.reset.fill(first);
        let started = Instant::now();
        session.step(&input)?;
        Ok(milliseconds(started.elapsed()))
    };
    let first_step_ms = time_step(true)?;
    let (started, mut times) = (Instant::now(), Vec::new());
    while times.len() < LEAST_STEPS || started.elapsed() < budget {
        times.push(time_step((times.len() + 1).is_multiple_of(model.config().halt_max_steps))?);
    }
    let steps = times.len();
    let step_ms = Spread::of(times).expect("steps were measured");
    Ok(StepTiming { first_step_ms, step_ms, steps })
}

/// Counts what is solved.
#[derive(Default)]
struct Tally {
    puzzles: usize,
    steps: usize,
    valid: Rate,
}

impl Observer for Tally {
    fn done(&mut self, _: usize, _: &Question, report: SolveReport) {
        self.puzzles += 1;
        self.steps += report.steps;
        if let Some(valid) = validity(&report.verdict) {
            self.valid.add(valid);
        }
    }
}

fn time_puzzles(
    session: &mut dyn StepSession,
    model: &Model,
    questions: &Questions,
    budget: Duration,
) -> Result<PuzzleTiming> {
    let rows = session.batch();
    let options = SolveOptions { halt: HaltPolicy::Verified, tries: 0, batch: rows, ..SolveOptions::default() };
    // Made beforehand in chunks, so that making them is not measured.
    let (mut tally, mut time, mut source) = (Tally::default(), Duration::ZERO, questions.iter());
    while time < budget {
        let chunk: Vec<_> = source.by_ref().take(8 * rows).collect();
        let started = Instant::now();
        solve_in(session, model.task().as_ref(), &options, chunk, &mut tally)?;
        time += started.elapsed();
    }
    let puzzles = tally.puzzles as f64;
    Ok(PuzzleTiming {
        puzzle_source: questions.source(),
        puzzles: tally.puzzles,
        puzzle_ms: milliseconds(time) / puzzles,
        steps_per_puzzle: tally.steps as f64 / puzzles,
        verified: tally.valid.value(),
    })
}

/// The median, the 99th percentile and the largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half of them are no larger.
    pub p50: f64,
    /// Of a hundred, 99 are no larger.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Takes the spread of some numbers, none of them NaN; `None` without numbers.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        // Nearest rank: the smallest that is at least as large as that share of them.
        let rank = |share: f64| {
            let rank = (share * numbers.len() as f64).ceil() as usize;
            numbers.get(rank.max(1) - 1).copied()
        };
        Some(Self { p50: rank(0.5)?, p99: rank(0.99)?, max: *numbers.last()? })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let spread = Spread::of((1..=100).rev().map(f64::from)).expect("numbers");
        assert_eq!(spread, Spread { p50: 50.0, p99: 99.0, max: 100.0 });
        assert_eq!(Spread::of([3.0]), Some(Spread { p50: 3.0, p99: 3.0, max: 3.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
