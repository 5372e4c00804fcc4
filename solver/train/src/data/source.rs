//! One source of examples: a generator, a data set of the public format, or a file of JSON lines.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::Path;

use rand::Rng;
use rayon::prelude::*;
use trm_intake::{Fault, Hint as _};
use trm_models::TrmConfig;
use trm_puzzles::formats::{jsonl, read_limited};
use trm_puzzles::{
    DataSet, Generate, Grade, Grid, IGNORE_LABEL, MazeGenerator, PuzzleKind, RatedSudokuGenerator, Sudoku,
    SudokuGenerator, Symmetry, Task,
};
use trm_solver::SolverError;

use super::{TrainExample, broken_rule, mix, token_hash};
use crate::config_sections::{DataConfig, GradeConfig};
use crate::{Result, TrainError};

/// A source of examples.
#[derive(Debug)]
pub(super) enum Source {
    /// Fresh puzzles, of one of these generators in equal parts.
    Generated(Vec<Box<dyn Generate>>),
    /// Examples in groups of puzzles, as the public data sets have them.
    Stored(Stored),
}

/// A finite source.
#[derive(Debug)]
pub(super) struct Stored {
    examples: Vec<TrainExample>,
    /// Groups that are trained on: puzzles, each a range of examples.
    train: Vec<Vec<std::ops::Range<usize>>>,
    /// Examples that are cut off for evaluation.
    held_out: Vec<usize>,
}

impl Source {
    /// Opens and checks a source. `held_out` is the share of a finite one that is cut off.
    pub(super) fn open(data: &DataConfig, kind: PuzzleKind, config: &TrmConfig, held_out: f64) -> Result<Self> {
        if let Some(dir) = &data.dataset {
            return Ok(Self::Stored(Stored::data_set(dir, kind, config, held_out)?));
        }
        if let Some(file) = &data.jsonl {
            return Ok(Self::Stored(Stored::jsonl(file, kind, held_out)?));
        }
        let generators: Vec<Box<dyn Generate>> = match kind {
            PuzzleKind::Sudoku(task) => sudoku_generators(task, data)?,
            PuzzleKind::Maze(task) => {
                let layouts: Vec<_> = data.layouts.iter().copied().map(Into::into).collect();
                let border = data.border && task.height() >= 5 && task.width() >= 5;
                let generator = MazeGenerator::new(task).layouts(&layouts).border(border).spacing(data.spacing.into());
                vec![Box::new(match data.sides {
                    Some([least, most]) => generator.sides(least, most),
                    None => generator,
                })]
            }
            PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => {
                return Err(TrainError::TrainData {
                    origin: "generate".to_owned(),
                    reason: format!("nothing generates {} tasks", kind.task().name()),
                    hint: "name a data set or a JSONL file".to_owned(),
                });
            }
        };
        Ok(Self::Generated(generators))
    }

    /// The example that `rng` draws. `position` counts through a finite source, an epoch after the other, each in its
    /// own order; without one the example is any.
    pub(super) fn draw(
        &self,
        task: &dyn Task,
        rng: &mut dyn Rng,
        seed: u64,
        position: Option<u64>,
    ) -> Result<TrainExample> {
        match self {
            Self::Generated(generators) => {
                let generator = &generators[below(rng, generators.len())];
                let example = generator.generate(rng)?;
                TrainExample::encode(task, &example.puzzle, &example.solution, 0)
            }
            Self::Stored(stored) => {
                let groups = stored.train.len() as u64;
                let position = position.unwrap_or_else(|| rng.next_u64());
                let group = permuted(position % groups, groups, mix(seed, position / groups));
                let puzzles = &stored.train[group as usize];
                let examples = &puzzles[below(rng, puzzles.len())];
                Ok(stored.examples[examples.start + below(rng, examples.len())].clone())
            }
        }
    }

    /// Puzzles that training never sees: those cut off, or fresh ones.
    pub(super) fn held_out(&self, task: &dyn Task, rng: &mut dyn Rng, count: usize) -> Result<Vec<TrainExample>> {
        match self {
            Self::Generated(_) => (0..count).map(|_| self.draw(task, rng, 0, None)).collect(),
            Self::Stored(stored) => Ok(stored.evenly(count)),
        }
    }

    /// Up to `count` examples of a file or folder that is for evaluation only, evenly spread.
    pub(super) fn all_held_out(&self, count: usize) -> Vec<TrainExample> {
        match self {
            Self::Generated(_) => Vec::new(),
            Self::Stored(stored) => {
                spread(stored.examples.len(), count).map(|at| stored.examples[at].clone()).collect()
            }
        }
    }
}

fn sudoku_generators(task: Sudoku, data: &DataConfig) -> Result<Vec<Box<dyn Generate>>> {
    if let Some([least, most]) = data.rating {
        return Ok(vec![Box::new(RatedSudokuGenerator::new(task, least..=most)?)]);
    }
    let grades: &[RangeInclusive<Grade>] = match data.grade {
        GradeConfig::Easy => &[Grade::Singles..=Grade::Singles],
        GradeConfig::Hard => &[Grade::Harder..=Grade::Search],
        GradeConfig::Any => &[Grade::Singles..=Grade::Singles, Grade::Harder..=Grade::Search],
    };
    let generator = |grades: &RangeInclusive<Grade>| -> Result<Box<dyn Generate>> {
        Ok(Box::new(match data.givens {
            Some([low, high]) => SudokuGenerator::new(task, grades.clone(), low..=high)?,
            None if *grades.start() == Grade::Singles => SudokuGenerator::easy(task)?,
            None => SudokuGenerator::hard(task)?,
        }))
    };
    grades.iter().map(generator).collect()
}

impl Stored {
    fn data_set(dir: &Path, kind: PuzzleKind, config: &TrmConfig, held_out: f64) -> Result<Self> {
        let data = DataSet::read(dir)?;
        let (task, found) = (kind.task(), &data.metadata);
        let origin = dir.display().to_string();
        if (found.seq_len, found.vocab_size) != (task.seq_len(), task.vocab_size()) {
            let shape = |seq_len: usize, vocab: usize| format!("seq_len {seq_len} and vocab_size {vocab}");
            return Err(SolverError::DataSetMismatch {
                origin,
                found: shape(found.seq_len, found.vocab_size),
                model: trm_solver::model::describe(&kind),
                expected: shape(task.seq_len(), task.vocab_size()),
            }
            .into());
        }
        let embedded = config.puzzle_emb_ndim > 0;
        if embedded && found.num_puzzle_identifiers > config.num_puzzle_identifiers {
            return Err(TrainError::TrainData {
                origin,
                reason: format!(
                    "{} puzzle identifiers, the model has {}",
                    found.num_puzzle_identifiers, config.num_puzzle_identifiers
                ),
                hint: format!("set model.num_puzzle_identifiers = {}", found.num_puzzle_identifiers),
            });
        }
        let wrong = (0..data.len()).into_par_iter().find_map_first(|index| {
            let (tokens, labels) = (data.input(index)?, data.label(index)?);
            wrong_label(task.as_ref(), tokens, labels).map(|reason| (index, reason))
        });
        if let Some((index, reason)) = wrong {
            return Err(bad_label(format!("{origin}, example {index}"), reason));
        }
        let examples = (0..data.len())
            .filter_map(|index| {
                Some(TrainExample {
                    tokens: data.input(index)?.to_vec(),
                    labels: data.label(index)?.to_vec(),
                    puzzle_id: if embedded { data.puzzle_identifiers[index] } else { 0 },
                    wave: None,
                })
            })
            .collect();
        let range = |indices: &[i32]| indices[0] as usize..indices[1] as usize;
        let puzzles: Vec<_> = data.puzzle_indices.windows(2).map(range).collect();
        let groups = data.group_indices.windows(2).map(|group| puzzles[range(group)].to_vec()).collect();
        Self::cut(&origin, examples, groups, held_out)
    }

    fn jsonl(file: &Path, kind: PuzzleKind, held_out: f64) -> Result<Self> {
        let origin = file.display().to_string();
        let task = kind.task();
        let mut examples = Vec::new();
        for puzzle in jsonl::parse_for(&origin, &read_limited(file)?, kind)? {
            puzzle.check()?;
            let Some(answer) = &puzzle.solution else {
                return Err(TrainError::TrainData {
                    origin: puzzle.source,
                    reason: "no answer".to_owned(),
                    hint: "training needs {\"puzzle\": GRID, \"answer\": GRID} in every line".to_owned(),
                });
            };
            if let Some(reason) = broken_rule(task.as_ref(), &puzzle.grid, answer, false) {
                return Err(bad_label(puzzle.source, reason.into()));
            }
            examples.push(TrainExample::encode(task.as_ref(), &puzzle.grid, answer, 0)?);
        }
        let groups = (0..examples.len()).map(|index| std::iter::once(index..index + 1).collect()).collect();
        Self::cut(&origin, examples, groups, held_out)
    }

    /// Cuts off a share of the groups by a hash of their first puzzles, so that a puzzle that is there twice is on one
    /// side: at least one group, and at least one stays.
    fn cut(
        origin: &str,
        examples: Vec<TrainExample>,
        groups: Vec<Vec<std::ops::Range<usize>>>,
        share: f64,
    ) -> Result<Self> {
        let key = |group: &[std::ops::Range<usize>]| token_hash(&examples[group[0].start].tokens);
        let mut keys: Vec<u64> = groups.iter().map(|group| key(group)).collect();
        keys.sort_unstable();
        keys.dedup();
        let cut = if share > 0.0 {
            ((keys.len() as f64 * share).ceil() as usize).min(keys.len().saturating_sub(1)).max(1)
        } else {
            0
        };
        // The first key that is kept.
        let Some(&least) = keys.get(cut).filter(|_| !examples.is_empty() && (share == 0.0 || cut < keys.len())) else {
            return Err(TrainError::TrainData {
                origin: origin.to_owned(),
                reason: format!("{} different puzzles are too few to train on and to evaluate", keys.len()),
                hint: "give more, or set evaluation.held_out = 0 and evaluation.jsonl".to_owned(),
            });
        };
        let (train, evaluate): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| key(group) >= least);
        // One example of a puzzle: its augmented copies say nothing new.
        let held_out = evaluate.iter().map(|group| group[0].start).collect();
        Ok(Self { examples, train, held_out })
    }

    fn evenly(&self, count: usize) -> Vec<TrainExample> {
        spread(self.held_out.len(), count).map(|at| self.examples[self.held_out[at]].clone()).collect()
    }
}

/// Up to `count` of `length` positions, evenly spread.
fn spread(length: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(length);
    (0..count).map(move |index| index * length / count)
}

/// Says in words what is wrong with a data set's label; `None` for one that is right, or that nobody can judge.
fn wrong_label(task: &dyn Task, tokens: &[i32], labels: &[i32]) -> Option<Fault> {
    if labels.iter().all(|&label| label == IGNORE_LABEL) {
        return Some("no cell has a label".into());
    }
    if !task.has_rules() {
        return None;
    }
    let puzzle = task.decode(&task.blank_grid(), tokens).ok()?;
    if let Err(error) = task.check(&puzzle) {
        let what = format!("the puzzle is none: {error}");
        return Some(Fault { what, hint: error.hint().map(Cow::into_owned) });
    }
    let answer = task.decode(&puzzle, labels).ok()?;
    broken_rule(task, &puzzle, &answer, labels.contains(&IGNORE_LABEL)).map(Fault::from)
}

fn bad_label(origin: String, Fault { what, hint }: Fault) -> TrainError {
    let own = "correct the answer or leave the puzzle out: a model learns what it is shown";
    let hint = hint.map_or_else(|| own.to_owned(), |hint| format!("{hint}; {own}"));
    TrainError::TrainData { origin, reason: what, hint }
}

/// The example as a symmetry of the task shows it. ARC data sets come augmented, and their grids may lie anywhere on
/// the canvas: they stay as they are, and so do sequences of tokens.
pub(super) fn transform(task: &dyn Task, symmetry: &dyn Symmetry, example: TrainExample) -> Result<TrainExample> {
    if !task.has_rules() {
        return Ok(example);
    }
    let puzzle = task.decode(&task.blank_grid(), &example.tokens)?;
    let answer = task.decode(&puzzle, &example.labels)?;
    let mut turned =
        TrainExample::encode(task, &symmetry.apply(&puzzle)?, &symmetry.apply(&answer)?, example.puzzle_id)?;
    if example.labels.contains(&IGNORE_LABEL) {
        // 0 stays 0 under every symmetry, other values may be exchanged.
        let labelled = example.labels.iter().map(|&label| u8::from(label != IGNORE_LABEL)).collect();
        let labelled = symmetry.apply(&Grid::from_cells(task.height(), task.width(), labelled)?)?;
        for (label, &is_labelled) in turned.labels.iter_mut().zip(labelled.cells()) {
            if is_labelled == 0 {
                *label = IGNORE_LABEL;
            }
        }
    }
    Ok(turned)
}

/// A number below `bound`; 0 for a bound of 0. The bias of the product, below 2^-40 here, is of no interest.
pub(super) fn below(rng: &mut (impl Rng + ?Sized), bound: usize) -> usize {
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}

/// Position to which a shuffle by `seed` moves `position` of `length`, without the list: a Feistel network over the
/// next power of four, walked on until it falls inside.
pub(super) fn permuted(position: u64, length: u64, seed: u64) -> u64 {
    let half = (64 - length.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1_u64 << half) - 1;
    let mut value = position;
    loop {
        let (mut left, mut right) = (value >> half, value & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (mix(seed ^ (round << 56), right) & mask));
        }
        value = (left << half) | right;
        if value < length {
            return value;
        }
    }
}
