//! The values of the cells of a grid.

use super::super::Reading;
use super::faults::{allowed, pencil_marks, two_blanks, unusable};
use super::numerals::{Misfit, Written};
use super::rows::Row;
use super::{MINUS_ONE, Numerals, is_blank_word, number};
use crate::Result;
use crate::sudoku::BLANK;

/// The values of a grid of characters.
pub(super) fn characters(origin: &str, rows: &[Row<'_>], side: usize, reading: &Reading) -> Result<(Vec<u8>, Written)> {
    let character = |text: &str| text.chars().next().unwrap_or(' ');
    let all = || rows.iter().flat_map(|row| row.cells.iter().map(|&(_, text)| character(text)));
    let written = Written::count(side, all(), reading).map_err(|misfit| {
        let (sought, allowed) = match misfit {
            Misfit::Unknown(sought) => (sought, allowed(side, reading.symbols)),
            Misfit::ZeroAndBlank(blank) => return two_blanks(origin, rows[0].line, side, blank),
        };
        let mut places = rows.iter().flat_map(|row| row.cells.iter().map(move |&(index, text)| (row, index, text)));
        match places.find(|&(_, _, text)| character(text) == sought) {
            Some((row, index, _)) => row.line.unknown(origin, index, &allowed),
            None => unusable(origin, rows[0].line, reading),
        }
    })?;
    Ok((all().map(|c| written.value(side, c).unwrap_or(BLANK)).collect(), written))
}

/// The values of a grid of whole numbers.
pub(super) fn numbers(origin: &str, rows: &[Row<'_>], side: usize) -> Result<(Vec<u8>, Written)> {
    let all = || rows.iter().flat_map(|row| row.cells.iter().map(move |&(index, text)| (row, index, text)));
    let is_zero = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte == b'0');
    let other = all()
        .map(|(_, _, text)| text)
        .find(|&text| text == MINUS_ONE || !text.bytes().any(|byte| byte.is_ascii_digit()));
    let from_zero = other.is_some() && all().any(|(_, _, text)| is_zero(text));
    let value = |text: &str| -> Option<u8> {
        if !text.bytes().any(|byte| byte.is_ascii_digit()) {
            let is_blank =
                text.chars().count() <= 1 && !text.contains(|c: char| c.is_alphabetic() && !matches!(c, 'x' | 'X'));
            return (is_blank || is_blank_word(text)).then_some(BLANK);
        }
        if text == MINUS_ONE {
            return Some(BLANK);
        }
        let number = number(text)?.checked_add(usize::from(from_zero))?;
        (number <= side).then_some(number as u8)
    };
    let values = all().map(|(row, index, text)| {
        value(text).ok_or_else(|| match text.len() {
            2.. if side <= 9 => pencil_marks(origin, row.line),
            _ => row.line.unknown(
                origin,
                index,
                &format!("a {side}x{side} sudoku of numbers has 1 to {side}, and 0 or . for blank"),
            ),
        })
    });
    let numerals = if from_zero { Numerals::FromZero } else { Numerals::FromOne };
    let blank = other.filter(|&text| text != MINUS_ONE).and_then(|text| text.chars().next());
    let blank = blank.filter(|c| !c.is_alphanumeric()).unwrap_or('.');
    Ok((values.collect::<Result<_>>()?, Written { numerals, blank: Some(if other.is_some() { blank } else { '0' }) }))
}
