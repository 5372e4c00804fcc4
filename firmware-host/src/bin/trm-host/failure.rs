//! Errors that end the program: what is printed, and which exit code follows.

use std::error::Error;

use trm_cli::{Exit, errln, failure, option_of};
use trm_firmware_host::{HostError, hint_of};
use trm_link::LinkError;

/// Prints an error with its causes to stderr, hints last, and tells the exit code.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    print(error);
    let is = |judge: fn(&HostError) -> bool| error.chain().any(|cause| cause.downcast_ref().is_some_and(judge));
    let of_link = |judge: fn(&LinkError) -> bool| error.chain().any(|cause| cause.downcast_ref().is_some_and(judge));
    let failed = |error: &LinkError| matches!(error, LinkError::Trial { .. });
    if of_link(failed) || is(|error| matches!(error, HostError::Link(LinkError::Trial { .. }))) {
        Exit::AnswerFailed
    } else if is(HostError::is_device_failure)
        || of_link(LinkError::is_device_failure)
        || failure::is_engine_failure(error)
    {
        Exit::EngineFailed
    } else {
        Exit::BadInput
    }
}

/// Prints an error with its causes to stderr, hints last.
pub(crate) fn print(error: &anyhow::Error) {
    errln!("error: {}", failure::message_with(error, host_option_of, hint_of));
}

/// The option that sets what an error is about.
fn host_option_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match error.downcast_ref() {
        Some(HostError::Engine(error)) => option_of(error),
        Some(HostError::Plan(error)) => option_of(error),
        Some(HostError::Solver(error)) => option_of(error.as_ref()),
        Some(HostError::Train(error)) => option_of(error.as_ref()),
        _ => option_of(error),
    }
}
