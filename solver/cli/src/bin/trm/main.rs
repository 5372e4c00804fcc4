//! `trm`: solve puzzles with recursive models, train, measure and export them, look into them.
//!
//! Results go to stdout, progress and remarks to stderr. Exit codes: 0 done, 1 ran but the answer failed, 2 bad usage
//! or input, 3 engine or device failure, 130 interrupted. Where stdout's reader has gone, the program is silent and ends
//! with the code of what it did.

mod bench;
mod checkpoint;
mod classifier;
mod dataset;
mod doctor;
mod drives;
mod escalation;
mod eval;
mod examples;
mod export;
mod generate;
mod identities;
mod inspect;
mod learn_costs;
mod models;
mod output;
mod parity;
mod plan;
mod quantize;
mod reading;
mod schema;
mod settings;
mod sign;
mod solve;
mod task;
mod text;
mod train;
mod verify;
mod watch;
mod weights;
mod worlds;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use trm_cli::console::Colour;
use trm_cli::{Exit, console, failure, manual};
use trm_engine::ort;

use self::examples::EXAMPLES;

/// Recursive models at work: solve puzzles, measure models, export and inspect them.
#[derive(Debug, Parser)]
#[command(
    name = "trm",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 ran but the answer failed, 2 bad usage or input, 3 engine or device failure, \
                  130 interrupted"
)]
struct Cli {
    /// Say on stderr what is loaded, on which engine and why
    #[arg(long, short, global = true)]
    verbose: bool,
    /// Print results and errors only: no remarks, no progress
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// When results are coloured
    #[arg(long, value_enum, global = true, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Solve sudokus, mazes, ARC grids and sequences of tokens, and verify what has rules
    Solve(solve::Args),
    /// Plan a robot's path on a map, and check it
    Plan(Box<plan::Args>),
    /// Make drives out of recordings of where a robot was
    Drives(drives::Args),
    /// Measure a model: exact and valid answers, steps, speed
    Eval(eval::Args),
    /// Train a model from nothing, or fine-tune one, on this machine
    Train(Box<train::Args>),
    /// Print fresh puzzles with their answers
    Generate(generate::Args),
    /// Make up worlds and drives, to learn costs from
    Worlds(worlds::Args),
    /// Write a data set of the public training code: ARC tasks with their copies, sudokus, mazes
    Dataset(Box<dataset::Args>),
    /// Show the forms of text and files that puzzles are read from
    Formats(reading::Args),
    /// Turn a trained checkpoint into a bundle that every engine runs
    Export(Box<export::Args>),
    /// Turn a bundle into one of smaller precision, if it holds
    Quantize(quantize::Args),
    /// Say what a bundle, a checkpoint or an .onnx file is
    Inspect(inspect::Args),
    /// Sign a bundle, so that others can tell who made it
    Sign(sign::Args),
    /// Verify a bundle: who signed it, and that every file is as it was signed
    Verify(verify::Args),
    /// Compare a model with the numbers that the reference implementation recorded
    Parity(parity::Args),
    /// Measure steps, puzzles and memory on this machine
    Bench(bench::Args),
    /// Show engines, providers, models and whether they work on this machine
    Doctor(doctor::Args),
    /// List the shipped models, and the puzzles that each takes
    Models(models::Args),
    /// Print the JSON Schema of what a command prints for programs
    Schema(schema::Args),
    /// Print completions for a shell: bash, elvish, fish, powershell or zsh
    ///
    /// For bash: `trm completions bash > ~/.local/share/bash-completion/completions/trm`.
    Completions {
        /// The shell
        shell: manual::Shell,
    },
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
    let Cli { verbose, quiet, color, command } =
        match console::parse_arguments_of(manual::with_examples(Cli::command(), EXAMPLES)) {
            Ok(arguments) => arguments,
            Err(code) => return code,
        };
    if quiet {
        console::be_quiet();
    }
    console::set_colour(color);
    let result = match command {
        Command::Solve(args) => solve::run(&args, verbose),
        Command::Plan(args) => plan::run(&args, verbose),
        Command::Drives(args) => drives::run(&args),
        Command::Eval(args) => eval::run(&args, verbose),
        Command::Train(args) => train::run(&args, verbose),
        Command::Generate(args) => generate::run(&args),
        Command::Worlds(args) => worlds::run(&args),
        Command::Dataset(args) => dataset::run(&args),
        Command::Formats(args) => reading::run(&args),
        Command::Export(args) => export::run(&args, verbose),
        Command::Quantize(args) => quantize::run(&args),
        Command::Inspect(args) => inspect::run(&args, verbose),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Parity(args) => parity::run(&args, verbose),
        Command::Bench(args) => bench::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions { shell } => {
            manual::complete(Cli::command(), shell, &mut console::stdout()).map(|()| Exit::Done).map_err(Into::into)
        }
        Command::Manual { folder } => {
            manual::write(Cli::command(), EXAMPLES, &folder).map(|()| Exit::Done).map_err(Into::into)
        }
    };
    match result.and_then(|exit| console::flush().map(|()| exit).map_err(Into::into)) {
        Ok(exit) => exit.into(),
        Err(error) => failure::report(&error).into(),
    }
}
