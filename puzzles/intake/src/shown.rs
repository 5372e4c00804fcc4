//! Text from outside, as it may be shown: names of files and firmwares, answers of devices, what others wrote.

use std::path::Path;

use crate::Escaped;

/// A path as it may be shown.
#[must_use]
pub fn path(path: &Path) -> String {
    text(&path.to_string_lossy())
}

/// Text of any length without characters that a terminal or a log would obey.
#[must_use]
pub fn text(text: &str) -> String {
    Escaped(text).to_string()
}

/// Text in one line, for a log that has a line for each message: white space of any kind is a space, and what a
/// terminal would obey is escaped.
#[must_use]
pub fn line(message: &str) -> String {
    text(&message.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Text in its own lines, what a terminal would obey but for line breaks escaped.
#[must_use]
pub fn lines(message: &str) -> String {
    message.split('\n').map(text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_nothing_is_lost() {
        assert_eq!(text("a\x1b[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(line(" two\nlines\t\x07 "), "two lines \\u{7}");
        assert_eq!(lines("two\r\nlines\x1b"), "two\\r\nlines\\u{1b}");
        let long = "Größe ".repeat(200);
        assert_eq!(text(&long), long);
        assert_eq!(path(Path::new("photos/a\nerror: b.png")), "photos/a\\nerror: b.png");
    }
}
