//! The same puzzles on this machine and, emulated, on a board: the answers must be equal.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::emulator::Emulator;
use super::target::Target;
use super::{cache, programs};
use crate::{ort, process, workspace};

/// Shipped models with the puzzles that are generated for them: kind and size.
const MODELS: [(&str, &str, &str); 4] = [
    ("sudoku-4", "sudoku-easy", "4x4"),
    ("sudoku-6", "sudoku-easy", "6x6"),
    ("sudoku-9", "sudoku-easy", "9x9"),
    ("maze-9", "maze", "9x9"),
];
/// Seed of the puzzles.
const SEED: &str = "2026";
/// Largest difference of the halting logits, by their size: float32 engines differ in the order of their sums, and a
/// recursion carries differences on.
const TOLERANCE: f64 = 1e-4;

pub(super) fn run(target: Target, puzzles: usize, models: &[String]) -> Result<()> {
    let known = MODELS.map(|(model, ..)| model);
    for model in models {
        ensure!(known.contains(&model.as_str()), "no shipped model {model:?}\nhint: one of {}", known.join(", "));
    }
    let emulator = Emulator::new(target)?;
    let emulated = programs(target, None)?.join("trm");
    process::run(&mut process::cargo(&["build", "--release", "--package", "trm-solver", "--bins"]))?;
    let native = workspace::cargo_target()?.join("release").join(format!("trm{}", std::env::consts::EXE_SUFFIX));
    let libraries = match target {
        Target::Aarch64 => {
            let folder = cache().join("onnxruntime").join(ort::VERSION);
            Some((ort::fetch()?, ort::fetch_for("linux", "aarch64", &folder)?))
        }
        Target::Armv7 | Target::Aarch64Musl => None,
    };
    println!("| model | engine | puzzles | answers equal | largest difference of q_halt | seconds emulated |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (model, kind, size) in MODELS {
        if !models.is_empty() && !models.iter().any(|wanted| wanted == model) {
            continue;
        }
        let file = cache().join(format!("{model}.jsonl"));
        generate(&native, kind, size, puzzles, &file)?;
        for engine in ["tract", "ort"] {
            let Some(library) = (if engine == "tract" { Some(None) } else { libraries.as_ref().map(Some) }) else {
                println!("| {model} | {engine} | NOT TESTED: ONNX Runtime has no library for this target | | | |");
                continue;
            };
            let solve = |mut command: Command, library: Option<&PathBuf>| {
                command.arg("solve").arg(&file);
                // One attempt of every step: the last answer, not the first one that happens to be right.
                command.args(["--model", model, "--halt", "max-steps", "--tries", "0", "--backend", engine, "--json"]);
                if let Some(library) = library {
                    command.env("ORT_DYLIB_PATH", library);
                }
                answers(&mut command)
            };
            let here = solve(Command::new(&native), library.map(|(here, _)| here))?;
            let started = Instant::now();
            let there = solve(emulator.command(&emulated), library.map(|(_, there)| there))?;
            let seconds = started.elapsed().as_secs_f64();
            let difference = compare(&here, &there).with_context(|| format!("{model} on {engine}"))?;
            println!("| {model} | {engine} | {} | all | {difference:.1e} | {seconds:.0} |", here.len());
        }
    }
    Ok(())
}

/// Puzzles in a file, as `trm solve` reads them.
fn generate(trm: &Path, kind: &str, size: &str, count: usize, file: &Path) -> Result<()> {
    let count = count.to_string();
    let mut command = Command::new(trm);
    command.args(["generate", kind, "--size", size, "--count", &count, "--seed", SEED]);
    let text = process::output(&mut command)?;
    std::fs::create_dir_all(cache())?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// Answers and halting logits, a puzzle each. A wrong answer is an answer.
fn answers(command: &mut Command) -> Result<Vec<(String, f64)>> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start trm")?;
    ensure!(matches!(output.status.code(), Some(0 | 1)), "trm solve ended with {}", output.status);
    let line = |line: &str| {
        let report: Value = serde_json::from_str(line)?;
        let answer = report["answer"].as_str().context("a report without an answer")?.to_owned();
        Ok((answer, report["q_halt"].as_f64().context("a report without q_halt")?))
    };
    String::from_utf8_lossy(&output.stdout).lines().map(line).collect()
}

/// The largest difference of the logits. Another answer, a missing one, or a logit that is further off than the tolerance
/// is an error.
fn compare(here: &[(String, f64)], there: &[(String, f64)]) -> Result<f64> {
    ensure!(!here.is_empty() && here.len() == there.len(), "{} answers here, {} there", here.len(), there.len());
    let mut largest = 0.0_f64;
    for (number, ((answer, q_halt), (other, other_q_halt))) in here.iter().zip(there).enumerate() {
        let number = number + 1;
        ensure!(answer == other, "puzzle {number}: another answer\nhere  {answer}\nthere {other}");
        let difference = (q_halt - other_q_halt).abs();
        ensure!(
            difference <= TOLERANCE * q_halt.abs().max(1.0),
            "puzzle {number}: q_halt {q_halt} here, {other_q_halt} there, more than {TOLERANCE:.0e} of its size apart"
        );
        largest = largest.max(difference);
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(list: &[(&str, f64)]) -> Vec<(String, f64)> {
        list.iter().map(|(answer, q_halt)| ((*answer).to_owned(), *q_halt)).collect()
    }

    #[test]
    fn answers_must_be_equal_and_logits_near() {
        let here = answers(&[("1234", 8.0), ("4321", -0.5)]);
        let near = compare(&here, &answers(&[("1234", 8.0004), ("4321", -0.50005)])).unwrap();
        assert!((near - 4e-4).abs() < 1e-9, "{near}");
        for (there, message) in [
            (answers(&[("1234", 8.0), ("4322", -0.5)]), "puzzle 2: another answer"),
            (answers(&[("1234", 8.001), ("4321", -0.5)]), "puzzle 1: q_halt 8"),
            (answers(&[("1234", f64::NAN), ("4321", -0.5)]), "puzzle 1: q_halt 8"),
            (answers(&[("1234", 8.0)]), "2 answers here, 1 there"),
        ] {
            let error = compare(&here, &there).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        }
        assert!(compare(&[], &[]).is_err(), "nothing was compared");
    }
}
