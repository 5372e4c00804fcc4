//! Running a golden's inputs and comparing the outputs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use trm_engine::{ActStep, Carry, SolveInput, SolveSession, StepSession};
use trm_models::GraphKind;

use super::account::{Comparison, Scope, unable};
use super::judge::{JudgedStep, Quantity, Start};
use super::{Golden, RECORDED_STEPS};
use crate::Result;

/// A limit above this is checked to have a meaning: where no recorded number is larger than the limit, zeros would
/// pass.
const LARGE_LIMIT: f64 = 1e-2;

/// One step against the recording. Errors are the largest absolute differences, infinite where a number is NaN;
/// `None` is what was not recorded, or what the graph does not return.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepComparison {
    /// ACT steps run.
    pub step: usize,
    /// Where the step began.
    pub start: Start,
    /// Error of the logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<f64>,
    /// Cells whose answer is not the recorded one, or not the argmax of the recorded logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argmax_differences: Option<usize>,
    /// Error of the halting logit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q_halt: Option<f64>,
    /// Error of the continuation logit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q_continue: Option<f64>,
    /// Error of the high-level state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z_h: Option<f64>,
    /// Error of the low-level state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z_l: Option<f64>,
    /// The most that each quantity may be off; empty for a step that is shown only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Quantity, f64>,
    /// True if everything that has a limit, and was compared, is within it; `None` if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// Quantities whose limit would accept zeros, so that being within it says nothing.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub meaningless: BTreeSet<Quantity>,
}

/// Output of a model at a step.
struct Found<'a> {
    answer: &'a [i32],
    q_halt: &'a [f32],
    q_continue: &'a [f32],
    logits: Option<&'a [f32]>,
    carry: Option<Carry>,
}

impl StepComparison {
    fn new(golden: &Golden, judged: &JudgedStep, found: &Found<'_>) -> Result<Self> {
        let (step, start) = (judged.step, judged.from);
        let logits = golden.logits(step)?;
        let answer = golden.answer(step)?;
        let halting = [Quantity::QHalt, Quantity::QContinue].map(|quantity| golden.halting(step, quantity));
        let [q_halt, q_continue] = halting;
        let (q_halt, q_continue) = (q_halt?, q_continue?);
        let mut this = Self {
            step,
            start,
            // A golden with logits against a session without them would pass unseen: it counts as infinitely far.
            logits: logits.as_ref().map(|recorded| max_abs_error(found.logits.unwrap_or_default(), recorded)),
            argmax_differences: differences(found.answer, logits.as_deref(), answer.as_deref()),
            q_halt: q_halt.as_ref().map(|recorded| max_abs_error(found.q_halt, recorded)),
            q_continue: q_continue.as_ref().map(|recorded| max_abs_error(found.q_continue, recorded)),
            z_h: None,
            z_l: None,
            limits: judged.limits.clone(),
            passed: None,
            meaningless: BTreeSet::new(),
        };
        let mut largest = BTreeMap::from([(Quantity::Answer, found.answer.len() as f64)]);
        let signals = [(Quantity::Logits, &logits), (Quantity::QHalt, &q_halt), (Quantity::QContinue, &q_continue)];
        largest.extend(signals.into_iter().filter_map(|(of, numbers)| Some((of, size(numbers.as_ref()?)))));
        if let Some(carry) = &found.carry {
            for (quantity, state) in [(Quantity::ZH, &carry.z_h), (Quantity::ZL, &carry.z_l)] {
                let recorded = golden.state(step, quantity)?;
                largest.extend(recorded.iter().map(|recorded| (quantity, size(recorded))));
                let error = recorded.iter().map(|recorded| max_abs_error(state, recorded)).reduce(f64::max);
                if quantity == Quantity::ZH { this.z_h = error } else { this.z_l = error }
            }
        }
        let accepts_zeros = |(quantity, limit): (&Quantity, &f64)| {
            *limit > LARGE_LIMIT && largest.get(quantity).is_some_and(|largest| limit >= largest)
        };
        this.meaningless = judged.limits.iter().filter(|limit| accepts_zeros(*limit)).map(|(of, _)| *of).collect();
        this.judge();
        Ok(this)
    }

    /// Decides by the limits.
    fn judge(&mut self) {
        let compared = self.limits.iter().filter_map(|(quantity, limit)| Some(self.error(*quantity)? <= *limit));
        let compared: Vec<bool> = compared.collect();
        self.passed = (!compared.is_empty()).then(|| compared.iter().all(|within| *within));
    }

    /// The largest difference of a quantity, cells for the answer; `None` if it was not compared.
    #[must_use]
    pub fn error(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Logits => self.logits,
            Quantity::QHalt => self.q_halt,
            Quantity::QContinue => self.q_continue,
            Quantity::ZH => self.z_h,
            Quantity::ZL => self.z_l,
            Quantity::Answer => self.argmax_differences.map(|cells| cells as f64),
        }
    }

    /// True if a quantity was held to a limit that says something.
    #[must_use]
    pub fn has_judged(&self, quantity: Quantity) -> bool {
        self.limits.contains_key(&quantity) && self.error(quantity).is_some() && !self.meaningless.contains(&quantity)
    }
}

/// Runs every recorded step from a fresh carry on a step graph, and from the reference's own carry those that the
/// recording wants judged so.
///
/// The session must have the golden's batch, and return logits. A session that fails on the way is part of the result.
///
/// # Errors
/// The recording cannot be read, or the model is of another size.
pub fn compare_step(session: &mut dyn StepSession, golden: &Golden, scope: &Scope) -> Result<Comparison> {
    golden.check_model("the model", session.config())?;
    let mut comparison = Comparison::new(GraphKind::Step);
    if !golden.can_run() {
        return Ok(comparison.account(golden, scope));
    }
    let mut input = golden.first_step()?;
    for step in (1..=golden.steps()).take_while(|step| scope.reaches(*step)) {
        if !comparison.take(one_step(session, golden, &input, &scope.row(golden, step, Start::Own))?) {
            return Ok(comparison.account(golden, scope));
        }
        input.reset.fill(false);
    }
    for step in scope.steps_from_recorded(golden) {
        let Some(carry) = golden.carry(step - 1)? else { continue };
        let started = session.set_carry(&carry);
        let row = match started {
            Ok(()) => one_step(session, golden, &input, &scope.row(golden, step, Start::Recorded))?,
            Err(error) => Ran::Failed(step, unable(error.into())?),
        };
        if !comparison.take(row) {
            break;
        }
    }
    comparison.sort();
    Ok(comparison.account(golden, scope))
}

/// A step that was compared, or did not come to an end.
pub(super) enum Ran {
    Compared(Box<StepComparison>),
    Failed(usize, crate::SolverError),
}

fn one_step(session: &mut dyn StepSession, golden: &Golden, input: &ActStep, judged: &JudgedStep) -> Result<Ran> {
    let output = match session.step(input) {
        Ok(output) => output,
        Err(error) => return Ok(Ran::Failed(judged.step, unable(error.into())?)),
    };
    // Reading the carry may mean fetching it from a device, so only where there is something to compare it with.
    let recorded = |quantity| Ok::<_, crate::SolverError>(!golden.state(judged.step, quantity)?.is_empty());
    let carry = if recorded(Quantity::ZH)? || recorded(Quantity::ZL)? {
        match session.carry() {
            Ok(carry) => Some(carry),
            Err(error) => return Ok(Ran::Failed(judged.step, unable(error.into())?)),
        }
    } else {
        None
    };
    let found = Found {
        answer: &output.answer,
        q_halt: &output.q_halt,
        q_continue: &output.q_continue,
        logits: output.logits.as_deref(),
        carry,
    };
    Ok(Ran::Compared(Box::new(StepComparison::new(golden, judged, &found)?)))
}

/// Runs whole puzzles on a solve graph, or on unrolled graphs of as many steps, none halting early: as many steps as
/// there are recorded ones, each number by itself. Unless the scope names steps, unrolled graphs are run where logits
/// were recorded only, since each is a graph of its own.
///
/// `load` makes a session for a number of steps; a solve graph is loaded once.
///
/// # Errors
/// The recording cannot be read, or the model is of another size.
pub fn compare_whole(
    kind: GraphKind,
    golden: &Golden,
    scope: &Scope,
    load: &mut dyn FnMut(usize) -> Result<Box<dyn SolveSession>>,
) -> Result<Comparison> {
    let mut comparison = Comparison::new(kind);
    let scope = scope.for_graph(kind, golden)?;
    if !golden.can_run() {
        return Ok(comparison.account(golden, &scope));
    }
    let mut session: Option<Box<dyn SolveSession>> = None;
    for steps in (1..=golden.steps()).filter(|step| scope.includes(*step)) {
        // An unrolled graph has its number of steps built in; a solve graph takes any.
        let running = match session.take().filter(|_| kind == GraphKind::Solve) {
            Some(session) => Ok(session),
            None => load(steps),
        };
        let mut running = match running {
            Ok(session) => session,
            Err(error) => {
                comparison.take(Ran::Failed(steps, unable(error)?));
                if kind == GraphKind::Solve {
                    break;
                }
                continue;
            }
        };
        let row = whole(running.as_mut(), golden, &scope.row(golden, steps, Start::Own))?;
        comparison.ran_on(running.info());
        if !comparison.take(row) {
            break;
        }
        session = Some(running);
    }
    Ok(comparison.account(golden, &scope))
}

/// Runs `steps` steps, none of them halting early, on a solve graph, or on an unrolled graph of as many steps.
///
/// The session must have the golden's batch, and return logits.
///
/// # Errors
/// The recording cannot be read, the model is of another size, or the session fails.
pub fn compare_solve(
    session: &mut dyn SolveSession,
    golden: &Golden,
    scope: &Scope,
    steps: usize,
) -> Result<StepComparison> {
    match whole(session, golden, &scope.row(golden, steps, Start::Own))? {
        Ran::Compared(row) => Ok(*row),
        Ran::Failed(_, error) => Err(error),
    }
}

fn whole(session: &mut dyn SolveSession, golden: &Golden, judged: &JudgedStep) -> Result<Ran> {
    golden.check_model("the model", session.config())?;
    let ActStep { tokens, puzzle_ids, .. } = golden.first_step()?;
    let max_steps = (session.info().graph == GraphKind::Solve).then_some(judged.step);
    let output = match session.solve(&SolveInput { tokens, puzzle_ids, halt_threshold: f32::INFINITY, max_steps }) {
        Ok(output) => output,
        Err(error) => return Ok(Ran::Failed(judged.step, unable(error.into())?)),
    };
    let found = Found {
        answer: &output.answer,
        q_halt: &output.q_halt,
        q_continue: &output.q_continue,
        logits: output.logits.as_deref(),
        carry: None,
    };
    let mut row = StepComparison::new(golden, judged, &found)?;
    if output.steps.iter().any(|&ran| usize::try_from(ran) != Ok(judged.step)) {
        // Other numbers may agree by chance, as where the recursion has settled.
        row.passed = row.passed.map(|_| false);
    }
    Ok(Ran::Compared(Box::new(row)))
}

/// The steps at which an unrolled graph is run unless others are asked for.
pub(super) fn unrolled_steps(golden: &Golden) -> Result<BTreeSet<usize>> {
    let mut steps = BTreeSet::new();
    for step in (1..=golden.steps()).filter(|step| RECORDED_STEPS.contains(step) || *step == golden.steps()) {
        if golden.logits(step)?.is_some() || golden.answer(step)?.is_some() {
            steps.insert(step);
        }
    }
    Ok(steps)
}

/// The largest absolute difference; infinite where a number is NaN or the lengths differ.
#[must_use]
pub fn max_abs_error(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    found.iter().zip(expected).fold(0.0, |worst: f64, (&found, &expected)| {
        let error = (f64::from(found) - f64::from(expected)).abs();
        if error.is_nan() { f64::INFINITY } else { worst.max(error) }
    })
}

/// The largest absolute value.
fn size(numbers: &[f32]) -> f64 {
    numbers.iter().fold(0.0, |largest, number| f64::from(number.abs()).max(largest))
}

/// Cells whose answer is not the recorded one, the more of those by the recorded answer and by the recorded logits.
fn differences(found: &[i32], logits: Option<&[f32]>, answer: Option<&[i32]>) -> Option<usize> {
    let by_logits = logits.map(|logits| argmax_differences(found, logits));
    let by_answer = answer.map(|answer| {
        let different = found.iter().zip(answer).filter(|(found, recorded)| found != recorded).count();
        if answer.len() == found.len() { different } else { found.len() }
    });
    by_logits.into_iter().chain(by_answer).max()
}

/// Cells whose answer is not the first largest of their logits.
fn argmax_differences(answer: &[i32], logits: &[f32]) -> usize {
    let Some(vocab_size) = logits.len().checked_div(answer.len()).filter(|&size| size > 0) else {
        return answer.len();
    };
    let argmax = |cell: &[f32]| {
        let best = cell.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        best.map(|(token, _)| token as i32)
    };
    answer.iter().zip(logits.chunks_exact(vocab_size)).filter(|(token, cell)| argmax(cell) != Some(**token)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_missing_numbers_are_infinitely_far() {
        assert!((max_abs_error(&[1.0, 2.5], &[1.0, 2.0]) - 0.5).abs() < 1e-12);
        assert!(max_abs_error(&[f32::NAN], &[1.0]).is_infinite());
        assert!(max_abs_error(&[1.0], &[f32::NAN]).is_infinite());
        assert!(max_abs_error(&[f32::NAN], &[f32::NAN]).is_infinite());
        assert!(max_abs_error(&[], &[1.0]).is_infinite());
    }

    #[test]
    fn the_first_of_equal_logits_is_the_argmax() {
        let logits = [0.0, 2.0, 2.0, 1.0, 0.0, 0.0];
        assert_eq!(argmax_differences(&[1, 0], &logits), 0);
        assert_eq!(argmax_differences(&[2, 1], &logits), 2);
    }

    #[test]
    fn the_worse_of_two_recordings_of_an_answer_counts() {
        let logits = [0.0, 2.0, 1.0, 0.0];
        assert_eq!(differences(&[1, 0], Some(&logits), Some(&[1, 1])), Some(1));
        assert_eq!(differences(&[1, 0], Some(&logits), Some(&[1, 0])), Some(0));
        assert_eq!(differences(&[1, 0], None, Some(&[1])), Some(2));
        assert_eq!(differences(&[1, 0], None, None), None);
    }
}
