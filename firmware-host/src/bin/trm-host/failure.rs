//! How an error ends the program: what is printed, and which exit code follows.

use std::process::ExitCode;

use trm_firmware_host::{HostError, shown};
use trm_solver::errln;

/// Prints an error with its causes to stderr, hints last, and tells the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    print(error);
    if let Some(HostError::Trial { .. }) = error.downcast_ref() {
        return ExitCode::from(1);
    }
    let device = error.chain().any(|cause| cause.downcast_ref().is_some_and(HostError::is_device_failure));
    ExitCode::from(if device { 3 } else { 2 })
}

/// Prints an error with its causes to stderr, hints last.
pub(crate) fn print(error: &anyhow::Error) {
    errln!("error: {}", shown::lines(&message(error)));
}

/// The error and its causes, then the hints. A cause that was said already is left out.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        let (said, hint) =
            cause.split_once("\nhint: ").map_or((cause.as_str(), None), |(said, hint)| (said, Some(hint)));
        if !text.contains(said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(said);
        }
        hints.extend(hint.map(str::to_owned).filter(|hint| !hints.contains(hint)));
    }
    for hint in hints {
        text.push_str("\nhint: ");
        text.push_str(&hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_and_hints_stay_last() {
        let error = anyhow::anyhow!("no space").context("cannot write x\nhint: make room").context("kiosk");
        assert_eq!(message(&error), "kiosk: cannot write x: no space\nhint: make room");
    }
}
