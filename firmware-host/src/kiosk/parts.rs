//! The parts of a kiosk, as the loop sees them. Each stands behind a trait, so that the loop runs with files and
//! fakes as it does with hardware.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use trm_puzzles::{Grid, PuzzleKind, Verdict};

use super::machine::Sight;
use super::models::{Active, SelfTest};
use super::status::StatusSink;
use crate::Result;
pub use crate::vision::source::Frame;
use crate::vision::{Refusal, maze::MazeRefusal};

/// A source of frames.
pub trait Camera {
    /// The next frame; `None` when the source has ended and no more will come.
    ///
    /// # Errors
    /// When the source fails. It can be asked again.
    fn next_frame(&mut self) -> Result<Option<Frame>>;

    /// The puzzle in view has been dealt with. A folder of pictures moves on to the next one; a camera does not care.
    fn puzzle_done(&mut self) {}
}

/// A board's corners in pixels of the frame, clockwise from the top left.
pub type Corners = [[f32; 2]; 4];

/// A puzzle to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Puzzle {
    /// Task and size.
    pub kind: PuzzleKind,
    /// The cells.
    pub grid: Grid,
}

/// The reading of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Where the board is; `None` when there is none.
    pub corners: Option<Corners>,
    /// The puzzle as far as it could be read; `None` when there is no board.
    pub puzzle: Option<Puzzle>,
    /// For each cell, row by row: how sure the reader is, 0 to 1.
    pub confidence: Vec<f32>,
    /// `true` if the reading is good enough to be solved and shown.
    pub trusted: bool,
    /// Indices of the cells in doubt, row by row.
    pub doubtful: Vec<usize>,
    /// The reason why the reading is not trusted.
    pub refusal: Option<Unread>,
}

/// The reason why a puzzle could not be read with certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The reader of boards refused it.
    Board(Refusal),
    /// The reader of mazes refused it.
    Maze(MazeRefusal),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Board(refusal) => refusal.as_str(),
            Self::Maze(refusal) => refusal.as_str(),
        })
    }
}

/// Finds and reads puzzles in frames.
pub trait Reader {
    /// Finds the board, quickly: asked of every frame while a visitor lays one down.
    ///
    /// # Errors
    /// When the reader's engine fails.
    fn locate(&mut self, frame: &Frame) -> Result<Option<Corners>>;

    /// Reads the puzzle in the frame. A frame without one gives a reading without corners that is not trusted.
    ///
    /// # Errors
    /// When the reader's engine fails.
    fn read(&mut self, frame: &Frame) -> Result<Reading>;

    /// A board was put in place of the one before: whatever was gathered over several frames is to be forgotten.
    fn forget(&mut self) {}
}

/// One ACT step of a solver at work.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Counted from 1.
    pub number: usize,
    /// The answer as it is now.
    pub grid: &'a Grid,
}

/// Result of solving.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The answer.
    pub answer: Grid,
    /// Judgement of the puzzle's rules.
    pub verdict: Verdict,
    /// ACT steps taken.
    pub steps: usize,
    /// Time it took, that of showing the steps left out.
    pub time: Duration,
}

/// Solves puzzles.
pub trait PuzzleSolver {
    /// Solves, telling `on_step` of every step; it is to stop soon after `on_step` breaks, with what it has.
    ///
    /// # Errors
    /// When no model fits, the puzzle breaks its own rules, or the engine fails.
    fn solve(&mut self, puzzle: &Puzzle, on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>) -> Result<Solution>;

    /// Takes the models that are active now (see [`models`](super::models)), for puzzles that come from here on.
    ///
    /// # Errors
    /// When one of them cannot be loaded; those in use stay.
    fn use_models(&mut self, active: &Active) -> Result<()> {
        let _ = active;
        Ok(())
    }
}

/// A scene to be shown.
#[derive(Debug, Clone, Copy)]
pub enum Scene<'a> {
    /// Nobody is there.
    Idle,
    /// A board is being laid down: the picture, and where the board is.
    Aim {
        /// The present frame.
        frame: &'a Frame,
        /// The board.
        corners: Option<Corners>,
    },
    /// A reading that is not trusted yet; another frame may make it so.
    Reading {
        /// The frame that was read.
        frame: &'a Frame,
        /// Reading so far; `None` before the first.
        reading: Option<&'a Reading>,
    },
    /// The board could not be read with certainty.
    Refused {
        /// The frame that was read.
        frame: &'a Frame,
        /// The reading, with its cells in doubt and the reason.
        reading: &'a Reading,
    },
    /// The solver is at work.
    Solving {
        /// The puzzle as it was read.
        puzzle: &'a Puzzle,
        /// The answer as it is now.
        answer: &'a Grid,
        /// Indices of the cells that the last step changed.
        changed: &'a [usize],
        /// The step, counted from 1; 0 before the first.
        step: usize,
    },
    /// The answer, verified by the puzzle's rules.
    Solved(Verified<'a>),
    /// No answer that can be called right.
    NotSolved {
        /// The puzzle.
        puzzle: &'a Puzzle,
        /// The solver's last answer, for what it is worth.
        answer: &'a Grid,
        /// The verdict: what is wrong or missing.
        verdict: &'a Verdict,
    },
    /// A part failed; the kiosk tries again.
    Error {
        /// The part.
        part: &'a str,
        /// The failure, in one line.
        text: &'a str,
        /// The advice, in one line.
        hint: Option<&'a str>,
    },
}

/// An answer that the rules accept. Nothing else makes one than [`Verified::of`], so a screen cannot be given a
/// wrong answer as solved.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    puzzle: &'a Puzzle,
    solution: &'a Solution,
}

impl<'a> Verified<'a> {
    /// The solution with its puzzle, if its verdict is that it is right.
    #[must_use]
    pub fn of(puzzle: &'a Puzzle, solution: &'a Solution) -> Option<Self> {
        solution.verdict.is_verified().then_some(Self { puzzle, solution })
    }

    /// The puzzle.
    #[must_use]
    pub fn puzzle(&self) -> &'a Puzzle {
        self.puzzle
    }

    /// Answer, verdict and steps.
    #[must_use]
    pub fn solution(&self) -> &'a Solution {
        self.solution
    }
}

impl Scene<'_> {
    /// `idle`, `aim`, `reading`, `refused`, `solving`, `solved`, `not-solved` or `error`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Aim { .. } => "aim",
            Self::Reading { .. } => "reading",
            Self::Refused { .. } => "refused",
            Self::Solving { .. } => "solving",
            Self::Solved(_) => "solved",
            Self::NotSolved { .. } => "not-solved",
            Self::Error { .. } => "error",
        }
    }
}

/// Shows scenes: a display, or several.
pub trait Screen {
    /// Draws and presents a scene.
    ///
    /// # Errors
    /// When a display fails.
    fn show(&mut self, scene: &Scene<'_>) -> Result<()>;

    /// Shows anew what moves by itself, and tries displays that had failed, while nothing has changed since
    /// [`show`](Self::show). Called between frames. Returns `true` when the last display that had failed shows what it
    /// should.
    ///
    /// # Errors
    /// When a display fails.
    fn tick(&mut self) -> Result<bool> {
        Ok(false)
    }
}

/// Meaning of the lights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Light {
    /// Waiting.
    Idle,
    /// Reading or solving.
    Busy,
    /// Solved.
    Good,
    /// Not solved, or not read.
    Bad,
    /// Something is broken.
    Fault,
}

impl fmt::Display for Light {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Fault => "fault",
        })
    }
}

/// A microcontroller.
pub trait Device {
    /// Asks for a sign of life. `Ok` means that the device has answered.
    ///
    /// # Errors
    /// When the device does not answer, or a command since the last heartbeat has failed.
    fn heartbeat(&mut self) -> Result<()>;

    /// Sets the lights.
    ///
    /// # Errors
    /// When the device cannot be told.
    fn light(&mut self, light: Light) -> Result<()>;

    /// Returns `true` if the button was pressed since the last call.
    ///
    /// # Errors
    /// When the device cannot be asked.
    fn button(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// A verified answer, for a device that acts on it: a robot in a maze.
    ///
    /// # Errors
    /// When the device cannot be told.
    fn solved(&mut self, verified: &Verified<'_>) -> Result<()> {
        let _ = verified;
        Ok(())
    }
}

/// All parts of one kiosk.
pub struct Parts<'a> {
    /// Source of frames.
    pub camera: Box<dyn Camera + 'a>,
    /// Frame to puzzle.
    pub reader: Box<dyn Reader + 'a>,
    /// Puzzle to answer.
    pub solver: Box<dyn PuzzleSolver + 'a>,
    /// Display, or several.
    pub screen: Box<dyn Screen + 'a>,
    /// The microcontroller, if there is one.
    pub device: Option<Box<dyn Device + 'a>>,
    /// Test that a model must pass to be activated; without it, models are not swapped.
    pub self_test: Option<Arc<dyn SelfTest + Send + Sync>>,
    /// Receiver of the kiosk's status.
    pub status: Box<dyn StatusSink + 'a>,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("device", &self.device.is_some()).finish_non_exhaustive()
    }
}

/// Tells whether a board lies still, from where it was seen in one frame and the next.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    last: Option<Corners>,
    missed: u32,
}

impl Tracker {
    /// Compares with the frames before. `tolerance` is the share of the board's longer diagonal by which a corner may
    /// move. A board that is not found in a frame is gone after `gone_frames` such frames in a row; until then nothing can be
    /// said: a hand above the board, a blurred frame.
    pub fn see(&mut self, corners: Option<Corners>, tolerance: f32, gone_frames: u32) -> Option<Sight> {
        let Some(now) = corners else {
            self.missed = self.missed.saturating_add(1);
            if self.last.is_some() && self.missed < gone_frames {
                return None;
            }
            self.last = None;
            return Some(Sight::Nothing);
        };
        self.missed = 0;
        let still = self.last.replace(now).is_some_and(|before| is_still(&before, &now, tolerance));
        Some(if still { Sight::Still } else { Sight::Moved })
    }

    /// Forgets the last frame: the next board counts as moved.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

fn is_still(before: &Corners, now: &Corners, tolerance: f32) -> bool {
    let distance = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let diagonal = distance(now[0], now[2]).max(distance(now[1], now[3]));
    // A NaN among the corners compares as false: not still.
    before.iter().zip(now).all(|(&before, &now)| distance(before, now) <= tolerance * diagonal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: Corners = [[10.0, 10.0], [110.0, 10.0], [110.0, 110.0], [10.0, 110.0]];

    fn shifted(by: f32) -> Corners {
        BOARD.map(|[x, y]| [x + by, y])
    }

    #[test]
    fn a_board_is_still_when_no_corner_moved_by_more_than_the_tolerance() {
        let mut tracker = Tracker::default();
        let mut see = |corners| tracker.see(corners, 0.02, 3);
        assert_eq!(see(None), Some(Sight::Nothing), "nothing was there that could be gone");
        assert_eq!(see(Some(BOARD)), Some(Sight::Moved));
        assert_eq!(see(Some(shifted(2.0))), Some(Sight::Still), "2 of 141 pixels");
        assert_eq!(see(Some(shifted(6.0))), Some(Sight::Moved), "4 of 141 pixels");
        assert_eq!(see(Some(shifted(f32::NAN))), Some(Sight::Moved));
        assert_eq!(see(Some(BOARD)), Some(Sight::Moved));
        assert_eq!([see(None), see(None)], [None, None], "a hand");
        assert_eq!(see(Some(BOARD)), Some(Sight::Still));
        assert_eq!([see(None), see(None), see(None)], [None, None, Some(Sight::Nothing)]);
        assert_eq!(see(Some(BOARD)), Some(Sight::Moved));
        tracker.forget();
        assert_eq!(tracker.see(Some(BOARD), 0.02, 3), Some(Sight::Moved));
    }
}
