//! Inputs of any length whose lines are puzzles: given out as they come, in bounded memory.
//!
//! Sudokus a line each, JSON lines and tables are read in pieces of whole lines. Everything else is read as one, within
//! [`LIMITS`], once it has ended.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use trm_intake::{Budget, ReadError};

use super::body::Body;
use super::kept::Kept;
use super::lines::{Line, lines_from};
use super::packed::{self, Unpacking};
use super::{Family, Found, LIMITS, Puzzle, Reading, csv, json_object, jsonl, sudoku};
use crate::{PuzzleError, Result};

/// Bytes that are asked for at once.
const PIECE: usize = 256 << 10;
/// Bytes within which the first puzzle tells the form.
const HEAD: usize = 64 << 10;
/// Lines without a puzzle behind the last one of a piece that are left for the next: a title, a grid that goes on.
const LEFT_OVER: usize = 64;
/// More cells than a row of any grid has.
const LONGER_THAN_A_ROW: usize = 36;

/// The puzzles of an input, in pieces.
///
/// Each item is what came since the last one: at least one puzzle or failure. The first error is the last item.
pub struct Stream {
    /// The file's path, by which others belong to it; `None` for a reader.
    path: Option<PathBuf>,
    origin: String,
    reading: Reading,
    source: Source,
    taken: Rc<Cell<u64>>,
    length: Option<u64>,
    state: State,
}

enum State {
    /// Nothing is known of it yet.
    Fresh,
    /// Its lines are puzzles.
    Lines(Box<Lines>),
    /// Nothing follows.
    Done,
}

/// Lines that are puzzles.
struct Lines {
    form: Form,
    /// Lines that were taken.
    before: usize,
    last: Option<Last>,
    /// True until the first piece is taken.
    is_fresh: bool,
}

/// The last puzzle of a piece, whose answer may come with the next.
enum Last {
    /// Not given out yet, since answers are known to follow.
    Held(Puzzle),
    /// Given out.
    Gone(Puzzle),
}

/// The forms that are read in pieces.
enum Form {
    Json,
    Csv(csv::Columns),
    /// Sudokus; true if the answers follow in lines of their own.
    Sudoku(bool),
}

impl Stream {
    /// The puzzles of a file in any form that [`super::read`] knows.
    ///
    /// # Errors
    /// [`PuzzleError::Io`] for a file that cannot be opened. All else comes with the items.
    pub fn open(path: &Path, reading: &Reading) -> Result<Self> {
        let io_error = || PuzzleError::io("read", path);
        let metadata = std::fs::metadata(path).map_err(io_error())?;
        if metadata.is_dir() || reading.tokens.is_some() || super::moving_ai_pair(path).is_some() {
            // Read by its name.
            return Ok(Self::new(Some(path), path.display().to_string(), Box::new(io::empty()), None, reading));
        }
        let file = File::open(path).map_err(io_error())?;
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self::new(Some(path), path.display().to_string(), Box::new(file), length, reading))
    }

    /// The puzzles that come from a reader, which `origin` names.
    #[must_use]
    pub fn of(origin: &str, reader: impl Read + 'static, reading: &Reading) -> Self {
        Self::new(None, origin.to_owned(), Box::new(reader), None, reading)
    }

    fn new(path: Option<&Path>, origin: String, reader: Box<dyn Read>, length: Option<u64>, reading: &Reading) -> Self {
        let taken = Rc::new(Cell::new(0));
        let reader = Counted { reader, taken: Rc::clone(&taken) };
        let source = Source { reader: Box::new(reader), buffer: Vec::new(), ended: false, unpacks: false };
        let path = path.map(Path::to_owned);
        Self { path, origin, reading: *reading, source, taken, length, state: State::Fresh }
    }

    /// Bytes that were taken from the input so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.taken.get()
    }

    /// Bytes of the input, where it is a file.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// True if nothing follows.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The first piece: of lines that are puzzles those that are there, of anything else all.
    fn first(&mut self) -> Result<Option<Found>> {
        if let Some(path) = self
            .path
            .as_deref()
            .filter(|path| self.reading.tokens.is_some() || path.is_dir() || super::moving_ai_pair(path).is_some())
        {
            return super::read_all(path, &self.reading).map(Some);
        }
        self.fill()?;
        if let Some(unpacking) = Unpacking::of(&self.source.buffer) {
            let packed = std::mem::replace(&mut self.source.reader, Box::new(io::empty()));
            let packed = io::Cursor::new(std::mem::take(&mut self.source.buffer)).chain(packed);
            (self.source.unpacks, self.source.ended) = (true, false);
            self.source.reader = unpacking.reader(packed).map_err(|error| self.unreadable(error))?;
            // `puzzles.csv.gz` is known as `puzzles.csv`.
            self.path = self.path.take().map(|path| path.with_extension(""));
            if let Some(path) = &self.path {
                self.origin = path.display().to_string();
            }
            self.fill()?;
        }
        // A file that is short is there as a whole; whoever writes into a pipe may wait for an answer.
        while self.length.is_some() && !self.source.ended && self.source.buffer.len() < HEAD {
            self.fill()?;
        }
        let form = loop {
            if self.source.ended {
                break None;
            }
            match self.form()? {
                Told::Form(form) => break Some(form),
                Told::Other => break None,
                Told::More if self.source.buffer.len() >= HEAD => break None,
                Told::More => self.fill()?,
            }
        };
        match form {
            Some(form) => {
                self.state = State::Lines(Box::new(Lines { form, before: 0, last: None, is_fresh: true }));
                self.piece()
            }
            None => self.rest().map(Some),
        }
    }

    /// The form that the first lines have.
    fn form(&self) -> Result<Told> {
        let buffer = &self.source.buffer;
        if self.reading.tokens.is_some() || buffer.contains(&0) || buffer.starts_with(b"PK\x03\x04") {
            return Ok(Told::Other);
        }
        let whole = &buffer[..buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)];
        let Ok(text) = std::str::from_utf8(Body::of(whole).bytes()) else { return Ok(Told::Other) };
        let lines = text.lines().zip(1..).map(|(text, number)| Line { number, text });
        let mut lines = lines.filter(|line| !line.is_blank()).peekable();
        let Some(&first) = lines.peek() else { return Ok(Told::More) };
        if first.text.trim_start().starts_with(['{', '[']) {
            let is_line = json_object::looks_like(first.text.as_bytes());
            return Ok(if is_line { Told::Form(Form::Json) } else { Told::Other });
        }
        if csv::looks_like(&[first]) {
            return csv::Columns::of(&self.origin, first).map(|columns| Told::Form(Form::Csv(columns)));
        }
        if !self.reading.allows(Family::Sudoku) {
            return Ok(Told::Other);
        }
        let mut of_four = 0;
        for line in lines.take(LEFT_OVER) {
            if is_sudoku(line, &self.reading) {
                return Ok(Told::Form(Form::Sudoku(false)));
            }
            // A 4x4 sudoku may be a row of a 16x16 one, unless it is said or more of them follow than there are rows.
            if is_four(line, &self.reading) {
                of_four += 1;
                if of_four > 16 || self.reading.boxes.is_some_and(|boxes| boxes.side() == 4) {
                    return Ok(Told::Form(Form::Sudoku(false)));
                }
                continue;
            }
            if !sudoku::is_remark(line.text, &self.reading) {
                return Ok(Told::Other);
            }
        }
        Ok(Told::More)
    }

    /// All that is left, as one input.
    fn rest(&mut self) -> Result<Found> {
        self.state = State::Done;
        if let Some(found) = self.length.filter(|&length| length > LIMITS.bytes && !self.source.unpacks) {
            let (origin, limit) = (self.origin.clone(), LIMITS.bytes);
            return Err(PuzzleError::TooLarge { origin, unit: "bytes", found, limit });
        }
        let mut budget = Budget::new(LIMITS);
        let mut bytes = std::mem::take(&mut self.source.buffer);
        let too_large = || PuzzleError::exceeded(self.origin.clone(), "bytes");
        budget.take_bytes(bytes.len() as u64).map_err(too_large())?;
        let mut rest = budget.bounded(&mut self.source.reader);
        if let Err(error) = rest.read_to_end(&mut bytes).map_err(|error| rest.why(error)) {
            return Err(match error {
                ReadError::Exceeded(exceeded) => too_large()(exceeded),
                ReadError::Io(error) => self.unreadable(error),
            });
        }
        match &self.path {
            Some(path) => super::read_file_bytes(path, &bytes, &self.reading, &mut budget),
            None => super::parse_all(&self.origin, &bytes, &self.reading),
        }
    }

    /// The puzzles of the lines that are there; `None` at the end.
    fn piece(&mut self) -> Result<Option<Found>> {
        loop {
            let State::Lines(lines) = &self.state else { return Ok(None) };
            let ended = self.source.ended;
            let end = if ended { self.source.buffer.len() } else { lines.form.end(&self.source.buffer, &self.reading) };
            if end > 0 || ended {
                let found = self.take(end)?;
                if !found.puzzles.is_empty() || !found.failures.is_empty() {
                    return Ok(Some(found));
                }
            }
            if ended {
                self.state = State::Done;
                return Ok(None);
            }
            if self.source.buffer.len() as u64 > LIMITS.bytes {
                let (found, limit) = (self.source.buffer.len() as u64, LIMITS.bytes);
                return Err(PuzzleError::TooLarge {
                    origin: self.origin.clone(),
                    unit: "bytes in a line",
                    found,
                    limit,
                });
            }
            self.fill()?;
        }
    }

    /// The puzzles of the first `end` bytes that are there.
    fn take(&mut self, end: usize) -> Result<Found> {
        let State::Lines(state) = &mut self.state else { return Ok(Found::default()) };
        let Lines { form, before, last, is_fresh } = &mut **state;
        let (origin, reading) = (self.origin.as_str(), &self.reading);
        let body = Body::of(&self.source.buffer[..end]);
        let mut kept = Kept::new(origin, end);
        let lines = lines_from(origin, body, *before, &mut Budget::new(LIMITS))?;
        let mut found;
        match form {
            Form::Json => {
                jsonl::read_lines(origin, &lines, None, reading, &mut kept)?;
                found = kept.whatever();
            }
            Form::Csv(columns) => {
                columns.read(origin, body, *before, *is_fresh, reading, &mut kept)?;
                found = kept.whatever();
            }
            Form::Sudoku(answers_follow) => {
                let gone = matches!(last, Some(Last::Gone(_)));
                if let Some(Last::Held(puzzle) | Last::Gone(puzzle)) = last.take() {
                    kept.push(puzzle)?;
                }
                sudoku::read(origin, &lines, reading, &mut kept)?;
                *answers_follow |= kept.answered();
                found = kept.whatever();
                if gone {
                    found.puzzles.remove(0);
                }
                if !self.source.ended {
                    *last = match found.puzzles.pop_if(|puzzle| *answers_follow && puzzle.solution.is_none()) {
                        Some(puzzle) => Some(Last::Held(puzzle)),
                        None => found.puzzles.last().cloned().map(Last::Gone),
                    };
                }
            }
        }
        *before += body.split(|&byte| byte == b'\n').count() - 1;
        *is_fresh = false;
        self.source.buffer.drain(..end);
        Ok(found)
    }

    fn fill(&mut self) -> Result<()> {
        self.source.fill().map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: io::Error) -> PuzzleError {
        let path = self.path.clone().unwrap_or_else(|| PathBuf::from(&self.origin));
        if self.source.unpacks { packed::damaged(&path, &error) } else { PuzzleError::io("read", path)(error) }
    }
}

impl Iterator for Stream {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Result<Found>> {
        let found = match self.state {
            State::Fresh => self.first(),
            State::Lines(_) => self.piece(),
            State::Done => return None,
        };
        if !matches!((&found, &self.state), (Ok(Some(_)), State::Lines(_))) {
            self.state = State::Done;
        }
        found.transpose()
    }
}

/// The finding of the first lines.
enum Told {
    Form(Form),
    /// None that is read in pieces.
    Other,
    /// They are too few.
    More,
}

impl Form {
    /// Bytes up to which the lines that are there are whole, with all that belongs to their last puzzle.
    fn end(&self, buffer: &[u8], reading: &Reading) -> usize {
        let end = buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        match self {
            Self::Json => end,
            // A field in quotes may have line breaks.
            Self::Csv(_) => {
                let mut quoted = false;
                let mut end = 0;
                for (&byte, place) in buffer.iter().zip(1..) {
                    quoted ^= byte == b'"';
                    if byte == b'\n' && !quoted {
                        end = place;
                    }
                }
                end
            }
            Self::Sudoku(_) => {
                let mut behind = end;
                for _ in 0..LEFT_OVER {
                    let start = buffer[..behind.saturating_sub(1)].iter().rposition(|&byte| byte == b'\n');
                    let start = start.map_or(0, |before| before + 1);
                    let line = std::str::from_utf8(&buffer[start..behind]).unwrap_or_default();
                    if sudoku::is_whole(Line { number: 0, text: line.trim_end() }, reading) {
                        return behind;
                    }
                    if start == 0 {
                        return 0;
                    }
                    behind = start;
                }
                end
            }
        }
    }
}

/// True for a line that can be nothing but a sudoku: longer than a row, and no matrix of walls.
fn is_sudoku(line: Line<'_>, reading: &Reading) -> bool {
    let cells = || line.text.chars().filter(|c| !c.is_whitespace());
    cells().count() >= LONGER_THAN_A_ROW
        && cells().any(|c| c.is_alphabetic() || matches!(c, '4'..='9'))
        && sudoku::is_whole(line, reading)
}

/// True for a line of 16 cells that is a 4x4 sudoku.
fn is_four(line: Line<'_>, reading: &Reading) -> bool {
    line.text.chars().filter(|c| !c.is_whitespace()).count() == 16 && sudoku::is_whole(line, reading)
}

/// Bytes as they come.
struct Source {
    reader: Box<dyn Read>,
    /// Bytes that came and were not taken yet.
    buffer: Vec<u8>,
    ended: bool,
    /// True if the reader unpacks what it reads.
    unpacks: bool,
}

impl Source {
    /// Waits for more.
    fn fill(&mut self) -> io::Result<()> {
        let before = self.buffer.len();
        self.buffer.resize(before + PIECE, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(before + read.as_ref().map_or(0, |&read| read));
        self.ended = read? == 0;
        Ok(())
    }
}

/// A reader that counts.
struct Counted {
    reader: Box<dyn Read>,
    taken: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}
