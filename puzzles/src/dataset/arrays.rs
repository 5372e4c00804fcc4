//! The arrays of a data set, in files of numpy.

use std::path::Path;

use trm_intake::Budget;

use super::DataSetMetadata;
use crate::formats::npy;
use crate::{PuzzleError, Result};

/// The open arrays of a set, their shapes checked against each other.
pub(super) struct Arrays {
    pub(super) inputs: npy::Array,
    pub(super) labels: npy::Array,
    pub(super) puzzle_identifiers: npy::Array,
    pub(super) puzzle_indices: npy::Array,
    pub(super) group_indices: npy::Array,
}

impl Arrays {
    pub(super) fn open(dir: &Path, set: &str, metadata: &DataSetMetadata) -> Result<Self> {
        let file = |name: &str| dir.join(format!("{set}__{name}.npy"));
        let arrays = Self {
            inputs: matrix(&file("inputs"), metadata.seq_len)?,
            labels: matrix(&file("labels"), metadata.seq_len)?,
            puzzle_identifiers: vector(&file("puzzle_identifiers"))?,
            puzzle_indices: vector(&file("puzzle_indices"))?,
            group_indices: vector(&file("group_indices"))?,
        };
        let (inputs, labels) = (arrays.inputs.shape()[0], arrays.labels.shape()[0]);
        if inputs != labels {
            return Err(PuzzleError::data(file("labels"), format!("{labels} rows, the inputs have {inputs}")));
        }
        Ok(arrays)
    }

    pub(super) fn draw(&self, budget: &mut Budget) -> Result<()> {
        let all = [&self.inputs, &self.labels, &self.puzzle_identifiers, &self.puzzle_indices, &self.group_indices];
        all.into_iter().try_for_each(|array| array.draw(budget))
    }
}

fn matrix(path: &Path, width: usize) -> Result<npy::Array> {
    let array = npy::Array::open(path)?;
    match array.shape() {
        &[_, columns] if columns == width => Ok(array),
        shape => Err(PuzzleError::data(
            path,
            format!("shape {shape:?}, expected [examples, {width}] (seq_len of dataset.json)"),
        )),
    }
}

fn vector(path: &Path) -> Result<npy::Array> {
    let array = npy::Array::open(path)?;
    match array.shape() {
        [_] => Ok(array),
        shape => Err(PuzzleError::data(path, format!("shape {shape:?}, expected one axis"))),
    }
}

/// Rising numbers from 0 to `end`.
pub(super) fn indices(array: npy::Array, path: &Path, end: usize, what: &str, budget: &mut Budget) -> Result<Vec<i32>> {
    let expected = || PuzzleError::data(path, format!("expected rising numbers from 0 to the number of {what}, {end}"));
    // Rising numbers are no more than what they count.
    if array.shape()[0] > end.saturating_add(1) {
        return Err(expected());
    }
    let indices = array.values(budget)?;
    let rising = indices.windows(2).all(|pair| pair[0] < pair[1]);
    if rising && indices.first() == Some(&0) && indices.last().is_some_and(|&i| i as usize == end) {
        return Ok(indices);
    }
    Err(expected())
}
