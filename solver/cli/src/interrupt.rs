//! Ctrl-C, SIGTERM and SIGHUP as a request: the command finishes its step, saves or prints what it has and ends. Commands
//! that have nothing to save or print bit by bit do not listen, and end at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::errln;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static SAVED: AtomicBool = AtomicBool::new(false);
/// Nothing was printed yet.
static PREPARING: AtomicBool = AtomicBool::new(false);

/// As shells report a program that SIGINT ended.
const INTERRUPTED: i32 = 130;
/// The time to wait for what is only printed.
const BRIEFLY: Duration = Duration::from_millis(1_700);

/// From now on the first signal only sets the flag that [`requested`] reads; a second one ends the process. For work that
/// is saved when its step is done.
///
/// # Errors
///
/// Another handler of signals is there already, or the system refuses one.
pub fn listen() -> anyhow::Result<()> {
    handle(|| {})
}

/// As [`listen`], but a process that has not ended soon after the first signal is ended. For work of which there is only
/// something to print.
///
/// # Errors
///
/// As [`listen`].
pub fn listen_briefly() -> anyhow::Result<()> {
    handle(|| {
        // The handler itself waits for the second signal.
        thread::spawn(|| {
            thread::sleep(BRIEFLY);
            std::process::exit(INTERRUPTED);
        });
    })
}

/// As [`listen_briefly`], from before there is anything to print: until [`prepared`] the first signal ends the process.
///
/// # Errors
///
/// As [`listen`].
pub fn listen_while_preparing() -> anyhow::Result<()> {
    PREPARING.store(true, Ordering::Relaxed);
    listen_briefly()
}

/// As [`listen`], from before there is anything to save: until [`prepared`] the first signal ends the process.
///
/// # Errors
///
/// As [`listen`].
pub fn listen_to_save() -> anyhow::Result<()> {
    PREPARING.store(true, Ordering::Relaxed);
    listen()
}

/// From now on results are printed.
pub fn prepared() {
    PREPARING.store(false, Ordering::Relaxed);
}

fn handle(first: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if SAVED.load(Ordering::Relaxed) {
            errln!("interrupted: the run is saved, --resume goes on from here");
            std::process::exit(INTERRUPTED);
        }
        if PREPARING.load(Ordering::Relaxed) || REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
        first();
    })
    .context("cannot listen for signals")
}

/// Everything is saved: the next signal ends the process. Tells whether there was one already.
pub fn saved() -> bool {
    SAVED.store(true, Ordering::Relaxed);
    requested()
}

/// True if the command was asked to end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
