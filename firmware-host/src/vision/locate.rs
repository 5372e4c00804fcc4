//! Finds the board in a picture: of all quadrilaterals the one that has a board's lines.
//!
//! Newspapers have crosswords, adverts and yesterday's solution beside the sudoku. Size alone finds those as well; lines
//! alone find the small solution. So both count.

use image::GrayImage;

use super::lattice::{Lattice, line_score};
use super::quad::{Quad, area, candidates, distance};

/// Sizes of boards that are looked for, cells a side.
const SIDES: [usize; 3] = [9, 6, 4];

/// Least [line score](line_score) of a quadrilateral that is looked at more closely. It only saves the work of a
/// [`Lattice`]: [`MIN_CLARITY`] decides whether there is a board.
const MIN_SCORE: f32 = 0.25;

/// Least [clarity](Lattice::clarity) of a board. What has a board's lines but is no sudoku is refused later, by its
/// digits.
const MIN_CLARITY: f32 = 0.25;

/// Clarity of a [`LARGE`] board at which no other threshold is tried, which saves their time.
const CLEAR: f32 = 0.6;

/// Share of the picture that a clear board covers at which no other threshold is tried. A smaller one may be
/// yesterday's solution, beside a board that this threshold has missed.
const LARGE: f32 = 0.15;

/// A board that was found.
#[derive(Debug)]
pub(crate) struct Board {
    /// Its lines.
    pub lattice: Lattice,
    /// Its corners in the picture, clockwise from the top left.
    pub quad: Quad,
    /// Measure by which it is preferred: its clarity times the root of its share of the picture.
    worth: f32,
}

/// The boards of a picture, the best first; those that overlap a better one are left out.
pub(crate) fn boards(gray: &GrayImage) -> Vec<Board> {
    let picture = (gray.width() * gray.height()) as f32;
    let mut found: Vec<Board> = Vec::new();
    for quads in candidates(gray) {
        for quad in quads {
            let best = SIDES.map(|side| (line_score(gray, &quad, side), side));
            let (score, side) = best.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
            if score < MIN_SCORE {
                continue;
            }
            let Some(lattice) = Lattice::new(gray, &quad, side) else { continue };
            let quad = lattice.corners();
            if lattice.clarity >= MIN_CLARITY && inside(gray, &quad) {
                let worth = lattice.clarity * (area(&quad) / picture).sqrt();
                found.push(Board { lattice, quad, worth });
            }
        }
        if found.iter().any(|board| board.lattice.clarity > CLEAR && area(&board.quad) > LARGE * picture) {
            break;
        }
    }
    found.sort_by(|a, b| b.worth.total_cmp(&a.worth));
    let mut kept: Vec<Board> = Vec::new();
    for board in found {
        if !kept.iter().any(|other| overlap(&other.quad, &board.quad)) {
            kept.push(board);
        }
    }
    kept
}

/// `true` if the board is all in the picture.
fn inside(gray: &GrayImage, quad: &Quad) -> bool {
    // Corners are where smoothed lines cross, not where ink was seen: they may be off by 2 % of a side.
    let slack = 0.02 * area(quad).sqrt();
    let (right, bottom) = (gray.width() as f32 - 1.0 + slack, gray.height() as f32 - 1.0 + slack);
    quad.iter().all(|&[x, y]| x >= -slack && y >= -slack && x <= right && y <= bottom)
}

/// `true` if one of two boards has its middle in the other.
fn overlap(a: &Quad, b: &Quad) -> bool {
    let middle = |quad: &Quad| [0, 1].map(|axis| quad.iter().map(|corner| corner[axis]).sum::<f32>() / 4.0);
    let reach = |quad: &Quad| area(quad).sqrt() / 2.0;
    distance(middle(a), middle(b)) < reach(a).max(reach(b))
}
