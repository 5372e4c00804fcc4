//! The loop and its log: a line for each puzzle. What goes wrong is counted always, and logged when it begins and when it
//! ends.

use trm_intake::{Hint as _, shown, with_hint};

use super::Kiosk;
use crate::kiosk::machine::{Event, Outcome, State};
use crate::kiosk::parts::Reading;
use crate::{HostError, Result};

/// The failure of a part, as it is told, each part of it in one line.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) part: &'static str,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    /// All of it in one line.
    pub(super) fn line(&self) -> String {
        shown::line(&with_hint(&format!("{}: {}", self.part, self.text), self.hint.as_deref()))
    }
}

impl Kiosk<'_> {
    /// A part that the machine depends on has failed.
    pub(super) fn failed(&mut self, part: &'static str, error: &HostError) {
        self.trouble(part, error);
        let hint = error.hint().map(|hint| shown::line(&hint));
        self.failure = Some(Failure { part, text: shown::line(&error.to_string()), hint });
        if !matches!(self.state, State::Error { .. }) {
            self.kept.counters.failures += 1;
            self.save();
        }
        self.fire(if part == "camera" { Event::CameraFailed } else { Event::Failed });
    }

    /// Counts a failure, and logs it unless it goes on from before.
    pub(super) fn trouble(&mut self, part: &'static str, error: &HostError) {
        self.metrics.failed(part);
        self.metrics.troubles.report_error(part, error);
    }

    pub(super) fn trouble_or(&mut self, part: &'static str, work: impl FnOnce(&mut Self) -> Result<()>) {
        match work(self) {
            Ok(()) => self.works(part),
            Err(error) => self.trouble(part, &error),
        }
    }

    /// A line for each puzzle.
    pub(super) fn log_outcome(&self, outcome: Outcome) {
        let name = self.frame.as_ref().map_or_else(String::new, |frame| shown::text(&frame.name));
        let said = match (outcome, &self.reading, &self.solution) {
            (Outcome::Solved, _, Some(solution)) => {
                format!("solved in {} steps, {:.2} s", solution.steps, solution.time.as_secs_f64())
            }
            (Outcome::NotSolved, _, Some(solution)) => format!("not solved: {}", solution.verdict),
            (Outcome::Refused, Some(Reading { refusal: Some(refusal), .. }), _) => format!("not read: {refusal}"),
            _ => "not read in time".to_owned(),
        };
        self.metrics.troubles.say(&format!("{name}: {said}"));
    }

    pub(super) fn works(&mut self, part: &'static str) {
        self.metrics.troubles.works(part);
    }
}
