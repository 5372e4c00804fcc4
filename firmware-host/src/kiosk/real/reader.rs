//! The reader of boards as the kiosk's.

use trm_models::ClassifierBundle;
use trm_puzzles::PuzzleKind;

use crate::Result;
use crate::kiosk::parts::{Corners, Frame, Puzzle, Reader, Reading};
use crate::vision::{self, BoardReader, Refusal, Voter};

/// Reads boards, voting over the frames in which one lies still.
#[derive(Debug)]
pub struct PhotoReader {
    boards: BoardReader,
    voter: Voter,
}

impl PhotoReader {
    /// Reads with `boards`.
    #[must_use]
    pub fn new(boards: BoardReader) -> Self {
        Self { boards, voter: Voter::default() }
    }

    /// With the digit reader that is built in.
    ///
    /// # Errors
    /// When the engine cannot load it.
    pub fn built_in() -> Result<Self> {
        Ok(Self::new(BoardReader::open(&ClassifierBundle::digits()?)?))
    }
}

impl Reader for PhotoReader {
    fn locate(&mut self, frame: &Frame) -> Result<Option<Corners>> {
        Ok(self.boards.locate(&frame.image))
    }

    fn read(&mut self, frame: &Frame) -> Result<Reading> {
        let reading = self.boards.read(&frame.image)?;
        Ok(translated(self.voter.add(reading)))
    }

    fn forget(&mut self) {
        self.voter.forget();
    }
}

fn translated(reading: vision::Reading) -> Reading {
    let trusted = reading.trusted();
    let puzzle = reading.task.zip(reading.grid).map(|(task, grid)| Puzzle { kind: PuzzleKind::Sudoku(task), grid });
    Reading {
        corners: reading.corners,
        puzzle,
        confidence: reading.confidence,
        trusted,
        doubtful: reading.doubtful,
        reason: reading.refusal.map(Refusal::as_str).map(str::to_owned),
    }
}
