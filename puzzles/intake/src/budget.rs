//! The budget of one reading.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// The most that one reading may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes read, unpacked and kept, all together.
    pub bytes: u64,
    /// Objects, entries, rows, cells: whatever the reader counts.
    pub items: u64,
    /// Levels of nesting.
    pub depth: u32,
    /// Wall-clock time; `None` where a slow disk or line is no fault of the input's.
    pub time: Option<Duration>,
}

/// The part of a [`Budget`] that was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes.
    Bytes,
    /// Items.
    Items,
    /// Levels of nesting.
    Depth,
    /// Bytes of one text within a larger one.
    Text,
    /// Milliseconds.
    Time,
}

impl Resource {
    /// Its unit, for messages.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Items => "items",
            Self::Depth => "levels of nesting",
            Self::Text => "bytes of one text",
            Self::Time => "ms",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.unit())
    }
}

/// An input asked for more than its [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} {resource} are more than the limit of {limit}")]
pub struct Exceeded {
    /// The resource that ran out.
    pub resource: Resource,
    /// The amount that the input asked for; where reading stopped early, what it had come to.
    pub found: u64,
    /// The limit.
    pub limit: u64,
}

/// The reasons why [`Budget::read_file`] failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system's reason.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is larger than the budget.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
}

/// The rest of the [`Limits`] of one reading. Drawn on before memory is taken, so that a size written in a file
/// never decides alone how much is allocated.
#[derive(Debug, Clone)]
pub struct Budget {
    limits: Limits,
    bytes: u64,
    items: u64,
    depth: u32,
    started: Instant,
}

impl Budget {
    /// A fresh budget; time counts from now.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, bytes: 0, items: 0, depth: 0, started: Instant::now() }
    }

    /// The limits it began with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes that may still be taken.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.bytes)
    }

    /// Takes bytes: what is read, unpacked or kept.
    ///
    /// # Errors
    /// [`Exceeded`] if there are fewer, or the time is over; nothing is taken then.
    pub fn take_bytes(&mut self, count: u64) -> Result<(), Exceeded> {
        let sum = taken(Resource::Bytes, self.bytes, count, self.limits.bytes)?;
        self.check_time()?;
        self.bytes = sum;
        Ok(())
    }

    /// Takes items.
    ///
    /// # Errors
    /// [`Exceeded`] if there are fewer, or the time is over; nothing is taken then.
    pub fn take_items(&mut self, count: u64) -> Result<(), Exceeded> {
        let sum = taken(Resource::Items, self.items, count, self.limits.items)?;
        self.check_time()?;
        self.items = sum;
        Ok(())
    }

    /// Goes one level down; [`Budget::leave`] comes back up.
    ///
    /// # Errors
    /// [`Exceeded`] if that is too deep.
    pub fn enter(&mut self) -> Result<(), Exceeded> {
        let depth = self.depth.saturating_add(1);
        if depth > self.limits.depth {
            let (found, limit) = (u64::from(depth), u64::from(self.limits.depth));
            return Err(Exceeded { resource: Resource::Depth, found, limit });
        }
        self.depth = depth;
        Ok(())
    }

    /// Levels that may still be entered.
    pub(crate) fn levels_left(&self) -> u32 {
        self.limits.depth.saturating_sub(self.depth)
    }

    /// The error for so many levels more than there are.
    pub(crate) fn too_deep(&self, more: u32) -> Exceeded {
        let limit = u64::from(self.limits.depth);
        Exceeded { resource: Resource::Depth, found: limit + u64::from(more), limit }
    }

    /// Comes back up from [`Budget::enter`].
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Refuses once the time is over.
    ///
    /// # Errors
    /// [`Exceeded`] then.
    pub fn check_time(&self) -> Result<(), Exceeded> {
        let Some(limit) = self.limits.time else { return Ok(()) };
        let spent = self.started.elapsed();
        if spent <= limit {
            return Ok(());
        }
        Err(Exceeded { resource: Resource::Time, found: spent.as_millis() as u64, limit: limit.as_millis() as u64 })
    }

    /// Reads the whole of a file. Special files report no length; the budget holds for them as well.
    ///
    /// # Errors
    /// [`ReadError::Io`], also for a folder; [`ReadError::Exceeded`] for a file larger than what is left.
    pub fn read_file(&mut self, path: &Path) -> Result<Vec<u8>, ReadError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        let length = metadata.len();
        taken(Resource::Bytes, self.bytes, length, self.limits.bytes)?;
        // A sparse file claims any length; memory is taken as the content comes.
        let mut bytes = Vec::with_capacity(length.min(1 << 20) as usize);
        let mut reader = self.bounded(file);
        reader.read_to_end(&mut bytes).map_err(|error| reader.why(error))?;
        Ok(bytes)
    }

    /// A reader that draws on this budget, and fails when it is used up. [`Bounded::why`] tells that failure from others.
    pub fn bounded<R: Read>(&mut self, inner: R) -> Bounded<'_, R> {
        Bounded { inner, budget: self, exceeded: None }
    }
}

fn taken(resource: Resource, used: u64, count: u64, limit: u64) -> Result<u64, Exceeded> {
    match used.saturating_add(count) {
        sum if sum > limit => Err(Exceeded { resource, found: sum, limit }),
        sum => Ok(sum),
    }
}

/// A reader that draws on a [`Budget`].
#[derive(Debug)]
pub struct Bounded<'b, R> {
    inner: R,
    budget: &'b mut Budget,
    exceeded: Option<Exceeded>,
}

impl<R> Bounded<'_, R> {
    /// The cause of a failed read: the budget if it was that, else `error`.
    #[must_use]
    pub fn why(&self, error: io::Error) -> ReadError {
        self.exceeded.map_or(ReadError::Io(error), ReadError::Exceeded)
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // One byte more than what is left tells an input that ends there from one that goes on.
        let most = self.budget.bytes_left().saturating_add(1).min(buffer.len() as u64) as usize;
        let read = self.inner.read(&mut buffer[..most])?;
        self.budget.take_bytes(read as u64).map_err(|exceeded| {
            self.exceeded = Some(exceeded);
            io::Error::new(io::ErrorKind::FileTooLarge, exceeded)
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits { bytes: 10, items: 3, depth: 2, time: None };

    #[test]
    fn each_resource_runs_out_and_says_so() {
        let mut budget = Budget::new(SMALL);
        budget.take_bytes(10).unwrap();
        assert_eq!(budget.take_bytes(1).unwrap_err().to_string(), "11 bytes are more than the limit of 10");
        assert_eq!(budget.take_bytes(u64::MAX).unwrap_err().found, u64::MAX);
        budget.take_items(3).unwrap();
        assert_eq!(budget.take_items(2).unwrap_err().to_string(), "5 items are more than the limit of 3");
        budget.enter().unwrap();
        budget.enter().unwrap();
        assert_eq!(budget.enter().unwrap_err().to_string(), "3 levels of nesting are more than the limit of 2");
        budget.leave();
        budget.enter().unwrap();
        let over = Budget::new(Limits { time: Some(Duration::ZERO), ..SMALL });
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(over.check_time().unwrap_err().resource, Resource::Time);
    }

    #[test]
    fn what_was_refused_is_not_taken() {
        let mut budget = Budget::new(SMALL);
        budget.take_bytes(11).unwrap_err();
        budget.take_bytes(10).unwrap();
    }

    #[test]
    fn an_endless_input_ends_at_the_budget() {
        let mut budget = Budget::new(SMALL);
        let mut reader = budget.bounded(io::repeat(7));
        let mut bytes = Vec::new();
        let error = reader.read_to_end(&mut bytes).unwrap_err();
        assert!(matches!(reader.why(error), ReadError::Exceeded(Exceeded { found: 11, limit: 10, .. })));
        assert!(bytes.len() <= 11);
        let mut budget = Budget::new(SMALL);
        let mut exact = Vec::new();
        budget.bounded(&[1_u8; 10][..]).read_to_end(&mut exact).unwrap();
        assert_eq!(exact.len(), 10);
    }

    #[test]
    fn a_file_is_read_only_if_it_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [0; 11]).unwrap();
        let error = Budget::new(SMALL).read_file(&path).unwrap_err();
        assert!(matches!(error, ReadError::Exceeded(Exceeded { found: 11, .. })), "{error}");
        std::fs::write(&path, [5; 10]).unwrap();
        let mut budget = Budget::new(SMALL);
        assert_eq!(budget.read_file(&path).unwrap(), [5; 10]);
        assert_eq!(budget.bytes_left(), 0);
        let folder = Budget::new(SMALL).read_file(folder.path()).unwrap_err();
        assert!(matches!(folder, ReadError::Io(_)), "{folder}");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_without_an_end_is_refused() {
        let error = Budget::new(SMALL).read_file(Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(error, ReadError::Exceeded(_)), "{error}");
    }
}
