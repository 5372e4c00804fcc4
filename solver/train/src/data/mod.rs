//! Training data: one endless, mixed stream of examples, each a function of the run's seed and its number.
//!
//! A run that resumes needs nothing but the number of the next example.

mod prefetch;
mod source;
mod stream;
mod wave;

use std::collections::HashSet;

pub use prefetch::Prefetch;
pub use stream::Stream;
use trm_puzzles::maze::shortest_path;
use trm_puzzles::{Grid, IGNORE_LABEL, Task, Verdict};
pub use wave::Wave;

use crate::Result;

/// A puzzle and its answer as the network sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainExample {
    /// Token ids of the puzzle, `[seq]`.
    pub tokens: Vec<i32>,
    /// Token ids of the answer, `[seq]`; [`IGNORE_LABEL`] where none is expected.
    pub labels: Vec<i32>,
    /// Row of the puzzle-embedding table.
    pub puzzle_id: i32,
    /// A maze's wave, where it is taught.
    pub wave: Option<Wave>,
}

impl TrainExample {
    /// The same maze with its wave; its label is the shortest path of [`shortest_path`], which cell by cell follows from the
    /// distances, whatever shortest path it was.
    fn with_wave(self, task: &dyn Task) -> Result<Self> {
        let puzzle = task.decode(&task.blank_grid(), &self.tokens)?;
        let Some(answer) = shortest_path(&puzzle) else { return Ok(self) };
        let wave = Wave::new(&puzzle, &answer);
        Ok(Self { labels: task.encode(&answer)?, wave, ..self })
    }

    /// A puzzle and its answer as grids; padding is no label.
    fn encode(task: &dyn Task, puzzle: &Grid, answer: &Grid, puzzle_id: i32) -> Result<Self> {
        let mut labels = task.encode(answer)?;
        for label in &mut labels {
            if Some(*label) == task.padding() {
                *label = IGNORE_LABEL;
            }
        }
        Ok(Self { tokens: task.encode(puzzle)?, labels, puzzle_id, wave: None })
    }
}

/// The tokens of puzzles that training must never show.
type Excluded = HashSet<Vec<i32>>;

/// Says in words what is wrong with an answer; `None` for one that the rules accept or cannot judge. An answer with
/// cells that are left open is wrong only where a rule is broken already.
fn broken_rule(task: &dyn Task, puzzle: &Grid, answer: &Grid, open_cells: bool) -> Option<String> {
    match task.verify(puzzle, answer) {
        Verdict::Verified { .. } | Verdict::Unverifiable { .. } => None,
        Verdict::Wrong(_) if open_cells && !task.judges_parts() => None,
        Verdict::Wrong(violation) => Some(format!("the answer breaks the rule `{}`: {violation}", violation.rule)),
        Verdict::Unsolved { .. } if open_cells => None,
        Verdict::Unsolvable { reason } => Some(format!("the puzzle has no answer: {reason}")),
        Verdict::Unsolved { reason, .. } => Some(format!("the answer is not complete: {reason}")),
    }
}

/// A well mixed number from two (the finaliser of `splitmix64`, S. Vigna).
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of tokens that is the same on every platform and in every version.
fn token_hash(tokens: &[i32]) -> u64 {
    tokens.iter().fold(tokens.len() as u64, |hash, &token| mix(hash, u64::from(token as u32)))
}

#[cfg(test)]
mod tests;
