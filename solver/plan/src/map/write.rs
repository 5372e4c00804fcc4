//! Writes maps in the form of ROS 2's `map_server`.

use std::io::Write as _;
use std::path::Path;

use trm_intake::file::write_atomically;

use super::pixels::UNKNOWN_GREY;
use super::read::bad;
use super::{FREE, OCCUPIED, OccupancyMap, UNKNOWN};
use crate::Result;

/// The grey that nav2's map saver writes for a free cell.
const FREE_GREY: u8 = 254;

/// The value of an unknown cell in raw mode: above every value that a cell may have.
const RAW_UNKNOWN: u8 = 255;

impl OccupancyMap {
    /// Writes the map as `yaml` and a pgm of the same name beside it, for `map_server` and [`OccupancyMap::read`],
    /// which gives the same values, resolution and origin again. Each file is complete or not there. The image is
    /// written first: over an older map, a failure may leave the new image with the old yaml.
    ///
    /// A map of free, occupied and unknown cells only is written in trinary mode with the greys of nav2's map saver
    /// (254, 0, 205) and a `free_thresh` of 0.196: at nav2's default of 0.25, unknown cells come back as free. A map
    /// with values between is written in raw mode. The frame's name has no place in these files.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadMap`](crate::PlanError::BadMap) for a path that does not end in `.yaml` or `.yml`;
    /// [`PlanError::File`](crate::PlanError::File) if a file cannot be written.
    pub fn write_map_server(&self, yaml: &Path) -> Result<()> {
        let extension = yaml.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let image = yaml.with_extension("pgm");
        let name = image.file_name().and_then(|name| name.to_str());
        let (true, Some(name)) = (matches!(extension, "yaml" | "yml"), name) else {
            return Err(bad(&yaml.display().to_string(), "a map is written to a path that ends in .yaml"));
        };
        let trinary = self.values.iter().all(|value| matches!(*value, FREE | OCCUPIED | UNKNOWN));
        let grey = |&value: &i8| match value {
            FREE if trinary => FREE_GREY,
            OCCUPIED if trinary => 0,
            UNKNOWN if trinary => UNKNOWN_GREY,
            UNKNOWN => RAW_UNKNOWN,
            value => value as u8,
        };
        write_atomically(&image, |file| {
            write!(file, "P5\n{} {}\n255\n", self.width, self.height)?;
            let mut line = Vec::with_capacity(self.width);
            for row in self.values.rchunks(self.width) {
                line.clear();
                line.extend(row.iter().map(grey));
                file.write_all(&line)?;
            }
            Ok(())
        })?;
        let mode = if trinary { "trinary" } else { "raw" };
        write_atomically(yaml, |file| {
            writeln!(file, "image: {}", quoted(name))?;
            writeln!(file, "mode: {mode}")?;
            writeln!(file, "resolution: {:?}", self.resolution)?;
            writeln!(file, "origin: [{:?}, {:?}, {:?}]", self.origin.x, self.origin.y, self.origin.yaw)?;
            writeln!(file, "negate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196")
        })?;
        Ok(())
    }
}

/// A name as a yaml string: plain where nothing in it could mean anything else, else in json's quotes, which yaml has
/// as well.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if plain { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}
