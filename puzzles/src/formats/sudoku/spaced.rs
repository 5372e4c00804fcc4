//! Grids whose blank cells are spaces: a cell is told from its column.

use super::super::Reading;
use super::super::lines::Line;
use super::numerals::Written;
use super::rows::{is_bar, is_rule, is_usual};

/// A grid by columns.
pub(super) struct Spaced {
    pub(super) side: usize,
    /// Lines that it takes.
    pub(super) lines: usize,
    /// False if its last row is missing, which has only blanks.
    pub(super) is_whole: bool,
    cells: Vec<char>,
    /// Rows before each rule.
    pub(super) breaks: Vec<usize>,
}

impl Spaced {
    /// Its values; `None` if these are no characters of a sudoku.
    pub(super) fn values(&self, reading: &Reading) -> Option<(Vec<u8>, Written)> {
        let reading = Reading { blank: Some(' '), ..*reading };
        let written = Written::count(self.side, self.cells.iter().copied(), &reading).ok()?;
        let values = self.cells.iter().map(|&c| written.value(self.side, c)).collect::<Option<_>>()?;
        Some((values, written))
    }
}

/// The grid at the beginning of these lines: as many rows as it has columns of cells, at equal steps, with bars between.
pub(super) fn find(lines: &[Line<'_>]) -> Option<Spaced> {
    let is_cell = |c: char| c == ' ' || c.is_ascii_alphanumeric() || is_bar(c);
    let (mut rows, mut breaks, mut taken) = (Vec::<Vec<char>>::new(), Vec::new(), 0);
    for line in lines {
        if is_rule(line.text) {
            breaks.push(rows.len());
        } else if !line.text.is_empty() && line.text.chars().all(is_cell) && rows.len() < 25 {
            rows.push(line.text.chars().collect());
        } else {
            break;
        }
        taken += 1;
    }
    let length = rows.iter().map(Vec::len).max()?;
    let is_whole = is_usual(rows.len()) || rows.len() + 1 != length || !lines[taken..].iter().all(Line::is_blank);
    if !is_whole {
        rows.push(Vec::new());
    }
    let side = rows.len();
    // A number of rows that stands before them is none of them.
    let is_header = rows.first().is_some_and(|row| {
        row.iter().collect::<String>().trim().parse::<usize>().is_ok_and(|number| number.checked_add(1) == Some(side))
    });
    if !is_usual(side) || is_header {
        return None;
    }
    let at = |row: &Vec<char>, column: usize| row.get(column).copied().unwrap_or(' ');
    let is_bar_column = |column: usize| rows.iter().any(|row| is_bar(at(row, column)));
    for step in [1, 2, 4] {
        for offset in 0..step.min(length) {
            let slots = (offset..).step_by(step).filter(|&column| column >= length || !is_bar_column(column));
            let slots = slots.take_while(|&column| column < length + step * side).take(side).collect::<Vec<_>>();
            let beside = |(column, &c): (usize, &char)| c != ' ' && !is_bar(c) && !slots.contains(&column);
            // Spaces at the ends of lines may be lost; so may be the last column, not more.
            let within = slots.iter().filter(|&&column| column < length).count();
            if slots.len() == side && within + 1 >= side && !rows.iter().any(|row| row.iter().enumerate().any(beside)) {
                let full = (offset..length).step_by(step).filter(|&column| !is_bar_column(column)).count();
                if full > side {
                    continue;
                }
                let cells =
                    rows.iter().flat_map(|row| slots.iter().map(move |&column| at(row, column))).collect::<Vec<_>>();
                if cells.iter().any(|&c| c != ' ') && !cells.iter().any(|&c| is_bar(c)) {
                    return Some(Spaced { side, lines: taken, is_whole, cells, breaks });
                }
            }
        }
    }
    None
}
