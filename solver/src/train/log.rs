//! What was measured during a run, one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use trm_intake::{Budget, Limits};
use trm_models::file::{read_within, write_atomically};

use crate::{Result, SolverError};

/// A million records and more.
const LIMITS: Limits = Limits { bytes: 256 << 20, items: 0, depth: 0, time: None };

/// A line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// Means over the steps since the last such line.
    Train(TrainRecord),
    /// The moving-average weights on held-out puzzles.
    Eval(EvalRecord),
}

impl Record {
    /// The optimiser step it was written after.
    #[must_use]
    pub fn step(&self) -> u64 {
        match self {
            Self::Train(record) => record.step,
            Self::Eval(record) => record.step,
        }
    }
}

/// How training goes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainRecord {
    /// Optimiser steps done.
    pub step: u64,
    /// Rows that went through a supervision step.
    pub samples: u64,
    /// Learning rate.
    pub lr: f64,
    /// The loss that was differentiated.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Cross entropy over the labelled cells.
    #[serde(deserialize_with = "nan_if_null")]
    pub lm_loss: f64,
    /// The halting head's loss.
    #[serde(deserialize_with = "nan_if_null")]
    pub q_loss: f64,
    /// Share of finished puzzles that were entirely right.
    pub exact: Option<f64>,
    /// Share of their cells that were right.
    pub cell: Option<f64>,
    /// ACT steps of finished puzzles, on average.
    pub steps: Option<f64>,
    /// Global norm of the gradients.
    pub grad_norm: Option<f64>,
    /// Rows a second.
    pub samples_per_s: f64,
    /// Billion operations a second.
    pub gflops: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvalRecord {
    /// Optimiser steps done.
    pub step: u64,
    /// Share of exact answers.
    pub exact: f64,
    /// Lower end of its 95 % interval.
    pub exact_low: f64,
    /// Upper end.
    pub exact_high: f64,
    /// Share of cells that are right.
    pub cell: f64,
    /// Share of answers that the rules accept, where they can tell.
    pub valid: Option<f64>,
    /// Puzzles.
    pub n: usize,
    /// Seconds of training.
    pub seconds: f64,
}

/// JSON has no NaN: it is written as null.
fn nan_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// A log that is being written.
#[derive(Debug)]
pub struct TrainLog {
    path: PathBuf,
    file: File,
}

impl TrainLog {
    /// Opens the log to go on after `step`: lines of later steps, which the resumed run writes again, and a last line
    /// that a crash has torn are cut off. A log that is not there begins empty.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        if path.exists() {
            let kept = read(path)?.into_iter().filter(|record| record.step() <= step);
            let mut text = String::new();
            for record in kept {
                text.push_str(&line(path, &record)?);
            }
            write_atomically(path, |file| file.write_all(text.as_bytes()))?;
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(path).map_err(SolverError::run_io("open", path))?;
        file.seek(SeekFrom::End(0)).map_err(SolverError::run_io("open", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends a line, whole and at once.
    pub fn write(&mut self, record: &Record) -> Result<()> {
        let text = line(&self.path, record)?;
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(SolverError::run_io("write", &self.path))
    }
}

fn line(path: &Path, record: &Record) -> Result<String> {
    let mut text = serde_json::to_string(record).map_err(|error| SolverError::run_io("write", path)(error.into()))?;
    text.push('\n');
    Ok(text)
}

/// All records of a log. A last line without its end, which a crash leaves, is passed over.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let bytes = read_within(path, &mut Budget::new(LIMITS), "log of a run")?;
    // Without the torn rest: everything behind the last line end.
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(&bytes[..0], |end| &bytes[..end]);
    let lines = whole.split(|&byte| byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty());
    lines
        .map(|(line, number)| {
            serde_json::from_slice(line).map_err(|error| SolverError::RunFolder {
                path: path.to_owned(),
                reason: format!("line {number} is no record of a run: {error}"),
                hint: "delete that line: the log is for people, training does not need it".to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(step: u64) -> Record {
        Record::Train(TrainRecord { step, loss: 0.5, exact: Some(0.25), ..TrainRecord::default() })
    }

    fn eval(step: u64) -> Record {
        Record::Eval(EvalRecord { step, exact: 0.5, n: 100, ..EvalRecord::default() })
    }

    #[test]
    fn a_resumed_log_ends_at_its_checkpoint() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log.jsonl");
        let mut log = TrainLog::open(&path, 0).expect("new");
        let records = [train(10), eval(10), train(20), train(30), eval(30)];
        for record in &records {
            log.write(record).expect("written");
        }
        assert_eq!(read(&path).expect("readable"), records);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(text.starts_with("{\"kind\":\"train\",\"step\":10,\"samples\":0,"), "{text}");

        // Torn anywhere, the whole lines are read.
        let torn = text.len() - text.lines().last().expect("lines").len() - 1;
        for end in torn..text.len() {
            std::fs::write(&path, &text[..end]).expect("writable");
            assert_eq!(read(&path).expect("readable"), records[..4], "cut at {end}");
        }
        let mut log = TrainLog::open(&path, 20).expect("resumed");
        log.write(&train(25)).expect("written");
        assert_eq!(read(&path).expect("readable"), [train(10), eval(10), train(20), train(25)]);
    }

    #[test]
    fn a_loss_that_is_no_number_comes_back_as_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log.jsonl");
        let mut log = TrainLog::open(&path, 0).expect("new");
        log.write(&Record::Train(TrainRecord { step: 3, loss: f64::NAN, ..TrainRecord::default() })).expect("written");
        let records = read(&path).expect("readable");
        assert!(matches!(records[0], Record::Train(TrainRecord { step: 3, loss, .. }) if loss.is_nan()), "{records:?}");
    }

    #[test]
    fn a_line_that_is_no_record_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log.jsonl");
        std::fs::write(&path, "{\"kind\":\"eval\",\"step\":1}\nhello\n").expect("writable");
        let text = read(&path).expect_err("no record").to_string();
        assert!(
            text.contains("log.jsonl: line 2 is no record of a run: ") && text.contains("\nhint: delete"),
            "{text}"
        );
    }
}
