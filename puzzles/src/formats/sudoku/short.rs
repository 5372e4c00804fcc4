//! Rows that are written as numbers: those that begin with zeros have lost them, or have spaces there. Each may have a label.

use super::super::Reading;
use super::super::lines::Line;
use super::numerals::Written;
use super::rows::{Row, is_usual};

/// A grid, and the lines that it takes.
pub(super) struct Short {
    pub(super) side: usize,
    pub(super) lines: usize,
    cells: Vec<char>,
    /// True if zeros were put before its rows.
    pub(super) is_filled: bool,
}

impl Short {
    /// Its values; `None` if these are no characters of a sudoku.
    pub(super) fn values(&self, reading: &Reading) -> Option<(Vec<u8>, Written)> {
        let written = Written::count(self.side, self.cells.iter().copied(), reading).ok()?;
        let values = self.cells.iter().map(|&c| written.value(self.side, c)).collect::<Option<_>>()?;
        Some((values, written))
    }
}

/// The label of a row with the row's number in it, and what stands behind: `line[3] = 802050000;`.
fn labelled(text: &str) -> Option<(&str, usize, &str)> {
    let (label, row) = text.split_at_checked(text.find(['=', ':'])? + 1)?;
    let start = label.find(|c: char| c.is_ascii_digit())?;
    let number = label[start..].split(|c: char| !c.is_ascii_digit()).next()?;
    let is_label = label.len() <= 40 && label.contains(char::is_alphabetic);
    Some((&label[..start], number.parse().ok()?, row.trim().trim_end_matches([';', ',']))).filter(|_| is_label)
}

/// The cells of a row of this side: all of them, or a number before which zeros are missing.
fn cells(line: Line<'_>, side: usize) -> Option<(Vec<char>, bool)> {
    let row = Row::of(line, false);
    if row.cells.len() == side {
        let cells = row.cells.iter().map(|(_, cell)| cell.chars().next().unwrap_or(' ')).collect();
        return Some((cells, false));
    }
    let digits = line.text.trim();
    let is_number = digits.len() < side && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = digits.starts_with('0') && digits.len() > 1;
    (is_number && !has_zeros)
        .then(|| (std::iter::repeat_n('0', side - digits.len()).chain(digits.chars()).collect(), true))
}

/// The grid at the beginning of these lines.
pub(super) fn find(lines: &[Line<'_>]) -> Option<Short> {
    let first = lines.first()?;
    let (rows, lines) = if let Some((name, number, _)) = labelled(first.text) {
        labelled_rows(lines, name, number)
    } else {
        let is_digits =
            |line: &&Line<'_>| !line.is_blank() && line.text.trim().bytes().all(|byte| byte.is_ascii_digit());
        let rows = lines.iter().take(26).take_while(is_digits).copied().collect::<Vec<_>>();
        let count = rows.len();
        (rows, count)
    };
    let side = rows.len();
    if !is_usual(side) || side < 9 {
        return None;
    }
    let mut found = Short { side, lines, cells: Vec::with_capacity(side * side), is_filled: false };
    let mut is_whole = false;
    for line in rows {
        let (cells, is_filled) = cells(line, side)?;
        // A number has lost its zeros, not those before another row.
        is_whole |= !is_filled && cells.first() != Some(&'0');
        if !is_filled && cells.first() == Some(&'0') && labelled(first.text).is_none() {
            return None;
        }
        found.is_filled |= is_filled;
        found.cells.extend(cells);
    }
    (is_whole && (found.is_filled || labelled(first.text).is_some())).then_some(found)
}

/// The rows that are numbered one after the other, and the lines that they take with the blank ones between.
fn labelled_rows<'a>(lines: &[Line<'a>], name: &str, first: usize) -> (Vec<Line<'a>>, usize) {
    let (mut rows, mut taken) = (Vec::new(), 0);
    for (at, line) in lines.iter().enumerate().take(64) {
        match labelled(line.text) {
            Some((label, number, text)) if label == name && number.checked_sub(first) == Some(rows.len()) => {
                rows.push(Line { text, ..*line });
                taken = at + 1;
            }
            None if line.is_blank() => {}
            _ => break,
        }
    }
    (rows, taken)
}
