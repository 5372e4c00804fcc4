//! Runs a bundle's self-test on an engine: it shows whether this engine, on this machine, computes what the
//! exporter's reference evaluator computed.
//!
//! ```no_run
//! use trm_models::{GraphKind, ModelBundle};
//! use trm_engine::tract::TractEngine;
//! use trm_engine::SessionOptions;
//! use trm_solver::measure::selftest;
//!
//! let bundle = ModelBundle::open("my-bundle")?;
//! let report = selftest::run(&TractEngine, &bundle, GraphKind::Step, &SessionOptions::default())?;
//! assert!(report.passed, "{report}");
//! # Ok::<(), trm_solver::SolverError>(())
//! ```

use std::fmt;
use std::time::Instant;

use serde::Serialize;
use trm_engine::ort::ExecutionProvider;
use trm_engine::{ActStep, Carry, Engine, EngineError, SessionOptions, SolveInput};
use trm_models::{GraphKind, ModelBundle, Precision, SelfTest};

use crate::parity::max_abs_error;
use crate::{Result, SolverError};

/// The largest deviations that an engine may show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limits {
    /// Largest absolute error of the halting logits.
    pub q: f64,
    /// Smallest cosine between the carry and the expected one.
    pub carry_cosine: f64,
    /// Largest share of cells with another answer.
    pub answer: f64,
}

impl Limits {
    /// Float32 engines differ in the order of their sums only, so answers have to be equal. In half precision a cell in
    /// a hundred may tip over, and public work holds a carry cosine of 0.998 to be without loss (arXiv 2606.26488).
    #[must_use]
    pub fn of(precision: Precision) -> Self {
        match precision {
            Precision::Float32 => Self { q: 1e-2, carry_cosine: 0.9999, answer: 0.0 },
            _ => Self { q: 0.5, carry_cosine: 0.998, answer: 0.01 },
        }
    }
}

/// Result of a bundle's self-test on an engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelfTestReport {
    /// Name of the engine: `ort`, `rten` or `tract`.
    pub engine: &'static str,
    /// The execution provider that ran it.
    pub provider: ExecutionProvider,
    /// The graph that ran.
    pub graph: GraphKind,
    /// ACT steps run.
    pub steps: usize,
    /// Cells with another answer than expected.
    pub answer_differences: usize,
    /// Cells in all.
    pub cells: usize,
    /// Largest absolute error of `q_halt` and `q_continue`.
    pub q_error: f64,
    /// Largest absolute error of the carry; a step graph's only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry_error: Option<f64>,
    /// Cosine between the carry and the expected one; a step graph's only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry_cosine: Option<f64>,
    /// The limits that it was held to.
    pub limits: Limits,
    /// Time to load the graph, in milliseconds.
    pub load_ms: f64,
    /// Time to run it, in milliseconds.
    pub run_ms: f64,
    /// `true` if the engine computes what it should.
    pub passed: bool,
}

impl fmt::Display for SelfTestReport {
    /// `passed: answers equal, q within 2.4e-7, carry within 1.9e-6 (16 steps, 12 ms)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.passed { "passed: " } else { "FAILED: " })?;
        match self.answer_differences {
            0 => f.write_str("answers equal")?,
            n => write!(f, "{n} of {} cells differ", self.cells)?,
        }
        write!(f, ", q within {:.1e}", self.q_error)?;
        if let (Some(error), Some(cosine)) = (self.carry_error, self.carry_cosine) {
            write!(f, ", carry within {error:.1e} (cosine {cosine:.6})")?;
        }
        write!(f, "; {} steps, {:.0} ms", self.steps, self.run_ms)
    }
}

/// Runs the self-test on one graph of the bundle. Returns `None` for an unrolled graph with another number of steps
/// than the self-test has, for a graph that the bundle does not hold, and for one that the engine cannot run.
///
/// # Errors
///
/// As [`run`], but for [`EngineError::Unsupported`] and a graph that the bundle does not hold.
pub fn run_if_possible(
    engine: &dyn Engine,
    bundle: &ModelBundle,
    kind: GraphKind,
    options: &SessionOptions,
) -> Result<Option<SelfTestReport>> {
    let steps = bundle.self_test()?.steps;
    match bundle.manifest().graphs.get(&kind).filter(|_| bundle.has_graph(kind)) {
        Some(graph) if graph.steps.is_none_or(|unrolled| unrolled == steps) => {
            match run(engine, bundle, kind, options) {
                Err(SolverError::Engine(EngineError::Unsupported { .. })) => Ok(None),
                result => result.map(Some),
            }
        }
        _ => Ok(None),
    }
}

/// Runs the self-test on one graph of the bundle, every step, without halting. The options' batch is the self-test's.
///
/// # Errors
/// The bundle does not hold the graph or is damaged, or the engine cannot run it.
pub fn run(
    engine: &dyn Engine,
    bundle: &ModelBundle,
    kind: GraphKind,
    options: &SessionOptions,
) -> Result<SelfTestReport> {
    let test = bundle.self_test()?;
    let options = SessionOptions { batch: test.rows(), want_logits: false, ..options.clone() };
    let outcome = match kind {
        GraphKind::Step => run_step(engine, bundle, &test, &options)?,
        GraphKind::Solve | GraphKind::Unrolled => run_solve(engine, bundle, kind, &test, &options)?,
    };
    Ok(outcome.judge(kind, &test, Limits::of(bundle.manifest().precision)))
}

/// Output of an engine for a self-test.
struct Outcome {
    engine: &'static str,
    provider: ExecutionProvider,
    answer: Vec<i32>,
    q_halt: Vec<f32>,
    q_continue: Vec<f32>,
    carry: Option<Carry>,
    load_ms: f64,
    run_ms: f64,
}

fn run_step(engine: &dyn Engine, bundle: &ModelBundle, test: &SelfTest, options: &SessionOptions) -> Result<Outcome> {
    let mut session = engine.load_step(bundle, options)?;
    // Another puzzle first: an engine in which something of it lives on is found out.
    session.step(&ActStep::first(test.tokens.iter().copied().rev().collect(), test.puzzle_ids.clone()))?;
    let started = Instant::now();
    let mut input = ActStep::first(test.tokens.clone(), test.puzzle_ids.clone());
    let mut output = session.step(&input)?;
    input.reset.fill(false);
    for _ in 1..test.steps {
        output = session.step(&input)?;
    }
    let run_ms = milliseconds(started);
    let carry = Some(session.carry()?);
    let info = session.info();
    Ok(Outcome {
        engine: info.engine,
        provider: info.provider,
        answer: output.answer,
        q_halt: output.q_halt,
        q_continue: output.q_continue,
        carry,
        load_ms: info.load_time.as_secs_f64() * 1e3,
        run_ms,
    })
}

fn run_solve(
    engine: &dyn Engine,
    bundle: &ModelBundle,
    kind: GraphKind,
    test: &SelfTest,
    options: &SessionOptions,
) -> Result<Outcome> {
    let mut session = engine.load_solve(bundle, kind, options)?;
    let started = Instant::now();
    let output = session.solve(&SolveInput {
        tokens: test.tokens.clone(),
        puzzle_ids: test.puzzle_ids.clone(),
        halt_threshold: f32::INFINITY,
        max_steps: (kind == GraphKind::Solve).then_some(test.steps),
    })?;
    let run_ms = milliseconds(started);
    let info = session.info();
    Ok(Outcome {
        engine: info.engine,
        provider: info.provider,
        answer: output.answer,
        q_halt: output.q_halt,
        q_continue: output.q_continue,
        carry: None,
        load_ms: info.load_time.as_secs_f64() * 1e3,
        run_ms,
    })
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

impl Outcome {
    fn judge(self, graph: GraphKind, test: &SelfTest, limits: Limits) -> SelfTestReport {
        let cells = test.answer.len();
        let equal = self.answer.iter().zip(&test.answer).filter(|(found, expected)| found == expected).count();
        let q_error = max_abs_error(&self.q_halt, &test.q_halt).max(max_abs_error(&self.q_continue, &test.q_continue));
        let states = |carry: &Carry| [(carry.z_h.clone(), &test.z_h), (carry.z_l.clone(), &test.z_l)];
        let carry_error = self.carry.as_ref().map(|carry| {
            states(carry).iter().map(|(found, expected)| max_abs_error(found, expected)).fold(0.0, f64::max)
        });
        let carry_cosine = self
            .carry
            .as_ref()
            .map(|carry| states(carry).iter().map(|(found, expected)| cosine(found, expected)).fold(1.0, smallest));
        let answer_differences = cells - equal;
        let passed = answer_differences as f64 <= limits.answer * cells as f64
            && q_error <= limits.q
            && carry_cosine.is_none_or(|cosine| cosine >= limits.carry_cosine);
        SelfTestReport {
            engine: self.engine,
            provider: self.provider,
            graph,
            steps: test.steps,
            answer_differences,
            cells,
            q_error,
            carry_error,
            carry_cosine,
            limits,
            load_ms: self.load_ms,
            run_ms: self.run_ms,
            passed,
        }
    }
}

/// The smaller of two numbers, NaN being the smallest.
fn smallest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The cosine of the angle between two vectors; NaN if a number is, or the lengths differ.
fn cosine(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(found, expected) / (dot(found, found) * dot(expected, expected)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test() -> SelfTest {
        SelfTest {
            tokens: vec![1, 2],
            puzzle_ids: vec![0],
            steps: 3,
            answer: vec![1, 2],
            q_halt: vec![0.5],
            q_continue: vec![-0.5],
            z_h: vec![1.0, 2.0],
            z_l: vec![3.0, -4.0],
        }
    }

    fn outcome(q_halt: f32, answer: Vec<i32>, z_h: Vec<f32>) -> SelfTestReport {
        let outcome = Outcome {
            engine: "tract",
            provider: ExecutionProvider::Cpu,
            answer,
            q_halt: vec![q_halt],
            q_continue: vec![-0.5],
            carry: Some(Carry { z_h, z_l: vec![3.0, -4.0] }),
            load_ms: 1.0,
            run_ms: 1.0,
        };
        outcome.judge(GraphKind::Step, &test(), Limits::of(Precision::Float32))
    }

    #[test]
    fn equal_numbers_pass_and_everything_else_fails() {
        assert!(outcome(0.5, vec![1, 2], vec![1.0, 2.0]).passed);
        assert!(outcome(0.5 + 1e-4, vec![1, 2], vec![1.0, 2.0001]).passed);
        assert!(!outcome(0.6, vec![1, 2], vec![1.0, 2.0]).passed);
        assert!(!outcome(0.5, vec![1, 3], vec![1.0, 2.0]).passed);
        assert!(!outcome(0.5, vec![1, 2], vec![2.0, 1.0]).passed);
        assert!(!outcome(0.5, vec![1], vec![1.0, 2.0]).passed);
    }

    #[test]
    fn nan_never_passes() {
        assert!(!outcome(f32::NAN, vec![1, 2], vec![1.0, 2.0]).passed);
        assert!(!outcome(0.5, vec![1, 2], vec![f32::NAN, 2.0]).passed);
        assert!(outcome(f32::NAN, vec![1, 2], vec![1.0, 2.0]).to_string().starts_with("FAILED"));
    }
}
