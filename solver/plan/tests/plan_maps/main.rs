//! Maps of every form, read and written: real ones, pixels by nav2's formulas, and everything that is refused.

mod forms;
mod pixels;
mod properties;
mod real;
mod refused;

use std::fs;
use std::path::{Path, PathBuf};

use trm_plan::map::LoadedMap;
use trm_plan::{MapCell, OccupancyMap};

/// A real map.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/maps").join(name)
}

/// A folder with one file.
fn folder_with(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("a file");
    (folder, path)
}

/// A map from a file of this name and content.
fn read(name: &str, content: impl AsRef<[u8]>) -> LoadedMap {
    let (_folder, path) = folder_with(name, content);
    LoadedMap::read(&path).expect("a map")
}

/// The message that refuses a file of this name and content, without its folder.
fn refusal(name: &str, content: impl AsRef<[u8]>) -> String {
    let (folder, path) = folder_with(name, content);
    let message = trm_intake::explained(&LoadedMap::read(&path).expect_err("refused"));
    assert!(message.contains(&path.display().to_string()), "names the file: {message}");
    message.replace(&format!("{}/", folder.path().display()), "")
}

/// Number of cells that have a value.
fn count(map: &OccupancyMap, value: i8) -> usize {
    map.values().iter().filter(|&&found| found == value).count()
}

/// The value at a column and a row, counted from the bottom left.
fn at(map: &OccupancyMap, x: usize, y: usize) -> i8 {
    map.get(MapCell { x, y }).expect("a cell of the map")
}
