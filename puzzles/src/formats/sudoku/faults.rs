//! Errors of lines that are no sudoku, and rows that are words.

use trm_intake::Fault;

use super::super::Reading;
use super::super::lines::Line;
use super::Numerals;
use super::numerals::{Misfit, Written};
use super::rows::{Row, is_side, side_of};
use crate::PuzzleError;

/// True for a row that is a word rather than cells: `easy`, `level 1`.
pub(super) fn is_word_row(row: &Row<'_>) -> bool {
    let characters = || row.cells.iter().flat_map(|(_, text)| text.chars());
    let letters = characters().filter(|c| c.is_alphabetic()).count();
    let odd = |c: char| {
        c.is_alphabetic() && Numerals::FromOne.value(c).is_none_or(|value| usize::from(value) > row.cells.len())
    };
    let mut first = characters().filter(|c| c.is_alphabetic());
    let letter = first.next();
    // One letter again and again, with digits, is the blank.
    let several = first.any(|c| Some(c) != letter) || !characters().any(|c| c.is_ascii_digit());
    letters >= 3 && several && characters().any(|c| odd(c) && !matches!(c, 'x' | 'X')) && !is_letters(row)
}

/// True for rows of the letters from A to that of the side, and one other character.
fn is_letters(row: &Row<'_>) -> bool {
    let side = row.cells.len();
    let others = row.cells.iter().flat_map(|(_, text)| text.chars());
    let mut others = others.filter(|&c| Numerals::Letters.value(c).is_none_or(|value| usize::from(value) > side));
    others.next().is_none_or(|blank| others.all(|c| c == blank))
}

pub(super) fn pencil_marks(origin: &str, line: Line<'_>) -> PuzzleError {
    PuzzleError::Syntax {
        origin: origin.to_owned(),
        line: line.number,
        fault: Fault::from("several digits in a cell: these are pencil marks, not a puzzle")
            .advise("export the puzzle itself, a digit or a blank in each cell"),
    }
}

/// An error for a line that is neither a whole puzzle nor a row of one: its first odd character, or its length.
pub(super) fn unusable(origin: &str, line: Line<'_>, reading: &Reading) -> PuzzleError {
    let marks = Row::of(line, true);
    let is_number = |&(_, text): &(usize, &str)| text.bytes().all(|byte| byte.is_ascii_digit());
    if is_side(marks.cells.len()) && marks.has_numbers() && marks.cells.len() <= 9 && marks.cells.iter().all(is_number)
    {
        return pencil_marks(origin, line);
    }
    let row = Row::of(line, false);
    let characters = || row.cells.iter().filter_map(|(_, text)| text.chars().next());
    let side = side_of(row.cells.len()).unwrap_or(9);
    match Written::count(side, characters(), reading) {
        Err(Misfit::ZeroAndBlank(blank)) if side_of(row.cells.len()).is_some() => two_blanks(origin, line, side, blank),
        Err(Misfit::Unknown(odd)) if odd != '0' && (!odd.is_ascii_digit() || side_of(row.cells.len()).is_some()) => {
            let place = row.cells.iter().find(|(_, text)| text.starts_with(odd)).map_or(0, |&(index, _)| index);
            line.unknown(origin, place, &allowed(side, reading.symbols))
        }
        _ => PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: line.number,
            fault: Fault::from(format!("a line of {} cells is neither a sudoku nor a row of one", row.cells.len()))
                .advise("give 81 characters in one line, or 9 rows of 9"),
        },
    }
}

/// The characters of this side, and of those that are said.
pub(super) fn allowed(side: usize, said: Option<Numerals>) -> String {
    let (symbols, blank) = match (said, side) {
        (None | Some(Numerals::FromOne), ..=9) => (format!("1 to {side}"), "0 or . or"),
        (None | Some(Numerals::FromOne), _) => {
            (format!("1 to 9, A to {}", Numerals::FromOne.symbol(side as u8).unwrap_or('?')), "0 or . or")
        }
        (Some(said), _) => (said.range(side), ". or"),
    };
    format!("a {side}x{side} sudoku is written with {symbols}, and {blank} one other character for blank")
}

pub(super) fn two_blanks(origin: &str, line: Line<'_>, side: usize, blank: char) -> PuzzleError {
    let symbols = Numerals::FromZero.range(side);
    PuzzleError::TwoBlanks { origin: origin.to_owned(), line: line.number, blank, symbols }
}
