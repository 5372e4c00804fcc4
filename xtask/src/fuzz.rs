//! `cargo xtask test fuzz`: every reader gets inputs for some seconds, on the stable compiler.

use std::process::Command;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::everything::built_program;
use crate::process;

/// Arguments of the check beside its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// Seconds for each reader: few, so that every run has them; a change of a reader is given `--seconds 60`.
    seconds: f64,
    seed: u64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { seconds: 3.0, seed: 1 }
    }
}

impl Wanted {
    /// Takes `--seconds` and `--seed`.
    pub(crate) fn take(&mut self, option: &str, parser: &mut lexopt::Parser) -> Result<()> {
        match option {
            "seconds" => self.seconds = parser.value()?.parse()?,
            "seed" => self.seed = parser.value()?.parse()?,
            _ => bail!("invalid option '--{option}'"),
        }
        Ok(())
    }
}

/// Builds the driver and runs it; a reader that panics, hangs or takes too much memory is an error.
pub(crate) fn run(wanted: &Wanted) -> Result<()> {
    let mut command = Command::new(built_program("fuzz-smoke")?);
    command.args(["--seconds", &wanted.seconds.to_string(), "--seed", &wanted.seed.to_string()]);
    process::run(&mut command)
}
