//! Mazes drawn with a character a cell, parted by blank lines; and matrices of numbers.

use trm_intake::Fault;

use super::super::kept::Kept;
use super::super::lines::Line;
use super::super::{Alphabet, Family, Puzzle, Reading};
use super::header::{Headed, described, headed, is_said, several};
use super::layout::{Layout, census};
use super::letters::is_known;
use super::places::{self, mark_missing};
use super::{Letters, check_sides, mark_corners, mark_openings, mark_way, maze_puzzle};
use crate::maze::{FREE, GOAL, MAX_SIDE, PATH, START, WALL, shortest_path};
use crate::{Grid, Maze, PuzzleError, Result, Task};

/// The characters of mazes, for messages.
const DRAWN: &str = "a maze is drawn with # wall, space or . free, S start, G goal, o path";
const NUMBERED: &str =
    "a maze of numbers has 0 free, 1 wall, 2 start, 3 goal, or another digit all around it as its wall";

/// Lines of a maze with what may stand around it: more are not looked at cell by cell.
const MOST_LINES: usize = MAX_SIDE + 64;

/// True if a text looks like mazes: lines of maze characters with a wall, against lines of digits; an open field with ends; or
/// two characters, one around the other, with ends.
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
    walls > digits
        || (walls == digits && walls > 0)
        || (walls == 0 && open && ends && lines.iter().filter(|line| !line.text.is_empty()).nth(1).is_some())
        || is_told(lines)
}

/// True for a block of characters that tell themselves which is the wall, and where the ends are.
fn is_told(lines: &[Line<'_>]) -> bool {
    let Some(block) = first_block(lines).filter(|block| (3..=MOST_LINES).contains(&block.len())) else { return false };
    let rows = headed(block).rows;
    let layout = Layout::of(rows);
    let Some(width) =
        rows.iter().map(|row| layout.count(row.text)).max().filter(|width| (3..=MAX_SIDE).contains(width))
    else {
        return false;
    };
    let is_whole = rows.iter().all(|row| layout.count(row.text) == width);
    let letters = census(rows, layout).ok().and_then(|census| Some((Letters::all(&census).ok()?.remove(0), census)));
    let has_ends = |(letters, census)| {
        let Letters { start, goal, wall, free, .. } = letters;
        let census: super::census::Census = census;
        let ends = (census.times(start), census.times(goal));
        census.times(wall) > 1
            && census.times(free) > 1
            && (ends == (1, 1) || (ends == (0, 0) && rows.len() < block.len()))
    };
    is_whole && letters.is_some_and(has_ends)
}

/// True for a text whose first line says in which letters its maze is drawn.
pub(in super::super) fn is_described(lines: &[Line<'_>]) -> bool {
    lines.iter().find(|line| !line.is_blank()).is_some_and(|line| described(line.text).is_some())
}

/// True for a matrix of 0 and 1, and its ends maybe.
pub(in super::super) fn looks_like_matrix(lines: &[Line<'_>]) -> bool {
    let mut blocks = lines.split(Line::is_blank).filter(|block| !block.iter().all(is_said) || block.len() > 2);
    let is_matrix = |block: &[Line<'_>]| {
        let rows = headed(block).rows;
        (2..=MOST_LINES).contains(&rows.len()) && Layout::of(rows) == Layout::Marks
    };
    blocks.next().is_some_and(is_matrix) && blocks.all(is_matrix)
}

fn first_block<'l, 'a>(lines: &'l [Line<'a>]) -> Option<&'l [Line<'a>]> {
    lines.split(Line::is_blank).find(|block| !block.is_empty() && !block.iter().all(is_said)).map(without_prose)
}

/// True for a line of a matrix of numbers, or of a header with sizes.
fn is_numbers(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| {
            c.is_ascii_digit() || c.is_whitespace() || matches!(c, ',' | ';' | '[' | ']' | '{' | '}' | '(' | ')')
        })
}

/// True for a line with a word in it, of three letters at least.
fn is_prose(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic()).any(|word| {
        let mut letters = word.chars();
        let first = letters.next();
        let second = letters.find(|&c| Some(c) != first);
        second.is_some() && letters.any(|c| Some(c) != first && Some(c) != second)
    })
}

/// A block without the lines of words before its rows, which have another length.
fn without_prose<'l, 'a>(block: &'l [Line<'a>]) -> &'l [Line<'a>] {
    let length = |line: &Line<'a>| line.text.chars().count();
    let is_title = |pair: &&[Line<'a>]| {
        is_prose(pair[0].text) && !pair[0].text.chars().all(is_known) && length(&pair[0]) != length(&pair[1])
    };
    let titles = block.windows(2).take_while(is_title).count();
    let rest = &block[titles..];
    if rest.len() == 1 && is_prose(rest[0].text) && !rest[0].text.chars().all(is_known) { &[] } else { rest }
}

/// Mazes of a text of nothing else.
pub(in super::super) fn read(origin: &str, lines: &[Line<'_>], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    // Numbers may stand before and behind the rows with a blank line between.
    let mut said: Vec<Line<'_>> = Vec::new();
    let mut held: Vec<Line<'_>> = Vec::new();
    for block in lines.split(|line| line.text.is_empty()) {
        // A line of spaces of another length than the rows parts mazes as an empty line does.
        let Some(width) = block.iter().filter(|line| !line.is_blank()).map(|line| line.text.chars().count()).max()
        else {
            continue;
        };
        let is_row = |line: &Line<'_>| !line.is_blank() || line.text.len() == width;
        for rows in block.split(|line| !is_row(line)) {
            if rows.len() > MOST_LINES {
                check_sides(&format!("{origin}:{}", rows[0].number), rows.len(), 0)?;
            }
            if !rows.is_empty() && rows.len() <= 2 && rows.iter().all(is_said) && said.len() < 4 {
                said.extend(rows);
            } else if !rows.is_empty() {
                mazes(origin, &held, reading, kept)?;
                held = std::mem::take(&mut said);
                held.extend(without_prose(rows));
            }
        }
    }
    held.extend(said);
    mazes(origin, &held, reading, kept)
}

/// A block without a line behind its rows that is one star, which marks the end.
fn without_mark<'l, 'a>(block: &'l [Line<'a>]) -> &'l [Line<'a>] {
    match block {
        [rows @ .., mark] if rows.len() > 2 && mark.text == "*" && rows[rows.len() - 1].text.len() > 2 => rows,
        _ => block,
    }
}

/// The mazes of a block.
fn mazes(origin: &str, block: &[Line<'_>], reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    let blocks = several(block).unwrap_or_else(|| vec![block]);
    for block in blocks.into_iter().filter(|block| !block.is_empty()) {
        let block = without_mark(block);
        let maze = maze(origin, block, reading)?;
        if reading.as_drawn || !kept.way(&maze) {
            kept.push(maze)?;
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

/// The rows of a maze.
struct Rows<'l, 'a, 'o> {
    origin: &'o str,
    headed: Headed<'l, 'a>,
    /// The rows without tabs at their ends, which are no cells.
    lines: Vec<Line<'a>>,
    layout: Layout,
    lengths: Vec<usize>,
    width: usize,
    reading: &'o Reading,
}

fn maze(origin: &str, block: &[Line<'_>], reading: &Reading) -> Result<Puzzle> {
    let described = block.first().and_then(|line| described(line.text));
    let headed = headed(&block[usize::from(described.is_some())..]);
    let rows = Rows::of(origin, headed, reading);
    let Some(&first) = rows.lines.first() else { return Err(PuzzleError::Empty { origin: origin.to_owned() }) };
    let (layout, width) = (rows.layout, rows.width);
    let source = format!("{origin}:{}", first.number);
    check_sides(&source, rows.lines.len(), width)?;
    if let Some((size, _)) = described.filter(|&(size, _)| size != (rows.lines.len(), width)) {
        let fault = format!("the header says {}x{}, the maze is {}x{width}", size.0, size.1, rows.lines.len());
        return Err(PuzzleError::Syntax { origin: origin.to_owned(), line: block[0].number, fault: fault.into() });
    }
    let letters = match described {
        Some((_, letters)) => Ok(vec![letters]),
        None => census(&rows.lines, layout).and_then(|census| Letters::all(&census)),
    };
    let letters = letters.and_then(|letters| match rows.odd(&letters) {
        Some(odd) => Err(odd),
        None => Ok(letters),
    });
    let letters = letters.map_err(|odd| {
        let place = rows.lines.iter().find_map(|row| row.text.find(odd).map(|index| (row, index)));
        let (row, index) = place.unwrap_or((&first, 0));
        let is_numbered = rows.lines.iter().all(|line| is_numbers(line.text) || line.is_blank());
        row.unknown(origin, index, if is_numbered { NUMBERED } else { DRAWN })
    })?;
    let puzzle = |letters: Letters| {
        let mut grid = rows.grid(letters)?;
        let mut letters = letters;
        let drawn = letters.path.is_ascii_digit() && is_way(&grid);
        if letters.is_odd() && !drawn && shortest_path(&grid).is_none_or(|_| letters.path.is_ascii_digit()) {
            let odd = if letters.path.is_ascii_digit() { letters.path } else { letters.wall };
            let (row, index) =
                rows.lines.iter().find_map(|row| Some((row, row.text.find(odd)?))).unwrap_or((&first, 0));
            return Err(row.unknown(origin, index, NUMBERED));
        }
        if grid.find(PATH).is_some() && !is_way(&grid) {
            if grid.find(FREE).is_none() && grid.find(WALL).is_some() {
                letters = letters.without_path();
                grid = rows.grid(letters)?;
            } else if letters.path != 'o' && grid.find(START).is_some() {
                let (row, index) =
                    rows.lines.iter().find_map(|row| Some((row, row.text.find(letters.path)?))).unwrap_or((&first, 0));
                return Err(row.unknown(origin, index, DRAWN));
            }
        }
        let note = letters.numbered().filter(|_| described.is_none());
        let puzzle = maze_puzzle(source.clone(), grid, Alphabet::maze_in(letters.printed()))?;
        let puzzle = if drawn { answered(puzzle) } else { puzzle };
        Ok(Puzzle {
            note: note.map(|(start, goal)| format!("{start} was taken as the start, {goal} as the goal")),
            ..puzzle
        })
    };
    match letters[..] {
        [one, zero] => rows.by_border(puzzle(one), puzzle(zero)),
        _ => letters.first().map_or_else(|| Err(PuzzleError::Empty { origin: origin.to_owned() }), |&one| puzzle(one)),
    }
}

impl<'l, 'a, 'o> Rows<'l, 'a, 'o> {
    fn of(origin: &'o str, headed: Headed<'l, 'a>, reading: &'o Reading) -> Self {
        let rows = headed.rows.iter();
        let lines = rows.map(|row| Line { text: row.text.trim_end_matches('\t'), ..*row }).collect::<Vec<_>>();
        let layout = Layout::of(&lines);
        let lengths = lines.iter().map(|row| layout.count(row.text)).collect::<Vec<_>>();
        let width = lengths.iter().copied().max().unwrap_or(0);
        Self { origin, headed, lines, layout, lengths, width, reading }
    }

    /// The first character that is none of these letters.
    fn odd(&self, letters: &[Letters]) -> Option<char> {
        let mut cells = self.lines.iter().flat_map(|row| self.layout.cells(row.text));
        cells.find(|&c| letters.iter().any(|letters| letters.value(c).is_none()))
    }

    /// The grid in these letters, with its ends.
    fn grid(&self, letters: Letters) -> Result<Grid> {
        let (height, width) = (self.lines.len(), self.width);
        let last = |row: &Line<'_>| row.text.chars().next_back().and_then(|c| letters.value(c));
        // A border on the right without a gap, and ends within: a short row has lost its wall, not spaces.
        let mut whole = self.lines.iter().zip(&self.lengths).filter(|&(_, &length)| length == width);
        let has_ends = self.lines.iter().any(|row| row.text.contains([letters.start, letters.goal]));
        let closed = has_ends && whole.clone().count() > 1 && whole.all(|(row, _)| last(row) == Some(WALL));
        let mut cells = Vec::with_capacity(height * width);
        for (index, (row, &length)) in self.lines.iter().zip(&self.lengths).enumerate() {
            let found = cells.len();
            cells.extend(self.layout.cells(row.text).into_iter().filter_map(|c| letters.value(c)));
            let is_edge = index == 0 || index + 1 == height;
            let solid = cells[found..].iter().all(|&value| value == WALL);
            // Spaces at the end of a line are easily lost; a wall of the border is not.
            let taken_as_it_is = closed || self.reading.as_drawn || letters.free != ' ' || (is_edge && solid);
            if length < width && !taken_as_it_is && self.headed.allows_width(width) {
                cells.resize(found + width, FREE);
            } else if length != width {
                let odd = self.lengths.iter().position(|&other| other != self.lengths[0]).unwrap_or(index);
                return Err(PuzzleError::Ragged {
                    origin: self.origin.to_owned(),
                    line: self.lines[odd].number,
                    found: self.lengths[odd],
                    first_line: self.lines[0].number,
                    expected: self.lengths[0],
                });
            }
        }
        let mut grid = Grid::from_cells(height, width, cells)?;
        let syntax = |line, fault| PuzzleError::Syntax { origin: self.origin.to_owned(), line, fault };
        let places = self.headed.places((height, width)).map_err(|(line, fault)| syntax(line, fault))?;
        places::mark(&mut grid, &places).map_err(|fault| syntax(self.headed.place_line(), fault))?;
        if !self.reading.as_drawn {
            let is_matrix = self.layout == Layout::Marks;
            if letters.path.is_ascii_digit() {
                mark_way(&mut grid);
            }
            mark_missing(&mut grid);
            let is_marked = mark_openings(&mut grid) || grid.find(START).is_some() || grid.find(GOAL).is_some();
            if !is_marked && is_matrix && self.reading.family == Some(Family::Maze) {
                mark_corners(&mut grid);
            }
        }
        Ok(grid)
    }

    /// The maze whose walls are 1, or the one whose walls are 0: as the border says, unless only the other can be solved.
    fn by_border(&self, one: Result<Puzzle>, zero: Result<Puzzle>) -> Result<Puzzle> {
        let census = census(&self.lines, self.layout).unwrap_or_default();
        let is_sound = |puzzle: &Result<Puzzle>| {
            puzzle.as_ref().is_ok_and(|puzzle| puzzle.check().is_ok() && shortest_path(&puzzle.grid).is_some())
        };
        let sound = (is_sound(&one), is_sound(&zero));
        let (says_one, says_zero) = (census.encloses('1'), census.encloses('0'));
        let is_impossible = |puzzle: &Result<Puzzle>| puzzle.as_ref().map_or(true, is_walled_in);
        match sound {
            (true, true) if says_one => one,
            (true, true) if !census.is_outermost('1') => zero,
            (true, false) if !says_zero || is_impossible(&zero) => one,
            (false, true) if !says_one || is_impossible(&one) => zero,
            (false, false) if says_zero => zero,
            (false, false) => one,
            _ => Err(PuzzleError::Syntax {
                origin: self.origin.to_owned(),
                line: self.lines[0].number,
                fault: Fault::from("a maze of 0 and 1, either of which may be its wall")
                    .advise("draw it with # for the walls"),
            }),
        }
    }
}

/// The mazes that rows can be in which an answer is drawn.
pub(super) fn drawn(origin: &str, lines: &[Line<'_>], reading: &Reading) -> Result<Vec<Puzzle>> {
    let rows = Rows::of(origin, Headed::bare(lines), reading);
    let source = format!("{origin}:{}", lines.first().map_or(1, |line| line.number));
    check_sides(&source, rows.lines.len(), rows.width)?;
    let census = census(&rows.lines, rows.layout).unwrap_or_default();
    let mut letters = Letters::drawn(&census);
    letters.retain(|&letters| rows.odd(&[letters]).is_none());
    letters
        .into_iter()
        .map(|letters| maze_puzzle(source.clone(), rows.grid(letters)?, Alphabet::maze_in(letters)))
        .collect()
}

/// The maze without the way that is drawn in it, which is its answer if it is right.
pub(super) fn answered(drawn: Puzzle) -> Puzzle {
    let grid = drawn.grid.map(|value| if value == PATH { FREE } else { value });
    let solution = Some(drawn.grid).filter(is_way);
    Puzzle { grid, solution, ..drawn }
}

/// True if what is marked in a maze is a way from its start to its goal.
fn is_way(grid: &Grid) -> bool {
    let puzzle = grid.map(|value| if value == PATH { FREE } else { value });
    Maze::new(grid.height(), grid.width()).is_ok_and(|task| task.verify(&puzzle, grid).is_verified())
}

/// True for a maze with an end that no free cell is beside.
fn is_walled_in(puzzle: &Puzzle) -> bool {
    let grid = &puzzle.grid;
    let is_free = |cell| matches!(grid.get(cell), Some(value) if value != WALL);
    let ends = [grid.find(START), grid.find(GOAL)];
    ends.into_iter().flatten().any(|end| !grid.neighbours(end).any(is_free))
}
