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
    /// Its needs beside the emulator.
    needs: Needs,
    left_out: &'static [(&'static str, &'static str)],
}

#[derive(PartialEq)]
enum Needs {
    Nothing,
    OnnxRuntime,
    /// The tests start programs of the target.
    OtherPrograms,
}

/// Emulated, an engine is about 150 times slower than this machine.
const SUITES: [Suite; 3] = [
    Suite {
        what: "the protocol",
        package: "trm-protocol",
        binaries: &[],
        needs: Needs::Nothing,
        left_out: &[("firmware_links_without_std", "it compiles for a microcontroller, wherever it runs")],
    },
    Suite {
        what: "the engines' conformance list",
        package: "trm-solver",
        binaries: &["conformance"],
        needs: Needs::OnnxRuntime,
        left_out: &[("sixteen_steps_equal_the_reference", "hours of emulation; cross-compare runs sixteen steps")],
    },
    Suite {
        what: "the command line",
        package: "trm-cli",
        binaries: &["cli"],
        needs: Needs::OtherPrograms,
        left_out: &[
            ("ctrl_c_prints_what_was_measured", "it is timed"),
            ("a_bench_", "it is timed"),
            ("a_tuned_model_", "an emulated machine is not tuned"),
        ],
    },
];

pub(super) fn run(target: Target) -> Result<()> {
    let toolchain = Toolchain::find(target, None)?;
    let emulator = Emulator::new(target)?;
    eprintln!("for {}, with {toolchain}; run by {}", target.triple(), emulator.words().join(" "));
    let library = super::onnx_runtime(target)?;
    let mut lines = Vec::new();
    for suite in &SUITES {
        let name = format!("  {} ({})", suite.what, suite.package);
        let missing = match suite.needs {
            Needs::OnnxRuntime if library.is_none() => Some("ONNX Runtime has no library for this target"),
            Needs::OtherPrograms if !emulator.is_known_to_the_kernel() => Some(
                "its tests start trm, and the kernel does not know the emulator (`apt-get install binfmt-support`)",
            ),
            _ => None,
        };
        if let Some(missing) = missing {
            lines.push(format!("{name}: NOT TESTED: {missing}"));
            continue;
        }
        let mut command = toolchain.cargo("test", target);
        command.args(["--release", "--package", suite.package]);
        if suite.binaries.is_empty() {
            // No examples in the documentation: they are compiled by rustdoc, of which there may be none for the target.
            command.args(["--lib", "--tests"]);
        }
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
        lines.push(format!("{name}: passed in {:.0} s, compilation included", started.elapsed().as_secs_f64()));
        for (name, why) in suite.left_out {
            lines.push(format!("    NOT TESTED: {name}: {why}"));
        }
    }
    println!("\n{} under emulation", target.triple());
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
