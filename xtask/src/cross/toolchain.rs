//! The choice of compiler and linker for a board: cross in a container, zig, or a cross compiler of this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Glibc, Target, cache};
use crate::{process, python, workspace};

/// Debian's own Rust, which has the standard library for other architectures as packages.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// zig and the program that gives it to cargo, as Python packages.
const ZIG: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.1"];

/// A way to build for a target.
#[derive(Debug)]
pub(crate) struct Toolchain {
    kind: Kind,
    /// The compiler that has, or builds, the target's standard library; rustup's own if absent.
    rustc: Option<PathBuf>,
    /// True if the standard library is compiled with the program.
    build_std: bool,
    /// The oldest glibc that its programs run with, where the toolchain can choose.
    floor: Option<Glibc>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// cross, in a container.
    Cross,
    /// zig as linker and C compiler, through cargo-zigbuild, which is in this folder.
    Zig(PathBuf),
    /// A cross compiler of this machine.
    Gcc(&'static str),
}

impl Toolchain {
    /// The first toolchain that is there: cross with Docker; zig; a cross compiler. A glibc that is asked for takes
    /// zig.
    pub(crate) fn find(target: Target, glibc: Option<Glibc>) -> Result<Self> {
        if glibc.is_none() && process::answers("cross", "--version") && process::answers("docker", "info") {
            return Ok(Self { kind: Kind::Cross, rustc: None, build_std: false, floor: None });
        }
        let Some((rustc, build_std)) = standard_library(target) else {
            bail!(
                "there is no Rust standard library for {triple} on this machine\n\
                 hint: `rustup target add {triple}`, or `cargo xtask cross {name} --setup` on Debian",
                triple = target.triple(),
                name = target.name()
            );
        };
        if let Some(folder) = zig() {
            let floor = (target != Target::Aarch64Musl).then(|| glibc.unwrap_or(Glibc::OLDEST));
            return Ok(Self { kind: Kind::Zig(folder), rustc, build_std, floor });
        }
        if let Some(glibc) = glibc {
            bail!(
                "an older glibc ({glibc}) takes zig, which is not here\n\
                 hint: `cargo xtask cross {} --setup` installs it by pip below target/",
                target.name()
            );
        }
        match target.gcc().filter(|gcc| process::answers(gcc, "--version")) {
            Some(gcc) => Ok(Self { kind: Kind::Gcc(gcc), rustc, build_std, floor: None }),
            None => bail!(
                "there is neither cross with Docker, nor zig, nor a cross compiler for {triple} on this machine\n\
                 hint: `cargo xtask cross {name} --setup` installs zig by pip below target/",
                triple = target.triple(),
                name = target.name()
            ),
        }
    }

    /// The oldest glibc that its programs run with, where it is known beforehand.
    pub(crate) fn floor(&self) -> Option<Glibc> {
        self.floor
    }

    /// Cargo's target folder: each toolchain has its own, since compilers cannot read each other's libraries.
    pub(crate) fn target_dir(&self) -> PathBuf {
        cache().join(match self.kind {
            Kind::Cross => "container",
            Kind::Zig(_) => "zig",
            Kind::Gcc(_) => "gcc",
        })
    }

    /// `cargo build` or `cargo test` for the target, in the workspace's root.
    pub(crate) fn cargo(&self, task: &str, target: Target) -> Command {
        let triple = target.triple();
        let mut command = match &self.kind {
            Kind::Cross => {
                let mut command = Command::new("cross");
                command.args([task, "--target", triple]).current_dir(workspace::root());
                command.env("CROSS_CONFIG", workspace::root().join("cross.toml"));
                command
            }
            Kind::Zig(folder) => {
                let mut command = Command::new(folder.join("cargo-zigbuild"));
                let task = if task == "build" { "zigbuild" } else { task };
                let floor = self.floor.map(|floor| format!(".{floor}")).unwrap_or_default();
                command.args([task, "--target", &format!("{triple}{floor}")]).current_dir(workspace::root());
                // Where `python3 -m ziglang`, which is how zig is found, finds it.
                command.env("PYTHONPATH", environment());
                let path = std::env::var_os("PATH").unwrap_or_default();
                let folders = std::iter::once(folder.clone()).chain(std::env::split_paths(&path));
                command.env("PATH", std::env::join_paths(folders).unwrap_or(path));
                command
            }
            Kind::Gcc(gcc) => {
                let mut command = process::cargo(&[task, "--target", triple]);
                command.env(format!("CARGO_TARGET_{}_LINKER", variable(target)), gcc);
                command.env(format!("CC_{}", triple.replace('-', "_")), gcc);
                command
            }
        };
        command.env("CARGO_TARGET_DIR", self.target_dir());
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        if self.build_std {
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
        }
        command
    }
}

/// Flags of the compiler for the target's code.
pub(super) fn rustflags(command: &mut Command, target: Target, flags: &str) {
    command.env(format!("CARGO_TARGET_{}_RUSTFLAGS", variable(target)), flags);
}

/// The target in the names of cargo's variables.
pub(super) fn variable(target: Target) -> String {
    target.triple().to_uppercase().replace('-', "_")
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Cross => f.write_str("cross in a container, by cross.toml")?,
            Kind::Zig(_) => f.write_str("zig")?,
            Kind::Gcc(gcc) => write!(f, "{gcc}, for the glibc that it comes with")?,
        }
        if let Some(floor) = self.floor {
            write!(f, ", for glibc {floor} and later")?;
        }
        if let Some(rustc) = &self.rustc {
            write!(f, ", {}", rustc.display())?;
        }
        f.write_str(if self.build_std { ", compiling the standard library" } else { "" })
    }
}

/// The compiler that has the target's standard library (none: rustup's), and true if it must compile it first.
fn standard_library(target: Target) -> Option<(Option<PathBuf>, bool)> {
    let has = |rustc: &str| {
        let sysroot = process::output(Command::new(rustc).args(["--print", "sysroot"]).stderr(Stdio::null())).ok()?;
        let library = Path::new(&sysroot).join("lib/rustlib");
        Some((library.join(target.triple()).join("lib").is_dir(), library.join("src/rust/library").is_dir()))
    };
    let own = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let (own_library, own_source) = has(&own).unwrap_or_default();
    let (debian_library, debian_source) = has(DEBIAN_RUSTC).unwrap_or_default();
    let debian = || Some(PathBuf::from(DEBIAN_RUSTC));
    match (own_library, debian_library, own_source, debian_source) {
        (true, ..) => Some((None, false)),
        (_, true, ..) => Some((debian(), false)),
        (.., true) => Some((debian(), true)),
        (_, _, true, _) => Some((None, true)),
        _ => None,
    }
}

/// The folder of cargo-zigbuild: where `--setup` puts it, or on the path.
fn zig() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(environment().join("bin")).chain(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join("cargo-zigbuild").is_file())
}

/// The folder of Python packages that `--setup` installs zig into.
fn environment() -> PathBuf {
    cache().join("environment")
}

/// Installs what is missing, printing each command: zig by pip below target/; on Debian its Rust, the target's standard
/// library and qemu by apt, which takes root.
pub(crate) fn set_up(target: Target) -> Result<()> {
    if zig().is_none() {
        process::run(python::pip().args(["install", "--only-binary=:all:", "--target"]).arg(environment()).args(ZIG))
            .context("pip could not install zig")?;
    }
    let emulated = process::answers(target.emulator(), "--version");
    if standard_library(target).is_some() && emulated {
        return Ok(());
    }
    ensure!(
        process::answers("apt-get", "--version"),
        "the standard library for {triple} or {emulator} is missing, and this is no Debian\n\
         hint: `rustup target add {triple}` where rustup is; qemu's user emulation comes with the system",
        triple = target.triple(),
        emulator = target.emulator()
    );
    let packages: &[&str] = match target {
        Target::Aarch64 => {
            &["rustc-web", "libstd-rust-web-dev:arm64", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]
        }
        Target::Armv7 => &["rustc-web", "rust-web-src", "gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
        Target::Aarch64Musl => &["rustc-web", "rust-web-src"],
    };
    if target == Target::Aarch64 {
        process::run(Command::new("dpkg").args(["--add-architecture", "arm64"]))?;
    }
    process::run(Command::new("apt-get").arg("update"))?;
    let install = ["install", "--yes", "--no-install-recommends", "qemu-user-static"];
    process::run(Command::new("apt-get").args(install).args(packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(kind: Kind, floor: Option<Glibc>) -> Toolchain {
        Toolchain { kind, rustc: None, build_std: false, floor }
    }

    fn words(command: &Command) -> Vec<String> {
        let program = Path::new(command.get_program()).file_name().unwrap().to_string_lossy().into_owned();
        std::iter::once(program).chain(command.get_args().map(|word| word.to_string_lossy().into_owned())).collect()
    }

    #[test]
    fn zig_is_told_the_oldest_glibc() {
        let zig = toolchain(Kind::Zig("/packages/bin".into()), Some(Glibc::OLDEST));
        let command = zig.cargo("build", Target::Aarch64);
        assert_eq!(words(&command), ["cargo-zigbuild", "zigbuild", "--target", "aarch64-unknown-linux-gnu.2.31"]);
        let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap();
        assert!(path.to_string_lossy().starts_with("/packages/bin:"), "{}", path.display());
        assert_eq!(zig.to_string(), "zig, for glibc 2.31 and later");
    }

    #[test]
    fn a_cross_compiler_links_and_compiles_c() {
        let gcc = toolchain(Kind::Gcc("arm-linux-gnueabihf-gcc"), None);
        let command = gcc.cargo("build", Target::Armv7);
        let value = |name: &str| command.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        for name in ["CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER", "CC_armv7_unknown_linux_gnueabihf"] {
            assert_eq!(value(name).unwrap(), "arm-linux-gnueabihf-gcc", "{name}");
        }
    }

    #[test]
    fn cross_is_told_where_its_targets_are() {
        let command = toolchain(Kind::Cross, None).cargo("build", Target::Aarch64Musl);
        let config = command.get_envs().find(|(name, _)| *name == "CROSS_CONFIG").and_then(|(_, value)| value).unwrap();
        assert!(Path::new(config).is_file(), "{}", config.display());
    }

    #[test]
    fn toolchains_do_not_share_a_target_folder() {
        let folders =
            [Kind::Cross, Kind::Zig("bin".into()), Kind::Gcc("gcc")].map(|kind| toolchain(kind, None).target_dir());
        assert!(folders[0] != folders[1] && folders[1] != folders[2] && folders[0] != folders[2]);
    }
}
