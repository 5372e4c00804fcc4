//! Measuring a model on many puzzles: how many answers are exact, valid and optimal, after how many steps, how fast.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trm_engine::halt_signal;
use trm_engine::ort::ExecutionProvider;
use trm_models::TrmConfig;
use trm_puzzles::{IGNORE_LABEL, Task, Verdict};

use crate::solve::{AttemptKind, Observer, Question, SolveReport, Solver, StepView};
use crate::{HaltPolicy, Result};

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

    fn add(&mut self, hit: bool) {
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

/// Where the first attempts stand after a number of steps; one that has stopped counts with its last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepAccuracy {
    /// Puzzles whose answer equals the label on every labelled cell, of those with a label.
    pub exact: Rate,
    /// Labelled cells that are right.
    pub cell: Rate,
    /// The mean over puzzles of the share of labelled cells that are right: `accuracy` of the public loss head.
    pub accuracy: MeanShare,
    /// Answers that the task's rules accept, of those that can be judged.
    pub valid: Rate,
    /// Puzzles for which the model's own signal has asked to stop at this step or before.
    pub halted: Rate,
}

/// Counts of a model's answers to a set of puzzles.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// Puzzles that were finished.
    pub puzzles: usize,
    /// Final answers that equal the label on every labelled cell, of those with a label.
    pub exact: Rate,
    /// Labelled cells that are right in the final answers. Cells of one answer hang together: no interval is given.
    pub cell: Rate,
    /// The mean over puzzles of the share of labelled cells that are right in the final answers. It is what the public
    /// code reports as `accuracy` (`ACTLossHead`): the labels' ignored cells count for nothing, and neither does a puzzle
    /// without labelled cells. Where all puzzles have equally many labelled cells, it equals `cell`.
    pub accuracy: MeanShare,
    /// Final answers that the task's rules accept, of those that can be judged.
    pub valid: Rate,
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
    /// Against the label, where there is one.
    label: Option<LabelScore>,
    /// By the rules, where they can tell.
    valid: Option<bool>,
    /// The model has asked to stop, now or before.
    halted: bool,
}

/// An answer against its label.
#[derive(Debug, Clone, Copy)]
struct LabelScore {
    right: usize,
    labelled: usize,
}

impl LabelScore {
    /// `None` if no cell is labelled: then there is nothing to be right about.
    fn new(label: &[i32], answer: &[i32]) -> Option<Self> {
        let labelled = || label.iter().zip(answer).filter(|(label, _)| **label != IGNORE_LABEL);
        let score =
            Self { right: labelled().filter(|(label, cell)| label == cell).count(), labelled: labelled().count() };
        (score.labelled > 0).then_some(score)
    }

    /// Counts the answer.
    fn add_to(self, exact: &mut Rate, cell: &mut Rate, accuracy: &mut MeanShare) {
        exact.add(self.right == self.labelled);
        cell.hits += self.right;
        cell.total += self.labelled;
        accuracy.add(self.right, self.labelled);
    }
}

fn is_valid(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Unverifiable { .. } => None,
        verdict => Some(verdict.is_verified()),
    }
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
        let verdict = self.task.decode(puzzle, step.answer).map(|answer| self.task.verify(puzzle, &answer));
        let scores = self.running.entry(step.index).or_default();
        let halted_before = scores.last().is_some_and(|score| score.halted);
        scores.push(StepScore {
            label: step.question.label.as_ref().and_then(|label| LabelScore::new(label, step.answer)),
            valid: verdict.ok().as_ref().and_then(is_valid),
            halted: halted_before || halt_signal(&self.config, step.q_halt, step.q_continue) > self.halting_threshold,
        });
    }

    fn done(&mut self, index: usize, question: &Question, report: SolveReport) {
        let scores = self.running.remove(&index).unwrap_or_default();
        let total = &mut self.evaluation;
        for (step, into) in total.by_step.iter_mut().enumerate() {
            // An attempt that has stopped keeps its answer.
            let Some(score) = scores.get(step).or(scores.last()) else { continue };
            if let Some(label) = score.label {
                label.add_to(&mut into.exact, &mut into.cell, &mut into.accuracy);
            }
            if let Some(valid) = score.valid {
                into.valid.add(valid);
            }
            into.halted.add(score.halted);
        }
        if let Some(label) = question.label.as_ref().and_then(|label| LabelScore::new(label, &report.tokens)) {
            label.add_to(&mut total.exact, &mut total.cell, &mut total.accuracy);
        }
        if let Some(valid) = is_valid(&report.verdict) {
            total.valid.add(valid);
            if self.task.judges_length() {
                total.optimal.add(report.verdict.path().is_some_and(|path| path.optimal()));
            }
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
        let (mut exact, mut cell, mut accuracy) = Default::default();
        for score in labels.iter().zip(answers).filter_map(|(label, answer)| LabelScore::new(label, answer)) {
            score.add_to(&mut exact, &mut cell, &mut accuracy);
        }
        (exact, cell, accuracy)
    }

    #[test]
    fn unlabelled_cells_do_not_count() {
        let score = LabelScore::new(&[2, IGNORE_LABEL, 3, 4], &[2, 9, 3, 5]).expect("labelled cells");
        assert_eq!((score.right, score.labelled), (2, 3));
        assert!(LabelScore::new(&[IGNORE_LABEL; 2], &[0, 7]).is_none());
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
