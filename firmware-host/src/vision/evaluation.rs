//! Measures how well boards are read, against a set of labelled photographs.

use serde::Serialize;

use super::photo;
use super::photo_set::LabelledPhoto;
use super::quad::{Quad, area, distance, from_top_left};
use super::reader::{BoardReader, Reading};
use crate::Result;

/// A board counts as found when each corner is this near to the label's, as a share of the board's side. The labels
/// themselves are off by up to 0.05.
pub const CORNER_TOLERANCE: f32 = 0.06;

/// Result of one photograph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhotoResult {
    /// The picture's file.
    pub file: String,
    /// `true` if the board was found where the label has it; a photograph without outline counts when a board was
    /// found.
    pub found: bool,
    /// Cells that were read rightly.
    pub cells_right: usize,
    /// Cells of the label.
    pub cells: usize,
    /// `true` if the reading was trusted.
    pub trusted: bool,
}

impl PhotoResult {
    /// `true` if the whole board was read rightly.
    #[must_use]
    pub fn exact(&self) -> bool {
        self.cells_right == self.cells
    }
}

/// Reads one photograph and compares.
///
/// # Errors
/// When the picture cannot be read or the classifier's engine fails.
pub fn judge_photo(reader: &mut BoardReader, labelled: &LabelledPhoto) -> Result<PhotoResult> {
    let reading = reader.read(&photo::open(&labelled.path)?)?;
    Ok(compare(labelled, &reading))
}

fn compare(labelled: &LabelledPhoto, reading: &Reading) -> PhotoResult {
    let found = match (&labelled.corners, &reading.corners) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(label), Some(corners)) => same_place(label, corners),
    };
    let cells_right = match &reading.grid {
        Some(grid) if grid.cells().len() == labelled.digits.len() => {
            grid.cells().iter().zip(&labelled.digits).filter(|(read, label)| read == label).count()
        }
        _ => 0,
    };
    let file = labelled.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    PhotoResult { file, found, cells_right, cells: labelled.digits.len(), trusted: reading.trusted() }
}

fn same_place(label: &Quad, corners: &Quad) -> bool {
    let label = from_top_left(*label);
    let near = CORNER_TOLERANCE * area(&label).sqrt();
    label.iter().zip(&from_top_left(*corners)).all(|(a, b)| distance(*a, *b) <= near)
}

/// The rates over a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PhotoRates {
    /// Photographs.
    pub photos: usize,
    /// Boards found where the label has them.
    pub found: usize,
    /// Cells of all labels.
    pub cells: usize,
    /// Cells read rightly.
    pub cells_right: usize,
    /// Whole boards read rightly.
    pub exact: usize,
    /// Readings that were trusted.
    pub trusted: usize,
    /// Readings that were trusted and wrong.
    pub wrong_trusted: usize,
}

impl PhotoRates {
    /// Adds a photograph.
    pub fn add(&mut self, result: &PhotoResult) {
        self.photos += 1;
        self.found += usize::from(result.found);
        self.cells += result.cells;
        self.cells_right += result.cells_right;
        self.exact += usize::from(result.exact());
        self.trusted += usize::from(result.trusted);
        self.wrong_trusted += usize::from(result.trusted && !result.exact());
    }
}

impl std::fmt::Display for PhotoRates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        writeln!(
            f,
            "boards found          {:>5} of {:<5} {:6.2} %",
            self.found,
            self.photos,
            share(self.found, self.photos)
        )?;
        writeln!(
            f,
            "cells read rightly    {:>5} of {:<5} {:6.2} %",
            self.cells_right,
            self.cells,
            share(self.cells_right, self.cells)
        )?;
        writeln!(
            f,
            "whole boards rightly  {:>5} of {:<5} {:6.2} %",
            self.exact,
            self.photos,
            share(self.exact, self.photos)
        )?;
        writeln!(
            f,
            "trusted               {:>5} of {:<5} {:6.2} %",
            self.trusted,
            self.photos,
            share(self.trusted, self.photos)
        )?;
        write!(
            f,
            "trusted and wrong     {:>5} of {:<5} {:6.2} %",
            self.wrong_trusted,
            self.photos,
            share(self.wrong_trusted, self.photos)
        )
    }
}
