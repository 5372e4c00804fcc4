//! The loop and its log: a line for each puzzle. What goes wrong is counted always, and logged when it begins and when it
//! ends.

use super::Kiosk;
use crate::kiosk::machine::{Event, Outcome, State};
use crate::kiosk::parts::Reading;
use crate::{HostError, Result};

impl Kiosk<'_> {
    /// A part that the machine depends on has failed.
    pub(super) fn failed(&mut self, part: &'static str, error: &HostError) {
        self.trouble(part, error);
        self.failure = Some(one_line(&format!("{part}: {error}")));
        if !matches!(self.state, State::Error { .. }) {
            self.kept.counters.failures += 1;
            self.save();
        }
        self.fire(if part == "camera" { Event::CameraFailed } else { Event::Failed });
    }

    /// Counts a failure, and logs it unless the last one of this part was the same.
    pub(super) fn trouble(&mut self, part: &'static str, error: &HostError) {
        self.metrics.failed(part);
        let message = one_line(&with_causes(error));
        if self.troubles.get(part) != Some(&message) {
            (self.log)(&format!("{part}: {message}"));
            self.troubles.insert(part, message);
        }
    }

    pub(super) fn trouble_or(&mut self, part: &'static str, work: impl FnOnce(&mut Self) -> Result<()>) {
        match work(self) {
            Ok(()) => self.works(part),
            Err(error) => self.trouble(part, &error),
        }
    }

    /// A line for each puzzle.
    pub(super) fn log_outcome(&self, outcome: Outcome) {
        let name = self.frame.as_ref().map_or("", |frame| &frame.name);
        let said = match (outcome, &self.reading, &self.solution) {
            (Outcome::Solved, _, Some(solution)) => {
                format!("solved in {} steps, {:.2} s", solution.steps, solution.time.as_secs_f64())
            }
            (Outcome::NotSolved, _, Some(solution)) => format!("not solved: {}", solution.verdict),
            (Outcome::Refused, Some(Reading { reason: Some(reason), .. }), _) => format!("not read: {reason}"),
            _ => "not read in time".to_owned(),
        };
        (self.log)(&one_line(&format!("{name}: {said}")));
    }

    pub(super) fn works(&mut self, part: &'static str) {
        if self.troubles.remove(part).is_some() {
            (self.log)(&format!("{part}: works again"));
        }
    }
}

/// An error with its causes.
fn with_causes(error: &HostError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A log has a line for each message.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
