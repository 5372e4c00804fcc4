//! The score of an answer: cells right by its label, and the verdict of the rules; and the counts of many of them.

use trm_puzzles::{Grid, IGNORE_LABEL, Task, Verdict};

/// A share of cases with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// Cases that count.
    pub hits: usize,
    /// All cases.
    pub total: usize,
}

impl Rate {
    /// `hits / total`, or `None` without cases.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.total > 0).then(|| self.hits as f64 / self.total as f64)
    }

    /// The 95 % Wilson score interval (E. B. Wilson, 1927), `(0, 1)` without cases.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        /// The 97.5 % quantile of the normal distribution.
        const Z: f64 = 1.959_963_984_540_054;
        let Some(share) = self.value() else { return (0.0, 1.0) };
        let n = self.total as f64;
        let scale = 1.0 + Z * Z / n;
        let centre = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
        ((centre - half).max(0.0), (centre + half).min(1.0))
    }

    /// Counts a case.
    pub fn add(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.total += 1;
    }
}

/// The mean of shares, each case counting as much as any other, whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeanShare {
    /// In units of 2^-64: integers add up to the same in any order, and puzzles finish in an order that depends on the
    /// batch.
    sum: u128,
    cases: usize,
}

impl MeanShare {
    /// The mean, or `None` without cases.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.cases > 0).then(|| self.sum as f64 / 2.0_f64.powi(64) / self.cases as f64)
    }

    /// Cases that count.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// Adds a share, `of` being more than 0.
    fn add(&mut self, hits: usize, of: usize) {
        self.sum += ((hits as u128) << 64) / of as u128;
        self.cases += 1;
    }
}

/// An answer against its label, and by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Against the label; `None` if there is none, or one without a labelled cell.
    pub label: Option<LabelScore>,
    /// True if the rules accept it; `None` where they cannot tell.
    pub valid: Option<bool>,
}

/// An answer against its label. Cells of [`IGNORE_LABEL`] do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelScore {
    /// Labelled cells that are right.
    pub right: usize,
    /// Labelled cells, at least one.
    pub labelled: usize,
}

impl Score {
    /// The score of an answer, in tokens, to a puzzle. One that decodes to no grid is not valid.
    #[must_use]
    pub fn of(task: &dyn Task, puzzle: &Grid, label: Option<&[i32]>, answer: &[i32]) -> Self {
        let valid = match task.answer(puzzle, answer) {
            Ok(grid) => validity(&task.verify(puzzle, &grid)),
            Err(_) => Some(false),
        };
        Self { label: label.and_then(|label| LabelScore::of(label, answer)), valid }
    }

    /// The score of an answer, in tokens, that the rules have judged before.
    #[must_use]
    pub fn of_judged(verdict: &Verdict, label: Option<&[i32]>, answer: &[i32]) -> Self {
        Self { label: label.and_then(|label| LabelScore::of(label, answer)), valid: validity(verdict) }
    }

    /// True if every labelled cell is right; `None` without labels.
    #[must_use]
    pub fn exact(&self) -> Option<bool> {
        self.label.map(LabelScore::is_exact)
    }
}

impl LabelScore {
    /// Compares an answer with its label. `None` if no cell is labelled: then there is nothing to be right about.
    #[must_use]
    pub fn of(label: &[i32], answer: &[i32]) -> Option<Self> {
        let labelled = || label.iter().zip(answer).filter(|(label, _)| **label != IGNORE_LABEL);
        let score =
            Self { right: labelled().filter(|(label, cell)| label == cell).count(), labelled: labelled().count() };
        (score.labelled > 0).then_some(score)
    }

    /// True if every labelled cell is right.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.right == self.labelled
    }
}

/// Returns true if a verdict accepts the answer; `None` if it cannot tell.
#[must_use]
pub fn validity(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Unverifiable { .. } => None,
        verdict => Some(verdict.is_verified()),
    }
}

/// The counts of many answers' scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scores {
    /// Answers that equal the label on every labelled cell, of those with a label.
    pub exact: Rate,
    /// Labelled cells that are right. Cells of one answer hang together: an interval would say nothing.
    pub cell: Rate,
    /// The mean over puzzles of the share of labelled cells that are right. It is what the public code reports as
    /// `accuracy` (`ACTLossHead`): the labels' ignored cells count for nothing, and neither does a puzzle without labelled
    /// cells. Where all puzzles have equally many labelled cells, it equals `cell`.
    pub accuracy: MeanShare,
    /// Answers that the task's rules accept, of those that can be judged.
    pub valid: Rate,
}

impl Scores {
    /// Counts an answer.
    pub fn add(&mut self, score: &Score) {
        if let Some(label) = score.label {
            self.exact.add(label.is_exact());
            self.cell.hits += label.right;
            self.cell.total += label.labelled;
            self.accuracy.add(label.right, label.labelled);
        }
        if let Some(valid) = score.valid {
            self.valid.add(valid);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wilson_interval_is_that_of_the_textbook() {
        let close = |(low, high): (f64, f64), expected: (f64, f64)| {
            (low - expected.0).abs() < 5e-5 && (high - expected.1).abs() < 5e-5
        };
        // statsmodels.stats.proportion.proportion_confint(count, n, method="wilson")
        for (hits, total, expected) in [
            (105, 200, (0.45597, 0.59308)),
            (199, 200, (0.97223, 0.99912)),
            (0, 10, (0.0, 0.27753)),
            (10, 10, (0.72247, 1.0)),
        ] {
            let interval = Rate { hits, total }.interval();
            assert!(close(interval, expected), "{hits}/{total}: {interval:?}, expected {expected:?}");
        }
        assert_eq!(Rate::default().interval(), (0.0, 1.0));
        assert_eq!(Rate::default().value(), None);
    }

    /// All answers' figures.
    fn figures(labels: &[Vec<i32>], answers: &[Vec<i32>]) -> (Rate, Rate, MeanShare) {
        let mut scores = Scores::default();
        for (label, answer) in labels.iter().zip(answers) {
            scores.add(&Score { label: LabelScore::of(label, answer), valid: None });
        }
        (scores.exact, scores.cell, scores.accuracy)
    }

    #[test]
    fn unlabelled_cells_do_not_count() {
        let score = LabelScore::of(&[2, IGNORE_LABEL, 3, 4], &[2, 9, 3, 5]).expect("labelled cells");
        assert_eq!((score.right, score.labelled), (2, 3));
        assert!(LabelScore::of(&[IGNORE_LABEL; 2], &[0, 7]).is_none());
    }

    #[test]
    fn accuracy_is_not_the_share_of_all_cells() {
        let labels = [vec![1, 1, 1, 1], vec![1, IGNORE_LABEL, IGNORE_LABEL, IGNORE_LABEL], vec![IGNORE_LABEL; 4]];
        let (exact, cell, accuracy) = figures(&labels, &[vec![0, 0, 0, 1], vec![1, 0, 0, 0], vec![1; 4]]);
        assert_eq!((exact.hits, exact.total), (1, 2));
        assert_eq!((cell.hits, cell.total), (2, 5));
        // A quarter of the first and all of the second; the third has no label.
        assert_eq!((accuracy.value(), accuracy.cases()), (Some(0.625), 2));
        assert_eq!(figures(&[], &[]).2.value(), None);
    }

    proptest! {
        /// The public loss head's figures, written over whole arrays as its own lines are: mask, counts and hits of all
        /// rows first, then means over the rows that have labels.
        #[test]
        fn figures_are_those_of_the_public_loss_head(
            cells in 1_usize..12,
            rows in prop::collection::vec(prop::collection::vec((0..4_i32, 0..4_i32, prop::bool::weighted(0.4)), 12), 0..20),
        ) {
            let label = |(label, _, ignored): &(i32, i32, bool)| if *ignored { IGNORE_LABEL } else { *label };
            let labels: Vec<Vec<i32>> = rows.iter().map(|row| row[..cells].iter().map(label).collect()).collect();
            let answers: Vec<Vec<i32>> = rows.iter().map(|row| row[..cells].iter().map(|cell| cell.1).collect()).collect();
            let (exact, cell, accuracy) = figures(&labels, &answers);

            let (flat, predicted) = (labels.concat(), answers.concat());
            let mask: Vec<f64> = flat.iter().map(|label| f64::from(u8::from(*label != -100))).collect();
            let correct: Vec<f64> =
                (0..flat.len()).map(|i| mask[i] * f64::from(u8::from(flat[i] == predicted[i]))).collect();
            let sum = |values: &[f64]| values.chunks(cells).map(|row| row.iter().sum()).collect::<Vec<f64>>();
            let (counts, hits) = (sum(&mask), sum(&correct));
            let valid: Vec<usize> = (0..counts.len()).filter(|row| counts[*row] > 0.0).collect();
            let mean = |value: &dyn Fn(usize) -> f64| {
                (!valid.is_empty()).then(|| valid.iter().map(|row| value(*row)).sum::<f64>() / valid.len() as f64)
            };
            let near = |found: Option<f64>, expected: Option<f64>| match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
                (found, expected) => found == expected,
            };
            prop_assert!(near(accuracy.value(), mean(&|row| hits[row] / counts[row].max(1.0))), "{:?}", accuracy);
            prop_assert!(near(exact.value(), mean(&|row| f64::from(u8::from((hits[row] - counts[row]).abs() < 0.5)))), "{:?}", exact);
            let all = (!valid.is_empty()).then(|| hits.iter().sum::<f64>() / counts.iter().sum::<f64>());
            prop_assert!(near(cell.value(), all), "{:?}", cell);
        }
    }
}
