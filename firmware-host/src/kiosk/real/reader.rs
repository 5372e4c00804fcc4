//! The readers of boards and mazes as the kiosk's.

use trm_models::ClassifierBundle;
use trm_puzzles::{Grid, Maze, PuzzleKind};

use crate::Result;
use crate::kiosk::parts::{Corners, Frame, Puzzle, Reader, Reading, Unread};
use crate::vision::maze::{MazeReader, MazeReading};
use crate::vision::{self, BoardReader, Refusal, Voter};

/// Reads boards, voting over the frames in which one lies still, and mazes where there is no board.
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
        let board = self.boards.locate(&frame.image);
        Ok(board.or_else(|| MazeReader::new().read(&frame.image).corners))
    }

    fn read(&mut self, frame: &Frame) -> Result<Reading> {
        let reading = self.boards.read(&frame.image)?;
        if reading.refusal == Some(Refusal::NoBoard) {
            let maze = MazeReader::new().read(&frame.image);
            if maze.grid.is_some() {
                return Ok(translated_maze(maze));
            }
        }
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
        refusal: reading.refusal.map(Unread::Board),
    }
}

fn translated_maze(reading: MazeReading) -> Reading {
    let trusted = reading.trusted();
    let size = reading.grid.as_ref().map(Grid::size);
    let doubtful: Vec<usize> =
        reading.doubtful.iter().map(|cell| cell.row * size.map_or(0, |(_, width)| width) + cell.column).collect();
    let mut confidence = vec![1.0; size.map_or(0, |(height, width)| height * width)];
    for &cell in &doubtful {
        // A wall that may as well not be there.
        confidence[cell] = 0.5;
    }
    let kind = size.and_then(|(height, width)| Maze::new(height, width).ok()).map(PuzzleKind::Maze);
    Reading {
        corners: reading.corners,
        puzzle: kind.zip(reading.grid).map(|(kind, grid)| Puzzle { kind, grid }),
        confidence,
        trusted,
        doubtful,
        refusal: reading.refusal.map(Unread::Maze),
    }
}
