//! Texts without what stands in the margins of their rows: marks of XML, comments of several lines, letters of rows.

use super::super::lines::Line;
use super::rows::{is_rule, is_usual};

/// Longer texts are lists, which have none of this.
const MOST_LINES: usize = 20_000;

/// The lines without it; `None` if they have none.
pub(super) fn without<'a>(lines: &[Line<'a>]) -> Option<Vec<Line<'a>>> {
    if lines.len() > MOST_LINES {
        return None;
    }
    let first = lines.iter().find(|line| !line.is_blank())?;
    if first.text.trim_start().starts_with('<') {
        return Some(without_marks(lines));
    }
    let mut has_some = false;
    let mut plain = without_comments(lines, &mut has_some);
    has_some |= remove_labels(&mut plain);
    has_some.then_some(plain)
}

/// The longest text between two marks of each line: `000700000` of `<row>000700000</row>`.
fn without_marks<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let mut within = false;
    let mut plain = Vec::new();
    for &line in lines {
        let mut longest = "";
        for (at, part) in line.text.split('<').enumerate() {
            within |= at > 0;
            let text = if within { part.split_once('>').map(|(_, text)| text) } else { Some(part) };
            within &= text.is_none();
            if let Some(text) = text.map(str::trim).filter(|text| text.len() > longest.len()) {
                longest = text;
            }
        }
        if !longest.is_empty() {
            plain.push(Line { text: longest, ..line });
        }
    }
    plain
}

/// The lines that are in no comment of several lines, which begins and ends with a line of its own.
fn without_comments<'a>(lines: &[Line<'a>], has_some: &mut bool) -> Vec<Line<'a>> {
    let mut plain = Vec::with_capacity(lines.len());
    let mut rest = lines;
    while let Some((&line, behind)) = rest.split_first() {
        rest = behind;
        let begins = line.text.trim_start().starts_with("/*") && !line.text.contains("*/");
        let end = if begins { behind.iter().position(|line| line.text.contains("*/")) } else { None };
        match end {
            Some(end) => {
                *has_some = true;
                rest = &behind[end + 1..];
            }
            None if begins => {
                plain.push(line);
                plain.extend(behind);
                return plain;
            }
            None => plain.push(line),
        }
    }
    plain
}

/// The label of a row, and what stands behind it: `A | 4 1 2 | 7 3 6 |`.
fn labelled(text: &str) -> Option<(char, &str)> {
    let text = text.trim();
    let label = text.chars().next().filter(char::is_ascii_uppercase)?;
    let row = text[1..].trim_start();
    row.starts_with(super::rows::is_bar).then_some((label, row))
}

/// Takes the letters from rows that have A, B, C and so on before their first bar.
fn remove_labels(lines: &mut [Line<'_>]) -> bool {
    let mut removed = false;
    let mut at = 0;
    while at < lines.len() {
        let mut rows = Vec::new();
        let mut next = at;
        for (index, line) in lines.iter().enumerate().skip(at) {
            match labelled(line.text) {
                Some((label, row)) if label as usize == 'A' as usize + rows.len() => rows.push((index, row)),
                None if is_rule(line.text) || line.is_blank() => {}
                _ => break,
            }
            next = index;
        }
        if is_usual(rows.len()) {
            for (index, row) in rows {
                lines[index].text = row;
                removed = true;
            }
        }
        at = next.max(at) + 1;
    }
    removed
}
