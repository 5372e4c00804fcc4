//! Opening a library in a process of its own, before it is loaded into this one: what crashes, hangs or prints there does
//! so without taking the program with it.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use trm_intake::{Printable, explained};
use trm_onnx::write::encode;
use trm_onnx::{Constant, DType, Dim, GraphBuilder, TensorType};

use super::FoundLibrary;
use super::remembered::Remembered;
use crate::machine::is_emulated;
use crate::ort::session::load_plain;
use crate::ort::{ExecutionProvider, OrtEngine, ProviderChoice, failed};
use crate::{EngineError, Result, SessionOptions};

/// The hidden first argument of a program that is to open a library and say how that went.
const ARGUMENT: &str = "--open-onnx-runtime";
/// The beginning of the answer: anything else on stdout is the library's.
const GREETING: &str = concat!("trm-engine ", env!("CARGO_PKG_VERSION"), " opened it: ");
const WORKS: &str = "works";
/// Opening takes a fraction of a second; from a slow card, under load, a few.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time between looks at a process that has nothing more to say.
const POLL: Duration = Duration::from_millis(1);
/// The time for what a process may still have to say after its end, if it has left somebody behind that holds its pipes.
const AFTERWARDS: Duration = Duration::from_millis(100);
/// Most bytes that are kept of what a library prints.
const MOST_OUTPUT: u64 = 4096;

/// This program answers probes: it can be started to open a library.
static ANSWERS: AtomicBool = AtomicBool::new(false);

/// The first thing in `main` of a program that loads ONNX Runtime. It makes the program its own probe: before a library is
/// loaded, [`OrtEngine::load`] starts the program once more, and in that process this function opens the library, multiplies
/// two small matrices with it and returns the exit code to end with. In the program itself it returns `None`.
///
/// In a program that does not call it, libraries are loaded as soon as their headers are found in order: one that crashes
/// takes the program with it.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = trm_engine::ort::answer_probe() {
///         return code;
///     }
///     // …
///     std::process::ExitCode::SUCCESS
/// }
/// ```
#[must_use]
pub fn answer_probe() -> Option<ExitCode> {
    ANSWERS.store(true, Ordering::Relaxed);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ARGUMENT) {
        return None;
    }
    let (Some(library), None) = (arguments.next(), arguments.next()) else { return None };
    Some(answer(library))
}

/// Opens the library and says so. This process may crash, hang and print.
fn answer(library: OsString) -> ExitCode {
    // Whoever asked ends a process that hangs; should it be gone, nobody would.
    thread::spawn(|| {
        thread::sleep(2 * TIMEOUT);
        std::process::abort();
    });
    std::panic::set_hook(Box::new(|panic| {
        say(&format!("has another interface than ONNX Runtime's ({})", panic.payload_as_str().unwrap_or("a panic")));
        std::process::exit(3);
    }));
    let found = FoundLibrary { path: library.into(), origin: "", exposed: None };
    match OrtEngine::load_found(&found).and_then(|engine| multiply(&engine)) {
        Ok(()) => {
            say(WORKS);
            ExitCode::SUCCESS
        }
        Err(EngineError::LibraryFails { reason, .. }) => {
            say(&reason);
            ExitCode::from(3)
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            say(&format!("does not work: {}{cause}", explained(&error)));
            ExitCode::from(3)
        }
    }
}

fn say(what: &str) {
    // Nobody is there to be told that nobody listens.
    #[expect(clippy::disallowed_methods, reason = "the answer of a process that does nothing else")]
    let mut answer = std::io::stdout();
    let _ = writeln!(answer, "{GREETING}{}", what.split_whitespace().collect::<Vec<_>>().join(" "));
}

/// Has a library compute something, which is when it uses the instructions that it has chosen for the processor.
fn multiply(engine: &OrtEngine) -> Result<()> {
    const SIZE: usize = 32;
    let mut b = GraphBuilder::new("product", "");
    let x = b.input("x", TensorType::new(DType::F32, [Dim::Batch, Dim::Fixed(SIZE)]));
    let twice = (0..SIZE * SIZE).map(|at| if at % (SIZE + 1) == 0 { 2.0 } else { 0.0 }).collect::<Vec<_>>();
    let twice = b.constant("twice", || Constant::f32(&[SIZE, SIZE], twice));
    let y = b.matmul(x, twice)?;
    b.output("y", y)?;
    let options = SessionOptions {
        threads: 1,
        provider: ProviderChoice::Only(ExecutionProvider::Cpu),
        ..SessionOptions::default()
    };
    let bytes = encode(&b.finish(), &[]).onnx;
    let (mut session, _) = load_plain(engine, "a product", &bytes, &options)?;
    let mut run = || -> ::ort::Result<bool> {
        let input = ::ort::value::Tensor::from_array(([1, SIZE], vec![1.5_f32; SIZE]))?;
        let outputs = session.run(::ort::inputs!["x" => input])?;
        Ok(outputs[0].try_extract_tensor::<f32>()?.1.iter().all(|&value| value.to_bits() == 3.0_f32.to_bits()))
    };
    if run().map_err(|error| failed("multiply two matrices", error))? {
        return Ok(());
    }
    let reason = "multiplies matrices wrongly".to_owned();
    Err(EngineError::LibraryFails { path: engine.library().to_owned(), reason })
}

/// Tries a library in a process of its own; the error says what became of that. What has worked is remembered in the user's
/// cache folder, until the file or this program changes. Where no process can be started (a program that does not
/// [answer](answer_probe), an emulator), the library counts as working.
pub(in crate::ort) fn opens(library: &Path) -> Result<(), String> {
    if !ANSWERS.load(Ordering::Relaxed) {
        return Ok(());
    }
    let remembered = Remembered::of_user(library);
    if remembered.as_ref().is_some_and(Remembered::is_known) {
        return Ok(());
    }
    // An emulator that the kernel does not know cannot start a program, and may not say that it could not.
    let Some(program) = std::env::current_exe().ok().filter(|_| !is_emulated()) else { return Ok(()) };
    #[expect(clippy::disallowed_methods, reason = "a library is opened in a process of its own")]
    let mut command = Command::new(program);
    command.arg(ARGUMENT).arg(library);
    match ask(command, TIMEOUT) {
        None => Ok(()),
        Some(Ok(())) => {
            if let Some(remembered) = remembered {
                remembered.write();
            }
            Ok(())
        }
        Some(Err(reason)) => Err(reason),
    }
}

/// Runs a process that opens a library, for so long at most. `None` if it cannot be started.
fn ask(mut command: Command, timeout: Duration) -> Option<Result<(), String>> {
    let deadline = Instant::now() + timeout;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    let said = listen(child.stdout.take());
    let complained = listen(child.stderr.take());
    // Its end is seen by the end of what it says.
    let mut heard = said.recv_timeout(timeout).ok();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Some(Err(format!("does not come back within {} s when it is opened", timeout.as_secs_f32())));
            }
        }
    };
    let rest = |from: &Receiver<Vec<u8>>| from.recv_timeout(AFTERWARDS).unwrap_or_default();
    let said = heard.take().unwrap_or_else(|| rest(&said));
    Some(judge(status, &String::from_utf8_lossy(&said), &String::from_utf8_lossy(&rest(&complained))))
}

/// Reads a pipe to its end, or as far as is kept.
fn listen(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error counts.
        let _ = pipe.map(|pipe| pipe.take(MOST_OUTPUT).read_to_end(&mut bytes));
        // Nobody waits any more where it took too long.
        let _ = sender.send(bytes);
    });
    receiver
}

/// Judges a process that has ended.
fn judge(status: ExitStatus, said: &str, complained: &str) -> Result<(), String> {
    let answer = said.strip_prefix(GREETING).and_then(|rest| rest.strip_suffix('\n')).filter(|it| !it.contains('\n'));
    if let Some(signal) = signal_of(status) {
        let when = if answer == Some(WORKS) { "the program ends" } else { "it is opened" };
        return Err(format!("crashes when {when} ({signal})"));
    }
    match answer {
        Some(WORKS) if status.success() => return Ok(()),
        Some(reason) if reason != WORKS => return Err(Printable(reason).to_string()),
        _ => {}
    }
    if said.contains(GREETING) {
        return Err("writes to standard output when it is opened, where the answers go".to_owned());
    }
    let code = status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
    let last = complained.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.map_or_else(String::new, |line| format!(": {}", Printable(line)));
    Err(format!("ends the program that opens it ({code}){last}"))
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal()?;
    // Those that are numbered alike on every Unix.
    let name = match signal {
        4 => ": an illegal instruction, as of a library made for another processor",
        6 => ": it gave up",
        8 => ": an arithmetic error",
        9 => ": killed from outside, as for want of memory",
        11 => ": a segmentation fault",
        _ => "",
    };
    Some(format!("signal {signal}{name}"))
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<String> {
    None
}

#[cfg(all(test, unix))]
#[expect(clippy::disallowed_methods, reason = "tests start programs")]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<(), String> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        ask(command, timeout).expect("there is a shell")
    }

    #[test]
    fn every_way_to_go_wrong_has_its_sentence() {
        let long = Duration::from_secs(20);
        let greeting = format!("printf '{GREETING}works\\n'");
        let ask = |script: &str| shell(script, long);
        let fails = |script: &str| ask(script).expect_err(script);
        assert_eq!(ask(&greeting), Ok(()));
        assert_eq!(ask(&format!("echo noise >&2; {greeting}")), Ok(()), "what is not on stdout disturbs nobody");
        assert!(fails("kill -ILL $$").starts_with("crashes when it is opened (signal 4: an illegal instruction"));
        assert_eq!(fails("kill -SEGV $$"), "crashes when it is opened (signal 11: a segmentation fault)");
        assert_eq!(
            fails(&format!("{greeting}; kill -SEGV $$")),
            "crashes when the program ends (signal 11: a segmentation fault)"
        );
        let prints = "writes to standard output when it is opened, where the answers go";
        assert_eq!(fails(&format!("echo hello; {greeting}")), prints);
        assert_eq!(fails(&format!("{greeting}; echo hello")), prints);
        assert_eq!(fails("exit 0"), "ends the program that opens it (exit code 0)");
        assert_eq!(
            fails("echo first >&2; printf 'no \\033[31msymbol\\n\\n' >&2; exit 127"),
            "ends the program that opens it (exit code 127): no \\u{1b}[31msymbol"
        );
        assert_eq!(fails(&format!("printf '{GREETING}is too old\\n'; exit 3")), "is too old");
        // More than is kept, then a pipe that nobody reads.
        assert!(fails("yes | head -c 1000000; exit 1").starts_with("ends the program"));
    }

    #[test]
    fn a_process_that_hangs_is_ended() {
        let started = Instant::now();
        let hangs = shell("exec sleep 60", Duration::from_millis(300)).expect_err("it hangs");
        assert_eq!(hangs, "does not come back within 0.3 s when it is opened");
        // A process that has closed its end, and one that leaves somebody behind who has not.
        let mute = shell("exec >&- 2>&-; exec sleep 60", Duration::from_millis(300)).expect_err("it hangs");
        assert_eq!(mute, "does not come back within 0.3 s when it is opened");
        let left = shell("sleep 5 & exit 0", Duration::from_secs(1)).expect_err("it says nothing");
        assert_eq!(left, "ends the program that opens it (exit code 0)");
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }

    #[test]
    fn a_program_that_cannot_be_started_says_nothing_of_the_library() {
        assert_eq!(ask(Command::new("/nowhere/program"), TIMEOUT), None);
    }
}
