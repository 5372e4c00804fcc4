//! The section of a recording that names what is judged, and how far the numbers may be apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use trm_intake::Printable;

/// The version of the section that this program writes.
pub(super) const VERSION: u32 = 1;
/// More steps than any recording has.
const MAX_ROWS: usize = 10_000;

/// Where a step's carry came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// From the model's own steps before it, from the start.
    #[default]
    Own,
    /// From the reference's carry after the step before.
    Recorded,
}

/// A quantity that is compared of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Logits; the limit is a largest absolute error.
    Logits,
    /// Halting logit, as [`Quantity::Logits`].
    QHalt,
    /// Continuation logit, as [`Quantity::Logits`].
    QContinue,
    /// High-level state, as [`Quantity::Logits`].
    ZH,
    /// Low-level state, as [`Quantity::Logits`].
    ZL,
    /// The answer; the limit is a number of cells.
    Answer,
}

impl Quantity {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 6] = [Self::Logits, Self::QHalt, Self::QContinue, Self::ZH, Self::ZL, Self::Answer];

    /// True if every graph puts it out; the states come out of a step graph only.
    #[must_use]
    pub fn is_state(self) -> bool {
        matches!(self, Self::ZH | Self::ZL)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logits => "logits",
            Self::QHalt => "q_halt",
            Self::QContinue => "q_continue",
            Self::ZH => "z_h",
            Self::ZL => "z_l",
            Self::Answer => "answer",
        })
    }
}

/// The section `judge` of a golden's `manifest.json`: which numbers of the recording are judged, and by which limits.
///
/// Every tensor of the recording must be accounted for: by a limit, among what is only shown, or, where the model does
/// not compute it (inputs, labels), by its SHA-256.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// Version of this section: 1.
    pub version: u32,
    /// Where the limits come from, in words.
    #[serde(default)]
    pub how: String,
    /// The judged parts of each step.
    pub steps: Vec<JudgedStep>,
    /// SHA-256 of the tensors that are not wholly judged, in hexadecimal.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
    /// The manifest is of a form that had no digests.
    #[serde(skip)]
    pub(super) without_digests: bool,
}

/// The judged parts of a step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgedStep {
    /// ACT steps run, counted from 1.
    pub step: usize,
    /// Where the step begins.
    #[serde(default)]
    pub from: Start,
    /// The most that a quantity may be off.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Quantity, f64>,
    /// Recorded quantities that are shown and not judged.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub shown: BTreeSet<Quantity>,
    /// Reason why they are not judged.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl JudgedStep {
    /// Another limit for everything that is judged by an absolute error.
    #[must_use]
    pub(super) fn with_limit(mut self, atol: Option<f64>) -> Self {
        let Some(atol) = atol else { return self };
        for (_, limit) in self.limits.iter_mut().filter(|(quantity, _)| **quantity != Quantity::Answer) {
            *limit = atol;
        }
        self
    }
}

impl Judge {
    /// A section with these limits and without digests; [`super::Golden::judge_with_digests`] adds them.
    #[must_use]
    pub fn new(how: String, steps: Vec<JudgedStep>) -> Self {
        Self { version: VERSION, how, steps, sha256: BTreeMap::new(), without_digests: false }
    }

    /// Says what is wrong with the section, for a recording of so many steps.
    pub(super) fn check(&self, steps: usize) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("`judge` has version {}, this program reads version {VERSION}", self.version));
        }
        if self.steps.len() > MAX_ROWS {
            return Err(format!("`judge` lists {} steps, more than the {MAX_ROWS} allowed", self.steps.len()));
        }
        let mut seen = BTreeSet::new();
        for row in &self.steps {
            let JudgedStep { step, from, .. } = row;
            if !(1..=steps).contains(step) {
                return Err(format!("`judge` lists step {step}, but {steps} steps were recorded"));
            }
            if *from == Start::Recorded && *step == 1 {
                return Err("`judge` starts step 1 from a recorded carry, but there is none before it".to_owned());
            }
            if !seen.insert((step, from)) {
                return Err(format!("`judge` lists step {step} twice"));
            }
            for (quantity, limit) in &row.limits {
                if !limit.is_finite() || *limit < 0.0 {
                    return Err(format!(
                        "`judge` gives {quantity} of step {step} the limit {limit}, expected 0 or more"
                    ));
                }
                if row.shown.contains(quantity) {
                    return Err(format!("`judge` both judges and only shows {quantity} of step {step}"));
                }
            }
        }
        match self
            .sha256
            .iter()
            .find(|(_, digest)| digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            Some((name, _)) => Err(format!("`judge` gives `{}` a digest that is no SHA-256", Printable(name))),
            None => Ok(()),
        }
    }

    /// The judged parts of a step from a start, if there are any.
    pub(super) fn row(&self, step: usize, from: Start) -> Option<&JudgedStep> {
        self.steps.iter().find(|row| row.step == step && row.from == from)
    }

    /// True if a quantity of a step is only shown, whatever the start.
    pub(super) fn is_shown(&self, step: usize, quantity: Quantity) -> bool {
        self.steps.iter().any(|row| row.step == step && row.shown.contains(&quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        match serde_json::from_str::<Judge>(json) {
            Ok(judge) => judge.check(4).expect_err("accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_section_that_would_judge_less_than_it_seems_to_is_refused() {
        let step = |row: &str| refusal(&format!(r#"{{"version": 1, "steps": [{row}]}}"#));
        for (found, expected) in [
            (refusal(r#"{"version": 2, "steps": []}"#), "version 2"),
            (step(r#"{"step": 5, "limits": {"logits": 1}}"#), "lists step 5, but 4 steps"),
            (step(r#"{"step": 0}"#), "lists step 0"),
            (step(r#"{"step": 1, "from": "recorded"}"#), "there is none before it"),
            (step(r#"{"step": 1}, {"step": 1}"#), "lists step 1 twice"),
            (step(r#"{"step": 1, "limits": {"logits": -1}}"#), "the limit -1, expected 0 or more"),
            (step(r#"{"step": 1, "limits": {"logits": 1e999}}"#), "number out of range"),
            (step(r#"{"step": 1, "limits": {"logit": 1}}"#), "unknown variant `logit`"),
            (step(r#"{"step": 1, "limts": {"logits": 1}}"#), "unknown field `limts`"),
            (step(r#"{"step": 1, "limits": {"logits": 1}, "shown": ["logits"]}"#), "both judges and only shows"),
            (refusal(r#"{"version": 1, "steps": [], "sha256": {"labels": "0"}}"#), "no SHA-256"),
        ] {
            assert!(found.contains(expected), "{found}");
        }
    }
}
