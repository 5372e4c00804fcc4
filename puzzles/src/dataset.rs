//! The data set folders of the public training code.

mod arc;
mod arrays;
mod examples;
mod numpy_random;
mod puzzles;
mod writer;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trm_intake::{Budget, Exceeded, Fault, Limits, Printable};

pub use self::arc::{ArcRecipe, ArcReport};
use self::arrays::{Arrays, indices};
pub use self::examples::{Distinct, Labelled};
pub use self::puzzles::PuzzleRecipe;
pub use self::writer::{DataSetWriter, SplitWriter};
use crate::formats::npy;
use crate::json::{number, number_or_null};
use crate::{Example, Generate, IGNORE_LABEL, PAD, PuzzleError, Result, Task, seeded};

/// The one set that this crate writes.
const SET: &str = "all";

/// Limits of a data set: the bytes of all its arrays as they are kept, four a token, and its sets. The largest public
/// ones (a thousand augmentations of each evaluation task of ARC) take 3 GB.
pub const DATA_LIMITS: Limits = Limits { bytes: 4 << 30, items: 1_000, depth: 0, time: None };

/// Limits of `dataset.json`: the published ones have 300 bytes.
const DESCRIPTION_LIMITS: Limits = Limits { bytes: 1 << 20, items: 100_000, depth: 8, time: None };

/// Limits of `identifiers.json`: the public ARC set has 876,406 names of some 40 bytes.
const NAMES_LIMITS: Limits = Limits { bytes: 64 << 20, items: 2 << 20, depth: 8, time: None };

/// The longest name in one of these, in bytes.
const LONGEST_NAME: u64 = 1 << 10;

/// `dataset.json`, with the public code's field names (`PuzzleDatasetMetadata`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with the fields of dataset.json")]
pub struct DataSetMetadata {
    /// Token of padding.
    #[serde(deserialize_with = "number")]
    pub pad_id: i32,
    /// Label in the files that stands for "no label here".
    #[serde(default, deserialize_with = "number_or_null")]
    pub ignore_label_id: Option<i32>,
    /// Puzzle identifier of "no particular puzzle".
    #[serde(deserialize_with = "number")]
    pub blank_identifier_id: i32,
    /// Number of tokens.
    #[serde(deserialize_with = "number")]
    pub vocab_size: usize,
    /// Tokens of a sequence.
    #[serde(deserialize_with = "number")]
    pub seq_len: usize,
    /// Number of puzzle identifiers, the blank one included.
    #[serde(deserialize_with = "number")]
    pub num_puzzle_identifiers: usize,
    /// Number of groups: puzzles and their augmentations.
    #[serde(deserialize_with = "number")]
    pub total_groups: usize,
    /// Examples of a puzzle.
    #[serde(deserialize_with = "number")]
    pub mean_puzzle_examples: f64,
    /// Number of puzzles; older files lack it.
    #[serde(default, deserialize_with = "number_or_null", skip_serializing_if = "Option::is_none")]
    pub total_puzzles: Option<usize>,
    /// Names of the sets: the files are `{set}__inputs.npy` and so on.
    pub sets: Vec<String>,
}

/// Examples as tokens, with the puzzles and groups they belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Contents of `dataset.json`.
    pub metadata: DataSetMetadata,
    /// Tokens of the questions `[examples, seq_len]`.
    pub inputs: Vec<i32>,
    /// Tokens of the answers `[examples, seq_len]`, [`IGNORE_LABEL`] where there is no label.
    pub labels: Vec<i32>,
    /// Puzzle identifier of every example `[examples]` (the files hold one a puzzle).
    pub puzzle_identifiers: Vec<i32>,
    /// Puzzle `p` has the examples `puzzle_indices[p]..puzzle_indices[p + 1]`.
    pub puzzle_indices: Vec<i32>,
    /// Group `g` has the puzzles `group_indices[g]..group_indices[g + 1]`.
    pub group_indices: Vec<i32>,
    /// Name of every puzzle identifier (`identifiers.json`, in the folder or the one above); empty when there is none.
    pub identifiers: Vec<String>,
}

impl DataSet {
    /// Number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.puzzle_identifiers.len()
    }

    /// True if there are no examples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of question `index` `[seq_len]`, or `None` past the end.
    #[must_use]
    pub fn input(&self, index: usize) -> Option<&[i32]> {
        row(&self.inputs, index, self.metadata.seq_len)
    }

    /// Tokens of answer `index` `[seq_len]`, or `None` past the end.
    #[must_use]
    pub fn label(&self, index: usize) -> Option<&[i32]> {
        row(&self.labels, index, self.metadata.seq_len)
    }

    /// A data set of examples of one task, each a puzzle and a group of its own, without puzzle identifiers.
    /// # Errors
    /// Those of [`Task::encode`].
    pub fn from_examples(task: &dyn Task, examples: &[Example]) -> Result<Self> {
        let mut inputs = Vec::with_capacity(examples.len() * task.seq_len());
        let mut labels = Vec::with_capacity(examples.len() * task.seq_len());
        for example in examples {
            inputs.extend(task.encode(&example.puzzle)?);
            let label = task.encode(&example.solution)?;
            labels.extend(label.iter().map(|&t| if Some(t) == task.padding() { IGNORE_LABEL } else { t }));
        }
        let count = examples.len();
        let indices: Vec<i32> = (0..=count as i32).collect();
        Ok(Self {
            metadata: DataSetMetadata {
                pad_id: PAD,
                ignore_label_id: task.padding(),
                blank_identifier_id: 0,
                vocab_size: task.vocab_size(),
                seq_len: task.seq_len(),
                num_puzzle_identifiers: 1,
                total_groups: count,
                mean_puzzle_examples: 1.0,
                total_puzzles: Some(count),
                sets: vec![SET.to_owned()],
            },
            inputs,
            labels,
            puzzle_identifiers: vec![0; count],
            puzzle_indices: indices.clone(),
            group_indices: indices,
            identifiers: vec!["<blank>".to_owned()],
        })
    }

    /// A data set of `count` generated puzzles; the same seed gives the same set.
    ///
    /// # Errors
    /// Those of the generator, and of [`from_examples`](Self::from_examples).
    pub fn generate(generator: &dyn Generate, count: usize, seed: u64) -> Result<Self> {
        let mut rng = seeded(seed);
        let examples = (0..count).map(|_| generator.generate(&mut rng)).collect::<Result<Vec<_>>>()?;
        Self::from_examples(generator.task(), &examples)
    }

    /// Reads a folder that holds `dataset.json` (a split: `train` or `test`). Several sets become one, in their order.
    ///
    /// # Errors
    /// `Io`, `TooLarge` or `Json` of [`PuzzleError`]; [`PuzzleError::Data`] for parts that do not fit together.
    pub fn read(dir: &Path) -> Result<Self> {
        Self::read_within(dir, &mut Budget::new(DATA_LIMITS))
    }

    /// As [`read`](Self::read), drawing arrays and sets on `budget`. All headers are read before the first value.
    fn read_within(dir: &Path, budget: &mut Budget) -> Result<Self> {
        let path = dir.join("dataset.json");
        if !path.is_file() {
            let split = ["test", "train"].into_iter().find(|split| dir.join(split).join("dataset.json").is_file());
            let hint = split.map_or("give the folder that holds it".to_owned(), |split| {
                format!("give {}", dir.join(split).display())
            });
            return Err(PuzzleError::data(dir, Fault::from("no dataset.json in this folder").advise(hint)));
        }
        let metadata: DataSetMetadata = read_json(&path, DESCRIPTION_LIMITS, "a data set's description")?;
        if metadata.seq_len == 0 || metadata.vocab_size == 0 || metadata.sets.is_empty() {
            return Err(PuzzleError::data(path, "seq_len, vocab_size and sets must not be empty"));
        }
        metadata.check_sets(&path, budget)?;
        // Of arrays that together are too large, none is read.
        let mut rehearsal = budget.clone();
        for set in &metadata.sets {
            Arrays::open(dir, set, &metadata)?.draw(&mut rehearsal)?;
        }
        let identifiers = [Some(dir), dir.parent()]
            .into_iter()
            .flatten()
            .map(|folder| folder.join("identifiers.json"))
            .find(|path| path.is_file())
            .map(|path| read_json(&path, NAMES_LIMITS, "a list of names"))
            .transpose()?
            .unwrap_or_default();
        let mut data = Self {
            inputs: Vec::new(),
            labels: Vec::new(),
            puzzle_identifiers: Vec::new(),
            puzzle_indices: vec![0],
            group_indices: vec![0],
            identifiers,
            metadata,
        };
        for set in data.metadata.sets.clone() {
            data.append(dir, &set, budget)?;
        }
        Ok(data)
    }

    fn append(&mut self, dir: &Path, set: &str, budget: &mut Budget) -> Result<()> {
        let file = |name: &str| dir.join(format!("{set}__{name}.npy"));
        let arrays = Arrays::open(dir, set, &self.metadata)?;
        let count = arrays.inputs.shape()[0];
        // The small ones first: what is wrong with them is known before the large ones are read.
        let identifiers = arrays.puzzle_identifiers.values(budget)?;
        let puzzles = indices(arrays.puzzle_indices, &file("puzzle_indices"), count, "examples", budget)?;
        let groups = indices(arrays.group_indices, &file("group_indices"), identifiers.len(), "puzzles", budget)?;
        if puzzles.len() != identifiers.len() + 1 {
            return Err(PuzzleError::data(
                file("puzzle_indices"),
                format!("{} entries, {} puzzle identifiers need one more than that", puzzles.len(), identifiers.len()),
            ));
        }
        let known = self.metadata.num_puzzle_identifiers;
        if let Some(identifier) = identifiers.iter().find(|&&id| !usize::try_from(id).is_ok_and(|id| id < known)) {
            return Err(PuzzleError::data(
                file("puzzle_identifiers"),
                format!("identifier {identifier}, the data set has {known}"),
            ));
        }
        let inputs = arrays.inputs.values(budget)?;
        self.check_tokens(&inputs, &file("inputs"), false)?;
        let mut labels = arrays.labels.values(budget)?;
        for label in &mut labels {
            if Some(*label) == self.metadata.ignore_label_id {
                *label = IGNORE_LABEL;
            }
        }
        self.check_tokens(&labels, &file("labels"), true)?;

        for (range, &identifier) in puzzles.windows(2).zip(&identifiers) {
            let examples = (range[1] - range[0]) as usize;
            self.puzzle_identifiers.extend(std::iter::repeat_n(identifier, examples));
        }
        let (examples, puzzles_before) =
            (self.puzzle_indices.last().copied().unwrap_or(0), self.puzzle_indices.len() as i32 - 1);
        self.puzzle_indices.extend(puzzles.iter().skip(1).map(|i| i + examples));
        self.group_indices.extend(groups.iter().skip(1).map(|i| i + puzzles_before));
        append(&mut self.inputs, inputs);
        append(&mut self.labels, labels);
        Ok(())
    }

    fn check_tokens(&self, tokens: &[i32], path: &Path, labels: bool) -> Result<()> {
        let DataSetMetadata { seq_len, vocab_size, .. } = self.metadata;
        let is_token = |token: i32| usize::try_from(token).is_ok_and(|token| token < vocab_size);
        match tokens.iter().position(|&t| !(is_token(t) || (labels && t == IGNORE_LABEL))) {
            None => Ok(()),
            Some(at) => Err(PuzzleError::data(
                path,
                format!(
                    "row {} position {} holds {}, the vocabulary has {vocab_size} tokens",
                    at / seq_len,
                    at % seq_len,
                    tokens[at]
                ),
            )),
        }
    }

    /// Writes a folder that the public code (and [`DataSet::read`]) reads, and `identifiers.json` into the folder above.
    /// The folder appears complete or not at all; one that already holds something is refused.
    /// # Errors
    /// [`PuzzleError::Io`]; [`PuzzleError::Data`] for fields that do not fit, or a folder in use.
    pub fn write(&self, dir: &Path) -> Result<()> {
        self.check_shape(dir)?;
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            let fault = Fault::from("the folder already holds files");
            return Err(PuzzleError::data(dir, fault.advise("choose a new folder")));
        }
        let name = dir.file_name().ok_or_else(|| PuzzleError::data(dir, "not a folder name"))?;
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(PuzzleError::io("create", parent))?;
        self.write_identifiers(&parent.join("identifiers.json"))?;
        let staging = sibling(parent, &name.to_string_lossy());
        let written = self
            .write_files(&staging)
            .and_then(|()| fs::rename(&staging, dir).map_err(PuzzleError::io("rename the finished folder to", dir)));
        if written.is_err() {
            // The error that stopped the writing is the one to report.
            let _ = fs::remove_dir_all(&staging);
        }
        written
    }

    fn write_files(&self, dir: &Path) -> Result<()> {
        fs::create_dir(dir).map_err(PuzzleError::io("create", dir))?;
        let file = |name: &str| dir.join(format!("{SET}__{name}.npy"));
        let shape = [self.len(), self.metadata.seq_len];
        let ignored = self.metadata.ignore_label_id.unwrap_or(IGNORE_LABEL);
        let labels: Vec<i32> =
            self.labels.iter().map(|&label| if label == IGNORE_LABEL { ignored } else { label }).collect();
        let puzzle_identifiers: Vec<i32> = self
            .puzzle_indices
            .windows(2)
            .filter_map(|range| self.puzzle_identifiers.get(range[0] as usize).copied())
            .collect();
        npy::write(&file("inputs"), &shape, &self.inputs, false)?;
        npy::write(&file("labels"), &shape, &labels, false)?;
        for (name, values) in [
            ("puzzle_identifiers", &puzzle_identifiers),
            ("puzzle_indices", &self.puzzle_indices),
            ("group_indices", &self.group_indices),
        ] {
            npy::write(&file(name), &[values.len()], values, true)?;
        }
        let puzzles = self.puzzle_indices.len().saturating_sub(1);
        let metadata = DataSetMetadata {
            total_groups: self.group_indices.len().saturating_sub(1),
            total_puzzles: Some(puzzles),
            mean_puzzle_examples: self.len() as f64 / puzzles.max(1) as f64,
            sets: vec![SET.to_owned()],
            ..self.metadata.clone()
        };
        write_json(&dir.join("dataset.json"), &metadata)
    }

    /// Both splits of a data set share this file: it must not change under the other one.
    fn write_identifiers(&self, path: &Path) -> Result<()> {
        if path.is_file() {
            let found: Vec<String> = read_json(path, NAMES_LIMITS, "a list of names")?;
            if found != self.identifiers {
                let fault = Fault::from("belongs to another data set");
                return Err(PuzzleError::data(path, fault.advise("choose another folder")));
            }
            return Ok(());
        }
        if self.identifiers.is_empty() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(Path::new("."));
        let staging = sibling(parent, "identifiers.json");
        write_json(&staging, &self.identifiers)?;
        fs::rename(&staging, path).map_err(PuzzleError::io("write", path))
    }

    /// The fields are public: what is written must fit together.
    fn check_shape(&self, dir: &Path) -> Result<()> {
        let cells = self.len().checked_mul(self.metadata.seq_len);
        let spans = |indices: &[i32], end: usize| {
            indices.first() == Some(&0)
                && indices.last().is_some_and(|&last| last as usize == end)
                && indices.windows(2).all(|pair| pair[0] < pair[1])
        };
        let puzzles = self.puzzle_indices.len().saturating_sub(1);
        if cells == Some(self.inputs.len())
            && self.labels.len() == self.inputs.len()
            && spans(&self.puzzle_indices, self.len())
            && spans(&self.group_indices, puzzles)
        {
            return Ok(());
        }
        Err(PuzzleError::data(
            dir,
            format!(
                "inputs ({}), labels ({}), puzzle and group indices do not fit {} examples of {} tokens",
                self.inputs.len(),
                self.labels.len(),
                self.len(),
                self.metadata.seq_len
            ),
        ))
    }
}

impl DataSetMetadata {
    /// Refuses too many sets, a set that is named twice, and a name that no file can have.
    fn check_sets(&self, path: &Path, budget: &mut Budget) -> Result<()> {
        let mut seen = BTreeSet::new();
        for set in &self.sets {
            let shown = Printable(set);
            if set.is_empty() || !set.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
                return Err(PuzzleError::data(path, format!("a set named \"{shown}\", expected letters and digits")));
            }
            if !seen.insert(set) {
                let fault = format!("names the set `{shown}` more than once ({} sets in all)", self.sets.len());
                return Err(PuzzleError::data(path, Fault::from(fault).advise("name each set once")));
            }
        }
        budget.take_items(self.sets.len() as u64).map_err(|exceeded| {
            let Exceeded { found, limit, .. } = exceeded;
            let fault = Fault::from(format!("names {found} sets, more than the limit of {limit}"));
            PuzzleError::data(path, fault.advise("join them"))
        })
    }
}

/// Moves what the first set has, which is mostly the only one.
fn append(all: &mut Vec<i32>, more: Vec<i32>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.extend(more);
    }
}

fn row(tokens: &[i32], index: usize, seq_len: usize) -> Option<&[i32]> {
    let start = index.checked_mul(seq_len)?;
    tokens.get(start..start.checked_add(seq_len)?)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path, limits: Limits, expected: &'static str) -> Result<T> {
    let mut budget = Budget::new(limits);
    let json = budget.read_file(path).map_err(PuzzleError::read(path))?;
    budget
        .take_json(&json, LONGEST_NAME)
        .map_err(PuzzleError::exceeded(path.display().to_string(), "lists, objects and names"))?;
    serde_json::from_slice(&json).map_err(|source| PuzzleError::Json {
        origin: path.display().to_string(),
        expected,
        source,
    })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let save = || {
        let mut file = File::create(path)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()
    };
    save().map_err(PuzzleError::io("write", path))
}

/// A name beside the final one that no other process uses.
fn sibling(parent: &Path, name: &str) -> PathBuf {
    parent.join(format!(".{name}.{}.tmp", std::process::id()))
}
