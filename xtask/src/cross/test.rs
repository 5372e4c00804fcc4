//! The tests that tell whether a board computes and behaves as it should, run under emulation.

use std::time::Instant;

use anyhow::Result;

use super::emulator::Emulator;
use super::target::Target;
use super::toolchain::Toolchain;
use crate::process;

/// A package's tests, and those among them that are left out, with the reason.
struct Suite {
    what: &'static str,
    package: &'static str,
    /// Names of test binaries; none for all of the package's.
    binaries: &'static [&'static str],
    left_out: &'static [(&'static str, &'static str)],
}

/// Emulated, tract is about 150 times slower than this machine, and a program that is emulated cannot start itself again
/// where the kernel does not know the emulator.
const SUITES: [Suite; 3] = [
    Suite { what: "the protocol", package: "trm-protocol", binaries: &[], left_out: &[] },
    Suite {
        what: "the engines' conformance list",
        package: "trm-solver",
        binaries: &["conformance"],
        left_out: &[("sixteen_steps_equal_the_reference", "hours of emulation; cross-compare runs sixteen steps")],
    },
    Suite {
        what: "the command line",
        package: "trm-solver",
        binaries: &["cli"],
        left_out: &[("ctrl_c_prints_what_was_measured", "it is timed"), ("a_bench_", "it is timed")],
    },
];

pub(super) fn run(target: Target) -> Result<()> {
    let toolchain = Toolchain::find(target, None)?;
    let emulator = Emulator::new(target)?;
    eprintln!("for {}, with {toolchain}; run by {}", target.triple(), emulator.words().join(" "));
    let library = super::onnx_runtime(target)?;
    let mut results = Vec::new();
    for suite in &SUITES {
        if library.is_none() && suite.package == "trm-solver" {
            results.push((suite, None));
            continue;
        }
        let mut command = toolchain.cargo("test", target);
        command.args(["--release", "--package", suite.package]);
        for binary in suite.binaries {
            command.args(["--test", binary]);
        }
        emulator.run_by_cargo(&mut command);
        if let Some(library) = &library {
            command.env("ORT_DYLIB_PATH", library);
        }
        command.arg("--");
        for (name, _) in suite.left_out {
            command.args(["--skip", name]);
        }
        let started = Instant::now();
        process::run(&mut command)?;
        results.push((suite, Some(started.elapsed())));
    }
    println!("\n{} under emulation", target.triple());
    for (suite, time) in results {
        match time {
            Some(time) => println!("  {} ({}): passed in {:.0} s", suite.what, suite.package, time.as_secs_f64()),
            None => println!(
                "  {} ({}): NOT TESTED: ONNX Runtime has no library for this target",
                suite.what, suite.package
            ),
        }
        for (name, why) in suite.left_out {
            println!("    NOT TESTED: {name}: {why}");
        }
    }
    Ok(())
}
