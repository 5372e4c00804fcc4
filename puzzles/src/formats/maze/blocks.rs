//! Mazes drawn with a character a cell, parted by blank lines; and matrices of numbers.

use super::super::kept::Kept;
use super::super::lines::Line;
use super::super::{Alphabet, Family, Puzzle, Reading};
use super::letters::is_known;
use super::{Letters, check_sides, mark_corners, mark_openings, maze_puzzle};
use crate::maze::{FREE, MAX_SIDE, WALL, shortest_path};
use crate::{Grid, PuzzleError, Result};

/// The characters of mazes, for messages.
const DRAWN: &str = "a maze is drawn with # wall, space or . free, S start, G goal, o path";

/// True if a text looks like mazes: lines of maze characters with a wall, against lines of digits; or an open field with ends.
pub(in super::super) fn looks_like(lines: &[Line<'_>]) -> bool {
    let (mut walls, mut digits, mut open, mut ends) = (0, 0, true, false);
    for line in lines.iter().filter(|line| !line.is_blank()) {
        if is_numbers(line.text) {
            continue;
        }
        if line.text.chars().all(is_known) {
            walls += usize::from(line.text.contains(['#', '@', '█', '▓', '■', '%', 'X', 'x', '*', 'W', 'w']));
            ends |= line.text.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'x' | 'X' | 'o' | 'W' | 'w'));
        } else {
            open = false;
            // A row of dots could be either, so it counts for neither.
            digits += usize::from(!line.text.starts_with('#') && super::super::sudoku::looks_like_row(line.text));
        }
    }
    walls > digits || (walls == digits && walls > 0) || (walls == 0 && open && ends)
}

/// True for a line of a matrix of numbers, or of a header with sizes.
fn is_numbers(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| {
            c.is_ascii_digit() || c.is_whitespace() || matches!(c, ',' | ';' | '[' | ']' | '{' | '}' | '(' | ')')
        })
}

/// Mazes of a text of nothing else.
pub(in super::super) fn read(origin: &str, lines: &[Line<'_>], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    for block in lines.split(|line| line.text.is_empty()) {
        // A line of spaces of another length than the rows parts mazes as an empty line does.
        let Some(width) = block.iter().filter(|line| !line.is_blank()).map(|line| line.text.chars().count()).max()
        else {
            continue;
        };
        let is_row = |line: &Line<'_>| !line.is_blank() || line.text.len() == width;
        for rows in block.split(|line| !is_row(line)) {
            if !rows.is_empty() {
                kept.push(maze(origin, rows, reading)?)?;
            }
        }
    }
    Ok(())
}

/// A maze in one line of a square, or a rectangle whose sides are known.
pub(in super::super) fn in_line(source: String, text: &str) -> Option<Result<Puzzle>> {
    let count = text.chars().count();
    let side = count.isqrt();
    if side < 2 || side * side != count || !text.chars().all(is_known) {
        return None;
    }
    let letters = Letters::of(text.chars()).ok()?;
    let cells = text.chars().map(|c| letters.value(c)).collect::<Option<Vec<_>>>()?;
    let grid = Grid::from_cells(side, side, cells);
    Some(grid.and_then(|grid| maze_puzzle(source, grid, Alphabet::maze_in(letters))))
}

fn maze(origin: &str, rows: &[Line<'_>], reading: &Reading) -> Result<Puzzle> {
    let (rows, header) = without_header(rows);
    if rows.iter().all(|line| is_numbers(line.text) || line.is_blank()) {
        return matrix(origin, rows, reading);
    }
    let first = rows[0];
    let source = format!("{origin}:{}", first.number);
    // Tabs at the end of a row are no cells.
    let rows = &rows.iter().map(|row| Line { text: row.text.trim_end_matches('\t'), ..*row }).collect::<Vec<_>>()[..];
    let lengths = rows.iter().map(|row| row.text.chars().count()).collect::<Vec<_>>();
    let width = lengths.iter().copied().max().unwrap_or(0);
    check_sides(&source, rows.len(), width)?;
    let letters = Letters::of(rows.iter().flat_map(|row| row.text.chars())).map_err(|odd| {
        let place = rows.iter().find_map(|row| row.text.find(odd).map(|index| (row, index)));
        let (row, index) = place.unwrap_or((&first, 0));
        row.unknown(origin, index, DRAWN)
    })?;
    // A border on the right without a gap, and ends within: a short row has lost its wall, not spaces.
    let last = |row: &Line<'_>| row.text.chars().next_back().and_then(|c| letters.value(c));
    let mut whole = rows.iter().zip(&lengths).filter(|&(_, &length)| length == width);
    let has_ends = rows.iter().any(|row| row.text.contains([letters.start, letters.goal]));
    let closed = has_ends && whole.clone().count() > 1 && whole.all(|(row, _)| last(row) == Some(WALL));
    let mut cells = Vec::with_capacity(rows.len() * width);
    for (index, (row, &length)) in rows.iter().zip(&lengths).enumerate() {
        let found = cells.len();
        cells.extend(row.text.chars().filter_map(|c| letters.value(c)));
        let is_edge = index == 0 || index + 1 == rows.len();
        let solid = cells[found..].iter().all(|&value| value == WALL);
        // Spaces at the end of a line are easily lost; a wall of the border is not.
        let taken_as_it_is = closed || reading.as_drawn || letters.free != ' ' || (is_edge && solid);
        let stripped = length < width && !taken_as_it_is && header.is_none_or(|size| size.1 == width);
        if stripped {
            cells.resize(found + width, FREE);
        } else if length != width {
            let odd = lengths.iter().position(|&other| other != lengths[0]).unwrap_or(index);
            return Err(PuzzleError::Ragged {
                origin: origin.to_owned(),
                line: rows[odd].number,
                found: lengths[odd],
                first_line: first.number,
                expected: lengths[0],
            });
        }
    }
    let mut grid = Grid::from_cells(rows.len(), width, cells)?;
    if !reading.as_drawn {
        mark_openings(&mut grid);
    }
    maze_puzzle(source, grid, Alphabet::maze_in(letters))
}

/// The rows without a line that says how many they are, `height width` or `width height`.
fn without_header<'l, 'a>(rows: &'l [Line<'a>]) -> (&'l [Line<'a>], Option<(usize, usize)>) {
    let nothing = (rows, None);
    let numbers = |line: &Line<'_>| {
        let parted = |c: char| c.is_whitespace() || matches!(c, ',' | 'x' | 'X' | ';' | '(' | ')');
        let words = line.text.split(parted).filter(|word| !word.is_empty()).take(3);
        words.map(|word| word.parse::<usize>().ok()).collect::<Option<Vec<_>>>()
    };
    let (numbers, rest) = match rows {
        // Height and width on a line each.
        [first, second, rest @ ..] if first.text.trim().len() <= 4 && second.text.trim().len() <= 4 => {
            match (numbers(first).as_deref(), numbers(second).as_deref()) {
                (Some(&[a]), Some(&[b])) => (vec![a, b], rest),
                _ => (numbers(first).unwrap_or_default(), &rows[1..]),
            }
        }
        [first, rest @ ..] => (numbers(first).unwrap_or_default(), rest),
        [] => return nothing,
    };
    let width = |line: &Line<'_>| {
        if is_numbers(line.text) { values(line.text).count() } else { line.text.chars().count() }
    };
    let (height, width) = (rest.len(), rest.iter().map(width).max().unwrap_or(0));
    let fits = match numbers[..] {
        [side] => side == height && side == width,
        [a, b] => (a, b) == (height, width) || (b, a) == (height, width),
        _ => false,
    };
    if fits && height > 1 { (rest, Some((height, width))) } else { nothing }
}

/// The values of a row of a matrix, parted or not.
fn values(text: &str) -> impl Iterator<Item = u32> {
    text.chars().filter_map(|c| c.to_digit(10))
}

/// A matrix of 0 and 1, with 2 and 3 for start and goal: 1 is the wall, unless start and goal would stand in one.
fn matrix(origin: &str, rows: &[Line<'_>], reading: &Reading) -> Result<Puzzle> {
    let first = rows[0];
    let source = format!("{origin}:{}", first.number);
    let width = values(first.text).count();
    check_sides(&source, rows.len(), width)?;
    let mut digits = Vec::new();
    for row in rows {
        let found = values(row.text).take(MAX_SIDE + 1).collect::<Vec<_>>();
        if let Some(odd) = found.iter().find(|&&digit| digit > 3) {
            let index = row.text.find(|c: char| c.to_digit(10) == Some(*odd)).unwrap_or(0);
            return Err(row.unknown(origin, index, "a maze of numbers has 0 free, 1 wall, 2 start, 3 goal"));
        }
        if found.len() != width {
            return Err(PuzzleError::Ragged {
                origin: origin.to_owned(),
                line: row.number,
                found: found.len(),
                first_line: first.number,
                expected: width,
            });
        }
        digits.extend(found);
    }
    let of = |wall: u32| -> Result<Puzzle> {
        let value = |&digit: &u32| match digit {
            2 => crate::maze::START,
            3 => crate::maze::GOAL,
            digit if digit == wall => WALL,
            _ => FREE,
        };
        let mut grid = Grid::from_cells(rows.len(), width, digits.iter().map(value).collect())?;
        let marked = mark_openings(&mut grid) || digits.contains(&2);
        if !marked && reading.family == Some(Family::Maze) {
            mark_corners(&mut grid);
        }
        let symbol = |digit| char::from_digit(digit, 10).unwrap_or('0');
        let letters = Letters { wall: symbol(wall), free: symbol(1 - wall), ..Letters::default() };
        maze_puzzle(source.clone(), grid, Alphabet::maze_in(letters))
    };
    // A border of one digit is a wall.
    let (height, last) = (rows.len(), width.saturating_sub(1));
    let is_border =
        |at: usize| at < width || at >= (height - 1) * width || at.is_multiple_of(width) || at % width == last;
    let border = digits.iter().enumerate().filter(|&(at, _)| is_border(at)).map(|(_, &digit)| digit);
    let (ones, all) = (border.clone().filter(|&digit| digit == 1).count(), border.clone().count());
    let zeros = border.filter(|&digit| digit == 0).count();
    if 3 * ones > 2 * all {
        return of(1);
    }
    if 3 * zeros > 2 * all {
        return of(0);
    }
    let usual = of(1)?;
    let solvable = |puzzle: &Puzzle| puzzle.check().is_ok() && shortest_path(&puzzle.grid).is_some();
    if solvable(&usual) {
        return Ok(usual);
    }
    let other = of(0)?;
    Ok(if solvable(&other) { other } else { usual })
}
