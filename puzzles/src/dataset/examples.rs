//! Examples for data sets: read from files, or generated.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

use rand_chacha::ChaCha8Rng;
use trm_intake::Fault;

use crate::formats::{Reading, Stream};
use crate::{Example, Generate, Grid, Puzzle, PuzzleError, PuzzleKind, Result, seeded};

/// The puzzles of files with their answers, all of one kind and size, which the rules accept. Files of any length are read
/// in bounded memory, where [`Stream`] does so. The first error is the last item.
pub struct Labelled {
    files: VecDeque<PathBuf>,
    reading: Reading,
    least_rating: Option<u32>,
    kind: Option<PuzzleKind>,
    stream: Option<Stream>,
    ready: VecDeque<Puzzle>,
}

impl Labelled {
    /// The puzzles of files; with `least_rating`, those whose table gives them at least this one. `kind` is that of the first,
    /// unless it is given.
    #[must_use]
    pub fn new(files: &[PathBuf], reading: Reading, least_rating: Option<u32>, kind: Option<PuzzleKind>) -> Self {
        let files = files.iter().cloned().collect();
        Self { files, reading, least_rating, kind, stream: None, ready: VecDeque::new() }
    }

    /// The kind and size of all of them.
    ///
    /// # Errors
    /// Those of the first puzzle; [`PuzzleError::Empty`] if there is none.
    pub fn kind(&mut self) -> Result<PuzzleKind> {
        if let Some(kind) = self.kind {
            return Ok(kind);
        }
        let origin = self.files.front().map(|file| file.display().to_string()).unwrap_or_default();
        let first = self.puzzle().transpose()?.ok_or(PuzzleError::Empty { origin })?;
        let kind = *self.kind.insert(first.kind);
        self.ready.push_front(first);
        Ok(kind)
    }

    /// The next puzzle with a rating that is high enough.
    fn puzzle(&mut self) -> Option<Result<Puzzle>> {
        loop {
            while let Some(puzzle) = self.ready.pop_front() {
                match (self.least_rating, puzzle.rating) {
                    (Some(least), Some(rating)) if rating < least => {}
                    (Some(_), None) => {
                        let fault = Fault::from("no rating, by which puzzles are to be chosen");
                        let fault = fault.advise("give a table with a column `rating`");
                        return Some(Err(PuzzleError::data(puzzle.source, fault)));
                    }
                    _ => return Some(Ok(puzzle)),
                }
            }
            match self.stream.as_mut().and_then(Iterator::next) {
                Some(Ok(found)) => self.ready.extend(found.puzzles),
                Some(Err(error)) => return Some(Err(error)),
                None => match Stream::open(&self.files.pop_front()?, &self.reading) {
                    Ok(stream) => self.stream = Some(stream),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }

    fn labelled(&mut self, puzzle: Puzzle) -> Result<Example> {
        let kind = *self.kind.get_or_insert(puzzle.kind);
        if puzzle.kind != kind {
            let size = |kind: PuzzleKind| {
                let task = kind.task();
                format!("{} of {}x{}", task.name(), task.height(), task.width())
            };
            let fault = Fault::from(format!("a {}, the first puzzle is a {}", size(puzzle.kind), size(kind)));
            return Err(PuzzleError::data(puzzle.source, fault.advise("a data set has puzzles of one size")));
        }
        puzzle.labelled()
    }
}

impl Iterator for Labelled {
    type Item = Result<Example>;

    fn next(&mut self) -> Option<Result<Example>> {
        let puzzle = self.puzzle()?;
        let example = puzzle.and_then(|puzzle| self.labelled(puzzle));
        if example.is_err() {
            self.files.clear();
            self.stream = None;
            self.ready.clear();
        }
        Some(example)
    }
}

/// Generated puzzles, no two alike; the same seed gives the same ones.
pub struct Distinct {
    generator: Box<dyn Generate>,
    rng: ChaCha8Rng,
    seen: HashSet<Grid>,
}

/// Puzzles in a row that were there before, until a generator is taken to have no others.
const MOST_REPEATED: usize = 1_000;

impl Distinct {
    /// Puzzles of a generator.
    #[must_use]
    pub fn new(generator: Box<dyn Generate>, seed: u64) -> Self {
        Self { generator, rng: seeded(seed), seen: HashSet::new() }
    }
}

impl Iterator for Distinct {
    type Item = Result<Example>;

    fn next(&mut self) -> Option<Result<Example>> {
        for _ in 0..MOST_REPEATED {
            match self.generator.generate(&mut self.rng) {
                Ok(example) if !self.seen.insert(example.puzzle.clone()) => {}
                other => return Some(other),
            }
        }
        let fault = Fault::from(format!("{} puzzles, and no others after {MOST_REPEATED} tries", self.seen.len()));
        Some(Err(PuzzleError::Generate(fault.advise("ask for fewer, or for a larger size"))))
    }
}
