//! `nav_msgs/OccupancyGrid` as text: json as rosbridge sends it, yaml as `ros2 topic echo --once --full-length` prints
//! it.
//!
//! The fields are those of the message (`nav_msgs/msg/OccupancyGrid.msg`, `MapMetaData.msg`): `info.resolution`,
//! `info.width`, `info.height`, `info.origin.position`, `info.origin.orientation`, `data`, and `header.frame_id` where
//! there is a header. Others are ignored.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use trm_intake::{Budget, Exceeded, Fault, Limits};

use super::read::{LIMITS, bad};
use super::{MAX_CELLS, OccupancyMap, check_size, decimal};
use crate::{Pose, Result};

/// Largest difference of a quaternion's length from 1: numbers printed with three digits are within this.
const NORM_TOLERANCE: f64 = 0.01;

/// The largest x or y of a quaternion that counts as a turn about z alone: a tilt of a tenth of a degree.
const TILT_TOLERANCE: f64 = 0.001;

/// Limits of a message in json beside its bytes: a thousand names, and lists within lists.
const JSON_LIMITS: Limits = Limits { items: 1_000, ..LIMITS };

/// Limits of a message in yaml: a parser of yaml is slow, and holds what it has read twice.
const YAML_LIMITS: Limits = Limits { bytes: 64 << 20, ..LIMITS };

/// The longest name or other text in a message, in bytes.
const LONGEST_TEXT: u64 = 4 << 10;

#[derive(Deserialize)]
struct Grid {
    #[serde(default)]
    header: Header,
    info: Info,
    data: Cells,
}

/// A message alone, or in rosbridge's envelope: `msg` of a topic, `map` of the values of a service such as `GetMap`.
#[derive(Deserialize)]
struct Wire {
    msg: Option<Grid>,
    values: Option<Response>,
    #[serde(default)]
    header: Header,
    info: Option<Info>,
    data: Option<Cells>,
}

#[derive(Deserialize)]
struct Response {
    map: Grid,
}

impl Wire {
    fn grid(self) -> Result<Grid, &'static str> {
        match self {
            Self { msg: Some(grid), .. } | Self { values: Some(Response { map: grid }), .. } => Ok(grid),
            Self { header, info: Some(info), data: Some(data), .. } => Ok(Grid { header, info, data }),
            Self { info: None, .. } => Err("missing field `info`"),
            Self { .. } => Err("missing field `data`"),
        }
    }
}

/// The values of cells, no more than a map may have.
struct Cells(Vec<i8>);

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CellsVisitor;
        impl<'de> Visitor<'de> for CellsVisitor {
            type Value = Cells;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of values from -1 to 100")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cells, A::Error> {
                let mut cells = Vec::new();
                while let Some(cell) = list.next_element()? {
                    if cells.len() == MAX_CELLS {
                        return Err(A::Error::custom(format_args!(
                            "data has more than the limit of {MAX_CELLS} values"
                        )));
                    }
                    cells.push(cell);
                }
                Ok(Cells(cells))
            }
        }
        deserializer.deserialize_seq(CellsVisitor)
    }
}

#[derive(Deserialize, Default)]
struct Header {
    #[serde(default)]
    frame_id: String,
}

#[derive(Deserialize)]
struct Info {
    resolution: f64,
    width: usize,
    height: usize,
    origin: Origin,
}

#[derive(Deserialize)]
struct Origin {
    position: Position,
    orientation: Quaternion,
}

#[derive(Deserialize)]
struct Position {
    x: f64,
    y: f64,
}

#[derive(Deserialize)]
struct Quaternion {
    x: f64,
    y: f64,
    z: f64,
    w: f64,
}

pub(super) fn from_json(source: &str, bytes: &[u8]) -> Result<OccupancyMap> {
    let refused = |reason: String| {
        bad(
            source,
            Fault::from(format!("not an OccupancyGrid in json: {reason}")).advise(
                "it is an object with info (resolution, width, height, origin) and data, values from -1 to 100",
            ),
        )
    };
    Budget::new(JSON_LIMITS)
        .take_json(bytes, LONGEST_TEXT)
        .and_then(|()| check_values(bytes, &mut Budget::new(LIMITS)))
        .map_err(|exceeded| refused(exceeded.to_string()))?;
    let wire: Wire = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
    map(source, wire.grid().map_err(|reason| refused(reason.to_owned()))?)
}

/// Holds a yaml against its limits before a parser does, which takes a hundred times as long.
fn check_yaml(text: &[u8]) -> Result<(), Exceeded> {
    let mut budget = Budget::new(YAML_LIMITS);
    budget.take_bytes(text.len() as u64)?;
    check_values(text, &mut budget)
}

/// Takes as many items as there may be values, before the first is kept.
fn check_values(text: &[u8], budget: &mut Budget) -> Result<(), Exceeded> {
    // Values stand on lines of their own, or between commas; beside them a message has thirty lines.
    let separators = text.iter().filter(|byte| matches!(byte, b'\n' | b',')).count() as u64;
    budget.take_items(separators.saturating_sub(1_000))
}

pub(super) fn from_yaml(source: &str, bytes: &[u8]) -> Result<OccupancyMap> {
    let refused = |message: String| {
        bad(
            source,
            Fault::from(format!("not an OccupancyGrid in yaml: {message}")).advise(
                "`ros2 topic echo --once --full-length /map` prints one; without --full-length it leaves most values out",
            ),
        )
    };
    check_yaml(bytes).map_err(|exceeded| refused(exceeded.to_string()))?;
    let text = std::str::from_utf8(bytes).map_err(|_| refused("not UTF-8 text".to_owned()))?;
    // echo ends each message with a line ---, behind which another document would begin.
    let text = text.trim_end();
    let text = text.strip_suffix("---").filter(|text| text.ends_with('\n')).unwrap_or(text);
    let budget = serde_saphyr::budget! {
        max_events: MAX_CELLS + 1_000, max_nodes: MAX_CELLS + 1_000, max_aliases: 0, max_anchors: 0, max_depth: 16,
        max_total_scalar_bytes: bytes.len(),
    };
    let options = serde_saphyr::options! { budget: budget, with_snippet: false };
    let grid = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| refused(trm_intake::yaml::reason(&error)))?;
    map(source, grid)
}

fn map(source: &str, grid: Grid) -> Result<OccupancyMap> {
    let Grid { header, info, data } = grid;
    check_size(source, info.width, info.height)?;
    let Origin { position, orientation } = info.origin;
    let origin = Pose { x: position.x, y: position.y, yaw: yaw(source, &orientation)? };
    // In the message it is of single precision.
    let single = info.resolution as f32;
    let is_single = f64::from(single).to_bits() == info.resolution.to_bits();
    let resolution = if is_single { decimal(single) } else { info.resolution };
    let map = OccupancyMap::new(source, (info.width, info.height), resolution, origin, data.0)?;
    Ok(if header.frame_id.is_empty() { map } else { map.with_frame(header.frame_id) })
}

/// The angle about z of a unit quaternion that turns about nothing else.
fn yaw(source: &str, &Quaternion { x, y, z, w }: &Quaternion) -> Result<f64> {
    let norm = (x * x + y * y + z * z + w * w).sqrt();
    let what = || format!("the origin's orientation (x {x}, y {y}, z {z}, w {w})");
    if !(1.0 - NORM_TOLERANCE..=1.0 + NORM_TOLERANCE).contains(&norm) {
        return Err(bad(
            source,
            Fault::from(format!("{} has the length {norm}, expected 1", what()))
                .advise("w: 1 and the others 0 is no rotation"),
        ));
    }
    if x.abs() > TILT_TOLERANCE || y.abs() > TILT_TOLERANCE {
        return Err(bad(
            source,
            format!("{} tilts the map, expected a rotation about z: x and y within {TILT_TOLERANCE} of 0", what()),
        ));
    }
    Ok(2.0 * z.atan2(w))
}
