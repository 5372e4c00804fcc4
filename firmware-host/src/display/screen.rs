//! Screens as data only. The same screen can be drawn on any panel, any number of times.

use std::time::Duration;

use image::{GrayImage, RgbImage};
use trm_puzzles::{Grid, PuzzleKind};

/// One screen of the kiosk.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Screen {
    /// Nobody is there: an invitation, and puzzles that solve themselves.
    Idle {
        /// Time since it was first shown; the animation is a function of it.
        elapsed: Duration,
    },
    /// The camera's picture, for somebody who lays a puzzle down.
    Aim {
        /// The picture.
        preview: Preview,
        /// The board that was found: its corners in pixels of the picture, clockwise from top left.
        corners: Option<[[f32; 2]; 4]>,
    },
    /// The reading of the photograph.
    Reading {
        /// The puzzle as read.
        board: Board,
        /// Indices of cells, row by row, that were not read with confidence.
        doubtful: Vec<usize>,
        /// The reason why the reading is not trusted, or what is wanted of the visitor.
        remark: Option<String>,
    },
    /// The model at work.
    Solving {
        /// The puzzle with the present answer.
        board: Board,
        /// Indices of the cells that the last step changed; see [`Board::changed_since`].
        changed: Vec<usize>,
        /// Steps done, from 1.
        step: usize,
        /// The most steps there will be.
        limit: usize,
    },
    /// An answer that was verified.
    Solved {
        /// The puzzle with its answer.
        board: Board,
        /// Steps it took.
        steps: usize,
        /// From the puzzle to the answer.
        time: Duration,
    },
    /// No answer that holds.
    NotSolved {
        /// The puzzle with the last attempt.
        board: Board,
        /// The reason, in a few words.
        reason: String,
    },
    /// Something is broken, and somebody has to look after it.
    Error {
        /// Code to look up or to tell on the phone: `E12`.
        code: String,
        /// The fault, in a few words.
        text: String,
        /// The advice.
        hint: String,
    },
}

/// A picture of the camera.
#[derive(Clone, Debug, PartialEq)]
pub enum Preview {
    /// 8 bits a pixel.
    Grey(GrayImage),
    /// 8 bits a channel.
    Colour(RgbImage),
}

impl Preview {
    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        match self {
            Self::Grey(image) => image.dimensions(),
            Self::Colour(image) => image.dimensions(),
        }
    }

    /// A pixel inside the picture, 8 bits a channel.
    pub(super) fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        match self {
            Self::Grey(image) => [image.get_pixel(x, y).0[0]; 3],
            Self::Colour(image) => image.get_pixel(x, y).0,
        }
    }
}

/// A puzzle and an answer to it, complete or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Task and size.
    pub kind: PuzzleKind,
    /// The puzzle.
    pub given: Grid,
    /// The answer so far: of the same size as `given`, or equal to it where there is no answer yet.
    pub answer: Grid,
}

impl Board {
    /// A puzzle without an answer.
    #[must_use]
    pub fn new(kind: PuzzleKind, given: Grid) -> Self {
        Self { kind, answer: given.clone(), given }
    }

    /// The same puzzle with another answer.
    #[must_use]
    pub fn with_answer(&self, answer: Grid) -> Self {
        Self { kind: self.kind, given: self.given.clone(), answer }
    }

    /// Indices of the cells, row by row, that hold another value than in `previous`. All of them differ where the size
    /// does.
    #[must_use]
    pub fn changed_since(&self, previous: &Grid) -> Vec<usize> {
        let same_size = self.answer.size() == previous.size();
        let cells = self.answer.cells().iter().enumerate();
        cells.filter(|&(i, cell)| !same_size || previous.cells()[i] != *cell).map(|(i, _)| i).collect()
    }
}
