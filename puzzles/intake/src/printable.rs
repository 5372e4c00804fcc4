//! Text from outside, as it may be shown.

use std::error::Error;
use std::fmt::{self, Write as _};

/// Text of any length from outside, each character that a terminal or a log would obey written as an escape. A name is
/// better shown by [`Printable`], which also bounds it.
///
/// ```
/// assert_eq!(trm_intake::Escaped("v1\x1b[2J\nok").to_string(), "v1\\u{1b}[2J\\nok");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_escaped(f, c))
    }
}

/// Text from outside (a manifest, a file name, a device's answer) as it may be shown: characters that a terminal or a
/// log would obey (control characters, line and paragraph separators, changes of direction, invisible marks) are
/// written as escapes, and no more than [`Printable::MOST`] characters are shown.
///
/// ```
/// assert_eq!(trm_intake::Printable("v1\x1b[2J\nok").to_string(), "v1\\u{1b}[2J\\nok");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl Printable<'_> {
    /// Characters that are shown; what is left out is marked by `…`.
    pub const MOST: usize = 300;
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.chars().enumerate() {
            if at == Self::MOST {
                return f.write_char('…');
            }
            write_escaped(f, c)?;
        }
        Ok(())
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    if is_obeyed(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
}

/// True for a character that a terminal or a viewer of logs acts on instead of showing it.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        // Zero-width and direction marks, line and paragraph separators, overrides, isolates, the byte-order mark.
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns what an error and its causes say, parted by colons. Their advice is left out: [`with_causes_as`] has the words
/// of each.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    with_causes_as(error, ToString::to_string)
}

/// As [`with_causes`], in the words that `said` has for each.
#[must_use]
pub fn with_causes_as<'e>(
    error: &'e (dyn Error + 'static),
    said: impl Fn(&'e (dyn Error + 'static)) -> String,
) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(said).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = "a\x1b]0;title\x07\r\n\u{9b}31m\u{202e}cba\u{2066}\u{61c}\u{feff}\0";
        let shown = Printable(hostile).to_string();
        assert_eq!(shown, "a\\u{1b}]0;title\\u{7}\\r\\n\\u{9b}31m\\u{202e}cba\\u{2066}\\u{61c}\\u{feff}\\u{0}");
        assert!(!shown.chars().any(is_obeyed));
    }

    #[test]
    fn letters_of_every_script_stay_and_long_text_is_cut() {
        assert_eq!(Printable("Größe 数独 ✓ \\").to_string(), "Größe 数独 ✓ \\");
        let long = "x".repeat(Printable::MOST + 1);
        assert_eq!(Printable(&long).to_string().chars().count(), Printable::MOST + 1);
        assert!(Printable(&long).to_string().ends_with('…'));
    }
}
