//! `fuzz-smoke`: gives every reader inputs for some seconds each, on a stable compiler.
//!
//! Each reader runs in a process of its own, which is watched: a panic, more than two seconds for one input or more than
//! [`watch::MOST_MEMORY`] is a failure, and the input is written to a file. An input follows from corpus, seed and number,
//! so that what has killed its reader is made again by the watcher. Exit code 1 if there was a failure.

mod watch;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;
use trm_cli::{console, errln, outln};
use trm_fuzz::{TARGETS, Target};

const USAGE: &str = "\
usage: fuzz-smoke [OPTION…] [READER…]

  --seconds S     for each reader (default 3)
  --seed N        of the inputs (default 1)
  --jobs N        readers at once (default: the machine's cores)
  --corpus DIR    seeds, a folder for each reader (default fuzz/corpus)
  --failures DIR  where failing inputs are written (default target/fuzz-failures)
  --file FILE     gives one reader this file, here, and nothing else
";

/// The options of a run.
struct Options {
    seconds: f64,
    seed: u64,
    jobs: usize,
    corpus: PathBuf,
    failures: PathBuf,
    file: Option<PathBuf>,
    /// The file in which a worker tells the input it is at; the process is a worker if this is given.
    progress: Option<PathBuf>,
    targets: Vec<&'static Target>,
}

fn main() -> ExitCode {
    let ended = run().and_then(|failures| Ok(console::flush().map(|()| failures)?));
    match ended {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            errln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for and tells how many readers failed.
fn run() -> Result<usize> {
    let Some(options) = parse()? else {
        outln!("{}", USAGE.trim_end())?;
        return Ok(0);
    };
    match (&options.progress, &options.file, options.targets.as_slice()) {
        (Some(progress), _, [target]) => worker::work(target, &options, progress).map(|()| 0),
        (None, Some(file), [target]) => {
            let data = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            outln!("{}", if target.run(&data) { "accepted" } else { "refused" })?;
            Ok(0)
        }
        (Some(_), ..) | (_, Some(_), _) => bail!("--file takes one reader"),
        _ => watch_all(&options),
    }
}

/// Watches the readers, some at once, and prints a line for each.
fn watch_all(options: &Options) -> Result<usize> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, options.targets.len()) {
            scope.spawn(|| {
                while let Some(target) = options.targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = watch::watch(target, options);
                    // Nothing panics while it holds the list.
                    rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((target.name, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by_key(|(name, _)| TARGETS.iter().position(|target| target.name == *name));
    outln!("| reader | inputs | accepted | slowest, ms | peak, MiB |\n| --- | ---: | ---: | ---: | ---: |")?;
    let (mut inputs, mut failures) = (0, 0);
    for (name, row) in rows {
        let row = row.with_context(|| format!("{name} was not tested"))?;
        inputs += row.inputs;
        let (slowest, peak) = (row.slowest.as_secs_f64() * 1e3, row.peak >> 20);
        outln!("| {name} | {} | {} | {slowest:.0} | {peak} |", row.inputs, row.accepted)?;
        if let Some(failure) = row.failure {
            failures += 1;
            errln!("error: {name}: {failure}");
        }
    }
    outln!("\n{inputs} inputs, {failures} readers failed, seed {}", options.seed)?;
    Ok(failures)
}

/// The options; `None` if help was asked for.
fn parse() -> Result<Option<Options>> {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default();
    let mut options = Options {
        seconds: 3.0,
        seed: 1,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        corpus: fuzz.join("corpus"),
        failures: fuzz.join("../target/fuzz-failures"),
        file: None,
        progress: None,
        targets: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("jobs") => options.jobs = parser.value()?.parse()?,
            Long("corpus") => options.corpus = parser.value()?.into(),
            Long("failures") => options.failures = parser.value()?.into(),
            Long("file") => options.file = Some(parser.value()?.into()),
            Long("progress") => options.progress = Some(parser.value()?.into()),
            Value(name) => {
                let name = name.string()?;
                let known = || TARGETS.map(|target| target.name).join(", ");
                options
                    .targets
                    .push(trm_fuzz::find(&name).with_context(|| format!("no reader {name}; there are {}", known()))?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if !(0.1..=86_400.0).contains(&options.seconds) {
        bail!("--seconds {}: from 0.1 to 86400", options.seconds);
    }
    if options.targets.is_empty() {
        options.targets = TARGETS.iter().collect();
    }
    Ok(Some(options))
}
