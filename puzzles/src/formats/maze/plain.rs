//! Forms that become one of the usual ones by writing each row anew: characters between commas, cells joined by corridors,
//! rows in one line, and matrices with -1.

use super::super::lines::Line;
use super::census::Census;
use super::letters::is_known;
use crate::maze::MAX_SIDE;

/// Rows that were written anew, each with the number of its line.
pub(in super::super) type Rewritten = Vec<(usize, String)>;

/// The rows of a text in one of these forms, `None` for any other.
pub(in super::super) fn plain(lines: &[Line<'_>]) -> Option<Rewritten> {
    let first = lines.iter().position(|line| !line.is_blank())?;
    let last = lines.iter().rposition(|line| !line.is_blank())?;
    let lines = &lines[first..=last];
    if lines.len() > 2 * MAX_SIDE + 1 || lines.iter().any(|line| line.is_blank() || line.text.len() > 8 * MAX_SIDE) {
        return None;
    }
    slashes(lines).or_else(|| fields(lines)).or_else(|| corridors(lines)).or_else(|| minus_one(lines))
}

/// Rows in one line: `SFFF/FHFH/FFFH/HFFG`.
fn slashes(lines: &[Line<'_>]) -> Option<Rewritten> {
    let [line] = lines else { return None };
    let rows = line.text.trim().split('/').take(MAX_SIDE + 1).collect::<Vec<_>>();
    let width = rows[0].chars().count();
    let is_cell = |c: char| is_known(c) && !c.is_ascii_digit() || matches!(c, 'H');
    let is_row = |row: &&str| row.chars().count() == width && row.chars().all(is_cell);
    ((3..=MAX_SIDE).contains(&rows.len()) && width > 2 && rows.iter().all(is_row))
        .then(|| rows.iter().map(|&row| (line.number, row.to_owned())).collect())
}

/// A drawing of rooms as a table, a character a field: `+,-,-,+`.
fn fields(lines: &[Line<'_>]) -> Option<Rewritten> {
    let is_table = |line: &Line<'_>| {
        line.text.chars().skip(1).step_by(2).all(|c| c == ',')
            && line.text.chars().step_by(2).all(|c| " +-|".contains(c))
    };
    (lines.len() > 2 && lines[0].text.starts_with("+,") && lines.iter().all(is_table))
        .then(|| lines.iter().map(|line| (line.number, line.text.chars().step_by(2).collect())).collect())
}

/// Cells that lines join, with walls # or spaces between: `S-O-O` above `|   |`.
fn corridors(lines: &[Line<'_>]) -> Option<Rewritten> {
    let rows = lines.iter().map(|line| line.text.trim_end().chars().collect::<Vec<_>>()).collect::<Vec<_>>();
    let width = rows.iter().map(Vec::len).max()?;
    let border = usize::from(rows[0].iter().all(|&c| c == '#'));
    if lines.len() < 3 || !(3..=MAX_SIDE).contains(&width) || lines.len().is_multiple_of(2) || width.is_multiple_of(2) {
        return None;
    }
    let (mut cells, mut joined) = (0_usize, [false; 2]);
    let mut rewritten = Rewritten::with_capacity(lines.len());
    for ((row, characters), line) in rows.iter().enumerate().zip(lines) {
        let mut text = String::with_capacity(width);
        for column in 0..width {
            let character = characters.get(column).copied().unwrap_or(' ');
            text.push(match ((row + border) % 2, (column + border) % 2, character) {
                (0, 0, 'O') => {
                    cells += 1;
                    ' '
                }
                (0, 0, 'S' | 'E' | 'G') => character,
                (0, 1, '-') => {
                    joined[0] = true;
                    ' '
                }
                (1, 0, '|') => {
                    joined[1] = true;
                    ' '
                }
                (_, _, '#') => '#',
                (_, 1, ' ') | (1, _, ' ') if border == 0 => '#',
                _ => return None,
            });
        }
        rewritten.push((line.number, text));
    }
    (cells > 1 && joined == [true; 2]).then_some(rewritten)
}

/// A matrix of -1 and another number, one of them the wall around everything, with ends or gaps. One of them is twice in a
/// row, as no number is in a sudoku.
fn minus_one(lines: &[Line<'_>]) -> Option<Rewritten> {
    let is_between =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '[' | ']' | '{' | '}' | '(' | ')' | '"' | '\'');
    if lines.len() < 4 || !lines.iter().any(|line| line.text.contains("-1")) {
        return None;
    }
    let cell = |word: &str| {
        let mut characters = word.chars();
        match (word, characters.next(), characters.next()) {
            ("-1", ..) => Some('-'),
            (_, Some(only), None) if only.is_ascii_alphanumeric() => Some(only),
            _ => None,
        }
    };
    let row = |line: &Line<'_>| {
        let words = line.text.split(is_between).filter(|word| !word.is_empty());
        words.map(cell).collect::<Option<Vec<char>>>()
    };
    let rows = lines.iter().map(row).collect::<Option<Vec<_>>>()?;
    let (height, width) = (rows.len(), rows[0].len());
    if !(4..=MAX_SIDE).contains(&width) || height > MAX_SIDE || rows.iter().any(|row| row.len() != width) {
        return None;
    }
    let census = Census::of(rows.iter().enumerate().flat_map(|(row, cells)| {
        let is_edge = move |column| row == 0 || row + 1 == height || column == 0 || column + 1 == width;
        cells.iter().enumerate().map(move |(column, &cell)| (cell, is_edge(column)))
    }));
    let census = census.ok()?;
    let other = ['0', '1'].into_iter().find(|&c| census.times(c) > 2)?;
    let ends = census.iter().map(|seen| seen.character).filter(|&c| c != '-' && c != other).collect::<Vec<_>>();
    let are_ends = matches!(ends.len(), 0 | 2) && ends.iter().all(|&end| census.times(end) == 1);
    let is_twice = rows.iter().any(|row| row.iter().filter(|&&cell| cell == other).count() > 1);
    let wall = ['-', other].into_iter().find(|&c| match ends[..] {
        [one, two] => census.surrounds(c, [one, two]),
        _ => census.encloses(c),
    })?;
    if !are_ends || !is_twice {
        return None;
    }
    let symbol = |&cell: &char| match cell {
        '-' | '0' | '1' if cell == wall => '#',
        '-' => '.',
        _ if cell == other => '.',
        end => end,
    };
    Some(rows.iter().zip(lines).map(|(row, line)| (line.number, row.iter().map(symbol).collect())).collect())
}
