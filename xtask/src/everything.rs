//! The whole workspace, as every check builds it.

use std::path::PathBuf;

use anyhow::Result;

use crate::{process, workspace};

/// The options of every build: the whole workspace with what is off by default. One set of features for all checks,
/// since another one builds what is common again, which is minutes.
pub(crate) const EVERYTHING: [&str; 4] = ["--workspace", "--release", "--features", "trm-firmware-host/ros2"];

/// A program of the workspace, built as the other checks build it.
pub(crate) fn built_program(name: &str) -> Result<PathBuf> {
    process::run(process::cargo(&["build", "--bins"]).args(EVERYTHING))?;
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(workspace::cargo_target()?.join("release").join(file))
}

/// An example of the workspace, built likewise.
pub(crate) fn built_example(name: &str) -> Result<PathBuf> {
    process::run(process::cargo(&["build", "--example", name]).args(EVERYTHING))?;
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(workspace::cargo_target()?.join("release/examples").join(file))
}
