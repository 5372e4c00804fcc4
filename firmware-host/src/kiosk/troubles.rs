//! Present troubles by part and kind: for the log, `/healthz` and whoever asks.
//!
//! A trouble is logged when it begins and when it ends, at most once a minute each; how often it came in between is said
//! with the next time. So neither a part that comes and goes nor names that differ each time fill a log: parts and kinds
//! are few.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use trm_intake::file::FileError;
use trm_intake::{shown, with_causes_as, with_hint};
use trm_link::LinkError;
use trm_models::ModelError;
use trm_pictures::WriteError;

use crate::{HostError, hint_of};

/// The same trouble is not logged again within this time.
const QUIET: Duration = Duration::from_mins(1);
/// Of a part in trouble, what was not reported for this long is over.
const STALE: Duration = Duration::from_mins(1);

/// A trouble as others see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trouble {
    /// The part: `camera`, `state`, `metrics`.
    pub part: &'static str,
    /// The kind of trouble: `full`, `not-found`, `in-use`.
    pub kind: &'static str,
    /// The message in one line, the first of its kind.
    pub message: String,
    /// Seconds that it has lasted.
    pub seconds: u64,
    /// The number of times it was met.
    pub times: u64,
}

/// All troubles, shared by the loop and its side services.
#[derive(Debug, Default)]
pub struct Troubles {
    log: OnceLock<fn(&str)>,
    entries: Mutex<BTreeMap<(&'static str, &'static str), Entry>>,
}

#[derive(Debug)]
struct Entry {
    message: String,
    /// When it began; `None` when it is over.
    since: Option<Instant>,
    /// When it was last met.
    met: Instant,
    times: u64,
    /// When its beginning was last logged.
    logged: Option<Instant>,
    /// Beginnings that were not logged since.
    unsaid: u64,
    /// Its present beginning was logged, so its end is.
    announced: bool,
}

impl Troubles {
    /// Where to log. The first one holds.
    pub fn log_to(&self, log: fn(&str)) {
        // Set already: both are the program's.
        let _ = self.log.set(log);
    }

    /// Writes a line into the log, without what a terminal would obey.
    pub fn say(&self, line: &str) {
        if let Some(log) = self.log.get() {
            log(&shown::line(line));
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<(&'static str, &'static str), Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part is in trouble.
    pub fn report(&self, part: &'static str, kind: &'static str, message: &str) {
        self.begin(part, kind, message, true);
    }

    /// A part is in trouble with this error.
    pub fn report_error(&self, part: &'static str, error: &HostError) {
        let said = |error: &(dyn Error + 'static)| with_hint(&error.to_string(), hint_of(error));
        self.report(part, kind_of(error), &with_causes_as(error, said));
    }

    /// Something was passed over, and the part goes on: logged as a trouble is, but none.
    pub fn remark(&self, part: &'static str, kind: &'static str, message: &str) {
        self.begin(part, kind, message, false);
    }

    fn begin(&self, part: &'static str, kind: &'static str, message: &str, lasts: bool) {
        let now = Instant::now();
        let mut entries = self.entries();
        let entry = entries.entry((part, kind)).or_insert_with(|| Entry {
            message: String::new(),
            since: None,
            met: now,
            times: 0,
            logged: None,
            unsaid: 0,
            announced: false,
        });
        entry.met = now;
        entry.times = entry.times.saturating_add(1);
        if entry.since.is_some() {
            return;
        }
        entry.message = shown::line(message);
        entry.since = lasts.then_some(now);
        entry.announced = entry.logged.is_none_or(|logged| logged.elapsed() >= QUIET);
        if !entry.announced {
            entry.unsaid += 1;
            return;
        }
        let more = match std::mem::take(&mut entry.unsaid) {
            0 => String::new(),
            count => format!(" ({count} times more since it was last said)"),
        };
        entry.logged = Some(now);
        let line = format!("{part}: {}{more}", entry.message);
        drop(entries);
        self.say(&line);
    }

    /// A part works: whatever was wrong with it is over.
    pub fn works(&self, part: &'static str) {
        let mut announced = false;
        for ((of, _), entry) in self.entries().range_mut((part, "")..) {
            if *of != part {
                break;
            }
            announced |= entry.since.take().is_some() && entry.announced;
        }
        if announced {
            self.say(&format!("{part}: works again"));
        }
    }

    /// The present troubles.
    #[must_use]
    pub fn list(&self) -> Vec<Trouble> {
        let entries = self.entries();
        let newest = |part| {
            let of_part = entries.iter().filter(|((of, _), entry)| *of == part && entry.since.is_some());
            of_part.map(|(_, entry)| entry.met).max()
        };
        let present = entries.iter().filter_map(|(&(part, kind), entry)| {
            let since = entry.since?;
            // One kind of trouble may have given way to another.
            (newest(part)? - entry.met < STALE).then(|| Trouble {
                part,
                kind,
                message: entry.message.clone(),
                seconds: since.elapsed().as_secs(),
                times: entry.times,
            })
        });
        present.collect()
    }
}

/// The kind of trouble that an error is.
fn kind_of(error: &HostError) -> &'static str {
    match error {
        HostError::Io { source, .. }
        | HostError::Device { source, .. }
        | HostError::Link(LinkError::Io { source, .. })
        | HostError::File(FileError::Io { source, .. })
        | HostError::Write(WriteError::File(FileError::Io { source, .. }))
        | HostError::Model(ModelError::File(FileError::Io { source, .. })) => kind_of_io(source),
        HostError::Picture { .. } => "not-a-picture",
        HostError::PictureTooLarge { .. } => "picture-too-large",
        HostError::Source { .. } => "source",
        HostError::Solver(_) | HostError::Engine(_) => "solver",
        HostError::Framebuffer { .. } => "framebuffer",
        HostError::Write(_) => "png",
        HostError::Link(LinkError::NoPort { .. } | LinkError::NoUsbPort { .. }) => "no-port",
        HostError::Link(LinkError::PortBusy { .. } | LinkError::PortDenied { .. } | LinkError::Port { .. }) => "port",
        HostError::Link(LinkError::ProtocolVersion { .. }) => "protocol",
        HostError::Link(LinkError::DeviceSilent { .. }) => "silent",
        HostError::Link(LinkError::Command(_)) => "command",
        HostError::Link(LinkError::PanelMismatch { .. }) => "panel",
        HostError::Listen { reason, .. } => kind_of_io(reason),
        HostError::Notify { .. } => "notify",
        HostError::KioskConfig { .. } => "settings",
        HostError::KioskState { .. } => "state",
        HostError::Model(_) | HostError::ModelRefused { .. } => "model",
        _ => "failure",
    }
}

pub(crate) fn kind_of_io(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound | Kind::NotADirectory => "not-found",
        Kind::PermissionDenied => "denied",
        Kind::StorageFull | Kind::QuotaExceeded => "full",
        Kind::ReadOnlyFilesystem => "read-only",
        Kind::AddrInUse => "in-use",
        Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::TimedOut => "unreachable",
        _ => "input-output",
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn troubles() -> Troubles {
        let troubles = Troubles::default();
        troubles.log_to(|line| SAID.with_borrow_mut(|said| said.push(line.to_owned())));
        troubles
    }

    fn said() -> Vec<String> {
        SAID.take()
    }

    #[test]
    fn a_trouble_is_said_when_it_begins_and_when_it_ends() {
        let troubles = troubles();
        for _ in 0..5 {
            troubles.report("state", "full", "no space left");
        }
        troubles.report("state", "read-only", "read-only file system");
        let list = troubles.list();
        assert_eq!((list.len(), list[0].kind, list[0].times), (2, "full", 5), "{list:?}");
        troubles.works("camera");
        troubles.works("state");
        troubles.works("state");
        assert_eq!(said(), ["state: no space left", "state: read-only file system", "state: works again"]);
        assert!(troubles.list().is_empty());
    }

    #[test]
    fn names_that_differ_each_time_fill_no_log() {
        let troubles = troubles();
        for k in 0..10_000 {
            troubles.remark("camera", "not-a-picture", &format!("{k}.jpg: not a picture"));
            troubles.report("camera", "not-found", &format!("{k}/: list failed"));
            troubles.works("camera");
        }
        assert_eq!(said(), ["camera: 0.jpg: not a picture", "camera: 0/: list failed", "camera: works again"]);
        assert!(troubles.list().is_empty());
    }

    #[test]
    fn what_is_said_is_one_line_of_plain_text() {
        let troubles = troubles();
        let source = io::Error::from(io::ErrorKind::StorageFull);
        troubles.report_error("state", &HostError::io("write", "a\nkiosk: all is well\x1b[2J")(source));
        let list = troubles.list();
        assert_eq!(list[0].kind, "full");
        assert!(list[0].message.starts_with("a\\nkiosk: all is well\\u{1b}[2J: write failed: "), "{list:?}");
        assert_eq!(said(), [format!("state: {}", list[0].message)]);
    }
}
