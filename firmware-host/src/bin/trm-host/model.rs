//! `trm-host model`: swaps the models of a kiosk.

use std::path::PathBuf;

use clap::Subcommand;
use trm_firmware_host::kiosk::models::ModelStore;
use trm_firmware_host::kiosk::real::self_test;

use crate::Exit;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a bundle's hashes, run its self-test, and make it the active one of its task
    Activate {
        /// The bundle's folder
        bundle: PathBuf,
        /// The kiosk's state folder
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Go back to the bundle that was active before
    RollBack {
        /// The task: sudoku-9x9, maze-9x9
        task: String,
        /// The kiosk's state folder
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Print the active bundles, one a line: task, folder
    List {
        /// The kiosk's state folder
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Activate { bundle, state } => {
            let done = ModelStore::open(state)?.activate(bundle, self_test().as_ref())?;
            let previous = done.previous.as_deref().unwrap_or("the built-in model");
            println!("{}\t{}", done.task, done.bundle);
            eprintln!("{} is active for {}; before it: {previous}", done.bundle, done.task);
        }
        Command::RollBack { task, state } => {
            let previous = ModelStore::open(state)?.roll_back(task)?;
            println!("{task}\t{}", previous.as_deref().unwrap_or("built-in"));
        }
        Command::List { state } => {
            for (task, folder) in ModelStore::open(state)?.active()?.folders {
                println!("{task}\t{}", folder.display());
            }
        }
    }
    Ok(Exit::Done)
}
