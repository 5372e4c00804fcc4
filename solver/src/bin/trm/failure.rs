//! How an error ends the program: what is printed, and which exit code follows.

use std::io;

use trm_solver::SolverError;

use crate::Exit;

/// Prints an error to stderr and tells the exit code. A closed stdout (`trm solve … | head -1`) is no error.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    if error.chain().any(is_broken_pipe) {
        return Exit::Done;
    }
    eprintln!("error: {}", message(error));
    let engine_failed = error.chain().any(|cause| cause.downcast_ref().is_some_and(SolverError::is_engine_failure));
    if engine_failed { Exit::EngineFailed } else { Exit::BadInput }
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// One line with the error and its causes, then the hints. A cause that the line already says is left out.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut line = String::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (said, hint) = match text.split_once("\nhint: ") {
            Some((said, hint)) => (one_line(said), Some(one_line(hint))),
            None => (one_line(&text), None),
        };
        if !line.contains(&said) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&said);
        }
        hints.extend(hint.filter(|hint| !hints.contains(hint)));
    }
    for hint in hints {
        line.push_str("\nhint: ");
        line.push_str(&hint);
    }
    line
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
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
    fn a_cause_is_not_repeated() {
        let error =
            Err::<(), _>(io::Error::other("no such file")).context("a.txt: no such file").expect_err("an error");
        assert_eq!(message(&error), "a.txt: no such file");
    }

    #[test]
    fn engine_failures_are_told_from_bad_input() {
        let engine = SolverError::Engine { engine: "ort", action: "run".to_owned(), source: "out of memory".into() };
        assert_eq!(report(&anyhow::Error::from(engine).context("puzzle 3")), Exit::EngineFailed);
        assert_eq!(report(&anyhow::anyhow!("no such puzzle")), Exit::BadInput);
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(report(&anyhow::Error::from(closed).context("cannot write")), Exit::Done);
    }
}
