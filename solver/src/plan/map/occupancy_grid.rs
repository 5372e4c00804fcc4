//! `nav_msgs/OccupancyGrid` as text: json as rosbridge sends it, yaml as `ros2 topic echo --once --full-length` prints
//! it.
//!
//! The fields are those of the message (`nav_msgs/msg/OccupancyGrid.msg`, `MapMetaData.msg`): `info.resolution`,
//! `info.width`, `info.height`, `info.origin.position`, `info.origin.orientation`, `data`, and `header.frame_id` where
//! there is a header. Others are ignored.

use serde::Deserialize;

use super::read::bad;
use super::{MAX_CELLS, OccupancyMap, check_size};
use crate::Result;
use crate::plan::Pose;

/// How far a quaternion's length may be from 1: numbers printed with three digits are within this.
const NORM_TOLERANCE: f64 = 0.01;

/// The largest x or y of a quaternion that counts as a turn about z alone: a tilt of a tenth of a degree.
const TILT_TOLERANCE: f64 = 0.001;

#[derive(Deserialize)]
struct Grid {
    #[serde(default)]
    header: Header,
    info: Info,
    data: Vec<i8>,
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
    let grid = serde_json::from_slice(bytes).map_err(|error| {
        bad(
            source,
            format!(
                "not an OccupancyGrid in json: {error}\nhint: it is an object with info (resolution, width, height, \
                 origin) and data, values from -1 to 100"
            ),
        )
    })?;
    map(source, grid)
}

pub(super) fn from_yaml(source: &str, bytes: &[u8]) -> Result<OccupancyMap> {
    let refused = |message: String| {
        bad(
            source,
            format!(
                "not an OccupancyGrid in yaml: {message}\nhint: `ros2 topic echo --once --full-length /map` prints \
                 one; without --full-length it leaves most values out"
            ),
        )
    };
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
        .map_err(|error| refused(error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")))?;
    map(source, grid)
}

fn map(source: &str, grid: Grid) -> Result<OccupancyMap> {
    let Grid { header, info, data } = grid;
    check_size(source, info.width, info.height)?;
    let Origin { position, orientation } = info.origin;
    let origin = Pose { x: position.x, y: position.y, yaw: yaw(source, &orientation)? };
    let map = OccupancyMap::new(source, (info.width, info.height), info.resolution, origin, data)?;
    Ok(if header.frame_id.is_empty() { map } else { map.with_frame(header.frame_id) })
}

/// The angle about z of a unit quaternion that turns about nothing else.
fn yaw(source: &str, &Quaternion { x, y, z, w }: &Quaternion) -> Result<f64> {
    let norm = (x * x + y * y + z * z + w * w).sqrt();
    let what = || format!("the origin's orientation (x {x}, y {y}, z {z}, w {w})");
    if !(1.0 - NORM_TOLERANCE..=1.0 + NORM_TOLERANCE).contains(&norm) {
        return Err(bad(
            source,
            format!("{} has the length {norm}, expected 1\nhint: w: 1 and the others 0 is no rotation", what()),
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
