//! Sudokus and mazes as a data set of the public training code, as its `dataset/build_sudoku_dataset.py` and
//! `build_maze_dataset.py` write it.

use rand::Rng;

use super::writer::SplitWriter;
use crate::{Dihedral, Example, PuzzleKind, Result, Symmetry, Task, random, seeded};

/// The way in which puzzles with their answers become a split of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PuzzleRecipe {
    /// The number of puzzles that are chosen at random; all where there are no more.
    pub subsample: Option<usize>,
    /// Augmented copies of each puzzle.
    pub augmentations: usize,
    /// Seed of the choice and of the copies.
    pub seed: u64,
}

impl PuzzleRecipe {
    /// The most different copies that a puzzle of a kind has of itself; `None` if there are more than anybody asks for.
    ///
    /// A maze can be turned and mirrored; a sudoku's digits, rows and columns can be exchanged as well.
    #[must_use]
    pub fn most_augmentations(kind: PuzzleKind) -> Option<usize> {
        match kind {
            PuzzleKind::Maze(task) => Some(turns(task.height() == task.width()).len() - 1),
            PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => Some(0),
            PuzzleKind::Sudoku(_) => None,
        }
    }

    /// Writes puzzles of one kind and their copies: each puzzle with its copies is a group. Returns the number of groups.
    ///
    /// A random choice keeps the chosen puzzles in memory; all others go through one by one.
    ///
    /// # Errors
    /// Those of the examples, of [`Task::encode`] for a puzzle of another size, and of [`SplitWriter`].
    pub fn write(
        &self,
        kind: PuzzleKind,
        examples: impl Iterator<Item = Result<Example>>,
        mut split: SplitWriter,
    ) -> Result<usize> {
        let mut rng = seeded(self.seed);
        let task = kind.task();
        let mut groups = 0;
        let mut group = |example: &Example, rng: &mut dyn Rng| {
            groups += 1;
            write_group(kind, task.as_ref(), example, self.augmentations, &mut split, rng)
        };
        match self.subsample {
            Some(count) => {
                for example in sample(examples, count, &mut rng)? {
                    group(&example, &mut rng)?;
                }
            }
            None => {
                for example in examples {
                    group(&example?, &mut rng)?;
                }
            }
        }
        split.finish()?;
        Ok(groups)
    }
}

/// The turns of a grid, itself the first, in the order of the public builder.
fn turns(square: bool) -> &'static [Dihedral] {
    if square { &Dihedral::ALL } else { &Dihedral::SHAPE_PRESERVING }
}

fn write_group(
    kind: PuzzleKind,
    task: &dyn Task,
    example: &Example,
    augmentations: usize,
    split: &mut SplitWriter,
    rng: &mut dyn Rng,
) -> Result<()> {
    let identity: Box<dyn Symmetry> = Box::new(Dihedral::Identity);
    let mut turns = turns(task.height() == task.width()).iter().skip(1);
    let copies = (0..augmentations).map_while(|_| match kind {
        PuzzleKind::Maze(_) => turns.next().map(|&turn| Box::new(turn) as Box<dyn Symmetry>),
        _ => Some(task.symmetry(rng)),
    });
    for copy in std::iter::once(identity).chain(copies) {
        let (puzzle, solution) = (copy.apply(&example.puzzle)?, copy.apply(&example.solution)?);
        split.example(&task.encode(&puzzle)?, &task.encode(&solution)?)?;
        // Of no particular puzzle: only ARC has identifiers.
        split.end_puzzle(0)?;
    }
    split.end_group()
}

/// So many of the examples, each with the same chance, in a random order (Algorithm R).
fn sample(
    examples: impl Iterator<Item = Result<Example>>,
    count: usize,
    rng: &mut (impl Rng + ?Sized),
) -> Result<Vec<Example>> {
    let mut chosen = Vec::new();
    for (place, example) in examples.enumerate() {
        let example = example?;
        if chosen.len() < count {
            chosen.push(example);
        } else if let Some(slot) = chosen.get_mut(random::below(rng, place + 1)) {
            *slot = example;
        }
    }
    random::shuffle(rng, &mut chosen);
    Ok(chosen)
}
