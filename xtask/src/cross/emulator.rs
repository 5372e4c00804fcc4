//! Running a target's programs on this machine: qemu's user emulation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::cache;
use super::target::Target;
use super::toolchain::variable;
use crate::process;

/// The text that emulated programs read in the place of this machine's `/proc/cpuinfo`: ONNX Runtime 1.28 and later
/// ends itself when it does not know the processor.
const CPUINFO: &str = "\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
";

/// qemu for a target.
pub(crate) struct Emulator {
    target: Target,
    /// A folder whose files stand before this machine's. Nothing but `/proc/cpuinfo` may be in it: with a C library there
    /// beside one that is installed, programs hang at their first thread.
    prefix: PathBuf,
}

impl Emulator {
    pub(crate) fn new(target: Target) -> Result<Self> {
        let emulator = target.emulator();
        ensure!(
            process::answers(emulator, "--version"),
            "{emulator} is not on this machine\nhint: `cargo xtask cross {} --setup`, or `apt-get install qemu-user-static`",
            target.name()
        );
        let prefix = cache().join("emulated").join(target.name());
        let file = prefix.join("proc/cpuinfo");
        let folder = file.parent().unwrap_or(&prefix);
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(&file, CPUINFO).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self { target, prefix })
    }

    /// The words that run a program.
    pub(crate) fn words(&self) -> Vec<String> {
        let prefix = self.prefix.display().to_string();
        [self.target.emulator(), "-cpu", self.target.emulated_cpu(), "-L", &prefix].map(str::to_owned).to_vec()
    }

    /// A command that runs a program.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(program);
        self.set_environment(&mut command);
        command
    }

    /// Makes cargo run what it builds for the target through the emulator.
    pub(crate) fn run_by_cargo(&self, command: &mut Command) {
        command.env(format!("CARGO_TARGET_{}_RUNNER", variable(self.target)), self.words().join(" "));
        self.set_environment(command);
    }

    /// Sets the variables of emulated programs, and the emulator's own again, for programs that they start.
    fn set_environment(&self, command: &mut Command) {
        command.env("QEMU_CPU", self.target.emulated_cpu()).env("QEMU_LD_PREFIX", &self.prefix);
        command.env("ORT_DISABLE_TELEMETRY", "1");
    }

    /// True if emulated programs can start others: the kernel must know the emulator for that.
    pub(crate) fn is_known_to_the_kernel(&self) -> bool {
        let name = self.target.emulator().trim_end_matches("-static");
        let entry = fs::read_to_string(Path::new("/proc/sys/fs/binfmt_misc").join(name));
        entry.is_ok_and(|entry| entry.starts_with("enabled"))
    }
}
