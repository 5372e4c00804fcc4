//! Texts in any of the [dialects](super::DIALECTS), and mazes alone.

use super::body::counted;
use super::encoding::utf8;
use super::kept::Kept;
use super::lines::lines;
use super::{Family, Found, Puzzle, Reading, dialect, maze, token_text};
use crate::Result;

/// Puzzles from a text, of what is said about it.
///
/// # Errors
///
/// Those of [`super::parse`].
pub fn parse_as(origin: &str, bytes: &[u8], reading: &Reading) -> Result<Vec<Puzzle>> {
    parse_all(origin, bytes, reading).map(|found| found.puzzles)
}

/// As [`parse_as`], with what was set aside where reading is to go on.
///
/// # Errors
///
/// Those of [`parse_as`].
pub fn parse_all(origin: &str, bytes: &[u8], reading: &Reading) -> Result<Found> {
    if let Some(task) = reading.tokens {
        return token_text::parse(origin, bytes, task).map(Found::from);
    }
    let bytes = utf8(bytes);
    let (body, mut budget) = counted(origin, &bytes)?;
    dialect::read(origin, body, reading, &mut budget)
}

/// Mazes from a text that is known to hold nothing else, in ASCII or as micromouse drawings. Start and goal may be
/// missing.
///
/// # Errors
///
/// Those of [`parse_as`] except [`PuzzleError::Empty`](crate::PuzzleError::Empty): a text without mazes gives an empty list.
pub fn parse_as_mazes(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    let lines = lines(origin, body, &mut budget)?;
    let mut kept = Kept::new(origin, bytes.len());
    let reading = Reading { family: Some(Family::Maze), as_drawn: true, ..Reading::default() };
    if maze::looks_like_rooms(&lines) {
        maze::read_rooms(origin, &lines, &reading, &mut kept)?;
    } else {
        maze::read(origin, &lines, &reading, &mut kept)?;
    }
    Ok(kept.all())
}
