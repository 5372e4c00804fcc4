//! The benches, with the packages and libraries that they need.

use anyhow::Result;

use crate::python::{self, Environment};
use crate::{ort, process};

/// The benches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our engines against PyTorch, full-size steps.
    Steps,
    /// The shipped models against the reference's way of evaluating them.
    Puzzles,
    /// Our training against PyTorch's.
    Train,
    /// The criterion benches.
    Micro,
}

impl Kind {
    /// The bench that an option names.
    pub(crate) fn of_option(option: &str) -> Option<Self> {
        match option {
            "--puzzles" => Some(Self::Puzzles),
            "--train" => Some(Self::Train),
            "--micro" => Some(Self::Micro),
            _ => None,
        }
    }
}

/// Builds tract with threads within a row, which `trm` has off.
const TRACT_THREADS: &str = "--tract-threads";

/// Runs a bench; `arguments` go to the harness, except [`TRACT_THREADS`], which says how to build it.
pub(crate) fn run(kind: Kind, arguments: &[String]) -> Result<()> {
    let library = ort::fetch()?;
    let program = match kind {
        Kind::Steps => "side_by_side",
        Kind::Puzzles => "puzzles_side_by_side",
        Kind::Train => "train_side_by_side",
        Kind::Micro => {
            let mut command = process::cargo(&["bench", "--package", "trm-benches"]);
            return process::run(command.env("ORT_DYLIB_PATH", library));
        }
    };
    let torch = Environment::with(python::BENCH)?;
    let (of_build, arguments): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == TRACT_THREADS);
    let mut command = process::cargo(&["run", "--release", "--package", "trm-benches", "--bin", program]);
    if !of_build.is_empty() {
        command.args(["--features", "trm-cli/matmul-threads"]);
    }
    process::run(command.arg("--").args(arguments).env("ORT_DYLIB_PATH", library).envs(torch.variables()))
}
