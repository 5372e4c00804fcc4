//! The record of the reading of a checkpoint: the parts that were used, those that were left out, and why.

use serde::Serialize;

/// The record of a reading: the set of weights that was taken, and the fate of everything else in the file.
///
/// Nothing of a file is left out without an entry here. A file that holds one state dict and nothing else, under the
/// public code's names, has an empty ledger but for [`Ledger::prefix`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// The set of weights that was taken: its key in the file; `.` for tensors that lie at the top.
    pub weights: String,
    /// The other sets of weights in the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_weights: Vec<String>,
    /// The set that buffers come from, where the one that was taken has none, and their canonical names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filled_from: Option<(String, Vec<String>)>,
    /// The prefix of every canonical name, without the wrappers of modules; several if names differ.
    pub prefix: Vec<String>,
    /// The code whose names the tensors have, where it is not the public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// Keys of the file that hold no weights and are known to be harmless.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub harmless: Vec<String>,
    /// Keys of the file that are unknown. They were left out because the set of weights was named by the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The key that the file's own settings lie under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Tensors that are no weights, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<(String, String)>,
    /// Changes that make it fit the public code's layout.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adapted: Vec<String>,
    /// Tensors of nothing but zeros.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all_zero: Vec<String>,
}

impl Ledger {
    /// The decisions that a user should see, one sentence each, for stderr; none for a file that left no choice.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.other_weights.is_empty() {
            notes.push(format!("weights: `{}`, not {}", self.weights, list(&self.other_weights)));
        } else if !matches!(self.weights.as_str(), "" | ".") {
            notes.push(format!("weights: `{}`", self.weights));
        }
        if let Some((from, names)) = &self.filled_from {
            notes.push(format!("from `{from}`: {}, which a moving average of parameters does not have", list(names)));
        }
        if let [_, _, ..] = self.prefix.as_slice() {
            notes.push(format!("names lie under {}", list(&self.prefix)));
        }
        if let Some(dialect) = &self.dialect {
            notes.push(format!("names of {dialect}"));
        }
        notes.extend(self.adapted.iter().cloned());
        if !self.harmless.is_empty() {
            notes.push(format!("not needed: {}", list(&self.harmless)));
        }
        if !self.unknown.is_empty() {
            notes.push(format!("left out, since --weights names what to read: {}", list(&self.unknown)));
        }
        for (name, why) in self.skipped.iter().take(8) {
            notes.push(format!("skipped tensor `{name}`: {why}"));
        }
        if self.skipped.len() > 8 {
            notes.push(format!("skipped {} more tensors", self.skipped.len() - 8));
        }
        notes
    }

    /// Warnings about the weights, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        if self.all_zero.is_empty() {
            return Vec::new();
        }
        let be = if self.all_zero.len() == 1 { "is" } else { "are" };
        vec![format!("{} {be} all zero, as before training", list(&self.all_zero))]
    }
}

/// Names in backticks; at most eight.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    first(names, 8)
}

/// Names in backticks, and how many there are beyond the first `most`.
pub(super) fn first<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let shown: Vec<String> =
        names.iter().take(most).map(|name| format!("`{}`", trm_intake::Printable(name.as_ref()))).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
