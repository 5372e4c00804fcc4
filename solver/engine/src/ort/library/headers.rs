//! Reads a library file's headers, without running any of it.

use std::cell::Cell;
use std::env::consts::ARCH;
use std::fs;
use std::ops::Range;
use std::path::Path;

use object::{Architecture, Object, ObjectKind, ObjectSegment, ReadCache, ReadRef};

/// Most bytes of headers and tables that are read. Those of ONNX Runtime are below one MiB; a file may say that it has
/// gigabytes of them, and be as long without taking a block of the disk.
const MOST_BYTES: u64 = 64 << 20;

/// A file of which no more than so many bytes are read.
struct Frugal {
    file: ReadCache<fs::File>,
    left: Cell<u64>,
}

impl<'a> ReadRef<'a> for &'a Frugal {
    fn len(self) -> Result<u64, ()> {
        (&self.file).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.left.set(self.left.get().checked_sub(size).ok_or(())?);
        (&self.file).read_bytes_at(offset, size)
    }

    // A name, of which the file has to show the end within a page.
    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        (&self.file).read_bytes_at_until(range, delimiter)
    }
}

/// Checks that a file is a complete shared library for this processor that exports `OrtGetApiBase`; the error says what is wrong.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot open: {error}"))?;
    // Asked before it is opened: opening a pipe would wait for somebody who writes into it.
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| format!("cannot open: {error}"))?;
    let file = Frugal { file: ReadCache::new(file), left: Cell::new(MOST_BYTES) };
    let is_elf = (&file).read_bytes_at(0, 4).is_ok_and(|magic| magic == b"\x7fELF");
    // An ELF file ends with its table of sections.
    let broken = if is_elf { "the file is truncated or damaged" } else { "not a shared library" };
    let object = object::File::parse(&file).map_err(|_| broken.to_owned())?;
    if object.kind() != ObjectKind::Dynamic {
        return Err("not a shared library".to_owned());
    }
    let expected = match ARCH {
        "x86_64" => Some(Architecture::X86_64),
        "aarch64" => Some(Architecture::Aarch64),
        "arm" => Some(Architecture::Arm),
        "riscv64" => Some(Architecture::Riscv64),
        _ => None,
    };
    let actual = object.architecture();
    if expected.is_some_and(|expected| expected != actual) {
        return Err(format!("made for another processor ({actual:?}), expected {ARCH}").to_lowercase());
    }
    let end =
        object.segments().map(|segment| segment.file_range()).map(|(start, size)| start.saturating_add(size)).max();
    if end.is_some_and(|end| end > metadata.len()) {
        return Err("the file is truncated or damaged".to_owned());
    }
    let exports = object.exports().map_err(|_| "its table of symbols is damaged".to_owned())?;
    // Mach-O puts an underscore in front of every name.
    if !exports.iter().any(|export| export.name().ends_with(b"OrtGetApiBase")) {
        return Err("not ONNX Runtime's library: it does not export OrtGetApiBase".to_owned());
    }
    Ok(())
}
