//! The same puzzles on this machine and, emulated, on a board: the answers must be equal, the logits near.
//!
//! This machine records what its engine computes (`solver/cli/examples/record.rs`), the board's own program compares itself
//! with that (`trm parity`). What was compared once is not compared again, so that hours of emulation can be interrupted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::emulator::Emulator;
use super::target::Target;
use super::{cache, programs};
use crate::everything::EVERYTHING;
use crate::{hash, ort, process, workspace};

/// The extent of a comparison.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Puzzles for each model.
    pub(crate) puzzles: usize,
    /// Steps that each of them takes, none halting early.
    pub(crate) steps: usize,
    /// Names of shipped models; all of them if empty.
    pub(crate) models: Vec<String>,
}

/// The shipped models, the quickest first.
const MODELS: [&str; 4] = ["sudoku-4", "maze-9", "maze", "sudoku"];
/// Puzzles that run together; an interruption loses as many.
const ROWS: usize = 10;
/// Largest difference allowed, by the largest logit of the puzzles that run together where that is above 1. Engines
/// differ in the order of their sums, a recursion carries that on, and a logit has seven digits.
const TOLERANCE: f64 = 1e-4;

pub(super) fn run(target: Target, wanted: &Wanted) -> Result<()> {
    for model in &wanted.models {
        ensure!(MODELS.contains(&model.as_str()), "no shipped model {model:?}\nhint: one of {}", MODELS.join(", "));
    }
    let emulator = Emulator::new(target)?;
    let emulated = programs(target, None, &[])?.join("trm");
    process::run(process::cargo(&["build", "--example", "record"]).args(EVERYTHING))?;
    let recorder = workspace::cargo_target()?.join("release/examples/record");
    let folder = cache().join("compare").join(version(&[&emulated, &recorder])?);
    let mut engines = vec![("rten", None)];
    if let Some(library) = super::onnx_runtime(target)? {
        engines.push(("ort", Some((ort::fetch()?, library))));
    }

    let mut lines = Vec::new();
    let mut failed = false;
    for model in MODELS.into_iter().filter(|model| wanted.models.is_empty() || wanted.models.iter().any(|m| m == model))
    {
        for (engine, libraries) in &engines {
            let mut record = Command::new(&recorder);
            record.args([model, engine]).args([wanted.puzzles, wanted.steps, ROWS].map(|number| number.to_string()));
            record.arg(folder.join(format!("{model}-{engine}-{}", wanted.steps)));
            let mut total = Comparison::default();
            for golden in process::output(for_library(&mut record, libraries.as_ref().map(|(here, _)| here)))?.lines() {
                let mut parity = emulator.command(&emulated);
                parity.args(["parity", model, "--backend", engine, "--json", "--golden", golden]);
                for_library(&mut parity, libraries.as_ref().map(|(_, there)| there));
                total.add(&compare(Path::new(golden), &mut parity)?);
                eprintln!("{model} on {engine}: {total}");
            }
            failed |= !total.passes();
            lines.push(format!("| {model} | {engine} | {} |", total.row()));
        }
    }
    println!("{} steps, {TOLERANCE:.0e} of the largest logit allowed", wanted.steps);
    println!("| model | engine | puzzles | cells that differ | logits apart (of) | q_halt apart (of) | seconds |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for line in lines {
        println!("{line}");
    }
    if engines.len() == 1 {
        println!("NOT COMPARED: ort, which has no library for {}", target.triple());
    }
    ensure!(!failed, "the two machines do not compute the same");
    Ok(())
}

/// Names a folder after the build of the programs: another build gets another folder.
fn version(programs: &[&Path]) -> Result<String> {
    let mut digest = Sha256::new();
    for program in programs {
        digest.update(fs::read(program).with_context(|| format!("cannot read {}", program.display()))?);
    }
    Ok(hash::hex(&digest.finalize())[..12].to_owned())
}

fn for_library<'a>(command: &'a mut Command, library: Option<&PathBuf>) -> &'a mut Command {
    if let Some(library) = library {
        command.env("ORT_DYLIB_PATH", library);
    }
    command
}

/// Runs `trm parity`, or reads its report if it was run before, and returns its findings.
fn compare(golden: &Path, parity: &mut Command) -> Result<Comparison> {
    let report = golden.join("report.json");
    if !report.is_file() {
        let output = parity.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start qemu")?;
        // 1 is "not as near as a reference must be": judged here, by another tolerance.
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("trm parity --golden {} ended with {}", workspace::shown(golden), output.status);
        }
        let unfinished = golden.join("report.json.new");
        fs::write(&unfinished, &output.stdout).with_context(|| format!("cannot write {}", unfinished.display()))?;
        fs::rename(&unfinished, &report).with_context(|| format!("cannot create {}", report.display()))?;
    }
    Comparison::of(&read(&report)?, &read(&golden.join("largest.json"))?)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let json = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&json).with_context(|| format!("{} is not as expected", path.display()))
}

/// The part of the report of `trm parity --json` that is used.
#[derive(Debug, Deserialize)]
struct Report {
    ms: f64,
    steps: Vec<Step>,
}

/// Logits are recorded at some of the steps.
#[derive(Debug, Deserialize)]
struct Step {
    argmax_differences: Option<usize>,
    #[serde(default, deserialize_with = "error")]
    logits: Option<f64>,
    #[serde(default, deserialize_with = "error")]
    q_halt: Option<f64>,
}

/// Reads an error that is there: `null` is an infinite one, for which JSON has no number.
fn error<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Option<f64>, D::Error> {
    Ok(Some(Option::deserialize(json)?.unwrap_or(f64::INFINITY)))
}

/// The report of `record` on a golden.
#[derive(Debug, Deserialize)]
struct Largest {
    puzzles: usize,
    logit: f64,
    q_halt: f64,
}

/// The differences between two machines.
#[derive(Debug, Default)]
struct Comparison {
    puzzles: usize,
    /// Cells with another answer, at any of the steps whose logits are recorded.
    cells: usize,
    logits: Difference,
    q_halt: Difference,
    seconds: f64,
}

impl Comparison {
    fn of(report: &Report, largest: &Largest) -> Result<Self> {
        // Numbers that are not compared must not pass for equal ones.
        let worst = |name: &str, errors: &mut dyn Iterator<Item = f64>| {
            errors.reduce(f64::max).with_context(|| format!("trm parity compared no {name}"))
        };
        let steps = &report.steps;
        let logits = worst("logits", &mut steps.iter().filter_map(|step| step.logits))?;
        let q_halt = worst("q_halt", &mut steps.iter().filter_map(|step| step.q_halt))?;
        Ok(Self {
            puzzles: largest.puzzles,
            cells: steps.iter().filter_map(|step| step.argmax_differences).sum(),
            logits: Difference::new(logits, largest.logit),
            q_halt: Difference::new(q_halt, largest.q_halt),
            seconds: report.ms / 1e3,
        })
    }

    fn add(&mut self, other: &Self) {
        self.puzzles += other.puzzles;
        self.cells += other.cells;
        self.logits.add(&other.logits);
        self.q_halt.add(&other.q_halt);
        self.seconds += other.seconds;
    }

    fn passes(&self) -> bool {
        self.puzzles > 0 && self.cells == 0 && self.logits.passes() && self.q_halt.passes()
    }

    /// The findings, as part of a table's row.
    fn row(&self) -> String {
        let verdict = if self.passes() { "" } else { " FAILED" };
        let Self { puzzles, cells, logits, q_halt, seconds } = self;
        format!("{puzzles} | {cells}{verdict} | {logits} | {q_halt} | {seconds:.0}")
    }
}

impl std::fmt::Display for Comparison {
    /// `40 puzzles, 0 cells differ, logits 3.1e-5 apart (of 21.3), 6.1 s a puzzle`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { puzzles, cells, logits, seconds, .. } = self;
        let each = seconds / (*puzzles).max(1) as f64;
        write!(f, "{puzzles} puzzles, {cells} cells differ, logits {logits}, {each:.1} s a puzzle")?;
        f.write_str(if self.passes() { "" } else { ", FAILED" })
    }
}

/// The largest difference of two machines' numbers, and the largest of the numbers.
#[derive(Debug, Default)]
struct Difference {
    apart: f64,
    largest: f64,
    /// The worst ratio of a difference to what is allowed: above 1 is too much.
    ratio: f64,
}

impl Difference {
    fn new(apart: f64, largest: f64) -> Self {
        Self { apart, largest, ratio: apart / (TOLERANCE * largest.max(1.0)) }
    }

    fn add(&mut self, other: &Self) {
        self.apart = self.apart.max(other.apart);
        self.largest = self.largest.max(other.largest);
        self.ratio = self.ratio.max(other.ratio);
    }

    fn passes(&self) -> bool {
        self.ratio <= 1.0
    }
}

impl std::fmt::Display for Difference {
    /// `3.1e-5 (21.3)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1e} ({:.1})", self.apart, self.largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(report: &str) -> Result<Comparison> {
        let largest = serde_json::from_str(r#"{"puzzles": 10, "logit": 50.0, "q_halt": 0.5}"#)?;
        Comparison::of(&serde_json::from_str(report)?, &largest)
    }

    fn passes(argmax_differences: usize, logits: f64, q_halt: f64) -> bool {
        let step = format!(r#"{{"argmax_differences": {argmax_differences}, "logits": {logits}, "q_halt": {q_halt}}}"#);
        comparison(&format!(r#"{{"ms": 1, "steps": [{step}, {{"q_halt": 0}}]}}"#)).unwrap().passes()
    }

    #[test]
    fn answers_must_be_equal_and_logits_near() {
        assert!(passes(0, 4.9e-3, 9e-5));
        assert!(!passes(1, 0.0, 0.0), "another answer");
        assert!(!passes(0, 5.1e-3, 0.0), "a logit that is further off than its size allows");
        assert!(!passes(0, 0.0, 1.1e-4), "a small number is held to the tolerance itself");
    }

    #[test]
    fn what_is_not_compared_does_not_pass() {
        assert!(!Comparison::default().passes());
        let error = comparison(r#"{"ms": 1, "steps": [{"q_halt": 0}]}"#).unwrap_err();
        assert_eq!(error.to_string(), "trm parity compared no logits");
        let nan = r#"{"ms": 1, "steps": [{"logits": 0, "q_halt": 0}, {"logits": null, "q_halt": 0}]}"#;
        assert!(!comparison(nan).unwrap().passes());
    }

    #[test]
    fn one_bad_part_fails_the_whole() {
        let mut total = Comparison::default();
        for (logits, passes) in [(1e-3, true), (6e-3, false), (1e-3, false)] {
            let step = format!(r#"{{"argmax_differences": 0, "logits": {logits}, "q_halt": 0}}"#);
            total.add(&comparison(&format!(r#"{{"ms": 1, "steps": [{step}]}}"#)).unwrap());
            assert_eq!(total.passes(), passes);
        }
        assert_eq!(total.puzzles, 30);
        assert_eq!(total.to_string(), "30 puzzles, 0 cells differ, logits 6.0e-3 (50.0), 0.0 s a puzzle, FAILED");
    }
}
