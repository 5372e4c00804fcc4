//! Readiness and watchdog of systemd (`Type=notify`, `WatchdogSec=`), through `NOTIFY_SOCKET`. Without systemd, nothing
//! happens.
//!
//! The watchdog is fed by [`Supervisor::heartbeat`] alone, which the loop calls after a turn that went from end to end: it
//! took a frame, and the microcontroller has answered if there is one. A loop that turns without frames, or a camera
//! that hangs, gets the kiosk restarted.

use std::time::{Duration, Instant};

use crate::{HostError, Result};

/// Messages to systemd: the kiosk is ready, alive or about to end.
#[derive(Debug)]
pub struct Supervisor {
    ready: bool,
    fed: Option<Instant>,
    /// Half of systemd's limit, as `sd_watchdog_enabled(3)` advises; `None` without a watchdog.
    interval: Option<Duration>,
}

impl Supervisor {
    /// Takes the settings that systemd gave in the environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self { ready: false, fed: None, interval: watchdog_limit().map(|limit| limit / 2) }
    }

    /// A turn of the loop went from end to end. The first time systemd hears that the kiosk is ready, later, at most
    /// twice in the watchdog's limit, that it lives.
    ///
    /// # Errors
    /// [`HostError::Notify`] when the socket does not take it.
    pub fn heartbeat(&mut self) -> Result<()> {
        if !self.ready {
            notify("READY=1")?;
            self.ready = true;
        }
        let Some(interval) = self.interval else { return Ok(()) };
        if self.fed.is_none_or(|fed| fed.elapsed() >= interval) {
            notify("WATCHDOG=1")?;
            self.fed = Some(Instant::now());
        }
        Ok(())
    }

    /// The watchdog's limit; `None` without one.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.interval.map(|half| half * 2)
    }

    /// Tells systemd that the kiosk ends as it was asked to.
    ///
    /// # Errors
    /// [`HostError::Notify`] when the socket does not take it.
    pub fn stopping(&self) -> Result<()> {
        notify("STOPPING=1")
    }
}

#[cfg(unix)]
fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

#[cfg(unix)]
fn notify(message: &'static str) -> Result<()> {
    sd_notify::notify(&[sd_notify::NotifyState::Custom(message)])
        .map_err(|source| HostError::Notify { message, source })
}

#[cfg(not(unix))]
fn watchdog_limit() -> Option<Duration> {
    None
}

#[cfg(not(unix))]
fn notify(_: &'static str) -> Result<()> {
    Ok(())
}
