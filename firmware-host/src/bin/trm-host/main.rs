//! `trm-host`: connects the solver to camera, display, microcontroller and robot.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 ran but the answer failed, 2 bad usage or
//! input, 3 engine or device failure. Where stdout's reader has gone, the program is silent and ends with the code of what
//! it did.

mod digits;
mod display;
mod drive;
mod examples;
mod failure;
mod interrupt;
mod kiosk;
mod link;
mod model;
mod port;
mod read;
#[cfg(feature = "ros2")]
mod ros2;
mod simulate;
#[cfg(any(test, not(feature = "ros2")))]
mod without_ros2;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use trm_cli::{Exit, console, manual};
use trm_engine::ort;

use self::examples::EXAMPLES;
#[cfg(not(feature = "ros2"))]
use self::without_ros2 as ros2;

/// The solver in the world: camera to grid to answer, on a display and at a microcontroller.
#[derive(Debug, Parser)]
#[command(
    name = "trm-host",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 ran but the answer failed, 2 bad usage or input, 3 engine or device failure"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the unattended appliance
    Kiosk(kiosk::Args),
    /// Swap the models of a kiosk, running or not
    Model(model::Args),
    /// Read the puzzle in photographs, and solve it
    Read(read::Args),
    /// Train and measure the digit reader
    Digits(digits::Args),
    /// Show any screen of the kiosk as a PNG file or on a framebuffer, without the rest of it
    Display(display::Args),
    /// Say hello to a microcontroller, or measure the link to it
    Link(link::Args),
    /// Drive a planned path with a robot behind a microcontroller
    Drive(drive::Args),
    /// Plan on a robot's map: a node of ROS 2
    #[cfg_attr(not(feature = "ros2"), command(hide = true))]
    Ros2(ros2::Args),
    /// Be a microcontroller, on a pseudo-terminal
    Simulate(simulate::Args),
    /// Write man pages and shell completions, for packages
    #[command(hide = true)]
    Manual {
        /// Folder to write them into
        folder: std::path::PathBuf,
    },
}

fn main() -> ExitCode {
    // This program as another process of itself, which opens ONNX Runtime's library and says how that went.
    if let Some(code) = ort::answer_probe() {
        return code;
    }
    let Cli { command } = match console::parse_arguments_of(manual::with_examples(Cli::command(), EXAMPLES)) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let result = match command {
        Command::Kiosk(args) => kiosk::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Read(args) => read::run(&args),
        Command::Digits(args) => digits::run(&args).map(|()| Exit::Done),
        Command::Display(args) => display::run(&args).map(|()| Exit::Done),
        Command::Link(args) => link::run(&args).map(|()| Exit::Done),
        Command::Drive(args) => drive::run(&args),
        Command::Ros2(args) => ros2::run(&args).map(|()| Exit::Done),
        Command::Simulate(args) => simulate::run(&args).map(|()| Exit::Done),
        Command::Manual { folder } => {
            manual::write(Cli::command(), EXAMPLES, &folder).map(|()| Exit::Done).map_err(Into::into)
        }
    };
    match result.and_then(|exit| console::flush().map(|()| exit).map_err(Into::into)) {
        Ok(exit) => exit.into(),
        Err(error) => failure::report(&error).into(),
    }
}
