//! The boards' targets, and the oldest glibc that a program is to run with.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

/// The machines that are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// 64-bit ARM with glibc: Raspberry Pi OS (64-bit), Ubuntu, JetPack.
    Aarch64,
    /// 32-bit ARM with glibc.
    Armv7,
    /// 64-bit ARM, linked statically.
    Aarch64Musl,
}

impl Target {
    const ALL: [Self; 3] = [Self::Aarch64, Self::Armv7, Self::Aarch64Musl];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Armv7 => "armv7",
            Self::Aarch64Musl => "aarch64-musl",
        }
    }

    /// Rust's name.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Armv7 => "armv7-unknown-linux-gnueabihf",
            Self::Aarch64Musl => "aarch64-unknown-linux-musl",
        }
    }

    /// Debian's cross compiler, for the targets that it has one for.
    pub(crate) fn gcc(self) -> Option<&'static str> {
        match self {
            Self::Aarch64 => Some("aarch64-linux-gnu-gcc"),
            Self::Armv7 => Some("arm-linux-gnueabihf-gcc"),
            Self::Aarch64Musl => None,
        }
    }

    /// qemu's emulator of a user program.
    pub(crate) fn emulator(self) -> &'static str {
        match self {
            Self::Aarch64 | Self::Aarch64Musl => "qemu-aarch64-static",
            Self::Armv7 => "qemu-arm-static",
        }
    }

    /// The processor to emulate: one without the vector extensions that emulation is slowest at. With qemu's own choice
    /// tract takes 15 times as long.
    pub(crate) fn emulated_cpu(self) -> &'static str {
        match self {
            Self::Aarch64 | Self::Aarch64Musl => "cortex-a72",
            Self::Armv7 => "cortex-a15",
        }
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    /// Reads a short name or Rust's.
    fn from_str(text: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|target| [target.name(), target.triple()].contains(&text)) {
            Some(target) => Ok(target),
            None => bail!("unknown target {text:?}\nhint: one of {}", Self::ALL.map(Self::name).join(", ")),
        }
    }
}

/// A version of glibc, `2.31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glibc {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Glibc {
    /// The glibc of Debian 11 and JetPack 5, the oldest systems that programs are built for.
    pub(crate) const OLDEST: Self = Self { major: 2, minor: 31 };
}

impl FromStr for Glibc {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('.').and_then(|(major, minor)| {
            // A patch level (2.2.5) does not tell versions apart that matter here.
            let minor = minor.split('.').next()?;
            Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
        });
        match parts {
            Some(version) => Ok(version),
            None => {
                bail!("{text:?} is no version of glibc\nhint: 2.31 is JetPack 5's and Debian 11's, 2.35 JetPack 6's")
            }
        }
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_two_names() {
        for target in Target::ALL {
            assert_eq!(target.name().parse::<Target>().unwrap(), target);
            assert_eq!(target.triple().parse::<Target>().unwrap(), target);
        }
        let error = "riscv64".parse::<Target>().unwrap_err();
        assert_eq!(error.to_string(), "unknown target \"riscv64\"\nhint: one of aarch64, armv7, aarch64-musl");
    }

    #[test]
    fn versions_are_numbers() {
        let version = |text: &str| text.parse::<Glibc>().unwrap();
        assert!(version("2.4") < version("2.31") && version("2.31") < version("2.35"));
        assert_eq!(version("2.2.5").to_string(), "2.2");
        assert!("2".parse::<Glibc>().is_err() && "new".parse::<Glibc>().is_err());
    }
}
