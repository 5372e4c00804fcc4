//! SIGTERM, SIGINT and SIGHUP as a request: the command finishes what it is doing, and ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;

/// Whatever a program hangs at, it ends this long after the signal.
pub(crate) const LAST_WAIT: Duration = Duration::from_millis(1_700);

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Calls `work` on a thread of its own when the program is asked to end. It is called once for each signal, one after the
/// other.
pub(crate) fn on_signal(work: impl FnMut() + Send + 'static) -> anyhow::Result<()> {
    ctrlc::set_handler(work).context("cannot listen for signals")
}

/// From now on a signal sets the flag that is returned. A program that has not ended soon after it is ended.
pub(crate) fn listen() -> anyhow::Result<&'static AtomicBool> {
    on_signal(move || {
        REQUESTED.store(true, Ordering::Relaxed);
        std::thread::sleep(LAST_WAIT);
        // As shells report a program that SIGINT ended.
        std::process::exit(130);
    })?;
    Ok(&REQUESTED)
}
