//! Sudokus in texts: a line each, or rows of cells, with whatever people write around them.

mod boxes;
mod drawing;
mod faults;
mod line;
mod margin;
mod numerals;
mod rows;
mod said;
mod short;
mod single;
mod spaced;
mod values;

use boxes::boxes;
pub(super) use drawing::drawing;
use faults::{is_word_row, pencil_marks, unusable};
use line::all as all_in;
pub use numerals::Numerals;
use numerals::Written;
pub(super) use rows::side_of;
use rows::{Row, is_rule, is_side, is_title, period};
use said::boxes_said;
pub(super) use single::{looks_like as looks_like_single, read as read_single};
use values::{characters, numbers};

use super::kept::Kept;
use super::lines::Line;
use super::{Alphabet, Puzzle, PuzzleKind, Reading};
use crate::sudoku::BLANK;
use crate::{AnswerCount, Grid, PuzzleError, Result, Task};

/// The remark about rows that are numbers.
const SHORT_ROWS: &str = "read with zeros before its shorter rows, which are numbers";

/// Longer lines are not looked at: two grids of 625 cells with as many separators, a name and a rating.
const LONGEST_LINE: usize = 8000;

/// True for a text of sudoku characters only, with at least one digit or dot among them.
pub(super) fn looks_like_row(text: &str) -> bool {
    let is_cell = |c: char| c == '.' || Numerals::FromOne.value(c).is_some() || c == '0';
    text.contains(|c: char| c.is_ascii_digit() || c == '.')
        && text.chars().all(|c| is_cell(c) || rows::is_bar(c) || c.is_ascii_whitespace())
}

/// A text, and the place in it up to which it is read.
struct Reader<'l, 'a, 'o> {
    origin: &'o str,
    lines: &'l [Line<'a>],
    /// The line that is looked at.
    at: usize,
    reading: &'o Reading,
    /// The line that stood before the puzzle, as its name.
    title: Option<&'a str>,
    /// The numbers of boxes in the lines before the puzzle.
    said: Vec<usize>,
}

/// Puzzles from the lines of a text.
pub(super) fn read(origin: &str, lines: &[Line<'_>], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    if let Some(line) = lines.iter().find(|line| line.text.len() > LONGEST_LINE && !line.is_blank()) {
        return Err(PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: line.number,
            fault: format!("a line of {} characters, a sudoku takes {LONGEST_LINE} at most", line.text.len()).into(),
        });
    }
    let plain = margin::without(lines);
    let lines = plain.as_deref().unwrap_or(lines);
    let mut reader = Reader { origin, lines, at: 0, reading, title: None, said: Vec::new() };
    let mut skipped = false;
    // The line behind rows that were a puzzle; where such rows without givens are kept; whether a line failed.
    let (mut drawn, mut empty, mut failed) = (None, Vec::new(), false);
    while let Some(&line) = reader.lines.get(reader.at) {
        if let Some(section) = section(line.text) {
            // SadMan's files say in which state they left a puzzle, and more.
            skipped = !section.eq_ignore_ascii_case("puzzle");
            reader.at += 1;
        } else if skipped || line.is_blank() || is_comment(line.text, reading) || is_rule(line.text) {
            reader.hear(line);
            reader.at += 1;
        } else {
            let start = reader.at;
            match reader.puzzles() {
                Ok(puzzles) if puzzles.is_empty() => {
                    reader.hear(line);
                    reader.title = Some(line.text.trim());
                    reader.at += 1;
                }
                Ok(puzzles) => {
                    // Rows, and no line that is a puzzle by itself.
                    drawn = (puzzles.len() == 1 && reader.at > start + 1).then_some(reader.at);
                    for mut puzzle in puzzles {
                        puzzle.id = puzzle.id.or_else(|| reader.title_below());
                        // A full grid behind a puzzle that it agrees with is its answer.
                        if kept.answer(&puzzle) {
                            drawn = None;
                        } else {
                            if drawn.is_some() && puzzle.grid.cells().iter().all(|&value| value == BLANK) {
                                empty.push(kept.len());
                            }
                            kept.push(puzzle)?;
                        }
                    }
                    reader.title = None;
                    reader.said.clear();
                }
                Err(error) => {
                    kept.fail(reading, error)?;
                    // The first rows of something else, of which these are the next, are no puzzle.
                    if drawn == Some(start) {
                        kept.take_back();
                    }
                    failed = true;
                    reader.pass_over(start);
                }
            }
        }
    }
    // Rows without givens are likelier what the lines that failed are.
    if failed {
        kept.take_back_all(&empty);
    }
    Ok(())
}

/// The puzzle that a line is by itself; `None` if it is none.
pub(super) fn in_line(origin: &str, line: Line<'_>, reading: &Reading) -> Option<Result<Puzzle>> {
    let mut found = all_in(line, reading);
    let puzzle = found.pop()?;
    Some(if found.is_empty() {
        puzzle.puzzle(origin, reading)
    } else {
        Err(PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: line.number,
            fault: format!("{} sudokus where one is expected", found.len() + 1).into(),
        })
    })
}

/// True if a line is a puzzle by itself.
pub(super) fn is_whole(line: Line<'_>, reading: &Reading) -> bool {
    line.text.len() <= LONGEST_LINE && !all_in(line, reading).is_empty()
}

/// True for a line that says something about the puzzles of its text and is part of none.
pub(super) fn is_remark(text: &str, reading: &Reading) -> bool {
    section(text).is_none() && (is_comment(text, reading) || is_rule(text) || is_title(text))
}

fn section(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    (!name.is_empty() && name.chars().all(|c| c.is_alphabetic() || c == ' ')).then_some(name)
}

/// True for a line that says something about puzzles. One of digits and several # is a row whose blank that is.
fn is_comment(text: &str, reading: &Reading) -> bool {
    let text = text.trim_start();
    let is_row = || {
        let is_cell = |c: char| c == '#' || c.is_ascii_digit() || c.is_whitespace() || rows::is_bar(c);
        let blanks = text.matches('#').count();
        let is_any = reading.blank == Some('#') || (blanks > 1 && text.contains(|c: char| c.is_ascii_digit()));
        is_any && text.chars().all(is_cell) && is_side(cells(text))
    };
    (text.starts_with('#') && !is_row()) || text.starts_with("//") || text.starts_with("/*")
}

impl<'a> Reader<'_, 'a, '_> {
    /// Remembers what a line beside puzzles says of boxes.
    fn hear(&mut self, line: Line<'_>) {
        self.said.extend(said::numbers(line.text));
        let spare = self.said.len().saturating_sub(3);
        self.said.drain(..spare);
    }

    /// The name of the puzzle that was read, if it stands right below it and apart from the next one; it is passed over.
    fn title_below(&mut self) -> Option<String> {
        let line = self.lines.get(self.at)?;
        let is_apart = self.lines.get(self.at + 1).is_none_or(Line::is_blank);
        let is_name = is_apart
            && !line.is_blank()
            && line.text.contains(|c: char| c.is_alphabetic())
            && is_title(line.text)
            && section(line.text).is_none()
            && !is_comment(line.text, self.reading)
            && self.first_row().is_none();
        is_name.then(|| {
            self.at += 1;
            line.text.trim().chars().take(80).collect()
        })
    }

    /// The puzzles that begin in this line, behind which reading goes on; none for a title.
    fn puzzles(&mut self) -> Result<Vec<Puzzle>> {
        let line = self.lines[self.at];
        let sixteen = self.is_sixteen_grid();
        if !sixteen {
            let found = all_in(line, self.reading);
            if !found.is_empty() {
                self.at += 1;
                return found.into_iter().map(|whole| whole.puzzle(self.origin, self.reading)).collect();
            }
        }
        let start = self.at;
        let found = match self.first_row() {
            Some(row) => self.grid(&row),
            None if is_title(line.text)
                && self.columns(start).is_none()
                && short::find(&self.lines[start..]).is_none() =>
            {
                return Ok(Vec::new());
            }
            None => Err(unusable(self.origin, line, self.reading)),
        };
        found.map(|puzzle| vec![puzzle]).or_else(|error| {
            // A number alone, and rows of another length behind it.
            let alone = self.lines.get(start + 1).is_some_and(|next| cells(next.text) != cells(line.text));
            if let Some(short) = short::find(&self.lines[start..]) {
                self.at = start + short.lines;
                let values = short.values(self.reading).ok_or(error)?;
                let mut puzzle = self.finish(line.number, short.side, values, &[], &[])?;
                puzzle.note = puzzle.note.or_else(|| short.is_filled.then(|| SHORT_ROWS.to_owned()));
                return Ok(vec![puzzle]);
            }
            if let Some(spaced) = self.columns(start) {
                self.at = start + spaced.lines;
                let values = spaced.values(self.reading).ok_or(error)?;
                return self.finish(line.number, spaced.side, values, &spaced.breaks, &[]).map(|puzzle| vec![puzzle]);
            }
            if alone && line.text.trim().bytes().all(|byte| byte.is_ascii_digit()) && line.text.trim().len() <= 7 {
                self.at = start;
                return Ok(Vec::new());
            }
            Err(error)
        })
    }

    /// The grid that begins in this line, its blank cells being spaces. Where a last row of blanks is missing, the puzzle
    /// must have one answer.
    fn columns(&self, start: usize) -> Option<spaced::Spaced> {
        // The last lines of a longer list are no grid.
        let is_like = |before: &Line<'_>| {
            let is_cell = |c: char| c.is_ascii_digit() || c == ' ';
            let (text, first) = (before.text.trim_end(), self.lines[start].text.trim_end());
            !before.is_blank() && text.len() == first.len() && text.chars().all(is_cell)
        };
        if start.checked_sub(1).is_some_and(|before| is_like(&self.lines[before])) {
            return None;
        }
        let spaced = spaced::find(&self.lines[start..])?;
        if spaced.is_whole {
            return Some(spaced);
        }
        let (values, _) = spaced.values(self.reading)?;
        let grid = Grid::from_cells(spaced.side, spaced.side, values).ok()?;
        let (task, _) = boxes(spaced.side, &grid, (None, None), self.reading);
        (task.count_answers(&grid) == AnswerCount::One).then_some(spaced)
    }

    /// Passes over what could not be read from this line on: to a blank line or one that is a puzzle.
    fn pass_over(&mut self, start: usize) {
        let rest = self.lines[start + 1..].iter();
        self.at = start + 1 + rest.take_while(|line| !line.is_blank() && !is_whole(**line, self.reading)).count();
    }

    /// The next lines that are rows, with the numbers of rows before which there is a rule or a blank line.
    fn next_rows(&self, most: usize) -> (Vec<Line<'a>>, Vec<usize>, usize) {
        let (mut rows, mut breaks, mut at) = (Vec::with_capacity(most), Vec::new(), self.at);
        while let Some(&line) = self.lines.get(at).filter(|_| rows.len() < most) {
            if line.is_blank() || is_rule(line.text) {
                if breaks.last() != Some(&rows.len()) {
                    breaks.push(rows.len());
                }
            } else if !is_comment(line.text, self.reading) {
                rows.push(line);
            }
            at += 1;
        }
        (rows, breaks, at)
    }

    /// True if 16 characters are a row of a 16x16 grid and not a 4x4 puzzle in one line: a grid has 16 such lines, and
    /// symbols above 4 or lines between its boxes.
    fn is_sixteen_grid(&self) -> bool {
        let is_row = |line: &Line<'_>| cells(line.text) == 16 || Row::of(*line, true).cells.len() == 16;
        is_row(&self.lines[self.at]) && {
            let (rows, breaks, _) = self.next_rows(16);
            let above = |line: &Line<'_>| {
                line.text.contains(|c: char| matches!(c, '5'..='9' | 'E'..='Z' | 'e'..='w' | 'y'..='z'))
            };
            let is_told = rows.iter().any(above) || period(&breaks, 16) == Some(4);
            rows.len() == 16 && rows.iter().all(is_row) && is_told
        }
    }

    /// The first row of a grid; `None` if the line is none.
    fn first_row(&self) -> Option<Row<'a>> {
        let line = self.lines[self.at];
        if let Some(pairs) = self.pairs() {
            return Some(pairs);
        }
        let numbers = Row::of(line, true);
        let count = numbers.cells.len();
        if count > 1 && is_side(count) {
            let (rows, ..) = self.next_rows(count);
            let is_cell = |&(_, text): &(usize, &str)| {
                text.chars().count() <= 1
                    || number(text).is_some_and(|number| number <= count)
                    || is_blank_word(text)
                    || text == MINUS_ONE
            };
            let of_numbers = |row: &Line<'_>| {
                let row = Row::of(*row, true);
                row.cells.len() == count && row.cells.iter().all(is_cell)
            };
            if rows.len() == count && rows.iter().all(of_numbers) {
                return Some(numbers);
            }
        }
        let row = Row::of(line, false);
        // A 4x4 puzzle in a line that is damaged is no row of a 16x16 one.
        let alone = row.cells.len() == 16 && self.next_rows(2).0.get(1).is_none_or(|next| cells(next.text) != 16);
        (is_side(row.cells.len()) && !is_word_row(&row) && !alone).then_some(row)
    }

    /// The first row of a grid of two digits a cell.
    fn pairs(&self) -> Option<Row<'a>> {
        let row = Row::of_pairs(self.lines[self.at])?;
        let side = row.cells.len();
        let (rows, ..) = self.next_rows(side + 1);
        let is_row = |line: &Line<'_>| Row::of_pairs(*line).is_some_and(|row| row.cells.len() == side);
        // As many rows of twice as many characters are a larger grid.
        let is_larger = |line: &Line<'_>| cells(line.text) == 2 * side;
        (rows.len() >= side && rows[..side].iter().all(is_row) && !rows.get(side).is_some_and(is_larger)).then_some(row)
    }

    /// A grid whose first row is known.
    fn grid(&mut self, first: &Row<'a>) -> Result<Puzzle> {
        let (side, first_line) = (first.cells.len(), first.line.number);
        let of_numbers =
            first.has_numbers() || self.next_rows(side).0.iter().all(|&line| Row::of(line, true).cells.len() == side);
        let (lines, breaks, behind) = self.next_rows(side);
        let mut rows = Vec::with_capacity(side);
        let of_pairs = Row::of_pairs(first.line).is_some_and(|pairs| pairs.cells.len() == side);
        for line in lines {
            let row = if of_pairs { Row::of_pairs(line) } else { None };
            let row = row.unwrap_or_else(|| Row::of(line, of_numbers));
            if row.cells.len() != side {
                return Err(self.ragged(&row, side, first_line, rows.len()));
            }
            rows.push(row);
        }
        if rows.len() < side {
            return Err(PuzzleError::Syntax {
                origin: self.origin.to_owned(),
                line: rows.last().map_or(first_line, |row| row.line.number),
                fault: format!("the sudoku that begins in line {first_line} ends after {} of {side} rows", rows.len())
                    .into(),
            });
        }
        let values = if rows.iter().any(Row::has_numbers) {
            numbers(self.origin, &rows, side)?
        } else {
            characters(self.origin, &rows, side, self.reading)?
        };
        let widths =
            rows.iter().find_map(|row| period(&row.breaks, side).map(|_| row.breaks.clone())).unwrap_or_default();
        self.at = behind;
        self.finish(first_line, side, values, &breaks, &widths)
    }

    fn ragged(&self, row: &Row<'_>, side: usize, first_line: usize, before: usize) -> PuzzleError {
        let marks = |(_, text): &(usize, &str)| text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_digit());
        let numbers = Row::of(row.line, true);
        if side <= 9 && numbers.cells.len() == side && numbers.cells.iter().any(marks) {
            return pencil_marks(self.origin, row.line);
        }
        let heading = is_title(row.line.text) && row.line.text.contains(|c: char| c.is_alphabetic());
        if heading || is_whole(row.line, self.reading) {
            if before == 1 {
                return unusable(self.origin, self.lines[self.at], self.reading);
            }
            return PuzzleError::Syntax {
                origin: self.origin.to_owned(),
                line: row.line.number,
                fault: format!("the sudoku that begins in line {first_line} ends after {before} of {side} rows").into(),
            };
        }
        PuzzleError::Ragged {
            origin: self.origin.to_owned(),
            line: row.line.number,
            found: row.cells.len(),
            first_line,
            expected: side,
        }
    }

    /// The puzzle of these values, its boxes being told by where the breaks between its rows and within them are.
    fn finish(
        &self,
        line: usize,
        side: usize,
        (values, written): (Vec<u8>, Written),
        breaks: &[usize],
        widths: &[usize],
    ) -> Result<Puzzle> {
        let shown = match (period(breaks, side), period(widths, side)) {
            (None, None) => boxes_said(&self.said, side, &values),
            shown => shown,
        };
        let mut puzzle = puzzle(self.origin, line, side, values, written, shown, self.reading)?;
        let name = self.title.filter(|title| title.contains(|c: char| c.is_alphabetic()));
        puzzle.id = name.map(|title| title.chars().take(80).collect());
        Ok(puzzle)
    }
}

/// The cells of a row of characters, counted.
fn cells(text: &str) -> usize {
    text.chars().filter(|&c| !rows::is_bar(c) && !c.is_whitespace() && c != ',').count()
}

/// A blank cell beside numbers from 0 or 1.
const MINUS_ONE: &str = "-1";

/// The number of a cell, which a point may stand before, to fill its column, or behind, for a given.
fn number(text: &str) -> Option<usize> {
    text.trim_matches(['.', '_']).parse().ok()
}

fn is_blank_word(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '.' | '_' | '-' | '*'))
}

/// The puzzle of these values. `shown` is the height and the width of its boxes, as far as the text shows them.
fn puzzle(
    origin: &str,
    line: usize,
    side: usize,
    values: Vec<u8>,
    written: Written,
    shown: (Option<usize>, Option<usize>),
    reading: &Reading,
) -> Result<Puzzle> {
    let grid = Grid::from_cells(side, side, values)?;
    let (task, note) = boxes(side, &grid, shown, reading);
    let blank = written.blank.filter(|c| !c.is_whitespace()).unwrap_or('.');
    Ok(Puzzle {
        source: format!("{origin}:{line}"),
        id: None,
        grid,
        kind: PuzzleKind::Sudoku(task),
        alphabet: Alphabet::sudoku_in(written.numerals, blank),
        solution: None,
        rating: None,
        note,
    })
}
