//! `trm-host model`: swaps the models of a kiosk.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Subcommand;
use trm_cli::{Exit, errln, outln};
use trm_firmware_host::kiosk::models::ModelStore;
use trm_firmware_host::kiosk::real::self_test;
use trm_firmware_host::kiosk::tester;
use trm_models::TrustedKey;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a bundle's hashes and signature, run its self-test, and make it the active one of its task
    Activate {
        /// The bundle's folder
        bundle: PathBuf,
        /// The kiosk's state folder
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// A public key: activate only what was signed with it; the key itself (RW…), or its .pub file; may be repeated
        #[arg(long, value_name = "KEY")]
        trust: Vec<String>,
    },
    /// Go back to the bundle that was active before
    RollBack {
        /// The task: sudoku-9x9, maze-9x9
        task: String,
        /// The kiosk's state folder
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Test a bundle in this process, which is given limits first: what a kiosk starts
    #[command(hide = true)]
    SelfTest {
        /// The bundle's folder
        bundle: PathBuf,
        /// Bytes of address space
        memory: u64,
        /// Seconds
        seconds: u64,
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
        Command::Activate { bundle, state, trust } => {
            let trust = trust.iter().map(|key| TrustedKey::given(key)).collect::<Result<Vec<_>, _>>()?;
            let never = AtomicBool::new(false);
            let done = ModelStore::open(state)?.activate(bundle, self_test(trust).as_ref(), &never)?;
            let previous = done.previous.as_deref().unwrap_or("the built-in model");
            outln!("{}\t{}", done.task, done.bundle)?;
            errln!("{} is active for {}; before it: {previous}", done.bundle, done.task);
        }
        Command::SelfTest { bundle, memory, seconds } => {
            if let Err(reason) = tester::test_here(bundle, *memory, *seconds) {
                outln!("{reason}")?;
                return Ok(Exit::AnswerFailed);
            }
        }
        Command::RollBack { task, state } => {
            let previous = ModelStore::open(state)?.roll_back(task)?;
            outln!("{task}\t{}", previous.as_deref().unwrap_or("built-in"))?;
        }
        Command::List { state } => {
            for (task, folder) in ModelStore::open(state)?.active()?.folders {
                outln!("{task}\t{}", folder.display())?;
            }
        }
    }
    Ok(Exit::Done)
}
