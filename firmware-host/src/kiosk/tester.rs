//! Tests a model in a process of its own, with limits of memory and time: what a model does to its tester, it does not do
//! to the kiosk.
//!
//! The program starts itself again with a hidden command, which calls [`test_here`]. The child limits itself before it reads
//! anything, and dies with its parent: its standard input is a pipe that ends then.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trm_engine::SessionOptions;
use trm_engine::registry;
use trm_intake::{Fault, Printable, with_causes};
use trm_models::{GraphKind, ModelBundle, TrustedKey};
use trm_solver::measure::selftest;

use super::models::{NotPassed, SelfTest};

/// The tester's exit code for a model that it could test and that failed.
const FAILED: u8 = 1;
/// Time between looks at a tester.
const POLL: Duration = Duration::from_millis(20);
/// Bytes of a tester's words that are kept.
const MOST_SAID: u64 = 8 << 10;

/// Limits of a tester.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestLimits {
    /// Bytes of address space, besides six times the size of the bundle. A thread that allocates reserves 64 MiB of it.
    pub memory: u64,
    /// Time on the wall; and twice that on each processor.
    pub time: Duration,
}

impl Default for TestLimits {
    fn default() -> Self {
        Self { memory: 2 << 30, time: Duration::from_mins(2) }
    }
}

/// Tests models in child processes, after it has verified who signed them.
#[derive(Debug, Clone)]
pub struct ChildTest {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: TestLimits,
    trust: Vec<TrustedKey>,
}

impl ChildTest {
    /// With the program and arguments that test the bundle whose folder, memory in bytes and seconds follow. Where keys are
    /// trusted, a model must be signed with one of them.
    #[must_use]
    pub fn new(
        program: PathBuf,
        arguments: impl IntoIterator<Item = &'static str>,
        limits: TestLimits,
        trust: Vec<TrustedKey>,
    ) -> Self {
        Self { program, arguments: arguments.into_iter().map(OsString::from).collect(), limits, trust }
    }

    fn start(&self, folder: &Path, memory: u64) -> io::Result<(Child, io::PipeReader)> {
        let (reader, writer) = io::pipe()?;
        #[expect(clippy::disallowed_methods, reason = "a model under test runs in a process of its own")]
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(folder)
            .arg(memory.to_string())
            .arg(self.limits.time.as_secs().max(1).to_string())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        Ok((child, reader))
    }
}

impl SelfTest for ChildTest {
    fn trusts(&self, bundle: &ModelBundle) -> Result<(), Fault> {
        if self.trust.is_empty() {
            return Ok(());
        }
        bundle.verify_signature(&self.trust).map(drop).map_err(|error| Fault::of(&error))
    }

    fn run(&self, bundle: &ModelBundle, stop: &AtomicBool) -> Result<(), NotPassed> {
        let Some(folder) = bundle.folder() else {
            return Err(NotPassed::NotTested("it is in no folder".into()));
        };
        let manifest = bundle.manifest();
        let hashes = manifest.file_names().filter_map(|name| manifest.hash(name));
        let size = hashes.fold(0_u64, |sum, hash| sum.saturating_add(hash.bytes));
        let memory = self.limits.memory.saturating_add(size.saturating_mul(6));
        let not_tested =
            |error: &io::Error| NotPassed::NotTested(format!("its tester cannot be started: {error}").into());
        let (mut child, said) = self.start(folder, memory).map_err(|error| not_tested(&error))?;
        // Read on its own, so that a child which says more than a pipe holds is not held up.
        let said = thread::spawn(move || listen(said));
        let ended = wait(&mut child, self.limits.time, stop);
        if !matches!(ended, Ok(Ended::Exited(_))) {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
        }
        let said = said.join().unwrap_or_default();
        match ended {
            Ok(Ended::Exited(status)) => judge(status, said.trim(), memory, self.limits.time),
            Ok(Ended::TimedOut) => {
                Err(NotPassed::EndedItsTester(format!("it did not end within {} s", self.limits.time.as_secs())))
            }
            Ok(Ended::BrokenOff) => Err(NotPassed::BrokenOff),
            Err(error) => Err(not_tested(&error)),
        }
    }
}

enum Ended {
    Exited(ExitStatus),
    TimedOut,
    BrokenOff,
}

fn wait(child: &mut Child, time: Duration, stop: &AtomicBool) -> io::Result<Ended> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exited(status));
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(Ended::BrokenOff);
        }
        if started.elapsed() >= time {
            return Ok(Ended::TimedOut);
        }
        thread::sleep(POLL);
    }
}

/// The beginning of what a child says; the rest is passed over.
fn listen(mut said: io::PipeReader) -> String {
    let mut kept = Vec::new();
    // A pipe that breaks has said what it had to say.
    let _ = (&mut said).take(MOST_SAID).read_to_end(&mut kept);
    let _ = io::copy(&mut said, &mut io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}

fn judge(status: ExitStatus, said: &str, memory: u64, time: Duration) -> Result<(), NotPassed> {
    if status.success() {
        return Ok(());
    }
    if status.code() == Some(i32::from(FAILED)) {
        return Err(NotPassed::Failed(Printable(said).to_string()));
    }
    let essence = essence(said);
    let said_so = if essence.is_empty() { String::new() } else { format!(": {}", Printable(essence)) };
    // Of Rust's allocator, of an engine's and of the C library.
    let out_of_memory = ["memory allocation of", "failed to allocate", "out of memory", "Cannot allocate memory"];
    Err(NotPassed::EndedItsTester(match signal(status) {
        _ if out_of_memory.iter().any(|words| said.contains(words)) => {
            format!("out of memory, of which it may have {} MiB{said_so}", memory >> 20)
        }
        Some((_, "SIGXCPU")) => format!("it took more than {} s of processor time", cpu_seconds(time)),
        Some((number, name)) => format!("it was killed by signal {number} ({name}){said_so}"),
        None => format!("it ended with exit code {}{said_so}", status.code().unwrap_or(-1)),
    }))
}

/// The message of a panic, which follows its place; else the first line.
fn essence(said: &str) -> &str {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    if first.contains(" panicked at ") { lines.next().unwrap_or(first) } else { first }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<(i32, &'static str)> {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    let number = status.signal()?;
    let named = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    let name = named.iter().find(|(signal, _)| signal.as_raw() == number).map_or("another", |(_, name)| name);
    Some((number, name))
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<(i32, &'static str)> {
    None
}

/// Tests a bundle in this process, which is given limits first: on the engine that the kiosk solves with, its own sample
/// gives its own answer.
///
/// # Errors
/// The reason, when it fails.
pub fn test_here(folder: &Path, memory: u64, seconds: u64) -> Result<(), String> {
    thread::spawn(|| {
        // Nothing is ever written: it ends with the parent, and then nobody wants to know any more.
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(i32::from(FAILED));
    });
    limit_this_process(memory, Duration::from_secs(seconds)).map_err(|error| format!("cannot set limits: {error}"))?;
    let bundle = ModelBundle::open(folder).map_err(|error| with_causes(&error))?;
    let engine = (registry::default().open)(None).map_err(|error| with_causes(&error))?;
    match selftest::run(engine.as_ref(), &bundle, GraphKind::Step, &SessionOptions::default()) {
        Ok(report) if report.passed => Ok(()),
        Ok(report) => Err(report.to_string()),
        Err(error) => Err(with_causes(&error)),
    }
}

/// Seconds on all processors together.
fn cpu_seconds(time: Duration) -> u64 {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    time.as_secs().max(1).saturating_mul(processors.saturating_mul(2))
}

#[cfg(unix)]
fn limit_this_process(memory: u64, time: Duration) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let lower = |resource, limit: u64, hard: u64| {
        let maximum = getrlimit(resource).maximum.map_or(hard, |maximum| maximum.min(hard));
        setrlimit(resource, Rlimit { current: Some(limit.min(maximum)), maximum: Some(maximum) })
    };
    lower(Resource::As, memory, memory)?;
    // The first limit sends a signal of its own, the second one kills.
    let seconds = cpu_seconds(time);
    lower(Resource::Cpu, seconds, seconds.saturating_add(5))?;
    // A core file of gigabytes would fill the disk.
    lower(Resource::Core, 0, 0)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Where the whole machine runs out of memory, the tester goes first. Not every system lets one say so.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "systems with limits may refuse them")]
fn limit_this_process(_: u64, _: Duration) -> io::Result<()> {
    Ok(())
}
