//! Reads the board of a photograph.

use image::RgbImage;
use trm_engine::classify::Classifier;
use trm_models::ClassifierBundle;
use trm_puzzles::{Grid, Sudoku};

use super::cells::{CELL_PIXELS, cell_pictures, turned};
use super::consistent::{self, CLASSES};
use super::lattice::Lattice;
use super::locate::{Board, boards};
use super::photo::{Ink, MIN_SIDE};
use super::quad::{Quad, area};
use crate::{HostError, Result};

/// The reason why a reading is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The picture has fewer pixels than a board needs.
    TooSmall,
    /// No board was found, or not all of it is in the picture.
    NoBoard,
    /// More than one board was found.
    SeveralBoards,
    /// Hardly any digits: an empty board.
    NoDigits,
    /// No likely reading is a puzzle with one solution.
    Inconsistent,
    /// Cells that could as well be something else.
    Doubtful,
}

impl Refusal {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooSmall => "the picture is too small",
            Self::NoBoard => "no whole board in the picture",
            Self::SeveralBoards => "more than one board in the picture",
            Self::NoDigits => "hardly any digits on the board",
            Self::Inconsistent => "the digits make no puzzle with one solution",
            Self::Doubtful => "cells that could be read otherwise",
        }
    }
}

/// The reading of a photograph.
#[derive(Debug)]
pub struct Reading {
    /// The board's corners in the photograph, clockwise from the top left, if one was found.
    pub corners: Option<Quad>,
    /// Quarter turns to the left that put the digits upright.
    pub turns: usize,
    /// The task, by the board's size.
    pub task: Option<Sudoku>,
    /// The puzzle, upright: 0 for an empty cell. None if no board was found.
    pub grid: Option<Grid>,
    /// Confidence in each cell, 0 to 1, in the order of the grid's cells.
    pub confidence: Vec<f32>,
    /// Probabilities of empty and the digits 1 to 9 in each cell, `[cells, 10]`.
    pub probabilities: Vec<f32>,
    /// Cells in doubt.
    pub doubtful: Vec<usize>,
    /// The reason why the reading is not trusted; `None` if it is.
    pub refusal: Option<Refusal>,
    /// The lines, to draw answers along.
    pub(crate) lattice: Option<Lattice>,
    /// Pixels of the photograph for one that the lattice was found in.
    pub(crate) scale: f32,
}

impl Reading {
    fn refused(refusal: Refusal) -> Self {
        Self {
            corners: None,
            turns: 0,
            task: None,
            grid: None,
            confidence: Vec::new(),
            probabilities: Vec::new(),
            doubtful: Vec::new(),
            refusal: Some(refusal),
            lattice: None,
            scale: 1.0,
        }
    }

    /// `true` if it is unclear which board was read.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.refusal == Some(Refusal::SeveralBoards)
    }

    /// `true` if the reading may be shown as what lies in front of the camera.
    #[must_use]
    pub fn trusted(&self) -> bool {
        self.refusal.is_none()
    }
}

/// Another board of at least this share of the best one's area is one too many.
const SECOND_BOARD: f32 = 0.5;

/// Least probability of what is read in each cell of a trusted board.
const SURE: f32 = 0.75;

/// Most that a trusted board may be less likely than what is seen at first sight, in natural logarithms.
const MOST_COST: f32 = 6.0;

/// Share of cells that have to hold digits: no puzzle of the common sizes with one solution has fewer.
const LEAST_DIGITS: f32 = 0.17;

/// Mean confidence of the digits above which they are upright beyond doubt.
const UPRIGHT: f32 = 0.98;

/// Reads boards by a digit classifier.
#[derive(Debug)]
pub struct BoardReader {
    classifier: Classifier,
}

impl BoardReader {
    /// With a classifier of pictures of 28x28 into empty and the digits 1 to 9.
    #[must_use]
    pub fn new(classifier: Classifier) -> Self {
        Self { classifier }
    }

    /// With a reader's bundle, on the engine that is preferred.
    ///
    /// # Errors
    /// [`HostError::NoDigitReader`] when the bundle is not a digit reader's; [`HostError::Engine`] when the engine
    /// refuses its graph.
    pub fn open(bundle: &ClassifierBundle) -> Result<Self> {
        let manifest = bundle.manifest();
        if manifest.size != CELL_PIXELS || manifest.classes.len() != CLASSES {
            return Err(HostError::NoDigitReader {
                name: manifest.name.clone(),
                size: manifest.size,
                classes: manifest.classes.len(),
            });
        }
        Ok(Self::new(Classifier::built_in(bundle.graph(), CELL_PIXELS, CLASSES)?))
    }

    /// The board that [`read`](Self::read) would read, by its corners in the photograph, without reading it.
    #[must_use]
    pub fn locate(&self, photo: &RgbImage) -> Option<Quad> {
        if photo.width().min(photo.height()) < MIN_SIDE {
            return None;
        }
        let ink = Ink::new(photo);
        let board = boards(&ink.gray).into_iter().next()?;
        Some(board.quad.map(|corner| corner.map(|value| value * ink.scale)))
    }

    /// Reads a photograph. What cannot be read is a reading that says why.
    ///
    /// # Errors
    /// Only when the classifier's engine fails.
    pub fn read(&mut self, photo: &RgbImage) -> Result<Reading> {
        if photo.width().min(photo.height()) < MIN_SIDE {
            return Ok(Reading::refused(Refusal::TooSmall));
        }
        let ink = Ink::new(photo);
        let mut found = boards(&ink.gray).into_iter();
        let Some(board) = found.next() else { return Ok(Reading::refused(Refusal::NoBoard)) };
        let several = found.any(|other| area(&other.quad) > SECOND_BOARD * area(&board.quad));
        let mut reading = self.read_board(board, ink.scale)?;
        if several {
            reading.refusal = Some(Refusal::SeveralBoards);
        }
        Ok(reading)
    }

    fn read_board(&mut self, board: Board, scale: f32) -> Result<Reading> {
        let Board { lattice, quad, .. } = board;
        let side = lattice.side;
        let corners = quad.map(|corner| corner.map(|value| value * scale));
        let pictures = cell_pictures(&lattice);
        let (turns, probabilities) = self.classify_upright(&pictures, side)?;
        let reading =
            Reading { corners: Some(corners), turns, lattice: Some(lattice), scale, ..judge(side, probabilities) };
        Ok(reading)
    }

    /// The quarter turns to the left that put the digits upright, and the cells' probabilities then.
    fn classify_upright(&mut self, pictures: &[f32], side: usize) -> Result<(usize, Vec<f32>)> {
        let pixels = CELL_PIXELS * CELL_PIXELS;
        let as_seen = self.classifier.classify(pictures)?;
        let digits: Vec<usize> = (0..side * side).filter(|&cell| as_seen[cell * CLASSES] < 0.5).collect();
        let sureness = |probabilities: &[f32], cells: &[usize]| {
            let sure = |&cell: &usize| {
                let digits = &probabilities[cell * CLASSES + 1..][..side.min(CLASSES - 1)];
                digits.iter().copied().fold(0.0, f32::max)
            };
            cells.iter().map(sure).sum::<f32>() / cells.len().max(1) as f32
        };
        let mut best = (sureness(&as_seen, &digits), 0);
        if best.0 < UPRIGHT && !digits.is_empty() {
            for turns in 1..4 {
                let some = digits.iter().flat_map(|&cell| turned(&pictures[cell * pixels..][..pixels], turns));
                let probabilities = self.classifier.classify(&some.collect::<Vec<_>>())?;
                let all: Vec<usize> = (0..digits.len()).collect();
                let sure = sureness(&probabilities, &all);
                if sure > best.0 {
                    best = (sure, turns);
                }
            }
        }
        let turns = best.1;
        if turns == 0 {
            return Ok((0, as_seen));
        }
        let upright: Vec<f32> = (0..side * side)
            .flat_map(|cell| {
                let from = turned_cell(cell, side, turns);
                turned(&pictures[from * pixels..][..pixels], turns)
            })
            .collect();
        Ok((turns, self.classifier.classify(&upright)?))
    }
}

/// Returns the place, in the grid as the camera sees it, of a cell of the upright grid.
pub(crate) fn turned_cell(cell: usize, side: usize, turns: usize) -> usize {
    let (mut row, mut col) = (cell / side, cell % side);
    for _ in 0..turns % 4 {
        (row, col) = (col, side - 1 - row);
    }
    row * side + col
}

/// Makes a reading of the cells' probabilities.
pub(crate) fn judge(side: usize, probabilities: Vec<f32>) -> Reading {
    let Some(task) = Sudoku::with_side(side) else { return Reading::refused(Refusal::NoBoard) };
    let seen = consistent::first_sight(task, &probabilities);
    let found = consistent::most_likely(task, &probabilities);
    let digits = found.as_ref().map_or(&seen, |found| &found.digits);
    let confidence: Vec<f32> =
        digits.iter().enumerate().map(|(cell, &digit)| probabilities[cell * CLASSES + usize::from(digit)]).collect();
    let given = digits.iter().filter(|&&digit| digit > 0).count();
    let mut doubtful: Vec<usize> = (0..confidence.len()).filter(|&cell| confidence[cell] < SURE).collect();
    let refusal = match &found {
        _ if (given as f32) < LEAST_DIGITS * (side * side) as f32 => Some(Refusal::NoDigits),
        None => {
            doubtful.extend(consistent::clashes(task, digits));
            Some(Refusal::Inconsistent)
        }
        Some(found) => {
            doubtful.extend(&found.doubtful);
            (found.cost > MOST_COST || !doubtful.is_empty()).then_some(Refusal::Doubtful)
        }
    };
    doubtful.sort_unstable();
    doubtful.dedup();
    let grid = Grid::from_cells(side, side, digits.clone()).ok();
    Reading {
        task: Some(task),
        grid,
        confidence,
        probabilities,
        doubtful,
        refusal,
        ..Reading::refused(Refusal::NoBoard)
    }
}
