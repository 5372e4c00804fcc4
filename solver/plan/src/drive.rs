//! Drives: ways over a map that somebody drove or steered, and would again. They show where a robot should go.
//!
//! A file of drives has a JSON object a line, with the keys that `trm plan --json` prints:
//! `{"map": "site.yaml", "layers": {"ground": "ground.png", "hour": 14}, "path": [[x, y], …]}`. Files are looked up beside
//! the file of drives; layers may be a list as well, whose names are then `1`, `2` and so on; keys that are not known are
//! passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trm_intake::file::{folder_of, read_within};
use trm_intake::{Budget, Fault, Limits};

use crate::{PlanError, Result};

/// Limits of a file of drives: items are lines, and their lists and texts.
const LIMITS: Limits = Limits { bytes: 64 << 20, items: 2_000_000, depth: 16, time: None };
/// The longest text, in bytes.
const LONGEST_TEXT: u64 = 4096;

/// Knowledge of a map's cells besides obstacles: ground, slope, traffic, hour of the day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LayerSource {
    /// A number that holds for the whole map.
    Value(f64),
    /// A picture with a pixel for each cell, or a map of any format.
    File(PathBuf),
}

/// A drive over a map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drive {
    /// The file of the map.
    pub map: PathBuf,
    /// The layers over the map, by name.
    pub layers: BTreeMap<String, LayerSource>,
    /// Places in the order in which they were passed, x and y in metres of the map's frame; two at least.
    pub path: Vec<[f64; 2]>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a file")]
enum Layers {
    Named(BTreeMap<String, LayerSource>),
    Listed(Vec<LayerSource>),
}

/// A place: x and y, whatever follows them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected [x, y] or [x, y, yaw]")]
enum Place {
    Point([f64; 2]),
    Pose([f64; 3]),
}

#[derive(Deserialize)]
struct Line {
    map: PathBuf,
    #[serde(default)]
    layers: Option<Layers>,
    path: Vec<Place>,
}

impl Drive {
    /// Reads a file of drives.
    ///
    /// # Errors
    /// [`PlanError::File`]; [`PlanError::BadDrive`] for a line that is none, or has a path of less than two places.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let mut budget = Budget::new(LIMITS);
        let text = read_within(path, &mut budget, "file of drives")?;
        let folder = folder_of(path);
        let bad = |line: usize, fault: Fault| PlanError::BadDrive {
            source_name: format!("{}: line {}", path.display(), line + 1),
            fault,
        };
        let mut drives = Vec::new();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let within = budget.take_items(1).and_then(|()| budget.take_json(line, LONGEST_TEXT));
            within.map_err(|exceeded| bad(number, exceeded.to_string().into()))?;
            let read: Line = serde_json::from_slice(line).map_err(|error| {
                bad(
                    number,
                    Fault::from(error.to_string()).advise(
                        r#"a drive is a JSON object a line, such as {"map": "site.yaml", "layers": {"ground": "ground.png"}, "path": [[1, 2], [1.5, 2]]}"#,
                    ),
                )
            })?;
            drives.push(read.drive(folder).map_err(|fault| bad(number, fault))?);
        }
        if drives.is_empty() {
            let fault = Fault::from("there are no drives in it");
            return Err(PlanError::BadDrive { source_name: path.display().to_string(), fault });
        }
        Ok(drives)
    }
}

impl Line {
    /// The drive, its files looked up in a folder.
    fn drive(self, folder: &Path) -> Result<Drive, Fault> {
        let point = |place: &Place| match *place {
            Place::Point(point) => point,
            Place::Pose([x, y, _]) => [x, y],
        };
        let path: Vec<[f64; 2]> = self.path.iter().map(point).collect();
        if path.len() < 2 {
            return Err(format!("a path of {} places, expected two at least", path.len()).into());
        }
        let found = |source| match source {
            LayerSource::File(file) => LayerSource::File(folder.join(file)),
            LayerSource::Value(value) => LayerSource::Value(value),
        };
        let layers = match self.layers {
            None => BTreeMap::new(),
            Some(Layers::Named(named)) => named.into_iter().map(|(name, source)| (name, found(source))).collect(),
            Some(Layers::Listed(listed)) => {
                (1..).zip(listed).map(|(number, source)| (number.to_string(), found(source))).collect()
            }
        };
        Ok(Drive { map: folder.join(self.map), layers, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Drive>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("drives.jsonl");
        std::fs::write(&path, text).expect("written");
        Drive::read(&path).map(|drives| {
            let relative = |path: &Path| path.strip_prefix(folder.path()).map_or(path.to_owned(), Path::to_owned);
            let relative_drive = |mut drive: Drive| {
                drive.map = relative(&drive.map);
                for source in drive.layers.values_mut() {
                    if let LayerSource::File(file) = source {
                        *file = relative(file);
                    }
                }
                drive
            };
            drives.into_iter().map(relative_drive).collect()
        })
    }

    #[test]
    fn drives_are_read_as_plans_are_printed() {
        let drives = read(concat!(
            r#"{"map": "site.yaml", "layers": {"ground": "ground.png", "hour": 14}, "path": [[1, 2], [1.5, 2.25]]}"#,
            "\n\n",
            r#"{"status": "planned", "map": "/maps/a.map", "layers": ["a.png", 3.5], "path": [[1, 2, 0.1], [3, 4, 1.5]], "ms": 3}"#,
            "\n",
        ))
        .expect("drives");
        assert_eq!(drives.len(), 2);
        assert_eq!(drives[0].map, Path::new("site.yaml"));
        assert_eq!(drives[0].layers["ground"], LayerSource::File("ground.png".into()));
        assert_eq!(drives[0].layers["hour"], LayerSource::Value(14.0));
        assert_eq!(drives[0].path, [[1.0, 2.0], [1.5, 2.25]]);
        assert_eq!(drives[1].map, Path::new("/maps/a.map"));
        assert_eq!(drives[1].layers["2"], LayerSource::Value(3.5));
        assert_eq!(drives[1].path, [[1.0, 2.0], [3.0, 4.0]]);
        // As it is written it is read again.
        let again = read(&serde_json::to_string(&drives[0]).expect("JSON")).expect("drives");
        assert_eq!(again[0], drives[0]);
    }

    #[test]
    fn what_is_no_drive_is_named_with_its_line() {
        for (text, expected) in [
            ("{\"map\": \"a\", \"path\": [[0, 0], [1, 1]]}\n{}", "line 2: missing field `map`"),
            (r#"{"map": "a", "path": [[0, 0]]}"#, "line 1: a path of 1 places, expected two at least"),
            (r#"{"map": "a", "path": [[0, 0], [1]]}"#, "line 1: expected [x, y] or [x, y, yaw]"),
            (r#"{"map": "a", "layers": {"x": true}, "path": []}"#, "line 1: expected a number or a file"),
            ("\n", "there are no drives in it"),
        ] {
            let error = read(text).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
