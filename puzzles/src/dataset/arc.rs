//! ARC tasks as a data set of the public training code, as its `dataset/build_arc_dataset.py` writes it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};
use trm_intake::{Fault, Printable};

use super::numpy_random::NumpyRandom;
use super::writer::{DataSetWriter, SplitWriter};
use crate::arc::{Arc, ArcTask, Augmentation, CANVAS, SEPARATOR, place};
use crate::formats::arc_json;
use crate::formats::arc_subset::ArcSubset;
use crate::{Cell, Dihedral, Grid, PuzzleError, Result};

/// Draws for each augmentation that is asked for, until a task has no more of them.
const TRIES: usize = 5;

/// The way in which ARC tasks become a data set.
#[derive(Clone, Debug)]
pub struct ArcRecipe {
    /// Subsets whose test inputs are asked for: their test pairs make the split `test`. Those of all others are trained on.
    pub test_sets: Vec<String>,
    /// Augmented copies of each task.
    pub augmentations: usize,
    /// Seed of order, copies and translations.
    pub seed: u32,
}

impl Default for ArcRecipe {
    /// As the public builder does it unless told otherwise.
    fn default() -> Self {
        Self { test_sets: ["evaluation", "evaluation2"].map(str::to_owned).to_vec(), augmentations: 1000, seed: 42 }
    }
}

/// A data set that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArcReport {
    /// Tasks, the asked ones included.
    pub tasks: usize,
    /// Tasks whose test inputs are in the split `test`.
    pub asked: usize,
    /// Puzzle identifiers: tasks and their copies, and the blank one.
    pub identifiers: usize,
    /// Tasks that have fewer different copies than were asked for.
    pub short: usize,
    /// Test inputs of asked tasks whose answers are not known; one black cell stands for each.
    pub unknown: usize,
}

/// A task with its copies, of which it is the first.
struct Group<'t> {
    task: &'t ArcTask,
    pairs: Vec<Pair>,
    /// Pairs of the task that are trained on; the others are asked.
    trained: usize,
    copies: Vec<Augmentation>,
    /// Puzzle identifier of the first copy.
    identifier: usize,
}

/// Input and output.
type Pair = (Grid, Grid);

impl ArcRecipe {
    /// Writes a data set of all tasks: `train/`, `test/` where a test set is among the subsets, `identifiers.json` and
    /// `test_puzzles.json`. Equal subsets, settings and seeds give equal files; but for the order of JSON keys they are
    /// those of the public builder for files that list `train` before `test`.
    ///
    /// `progress` is told how many of how many parts are done.
    ///
    /// # Errors
    /// [`PuzzleError::Data`] for a task that is there twice, has no pair, has an id with `|||` in it, or is to be trained on and
    /// lacks an output; those of [`DataSetWriter`].
    pub fn write(
        &self,
        subsets: &[ArcSubset],
        out: &Path,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<ArcReport> {
        let writer = DataSetWriter::create(out)?;
        let mut random = NumpyRandom::seeded(self.seed);
        let tasks: usize = subsets.iter().map(|subset| subset.tasks.len()).sum();
        check_names(subsets)?;
        let asks = |subset: &ArcSubset| self.test_sets.contains(&subset.name);
        let asked: Vec<&ArcTask> =
            subsets.iter().filter(|subset| asks(subset)).flat_map(|subset| &subset.tasks).collect();
        let parts = 2 * tasks + asked.len();

        let mut groups = Vec::with_capacity(tasks);
        let mut identifiers = 1;
        for subset in subsets {
            let mut tasks: Vec<&ArcTask> = subset.tasks.iter().collect();
            random.shuffle(&mut tasks);
            for task in tasks {
                let (pairs, trained) = pairs(&subset.origin, task, asks(subset))?;
                let copies = self.copies(&pairs, &mut random);
                identifiers += copies.len();
                groups.push(Group { task, pairs, trained, identifier: identifiers - copies.len(), copies });
                progress(groups.len(), parts);
            }
        }

        let mut train = writer.split("train", &Arc, identifiers)?;
        for (group, done) in groups.iter().zip(groups.len() + 1..) {
            group.write(&group.pairs[..group.trained], true, &mut train, &mut random)?;
            progress(done, parts);
        }
        train.finish()?;
        if !asked.is_empty() {
            let mut test = writer.split("test", &Arc, identifiers)?;
            let asked = groups.iter().filter(|group| group.trained < group.pairs.len());
            for (group, done) in asked.zip(2 * groups.len() + 1..) {
                group.write(&group.pairs[group.trained..], false, &mut test, &mut random)?;
                progress(done, parts);
            }
            test.finish()?;
        }
        let report = ArcReport {
            tasks,
            asked: asked.len(),
            identifiers,
            short: groups.iter().filter(|group| group.copies.len() <= self.augmentations).count(),
            unknown: asked.iter().flat_map(|task| &task.test).filter(|(_, output)| output.is_none()).count(),
        };
        let path = writer.folder().join("test_puzzles.json");
        let asked: Vec<ArcTask> = asked.into_iter().map(answered).collect();
        fs::write(&path, arc_json::to_json(&asked)?).map_err(PuzzleError::io("write", &path))?;
        writer.finish(groups.iter().flat_map(|group| group.copies.iter().map(|copy| copy.name(&group.task.id))))?;
        Ok(report)
    }

    /// The task itself, and as many copies that differ from it and each other as are found.
    fn copies(&self, pairs: &[Pair], random: &mut NumpyRandom) -> Vec<Augmentation> {
        let mut copies = vec![Augmentation::IDENTITY];
        let mut known = HashSet::from([digest(pairs, Augmentation::IDENTITY)]);
        for _ in 0..self.augmentations.saturating_mul(TRIES) {
            let copy = draw(random);
            if known.insert(digest(pairs, copy)) {
                copies.push(copy);
            }
            if copies.len() > self.augmentations {
                break;
            }
        }
        copies
    }
}

impl Group<'_> {
    /// Writes these pairs of every copy. Translated, where that is asked, are all of a copy's pairs but one.
    fn write(&self, pairs: &[Pair], translate: bool, split: &mut SplitWriter, random: &mut NumpyRandom) -> Result<()> {
        for (copy, identifier) in self.copies.iter().zip(self.identifier..) {
            let stays = random.below(pairs.len());
            for (index, (input, output)) in pairs.iter().enumerate() {
                let (input, output) = (copy.transform(input), copy.transform(output));
                let mut corner = Cell::new(0, 0);
                if translate && index != stays {
                    corner.row = random.below(CANVAS + 1 - input.height().max(output.height()));
                    corner.column = random.below(CANVAS + 1 - input.width().max(output.width()));
                }
                split.example(&place(&input, corner), &place(&output, corner))?;
            }
            split.end_puzzle(identifier)?;
        }
        split.end_group()
    }
}

/// Refuses a task that is there twice, and one whose id is none or could not be told from a copy's name.
fn check_names(subsets: &[ArcSubset]) -> Result<()> {
    let mut seen: HashMap<&str, &ArcSubset> = HashMap::new();
    for subset in subsets {
        for task in &subset.tasks {
            let id = Printable(&task.id);
            if task.id.is_empty() || task.id.contains(SEPARATOR) {
                let fault = format!("a task named \"{id}\", expected a name without {SEPARATOR}");
                return Err(PuzzleError::data(&subset.origin, Fault::from(fault)));
            }
            if let Some(other) = seen.insert(&task.id, subset) {
                let fault = Fault::from(format!("the task {id} is in {} as well", other.origin.display()));
                return Err(PuzzleError::data(&subset.origin, fault.advise("give one of them only")));
            }
        }
    }
    Ok(())
}

/// The grid that stands for an answer that is not known, as the public builder puts it.
fn dummy() -> Grid {
    Grid::filled(1, 1, 0)
}

/// The task with all its outputs, known or not.
fn answered(task: &ArcTask) -> ArcTask {
    let test = task.test.iter().map(|(input, output)| (input.clone(), Some(output.clone().unwrap_or_else(dummy))));
    ArcTask { test: test.collect(), ..task.clone() }
}

/// The pairs of a task, and how many of them are trained on: all, unless its test inputs are asked for.
fn pairs(origin: &Path, task: &ArcTask, asked: bool) -> Result<(Vec<Pair>, usize)> {
    let refused = |fault: Fault| Err(PuzzleError::data(origin, fault));
    let id = Printable(&task.id);
    if task.train.is_empty() || task.test.is_empty() {
        return refused(
            format!("the task {id} has {} train and {} test pairs", task.train.len(), task.test.len()).into(),
        );
    }
    let mut pairs: Vec<Pair> =
        task.train.iter().map(|example| (example.puzzle.clone(), example.solution.clone())).collect();
    let trained = pairs.len();
    for (index, (input, output)) in task.test.iter().enumerate() {
        let output = match output {
            Some(output) => output.clone(),
            None if asked => dummy(),
            None => {
                let fault = Fault::from(format!("the task {id} is trained on, and test input {index} has no output"));
                return refused(fault.advise("add its solutions, leave the subset out, or name it as a test set"));
            }
        };
        pairs.push((input.clone(), output));
    }
    let trained = if asked { trained } else { pairs.len() };
    Ok((pairs, trained))
}

/// A copy, drawn as the public builder draws it.
fn draw(random: &mut NumpyRandom) -> Augmentation {
    let turn = Dihedral::ALL[random.below(Dihedral::ALL.len())];
    let mut colours = Augmentation::IDENTITY.colours();
    random.shuffle(&mut colours[1..]);
    Augmentation::new(turn, colours).unwrap_or(Augmentation::IDENTITY)
}

/// Tells copies apart: the same for the same pairs in any order.
fn digest(pairs: &[Pair], copy: Augmentation) -> [u8; 32] {
    let grid = |grid: &Grid| {
        let grid = copy.transform(grid);
        // Sides go up to 30.
        Sha256::new().chain_update([grid.height() as u8, grid.width() as u8]).chain_update(grid.cells()).finalize()
    };
    let mut pairs: Vec<_> = pairs.iter().map(|(input, output)| [grid(input), grid(output)].concat()).collect();
    pairs.sort_unstable();
    Sha256::digest(pairs.concat()).into()
}
