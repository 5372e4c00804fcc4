//! Running a golden's inputs and comparing the outputs.

use serde::Serialize;

use super::{Golden, Tolerances};
use crate::{ActStep, Carry, Result, SolveInput, SolveSession, StepSession};

/// Where a step's carry came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// From the model's own steps before it, from the start.
    Own,
    /// From the reference's carry after step 1.
    Recorded,
}

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
    /// Cells whose answer is not the argmax of the recorded logits.
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
    /// The largest error allowed; `None` for a step that is reported only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Whether the outputs are within the tolerance; `None` for a step that is reported only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
}

/// What a model put out at a step.
struct Found<'a> {
    answer: &'a [i32],
    q_halt: &'a [f32],
    q_continue: &'a [f32],
    logits: Option<&'a [f32]>,
    carry: Option<Carry>,
}

impl StepComparison {
    fn new(
        golden: &Golden,
        (step, start): (usize, Start),
        found: &Found<'_>,
        tolerance: Option<f64>,
        argmax: bool,
    ) -> Result<Self> {
        let recorded = golden.logits(step)?;
        let (q_halt, q_continue) = golden.halting(step)?.unzip();
        let carry = golden.carry(step)?.filter(|_| start == Start::Own).zip(found.carry.as_ref());
        let mut this = Self {
            step,
            start,
            // A golden with logits against a session without them would pass unseen: it counts as infinitely far.
            logits: recorded.as_ref().map(|recorded| max_abs_error(found.logits.unwrap_or_default(), recorded)),
            argmax_differences: recorded.as_ref().map(|logits| argmax_differences(found.answer, logits)),
            q_halt: q_halt.map(|recorded| max_abs_error(found.q_halt, &recorded)),
            q_continue: q_continue.map(|recorded| max_abs_error(found.q_continue, &recorded)),
            z_h: carry.as_ref().map(|(recorded, found)| max_abs_error(&found.z_h, &recorded.z_h)),
            z_l: carry.as_ref().map(|(recorded, found)| max_abs_error(&found.z_l, &recorded.z_l)),
            tolerance,
            passed: None,
        };
        this.passed = tolerance.map(|tolerance| {
            this.output_errors().all(|error| error <= tolerance)
                && !(argmax && this.argmax_differences.is_some_and(|n| n > 0))
        });
        Ok(this)
    }

    /// The errors of what the model puts out, where it was recorded: these are judged.
    pub fn output_errors(&self) -> impl Iterator<Item = f64> {
        [self.logits, self.q_halt, self.q_continue].into_iter().flatten()
    }

    /// The errors of the carry, where it was recorded: these are reported only. Wherever they matter, the next step's
    /// outputs tell.
    pub fn carry_errors(&self) -> impl Iterator<Item = f64> {
        [self.z_h, self.z_l].into_iter().flatten()
    }
}

/// Runs every recorded step from a fresh carry on a step graph. A golden that is not stable, and has the reference's
/// carry after step 1, is judged at step 2 from that carry; its own second step is reported only.
///
/// The session must have the golden's batch, and return logits.
pub fn compare_step(
    session: &mut dyn StepSession,
    golden: &Golden,
    tolerances: &Tolerances,
) -> Result<Vec<StepComparison>> {
    golden.check_model("the model", session.config())?;
    let recorded = if golden.is_stable() { None } else { golden.carry(1)?.filter(|_| golden.steps() > 1) };
    let mut rows = Vec::with_capacity(golden.steps() + 1);
    let mut input = golden.first_step()?;
    for step in 1..=golden.steps() {
        let limit = tolerances.at(step).filter(|_| step != 2 || recorded.is_none());
        rows.push(one_step(session, golden, &input, (step, Start::Own), limit, tolerances.argmax)?);
        input.reset.fill(false);
    }
    if let Some(carry) = recorded {
        session.set_carry(&carry)?;
        rows.insert(2, one_step(session, golden, &input, (2, Start::Recorded), tolerances.at(2), tolerances.argmax)?);
    }
    Ok(rows)
}

fn one_step(
    session: &mut dyn StepSession,
    golden: &Golden,
    input: &ActStep,
    (step, start): (usize, Start),
    limit: Option<f64>,
    argmax: bool,
) -> Result<StepComparison> {
    let output = session.step(input)?;
    // Reading the carry may mean fetching it from a device, so only where there is something to compare it with.
    let carry = if golden.carry(step)?.is_some() { Some(session.carry()?) } else { None };
    let found = Found {
        answer: &output.answer,
        q_halt: &output.q_halt,
        q_continue: &output.q_continue,
        logits: output.logits.as_deref(),
        carry,
    };
    StepComparison::new(golden, (step, start), &found, limit, argmax)
}

/// Runs `steps` steps, none of them halting early, on a solve graph, or on an unrolled graph of as many steps.
///
/// The session must have the golden's batch, and return logits.
pub fn compare_solve(
    session: &mut dyn SolveSession,
    golden: &Golden,
    tolerances: &Tolerances,
    steps: usize,
) -> Result<StepComparison> {
    golden.check_model("the model", session.config())?;
    let ActStep { tokens, puzzle_ids, .. } = golden.first_step()?;
    let max_steps = (session.info().graph == trm_models::GraphKind::Solve).then_some(steps);
    let output = session.solve(&SolveInput { tokens, puzzle_ids, halt_threshold: f32::INFINITY, max_steps })?;
    let found = Found {
        answer: &output.answer,
        q_halt: &output.q_halt,
        q_continue: &output.q_continue,
        logits: output.logits.as_deref(),
        carry: None,
    };
    let mut row = StepComparison::new(golden, (steps, Start::Own), &found, tolerances.at(steps), tolerances.argmax)?;
    if output.steps.iter().any(|&ran| usize::try_from(ran) != Ok(steps)) {
        // Other numbers may agree by chance, as where the recursion has settled.
        row.passed = row.passed.map(|_| false);
    }
    Ok(row)
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
}
