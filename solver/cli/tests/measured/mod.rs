//! Bombs: inputs made to take memory or time, each given to the real program in a process of its own, whose peak memory
//! and processor time are measured. Linux only: elsewhere nothing tells the peak of another process.
//!
//! GNU time gives both exactly; where it is not installed, `/proc/PID/status` is looked at every millisecond, and what is
//! taken in the last one goes unseen.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![expect(clippy::print_stdout, reason = "figures for whoever looks at the test")]
#![allow(dead_code, reason = "not every test that measures needs all of it")]

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The most memory that a refusal may take, in MiB.
const MOST_MIB: f64 = 200.0;
/// The most time of the processor.
const MOST_CPU: Duration = Duration::from_secs(2);
/// Time after which a bomb is ended. A busy machine is no fault of the program's.
const PATIENCE: Duration = Duration::from_mins(1);

const GNU_TIME: &str = "/usr/bin/time";

/// An input, what makes it, and what the program has to say to it.
pub(crate) struct Bomb {
    /// Its name in the table.
    name: String,
    /// Makes it in an empty folder, in which the program then runs.
    make: Box<dyn Fn(&Path)>,
    args: Vec<String>,
    /// Standard input is this file of the folder.
    stdin: Option<&'static str>,
    /// A part of the message.
    says: &'static str,
}

/// The resources that a run took.
struct Taken {
    code: Option<i32>,
    peak_mib: f64,
    cpu: Duration,
    stderr: String,
}

/// A bomb that is refused: exit code 2, and a message that has `says` in it. `line` is the command line after the
/// program's name.
pub(crate) fn bomb(name: &str, line: &str, says: &'static str, make: impl Fn(&Path) + 'static) -> Bomb {
    Bomb {
        name: name.to_owned(),
        make: Box::new(make),
        args: line.split_whitespace().map(str::to_owned).collect(),
        stdin: None,
        says,
    }
}

/// A bomb that is a file: it repeats a piece up to `length` bytes, between a beginning and an end.
pub(crate) fn filled(name: &str, line: &str, file: &str, parts: [&str; 3], length: usize, says: &'static str) -> Bomb {
    let (file, [before, piece, after]) = (file.to_owned(), parts.map(str::to_owned));
    bomb(name, line, says, move |folder| repeated(&folder.join(&file), &before, &piece, &after, length))
}

/// An option that is refused.
pub(crate) fn option(line: &str, says: &'static str) -> Bomb {
    bomb(line, line, says, |_| ())
}

impl Bomb {
    /// Given on standard input, out of this file of the folder.
    pub(crate) fn on_stdin(self, file: &'static str) -> Self {
        Self { stdin: Some(file), ..self }
    }

    fn go_off(&self, program: &str) -> Taken {
        let folder = tempfile::tempdir().expect("a folder");
        (self.make)(folder.path());
        let figures = folder.path().join("figures");
        let log = folder.path().join("stderr");
        let timed = Path::new(GNU_TIME).is_file();
        let mut command = Command::new(if timed { GNU_TIME } else { program });
        if timed {
            command.args(["--quiet", "--format", "%M %U %S", "--output"]).arg(&figures).arg(program);
        }
        let stdin =
            self.stdin.map_or_else(Stdio::null, |file| File::open(folder.path().join(file)).expect(file).into());
        let mut child = command
            .args(&self.args)
            .current_dir(folder.path())
            .stdin(stdin)
            .stdout(File::create(folder.path().join("stdout")).expect("a file"))
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("the program starts");
        let (code, mut peak_mib, mut cpu) = watch(&mut child);
        if let Some((peak, time)) = std::fs::read_to_string(&figures).ok().as_deref().and_then(parse_figures) {
            (peak_mib, cpu) = (peak, time);
        }
        let stderr = String::from_utf8_lossy(&std::fs::read(&log).expect("a log")).into_owned();
        Taken { code, peak_mib, cpu, stderr }
    }

    /// Complaints about how it was taken.
    fn complaints(&self, taken: &Taken) -> Vec<String> {
        let mut wrong = Vec::new();
        if taken.code != Some(2) {
            wrong.push(format!("exit code {:?}, expected 2", taken.code));
        }
        if taken.peak_mib > MOST_MIB {
            wrong.push(format!("{:.0} MiB", taken.peak_mib));
        }
        if taken.cpu > MOST_CPU {
            wrong.push(format!("{:.1} s of the processor", taken.cpu.as_secs_f64()));
        }
        if !taken.stderr.contains(self.says) {
            wrong.push(format!("it does not say `{}`", self.says));
        }
        if taken.stderr.len() > 4_000 {
            wrong.push(format!("a message of {} bytes", taken.stderr.len()));
        }
        wrong
    }
}

/// Lets every bomb go off, prints what each took, and fails with all that were not refused as they should be.
pub(crate) fn all(program: &str, bombs: &[Bomb]) {
    println!("{:<72} {:>4} {:>8} {:>7}", "bomb", "exit", "peak MiB", "cpu ms");
    let mut wrong = String::new();
    for bomb in bombs {
        let taken = bomb.go_off(program);
        let code = taken.code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        println!("{:<72} {code:>4} {:>8.1} {:>7}", bomb.name, taken.peak_mib, taken.cpu.as_millis());
        let complaints = bomb.complaints(&taken);
        if !complaints.is_empty() {
            let said: String = taken.stderr.chars().take(400).collect();
            let _ = writeln!(wrong, "{}: {}\n    {}", bomb.name, complaints.join("; "), said.replace('\n', "\n    "));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Waits for the end; what is not over by then is ended. Exit code, peak in MiB and time of the processor, as far as they
/// can be seen from outside.
fn watch(child: &mut Child) -> (Option<i32>, f64, Duration) {
    let begin = Instant::now();
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let (mut peak, mut cpu) = (0.0_f64, Duration::ZERO);
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return (status.code(), peak, cpu);
        }
        if begin.elapsed() > PATIENCE {
            for child in children(child.id()) {
                let _ = Command::new("kill").args(["-KILL", &child]).status();
            }
            let _ = child.kill();
            let _ = child.wait();
            return (None, peak, cpu.max(PATIENCE));
        }
        let read = |name: &str| std::fs::read_to_string(proc.join(name)).unwrap_or_default();
        let status = read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        peak = peak.max(kib.unwrap_or(0.0) / 1024.0);
        // Fields 14 and 15, counted behind the name in brackets: user and system time in hundredths.
        let stat = read("stat");
        let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let hundredths: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        cpu = cpu.max(Duration::from_millis(10 * hundredths));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<String> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().map(str::to_owned).collect()
}

/// GNU time's figures: KiB, then seconds in the program and in the kernel.
fn parse_figures(text: &str) -> Option<(f64, Duration)> {
    let numbers: Vec<f64> = text.lines().last()?.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let &[kib, user, system] = &numbers[..] else { return None };
    Some((kib / 1024.0, Duration::from_secs_f64(user + system)))
}

/// Writes a file that repeats `piece` up to `length` bytes, between a beginning and an end.
pub(crate) fn repeated(path: &Path, before: &str, piece: &str, after: &str, length: usize) {
    use std::io::Write as _;
    let mut file = std::io::BufWriter::new(File::create(path).expect("a file"));
    file.write_all(before.as_bytes()).expect("written");
    let piece = if piece.is_empty() { " " } else { piece };
    let block = piece.repeat((1 << 20) / piece.len() + 1);
    let mut left = length.saturating_sub(before.len() + after.len()) / piece.len() * piece.len();
    while left > 0 {
        let count = left.min(block.len());
        file.write_all(&block.as_bytes()[..count]).expect("written");
        left -= count;
    }
    file.write_all(after.as_bytes()).expect("written");
    file.flush().expect("written");
}

/// Makes a file so long; what is added holds nothing and takes none of the disk.
pub(crate) fn sparse(path: &Path, length: u64) {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    file.and_then(|file| file.set_len(length)).expect("a file");
}

/// The checksum of a PNG's chunk, of its kind and its data.
pub(crate) fn png_checksum(bytes: &[u8]) -> [u8; 4] {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    });
    (!crc).to_be_bytes()
}
