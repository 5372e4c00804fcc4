//! Lines of numbers around the rows of a maze: how many mazes there are, a maze's size, the places of its ends.

use trm_intake::{Fault, Printable};

use super::super::lines::Line;
use super::Letters;

/// The most lines of numbers before the rows of a maze, and behind them.
const MOST: usize = 4;

/// The rows of a maze, and the lines of numbers around them.
pub(super) struct Headed<'l, 'a> {
    before: &'l [Line<'a>],
    pub(super) rows: &'l [Line<'a>],
    behind: &'l [Line<'a>],
}

/// The numbers of a line of nothing else: `8 10`, `10x10`, `(3, 4)`.
pub(super) fn numbers(text: &str) -> Option<Vec<usize>> {
    let parted = |c: char| c.is_whitespace() || matches!(c, ',' | 'x' | 'X' | ';' | '(' | ')' | '[' | ']' | ':');
    let words = text.split(parted).filter(|word| !word.is_empty()).take(7);
    let numbers = words.map(|word| word.parse().ok()).collect::<Option<Vec<usize>>>()?;
    (1..=6).contains(&numbers.len()).then_some(numbers)
}

/// The size and the letters that a maze says itself: `10x20* o12` is height and width, then wall, free cell, way, start and
/// goal; with spaces between, the free cell may be left out.
pub(super) fn described(text: &str) -> Option<((usize, usize), Letters)> {
    if text.len() > 40 {
        return None;
    }
    let words = text.split_whitespace().collect::<Vec<_>>();
    if let [height, width, letters @ ..] = &words[..]
        && letters.len() >= 4
        && letters.iter().all(|word| word.chars().count() == 1)
    {
        let letters =
            if letters.len() == 4 { [&letters[..1], &[" "], &letters[1..]].concat() } else { letters.to_vec() };
        let is_letter = letters.iter().all(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
        let size = (height.parse().ok()?, width.parse().ok()?);
        return Letters::said(&letters.concat()).filter(|_| is_letter).map(|letters| (size, letters));
    }
    let after = |text: &str| text.find(|c: char| !c.is_ascii_digit()).filter(|&end| end > 0);
    let (height, rest) = text.split_at(after(text)?);
    let rest = rest.strip_prefix('x')?;
    // A letter may be a digit, so the width ends before the last five characters.
    let letters = rest.char_indices().rev().nth(4).map(|(at, _)| at)?;
    let (width, letters) = rest.split_at(letters);
    Some(((height.parse().ok()?, width.parse().ok()?), Letters::said(letters)?))
}

/// True for a line of numbers that can stand beside rows.
pub(super) fn is_said(line: &Line<'_>) -> bool {
    line.text.trim().len() <= 40 && numbers(line.text).is_some()
}

/// The number of cells of a line, and whether something parts them.
fn shape(text: &str) -> (usize, bool) {
    let words = || text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty());
    let is_parted = words().nth(1).is_some() && words().all(|word| word.len() <= 2);
    if is_parted { (words().count(), true) } else { (text.trim_end().chars().count(), false) }
}

/// Parts a block into its rows and the lines of numbers around them, which are no rows by their shape.
pub(super) fn headed<'l, 'a>(block: &'l [Line<'a>]) -> Headed<'l, 'a> {
    let length = |line: &&Line<'_>| line.text.trim_end().len();
    // Rows of numbers alone are the longest of them.
    let row = block.iter().filter(|line| !is_said(line)).max_by_key(length).or_else(|| block.iter().max_by_key(length));
    let longest = row.map_or((0, false), |line| shape(line.text));
    let is_beside = |line: &&Line<'_>| is_said(line) && shape(line.text) != longest;
    let before = block.iter().take(MOST).take_while(is_beside).count();
    let rest = &block[before..];
    let behind = rest.iter().rev().take(MOST).take_while(is_beside).count();
    let (rows, behind) = rest.split_at(rest.len() - behind);
    Headed { before: &block[..before], rows, behind }
}

/// Several mazes that stand behind a line with their number, each with its size: `2`, `5 7`, five rows, `5 7`, five rows.
pub(super) fn several<'l, 'a>(block: &'l [Line<'a>]) -> Option<Vec<&'l [Line<'a>]>> {
    let [count] = numbers(block.first()?.text)?[..] else { return None };
    let mut at = 1;
    let mut mazes = Vec::new();
    while at < block.len() {
        let [height, _] = numbers(block[at].text)?[..] else { return None };
        let end = at.checked_add(height)?.checked_add(1)?;
        mazes.push(block.get(at..end)?);
        at = end;
    }
    (mazes.len() == count).then_some(mazes)
}

impl<'l, 'a> Headed<'l, 'a> {
    /// Rows with nothing around them.
    pub(super) fn bare(rows: &'l [Line<'a>]) -> Self {
        Self { before: &[], rows, behind: &[] }
    }
}

impl Headed<'_, '_> {
    /// The places that the numbers name for a maze of this size, in the order in which they stand there.
    ///
    /// # Errors
    /// Numbers that are neither this size nor places, with the line in which they begin.
    pub(super) fn places(&self, size: (usize, usize)) -> Result<Vec<[usize; 2]>, (usize, Fault)> {
        let of = |lines: &[Line<'_>]| lines.iter().filter_map(|line| numbers(line.text)).collect::<Vec<_>>();
        let (before, behind) = (of(self.before), of(self.behind));
        let all = before.concat();
        let (height, width) = size;
        let is_size = |a: usize, b: usize| (a, b) == size || (b, a) == size;
        let rest = match all[..] {
            [a, b, ref rest @ ..] if is_size(a, b) => rest,
            [side, ref rest @ ..] if side == height && side == width => rest,
            _ if before.len() == 2 && before.iter().all(|line| line.len() == 2) => &all,
            [] => &all,
            _ => {
                let said = Printable(self.before[0].text.trim());
                let fault =
                    Fault::from(format!("`{said}` does not say the size of the {height} rows of {width} behind it"));
                return Err((self.before[0].number, fault.advise("a maze's header is its height and width")));
            }
        };
        let numbers = [rest, &behind.concat()].concat();
        if numbers.len() > 4 || !numbers.len().is_multiple_of(2) {
            let line = self.behind.first().or(self.before.last()).map_or(1, |line| line.number);
            let fault = Fault::from(format!("{} numbers around the rows of a maze beside its size", numbers.len()));
            return Err((line, fault.advise("two say where the start is, four where start and goal are")));
        }
        Ok(numbers.chunks_exact(2).map(|place| [place[0], place[1]]).collect())
    }

    /// The line that names places.
    pub(super) fn place_line(&self) -> usize {
        self.behind.first().or(self.before.last()).map_or(1, |line| line.number)
    }

    /// True if a size of this width stands before the rows, or none.
    pub(super) fn allows_width(&self, width: usize) -> bool {
        self.before.is_empty()
            || self.before.iter().filter_map(|line| numbers(line.text)).flatten().any(|number| number == width)
    }
}
