//! The lines of a sudoku text: rows of cells, rules between boxes, and what is written around puzzles.

use super::super::lines::Line;
use crate::Sudoku;

/// The largest side.
const LARGEST_SIDE: usize = 25;

/// Characters that part boxes within a row.
const BARS: &str = "|│┃║┆┊┇┋¦❘";
/// Characters of rules, with those where lines meet.
const RULES: &str = "-=_~+*.:'`#─━═┄┈╌╍┌┐└┘├┤┬┴┼╔╗╚╝╠╣╦╩╬╟╢╤╧╪╫╞╡╒╕╘╛╓╖╙╜╥╨┏┓┗┛┣┫┳┻╋┠┨┯┷┿╂┝┥┰┸╀╁—–‒";

/// True for sides that have a box shape.
pub(super) fn is_side(cells: usize) -> bool {
    cells <= LARGEST_SIDE && Sudoku::with_side(cells).is_some()
}

/// True for the sides that most puzzles have.
pub(super) fn is_usual(side: usize) -> bool {
    matches!(side, 4 | 6 | 9 | 16 | 25)
}

/// The side of a puzzle of so many cells.
pub(in super::super) fn side_of(cells: usize) -> Option<usize> {
    let side = cells.isqrt();
    (side * side == cells && is_side(side)).then_some(side)
}

/// The box shapes of a side, the usual one first.
pub(super) fn shapes(side: usize) -> Vec<Sudoku> {
    let mut shapes = Vec::from_iter(Sudoku::with_side(side));
    let all = (2..=5).filter(|height| side.is_multiple_of(*height));
    let others = all.filter_map(|height| Sudoku::new(height, side / height).ok());
    shapes.extend(others.filter(|task| Some(*task) != Sudoku::with_side(side)));
    shapes
}

pub(super) fn is_bar(character: char) -> bool {
    BARS.contains(character)
}

/// True for what parts cells and is none.
fn is_separator(character: char) -> bool {
    is_bar(character)
        || character.is_whitespace()
        || matches!(character, ',' | ';' | '[' | ']' | '{' | '}' | '(' | ')' | '"')
}

/// True for a line between boxes, or of a frame: `---+---+---`.
pub(super) fn is_rule(text: &str) -> bool {
    // Between any two cells there may be a cross.
    let is_drawn = |c: char| matches!(c, '\u{2500}'..='\u{257f}') || c.is_whitespace();
    if text.chars().all(is_drawn) && text.chars().filter(|c| "─━═".contains(*c)).count() >= 3 {
        return true;
    }
    let mut run = 0;
    let mut longest = 0;
    let mut before = ' ';
    for character in text.trim().chars() {
        if !RULES.contains(character) && !is_bar(character) && !character.is_whitespace() {
            return false;
        }
        run = if character == before { run + 1 } else { 1 };
        if !character.is_whitespace() && !is_bar(character) && character != '.' {
            longest = longest.max(run);
        }
        before = character;
    }
    longest >= 3 || (longest == 2 && text.contains('+'))
}

/// A row: its cells, and what stands between them.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) line: Line<'a>,
    /// Byte offset and text of every cell: one character, a whole number, or nothing.
    pub(super) cells: Vec<(usize, &'a str)>,
    /// Cells before each bar, and before each gap that is wider than the narrowest.
    pub(super) breaks: Vec<usize>,
}

impl<'a> Row<'a> {
    /// One cell for every character, or for every number where `numbers`.
    pub(super) fn of(line: Line<'a>, numbers: bool) -> Self {
        if let Some(row) = Self::of_fields(line) {
            return row;
        }
        let mut cells: Vec<(usize, &str)> = Vec::new();
        // Between two cells: whether there is a bar, and how much else.
        let mut gaps: Vec<(bool, usize)> = Vec::new();
        let mut gap = (false, 0);
        let mut joined = false;
        for (index, character) in line.text.char_indices() {
            if is_separator(character) {
                gap = (gap.0 || is_bar(character), gap.1 + 1);
                joined = false;
                continue;
            }
            let end = index + character.len_utf8();
            match cells.last_mut() {
                Some((start, text)) if numbers && joined => *text = &line.text[*start..end],
                _ => {
                    if !cells.is_empty() {
                        gaps.push(gap);
                    }
                    cells.push((index, &line.text[index..end]));
                }
            }
            gap = (false, 0);
            joined = true;
        }
        let bars = gaps.iter().any(|gap| gap.0);
        let narrowest = gaps.iter().map(|gap| gap.1).min().unwrap_or(0);
        let is_break = |gap: &(bool, usize)| if bars { gap.0 } else { gap.1 > narrowest };
        let breaks = gaps.iter().zip(1..).filter(|(gap, _)| is_break(gap)).map(|(_, before)| before).collect();
        Self { line, cells, breaks }
    }

    /// Cells of two digits each, with nothing between them: `0806`, of values up to their number.
    pub(super) fn of_pairs(line: Line<'a>) -> Option<Self> {
        let text = line.text.trim_end();
        let side = text.len() / 2;
        if !text.len().is_multiple_of(2) || !is_side(side) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let cells = (0..side).map(|at| (2 * at, &line.text[2 * at..2 * at + 2])).collect::<Vec<_>>();
        let is_cell = |(_, text): &(usize, &str)| text.parse::<usize>().is_ok_and(|number| number <= side);
        cells.iter().all(is_cell).then_some(Self { line, cells, breaks: Vec::new() })
    }

    /// Cells parted by commas, semicolons or tabs, some of them empty.
    fn of_fields(line: Line<'a>) -> Option<Self> {
        let text = line.text;
        let delimiter = [',', ';', '\t'].into_iter().find(|&delimiter| text.contains(delimiter))?;
        let mut fields = Vec::new();
        let mut start = 0;
        for field in text.split(delimiter) {
            let cell = field.trim().trim_matches('"').trim();
            fields.push((start + (field.len() - field.trim_start().len()), cell));
            start += field.len() + delimiter.len_utf8();
        }
        // A comma behind the last cell.
        if fields.last().is_some_and(|field| field.1.is_empty())
            && (!is_side(fields.len()) || is_usual(fields.len() - 1))
        {
            fields.pop();
        }
        let is_cell = |field: &(usize, &str)| {
            field.1.chars().count() <= 1 || (field.1.len() <= 2 && field.1.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let some_empty = fields.iter().any(|field| field.1.is_empty());
        (some_empty && is_side(fields.len()) && fields.iter().all(is_cell)).then_some(Self {
            line,
            cells: fields,
            breaks: Vec::new(),
        })
    }

    /// True if numbers of several characters are cells of it.
    pub(super) fn has_numbers(&self) -> bool {
        self.cells.iter().any(|(_, text)| text.chars().count() > 1)
    }
}

/// The size that equal steps between breaks have, where they are the edges of boxes.
pub(super) fn period(breaks: &[usize], side: usize) -> Option<usize> {
    let inner = breaks.iter().copied().filter(|&at| at > 0 && at < side).collect::<Vec<_>>();
    let &first = inner.first()?;
    let expected = (first..side).step_by(first).collect::<Vec<_>>();
    // Bars between all cells show no boxes.
    (first > 1 && side.is_multiple_of(first) && inner == expected).then_some(first)
}

/// True for what people write around puzzles: comments, headings, names, sizes. A row that is damaged is none.
pub(super) fn is_title(text: &str) -> bool {
    let text = text.trim();
    let comment = ["#", "//", ";", "%", "--", "/*", "!"].iter().any(|mark| text.starts_with(mark));
    let section = text.starts_with('[') && text.ends_with(']') && text.contains(|c: char| c.is_alphabetic());
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let mut longest = 0;
    for word in text.split(|c: char| !c.is_alphabetic()) {
        let letters = word.chars().count();
        // A row of letters or of x for blank is no word.
        let varied = word.chars().any(|c| !c.eq_ignore_ascii_case(&'x'));
        longest = longest.max(if varied { letters } else { 0 });
    }
    let number = text.trim_start_matches(['(', '#', '=']).trim_end_matches(['.', ':', ')', '=']);
    let is_number = !number.is_empty()
        && number
            .split_ascii_whitespace()
            .all(|word| word.len() <= 7 && word.bytes().all(|byte| byte.is_ascii_digit()))
        && number.split_ascii_whitespace().count() <= 3;
    // Digits in a row are cells that would be lost.
    let run = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if !comment && !is_number && !is_sum(text) && run > 5 {
        return false;
    }
    comment
        || is_sum(text)
        || section
        || is_number
        || (longest >= 3 && digits <= 12)
        || text.chars().all(|c| !c.is_alphanumeric() && c != '.' && c != '_')
}

/// True for the checksum of a puzzle.
fn is_sum(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit();
    matches!(text.len(), 32 | 40)
        && text.bytes().all(|byte| is_digit(byte) || matches!(byte, b'a'..=b'f'))
        && text.bytes().any(is_digit)
        && !text.bytes().all(is_digit)
}
