//! Places where output cannot go: shared by the tests of both programs.

use std::fs::OpenOptions;
use std::process::{Output, Stdio};

/// Message about a full disk.
pub(crate) const NO_SPACE: &str = "error: cannot write to standard output: No space left on device";

/// A disk that is full.
pub(crate) fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("a full device").into()
}

/// A pipe that nobody reads any more, as `head -1` leaves it.
pub(crate) fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// The text on standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
