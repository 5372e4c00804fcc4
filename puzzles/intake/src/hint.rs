//! The advice that comes with an error, apart from what the error says.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// An error that can say what to do about it.
pub trait Hint: Error {
    /// The advice, in one sentence or several, without a full stop at its end; `None` if there is none.
    ///
    /// An error that stands for another ([`Error::source`] passes over it) gives that one's advice; one that has it as its
    /// source does not.
    fn hint(&self) -> Option<Cow<'_, str>>;
}

/// An error with its advice below: `message\nhint: advice`. For logs and tests.
#[must_use]
pub fn explained(error: &(impl Hint + ?Sized)) -> String {
    with_hint(&error.to_string(), error.hint())
}

/// A message with its advice below, as [`explained`] has it.
#[must_use]
pub fn with_hint(message: &str, hint: Option<impl fmt::Display>) -> String {
    match hint {
        Some(hint) => format!("{message}\nhint: {hint}"),
        None => message.to_owned(),
    }
}

/// The advice of an error of this type, boxed or not; `None` for one of another type.
///
/// ```
/// use trm_intake::{file::FileError, hint_as};
///
/// let full = FileError::io("write", "a.png")(std::io::ErrorKind::StorageFull.into());
/// assert_eq!(hint_as::<FileError>(&full).as_deref(), Some("free some space and try again"));
/// ```
#[must_use]
pub fn hint_as<'e, E: Hint + 'static>(error: &'e (dyn Error + 'static)) -> Option<Cow<'e, str>> {
    let boxed = || error.downcast_ref::<Box<E>>().map(|error| &**error);
    error.downcast_ref::<E>().or_else(boxed)?.hint()
}

/// A fault that a reader found, with advice where there is some. It prints the fault alone.
///
/// ```
/// use trm_intake::Fault;
///
/// let fault = Fault::from("the maze has no start").advise("mark one free cell with S");
/// assert_eq!(fault.to_string(), "the maze has no start");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The fault, and the expectation.
    pub what: String,
    /// The advice.
    pub hint: Option<String>,
}

impl Fault {
    /// Takes over an error's words and advice.
    #[must_use]
    pub fn of(error: &(impl Hint + ?Sized)) -> Self {
        Self { what: error.to_string(), hint: error.hint().map(Cow::into_owned) }
    }

    /// Adds the advice.
    #[must_use]
    pub fn advise(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Hint for Fault {
    fn hint(&self) -> Option<Cow<'_, str>> {
        self.hint.as_deref().map(Cow::from)
    }
}

impl Error for Fault {}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self { what, hint: None }
    }
}

impl From<&str> for Fault {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::FileError;

    fn full() -> FileError {
        FileError::io("write", "a")(std::io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn the_advice_stands_below_and_only_there() {
        assert_eq!(full().to_string(), "cannot write a");
        assert_eq!(explained(&full()), "cannot write a\nhint: free some space and try again");
        let missing = FileError::io("read", "a")(std::io::ErrorKind::NotFound.into());
        assert_eq!(explained(&missing), "cannot read a");
    }

    #[test]
    fn a_type_is_known_in_its_box_too() {
        let boxed: Box<FileError> = Box::new(full());
        assert_eq!(hint_as::<FileError>(&boxed).as_deref(), Some("free some space and try again"));
        assert_eq!(hint_as::<FileError>(&std::io::Error::other("full")), None);
    }
}
