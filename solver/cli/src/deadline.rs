//! Ends the program when an engine does not come back: a graph may never end, and a call into an engine cannot be
//! interrupted.

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{process, thread};

use trm_engine::{ActOutput, ActStep, Carry, Result, SessionInfo, StepSession};
use trm_models::TrmConfig;

use crate::{Exit, errln};

/// The shortest and longest time between looks at the clock.
const LOOK: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// The longest time that the program may take to leave, once it was decided to.
const LEAVING: Duration = Duration::from_secs(2);

/// The longest time that a call of an engine may take: seconds, or `none`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeLimit(Option<Duration>);

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let limit = seconds.ok_or("expected a number of seconds, 0 or `none` for no limit")?;
        Ok(Self((!limit.is_zero()).then_some(limit)))
    }
}

/// The call that is waited for.
struct Waiting {
    since: Instant,
    /// The model, its engine and what that does not do.
    what: String,
}

/// The call in which the program is, if it is watched.
static CALL: Mutex<Option<Waiting>> = Mutex::new(None);
/// The limit, from [`start`] on.
static LIMIT: Mutex<Option<Duration>> = Mutex::new(None);

fn call() -> MutexGuard<'static, Option<Waiting>> {
    CALL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn limit() -> Option<Duration> {
    *LIMIT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, a [`Call`] that takes longer ends the program with exit code 3.
pub fn start(TimeLimit(limit): TimeLimit) {
    *LIMIT.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    let Some(limit) = limit else { return };
    thread::spawn(move || {
        loop {
            thread::sleep((limit / 8).clamp(LOOK[0], LOOK[1]));
            // Held to the end: whoever comes back now waits here, and begins no line that would not be finished.
            let call = call();
            if let Some(Waiting { what, .. }) = call.as_ref().filter(|call| call.since.elapsed() >= limit) {
                errln!(
                    "error: {what} within {} s\nhint: --time-limit gives it longer; a graph that never ends is the model's fault",
                    limit.as_secs_f64()
                );
                // Leaving runs what libraries do at the end, which may wait for the call that never ends.
                thread::spawn(|| {
                    thread::sleep(LEAVING);
                    process::abort();
                });
                process::exit(Exit::EngineFailed.code().into());
            }
        }
    });
}

/// A call of an engine, until it is dropped. Calls follow each other, none is within another.
pub struct Call(());

impl Call {
    /// Begins to wait. `what` is said if that takes too long: the model, its engine and what that did not do.
    pub fn begin(what: impl FnOnce() -> String) -> Self {
        if limit().is_some() {
            *call() = Some(Waiting { since: Instant::now(), what: what() });
        }
        Self(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        *call() = None;
    }
}

/// A session whose steps are waited for no longer than the limit, if there is one.
#[must_use]
pub fn watch(model: &str, session: Box<dyn StepSession>) -> Box<dyn StepSession> {
    match limit() {
        Some(_) => Box::new(Watched { model: model.to_owned(), session }),
        None => session,
    }
}

struct Watched {
    model: String,
    session: Box<dyn StepSession>,
}

impl StepSession for Watched {
    fn info(&self) -> &SessionInfo {
        self.session.info()
    }

    fn config(&self) -> &TrmConfig {
        self.session.config()
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        let SessionInfo { engine, provider, .. } = self.session.info();
        let _call = Call::begin(|| format!("{}: {engine} ({provider}) did not finish a step", self.model));
        self.session.step(input)
    }

    fn carry(&self) -> Result<Carry> {
        self.session.carry()
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        self.session.set_carry(carry)
    }

    fn add_to_carry(&mut self, row: usize, delta: &Carry) -> Result<()> {
        self.session.add_to_carry(row, delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_seconds_or_none() {
        let parse = |text: &str| text.parse::<TimeLimit>();
        assert_eq!(parse("1800"), Ok(TimeLimit(Some(Duration::from_mins(30)))));
        assert_eq!(parse("0.25"), Ok(TimeLimit(Some(Duration::from_millis(250)))));
        for none in ["0", "none", "0.0"] {
            assert_eq!(parse(none), Ok(TimeLimit(None)), "{none}");
        }
        for wrong in ["-1", "nan", "inf", "1e300", "", "5s", "None"] {
            let error = parse(wrong).expect_err(wrong);
            assert_eq!(error, "expected a number of seconds, 0 or `none` for no limit");
        }
    }
}
