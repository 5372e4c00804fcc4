//! `cargo xtask package`: a Debian package of both programs and the files that are installed with them.
//!
//! Everything lies in `target/package/ARCH`: the files in `root/` as they will lie on the device, and beside it what
//! cargo-deb makes the package of. What a package consists of is here; texts are in `packaging/debian`.

mod files;
mod manifest;
mod notices;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};
use object::Object as _;

use crate::cross::{self, Glibc, Target};
use crate::{process, workspace};

/// The programs of the package.
const PROGRAMS: [&str; 2] = ["trm", "trm-host"];

/// Features of the programs beside their defaults: a robot has no compiler.
const FEATURES: [&str; 2] = ["--features", "trm-firmware-host/ros2"];

/// Debian's name of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// Debian's name.
    fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's name.
    fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => Target::Aarch64.triple(),
        }
    }

    /// The machine of a program, as its file says.
    fn of(program: &object::File) -> Option<Self> {
        match program.architecture() {
            object::Architecture::X86_64 => Some(Self::Amd64),
            object::Architecture::Aarch64 => Some(Self::Arm64),
            _ => None,
        }
    }

    /// True if its programs run here.
    fn is_native(self) -> bool {
        let arch = match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        };
        cfg!(target_os = "linux") && std::env::consts::ARCH == arch
    }
}

impl FromStr for Architecture {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "amd64" => Ok(Self::Amd64),
            "arm64" => Ok(Self::Arm64),
            _ => bail!("unknown architecture {name:?}\nhint: amd64 or arm64"),
        }
    }
}

/// Builds the package of the programs in `binaries`, or of freshly built ones, and prints its path. Man pages are written
/// by programs that run here: those in `native`, or freshly built ones, where the package is for another machine.
pub(crate) fn run(architecture: Architecture, binaries: Option<PathBuf>, native: Option<PathBuf>) -> Result<()> {
    find_cargo_deb()?;
    let binaries = match binaries {
        Some(folder) => folder,
        None if architecture.is_native() => build("dist")?,
        None if architecture == Architecture::Arm64 => {
            cross::programs(Target::Aarch64, Some(Glibc::OLDEST), &FEATURES)?
        }
        None => bail!("amd64 programs are built on amd64\nhint: --binaries DIR takes programs that were built there"),
    };
    let glibc = needed_glibc(&binaries, architecture)?;
    let native = match native {
        Some(folder) => folder,
        None if architecture.is_native() => binaries.clone(),
        None => build("release")?,
    };
    let folder = workspace::cache().join("package").join(architecture.name());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let root = folder.join("root");
    for program in PROGRAMS {
        files::copy(&binaries.join(program), &root.join("usr/bin").join(program))?;
    }
    files::manual(&native, &root)?;
    files::others(&root)?;
    files::write(&root.join("usr/share/doc/trm-edge/crates.txt"), &notices::collected(architecture)?)?;
    check_settings(&native, &root)?;
    manifest::write(&folder, glibc)?;
    // The programs are stripped by their profile, and those of another machine cannot be stripped here.
    let mut command = process::cargo(&["deb", "--no-build", "--no-strip", "--target", architecture.triple()]);
    command
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--output")
        .arg(workspace::cache().join("package"));
    println!("{}", process::output(&mut command)?);
    Ok(())
}

fn find_cargo_deb() -> Result<()> {
    let found = process::output(process::cargo(&["deb", "--version"]).stderr(Stdio::null()));
    ensure!(found.is_ok(), "cargo-deb is not here; it makes the package\nhint: cargo install --locked cargo-deb");
    Ok(())
}

/// Builds the programs for this machine, and returns their folder.
fn build(profile: &str) -> Result<PathBuf> {
    let packages = ["--package", "trm-cli", "--package", "trm-firmware-host", "--bins"];
    process::run(process::cargo(&["build", "--profile", profile]).args(packages).args(FEATURES))?;
    Ok(workspace::cargo_target()?.join(profile))
}

/// The glibc that both programs run with. They must be for the package's machine.
fn needed_glibc(binaries: &Path, architecture: Architecture) -> Result<Glibc> {
    let mut needed = None;
    for program in PROGRAMS {
        let path = binaries.join(program);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let elf = object::File::parse(&*bytes).with_context(|| format!("{} is no program", path.display()))?;
        if Architecture::of(&elf) != Some(architecture) {
            bail!(
                "{} is for {:?}, not for {}\nhint: --arch names the machine of the package, amd64 unless given",
                path.display(),
                elf.architecture(),
                architecture.name()
            );
        }
        needed = needed.max(cross::needed_glibc(&bytes)?);
    }
    // A static program runs with any.
    Ok(needed.unwrap_or(Glibc::OLDEST).max(Glibc::OLDEST))
}

/// Checks that the program of the package takes the settings of the package.
fn check_settings(native: &Path, root: &Path) -> Result<()> {
    let settings = root.join("etc/trm-kiosk/kiosk.toml");
    process::run(
        Command::new(native.join("trm-host"))
            .args(["kiosk", "--check", "--config"])
            .arg(settings)
            .stdout(Stdio::null()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_debian_s() {
        assert_eq!("arm64".parse::<Architecture>().unwrap().triple(), "aarch64-unknown-linux-gnu");
        let error = "aarch64".parse::<Architecture>().unwrap_err();
        assert_eq!(error.to_string(), "unknown architecture \"aarch64\"\nhint: amd64 or arm64");
    }

    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[test]
    fn programs_of_another_machine_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for program in PROGRAMS {
            fs::copy(std::env::current_exe().unwrap(), folder.path().join(program)).unwrap();
        }
        let (this, other) = if Architecture::Amd64.is_native() {
            (Architecture::Amd64, Architecture::Arm64)
        } else {
            (Architecture::Arm64, Architecture::Amd64)
        };
        assert!(needed_glibc(folder.path(), this).unwrap() >= Glibc::OLDEST);
        let error = needed_glibc(folder.path(), other).unwrap_err().to_string();
        assert!(error.contains(&format!(", not for {}\nhint: --arch", other.name())), "{error}");
        fs::write(folder.path().join("trm-host"), "#!/bin/sh\n").unwrap();
        let error = needed_glibc(folder.path(), this).unwrap_err().to_string();
        assert!(error.ends_with("trm-host is no program"), "{error}");
    }
}
