//! One side of the training bench as a process of its own, whose memory can be told from the other's.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::process::LineProcess;

/// A trainer that has loaded model and batches.
pub struct Trainer {
    process: LineProcess,
    /// PyTorch's version, or the name of our runtime.
    pub version: String,
}

/// The result of a run of steps.
#[derive(Debug, Deserialize)]
pub struct Steps {
    /// Seconds of each step.
    pub seconds: Vec<f64>,
    /// Loss of each step: summed over the batch, divided by its rows.
    pub losses: Vec<f64>,
}

#[derive(Deserialize)]
struct Ready {
    ready: String,
    threads: usize,
}

impl Trainer {
    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If the program does not start, cannot load the model, or runs on another number of threads.
    pub fn start(name: &'static str, command: &mut Command, threads: usize) -> Result<Self> {
        let mut process = LineProcess::start(name, command)?;
        let ready: Ready = process.receive().with_context(|| format!("{name} did not start"))?;
        ensure!(ready.threads == threads, "{name} runs on {} threads, asked for {threads}", ready.threads);
        Ok(Self { process, version: ready.ready })
    }

    /// Trains further steps.
    ///
    /// # Errors
    ///
    /// If the process is gone, or has run another number of steps.
    pub fn run(&mut self, steps: usize) -> Result<Steps> {
        let result: Steps = self.process.ask(&format!("run {steps}"))?;
        let counts = (result.seconds.len(), result.losses.len());
        ensure!(counts == (steps, steps), "{counts:?} steps were run instead of {steps}");
        Ok(result)
    }

    /// The most memory that it held since it started, in bytes, where the system tells.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        self.process.peak_memory()
    }
}
