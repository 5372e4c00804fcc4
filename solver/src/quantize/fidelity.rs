//! Two versions of a model on the same puzzles, step by step.

use serde::Serialize;
use trm_engine::{ActStep, Carry, StepSession};
use trm_puzzles::Task;

use crate::measure::score::{Score, Scores};
use crate::{Question, Rate, Result};

/// A share before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// In float32, 0 to 1.
    pub before: f64,
    /// In the smaller precision.
    pub after: f64,
}

/// Where both versions stand after a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepFidelity {
    /// Answers equal to the label; `None` where puzzles have no labels.
    pub exact: Option<Share>,
    /// Answers that the task's rules accept; `None` for a task without rules.
    pub valid: Option<Share>,
    /// Cosine between the carries, the mean over puzzles.
    pub cosine: f64,
    /// The smallest of these cosines.
    pub least_cosine: f64,
}

/// Comparison of a version of a model with the one in float32.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fidelity {
    /// Puzzles that both solved.
    pub puzzles: usize,
    /// After 1, 2, … steps.
    pub steps: Vec<StepFidelity>,
    /// Share of puzzles lost in the end, of those solved by only one of the two: exact answers where there are labels, valid
    /// ones otherwise. Below 0 where more were won than lost.
    pub loss: f64,
    /// Its 95 % interval.
    pub loss_interval: (f64, f64),
}

impl Fidelity {
    /// Returns true if no more was lost than allowed, of exact answers and of valid ones; false where neither was
    /// measured.
    #[must_use]
    pub fn passed(&self, max_loss: f64) -> bool {
        let Some(last) = self.steps.last().filter(|_| self.puzzles > 0) else { return false };
        let shares = [last.exact, last.valid];
        let holds = |share: &Share| share.before - share.after <= max_loss + 1e-9;
        shares.iter().any(Option::is_some) && shares.iter().flatten().all(holds)
    }
}

/// Runs both on the questions, every step that the model was trained with, and counts.
///
/// # Errors
/// A session fails, or a question does not fit.
pub(super) fn compare(
    before: &mut dyn StepSession,
    after: &mut dyn StepSession,
    task: &dyn Task,
    questions: &[Question],
) -> Result<Fidelity> {
    let config = before.config().clone();
    let rows = before.batch();
    let mut tallies = vec![Tally::default(); config.halt_max_steps];
    for chunk in questions.chunks(rows) {
        let puzzles: Vec<&Question> = chunk.iter().cycle().take(rows).collect();
        let tokens = puzzles.iter().flat_map(|question| question.tokens.iter().copied()).collect();
        let mut input = ActStep::first(tokens, puzzles.iter().map(|question| question.puzzle_id).collect());
        input.idle.iter_mut().skip(chunk.len()).for_each(|idle| *idle = true);
        for tally in &mut tallies {
            let answers = [before.step(&input)?.answer, after.step(&input)?.answer];
            let carries = [before.carry()?, after.carry()?];
            for (row, question) in chunk.iter().enumerate() {
                let cells = row * config.seq_len..(row + 1) * config.seq_len;
                let [before, after] = [0, 1].map(|side| {
                    Score::of(task, &question.grid, question.label.as_deref(), &answers[side][cells.clone()])
                });
                tally.add(before, after, cosine(&carries, row, rows));
            }
            input.reset.fill(false);
        }
    }
    let last = tallies.last().copied().unwrap_or_default();
    let (loss, loss_interval) = last.loss();
    Ok(Fidelity { puzzles: questions.len(), steps: tallies.iter().map(Tally::shares).collect(), loss, loss_interval })
}

/// Cosine of one row between both carries, `z_h` and `z_l` taken together as one vector.
fn cosine(carries: &[Carry; 2], row: usize, rows: usize) -> f64 {
    let part = |values: &[f32]| {
        let width = values.len() / rows;
        row * width..(row + 1) * width
    };
    let pairs = || {
        let [a, b] = carries;
        let h = a.z_h[part(&a.z_h)].iter().zip(&b.z_h[part(&b.z_h)]);
        h.chain(a.z_l[part(&a.z_l)].iter().zip(&b.z_l[part(&b.z_l)])).map(|(&a, &b)| (f64::from(a), f64::from(b)))
    };
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    let norms = pairs().map(|(a, _)| a * a).sum::<f64>() * pairs().map(|(_, b)| b * b).sum::<f64>();
    dot / norms.sqrt()
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    scores: [Scores; 2],
    /// Puzzles that only one of the two got right, by label or else by rules: (before, after).
    only: (usize, usize),
    cosines: f64,
    least_cosine: Option<f64>,
    puzzles: usize,
}

impl Tally {
    fn add(&mut self, before: Score, after: Score, cosine: f64) {
        self.scores.iter_mut().zip([before, after]).for_each(|(scores, score)| scores.add(&score));
        let right = |score: Score| score.exact().or(score.valid).unwrap_or(false);
        self.only.0 += usize::from(right(before) && !right(after));
        self.only.1 += usize::from(right(after) && !right(before));
        self.cosines += cosine;
        self.least_cosine = Some(self.least_cosine.map_or(cosine, |least| if cosine < least { cosine } else { least }));
        self.puzzles += 1;
    }

    fn shares(&self) -> StepFidelity {
        let [before, after] = &self.scores;
        let share = |before: Rate, after: Rate| Some(Share { before: before.value()?, after: after.value()? });
        StepFidelity {
            exact: share(before.exact, after.exact),
            valid: share(before.valid, after.valid),
            cosine: self.cosines / self.puzzles as f64,
            least_cosine: self.least_cosine.unwrap_or(f64::NAN),
        }
    }

    /// The difference of two paired shares with its normal 95 % interval.
    fn loss(&self) -> (f64, (f64, f64)) {
        const Z: f64 = 1.959_963_984_540_054;
        let (n, lost, won) = (self.puzzles as f64, self.only.0 as f64, self.only.1 as f64);
        let loss = (lost - won) / n;
        let half = Z * (lost + won - (lost - won) * (lost - won) / n).max(0.0).sqrt() / n;
        (loss, (loss - half, loss + half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::score::LabelScore;

    fn fidelity(exact: Option<Share>, valid: Option<Share>, puzzles: usize) -> Fidelity {
        let step = StepFidelity { exact, valid, cosine: 1.0, least_cosine: 1.0 };
        Fidelity { puzzles, steps: vec![step], loss: 0.0, loss_interval: (0.0, 0.0) }
    }

    #[test]
    fn the_gate_is_for_what_was_measured() {
        let share = |before, after| Some(Share { before, after });
        assert!(fidelity(share(0.95, 0.94), share(0.95, 0.96), 100).passed(0.01));
        assert!(!fidelity(share(0.95, 0.93), share(0.95, 0.96), 100).passed(0.01));
        assert!(!fidelity(share(0.95, 0.95), share(0.95, 0.9), 100).passed(0.01));
        assert!(!fidelity(None, None, 100).passed(0.01), "nothing was measured");
        assert!(!fidelity(share(0.95, 0.95), None, 0).passed(0.01));
        assert!(!fidelity(share(0.95, f64::NAN), None, 10).passed(0.01));
    }

    #[test]
    fn losses_are_paired() {
        let [right, wrong] = [4, 3].map(|right| Score { label: Some(LabelScore { right, labelled: 4 }), valid: None });
        let mut tally = Tally::default();
        for (before, after, times) in [(right, right, 90), (right, wrong, 6), (wrong, right, 2), (wrong, wrong, 2)] {
            (0..times).for_each(|_| tally.add(before, after, 1.0));
        }
        // McNemar's counts: (6 - 2) / 100, and sqrt(8 - 16 / 100) / 100 as its standard error.
        let (loss, (low, high)) = tally.loss();
        assert!((loss - 0.04).abs() < 1e-12, "{loss}");
        assert!((low + 0.014_879).abs() < 1e-5 && (high - 0.094_879).abs() < 1e-5, "{low} {high}");
        let step = tally.shares();
        assert_eq!(step.exact, Some(Share { before: 0.96, after: 0.92 }));
        assert_eq!(step.valid, None);
    }
}
