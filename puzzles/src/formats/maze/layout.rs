//! The cells of a row: a character each, with something between them or not.

use super::super::lines::Line;
use super::Letters;
use super::census::Census;
use crate::maze::MAX_SIDE;

/// The way in which cells stand in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Every character is a cell.
    Joined,
    /// Every other character is a cell, with spaces between.
    Spaced,
    /// Two equal characters are a cell, or an end and a space.
    Doubled,
    /// Every character that parts nothing is a cell: `[0, 1, 1],`.
    Marks,
    /// Every field is a cell, a space where it is empty.
    Fields(char),
}

/// The most bytes of a row: of each cell, four and something between.
const LONGEST: usize = 8 * MAX_SIDE;

/// True for what stands between the cells of a matrix.
fn is_between(character: char) -> bool {
    character.is_whitespace() || matches!(character, ',' | ';' | '[' | ']' | '{' | '}' | '(' | ')' | '"' | '\'')
}

impl Layout {
    /// The layout of these rows.
    pub(super) fn of(rows: &[Line<'_>]) -> Self {
        // What is too long for a maze is not taken apart.
        if rows.iter().any(|row| row.text.len() > LONGEST) {
            return Self::Joined;
        }
        if is_matrix(rows) {
            return Self::Marks;
        }
        if is_doubled(rows) {
            return Self::Doubled;
        }
        let fields = [',', ';', '\t'].map(Self::Fields);
        let is_one = |layout: &Self| rows.iter().all(|row| layout.fits(row.text));
        fields.into_iter().chain([Self::Spaced]).find(is_one).unwrap_or(Self::Joined)
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::Fields(delimiter) => {
                text.contains(delimiter) && text.split(delimiter).all(|field| content(field).chars().count() <= 1)
            }
            Self::Spaced => {
                let text = text.trim_end();
                text.chars().nth(2).is_some()
                    && text.chars().skip(1).step_by(2).all(|c| c == ' ')
                    && !text.starts_with(' ')
            }
            Self::Joined | Self::Doubled | Self::Marks => true,
        }
    }

    /// The number of cells of a row.
    pub(super) fn count(self, text: &str) -> usize {
        match self {
            Self::Joined => text.chars().count(),
            _ => self.cells(text).len(),
        }
    }

    /// The cells of a row.
    pub(super) fn cells(self, text: &str) -> Vec<char> {
        match self {
            Self::Joined => text.chars().collect(),
            Self::Doubled => text.chars().step_by(2).collect(),
            Self::Spaced => text.trim_end().chars().step_by(2).collect(),
            Self::Marks => text.chars().filter(|&c| !is_between(c)).collect(),
            Self::Fields(delimiter) => {
                let fields = text.strip_suffix(delimiter).unwrap_or(text).split(delimiter);
                fields.map(|field| content(field).chars().next().unwrap_or(' ')).collect()
            }
        }
    }
}

/// True for rows in which two characters are a cell. Of few rows, or of rows of one character, each may be so by chance.
fn is_doubled(rows: &[Line<'_>]) -> bool {
    let mut changes = 0;
    let mut is_row = |row: &Line<'_>| {
        let (mut characters, mut before) = (row.text.chars(), None);
        while let Some(first) = characters.next() {
            let second = characters.next();
            if second != Some(first) && !(first.is_ascii_alphabetic() && second == Some(' ')) {
                return false;
            }
            changes += usize::from(before.is_some_and(|before| before != first));
            before = Some(first);
        }
        row.text.len() >= 10
    };
    rows.len() >= 5 && rows.iter().all(&mut is_row) && changes >= rows.len()
}

fn content(field: &str) -> &str {
    field.trim().trim_matches('"').trim()
}

/// True for rows of 0 and 1, as many in each, and the ends of a maze.
fn is_matrix(rows: &[Line<'_>]) -> bool {
    let cells = |row: &Line<'_>| Layout::Marks.cells(row.text);
    let Some(width) = rows.first().map(|row| cells(row).len()) else { return false };
    if width < 2 || rows.iter().any(|row| cells(row).len() != width) {
        return false;
    }
    census(rows, Layout::Marks).is_ok_and(|census| Letters::is_binary(&census))
}

/// The characters of rows, counted.
pub(super) fn census(rows: &[Line<'_>], layout: Layout) -> Result<Census, char> {
    let last = rows.len().saturating_sub(1);
    let mut census = Census::of(rows.iter().enumerate().flat_map(|(row, line)| {
        let cells = layout.cells(line.text);
        let width = cells.len();
        let outermost = move |column| row == 0 || row == last || column == 0 || column + 1 == width;
        cells.into_iter().enumerate().map(move |(column, cell)| (cell, outermost(column)))
    }))?;
    let all = |row: Option<&Line<'_>>| {
        let cells = layout.cells(row?.text);
        cells.first().copied().filter(|first| cells.len() > 2 && cells.iter().all(|cell| cell == first))
    };
    census.rows = [all(rows.first()), all(rows.last())];
    Ok(census)
}
