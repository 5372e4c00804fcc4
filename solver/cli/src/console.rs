//! Standard output and standard error of the programs: the one place that prints.
//!
//! `println!` panics when the disk behind it is full or its reader has gone, and `eprintln!` likewise. Here
//! - a result that cannot be written is an error, [`OutputError`], which ends the program with exit code 2;
//! - a reader who has gone (`trm solve … | head -1`) is none: what is printed from then on goes nowhere, commands that only
//!   print stop early ([`is_closed`]), all others finish their work, and the exit code says how that went;
//! - a remark that cannot be written is lost.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use indicatif::ProgressDrawTarget;
use trm_intake::with_causes;

/// True if the reader of standard output has gone.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// True if only errors are printed to standard error.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on only errors are printed to standard error: no remarks, no progress.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Where progress is shown: standard error, if that is a terminal and nobody wants it to be [quiet](be_quiet).
#[must_use]
pub fn progress_target() -> ProgressDrawTarget {
    if QUIET.load(Ordering::Relaxed) { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() }
}

/// The time at which results are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Never
    Never,
}

static COLOUR: AtomicU8 = AtomicU8::new(Colour::Auto as u8);

/// Sets when results are coloured.
pub fn set_colour(colour: Colour) {
    COLOUR.store(colour as u8, Ordering::Relaxed);
}

/// True if results on standard output are coloured: as was [set](set_colour), or where it is a terminal and `NO_COLOR`
/// (<https://no-color.org>) is not set.
#[must_use]
pub fn has_colour() -> bool {
    match COLOUR.load(Ordering::Relaxed) {
        colour if colour == Colour::Always as u8 => true,
        colour if colour == Colour::Never as u8 => false,
        _ => stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Prints a line of results to standard output, with the arguments of `println!`. The value is an [`io::Result`].
#[macro_export]
macro_rules! outln {
    ($($argument:tt)*) => { $crate::console::print_line(format_args!($($argument)*)) };
}

/// Prints a line to standard error, with the arguments of `eprintln!`.
#[macro_export]
macro_rules! errln {
    ($($argument:tt)*) => { $crate::console::remark(format_args!($($argument)*)) };
}

/// The reason why results could not be written; the cause of an [`io::Error`] of [`Stdout`].
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[source] io::Error);

/// Standard output. Lines appear when they are complete; [`flush`] shows the rest.
#[derive(Debug)]
pub struct Stdout(io::Stdout);

/// Standard output, for everything that is a result.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where all others are sent")]
pub fn stdout() -> Stdout {
    Stdout(io::stdout())
}

impl Stdout {
    /// True if somebody looks at it, rather than a file or a program.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_closed() {
            return Ok(bytes.len());
        }
        self.0.write(bytes).or_else(|error| judged(error, bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        if is_closed() {
            return Ok(());
        }
        self.0.flush().or_else(|error| judged(error, ()))
    }
}

/// An error with its context; `done` where only the reader has gone.
fn judged<T>(error: io::Error, done: T) -> io::Result<T> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(done)
        }
        io::ErrorKind::Interrupted => Err(error),
        kind => Err(io::Error::new(kind, OutputError(error))),
    }
}

/// True if the reader of standard output has gone: nothing that is printed arrives any more.
#[must_use]
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Prints a line of results; see [`outln!`](crate::outln).
///
/// # Errors
/// [`OutputError`].
pub fn print_line(line: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(stdout(), "{line}")
}

/// Prints a remark to standard error, in one piece, unless it is to be [quiet](be_quiet); see [`errln!`](crate::errln). Where
/// there is nobody to tell, it is lost.
pub fn remark(line: fmt::Arguments<'_>) {
    if !QUIET.load(Ordering::Relaxed) {
        complain(line);
    }
}

/// Prints an error to standard error, in one piece. Where there is nobody to tell, it is lost.
pub fn complain(line: fmt::Arguments<'_>) {
    let mut buffered = BufWriter::new(io::stderr().lock());
    let _ = writeln!(buffered, "{line}").and_then(|()| buffered.flush());
}

/// Writes out what was printed and is no whole line yet: the last thing that a program does.
///
/// # Errors
/// [`OutputError`].
pub fn flush() -> io::Result<()> {
    stdout().flush()
}

/// The program's arguments; or, for `--help`, `--version` and bad usage, which are printed, how the program ends.
///
/// # Errors
/// The exit code: 0 after help, 2 after bad usage, and where help could not be written.
pub fn parse_arguments<P: clap::Parser>() -> Result<P, ExitCode> {
    parse_arguments_of(P::command())
}

/// As [`parse_arguments`], of a command to which something was added.
///
/// # Errors
/// Those of [`parse_arguments`].
pub fn parse_arguments_of<P: clap::FromArgMatches>(command: clap::Command) -> Result<P, ExitCode> {
    command.try_get_matches().and_then(|mut matches| P::from_arg_matches_mut(&mut matches)).map_err(|error| {
        let printed = error.print().and_then(|()| flush());
        if error.use_stderr() {
            return ExitCode::from(2);
        }
        match printed.or_else(|error| judged(error, ())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(format_args!("error: {}", with_causes(&error)));
                ExitCode::from(2)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_output_and_its_cause() {
        let error = judged(io::Error::from_raw_os_error(28), ()).expect_err("a full disk is an error");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let said = with_causes(&error);
        assert!(said.starts_with("cannot write to standard output: "), "{said}");
        assert_eq!(said.matches("standard output").count(), 1, "{said}");
    }
}
