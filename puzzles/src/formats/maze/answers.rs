//! Answers as `trm solve` draws them: the place and the size of a maze, the maze with the way in it, the verdict.
//!
//! ```text
//! mazes.txt:1  maze of 3x5
//! #####
//! #SoG#
//! #####
//! verified: path of 2 moves, a shortest one
//! 8 steps, 7.3 ms, maze on rten (cpu)
//! ```

use trm_intake::Fault;

use super::super::kept::Kept;
use super::super::lines::Line;
use super::super::{Puzzle, Reading};
use super::blocks::{self, answered};
use super::rooms;
use crate::{PuzzleError, Result};

/// The first words of verdicts.
const VERDICTS: [&str; 5] = ["verified", "wrong", "unsolved", "unverifiable", "unsolvable"];

/// The size that the line before an answer says.
fn heading(line: &Line<'_>) -> Option<(usize, usize)> {
    let (_, size) = line.text.trim_end().rsplit_once("  maze of ")?;
    let (height, width) = size.split_once('x')?;
    Some((height.parse().ok()?, width.parse().ok()?))
}

/// True for a line that stands below a drawing: the verdict, or steps and time.
fn is_below(line: &Line<'_>) -> bool {
    let is_verdict = |verdict: &&str| {
        line.text.strip_prefix(*verdict).is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with(": "))
    };
    let (steps, rest) = line.text.split_once(' ').unwrap_or_default();
    let is_time = steps.parse::<usize>().is_ok() && rest.starts_with("step") && rest.contains(" ms");
    line.is_blank() || VERDICTS.iter().any(is_verdict) || is_time
}

/// True for a text that begins with an answer.
pub(in super::super) fn looks_like(lines: &[Line<'_>]) -> bool {
    lines.iter().find(|line| !line.is_blank()).is_some_and(|line| heading(line).is_some())
}

/// The mazes, each with the way that is drawn in it as its answer.
pub(in super::super) fn read(origin: &str, lines: &[Line<'_>], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    let mut rest = lines;
    while let Some(at) = rest.iter().position(|line| !line.is_blank()) {
        let line = rest[at];
        let syntax =
            |line: &Line<'_>, fault: Fault| PuzzleError::Syntax { origin: origin.to_owned(), line: line.number, fault };
        let Some(size) = heading(&line) else {
            return Err(syntax(&line, "no answer of a maze, as those before it".into()));
        };
        let drawn = &rest[at + 1..];
        let Some((rows, behind)) = drawn.split_at_checked(size.0) else {
            return Err(syntax(&line, format!("a maze of {} rows, {} follow", size.0, drawn.len()).into()));
        };
        let below = behind.iter().take_while(|line| is_below(line)).count();
        let verdict = behind[..below].iter().map(|line| line.text.trim_end()).find(|text| !text.is_empty());
        let mut mazes = mazes(origin, rows, size, &Reading { as_drawn: true, ..*reading })?;
        mazes.retain(|maze| maze.grid.size() == size && is_judged(maze, verdict));
        mazes.dedup_by(|one, other| one.grid == other.grid);
        let Some(puzzle) = mazes.pop().filter(|_| mazes.is_empty()) else {
            let fault = Fault::from("a maze whose drawing does not tell its walls, or that is not what its lines say");
            return Err(syntax(&line, fault.advise("draw it with # for the walls, S and G for the ends")));
        };
        kept.push(puzzle)?;
        rest = &behind[below..];
    }
    Ok(())
}

/// The mazes that these rows can be, each with the way that is drawn in it.
fn mazes(origin: &str, rows: &[Line<'_>], (_, width): (usize, usize), reading: &Reading) -> Result<Vec<Puzzle>> {
    let is_wider = rows.iter().any(|row| row.text.trim_end().chars().count() > width);
    let mazes = if is_wider {
        vec![rooms::block_of_rooms(origin, rows, reading)?]
    } else {
        blocks::drawn(origin, rows, reading)?
    };
    Ok(mazes.into_iter().map(answered).collect())
}

/// True if a maze with its answer is what the verdict says of it.
fn is_judged(maze: &Puzzle, verdict: Option<&str>) -> bool {
    match (verdict, &maze.solution) {
        (Some(verdict), Some(answer)) => maze.task().verify(&maze.grid, answer).to_string() == verdict,
        (Some(verdict), None) => !verdict.starts_with("verified"),
        (None, _) => true,
    }
}
