//! `cargo xtask test`: every check of the project, in the order of what fails fastest.
//!
//! All of them build in the release profile, since the inference engines are minutes of compilation and slow
//! without optimisation. `cargo clippy` and `cargo doc` cannot reuse compiled libraries, but in that profile they share build scripts,
//! procedural macros and, with each other, what they read of the dependencies.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::everything::{EVERYTHING, built_example, built_program};
use crate::python::{self, Environment};
use crate::{dds, deny, features, fuzz, house, ort, ort_training, process, workspace};

struct Check {
    name: &'static str,
    run: fn(given: &Given) -> Result<()>,
}

/// The input of all checks.
struct Given {
    /// ONNX Runtime's library.
    ort: PathBuf,
    fuzz: fuzz::Wanted,
}

const CHECKS: [Check; 11] = [
    Check { name: "fmt", run: fmt },
    Check { name: "house", run: |_| house::check() },
    Check { name: "deny", run: |_| deny::check() },
    Check { name: "clippy", run: clippy },
    Check { name: "features", run: |_| features::check() },
    Check { name: "test", run: test },
    Check { name: "fuzz", run: |given| fuzz::run(&given.fuzz) },
    Check { name: "doc", run: doc },
    Check { name: "python", run: python_side },
    Check { name: "dds", run: |_| dds::check() },
    Check { name: "instructions", run: instructions },
];

/// The checks before a commit: minutes, where all of them take most of an hour.
const QUICK: [Check; 4] = [
    Check { name: "fmt", run: fmt },
    Check { name: "house", run: |_| house::check() },
    Check { name: "clippy", run: clippy },
    Check { name: "units", run: units },
];

pub(crate) fn exists(name: &str) -> bool {
    CHECKS.iter().any(|check| check.name == name)
}

/// The checks that were asked for.
pub(crate) enum Wanted {
    /// The named ones, or all.
    Named(Vec<String>),
    /// Formatting, rules, lints and unit tests.
    Quick,
}

/// Runs checks up to the first that fails, and prints what each one took.
pub(crate) fn run(wanted: &Wanted, fuzz: fuzz::Wanted) -> Result<()> {
    let mut times = Vec::new();
    let checks: Vec<&Check> = match wanted {
        Wanted::Quick => QUICK.iter().collect(),
        Wanted::Named(names) if names.is_empty() => CHECKS.iter().collect(),
        Wanted::Named(names) => CHECKS.iter().filter(|check| names.iter().any(|name| name == check.name)).collect(),
    };
    let result = run_until_failure(&checks, fuzz, &mut times);
    println!("\ncheck       seconds");
    for (name, time) in &times {
        println!("{name:<10} {:>8.1}", time.as_secs_f64());
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    println!("{:<10} {:>8.1}", "all", total.as_secs_f64());
    result?;
    println!("every check passed");
    Ok(())
}

fn run_until_failure(checks: &[&Check], fuzz: fuzz::Wanted, times: &mut Vec<(&'static str, Duration)>) -> Result<()> {
    let started = Instant::now();
    let library = ort::fetch();
    times.push(("ort", started.elapsed()));
    let given = Given { ort: library?, fuzz };
    for check in checks {
        eprintln!("\n== {}", check.name);
        let started = Instant::now();
        let result = (check.run)(&given);
        times.push((check.name, started.elapsed()));
        result.with_context(|| {
            let name = check.name;
            format!("{name} failed; repeat it alone by `cargo xtask test {name}`")
        })?;
    }
    Ok(())
}

fn fmt(_: &Given) -> Result<()> {
    process::run(&mut process::cargo(&["fmt", "--all", "--check"]))
}

fn clippy(_: &Given) -> Result<()> {
    process::run(process::cargo(&["clippy", "--all-targets"]).args(EVERYTHING).args(["--", "-D", "warnings"]))
}

/// Unit tests of every package.
fn units(given: &Given) -> Result<()> {
    let mut command = process::cargo(&["test", "--lib", "--bins"]);
    process::run(command.args(EVERYTHING).env("ORT_DYLIB_PATH", &given.ort))
}

/// Unit, integration and doc tests of every package, on every engine. The tests of ONNX Runtime's training API run with
/// a library of their own, where there is one; those of MQTT where there is a broker.
fn test(given: &Given) -> Result<()> {
    let mut command = process::cargo(&["test"]);
    command.args(EVERYTHING).env("ORT_DYLIB_PATH", &given.ort);
    // Modules that are left out, and what is not tested then.
    let mut left_out: Vec<(&str, String)> = Vec::new();
    if ort_training::available() {
        command.env("ORT_TRAINING_DYLIB_PATH", ort_training::fetch()?);
    } else {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let why = format!(
            "ONNX Runtime's training API (solver/train/tests/ort_training.rs), for which there is no build on {os} {arch}; only \
             Linux on x86_64 has one"
        );
        left_out.push(("training_api::", why));
    }
    if !mosquitto_is_there() {
        let why = "the kiosk's MQTT status (firmware-host/tests/kiosk_mqtt.rs): there is no mosquitto here; \
                   `apt-get install mosquitto`, or name the program by MOSQUITTO";
        left_out.push(("mosquitto::", why.to_owned()));
    }
    if !process::answers("minisign", "-v") {
        let why = "signatures beside the program minisign's (solver/cli/tests/sign_cli.rs; one that it made is in the tests): \
                   `apt-get install minisign`";
        left_out.push(("minisign_program::", why.to_owned()));
    }
    if !left_out.is_empty() {
        command.arg("--");
    }
    for (module, _) in &left_out {
        command.args(["--skip", module]);
    }
    let result = process::run(&mut command);
    for (_, why) in &left_out {
        eprintln!("\n!! NOT TESTED: {why}\n");
    }
    result
}

/// True if the tests will find a broker; it looks where `firmware-host/tests/kiosk_mqtt.rs` does.
fn mosquitto_is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(usual);
    std::env::var_os("MOSQUITTO").is_some() || folders.any(|folder| folder.join("mosquitto").is_file())
}

fn doc(_: &Given) -> Result<()> {
    process::run(process::cargo(&["doc", "--no-deps"]).args(EVERYTHING).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Counts the instructions of workloads that must not take more of them, where there is valgrind.
fn instructions(_: &Given) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || !process::answers("valgrind", "--version") {
        eprintln!(
            "\n!! NOT TESTED: how many instructions things take (benches/src/bin/instructions.rs): that needs valgrind on Linux \
             on x86_64; `apt-get install valgrind`\n"
        );
        return Ok(());
    }
    process::run(&mut Command::new(built_program("instructions")?))
}

/// Reference checkpoints that cover the exporter: folder, task, cells, tokens.
const EXPORTED: [(&str, &str, &str, &str); 5] = [
    ("sudoku_mlp_stable", "sudoku", "81", "11"),
    ("maze_att_stable", "maze", "100", "6"),
    ("maze_learned_stable", "maze", "100", "6"),
    ("arc_like_stable", "arc", "900", "12"),
    ("hrm_att_stable", "sudoku", "81", "11"),
];

/// Runs Python's own ONNX tools on the shipped bundles and on freshly exported ones, compares the figures of `trm eval` with
/// numpy's, and runs the recorder of goldens where there is PyTorch.
fn python_side(given: &Given) -> Result<()> {
    let environment = Environment::with(python::CHECK)?;
    let mut bundles = workspace::shipped_bundles()?;
    bundles.extend(export_goldens(&given.ort)?);
    process::run(environment.script("xtask/python/check_onnx.py").args(bundles))?;
    let trm = built_program("trm")?;
    let small = workspace::root().join("models/sudoku-4");
    process::run(environment.script("xtask/python/check_eval.py").arg(&trm).arg(small))?;
    let votes = built_example("arc_votes")?;
    let tasks = workspace::root().join("puzzles/tests/fixtures/arc_challenges.json");
    process::run(environment.script("xtask/python/check_arc.py").arg(&trm).arg(votes).arg(tasks))?;
    recorder(&trm, &given.ort)?;
    torchrun(&trm, &given.ort)
}

/// The public training code's way of training, in two processes, on a data set of ours, and back.
fn torchrun(trm: &Path, ort: &Path) -> Result<()> {
    let Some(mut command) = python::torch_script("xtask/python/check_torchrun.py")? else {
        eprintln!(
            "\n!! NOT TESTED: training under torchrun (benches/python/pretrain.py), which needs PyTorch, as above\n"
        );
        return Ok(());
    };
    command.env("OMP_NUM_THREADS", "1").env("ORT_DYLIB_PATH", ort);
    process::run(command.arg(trm))
}

/// Goldens that are recorded as a user records them, and `trm parity` on them.
fn recorder(trm: &Path, ort: &Path) -> Result<()> {
    let Some(mut command) = python::torch_script("xtask/python/check_recorder.py")? else {
        eprintln!(
            "\n!! NOT TESTED: the recorder of goldens (export/python/record_golden.py), which needs PyTorch: name a Python with \
             torch, numpy and safetensors by TORCH_PYTHON, or `CI=1 cargo xtask test python` installs them (5 GB)\n"
        );
        return Ok(());
    };
    // Busy threads that wait for each other take ten times as long on a machine that has other work.
    command.env("OMP_NUM_THREADS", "1").env("ORT_DYLIB_PATH", ort);
    process::run(command.arg(trm).arg(workspace::root().join("export/tests/fixtures/golden")))
}

/// Exports the golden checkpoints with all three graphs, and their step graphs for each target, into cargo's target directory.
fn export_goldens(ort: &Path) -> Result<Vec<PathBuf>> {
    let trm = built_program("trm")?;
    let folder = workspace::cargo_target()?.join("exported-goldens");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let goldens = workspace::root().join("export/tests/fixtures/golden");
    let mut bundles = Vec::new();
    for (name, task, cells, tokens) in EXPORTED {
        let portable = folder.join(name);
        process::run(
            Command::new(&trm)
                .arg("export")
                .arg(goldens.join(name).join("step_1000"))
                .arg("--config")
                .arg(goldens.join(name).join("all_config.yaml"))
                .args(["--task", task, "--seq-len", cells, "--vocab", tokens])
                .args(["--graphs", "step,solve,unrolled", "--steps", "4", "--out"])
                .arg(&portable)
                .env("ORT_DYLIB_PATH", ort),
        )?;
        for target in ["ort-cpu", "tract"] {
            let bundle = folder.join(format!("{name}-{target}"));
            process::run(
                Command::new(&trm)
                    .arg("export")
                    .arg(&portable)
                    .args(["--target", target, "--graphs", "step", "--out"])
                    .arg(&bundle)
                    .env("ORT_DYLIB_PATH", ort),
            )?;
            bundles.push(bundle);
        }
        bundles.push(portable);
    }
    Ok(bundles)
}
