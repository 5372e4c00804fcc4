//! The loop and its log: a line for each puzzle. What goes wrong is counted always, and logged when it begins and when it
//! ends.

use trm_intake::shown;

use super::Kiosk;
use crate::kiosk::machine::{Event, Outcome, State};
use crate::kiosk::parts::Reading;
use crate::{HostError, Result};

impl Kiosk<'_> {
    /// A part that the machine depends on has failed.
    pub(super) fn failed(&mut self, part: &'static str, error: &HostError) {
        self.trouble(part, error);
        self.failure = Some(shown::line(&format!("{part}: {error}")));
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
