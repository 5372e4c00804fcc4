//! One reading out of several frames of the same board.

use std::collections::VecDeque;

use super::consistent::CLASSES;
use super::reader::{Reading, judge};

/// Most frames that are taken together. When another comes, the oldest is dropped.
const FRAMES: usize = 5;

/// Share of the cells that may look different before it is another board: 12 of 81. Frames of one board differ where
/// cells are misread (0.64 % of them were, `docs/camera.md`), two boards wherever one of them has another given.
const SAME_BOARD: f32 = 0.15;

/// Averages the cells' probabilities over the last frames: what one frame has blurred, another shows.
#[derive(Debug, Default)]
pub struct Voter {
    /// Probabilities of each frame, `[cells, 10]`, all of the same board.
    frames: VecDeque<Vec<f32>>,
}

impl Voter {
    /// Adds a frame's reading and returns what all of them amount to, at the corners of the new one. A frame without a
    /// board, or with several, is returned as it is and changes nothing.
    pub fn add(&mut self, reading: Reading) -> Reading {
        let Some(side) = reading.grid.as_ref().map(trm_puzzles::Grid::width).filter(|_| !reading.is_ambiguous()) else {
            return reading;
        };
        if self.frames.back().is_some_and(|last| !alike(last, &reading.probabilities)) {
            self.frames.clear();
        }
        self.frames.push_back(reading.probabilities.clone());
        if self.frames.len() > FRAMES {
            self.frames.pop_front();
        }
        if self.frames.len() == 1 {
            return reading;
        }
        let share = 1.0 / self.frames.len() as f32;
        let mean = (0..reading.probabilities.len()).map(|k| self.frames.iter().map(|frame| share * frame[k]).sum());
        let judged = judge(side, mean.collect());
        Reading {
            corners: reading.corners,
            turns: reading.turns,
            lattice: reading.lattice,
            scale: reading.scale,
            ..judged
        }
    }

    /// Forgets the frames: another board comes.
    pub fn forget(&mut self) {
        self.frames.clear();
    }
}

/// `true` if two frames show the same board.
fn alike(a: &[f32], b: &[f32]) -> bool {
    let seen = |cell: &[f32]| (0..CLASSES).max_by(|&x, &y| cell[x].total_cmp(&cell[y]));
    let pairs = || a.chunks_exact(CLASSES).zip(b.chunks_exact(CLASSES));
    let different = pairs().filter(|(a, b)| seen(a) != seen(b)).count();
    a.len() == b.len() && different as f32 <= SAME_BOARD * pairs().count() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";

    /// Probabilities that are sure of the digits, but for one cell.
    fn frame(digits: &str, unsure: Option<(usize, usize, f32)>) -> Reading {
        let mut probabilities = vec![1e-6; digits.len() * CLASSES];
        for (cell, digit) in digits.bytes().enumerate() {
            probabilities[cell * CLASSES + usize::from(digit - b'0')] = 1.0;
        }
        if let Some((cell, digit, p)) = unsure {
            probabilities[cell * CLASSES..][..CLASSES].fill(1e-6);
            probabilities[cell * CLASSES + digit] = p;
            probabilities[cell * CLASSES + usize::from(digits.as_bytes()[cell] - b'0')] = 1.0 - p;
        }
        judge(9, probabilities)
    }

    fn text(reading: &Reading) -> String {
        reading.grid.as_ref().unwrap().cells().iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    #[test]
    fn clear_frames_outvote_a_blurred_one() {
        // Without the 5 at the top left the puzzle has one solution as well, so the rules cannot tell.
        let blurred = || frame(PUZZLE, Some((0, 0, 0.8)));
        assert_eq!(&text(&blurred())[..3], "030");
        let mut voter = Voter::default();
        voter.add(blurred());
        voter.add(frame(PUZZLE, None));
        let voted = voter.add(frame(PUZZLE, None));
        assert_eq!(text(&voted), PUZZLE);
    }

    #[test]
    fn another_board_starts_anew() {
        let mut voter = Voter::default();
        for _ in 0..5 {
            voter.add(frame(PUZZLE, None));
        }
        let other: String = PUZZLE.chars().rev().collect();
        let voted = voter.add(frame(&other, None));
        assert_eq!(text(&voted), other);
        assert!(voted.trusted());
    }
}
