//! The puzzles that are to be solved, as they come.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::bail;
use trm_cli::{console, failure};
use trm_puzzles::formats::{Found, Reading, Stream};
use trm_puzzles::{Puzzle, PuzzleKind, maze};
use trm_solver::Model;

use crate::reading::ReadingArgs;

/// Name of stdin in messages.
const STDIN: &str = "stdin";

/// Files of puzzles, of which the first puzzles are read when they are opened, and the others when they are asked for.
pub(crate) struct Input<'a> {
    said: &'a ReadingArgs,
    /// Those that could not be opened keep their turn.
    sources: VecDeque<anyhow::Result<Source>>,
    reading: Reading,
    keep_going: bool,
    /// Puzzles that may still be taken.
    left: usize,
    failed: bool,
    noted: bool,
    read: usize,
    /// Bytes of the sources that have ended.
    bytes_before: u64,
    /// Bytes of all sources; `None` where one's length is not known.
    bytes: Option<u64>,
}

struct Source {
    stream: Stream,
    /// Its first puzzles, until they are taken.
    first: Option<Piece>,
}

/// Puzzles that keep their rules, and what was set aside.
#[derive(Default)]
struct Piece {
    puzzles: Vec<Puzzle>,
    failures: Vec<anyhow::Error>,
}

/// A part of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Puzzles.
    pub(crate) puzzles: usize,
    /// True if there are no more.
    pub(crate) is_all: bool,
    /// The share of all bytes that these came from, where it is known.
    pub(crate) share: Option<f64>,
}

impl<'a> Input<'a> {
    /// Opens files, `-` or none being stdin, and reads the first puzzles of each, which are checked against their rules. With
    /// `keep_going`, what cannot be read is named on stderr and passed over.
    pub(crate) fn open(
        files: &[PathBuf],
        model: Option<&Model>,
        said: &'a ReadingArgs,
        keep_going: bool,
        most: usize,
    ) -> anyhow::Result<Self> {
        let stdin = [PathBuf::from("-")];
        let files = if files.is_empty() {
            if io::stdin().is_terminal() {
                bail!("no puzzle given\nhint: `trm solve FILE`, or pipe puzzles into stdin");
            }
            &stdin[..]
        } else {
            files
        };
        let reading = Reading { keep_going, ..said.with(model.and_then(Model::only_kind)) };
        let mut input = Self {
            said,
            sources: VecDeque::new(),
            reading,
            keep_going,
            left: most,
            failed: false,
            noted: false,
            read: 0,
            bytes_before: 0,
            bytes: Some(0),
        };
        for file in files {
            let source = input.source(file);
            match &source {
                Ok(source) => {
                    input.bytes = input.bytes.zip(source.stream.length()).map(|(sum, length)| sum + length);
                }
                Err(_) if keep_going => {}
                Err(_) => return source.map(|_| input),
            }
            input.sources.push_back(source);
        }
        Ok(input)
    }

    fn source(&self, file: &Path) -> anyhow::Result<Source> {
        let mut stream = if file.as_os_str() == "-" {
            Stream::of(STDIN, io::stdin().lock(), &self.reading)
        } else {
            Stream::open(file, &self.reading)?
        };
        // Nothing is solved before the beginning of every file is known to be good.
        let first = stream.next().map(|found| self.checked(found?)).transpose()?;
        Ok(Source { stream, first })
    }

    /// The puzzles that keep their rules. Without `keep_going`, the first that does not is an error.
    fn checked(&self, found: Found) -> anyhow::Result<Piece> {
        let failures = found.failures.into_iter().map(anyhow::Error::from).collect();
        let mut piece = Piece { puzzles: Vec::with_capacity(found.puzzles.len()), failures };
        for puzzle in found.puzzles {
            let puzzle = prepared(puzzle);
            let checked = self.said.check(&puzzle).map_err(anyhow::Error::from);
            match checked.and_then(|()| puzzle.check().map_err(Into::into)) {
                Ok(()) => piece.puzzles.push(puzzle),
                Err(error) if self.keep_going => piece.failures.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(piece)
    }

    /// The next puzzles, at least one; `None` at the end.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Vec<Puzzle>>> {
        let mut puzzles = Vec::new();
        while puzzles.len() < self.left
            && let Some(source) = self.sources.front_mut()
        {
            let Ok(source) = source else {
                if let Some(Err(error)) = self.sources.pop_front() {
                    self.fail(error)?;
                }
                continue;
            };
            let is_first = source.first.is_some();
            if !is_first && !puzzles.is_empty() {
                break;
            }
            let first = source.first.take();
            let found = if is_first { None } else { source.stream.next() };
            let is_done = source.stream.is_done();
            let piece = match (first, found) {
                (Some(piece), _) => piece,
                (None, Some(Ok(found))) => self.checked(found)?,
                (None, Some(Err(error))) => Piece { failures: vec![error.into()], ..Piece::default() },
                (None, None) => Piece::default(),
            };
            for failure in piece.failures {
                self.fail(failure)?;
            }
            puzzles.extend(piece.puzzles.into_iter().take(self.left - puzzles.len()));
            if is_done {
                let ended = self.sources.pop_front();
                self.bytes_before += ended.and_then(|source| source.ok()?.stream.length()).unwrap_or(0);
            }
        }
        if !self.noted {
            self.noted = ReadingArgs::note(&puzzles);
        }
        self.read += puzzles.len();
        self.left -= puzzles.len();
        Ok((!puzzles.is_empty()).then_some(puzzles))
    }

    /// All puzzles that are left.
    pub(crate) fn all(mut self) -> anyhow::Result<Vec<Puzzle>> {
        let mut puzzles = Vec::new();
        while let Some(more) = self.next()? {
            puzzles.extend(more);
        }
        Ok(puzzles)
    }

    /// True if something was passed over.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// The part that was read so far.
    pub(crate) fn extent(&self) -> Extent {
        let is_all = self.sources.is_empty() || self.left == 0;
        let position = self.bytes_before
            + self.sources.front().and_then(|source| source.as_ref().ok()).map_or(0, |source| source.stream.position());
        let share = self.bytes.filter(|&bytes| bytes > 0).map(|bytes| position as f64 / bytes as f64);
        Extent { puzzles: self.read, is_all, share }
    }

    /// Names what cannot be read, where the rest is read nevertheless.
    fn fail(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        if !self.keep_going {
            return Err(error);
        }
        console::complain(format_args!("{}", failure::message(&error)));
        self.failed = true;
        Ok(())
    }
}

/// The question alone: a way that is drawn in a maze is no part of it.
fn prepared(mut puzzle: Puzzle) -> Puzzle {
    if let PuzzleKind::Maze(_) = puzzle.kind {
        puzzle.grid = puzzle.grid.map(|value| if value == maze::PATH { maze::FREE } else { value });
    }
    puzzle
}

/// All puzzles of the files, each checked against its rules. Sequences of tokens are read for a model that takes them.
pub(crate) fn read_puzzles(
    files: &[PathBuf],
    model: Option<&Model>,
    reading: &ReadingArgs,
) -> anyhow::Result<Vec<Puzzle>> {
    Input::open(files, model, reading, false, usize::MAX)?.all()
}
