//! The log of what was measured during a run, one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use trm_intake::file::{read_within, write_atomically};
use trm_intake::{Budget, Limits, Printable};

use crate::{Result, TrainError};

/// A million records and more.
const LIMITS: Limits = Limits { bytes: 256 << 20, items: 0, depth: 0, time: None };

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Figures of training.
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

/// An evaluation's part of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The task with its size.
    pub task: String,
    /// Share of exact answers.
    pub exact: f64,
    /// Share of answers that the rules accept, where they can tell.
    pub valid: Option<f64>,
    /// Puzzles.
    pub n: usize,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
    /// Each size's part, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_task: Vec<TaskRecord>,
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
    warnings: Vec<String>,
}

impl TrainLog {
    /// Opens the log to go on after `step`: lines of later steps, which the resumed run writes again, and a last line
    /// that a crash has torn are cut off. A log that is not there begins empty. The log is for people, and training does not
    /// need it: damaged lines are left out, with a warning and a copy of the log as it was beside it.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] if the log cannot be read or written, or is larger than 256 MiB.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let mut warnings = Vec::new();
        if path.exists() {
            let bytes = read_within(path, &mut Budget::new(LIMITS), "log of a run")?;
            let (records, damaged) = parse(&bytes);
            if let Some(first) = damaged.first() {
                let copy = set_aside(path, &bytes)?;
                let more = damaged.len() - 1;
                let more = if more == 0 { String::new() } else { format!(", and {more} more") };
                warnings.push(format!(
                    "{}: {first}{more}; training goes on without, and the log as it was is kept as {}",
                    path.display(),
                    copy.display()
                ));
            }
            let mut text = String::new();
            for record in records.into_iter().filter(|record| record.step() <= step) {
                text.push_str(&line(path, &record)?);
            }
            write_atomically(path, |file| file.write_all(text.as_bytes()))?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(TrainError::io("open", path))?;
        file.seek(SeekFrom::End(0)).map_err(TrainError::io("open", path))?;
        Ok(Self { path: path.to_owned(), file, warnings })
    }

    /// Faults of the log that was there, to be told to the user.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Appends a line, whole and at once.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] if it cannot be written.
    pub fn write(&mut self, record: &Record) -> Result<()> {
        let text = line(&self.path, record)?;
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(TrainError::io("write", &self.path))
    }
}

fn line(path: &Path, record: &Record) -> Result<String> {
    let mut text = serde_json::to_string(record).map_err(|error| TrainError::io("write", path)(error.into()))?;
    text.push('\n');
    Ok(text)
}

/// All records of a log. A last line without its end, which a crash leaves, and damaged lines are passed over; of these
/// [`TrainLog::open`] warns.
///
/// # Errors
///
/// [`TrainError::File`] if the log cannot be read, or is larger than 256 MiB.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let bytes = read_within(path, &mut Budget::new(LIMITS), "log of a run")?;
    Ok(parse(&bytes).0)
}

/// The records, and what is wrong with the other lines.
fn parse(bytes: &[u8]) -> (Vec<Record>, Vec<String>) {
    // Without the torn rest: everything behind the last line end.
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(&bytes[..0], |end| &bytes[..end]);
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    for (line, number) in whole.split(|&byte| byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            Err(error) => {
                // The parser repeats what it found, and its own "line 1" is this line.
                let reason = error.to_string();
                let reason = Printable(reason.split(" at line ").next().unwrap_or_default());
                damaged.push(format!("line {number} is no record of a run: {reason}"));
            }
        }
    }
    (records, damaged)
}

/// Keeps a log as it is beside it, in a file that does not take another one's place.
fn set_aside(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let name = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(".damaged");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let mut number = 1;
    while name(number).symlink_metadata().is_ok() {
        // A process that ended before it had mended the log has kept it already.
        if std::fs::read(name(number)).is_ok_and(|kept| kept == bytes) {
            return Ok(name(number));
        }
        number += 1;
    }
    write_atomically(&name(number), |file| file.write_all(bytes))?;
    Ok(name(number))
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
    fn a_damaged_line_is_left_out_and_nothing_is_lost() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log.jsonl");
        let mut log = TrainLog::open(&path, 0).expect("new");
        assert!(log.warnings().is_empty());
        for record in [train(10), eval(10), train(20)] {
            log.write(&record).expect("written");
        }
        let whole = std::fs::read(&path).expect("readable");
        let damage = |with: &[u8]| {
            let middle = whole.iter().position(|&byte| byte == b'\n').expect("lines") + 1;
            [&whole[..middle], with, &whole[middle..]].concat()
        };
        for (damage, lines, kept) in [
            (damage(b"hel\x1blo\n\xff\xfe\n"), ", and 1 more;", "log.jsonl.damaged"),
            (damage(b"{\"kind\":\"eval\",\"st\n"), "line 2 is no record of a run: ", "log.jsonl.damaged-2"),
            // As a process leaves it that ends before the log is mended.
            (damage(b"{\"kind\":\"eval\",\"st\n"), "line 2 is no record of a run: ", "log.jsonl.damaged-2"),
        ] {
            std::fs::write(&path, &damage).expect("writable");
            let mut log = TrainLog::open(&path, 20).expect("goes on");
            let [warning] = log.warnings() else { panic!("{:?}", log.warnings()) };
            assert!(warning.contains(lines) && warning.ends_with(kept), "{warning}");
            assert!(!warning.contains('\u{1b}'), "{warning}");
            assert_eq!(std::fs::read(dir.path().join(kept)).expect("kept"), damage);
            assert_eq!(std::fs::read(&path).expect("mended"), whole);
            log.write(&eval(20)).expect("written");
        }
        assert_eq!(read(&path).expect("readable"), [train(10), eval(10), train(20), eval(20)]);
        // Damaged while a run is at work: what reads the log for its curves goes on as well.
        std::fs::write(&path, damage(b"hello\n")).expect("writable");
        assert_eq!(read(&path).expect("readable"), [train(10), eval(10), train(20)]);
    }
}
