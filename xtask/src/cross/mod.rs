//! `cargo xtask cross`: `trm` and `trm-host` for ARM boards, and their tests under emulation.

mod compare;
mod elf;
mod emulator;
mod target;
mod test;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::compare::Wanted;
pub(crate) use self::target::{Glibc, Target};
use self::toolchain::Toolchain;
use crate::{ort, process, workspace};

/// The packages that a board gets, each with its program.
const PROGRAMS: [(&str, &str); 2] = [("trm-cli", "trm"), ("trm-firmware-host", "trm-host")];

/// Builds the programs for a target, in the profile that is shipped, and prints the folder that holds them.
pub(crate) fn build(target: Target, glibc: Option<Glibc>, setup: bool) -> Result<()> {
    if setup {
        toolchain::set_up(target)?;
    }
    let folder = programs(target, glibc, &[])?;
    println!("{}", folder.display());
    Ok(())
}

/// Builds the programs with further options for cargo, and reports their sizes and needs on stderr.
pub(crate) fn programs(target: Target, glibc: Option<Glibc>, options: &[&str]) -> Result<PathBuf> {
    let toolchain = Toolchain::find(target, glibc)?;
    eprintln!("for {}, with {toolchain}", target.triple());
    let mut command = toolchain.cargo("build", target);
    command.args(["--profile", "dist", "--bins"]).args(options);
    // What is stripped has no names for a backtrace, so the tables to walk the stack by (1.5 MB) can go as well.
    toolchain::rustflags(&mut command, target, "-Cforce-unwind-tables=no");
    for (package, _) in PROGRAMS {
        command.args(["--package", package]);
    }
    process::run(&mut command)?;
    let folder = toolchain.target_dir().join(target.triple()).join("dist");
    for (_, program) in PROGRAMS {
        report(&folder.join(program), toolchain.floor())?;
    }
    Ok(folder)
}

/// Says how large a program is and which glibc it needs, and refuses one that needs a newer glibc than was asked for.
fn report(program: &Path, floor: Option<Glibc>) -> Result<()> {
    let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let elf = elf::Summary::of(&bytes).with_context(|| format!("{} is no ELF file", program.display()))?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    eprintln!("{name}: {elf}");
    if let (Some(floor), Some(needed)) = (floor, elf.glibc)
        && needed > floor
    {
        bail!("{name} needs glibc {needed}, more than the {floor} that was asked for");
    }
    Ok(())
}

/// The glibc that a program needs; none if it is linked statically.
pub(crate) fn needed_glibc(program: &[u8]) -> Result<Option<Glibc>> {
    Ok(elf::Summary::of(program)?.glibc)
}

/// Builds and runs the tests that a board's behaviour depends on, under emulation.
pub(crate) fn test(target: Target) -> Result<()> {
    test::run(target)
}

/// Solves the same puzzles on this machine and, emulated, on the target, and compares answers and logits.
pub(crate) fn compare(target: Target, wanted: &Wanted) -> Result<()> {
    compare::run(target, wanted)
}

/// The pinned ONNX Runtime for a target, where there is one.
fn onnx_runtime(target: Target) -> Result<Option<PathBuf>> {
    match target {
        Target::Aarch64 => {
            let folder = cache().join("onnxruntime").join(ort::VERSION);
            ort::fetch_for("linux", "aarch64", &folder).map(Some)
        }
        Target::Armv7 | Target::Aarch64Musl => Ok(None),
    }
}

/// The folder where toolchains keep what they build and fetch.
fn cache() -> PathBuf {
    workspace::cache().join("cross")
}
