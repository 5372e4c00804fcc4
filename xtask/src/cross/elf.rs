//! The sizes and requirements that a program's file tells.

use std::fmt;

use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, FileKind, elf};

use super::Glibc;

/// Sizes, and the glibc that the program needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The whole file, in bytes.
    pub(crate) file: u64,
    /// Machine code, `.text`.
    pub(crate) text: u64,
    /// Constants, `.rodata`: models and tables.
    pub(crate) constants: u64,
    /// The highest version of a glibc symbol; none for a static program.
    pub(crate) glibc: Option<Glibc>,
}

impl Summary {
    /// Reads the summary of an ELF file, 32 or 64 bits wide.
    pub(crate) fn of(bytes: &[u8]) -> object::Result<Self> {
        match FileKind::parse(bytes)? {
            FileKind::Elf32 => summary::<elf::FileHeader32<Endianness>>(bytes),
            _ => summary::<elf::FileHeader64<Endianness>>(bytes),
        }
    }
}

fn summary<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::Result<Summary> {
    let header = E::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let size =
        |name: &[u8]| sections.section_by_name(endian, name).map_or(0, |(_, section)| section.sh_size(endian).into());
    let mut glibc = None;
    if let Some((mut entries, link)) = sections.gnu_verneed(endian, bytes)? {
        let strings = sections.strings(endian, bytes, link)?;
        while let Some((_, mut versions)) = entries.next()? {
            while let Some(version) = versions.next()? {
                let name = String::from_utf8_lossy(version.name(endian, strings)?).into_owned();
                let found = name.strip_prefix("GLIBC_").and_then(|version| version.parse().ok());
                glibc = glibc.max(found);
            }
        }
    }
    Ok(Summary { file: bytes.len() as u64, text: size(b".text"), constants: size(b".rodata"), glibc })
}

impl fmt::Display for Summary {
    /// `29.2 MB (code 15.8, constants 10.1), needs glibc 2.30`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let Self { file, text, constants, glibc } = self;
        write!(
            f,
            "{:.1} MB (code {:.1}, constants {:.1}), ",
            megabytes(*file),
            megabytes(*text),
            megabytes(*constants)
        )?;
        match glibc {
            Some(version) => write!(f, "needs glibc {version}"),
            None => f.write_str("linked statically"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn this_program_is_read() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let summary = Summary::of(&bytes).unwrap();
        assert!(summary.text > 10_000 && summary.constants > 1_000 && summary.file > summary.text, "{summary:?}");
        // Rust's own library needs at least this (`__cxa_thread_atexit_impl`, `getrandom`).
        assert!(summary.glibc.unwrap() >= Glibc { major: 2, minor: 17 }, "{summary}");
        assert!(summary.glibc.unwrap().major == 2, "{summary}");
    }

    #[test]
    fn what_is_no_program_is_an_error() {
        assert!(
            Summary::of(b"#!/bin/sh\necho a script that is longer than a header of ELF, which has 64 bytes\n").is_err()
        );
        assert!(Summary::of(b"").is_err());
    }
}
