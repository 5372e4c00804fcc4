//! Integer arrays in NumPy's `.npy` files.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Only what the data sets use is read
//! (plain integers in C order), with the header's claims checked against the length of the file.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use trm_intake::{Budget, Exceeded, Fault, Printable};

use crate::{PuzzleError, Result};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Headers of plain arrays take some hundred bytes.
const MAX_HEADER: u64 = 64 << 10;

/// `NumPy`'s own limit was 32 for thirty years.
const MOST_AXES: usize = 32;

/// Bytes that are read at once, a multiple of every size of a value.
const PIECE: usize = 64 << 10;

/// Values of a byte, as a header names them.
const NARROW: &str = "|u1";
/// Values of four bytes.
const WIDE: &str = "<i4";

/// An open array of integers whose header was read, last axis fastest.
pub(crate) struct Array {
    path: PathBuf,
    file: BufReader<File>,
    header: Header,
}

/// The contents of a header.
struct Header {
    big_endian: bool,
    signed: bool,
    /// Bytes of a value.
    size: usize,
    shape: Vec<usize>,
}

impl Array {
    /// Opens an array of any integer type. The claims of its header are held against the length of the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fail = |fault: Fault| PuzzleError::data(path, fault);
        let file = File::open(path).map_err(PuzzleError::io("read", path))?;
        let length = file.metadata().map_err(PuzzleError::io("read", path))?.len();
        let mut file = BufReader::new(file);
        let (text, start) =
            header_text(&mut file).ok_or_else(|| fail("not a NumPy array (.npy) file, or cut short".into()))?;
        let header = parse_header(&text).map_err(fail)?;
        let array = Self { path: path.to_owned(), file, header };
        let needed =
            array.header.shape.iter().try_fold(array.header.size as u64, |count, &axis| count.checked_mul(axis as u64));
        let there = length.saturating_sub(start);
        match needed {
            Some(needed) if needed == there => Ok(array),
            Some(needed) if needed < there => Err(fail(
                Fault::from(format!(
                    "shape {:?} of {}-byte values needs {needed} bytes, and {there} are there",
                    array.header.shape, array.header.size
                ))
                .advise("one file has one array"),
            )),
            _ => Err(array.cut_short(there)),
        }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The bytes that its values take as they are kept.
    fn kept(&self) -> u64 {
        4 * self.shape().iter().map(|&axis| axis as u64).product::<u64>()
    }

    /// Draws what the values will take on a budget, without reading them.
    pub(crate) fn draw(&self, budget: &mut Budget) -> Result<()> {
        budget.take_bytes(self.kept()).map_err(|Exceeded { found, limit, .. }| PuzzleError::TooLarge {
            origin: self.path.display().to_string(),
            unit: "bytes of tokens in this and the files before",
            found,
            limit,
        })
    }

    /// The values, all of which must fit in 32 bits; they are drawn on a budget first.
    pub(crate) fn values(mut self, budget: &mut Budget) -> Result<Vec<i32>> {
        self.draw(budget)?;
        let Header { size, signed, big_endian, .. } = self.header;
        let count = self.shape().iter().product();
        let mut values = Vec::with_capacity(count);
        let mut piece = vec![0; PIECE];
        while values.len() < count {
            let wanted = PIECE.min((count - values.len()) * size);
            self.file.read_exact(&mut piece[..wanted]).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => self.cut_short((values.len() * size) as u64),
                _ => PuzzleError::io("read", &self.path)(error),
            })?;
            for chunk in piece[..wanted].chunks_exact(size) {
                let value = integer(chunk, big_endian, signed);
                values.push(value.ok_or_else(|| PuzzleError::data(&self.path, "a value does not fit in 32 bits"))?);
            }
        }
        Ok(values)
    }

    fn cut_short(&self, found: u64) -> PuzzleError {
        PuzzleError::data(
            &self.path,
            Fault::from(format!(
                "shape {:?} of {}-byte values needs more than the {found} bytes there are",
                self.header.shape, self.header.size
            ))
            .advise("the file is cut short"),
        )
    }
}

/// The header's text and how long all before the first value is; the file then stands there.
fn header_text(file: &mut impl Read) -> Option<(String, u64)> {
    let mut start = [0; 10];
    file.read_exact(&mut start).ok()?;
    let rest = start.strip_prefix(MAGIC)?;
    let &[major, _minor, low, high] = rest else {
        return None;
    };
    let (length, before) = match major {
        1 => (u64::from(u16::from_le_bytes([low, high])), 10),
        2 | 3 => {
            let mut upper = [0; 2];
            file.read_exact(&mut upper).ok()?;
            (u64::from(u32::from_le_bytes([low, high, upper[0], upper[1]])), 12)
        }
        _ => return None,
    };
    let mut text = String::new();
    file.take(length.min(MAX_HEADER)).read_to_string(&mut text).ok()?;
    (text.len() as u64 == length).then_some((text, before + length))
}

/// The text after `'key':`.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

/// Reads `{'descr': '<i4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse_header(text: &str) -> Result<Header, Fault> {
    let incomplete = || "its header lacks descr, fortran_order or shape".to_owned();
    let descr = field(text, "descr").ok_or_else(incomplete)?;
    let descr = descr
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
        .map(|(descr, _)| descr)
        .ok_or("records, expected an array of integers")?;
    let fortran = field(text, "fortran_order").ok_or_else(incomplete)?;
    let shape = field(text, "shape")
        .and_then(|rest| rest.strip_prefix('('))
        .and_then(|rest| rest.split_once(')'))
        .ok_or_else(incomplete)?
        .0
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| axis.parse::<usize>().map_err(|_| incomplete()))
        .collect::<Result<Vec<usize>, String>>()?;
    if shape.len() > MOST_AXES {
        return Err(format!("{} axes are more than the limit of {MOST_AXES}, expected one or two", shape.len()).into());
    }
    if fortran.starts_with("True") && shape.len() > 1 {
        return Err(Fault::from("Fortran order, expected C order").advise("save numpy.ascontiguousarray(array)"));
    }
    let (signed, size) = match descr.get(1..) {
        Some("i1") => (true, 1),
        Some("i2") => (true, 2),
        Some("i4") => (true, 4),
        Some("i8") => (true, 8),
        Some("u1" | "b1") => (false, 1),
        Some("u2") => (false, 2),
        Some("u4") => (false, 4),
        Some("u8") => (false, 8),
        _ => return Err(format!("values of type {}, expected integers", Printable(descr)).into()),
    };
    Ok(Header { big_endian: descr.starts_with('>'), signed, size, shape })
}

/// An integer of 1 to 8 bytes; `None` when it does not fit.
fn integer(bytes: &[u8], big_endian: bool, signed: bool) -> Option<i32> {
    let fold = |value: i64, &byte: &u8| value << 8 | i64::from(byte);
    let raw = if big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) };
    let unused = 64 - 8 * bytes.len() as u32;
    let value = if signed { raw << unused >> unused } else { raw };
    // An unsigned value of 8 bytes with its top bit set shows as negative here.
    (signed || value >= 0).then(|| i32::try_from(value).ok()).flatten()
}

/// All before the first value of an array of these values: magic, version, length, text and a newline.
fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    // Python writes a tuple of one with a comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", axes.join(", "));
    // It fills a multiple of 64 bytes.
    while !(MAGIC.len() + 4 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}

/// Writes an array: one byte a value where all fit (`|u1`), else four (`<i4`), or always four when `wide`.
pub(crate) fn write(path: &Path, shape: &[usize], values: &[i32], wide: bool) -> Result<()> {
    let bytes: Option<Vec<u8>> = values.iter().map(|&v| u8::try_from(v).ok()).collect();
    let bytes = bytes.filter(|_| !wide);
    let save = || {
        let mut file = BufWriter::new(File::create_new(path)?);
        file.write_all(&header(if bytes.is_some() { NARROW } else { WIDE }, shape))?;
        if let Some(bytes) = bytes {
            file.write_all(&bytes)?;
        } else {
            for value in values {
                file.write_all(&value.to_le_bytes())?;
            }
        }
        file.into_inner()?.sync_all()
    };
    save().map_err(PuzzleError::io("write", path))
}

/// An array of bytes with rows of one length, written row by row: how many there are stands in the header at the end.
pub(crate) struct Rows {
    path: PathBuf,
    file: BufWriter<File>,
    width: usize,
    count: usize,
}

impl Rows {
    /// Begins a file that is not there yet.
    pub(crate) fn create(path: PathBuf, width: usize) -> Result<Self> {
        let begin = || {
            let mut file = BufWriter::new(File::create_new(&path)?);
            file.write_all(&header(NARROW, &[0, width]))?;
            Ok(file)
        };
        let file = begin().map_err(PuzzleError::io("write", &path))?;
        Ok(Self { path, file, width, count: 0 })
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: &[i32]) -> Result<()> {
        let bytes: Option<Vec<u8>> = row.iter().map(|&value| u8::try_from(value).ok()).collect();
        let bytes = bytes.filter(|bytes| bytes.len() == self.width);
        let bytes = bytes.ok_or_else(|| {
            let expected = format!("row {}: expected {} values of 0 to 255", self.count, self.width);
            PuzzleError::data(&self.path, expected)
        })?;
        self.file.write_all(&bytes).map_err(PuzzleError::io("write", &self.path))?;
        self.count += 1;
        Ok(())
    }

    /// Number of rows so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Writes what is left, and the number of rows.
    pub(crate) fn finish(self) -> Result<()> {
        let Self { path, file, width, count } = self;
        let end = || {
            let mut file = file.into_inner()?;
            // As long as before: 64 bytes are left for the digits of any number.
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header(NARROW, &[count, width]))?;
            file.sync_all()
        };
        end().map_err(PuzzleError::io("write", path))
    }
}
