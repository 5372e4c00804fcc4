//! Finding ONNX Runtime's shared library, and making sure that a file is one before it is loaded: loading runs the
//! file's code, and a library of another kind can take the process down with it.
//!
//! A library that nobody named is taken from a few places only ([`SearchEnvironment`]), and only if nobody else can
//! replace it (`exposure`). Its headers are read without running any of it (`headers`); then it is opened in a
//! process of its own ([`answer_probe`](super::answer_probe)).

mod environment;
mod exposure;
mod headers;
pub(super) mod probe;
mod remembered;

use std::cmp::Reverse;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};

pub use self::environment::SearchEnvironment;
use self::environment::Spot;
use crate::{EngineError, Result};

/// The reason why a file is not loaded as ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryProblem {
    /// Its headers are not those of ONNX Runtime's library for this processor.
    #[error("{0}")]
    Foreign(String),
    /// Others than root and the user can replace it.
    #[error("{0}")]
    Exposed(String),
    /// Opened in a process of its own, it crashed, hung, printed or did not compute.
    #[error("it {0}")]
    Fails(String),
}

/// A file that looks like ONNX Runtime's library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLibrary {
    /// Its path, absolute and without links.
    pub path: PathBuf,
    /// The origin of the path: `--ort-lib`, `ORT_DYLIB_PATH`, `VIRTUAL_ENV`, `beside the program`, …
    pub origin: &'static str,
    /// Who else can replace it. Only a library that was named is taken in spite of that.
    pub exposed: Option<String>,
}

/// A place where the library is looked for, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The place's origin: `--ort-lib`, `VIRTUAL_ENV`, `system`, …
    pub origin: &'static str,
    /// The folder, or the file that was named.
    pub path: PathBuf,
    /// The libraries there, in the order in which they are tried.
    pub libraries: Vec<Candidate>,
}

/// A file that has the name of ONNX Runtime's library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its path; without links where it can be loaded.
    pub path: PathBuf,
    /// Reason why it is not loaded; `None` if it can be.
    pub problem: Option<LibraryProblem>,
}

impl Candidate {
    /// True if its owner may expect it to be loaded, and should be told: not a file of another kind or processor.
    #[must_use]
    pub fn is_surprising(&self) -> bool {
        matches!(self.problem, Some(LibraryProblem::Exposed(_) | LibraryProblem::Fails(_)))
    }
}

/// Opens a library to see whether it works; the error says what it does instead.
type Open<'a> = &'a dyn Fn(&Path) -> Result<(), String>;

/// Finds the library: `explicit`, then `ORT_DYLIB_PATH`, then the places of the environment, of which the first library
/// that nobody else can replace counts. The first two are taken at their word: a file that they name may lie anywhere, and one that
/// is not ONNX Runtime is an error, not passed over. Headers are read, nothing is run.
///
/// # Errors
///
/// [`EngineError::LibraryRejected`] for a file that was named and cannot be it; [`EngineError::LibraryNotFound`] if
/// there is none elsewhere that may be loaded.
pub fn find_library(explicit: Option<&Path>, environment: &SearchEnvironment) -> Result<FoundLibrary> {
    find_that_opens(explicit, environment, &|_| Ok(()))
}

/// [`find_library`] with the last word to `open`.
pub(super) fn find_that_opens(
    explicit: Option<&Path>,
    environment: &SearchEnvironment,
    open: Open<'_>,
) -> Result<FoundLibrary> {
    if let Some(spot) = environment.named(explicit) {
        let library = spot.libraries().into_iter().next();
        let path = library.as_deref().unwrap_or(&spot.path);
        return match judge(library.as_deref(), true, open) {
            Ok((path, exposed)) => Ok(FoundLibrary { path, origin: spot.origin, exposed }),
            Err(LibraryProblem::Fails(reason)) => Err(EngineError::LibraryFails { path: path.to_owned(), reason }),
            Err(problem) => Err(EngineError::LibraryRejected {
                path: path.to_owned(),
                origin: spot.origin.to_owned(),
                reason: problem.to_string(),
            }),
        };
    }
    let mut refused = Vec::new();
    for spot in environment.spots() {
        for library in spot.libraries() {
            match judge(Some(&library), false, open) {
                Ok((path, exposed)) => return Ok(FoundLibrary { path, origin: spot.origin, exposed }),
                Err(problem) => refused.push(Candidate { path: library, problem: Some(problem) }),
            }
        }
    }
    Err(EngineError::LibraryNotFound { refused })
}

/// Every place that the library is looked for in, with what is there; what was named comes first, and where something was
/// named nothing else is searched.
pub(super) fn survey(explicit: Option<&Path>, environment: &SearchEnvironment, open: Open<'_>) -> Vec<Place> {
    let named = environment.named(explicit);
    let spots = if named.is_some() { Vec::new() } else { environment.spots() };
    let place = |named: bool, spot: Spot| {
        let look = |library: PathBuf| match judge(Some(&library), named, open) {
            Ok((path, _)) => Candidate { path, problem: None },
            Err(problem) => Candidate { path: library, problem: Some(problem) },
        };
        let libraries = spot.libraries().into_iter().map(look).collect();
        Place { origin: spot.origin, path: spot.path, libraries }
    };
    let named = named.into_iter().map(|spot| place(true, spot));
    named.chain(spots.into_iter().map(|spot| place(false, spot))).collect()
}

/// The library's real path, and who else can replace it, or why it is not loaded.
fn judge(library: Option<&Path>, named: bool, open: Open<'_>) -> Result<(PathBuf, Option<String>), LibraryProblem> {
    let Some(library) = library else {
        return Err(LibraryProblem::Foreign(format!("no {DLL_PREFIX}onnxruntime{DLL_SUFFIX} in this folder")));
    };
    let path = fs::canonicalize(library).map_err(|error| LibraryProblem::Foreign(format!("cannot open: {error}")))?;
    let exposed = exposure::of(library, &path);
    if let (false, Some(exposed)) = (named, &exposed) {
        return Err(LibraryProblem::Exposed(exposed.clone()));
    }
    headers::check(&path).map_err(LibraryProblem::Foreign)?;
    open(&path).map_err(LibraryProblem::Fails)?;
    Ok((path, exposed))
}

/// The ONNX Runtime libraries in a folder, newest version first, down to `depth` folders below.
fn libraries_in(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let stem = format!("{DLL_PREFIX}onnxruntime.");
    let mut found = Vec::new();
    let mut pending = vec![(folder.to_path_buf(), depth)];
    while let Some((dir, depth)) = pending.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if name.starts_with(&stem) && name.contains(DLL_SUFFIX) {
                found.push(path);
            } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push((path, depth - 1));
            }
        }
    }
    found.sort_by_key(|path| (Reverse(version_in(path)), path.clone()));
    found
}

/// The numbers in a library's file name, links resolved: `libonnxruntime.so.1.32.0` gives 1, 32, 0.
fn version_in(path: &Path) -> Vec<u64> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The version that a library's file name gives: `1.32.0`, or `unknown`.
pub(super) fn version_of(path: &Path) -> String {
    let numbers: Vec<_> = version_in(path).iter().map(u64::to_string).collect();
    if numbers.is_empty() { "unknown".to_owned() } else { numbers.join(".") }
}
