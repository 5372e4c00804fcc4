//! The status of a kiosk, for people and for other machines.

use std::collections::BTreeMap;

use serde::Serialize;
use trm_intake::shown;

use super::state::{Counters, KioskState, LastPuzzle};

/// The status, as MQTT publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Version of this program.
    pub version: &'static str,
    /// The state machine's state.
    pub state: &'static str,
    /// Counters since the state folder was made.
    pub counters: Counters,
    /// The last puzzle.
    pub last: Option<LastPuzzle>,
    /// Models in use that are not the built-in ones, by task.
    pub models: BTreeMap<String, String>,
    /// The last failure since the start, in one line of plain text.
    pub failure: Option<String>,
}

impl Status {
    /// The status of a kiosk in `state` that remembers `kept`.
    #[must_use]
    pub fn new(state: &'static str, kept: &KioskState, failure: Option<String>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            state,
            counters: kept.counters.clone(),
            last: kept.last.clone(),
            models: kept.models.iter().map(|(task, name)| (shown::text(task), shown::text(name))).collect(),
            failure: failure.map(|failure| shown::line(&failure)),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers, strings and lists: serialising them cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A receiver of the status.
pub trait StatusSink {
    /// Takes the present status. It is called when something changed, and must not block.
    fn publish(&mut self, status: &Status);
}

/// Takes the status and tells nobody.
impl StatusSink for () {
    fn publish(&mut self, _: &Status) {}
}

impl<S: StatusSink> StatusSink for Option<S> {
    fn publish(&mut self, status: &Status) {
        if let Some(sink) = self {
            sink.publish(status);
        }
    }
}
