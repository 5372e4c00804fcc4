//! The process that watches a reader: its time at an input, its memory, its end.
#![expect(clippy::disallowed_methods, reason = "each reader runs in a process of its own")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use trm_engine::machine::peak_memory;
use trm_fuzz::{Target, mutate};

use super::Options;

/// Most memory of a process that reads, bytes. A photograph of 40 million pixels, which is allowed, takes half of it.
pub(super) const MOST_MEMORY: u64 = 512 << 20;

/// Most address space of a process, in units of 1024 bytes: an allocation of that size fails at once, before it is touched.
const MOST_ADDRESSES: u64 = 8 << 20;

/// Longest time for an input: of the processor, so that a busy machine makes no failures.
const MOST_TIME: Duration = Duration::from_secs(2);

/// Longest time for an input on the wall, after which it waits for something that does not come.
const MOST_WAITING: Duration = Duration::from_mins(1);

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// The outcome of a reader.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) inputs: u64,
    pub(super) accepted: u64,
    pub(super) slowest: Duration,
    /// Bytes.
    pub(super) peak: u64,
    pub(super) failure: Option<String>,
}

/// Runs a reader in a process of its own.
pub(super) fn watch(target: &Target, options: &Options) -> Result<Row> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let (progress, errors) = (folder.path().join("progress"), folder.path().join("errors"));
    let mut process = start(target, options, &progress, &errors)?;
    let (mut peak, mut number, mut since) = (0, None, (Instant::now(), Duration::ZERO));
    let broken = loop {
        let ended = process.try_wait().context("cannot wait for the reader")?.is_some();
        peak = peak.max(peak_memory(process.id()).unwrap_or(0));
        let (now, used) = (announced(&progress), processor_time(process.id()));
        if now != number {
            (number, since) = (now, (Instant::now(), used));
        }
        if ended {
            break None;
        }
        if used.saturating_sub(since.1) > MOST_TIME || since.0.elapsed() > MOST_WAITING {
            break Some(format!("takes more than {MOST_TIME:?}"));
        }
        if peak > MOST_MEMORY {
            break Some(format!("takes {} MiB, more than {}", peak >> 20, MOST_MEMORY >> 20));
        }
        std::thread::sleep(INTERVAL);
    };
    if broken.is_some() {
        process.kill().context("cannot end the reader")?;
    }
    let output = process.wait_with_output().context("cannot wait for the reader")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if let (None, true, &[inputs, accepted, slowest]) = (&broken, output.status.success(), numbers.as_slice()) {
        return Ok(Row { inputs, accepted, slowest: Duration::from_micros(slowest), peak, failure: None });
    }
    let said = fs::read_to_string(&errors).unwrap_or_default();
    let why = broken.unwrap_or_else(|| format!("ended with {}: {}", output.status, last_words(&said)));
    let number = number.with_context(|| format!("{} did not begin: {why}", target.name))?;
    let file = keep(target, options, number)?;
    let failure = format!("input {number} {why}\n  repeat: fuzz-smoke --file {} {}", file.display(), target.name);
    Ok(Row { inputs: number, accepted: 0, slowest: since.0.elapsed(), peak, failure: Some(failure) })
}

fn start(target: &Target, options: &Options, progress: &Path, errors: &Path) -> Result<Child> {
    let program = std::env::current_exe().context("cannot tell the path of this program")?;
    let mut command = if cfg!(unix) {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -v {MOST_ADDRESSES}; exec \"$0\" \"$@\"")]).arg(program);
        shell
    } else {
        Command::new(program)
    };
    command
        .arg(target.name)
        .args(["--seconds", &options.seconds.to_string(), "--seed", &options.seed.to_string()])
        .arg("--corpus")
        .arg(&options.corpus)
        .arg("--progress")
        .arg(progress)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(errors).context("cannot keep what the reader says")?);
    command.spawn().context("cannot start the reader")
}

/// The number of the input that is being read.
fn announced(progress: &Path) -> Option<u64> {
    let bytes = fs::read(progress).ok()?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Time of the processor that a process has had; zero where the system does not say.
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may have blanks: the 12th and 13th word are ticks of 10 ms, in the program and in the kernel.
    let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = words.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// The message of a panic, or the last line.
fn last_words(errors: &str) -> String {
    // Rust's own notes on how to get a trace are none.
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    let lines: Vec<&str> = errors.lines().filter(said).collect();
    let at = lines.iter().position(|line| line.contains("panicked at")).unwrap_or(lines.len().saturating_sub(1));
    lines.iter().skip(at).take(2).copied().collect::<Vec<_>>().join(" ")
}

/// Makes the input again, and writes it to a file.
fn keep(target: &Target, options: &Options, number: u64) -> Result<PathBuf> {
    let data = mutate::input(&mutate::corpus(&options.corpus.join(target.name))?, options.seed, number);
    fs::create_dir_all(&options.failures).with_context(|| format!("cannot create {}", options.failures.display()))?;
    let file = options.failures.join(format!("{}-{}-{number}", target.name, options.seed));
    fs::write(&file, data).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
