//! `cargo xtask`: the developer commands of trm-edge, needing Rust and Python's pip only.
//!
//! Every command prints the programs it runs, works from any directory, keeps what it fetches under
//! `target/`, and does nothing the second time when nothing has changed.
#![expect(clippy::disallowed_methods, reason = "that is what developers' commands are for")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "for developers: who closes the pipe sees a panic, no loss"
)]

mod bench;
mod checks;
mod circles;
mod cross;
mod dds;
mod deny;
mod everything;
mod features;
mod fuzz;
mod goldens;
mod hash;
mod house;
mod ort;
mod ort_training;
mod package;
mod process;
mod python;
mod wheel;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [CHECK…]              fetch what is needed and run every check, or only those named:
                             fmt, house, deny, clippy, features, test, fuzz, doc, python, dds, instructions
       --quick               fmt, house, clippy and the unit tests: what is run before a commit
       [--seconds S] [--seed N]
                             for each reader of the fuzz check (default 3), and the seed of its inputs (default 1)
  deny                       build cargo-deny into target/tools, if there is none, and check licences, unwanted crates
                             and sources
  ort                        fetch the pinned ONNX Runtime into target/, print the library's path
  ort-training               fetch the last ONNX Runtime with the training API into target/ (Linux on x86_64,
                             with Python 3.11's shared library), print the path of what stands for its library
  bench [--micro | --puzzles | --train] [ARG…]
                             full-size steps side by side with PyTorch, with --puzzles whole puzzles of the
                             shipped models, with --train training steps; ARGs go
                             to the harness (--help lists them); --micro runs the criterion benches instead
  cross TARGET [--glibc V] [--setup]
                             build trm and trm-host for a board (aarch64, armv7, aarch64-musl), in a container where
                             there is cross, otherwise here; --setup installs what is missing, printing how
  cross-test TARGET          run the tests that tell whether a board computes rightly, under qemu
  cross-compare TARGET [--puzzles N] [--steps N] [MODEL…]
                             run the same puzzles here and under qemu, and compare answers and logits (default 500
                             puzzles for each model, 16 steps); goes on where it was interrupted
  package [--arch amd64|arm64] [--binaries DIR] [--native DIR]
                             a Debian package of the programs in DIR, or of freshly built ones (default amd64); for
                             another machine's, --native has programs of the same version that run here
  goldens --from DIR [NAME…] copy golden folders of the reference into the export tests

environment: PYTHON names the Python to use (default python3)
";

enum Task {
    Help,
    Test { wanted: checks::Wanted, fuzz: fuzz::Wanted },
    Deny,
    Ort,
    OrtTraining,
    Bench { kind: bench::Kind, arguments: Vec<String> },
    Cross { target: cross::Target, glibc: Option<cross::Glibc>, setup: bool },
    CrossTest { target: cross::Target },
    CrossCompare { target: cross::Target, wanted: cross::Wanted },
    Package { architecture: package::Architecture, binaries: Option<PathBuf>, native: Option<PathBuf> },
    Goldens { from: PathBuf, names: Vec<String> },
}

fn main() -> ExitCode {
    let task = match parse() {
        Ok(task) => task,
        Err(error) => {
            eprint!("error: {error:#}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Help => print!("{USAGE}"),
        Task::Test { wanted, fuzz } => checks::run(&wanted, fuzz)?,
        Task::Deny => deny::fetch_and_check()?,
        Task::Ort => println!("{}", ort::fetch()?.display()),
        Task::OrtTraining => println!("{}", ort_training::fetch()?.display()),
        Task::Bench { kind, arguments } => bench::run(kind, &arguments)?,
        Task::Cross { target, glibc, setup } => cross::build(target, glibc, setup)?,
        Task::CrossTest { target } => cross::test(target)?,
        Task::CrossCompare { target, wanted } => cross::compare(target, &wanted)?,
        Task::Package { architecture, binaries, native } => package::run(architecture, binaries, native)?,
        Task::Goldens { from, names } => goldens::copy(&from, &names)?,
    }
    Ok(())
}

fn parse() -> Result<Task> {
    let mut parser = lexopt::Parser::from_env();
    let command = match parser.next()? {
        None | Some(Short('h') | Long("help")) => return Ok(Task::Help),
        Some(Value(command)) => command.string()?,
        Some(option) => return Err(option.unexpected().into()),
    };
    match command.as_str() {
        "help" => Ok(Task::Help),
        "test" => {
            let (mut only, mut quick, mut fuzz) = (Vec::new(), false, fuzz::Wanted::default());
            while let Some(argument) = parser.next()? {
                match argument {
                    Value(name) => only.push(name.string()?),
                    Long("quick") => quick = true,
                    Long(option) => {
                        let option = option.to_owned();
                        fuzz.take(&option, &mut parser)?;
                    }
                    Short(_) => return Err(argument.unexpected().into()),
                }
            }
            if let Some(unknown) = only.iter().find(|name| !checks::exists(name)) {
                bail!("there is no check named {unknown:?}");
            }
            if quick && !only.is_empty() {
                bail!("--quick has checks of its own: name none beside it");
            }
            Ok(Task::Test { wanted: if quick { checks::Wanted::Quick } else { checks::Wanted::Named(only) }, fuzz })
        }
        "ort" | "ort-training" | "deny" => {
            let extra = values(&mut parser)?;
            if let Some(extra) = extra.first() {
                bail!("{command} takes no arguments, but was given {extra:?}");
            }
            Ok(match command.as_str() {
                "ort" => Task::Ort,
                "deny" => Task::Deny,
                _ => Task::OrtTraining,
            })
        }
        "bench" => {
            let mut arguments =
                parser.raw_args()?.map(|argument| argument.string().map_err(Into::into)).collect::<Result<Vec<_>>>()?;
            let kind = arguments.first().and_then(|argument| bench::Kind::of_option(argument));
            if kind.is_some() {
                arguments.remove(0);
            }
            let kind = kind.unwrap_or(bench::Kind::Steps);
            if kind == bench::Kind::Micro && !arguments.is_empty() {
                bail!("bench --micro takes no other arguments");
            }
            Ok(Task::Bench { kind, arguments })
        }
        "cross" | "cross-test" | "cross-compare" => parse_cross(&command, &mut parser),
        "package" => parse_package(&mut parser),
        "goldens" => parse_goldens(&mut parser),
        other => bail!("there is no command named {other:?}"),
    }
}

fn parse_cross(command: &str, parser: &mut lexopt::Parser) -> Result<Task> {
    let (mut words, mut glibc, mut setup, mut puzzles, mut steps) = (Vec::new(), None, false, 500, 16);
    while let Some(argument) = parser.next()? {
        match (command, argument) {
            ("cross", Long("glibc")) => glibc = Some(parser.value()?.parse()?),
            ("cross", Long("setup")) => setup = true,
            ("cross-compare", Long("puzzles")) => puzzles = parser.value()?.parse()?,
            ("cross-compare", Long("steps")) => steps = parser.value()?.parse()?,
            (_, Value(word)) => words.push(word.string()?),
            (_, option) => return Err(option.unexpected().into()),
        }
    }
    if words.is_empty() {
        bail!("{command} needs a target: aarch64, armv7 or aarch64-musl");
    }
    let target = words.remove(0).parse()?;
    match command {
        "cross-compare" => Ok(Task::CrossCompare { target, wanted: cross::Wanted { puzzles, steps, models: words } }),
        _ if !words.is_empty() => bail!("{command} takes one target, but was given {:?} as well", words[0]),
        "cross" => Ok(Task::Cross { target, glibc, setup }),
        _ => Ok(Task::CrossTest { target }),
    }
}

fn parse_package(parser: &mut lexopt::Parser) -> Result<Task> {
    let (mut architecture, mut binaries, mut native) = (package::Architecture::Amd64, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("arch") => architecture = parser.value()?.string()?.parse()?,
            Long("binaries") => binaries = Some(parser.value()?.into()),
            Long("native") => native = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Task::Package { architecture, binaries, native })
}

fn parse_goldens(parser: &mut lexopt::Parser) -> Result<Task> {
    let (mut from, mut names) = (None, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("from") => from = Some(PathBuf::from(parser.value()?)),
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let from = from.context("goldens needs --from DIR")?;
    Ok(Task::Goldens { from, names })
}

/// The remaining arguments, none of them an option.
fn values(parser: &mut lexopt::Parser) -> Result<Vec<String>> {
    let mut values = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) => values.push(value.string()?),
            option => return Err(option.unexpected().into()),
        }
    }
    Ok(values)
}
