//! The end of a command that was not confirmed.

use std::borrow::Cow;

use trm_intake::Hint;
use trm_protocol::Refusal;

/// The reason why a command is not known to have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The device did not carry it out and will not.
    #[error("the device refused the command: {0}")]
    Refused(Refusal),
    /// Not confirmed in time.
    #[error("the command was not confirmed in time, {}", if *sent { "it may have taken effect" } else { "it was never sent" })]
    Deadline {
        /// `true` if it was sent at least once.
        sent: bool,
    },
    /// Sent again and again without an answer.
    #[error("the command was sent {tries} times without an answer, it may have taken effect")]
    Retries {
        /// Times that it was sent.
        tries: u32,
    },
    /// The device restarted while the command was on its way.
    #[error("the device restarted while the command was on its way, it may have taken effect")]
    Restarted,
    /// The client was closed first.
    #[error("the link was closed before the command was confirmed")]
    Closed,
    /// Too many others wait to be sent.
    #[error("the line does not keep up: too many commands wait for it")]
    Busy,
    /// More pixels than a frame can hold.
    #[error("the command does not fit into a frame")]
    TooLong,
}

impl Hint for CommandError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::TooLong => Some("give pixels to a `Panel`, which divides them".into()),
            _ => None,
        }
    }
}
