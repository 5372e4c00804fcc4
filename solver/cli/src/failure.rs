//! The end of a program by an error: the message that is printed, and the exit code that follows.

use std::borrow::Cow;
use std::error::Error;

use trm_engine::EngineError;
use trm_intake::Escaped;
use trm_solver::SolverError;
use trm_train::TrainError;

use crate::{Exit, console, hint_of, option_of};

/// Prints an error to stderr and tells the exit code.
#[must_use]
pub fn report(error: &anyhow::Error) -> Exit {
    console::complain(format_args!("error: {}", message(error)));
    if is_engine_failure(error) { Exit::EngineFailed } else { Exit::BadInput }
}

/// True for a failure of an engine or a device, false for bad input.
#[must_use]
pub fn is_engine_failure(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(EngineError::is_engine_failure)
            || cause.downcast_ref().is_some_and(SolverError::is_engine_failure)
            || cause.downcast_ref().is_some_and(TrainError::is_engine_failure)
    })
}

/// One line with the error and its causes, then the hints. A cause that the line already says is left out.
#[must_use]
pub fn message(error: &anyhow::Error) -> String {
    message_with(error, option_of, hint_of)
}

/// As [`message`]; `option_of` names the option that sets what a cause is about, `hint_of` has its advice.
#[must_use]
pub fn message_with(
    error: &anyhow::Error,
    option_of: impl Fn(&(dyn Error + 'static)) -> Option<&'static str>,
    hint_of: impl for<'e> Fn(&'e (dyn Error + 'static)) -> Option<Cow<'e, str>>,
) -> String {
    let mut line = String::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = match option_of(cause) {
            Some(option) => format!("{option}: {cause}"),
            None => cause.to_string(),
        };
        // What the programs say themselves has its advice behind it.
        let (said, own) = match text.split_once("\nhint: ") {
            Some((said, hint)) => (one_line(said), Some(one_line(hint))),
            None => (one_line(&text), None),
        };
        if !line.contains(&said) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&said);
        }
        for hint in own.into_iter().chain(hint_of(cause).map(|hint| one_line(&hint))) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
    }
    for hint in hints {
        line.push_str("\nhint: ");
        line.push_str(&hint);
    }
    line
}

/// The text on one line, without anything that a terminal would obey: messages repeat file names, keys and other text from
/// outside. It is cut where it is longer than anybody reads: parsers quote what they were given.
fn one_line(text: &str) -> String {
    const MOST: usize = 2_000;
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(MOST + 1));
        if let Some((end, _)) = line.char_indices().nth(MOST) {
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    Escaped(&line).to_string()
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_follow_in_one_line_and_hints_stay_last() {
        let error = Err::<(), _>(io::Error::other("disk\nis full\nhint: delete something"))
            .context("cannot write a.png\nhint: choose another folder")
            .expect_err("an error");
        assert_eq!(
            message(&error),
            "cannot write a.png: disk is full\nhint: choose another folder\nhint: delete something"
        );
    }

    #[test]
    fn the_hints_of_libraries_follow_those_of_the_program() {
        let engine = EngineError::UnknownProvider { name: "npu".to_owned() };
        let error = anyhow::Error::from(SolverError::from(engine)).context("cannot start\nhint: try again");
        assert_eq!(
            message(&error),
            "cannot start: --provider: unknown execution provider `npu`\nhint: try again\n\
             hint: one of auto, cpu, cuda and tensorrt"
        );
    }

    #[test]
    fn no_terminal_obeys_a_message() {
        let error = anyhow::anyhow!("cannot read \u{1b}]0;x\u{7}\u{202e}.pt\nhint: \u{9b}2J {}", "y".repeat(1000));
        let message = message(&error);
        let (said, hint) = message.split_once("\nhint: ").expect("a hint");
        assert_eq!(said, "cannot read \\u{1b}]0;x\\u{7}\\u{202e}.pt");
        assert!(hint.starts_with("\\u{9b}2J yyy") && hint.ends_with(&"y".repeat(900)), "{hint}");
    }

    #[test]
    fn a_cause_is_not_repeated() {
        let error =
            Err::<(), _>(io::Error::other("no such file")).context("a.txt: no such file").expect_err("an error");
        assert_eq!(message(&error), "a.txt: no such file");
    }

    #[test]
    fn what_is_too_long_to_read_is_cut() {
        let error = anyhow::anyhow!("{}\nhint: {}", "é".repeat(5_000), "ab ".repeat(2_000));
        let message = message(&error);
        assert_eq!(message.chars().count(), 2_001 + "\nhint: ".len() + 2_001, "{message}");
    }

    #[test]
    fn engine_failures_are_told_from_bad_input() {
        let engine = EngineError::Failed { engine: "ort", action: "run".to_owned(), source: "out of memory".into() };
        assert_eq!(report(&anyhow::Error::from(engine).context("puzzle 3")), Exit::EngineFailed);
        assert_eq!(report(&anyhow::anyhow!("no such puzzle")), Exit::BadInput);
    }
}
