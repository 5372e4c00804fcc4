//! The exit codes of the programs.

use std::process::ExitCode;

/// The end of a command that did not fail with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked for was done.
    Done,
    /// It ran, but the answer failed: a puzzle was not solved, numbers were out of tolerance.
    AnswerFailed,
    /// Bad usage or input.
    BadInput,
    /// An engine or a device failed.
    EngineFailed,
    /// Ctrl-C; what was done so far has been printed.
    Interrupted,
}

impl Exit {
    /// The program's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::AnswerFailed => 1,
            Self::BadInput => 2,
            Self::EngineFailed => 3,
            // As shells report a program that SIGINT ended.
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
