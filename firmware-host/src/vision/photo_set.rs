//! A folder of photographs with what they show, in the format of the public set of newspaper sudokus
//! (`wichtounet/sudoku_dataset`): for each `NAME.jpg` a `NAME.dat` (two lines about the camera, then the rows of the
//! grid, 0 for an empty cell), and `outlines.csv` with the board's corners.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trm_intake::{Budget, Limits};

use super::Point;
use super::quad::{Quad, from_top_left};
use crate::intake::{SMALL, read_text};
use crate::{HostError, Result};

/// Limits of a set: photographs. The public one has 200.
const SET_LIMITS: Limits = Limits { bytes: 0, items: 100_000, depth: 0, time: None };

/// Limits of the corners of all boards: a hundred bytes each.
const OUTLINE_LIMITS: Limits = Limits { bytes: 16 << 20, ..SET_LIMITS };

/// A photograph of the set.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPhoto {
    /// The picture's file.
    pub path: PathBuf,
    /// The grid's digits, 0 for an empty cell.
    pub digits: Vec<u8>,
    /// The board's corners in the upright picture, clockwise from the top left, where the set has them.
    pub corners: Option<Quad>,
}

/// Reads a folder, in the order of the names.
///
/// # Errors
/// When it cannot be read, has no labelled photograph, or a label is broken.
pub fn read(folder: &Path) -> Result<Vec<LabelledPhoto>> {
    let io = |path: &Path, source| HostError::Io { path: path.to_owned(), action: "read", source };
    let outlines = folder.join("outlines.csv");
    let outlines = match read_text(&outlines, OUTLINE_LIMITS) {
        Ok(text) => read_outlines(&text, &outlines)?,
        Err(HostError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    let (mut photos, mut budget) = (Vec::new(), Budget::new(SET_LIMITS));
    for entry in std::fs::read_dir(folder).map_err(|source| io(folder, source))? {
        let label = entry.map_err(|source| io(folder, source))?.path();
        if label.extension().is_none_or(|extension| extension != "dat") {
            continue;
        }
        budget.take_items(1).map_err(|exceeded| HostError::TooLarge { path: folder.to_owned(), exceeded })?;
        let text = read_text(&label, SMALL)?;
        let digits = read_digits(&text, &label)?;
        let path = label.with_extension("jpg");
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let corners = outlines.get(name).copied();
        photos.push(LabelledPhoto { path, digits, corners });
    }
    photos.sort_by(|a, b| a.path.cmp(&b.path));
    if photos.is_empty() {
        return Err(label_error(folder, "has no labelled photograph", "each NAME.jpg needs a NAME.dat beside it"));
    }
    Ok(photos)
}

fn read_digits(text: &str, path: &Path) -> Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .lines()
        .skip(2)
        .flat_map(str::split_whitespace)
        .map(|word| word.parse().ok().filter(|&d| d <= 9))
        .collect();
    match digits {
        Some(digits) if [16, 36, 81].contains(&digits.len()) => Ok(digits),
        _ => Err(label_error(
            path,
            "is no label",
            "two lines about the camera, then rows of digits, 0 for an empty cell",
        )),
    }
}

fn read_outlines(text: &str, path: &Path) -> Result<BTreeMap<String, Quad>> {
    let mut outlines = BTreeMap::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').take(10).map(|field| field.trim().trim_matches('"')).collect();
        let values: Option<Vec<f32>> = fields[1..].iter().map(|field| field.parse().ok()).collect();
        let Some([x1, y1, x2, y2, x3, y3, x4, y4]) = values.as_deref().and_then(|v| <[f32; 8]>::try_from(v).ok())
        else {
            let reason = format!("line {} is no outline", number + 1);
            return Err(label_error(path, &reason, "a file name and eight numbers"));
        };
        let corners: [Point; 4] = [[x1, y1], [x2, y2], [x3, y3], [x4, y4]];
        outlines.insert(fields[0].to_owned(), from_top_left(corners));
    }
    Ok(outlines)
}

fn label_error(path: &Path, reason: &str, hint: &'static str) -> HostError {
    HostError::Label { path: path.to_owned(), reason: reason.to_owned(), hint }
}
