//! Reads maps from files, whose format it finds out.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use image::DynamicImage;
use trm_intake::{Budget, Fault, Limits, ReadError};

use super::{MAX_CELLS, OccupancyMap, drawing, map_server, moving_ai, occupancy_grid, pixels};
use crate::{PlanError, Pose, Result};

/// Limits of a map's text: a `nav_msgs/OccupancyGrid` of 25 million cells, at five characters a cell. Images are
/// refused by the size in their header as well.
pub const LIMITS: Limits = Limits { bytes: 128 << 20, items: MAX_CELLS as u64, depth: 32, time: None };

/// A map, and the other contents of its file.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedMap {
    /// The map.
    pub map: OccupancyMap,
    /// The centre of a maze's `S`, looking along x; `None` where there is none.
    pub start: Option<Pose>,
    /// The centre of a maze's `G`, looking along x; `None` where there is none.
    pub goal: Option<Pose>,
    /// True if the file says how many metres a cell has. Mazes and benchmarks' maps do not: theirs have 1.
    pub metric: bool,
    /// A note on the map that may surprise its user, for people to read: unmapped space that counts as free.
    pub note: Option<Fault>,
    /// The image that the file names, where its cells are.
    pub image: Option<PathBuf>,
}

impl LoadedMap {
    /// Reads a map in any of the [formats](super), told apart by the beginning of the file.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadMap`] for a file that cannot be read or is none of them, and for an image without the yaml that
    /// gives its scale; [`PlanError::Puzzle`] for some faults of drawings and MovingAI maps;
    /// [`PlanError::MapTooLarge`] for more than [`MAX_CELLS`](super::MAX_CELLS) cells. The error names the file, and
    /// the fault with its place.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_within(path, &mut Budget::new(LIMITS))
    }

    /// As [`read`](Self::read), drawing the text on `budget`.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_within(path: &Path, budget: &mut Budget) -> Result<Self> {
        let source = path.display().to_string();
        let bytes = read_bytes(path, &source, budget)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match Form::of(path, bytes) {
            Form::MapServer => map_server::parse(path, bytes),
            Form::GridJson => occupancy_grid::from_json(&source, bytes).map(Self::from),
            Form::GridYaml => occupancy_grid::from_yaml(&source, bytes).map(Self::from),
            Form::MovingAi => moving_ai::parse(&source, bytes).map(|map| Self { metric: false, ..Self::from(map) }),
            Form::Scenarios => Err(bad(
                &source,
                Fault::from("scenarios are no map")
                    .advise("give the .map that they are for; places of the scenarios are start and goal"),
            )),
            Form::Drawing => drawing::parse(&source, bytes),
        }
    }

    /// The map with another size of its cells, in metres; start and goal stay in their cells.
    ///
    /// # Errors
    ///
    /// Those of [`OccupancyMap::with_resolution`].
    pub fn with_resolution(self, resolution: f64) -> Result<Self> {
        let in_cells = [self.start, self.goal].map(|pose| pose.map(|pose| (pose, self.map.to_cells(pose.x, pose.y))));
        let map = self.map.with_resolution(resolution)?;
        let [start, goal] = in_cells.map(|place| {
            place.map(|(pose, (column, row))| {
                let (x, y) = map.to_frame(column, row);
                Pose { x, y, ..pose }
            })
        });
        Ok(Self { map, start, goal, metric: true, ..self })
    }
}

impl From<OccupancyMap> for LoadedMap {
    fn from(map: OccupancyMap) -> Self {
        Self { map, start: None, goal: None, metric: true, note: None, image: None }
    }
}

impl OccupancyMap {
    /// Reads a map in any of the [formats](super), without the other contents of its file; see [`LoadedMap::read`].
    ///
    /// # Errors
    ///
    /// Those of [`LoadedMap::read`].
    pub fn read(path: &Path) -> Result<Self> {
        LoadedMap::read(path).map(|loaded| loaded.map)
    }
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    MapServer,
    GridJson,
    GridYaml,
    MovingAi,
    Scenarios,
    Drawing,
}

impl Form {
    fn of(path: &Path, bytes: &[u8]) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("").to_ascii_lowercase();
        let yaml = matches!(extension.as_str(), "yaml" | "yml");
        let content = bytes.trim_ascii_start();
        if content.starts_with(b"{") {
            // Json is yaml, so map_server takes its settings like that as well.
            return if has(content, b"info") || has(content, b"data") || !(yaml || has(content, b"image")) {
                Self::GridJson
            } else {
                Self::MapServer
            };
        }
        // Mazes of micromouse are called so as well.
        let is_drawn = content.starts_with(b"+-") || content.starts_with(b"o-");
        if content.starts_with(b"type ") || (extension == "map" && !is_drawn) {
            return Self::MovingAi;
        }
        if content.starts_with(b"version ") || extension == "scen" {
            return Self::Scenarios;
        }
        let has_key = |key: &[u8]| {
            content
                .split(|&byte| byte == b'\n')
                .any(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim_ascii_start().starts_with(b":")))
        };
        if has_key(b"info") || has_key(b"data") {
            Self::GridYaml
        } else if yaml || has_key(b"image") || has_key(b"resolution") {
            Self::MapServer
        } else if extension == "json" {
            Self::GridJson
        } else {
            Self::Drawing
        }
    }
}

/// True if a json object has a key, by its first 64 KiB: keys stand before the values of cells.
fn has(content: &[u8], key: &[u8]) -> bool {
    content[..content.len().min(64 << 10)].windows(key.len()).any(|window| window == key)
}

/// Reads the whole of a text. An image is refused by its first bytes, whatever its length.
fn read_bytes(path: &Path, source: &str, budget: &mut Budget) -> Result<Vec<u8>> {
    let refused = |error: ReadError| match error {
        ReadError::Io(error) => bad(source, format!("cannot be read: {error}")),
        ReadError::Exceeded(exceeded) => {
            let fault = Fault::from(format!("{exceeded} for maps written as text"));
            bad(source, fault.advise("save the map as pgm and yaml"))
        }
    };
    let mut file = File::open(path).map_err(|error| refused(error.into()))?;
    let mut bytes = Vec::new();
    file.by_ref().take(8).read_to_end(&mut bytes).map_err(|error| refused(error.into()))?;
    if is_image(&bytes) {
        let fault = Fault::from("an image alone tells neither scale nor origin");
        return Err(bad(source, fault.advise(yaml_of(path))));
    }
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if length > budget.bytes_left() {
        budget.take_bytes(length).map_err(|exceeded| refused(exceeded.into()))?;
    }
    let mut reader = budget.bounded(io::Cursor::new(std::mem::take(&mut bytes)).chain(file));
    reader.read_to_end(&mut bytes).map_err(|error| refused(reader.why(error)))?;
    Ok(bytes)
}

/// True for a png, a bmp, a jpeg, or a picture of netpbm.
fn is_image(start: &[u8]) -> bool {
    match start {
        [b'P', b'1'..=b'7', space, ..] => space.is_ascii_whitespace() || *space == b'#',
        _ => start.starts_with(b"\x89PNG") || start.starts_with(b"BM") || start.starts_with(b"\xff\xd8\xff"),
    }
}

/// The values of a picture that lies over a map, a pixel a cell, from white (0) to black (100); `None` for a file that is
/// no picture.
///
/// # Errors
/// [`PlanError::BadMap`] for a picture that cannot be read or has another size than the map.
pub(crate) fn picture_over(path: &Path, map: &OccupancyMap) -> Result<Option<OccupancyMap>> {
    let source = path.display().to_string();
    let Some(image) = image_over(path, map)? else { return Ok(None) };
    let (values, _) = pixels::values(&image, &pixels::Rule::GREYS);
    OccupancyMap::new(source, (map.width(), map.height()), map.resolution(), map.origin(), values).map(Some)
}

/// The pixels of a picture that has one for each cell of a map, the bottom row first: the grey, or the colour as 0xRRGGBB. `None`
/// for a file that is no picture.
///
/// # Errors
/// [`PlanError::BadMap`] for a picture that cannot be read or has another size than the map.
pub(crate) fn pixels_over(path: &Path, map: &OccupancyMap) -> Result<Option<Vec<u32>>> {
    Ok(image_over(path, map)?.map(|image| pixels::colours(&image)))
}

fn image_over(path: &Path, map: &OccupancyMap) -> Result<Option<DynamicImage>> {
    let source = path.display().to_string();
    let mut start = Vec::new();
    let file = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    file.map_err(|error| bad(&source, format!("cannot be read: {error}")))?;
    if !is_image(&start) {
        return Ok(None);
    }
    let image = pixels::decode(path, &source)?;
    let size = (image.width() as usize, image.height() as usize);
    if size != (map.width(), map.height()) {
        let fault = format!("{}x{} pixels over a map of {}x{} cells", size.0, size.1, map.width(), map.height());
        let advice = "a picture alone has a pixel for each cell; give one of another size by a yaml with its resolution and origin";
        return Err(bad(&source, Fault::from(fault).advise(advice)));
    }
    Ok(Some(image))
}

/// The hint to give a yaml instead of an image.
fn yaml_of(path: &Path) -> String {
    ["yaml", "yml"].iter().map(|extension| path.with_extension(extension)).find(|yaml| yaml.is_file()).map_or_else(
        || {
            "give the map_server yaml that names the image, with its resolution, origin, negate, occupied_thresh and \
             free_thresh"
                .to_owned()
        },
        |yaml| format!("give {}", yaml.display()),
    )
}

/// A refused map.
pub(super) fn bad(source: &str, fault: impl Into<Fault>) -> PlanError {
    PlanError::BadMap { source_name: source.to_owned(), fault: fault.into() }
}
