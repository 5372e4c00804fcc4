//! The lines of a text.

use trm_intake::{Budget, Fault};

use super::body::Body;
use crate::{PuzzleError, Result};

/// A line and its number, from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) text: &'a str,
}

impl Line<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// An error for the character at byte `index`.
    pub(super) fn unknown(&self, origin: &str, index: usize, allowed: &str) -> PuzzleError {
        let before = self.text.get(..index).unwrap_or("");
        let rest = self.text.get(index..).unwrap_or("");
        PuzzleError::UnknownCharacter {
            origin: origin.to_owned(),
            line: self.number,
            column: before.chars().count() + 1,
            character: rest.chars().next().unwrap_or('\u{fffd}'),
            allowed: allowed.to_owned(),
        }
    }
}

/// The format of a picture, by its first bytes.
fn picture(body: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 5] =
        [(b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"RIFF", "WebP")];
    FORMATS.into_iter().find(|(start, _)| body.starts_with(start)).map(|(_, format)| format)
}

/// The lines of a text, an item each; `\r\n` is taken away, other encodings than UTF-8 refused.
pub(super) fn lines<'a>(origin: &str, body: Body<'a>, budget: &mut Budget) -> Result<Vec<Line<'a>>> {
    lines_from(origin, body, 0, budget)
}

/// As [`lines`], of a text before which there were others.
pub(super) fn lines_from<'a>(
    origin: &str,
    body: Body<'a>,
    lines_before: usize,
    budget: &mut Budget,
) -> Result<Vec<Line<'a>>> {
    // Counted first: what is kept of an empty line is larger than the line.
    let count = body.split(|&byte| byte == b'\n').count();
    budget.take_items(count as u64).map_err(PuzzleError::exceeded(origin, "lines"))?;
    let body = body.bytes();
    let text = std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        PuzzleError::Syntax {
            origin: origin.to_owned(),
            line: lines_before + before.split(|&byte| byte == b'\n').count(),
            fault: match picture(body) {
                Some(format) => Fault::from(format!("a picture ({format}), not a text"))
                    .advise("`trm-host read FILE --solve` reads pictures of puzzles"),
                None => Fault::from("not text: a byte that is not UTF-8").advise("puzzles are plain text files"),
            },
        }
    })?;
    let mut lines = Vec::with_capacity(count);
    lines.extend(
        text.split('\n')
            .zip(lines_before + 1..)
            .map(|(text, number)| Line { number, text: text.strip_suffix('\r').unwrap_or(text) }),
    );
    Ok(lines)
}
