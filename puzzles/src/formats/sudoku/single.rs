//! Sudokus with a cell a line.

use super::super::lines::Line;
use super::super::{Puzzle, Reading};
use super::numerals::Written;
use super::puzzle;
use super::rows::{is_usual, side_of};
use crate::{PuzzleError, Result};

/// The cells of a text with one a line; blank lines are blank cells, unless there are enough others. `None` if it is none.
fn cells<'l, 'a>(lines: &'l [Line<'a>]) -> Option<(usize, Vec<&'l Line<'a>>)> {
    if lines.len() > 2 * 625 {
        return None;
    }
    let is_cell = |line: &Line<'_>| {
        let text = line.text.trim();
        text.chars().count() <= 1 || (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if !lines.iter().all(is_cell) {
        return None;
    }
    let filled = lines.iter().filter(|line| !line.is_blank()).collect::<Vec<_>>();
    let written = lines.iter().filter(|line| !line.text.is_empty()).collect::<Vec<_>>();
    let last = lines.iter().rposition(|line| !line.is_blank())?;
    let whole = lines[..=last].iter().collect::<Vec<_>>();
    let side = |cells: &[&Line<'_>]| side_of(cells.len()).filter(|&side| is_usual(side));
    [filled, written, whole].into_iter().find_map(|cells| Some((side(&cells)?, cells)))
}

/// True for a text in this form: at least two different digits, and a sudoku's number of lines.
pub(in super::super) fn looks_like(lines: &[Line<'_>]) -> bool {
    cells(lines).is_some_and(|(_, cells)| {
        let mut numbers =
            cells.iter().map(|line| line.text.trim()).filter(|text| text.parse::<u8>().is_ok_and(|n| n > 0));
        numbers.next().is_some_and(|first| numbers.any(|other| other != first))
    })
}

/// The sudoku.
pub(in super::super) fn read(origin: &str, lines: &[Line<'_>], reading: &Reading) -> Result<Puzzle> {
    let (side, cells) = cells(lines).ok_or_else(|| PuzzleError::Empty { origin: origin.to_owned() })?;
    let character = |line: &&Line<'_>| {
        let text = line.text.trim();
        match text.parse::<u8>() {
            Ok(number) => {
                if number == 0 {
                    Some('0')
                } else {
                    super::Numerals::FromOne.symbol(number)
                }
            }
            Err(_) => Some(text.chars().next().unwrap_or(' ')),
        }
    };
    let unusable = |line: &Line<'_>| super::unusable(origin, *line, reading);
    let characters =
        cells.iter().map(|line| character(line).ok_or_else(|| unusable(line))).collect::<Result<Vec<_>>>()?;
    let first = cells.first().map_or(1, |line| line.number);
    let written = Written::count(side, characters.iter().copied(), reading);
    let values = |written: Written| characters.iter().map(|&c| written.value(side, c)).collect::<Option<Vec<_>>>();
    match written.ok().and_then(|written| Some((values(written)?, written))) {
        Some((values, written)) => puzzle(origin, first, side, values, written, (None, None), reading),
        None => Err(unusable(cells[0])),
    }
}
