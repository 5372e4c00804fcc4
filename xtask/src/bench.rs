//! The benches with what they need around them.

use anyhow::Result;

use crate::python::{self, Environment};
use crate::{ort, process};

/// Our engines against PyTorch, full size, in one run; `arguments` go to the harness.
pub(crate) fn side_by_side(arguments: &[String]) -> Result<()> {
    harness("side_by_side", arguments)
}

/// Our training against PyTorch's, in one run; `arguments` go to the harness.
pub(crate) fn train(arguments: &[String]) -> Result<()> {
    harness("train_side_by_side", arguments)
}

fn harness(program: &str, arguments: &[String]) -> Result<()> {
    let library = ort::fetch()?;
    let torch = Environment::with(python::BENCH)?;
    process::run(
        process::cargo(&["run", "--release", "--package", "trm-benches", "--bin", program, "--"])
            .args(arguments)
            .env("ORT_DYLIB_PATH", library)
            .envs(torch.variables()),
    )
}

/// The criterion benches.
pub(crate) fn micro() -> Result<()> {
    let library = ort::fetch()?;
    process::run(process::cargo(&["bench", "--package", "trm-benches"]).env("ORT_DYLIB_PATH", library))
}
