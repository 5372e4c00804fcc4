//! The machine a program runs on, as far as the kernel tells: what a measured figure has to be read with.
//!
//! Everything here is best effort and Linux only; what is not told is absent, never guessed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fmt, fs};

use serde::Serialize;

/// A machine, and the state that its owner has put it into.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Architecture that the program was compiled for: `x86_64`, `aarch64`, `arm`.
    pub architecture: &'static str,
    /// The operating system: `linux`, `macos`.
    pub system: &'static str,
    /// The board, from the device tree: `Raspberry Pi 4 Model B Rev 1.4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// The processor's name. ARM kernels tell none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Cores that the program may use.
    pub cores: usize,
    /// Memory of the machine, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Memory that programs can still take now, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_available_mib: Option<u64>,
    /// Jetson: the release of NVIDIA's Linux for Tegra: `R36, 4.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l4t: Option<String>,
    /// Jetson: the power mode, as `nvpmodel -q` names it: `15W`, `MAXN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_mode: Option<String>,
    /// Governor that chooses the first core's clock: `performance`, `schedutil`, `ondemand`, `powersave`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
    /// The program is translated from another architecture as it runs (qemu-user): times and memory say nothing about
    /// a real machine.
    pub emulated: bool,
}

impl Machine {
    /// This machine, now, as far as files tell. No program is started.
    #[must_use]
    pub fn this() -> Self {
        Self { emulated: is_emulated(), ..Self::read(Path::new("/")) }
    }

    /// Asks for the power mode as well, which starts a program where there is one: for reports, not for solving.
    #[must_use]
    pub fn with_power_mode(self) -> Self {
        Self { power_mode: power_mode(), ..self }
    }

    /// Reads the files below `root`.
    fn read(root: &Path) -> Self {
        let line = |path: &str| first_line(&root.join(path));
        Self {
            architecture: std::env::consts::ARCH,
            system: std::env::consts::OS,
            board: line("proc/device-tree/model"),
            processor: field(&root.join("proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_mib: kibibytes(&root.join("proc/meminfo"), "MemTotal").map(|kib| kib / 1024),
            memory_available_mib: kibibytes(&root.join("proc/meminfo"), "MemAvailable").map(|kib| kib / 1024),
            l4t: line("etc/nv_tegra_release").as_deref().and_then(l4t_release),
            power_mode: None,
            governor: line("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            emulated: false,
        }
    }
}

impl fmt::Display for Machine {
    /// `Raspberry Pi 4 Model B Rev 1.4, linux aarch64, 4 cores, 3793 MiB memory (3020 available), governor ondemand`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in [&self.board, &self.processor].into_iter().flatten() {
            write!(f, "{name}, ")?;
        }
        write!(f, "{} {}, {} cores", self.system, self.architecture, self.cores)?;
        if let (Some(total), Some(available)) = (self.memory_mib, self.memory_available_mib) {
            write!(f, ", {total} MiB memory ({available} available)")?;
        }
        for (what, value) in [("L4T", &self.l4t), ("power mode", &self.power_mode), ("governor", &self.governor)] {
            if let Some(value) = value {
                write!(f, ", {what} {value}")?;
            }
        }
        f.write_str(if self.emulated { ", EMULATED" } else { "" })
    }
}

/// Names the processor, or the board where the kernel tells no processor, with its cores: `Cortex-A76, 4 cores`.
#[must_use]
pub fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let name = field(Path::new("/proc/cpuinfo"), "model name");
    let name = name.or_else(|| first_line(Path::new("/proc/device-tree/model")));
    format!("{}, {cores} cores", name.as_deref().unwrap_or(std::env::consts::ARCH))
}

/// Temperature and clock at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Sensors {
    /// The hottest of the kernel's thermal zones, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub celsius: Option<f64>,
    /// The fastest core's clock, in MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<u64>,
    /// The clock that the fastest core can reach, in MHz. Below it under load, a machine saves power or is too hot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_clock_mhz: Option<u64>,
}

impl Sensors {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        Self::read_below(Path::new("/sys"))
    }

    fn read_below(sys: &Path) -> Self {
        let clock = |file: &str| {
            let cores = matching(&sys.join("devices/system/cpu"), "cpu");
            let kilohertz = |core: PathBuf| first_line(&core.join("cpufreq").join(file))?.parse::<u64>().ok();
            cores.into_iter().filter_map(kilohertz).max().map(|kilohertz| kilohertz / 1000)
        };
        Self {
            celsius: matching(&sys.join("class/thermal"), "thermal_zone")
                .iter()
                .filter_map(|zone| celsius(zone))
                .reduce(f64::max),
            clock_mhz: clock("scaling_cur_freq"),
            max_clock_mhz: clock("cpuinfo_max_freq"),
        }
    }
}

/// A thermal zone's temperature, which the kernel gives in thousandths.
fn celsius(zone: &Path) -> Option<f64> {
    // The first Jetsons have a zone for the power chip that always says 100 degrees.
    if first_line(&zone.join("type"))?.to_ascii_lowercase().contains("pmic") {
        return None;
    }
    Some(first_line(&zone.join("temp"))?.parse::<f64>().ok()? / 1000.0)
}

/// Programs that wanted to run, on average over the last minute.
#[must_use]
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The most memory that a process has held since it started, or since [`forget_peak_memory`], in bytes.
#[must_use]
pub fn peak_memory(process: u32) -> Option<u64> {
    kibibytes(&PathBuf::from(format!("/proc/{process}/status")), "VmHWM").map(|kib| kib * 1024)
}

/// Starts [`peak_memory`] of this process over, from what it holds now. Returns true if that worked: it takes Linux.
#[must_use]
pub fn forget_peak_memory() -> bool {
    // proc(5): 5 resets the peak resident set size.
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Returns true if qemu-user translates the program. It hides from a program that the kernel runs an emulator, but
/// under the usual path `/proc/self/exe` only.
pub(crate) fn is_emulated() -> bool {
    match (fs::read_link("/proc/self/exe"), fs::read_link("/proc/thread-self/exe")) {
        (Ok(told), Ok(real)) => told != real,
        _ => false,
    }
}

/// Jetson's power mode, from the program that sets it; asking needs no privileges.
fn power_mode() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "only reports ask")]
    let output = Command::new("nvpmodel").arg("-q").output().ok()?;
    parse_power_mode(&String::from_utf8_lossy(&output.stdout))
}

/// `NV Power Mode: MODE_15W` and a line with its number.
fn parse_power_mode(text: &str) -> Option<String> {
    let mode = text.lines().find_map(|line| line.trim().strip_prefix("NV Power Mode:"))?.trim();
    Some(mode.strip_prefix("MODE_").unwrap_or(mode).to_owned())
}

/// `# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, …`
fn l4t_release(line: &str) -> Option<String> {
    let release = line.strip_prefix("# ")?.split_whitespace().next()?;
    let revision = line.split_once("REVISION: ")?.1.split(',').next()?;
    Some(format!("{release}, {revision}"))
}

/// A file's first line, without the blanks and the NUL that device trees end strings with.
fn first_line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!line.is_empty()).then(|| line.to_owned())
}

/// The first line `KEY : VALUE` of a file.
fn field(path: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'))?;
    Some(value.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|value| !value.is_empty())
}

/// A line `KEY: 123 kB` of a file.
fn kibibytes(path: &Path, key: &str) -> Option<u64> {
    field(path, key)?.strip_suffix("kB")?.trim().parse().ok()
}

/// The entries of a folder whose names are `prefix` and a number.
fn matching(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let is_numbered = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u32>().is_ok());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_numbered)).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files as an Orin Nano and a first Nano have them.
    fn jetson() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        let sys = "sys/devices/system/cpu";
        for (path, content) in [
            ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),
            ("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 62.50\nFeatures\t: fp asimd\n"),
            ("proc/meminfo", "MemTotal:        7802804 kB\nMemFree: 1 kB\nMemAvailable:    5242880 kB\n"),
            ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"),
            (&format!("{sys}/cpu0/cpufreq/scaling_governor"), "schedutil\n"),
            (&format!("{sys}/cpu0/cpufreq/scaling_cur_freq"), "729600\n"),
            (&format!("{sys}/cpu0/cpufreq/cpuinfo_max_freq"), "1510400\n"),
            (&format!("{sys}/cpu4/cpufreq/scaling_cur_freq"), "1344000\n"),
            (&format!("{sys}/cpufreq/scaling_cur_freq"), "9999999\n"),
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", "51062\n"),
            ("sys/class/thermal/thermal_zone1/type", "tj-thermal\n"),
            ("sys/class/thermal/thermal_zone1/temp", "52343\n"),
            ("sys/class/thermal/thermal_zone2/type", "PMIC-Die\n"),
            ("sys/class/thermal/thermal_zone2/temp", "100000\n"),
            // A zone that is switched off cannot be read.
            ("sys/class/thermal/thermal_zone3/type", "cv0-thermal\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, content).expect("a file");
        }
        root
    }

    #[test]
    fn a_jetson_is_recognised() {
        let machine = Machine::read(jetson().path());
        assert_eq!(machine.board.as_deref(), Some("NVIDIA Jetson Orin Nano Developer Kit"));
        assert_eq!((machine.memory_mib, machine.memory_available_mib), (Some(7619), Some(5120)));
        assert_eq!(machine.l4t.as_deref(), Some("R36, 4.3"));
        assert_eq!(machine.governor.as_deref(), Some("schedutil"));
        assert_eq!(machine.processor, None);
        let line = machine.to_string();
        assert!(line.starts_with("NVIDIA Jetson Orin Nano Developer Kit, "), "{line}");
        assert!(line.ends_with(", 7619 MiB memory (5120 available), L4T R36, 4.3, governor schedutil"), "{line}");
    }

    #[test]
    fn sensors_are_those_of_cores_and_chips() {
        let sensors = Sensors::read_below(&jetson().path().join("sys"));
        assert_eq!(sensors, Sensors { celsius: Some(52.343), clock_mhz: Some(1344), max_clock_mhz: Some(1510) });
    }

    #[test]
    fn what_is_not_told_is_absent() {
        let empty = tempfile::tempdir().expect("a folder");
        let machine = Machine::read(empty.path());
        assert_eq!((machine.board, machine.l4t, machine.governor, machine.memory_mib), (None, None, None, None));
        assert_eq!(Sensors::read_below(empty.path()), Sensors::default());
    }

    #[test]
    fn power_modes_are_named_as_their_labels() {
        assert_eq!(parse_power_mode("NV Power Mode: MODE_15W\n2\n").as_deref(), Some("15W"));
        assert_eq!(
            parse_power_mode("NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0\n").as_deref(),
            Some("MAXN")
        );
        assert_eq!(parse_power_mode("NVPM ERROR: no such file\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_measured_anew() {
        let process = std::process::id();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let high = peak_memory(process).expect("Linux tells");
        assert!(high >= block.len() as u64, "{high}");
        drop(block);
        assert!(forget_peak_memory());
        let low = peak_memory(process).expect("Linux tells");
        assert!(low + (48 << 20) < high, "{low} after {high}");
    }
}
