//! `trm-host`: connects the solver to the world.
//!
//! Results go to stdout, progress and remarks to stderr. Exit codes: 0 done, 1 ran but the answer failed, 2 bad usage
//! or input, 3 device failure.

mod link;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use trm_firmware_host::HostError;

/// Camera to grid to answer to display and microcontroller.
#[derive(Debug, Parser)]
#[command(
    name = "trm-host",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 ran but the answer failed, 2 bad usage or input, 3 device failure"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say hello to a microcontroller, or measure the link to it
    Link(link::Args),
    /// Be a microcontroller, on a pseudo-terminal
    Simulate(simulate::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Link(args) => link::run(&args),
        Command::Simulate(args) => simulate::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// Prints an error and its causes to stderr and tells the exit code. A closed stdout is no error.
fn report(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    // The first line with its causes, then the hints.
    let texts: Vec<_> = error.chain().map(ToString::to_string).collect();
    let (said, hints): (Vec<_>, Vec<_>) = texts.iter().map(|text| text.split_once('\n').unwrap_or((text, ""))).unzip();
    eprintln!("error: {}", said.join(": "));
    hints.iter().filter(|hint| !hint.is_empty()).for_each(|hint| eprintln!("{hint}"));
    match error.downcast_ref::<HostError>() {
        Some(HostError::Trial { .. }) => ExitCode::from(1),
        Some(error) if error.is_device_failure() => ExitCode::from(3),
        _ => ExitCode::from(2),
    }
}
