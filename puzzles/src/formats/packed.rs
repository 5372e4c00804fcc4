//! Compressed files and folders, within the budget of one input.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use trm_intake::{Budget, Printable, ReadError};
use zip::ZipArchive;

use crate::{PuzzleError, Result};

/// A file from within another: the name by which it is known, and its bytes.
pub(super) type Member = (PathBuf, Vec<u8>);

/// The files in a compressed one; `None` if it is not compressed.
pub(super) fn members(path: &Path, bytes: &[u8], budget: &mut Budget) -> Result<Option<Vec<Member>>> {
    if let [b'P', b'K', 3, 4, ..] = bytes {
        return zipped(path, bytes, budget).map(Some);
    }
    let Some(unpacking) = Unpacking::of(bytes) else { return Ok(None) };
    let reader = unpacking.reader(bytes).map_err(|error| damaged(path, &error))?;
    let inside = unpacked(path, reader, budget)?;
    // `puzzles.csv.gz` is known as `puzzles.csv`.
    Ok(Some(vec![(path.with_extension(""), inside)]))
}

/// A way to compress one file.
#[derive(Clone, Copy)]
pub(super) enum Unpacking {
    Gzip,
    Zstd,
}

impl Unpacking {
    /// The way in which a file that begins so is compressed.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// A reader of what the packed bytes hold.
    pub(super) fn reader<'r>(self, packed: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::Zstd => Box::new(StreamingDecoder::new(packed).map_err(io::Error::other)?),
        })
    }
}

/// The error of a file that does not unpack.
pub(super) fn damaged(path: &Path, error: &io::Error) -> PuzzleError {
    PuzzleError::data(path, format!("cannot be unpacked: {}", Printable(&error.to_string())))
}

fn zipped(path: &Path, bytes: &[u8], budget: &mut Budget) -> Result<Vec<Member>> {
    let damaged = |error: zip::result::ZipError| {
        PuzzleError::data(path, format!("not a whole archive: {}", Printable(&error.to_string())))
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(damaged)?;
        if !entry.is_file() {
            continue;
        }
        budget.take_items(1).map_err(PuzzleError::exceeded(path.display().to_string(), "files"))?;
        // A name is shown and nothing else: no file is written.
        let name = path.join(&*entry.name().map_err(damaged)?);
        let inside = unpacked(path, entry, budget)?;
        members.push((name, inside));
    }
    Ok(members)
}

/// All of what comes out, which the budget bounds.
fn unpacked(path: &Path, packed: impl Read, budget: &mut Budget) -> Result<Vec<u8>> {
    let mut inside = Vec::new();
    let mut reader = budget.bounded(packed);
    match reader.read_to_end(&mut inside).map_err(|error| reader.why(error)) {
        Ok(_) => Ok(inside),
        Err(ReadError::Exceeded(exceeded)) => Err(PuzzleError::exceeded(path.display().to_string(), "bytes")(exceeded)),
        Err(ReadError::Io(error)) => Err(damaged(path, &error)),
    }
}

/// The files of a folder and of those in it, by name, without hidden ones and those that are read with another: scenarios with
/// their map, solutions with their challenges.
pub(super) fn files(folder: &Path, budget: &mut Budget) -> Result<Vec<PathBuf>> {
    let mut open = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).map_err(PuzzleError::io("read", &folder))?;
        for entry in entries {
            let path = entry.map_err(PuzzleError::io("read", &folder))?.path();
            budget.take_items(1).map_err(PuzzleError::exceeded(folder.display().to_string(), "files"))?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let partner = name.strip_suffix("_solutions.json").map(|stem| format!("{stem}_challenges.json"));
            let partner = partner.or_else(|| name.strip_suffix(".scen").map(str::to_owned));
            if name.starts_with('.') || partner.is_some_and(|partner| path.with_file_name(partner).is_file()) {
                continue;
            }
            // Links are not followed: a folder may link to one that it is in.
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                open.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
