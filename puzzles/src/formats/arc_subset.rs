//! Collections of ARC tasks, in the forms in which they are published.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use trm_intake::Budget;

use super::arc_json::{self, ArcTask};
use super::body::{Body, read_file};
use super::{LIMITS, packed, solutions_path};
use crate::{PuzzleError, Result};

/// Tasks that belong together: `training`, `evaluation`, `concept`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcSubset {
    /// Its name: that of the folder, or the word before `_challenges.json`.
    pub name: String,
    /// The folder or file.
    pub origin: PathBuf,
    /// Its tasks, by their ids.
    pub tasks: Vec<ArcTask>,
}

/// The subfolders of ARC-AGI-1 and 2; a folder that has one of them is read as these subsets.
const SUBFOLDERS: [&str; 2] = ["training", "evaluation"];

/// Ends the name of a file of tasks without their solutions, as Kaggle has them.
const CHALLENGES: &str = "_challenges.json";

/// The subsets in a file or folder:
/// - a folder with `training` or `evaluation` in it, or in `data` in it (ARC-AGI-1 and 2): each of the two;
/// - a folder with files `*_challenges.json` (Kaggle): each of them;
/// - any other folder (ConceptARC, MiniARC): all its `.json` files, and those of the folders in it, as one;
/// - a file: the tasks in it, in any form of [`arc_json`]; of `x_challenges.json` with the outputs of `x_solutions.json`.
///
/// A task that does not name itself is known by its file.
///
/// # Errors
/// Those of [`arc_json::parse_tasks`], which name file and task; [`PuzzleError::Empty`] for a folder without tasks;
/// [`PuzzleError::TooLarge`] for more than [`LIMITS`].
pub fn read(path: &Path) -> Result<Vec<ArcSubset>> {
    let mut budget = Budget::new(LIMITS);
    let budget = &mut budget;
    if !path.is_dir() {
        return Ok(vec![of_file(path, budget)?]);
    }
    let parted = [path.to_owned(), path.join("data")];
    if let Some(folder) = parted.iter().find(|folder| SUBFOLDERS.iter().any(|name| folder.join(name).is_dir())) {
        let folders = SUBFOLDERS.iter().map(|name| folder.join(name)).filter(|folder| folder.is_dir());
        return folders.map(|folder| of_folder(&folder, budget)).collect();
    }
    let files = packed::files(path, budget)?;
    let challenges: Vec<&PathBuf> = files.iter().filter(|file| file.to_string_lossy().ends_with(CHALLENGES)).collect();
    if challenges.is_empty() {
        return Ok(vec![of_files(path, &files, budget)?]);
    }
    challenges.into_iter().map(|file| of_file(file, budget)).collect()
}

fn of_folder(folder: &Path, budget: &mut Budget) -> Result<ArcSubset> {
    let files = packed::files(folder, budget)?;
    of_files(folder, &files, budget)
}

/// One subset of many files.
fn of_files(folder: &Path, files: &[PathBuf], budget: &mut Budget) -> Result<ArcSubset> {
    let is_json = |file: &&PathBuf| file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let mut tasks = Vec::new();
    for file in files.iter().filter(is_json) {
        tasks.extend(tasks_of(file, budget)?);
    }
    if tasks.is_empty() {
        return Err(PuzzleError::Empty { origin: folder.display().to_string() });
    }
    let resolved = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = text(resolved.file_name());
    Ok(ArcSubset { name, origin: folder.to_owned(), tasks })
}

/// One subset of one file.
fn of_file(file: &Path, budget: &mut Budget) -> Result<ArcSubset> {
    let name = text(file.file_name());
    let name = match name.strip_suffix(CHALLENGES) {
        Some(stem) => stem.rsplit('_').next().unwrap_or_default().to_owned(),
        None => text(file.file_stem()),
    };
    Ok(ArcSubset { name, origin: file.to_owned(), tasks: tasks_of(file, budget)? })
}

fn tasks_of(file: &Path, budget: &mut Budget) -> Result<Vec<ArcTask>> {
    let bytes = read_file(file, budget)?;
    let solutions = solutions_path(file).filter(|path| path.is_file());
    let solutions = solutions.map(|path| read_file(&path, budget)).transpose()?;
    let solutions = solutions.as_deref().map(Body::of);
    let mut tasks = arc_json::parse_tasks_within(&file.display().to_string(), Body::of(&bytes), solutions, budget)?;
    for task in tasks.iter_mut().filter(|task| task.id.is_empty()) {
        task.id = text(file.file_stem());
    }
    Ok(tasks)
}

fn text(name: Option<&OsStr>) -> String {
    name.unwrap_or_default().to_string_lossy().into_owned()
}
