//! The vote among the answers to many augmented copies of a test input, by the rules of the public `evaluators/arc.py`.

use std::collections::{BTreeMap, HashMap};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{ArcTask, Augmentation, crop};
use crate::{Grid, Result};

/// The numbers of answers, most voted first, among which the public evaluator looks for the right one.
pub const PASS_AT: [usize; 6] = [1, 2, 5, 10, 100, 1000];

/// An answer, and the predictions that agree on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// The answer; empty where the networks drew no rectangle of colours.
    pub grid: Grid,
    /// Number of predictions.
    pub count: usize,
    /// The mean of their halting probabilities.
    pub halt_probability: f64,
}

/// The votes for the answers to one test input.
#[derive(Clone, Debug, Default)]
pub struct Votes {
    /// Count and sum of probabilities of each answer, and the place at which it came first.
    answers: HashMap<Grid, (usize, f64, usize)>,
}

impl Votes {
    /// Counts a prediction.
    pub fn add(&mut self, grid: Grid, halt_probability: f64) {
        let place = self.answers.len();
        let (count, sum, _) = self.answers.entry(grid).or_insert((0, 0.0, place));
        *count += 1;
        *sum += halt_probability;
    }

    /// The answers, most votes first; of as many, the higher mean of halting probabilities; of equals, what came first.
    #[must_use]
    pub fn ranked(&self) -> Vec<Vote> {
        let mut ranked: Vec<_> =
            self.answers.iter().map(|(grid, &(count, sum, place))| (count, sum / count as f64, place, grid)).collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        let vote =
            |(count, halt_probability, _, grid): (_, _, _, &Grid)| Vote { grid: grid.clone(), count, halt_probability };
        ranked.into_iter().map(vote).collect()
    }
}

/// The predictions for many tasks, each mapped back to its task as it was before augmentation.
///
/// ```
/// use trm_puzzles::arc::{Arc, Predictions};
/// use trm_puzzles::{Grid, Task};
///
/// let mut predictions = Predictions::default();
/// let tokens = |rows: &[[u8; 2]]| Arc.encode(&Grid::from_rows(rows)?);
/// // Mirrored and with 1 and 2 exchanged, the network was asked for `[2, 0]` and said `[0, 2]`.
/// predictions.add("007bbfb7|||t4|||0213456789", &tokens(&[[2, 0]])?, &tokens(&[[0, 2]])?, 1.5)?;
/// let votes = predictions.ranked("007bbfb7", &Grid::from_rows(&[[0, 1]])?);
/// assert_eq!(votes[0].grid, Grid::from_rows(&[[1, 0]])?);
/// # Ok::<(), trm_puzzles::PuzzleError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    /// Votes by task and test input.
    tasks: HashMap<String, HashMap<Grid, Votes>>,
}

impl Predictions {
    /// Counts the answer of a network to a test input of an augmented copy, which `name` tells.
    ///
    /// `input` and `answer` are tokens `[900]`, untranslated; `q_halt` is the halting head's logit.
    ///
    /// # Errors
    /// Those of [`Augmentation::of_name`] and [`crop`].
    pub fn add(&mut self, name: &str, input: &[i32], answer: &[i32], q_halt: f32) -> Result<()> {
        let (id, augmentation) = Augmentation::of_name(name)?;
        let (input, answer) = (augmentation.undo(&crop(input)?), augmentation.undo(&crop(answer)?));
        if !self.tasks.contains_key(id) {
            self.tasks.insert(id.to_owned(), HashMap::new());
        }
        if let Some(inputs) = self.tasks.get_mut(id) {
            let probability = 1.0 / (1.0 + (-f64::from(q_halt)).exp());
            inputs.entry(input).or_default().add(answer, probability);
        }
        Ok(())
    }

    /// The answers to a test input of a task, best first; none if nothing was predicted.
    #[must_use]
    pub fn ranked(&self, id: &str, input: &Grid) -> Vec<Vote> {
        self.tasks.get(id).and_then(|inputs| inputs.get(input)).map(Votes::ranked).unwrap_or_default()
    }

    /// The share of tasks that are right among the first `k` answers: of each task the share of its test inputs, averaged over
    /// the tasks. An input without predictions is wrong. Tasks of which an output is not known are left out.
    #[must_use]
    pub fn score(&self, tasks: &[ArcTask], ks: &[usize]) -> Score {
        let mut totals: Vec<(usize, f64)> = ks.iter().map(|&k| (k, 0.0)).collect();
        let mut counted = 0;
        for task in tasks {
            let known = |(input, output): &(Grid, Option<Grid>)| Some((self.ranked(&task.id, input), output.clone()?));
            let Some(judged) = task.test.iter().map(known).collect::<Option<Vec<_>>>() else { continue };
            if judged.is_empty() {
                continue;
            }
            counted += 1;
            for (k, total) in &mut totals {
                let right = judged.iter().filter(|(ranked, output)| {
                    let first = ranked.get(..*k).unwrap_or(ranked);
                    first.iter().any(|vote| vote.grid == *output)
                });
                *total += right.count() as f64 / judged.len() as f64;
            }
        }
        for (_, total) in &mut totals {
            *total /= f64::from(counted.max(1));
        }
        Score { tasks: counted as usize, pass_at: totals }
    }

    /// The two best answers to each test input of these tasks, as Kaggle's ARC Prize takes them.
    #[must_use]
    pub fn submission(&self, tasks: &[ArcTask]) -> Submission {
        let attempts = |task: &ArcTask| {
            let of = |(input, _): &(Grid, Option<Grid>)| Attempts::of(self.ranked(&task.id, input));
            (task.id.clone(), task.test.iter().map(of).collect())
        };
        Submission(tasks.iter().map(attempts).collect())
    }
}

/// The result of [`Predictions::score`].
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Tasks that were judged.
    pub tasks: usize,
    /// `k`, and the share of tasks that are right among the first `k` answers.
    pub pass_at: Vec<(usize, f64)>,
}

/// The answers that are handed in for one test input: the best two, the best one twice where there is no other.
///
/// The public evaluator leaves out a test input without predictions, which moves the answers behind it; here it is answered
/// by one black cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts([Grid; 2]);

impl Attempts {
    fn of(ranked: Vec<Vote>) -> Self {
        let mut grids = ranked.into_iter().map(|vote| vote.grid);
        let first = grids.next().unwrap_or_else(|| Grid::filled(1, 1, 0));
        let second = grids.next().unwrap_or_else(|| first.clone());
        Self([first, second])
    }

    /// The first and the second attempt.
    #[must_use]
    pub fn grids(&self) -> &[Grid; 2] {
        &self.0
    }
}

impl Serialize for Attempts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        for (name, grid) in ["attempt_1", "attempt_2"].iter().zip(&self.0) {
            map.serialize_entry(name, &grid.rows().collect::<Vec<_>>())?;
        }
        map.end()
    }
}

/// `submission.json` of Kaggle's ARC Prize: `{ID: [{"attempt_1": GRID, "attempt_2": GRID}, …]}`, an object for each test
/// input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Submission(BTreeMap<String, Vec<Attempts>>);

impl Submission {
    /// The attempts at each test input of a task; `None` for a task that was not asked for.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<&[Attempts]> {
        self.0.get(id).map(Vec::as_slice)
    }
}
