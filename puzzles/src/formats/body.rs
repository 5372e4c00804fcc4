//! An input in memory.

use std::ops::Deref;
use std::path::Path;

use trm_intake::Budget;

use super::LIMITS;
use crate::{PuzzleError, Result};

/// The mark that Windows' editors put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes of an input without byte order mark. They are looked at for that here, and counted once: by [`counted`], or when
/// their file was read.
#[derive(Clone, Copy)]
pub(crate) struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    /// Takes the bytes of a file that [`read_file`] has read.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes))
    }

    /// The bytes.
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

/// Takes an input that is in memory already, with a budget that its bytes are drawn on.
pub(crate) fn counted<'a>(origin: &str, bytes: &'a [u8]) -> Result<(Body<'a>, Budget)> {
    let mut budget = Budget::new(LIMITS);
    budget.take_bytes(bytes.len() as u64).map_err(PuzzleError::exceeded(origin, "lines"))?;
    Ok((Body::of(bytes), budget))
}

/// A whole file, its bytes drawn on the budget.
pub(crate) fn read_file(path: &Path, budget: &mut Budget) -> Result<Vec<u8>> {
    budget.read_file(path).map_err(PuzzleError::read(path))
}
