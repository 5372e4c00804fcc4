//! The PyTorch side: a process of its own that runs steps when it is told to, so that rounds can be interleaved.
#![expect(clippy::disallowed_methods, reason = "it starts what it measures")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::process::LineProcess;

/// The Python program, beside this package.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/pytorch_step.py");

/// A model loaded by PyTorch, with the carry of one puzzle.
pub struct PyTorch {
    process: LineProcess,
    /// PyTorch's version.
    pub version: String,
}

/// The result of a run of steps.
#[derive(Debug, Deserialize)]
pub struct Steps {
    seconds: Vec<f64>,
    /// Argmax after the last step, `[seq]`.
    pub answer: Vec<i32>,
    /// Halting logit after the last step.
    pub q_halt: f32,
}

#[derive(Deserialize)]
struct Ready {
    ready: String,
    threads: usize,
}

#[derive(Deserialize)]
struct Accepted {
    seq_len: usize,
}

impl Steps {
    /// The time of each step.
    #[must_use]
    pub fn times(&self) -> Vec<Duration> {
        self.seconds.iter().map(|seconds| Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX)).collect()
    }
}

impl PyTorch {
    /// Starts the process with a configuration (JSON) and weights (safetensors). With `reference`, a checkout of the
    /// public code runs the steps instead of our own baseline.
    ///
    /// # Errors
    ///
    /// If Python does not start, cannot load the model, or runs on another number of threads.
    pub fn start(
        python: &OsStr,
        config: &Path,
        weights: &Path,
        threads: usize,
        reference: Option<&Path>,
    ) -> Result<Self> {
        let mut command = Command::new(python);
        command.arg(SCRIPT).arg("--serve").arg("--config").arg(config).arg("--weights").arg(weights);
        command.arg("--threads").arg(threads.to_string());
        if let Some(reference) = reference {
            command.arg("--reference").arg(reference);
        }
        let mut process = LineProcess::start("PyTorch", &mut command)?;
        let ready: Ready = process.receive().context("PyTorch did not start\nhint: run it by `cargo xtask bench`")?;
        ensure!(ready.threads == threads, "PyTorch runs on {} threads, asked for {threads}", ready.threads);
        Ok(Self { process, version: ready.ready })
    }

    /// Starts a puzzle over, `[seq]`.
    ///
    /// # Errors
    ///
    /// If the process is gone, or has read another number of tokens.
    pub fn start_puzzle(&mut self, tokens: &[i32]) -> Result<()> {
        let words: Vec<_> = tokens.iter().map(ToString::to_string).collect();
        let accepted: Accepted = self.process.ask(&format!("tokens {}", words.join(" ")))?;
        ensure!(accepted.seq_len == tokens.len(), "PyTorch read {} tokens of {}", accepted.seq_len, tokens.len());
        Ok(())
    }

    /// Runs steps from the current carry.
    ///
    /// # Errors
    ///
    /// If the process is gone, or has run another number of steps.
    pub fn run(&mut self, steps: usize) -> Result<Steps> {
        let result: Steps = self.process.ask(&format!("run {steps}"))?;
        ensure!(result.seconds.len() == steps, "PyTorch ran {} steps of {steps}", result.seconds.len());
        Ok(result)
    }
}
