//! The limits of recordings whose manifest is of the form before the section `judge`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::golden::Part;
use super::judge::{Judge, JudgedStep, Quantity, Start};

/// The facts in such a manifest about its recording.
#[derive(Debug)]
pub(super) struct OldForm<'a> {
    /// The output projections were scaled down, so that rounding does not grow from step to step.
    pub(super) stable: bool,
    /// The reference computed in less than 32 bits.
    pub(super) half: bool,
    /// Largest differences of the reference's own variants.
    pub(super) sensitivity: &'a Value,
}

const CHAOTIC: &str = "a randomly initialised recursion is chaotic: rounding decides by then";
const HALF: &str = "computed in less than 32 bits: rounding decides";

/// The section that such a manifest amounts to ([`super::Golden`] has the table). Digests are not part of it: the form
/// had none.
pub(super) fn judge(form: &OldForm<'_>, parts: &[(String, Vec<Part>)]) -> Judge {
    let mut recorded: BTreeMap<usize, BTreeSet<Quantity>> = BTreeMap::new();
    for part in parts.iter().flat_map(|(_, parts)| parts) {
        if let Part::Output(step, quantity) = part {
            recorded.entry(*step).or_default().insert(*quantity);
        }
    }
    let whole = stable_limit(form.sensitivity);
    let mut steps = Vec::new();
    for (&step, quantities) in &recorded {
        let mut row = JudgedStep { step, ..JudgedStep::default() };
        for &quantity in quantities {
            match form.limit(step, quantity, whole) {
                Some(limit) => drop(row.limits.insert(quantity, limit)),
                None => drop(row.shown.insert(quantity)),
            }
        }
        if form.stable && !form.half && quantities.contains(&Quantity::Logits) {
            row.limits.insert(Quantity::Answer, 0.0);
        }
        if !row.shown.is_empty() {
            row.why = String::from(if form.half { HALF } else { CHAOTIC });
        }
        steps.push(row);
    }
    let states = recorded.get(&1).is_some_and(|at| at.contains(&Quantity::ZH) && at.contains(&Quantity::ZL));
    let second = steps.iter().position(|row| row.step == 2);
    if let Some(at) = second.filter(|_| states && !form.stable && !form.half) {
        steps.insert(at + 1, JudgedStep { from: Start::Recorded, ..steps[at].clone() });
    }
    Judge { without_digests: true, ..Judge::new(form.how(whole), steps) }
}

impl OldForm<'_> {
    fn limit(&self, step: usize, quantity: Quantity, whole: f64) -> Option<f64> {
        match (self.stable, self.half, step) {
            (true, false, _) => Some(if quantity == Quantity::Answer { 0.0 } else { whole }),
            (false, false, 1) if quantity != Quantity::Answer => Some(1e-3),
            (false, false, 2) if quantity != Quantity::Answer => Some(1e-2),
            (true, true, 1) if quantity != Quantity::Answer && !quantity.is_state() => Some(0.06),
            _ => None,
        }
    }

    fn how(&self, whole: f64) -> String {
        match (self.stable, self.half) {
            (true, false) => format!(
                "down_proj and o_proj were scaled, so that every step can be judged: {whole:.0e} is more than twice what \
                 float32 differs from float64 in the reference, at least 1e-4"
            ),
            (false, false) => "not scaled: the first two steps can be judged".to_owned(),
            (true, true) => "bfloat16 differs from float32 by 0.04 at step 1".to_owned(),
            (false, true) => "bfloat16, not scaled: no step can be judged".to_owned(),
        }
    }
}

/// The power of ten above twice the largest difference of float32 and float64, at least 1e-4.
fn stable_limit(sensitivity: &Value) -> f64 {
    let variants = sensitivity.get("float64_except_rmsnorm_f32").and_then(Value::as_object);
    let differences = variants.into_iter().flat_map(|steps| steps.values()).filter_map(Value::as_object).flatten();
    let worst = differences.filter(|(name, _)| name.ends_with("_maxabs")).filter_map(|(_, value)| value.as_f64());
    let worst = worst.fold(0.0, f64::max);
    [1e-4, 1e-3, 1e-2].into_iter().find(|limit| *limit >= 2.0 * worst).unwrap_or(1e-1)
}
