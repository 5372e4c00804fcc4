//! `trm-host`: connects the solver to the world.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 ran but the answer failed, 2 bad usage or
//! input, 3 engine or device failure.

mod digits;
mod display;
mod read;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use trm_firmware_host::HostError;

/// Camera to grid, display, microcontroller.
#[derive(Debug, Parser)]
#[command(name = "trm-host", version, max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the puzzle in photographs, and solve it
    Read(read::Args),
    /// Train and measure the digit reader
    Digits(digits::Args),
    /// Show any screen of the kiosk as a PNG file or on a framebuffer, without the rest of it
    Display(display::Args),
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let result = match command {
        Command::Read(args) => read::run(&args),
        Command::Digits(args) => digits::run(&args).map(|()| true),
        Command::Display(args) => display::run(&args).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            let device = matches!(error.downcast_ref(), Some(HostError::Io { .. }));
            ExitCode::from(if device { 3 } else { 2 })
        }
    }
}
