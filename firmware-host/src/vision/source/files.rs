//! Pictures out of files: those that are named, or all of a folder.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use image::RgbImage;
use trm_intake::Limits;

use super::mjpeg::is_whole;
use super::{Frame, FrameSource, Warnings};
use crate::intake::read_file;
use crate::vision::photo;
use crate::{HostError, Result};

/// Limits of a picture's file.
const FILE_LIMITS: Limits = Limits { bytes: 64 << 20, items: 0, depth: 0, time: None };

/// Largest JPEG file, bytes: its decoder holds three copies. Sharp ones of 50 million pixels have 25 million.
const MAX_JPEG_FILE: usize = 48 << 20;

/// Most pictures of a folder.
const MOST_PICTURES: usize = 100_000;

/// Reads a JPEG or PNG file that must be there to its last byte, turned as its EXIF data says.
///
/// A decoder paints what is missing of a JPEG gray, and a reader would then see an empty board.
///
/// # Errors
/// When the file cannot be read or decoded, ends too early, or is too large.
pub fn open_whole(path: &Path) -> Result<RgbImage> {
    let refuse = |reason, hint| HostError::Source { name: path.display().to_string(), reason, hint };
    let bytes = read_file(path, FILE_LIMITS).map_err(|error| match error {
        HostError::TooLarge { exceeded, .. } => {
            refuse(exceeded.to_string(), "pictures of a camera are smaller, save it as JPEG")
        }
        HostError::Io { path, source, .. }
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
        {
            HostError::Io { path, action: "open", source }
        }
        other => other,
    })?;
    let jpeg = bytes.starts_with(&[0xFF, 0xD8]);
    if jpeg && bytes.len() > MAX_JPEG_FILE {
        let reason = format!("{} bytes are more than the limit of {MAX_JPEG_FILE} of a JPEG", bytes.len());
        return Err(refuse(reason, "save it without metadata, or smaller"));
    }
    // First, so that a broken or oversized picture is called that.
    let picture = photo::from_bytes(&bytes, path)?;
    if jpeg && !is_whole(&bytes) {
        return Err(refuse("the picture is cut short".to_owned(), "is it still being written or copied?"));
    }
    Ok(picture)
}

fn frame(path: &Path) -> Result<Frame> {
    Ok(Frame { name: path.display().to_string(), image: open_whole(path)?, cut: true })
}

/// Files, each by its name. One that cannot be read is an error, after which the next one's turn comes.
#[derive(Debug)]
pub struct Pictures {
    left: VecDeque<PathBuf>,
}

impl Pictures {
    /// These files, in this order.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { left: paths.into_iter().collect() }
    }
}

impl FrameSource for Pictures {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        self.left.pop_front().map(|path| frame(&path)).transpose()
    }
}

/// The JPEG and PNG files of a folder by name, once or again and again. Files that begin with a dot are left alone: a
/// program that writes one and renames it when done is never read half way.
///
/// Pictures that cannot be read are passed over with a warning, since they may be on their way; in a folder that is
/// gone through again, the next round finds them. Each round lists the folder anew.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    repeat: bool,
    left: VecDeque<PathBuf>,
    /// Files of this round that could be read.
    read: usize,
    warnings: Warnings,
}

impl Folder {
    /// The pictures of `path`; `repeat` to begin again after the last one.
    ///
    /// # Errors
    /// When the folder cannot be listed, or has no pictures and will not be looked at again.
    pub fn open(path: &Path, repeat: bool) -> Result<Self> {
        let left = pictures(path)?;
        if left.is_empty() && !repeat {
            return Err(no_pictures(path, "no pictures in this folder"));
        }
        Ok(Self { path: path.to_owned(), repeat, left, read: 0, warnings: Warnings::default() })
    }
}

fn no_pictures(path: &Path, reason: &str) -> HostError {
    HostError::Source {
        name: path.display().to_string(),
        reason: reason.to_owned(),
        hint: "files that end in .jpg, .jpeg or .png are looked for, not in folders within",
    }
}

/// The pictures of a folder, by name.
fn pictures(path: &Path) -> Result<VecDeque<PathBuf>> {
    let io = |source| HostError::Io { path: path.to_owned(), action: "list", source };
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(io)? {
        let entry = entry.map_err(io)?;
        let file = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let picture = file
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| ["jpg", "jpeg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known)));
        if picture && !hidden && !file.is_dir() {
            found.push(file);
        }
        if found.len() > MOST_PICTURES {
            return Err(no_pictures(path, &format!("more than the limit of {MOST_PICTURES} pictures in this folder")));
        }
    }
    found.sort();
    Ok(found.into())
}

impl FrameSource for Folder {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some(path) = self.left.pop_front() else {
                if !self.repeat {
                    return Ok(None);
                }
                let read = std::mem::take(&mut self.read);
                self.left = pictures(&self.path)?;
                if self.left.is_empty() {
                    return Err(no_pictures(&self.path, "no pictures in this folder"));
                }
                if read == 0 && !self.warnings.0.is_empty() {
                    // Not for ever in here: the caller decides how long to wait.
                    return Err(no_pictures(&self.path, "no picture in this folder can be read"));
                }
                continue;
            };
            match frame(&path) {
                Ok(frame) => {
                    self.read += 1;
                    return Ok(Some(frame));
                }
                Err(error) => self.warnings.add_error(&error),
            }
        }
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.take()
    }
}
