//! The account of every number of a recording: judged, shown, left out, or not judged.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use trm_engine::{EngineError, SessionInfo};
use trm_intake::{Printable, with_causes_as};
use trm_models::{GraphKind, ModelError};

use super::Golden;
use super::compare::{Ran, StepComparison, unrolled_steps};
use super::golden::Part;
use super::judge::{Judge, JudgedStep, Quantity, Start};
use crate::{Result, SolverError, hint_of};

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that the recording wants judged was judged, and is within its limits.
    Passed,
    /// Something is out of its limits.
    Failed,
    /// Nothing is out of its limits, and something that the recording has was not judged.
    NotJudged,
}

/// The wishes for a comparison besides what the recording says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// The largest absolute error, instead of the recording's own limits.
    pub atol: Option<f64>,
    /// The steps to judge; the others are left out. `None` for all.
    pub steps: Option<BTreeSet<usize>>,
}

impl Scope {
    pub(super) fn includes(&self, step: usize) -> bool {
        self.steps.as_ref().is_none_or(|steps| steps.contains(&step))
    }

    /// True if a step must be run, for itself or for one after it.
    pub(super) fn reaches(&self, step: usize) -> bool {
        self.steps.as_ref().is_none_or(|steps| steps.last().is_some_and(|last| step <= *last))
    }

    /// The judged parts of a step: nothing outside of the scope, or where the recording says nothing.
    pub(super) fn row(&self, golden: &Golden, step: usize, from: Start) -> JudgedStep {
        let row = golden.judge().and_then(|judge| judge.row(step, from)).filter(|_| self.includes(step));
        let row = row.cloned().unwrap_or(JudgedStep { step, from, ..JudgedStep::default() });
        row.with_limit(self.atol)
    }

    /// Steps that are judged from the recorded carry of the one before.
    pub(super) fn steps_from_recorded(&self, golden: &Golden) -> Vec<usize> {
        let rows = golden.judge().into_iter().flat_map(|judge| &judge.steps);
        let rows = rows.filter(|row| row.from == Start::Recorded && self.includes(row.step));
        rows.map(|row| row.step).collect()
    }

    /// The scope for a graph: an unrolled one is not made for every number of steps unless that is asked for.
    pub(super) fn for_graph(&self, kind: GraphKind, golden: &Golden) -> Result<Self> {
        let steps = match &self.steps {
            None if kind == GraphKind::Unrolled => Some(unrolled_steps(golden)?),
            steps => steps.clone(),
        };
        Ok(Self { atol: self.atol, steps })
    }
}

/// A model against a recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The outcome.
    pub outcome: Outcome,
    /// Every step that was run.
    pub steps: Vec<StepComparison>,
    /// Faults besides numbers out of their limits.
    pub failures: Vec<String>,
    /// Parts that the recording has or lists and that were not judged, and why.
    pub not_judged: Vec<String>,
    /// Quantities that the recording wants shown only.
    pub shown: Vec<String>,
    /// Parts that were not asked for, or that the graph does not put out.
    pub left_out: Vec<String>,
    /// The graph that was run.
    #[serde(skip)]
    graph: GraphKind,
    /// The session that ran it, where there were several.
    #[serde(skip)]
    ran_on: Option<SessionInfo>,
}

/// The names of recorded tensors, their steps, and one reason for all of them.
type Reasons = BTreeMap<(String, String), BTreeSet<usize>>;

impl Comparison {
    pub(super) fn new(graph: GraphKind) -> Self {
        Self {
            outcome: Outcome::NotJudged,
            steps: Vec::new(),
            failures: Vec::new(),
            not_judged: Vec::new(),
            shown: Vec::new(),
            left_out: Vec::new(),
            graph,
            ran_on: None,
        }
    }

    /// A comparison of a recording that has nothing to run a model with.
    #[must_use]
    pub fn of_nothing(graph: GraphKind, golden: &Golden, scope: &Scope) -> Self {
        Self::new(graph).account(golden, scope)
    }

    /// A comparison whose graph could not be run at all.
    ///
    /// # Errors
    /// The error itself, if it is not that an engine cannot run the graph, or that a bundle lacks it.
    pub fn not_run(graph: GraphKind, error: SolverError) -> Result<Self> {
        let error = unable(error)?;
        let not_judged = vec![format!("the {graph} graph could not be run: {}", chain(&error))];
        Ok(Self { not_judged, ..Self::new(graph) })
    }

    /// The session that ran it, where there were several.
    #[must_use]
    pub fn info(&self) -> Option<&SessionInfo> {
        self.ran_on.as_ref()
    }

    pub(super) fn ran_on(&mut self, info: &SessionInfo) {
        self.ran_on = Some(info.clone());
    }

    /// Takes what a step came to, and says whether the next can be run.
    pub(super) fn take(&mut self, ran: Ran) -> bool {
        match ran {
            Ran::Compared(row) => self.steps.push(*row),
            Ran::Failed(step, error) => {
                let text = format!("{} graph, step {step}: {}", self.graph, chain(&error));
                // Numbers that are not finite are an answer, and a wrong one.
                let not_finite = matches!(error, SolverError::Engine(EngineError::NotFinite { .. }));
                if not_finite { &mut self.failures } else { &mut self.not_judged }.push(text);
                return false;
            }
        }
        true
    }

    /// Steps in their order, each followed by itself from the recorded carry.
    pub(super) fn sort(&mut self) {
        self.steps.sort_by_key(|row| (row.step, row.start));
    }

    /// Goes through the recording and says of every part what became of it.
    pub(super) fn account(mut self, golden: &Golden, scope: &Scope) -> Self {
        let (mut not_judged, mut shown, mut left_out) = (Reasons::new(), Reasons::new(), Reasons::new());
        match golden.judge() {
            Some(judge) => {
                for (tensor, parts) in golden.parts() {
                    for part in parts {
                        let (list, why) = match self.fate(judge, scope, &tensor, part) {
                            Fate::Judged => continue,
                            Fate::NotJudged(why) => (&mut not_judged, why),
                            Fate::Shown(why) => (&mut shown, why),
                            Fate::LeftOut(why) => (&mut left_out, why),
                        };
                        let step = if let Part::Output(step, _) = part { step } else { 0 };
                        list.entry((tensor.clone(), why)).or_default().insert(step);
                    }
                }
                self.not_judged.extend(self.missing(judge, golden, scope));
                self.left_out.extend(self.other_starts(judge, scope));
            }
            None => self.not_judged.push(
                "the recording does not say what is to be judged: its manifest.json has no section `judge`".to_owned(),
            ),
        }
        self.not_judged.extend(sentences(&not_judged));
        self.shown.extend(sentences(&shown));
        self.left_out.extend(sentences(&left_out));
        let asked = scope.steps.iter().flatten().filter(|step| **step == 0 || **step > golden.steps());
        self.not_judged.extend(asked.map(|step| format!("step {step} was asked for, and is not recorded")));
        let judged = self.steps.iter().any(|row| Quantity::ALL.iter().any(|quantity| row.has_judged(*quantity)));
        if !judged && self.failures.is_empty() && self.not_judged.is_empty() {
            self.not_judged.push("no number of this recording is to be judged".to_owned());
        }
        self.outcome = if !self.failures.is_empty() || self.steps.iter().any(|row| row.passed == Some(false)) {
            Outcome::Failed
        } else if self.not_judged.is_empty() {
            Outcome::Passed
        } else {
            Outcome::NotJudged
        };
        self
    }

    /// The fate of a recorded part.
    fn fate(&self, judge: &Judge, scope: &Scope, tensor: &str, part: Part) -> Fate {
        let (step, quantity) = match part {
            Part::Unknown => return Fate::NotJudged("no model puts out what has this name".to_owned()),
            Part::Given if judge.without_digests || judge.sha256.contains_key(tensor) => return Fate::Judged,
            Part::Given => return Fate::NotJudged("the manifest has no SHA-256 of it".to_owned()),
            Part::Output(step, quantity) => (step, quantity),
        };
        let mut rows = self.steps.iter().filter(|row| row.step == step);
        if rows.clone().any(|row| row.has_judged(quantity)) {
            return Fate::Judged;
        }
        if !scope.includes(step) {
            return Fate::LeftOut("not asked for".to_owned());
        }
        if let Some(limit) =
            rows.find_map(|row| row.limits.get(&quantity).filter(|_| row.meaningless.contains(&quantity)))
        {
            return Fate::NotJudged(format!("its limit of {limit} would accept any number"));
        }
        if self.graph != GraphKind::Step && quantity.is_state() {
            return Fate::LeftOut(format!("{} graph does not put it out", article(self.graph)));
        }
        let mut limited = judge.steps.iter().filter(|row| row.step == step && row.limits.contains_key(&quantity));
        if limited.clone().any(|row| self.graph == GraphKind::Step || row.from == Start::Own) {
            return Fate::NotJudged("not compared".to_owned());
        }
        if judge.is_shown(step, quantity) {
            let why = judge
                .steps
                .iter()
                .filter(|row| row.step == step)
                .find_map(|row| Some(&row.why).filter(|why| !why.is_empty()));
            return Fate::Shown(
                why.map_or_else(|| "the recording says so".to_owned(), |why| Printable(why).to_string()),
            );
        }
        match limited.next() {
            Some(_) => Fate::LeftOut(format!("{} graph takes no recorded carry", article(self.graph))),
            None => Fate::NotJudged("the manifest says nothing of it".to_owned()),
        }
    }

    /// Tensors that the manifest lists and the recording lacks.
    fn missing(&self, judge: &Judge, golden: &Golden, scope: &Scope) -> Vec<String> {
        let parts = golden.parts();
        let recorded: BTreeSet<_> = parts
            .iter()
            .flat_map(|(_, parts)| parts)
            .filter_map(|part| match part {
                Part::Output(step, quantity) => Some((*step, *quantity)),
                Part::Given | Part::Unknown => None,
            })
            .collect();
        let is_recorded = |step: usize, quantity: Quantity| {
            // An answer may be recorded by its logits.
            recorded.contains(&(step, quantity))
                || quantity == Quantity::Answer && recorded.contains(&(step, Quantity::Logits))
        };
        let mut missing = Vec::new();
        for row in judge.steps.iter().filter(|row| scope.includes(row.step)) {
            let listed = row.limits.keys().chain(&row.shown);
            for quantity in listed.filter(|quantity| !is_recorded(row.step, **quantity)) {
                missing.push(format!("{quantity} of step {} is listed, and not recorded", row.step));
            }
            let carry = [Quantity::ZH, Quantity::ZL].iter().all(|state| is_recorded(row.step - 1, *state));
            if row.from == Start::Recorded && self.graph == GraphKind::Step && !carry {
                missing.push(format!("step {} is to start from a recorded carry, and there is none", row.step));
            }
        }
        let names: BTreeSet<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        let needed = ["inputs", "puzzle_identifiers"].into_iter().chain(judge.sha256.keys().map(String::as_str));
        let needed: BTreeSet<_> = needed.filter(|name| !names.contains(name)).collect();
        missing.extend(needed.iter().map(|name| format!("`{}` is listed, and not recorded", Printable(name))));
        missing
    }

    /// Steps from a recorded carry, which only a step graph can take.
    fn other_starts(&self, judge: &Judge, scope: &Scope) -> Vec<String> {
        let rows = judge.steps.iter().filter(|row| row.from == Start::Recorded && scope.includes(row.step));
        let rows = rows.filter(|_| self.graph != GraphKind::Step);
        let graph = article(self.graph);
        rows.map(|row| format!("step {} from the recorded carry: {graph} graph takes none", row.step)).collect()
    }
}

/// The fate of a part of the recording.
enum Fate {
    Judged,
    NotJudged(String),
    Shown(String),
    LeftOut(String),
}

fn article(graph: GraphKind) -> String {
    format!("{} {graph}", if graph == GraphKind::Unrolled { "an" } else { "a" })
}

/// `` `q_halt_logits` at steps 3-16: not compared ``
fn sentences(reasons: &Reasons) -> Vec<String> {
    let sentence = |((tensor, why), steps): (&(String, String), &BTreeSet<usize>)| {
        let steps: Vec<usize> = steps.iter().copied().filter(|step| *step > 0).collect();
        // The name of most tensors has the step in it.
        let at = match steps.as_slice() {
            [] => String::new(),
            _ if !tensor.starts_with("q_") => String::new(),
            [step] => format!(" at step {step}"),
            steps => format!(" at steps {}", ranges(steps)),
        };
        format!("`{}`{at}: {why}", Printable(tensor))
    };
    reasons.iter().map(sentence).collect()
}

/// `1, 3-5`
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let run = |run: &[usize]| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.iter().map(ToString::to_string).collect(),
    };
    runs.map(run).collect::<Vec<_>>().join(", ")
}

/// Returns an error that leaves numbers unjudged: an engine that fails or cannot run the graph, a bundle without it. What
/// is wrong with the input is passed on.
pub(super) fn unable(error: SolverError) -> Result<SolverError> {
    let lacks_graph = matches!(error, SolverError::Model(ModelError::NotInBundle { .. }));
    let unable = error.is_engine_failure()
        || lacks_graph
        || matches!(error, SolverError::Engine(EngineError::Unsupported { .. }));
    if unable { Ok(error) } else { Err(error) }
}

/// An error with its causes in one line, the advice of each behind it.
fn chain(error: &SolverError) -> String {
    let said = |error| match hint_of(error) {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    with_causes_as(error, said).lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_steps_are_named_by_their_ends() {
        assert_eq!(ranges(&[1, 3, 4, 5, 9]), "1, 3-5, 9");
        assert_eq!(ranges(&[2, 3]), "2-3");
    }
}
