//! The messages of ROS 2 that planning needs, field by field as the published definitions have them.
//!
//! Serde writes fields in the order of declaration, so the order here is the layout on the wire (CDR, see
//! [`cdr`](super::cdr)). Sources: `common_interfaces` (`std_msgs`, `geometry_msgs`, `nav_msgs`), `rcl_interfaces`
//! (`builtin_interfaces`) and `navigation_msgs` (`map_msgs`) of ROS 2; these definitions are the same from Humble to Kilted.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// `builtin_interfaces/msg/Time`: seconds and nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub sec: i32,
    /// Nanoseconds on top, below 1,000,000,000.
    pub nanosec: u32,
}

impl Time {
    /// The time of the system's clock; after January 2038, when 32 bits of seconds are used up, the last second of these.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { sec: i32::try_from(since.as_secs()).unwrap_or(i32::MAX), nanosec: since.subsec_nanos() }
    }
}

/// `std_msgs/msg/Header`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Header {
    /// When the data was made.
    pub stamp: Time,
    /// The coordinate frame of the data.
    pub frame_id: String,
}

/// `geometry_msgs/msg/Point`, metres.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    /// Metres along x.
    pub x: f64,
    /// Metres along y.
    pub y: f64,
    /// Metres along z.
    pub z: f64,
}

/// `geometry_msgs/msg/Quaternion`: a rotation, `w` the real part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quaternion {
    /// i.
    pub x: f64,
    /// j.
    pub y: f64,
    /// k.
    pub z: f64,
    /// The real part.
    pub w: f64,
}

impl Default for Quaternion {
    /// No rotation, the default that the definition gives.
    fn default() -> Self {
        Self { x: 0.0, y: 0.0, z: 0.0, w: 1.0 }
    }
}

/// `geometry_msgs/msg/Pose`. Named apart from the solver's pose on the ground.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pose3 {
    /// Where.
    pub position: Point,
    /// Which way.
    pub orientation: Quaternion,
}

/// `geometry_msgs/msg/PoseStamped`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PoseStamped {
    /// Time and frame.
    pub header: Header,
    /// The pose.
    pub pose: Pose3,
}

/// `geometry_msgs/msg/PoseWithCovariance`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PoseWithCovariance {
    /// The pose.
    pub pose: Pose3,
    /// `float64[36]`: rows of the 6x6 covariance of x, y, z and the rotations about X, Y, Z. A fixed array has no length
    /// on the wire, so rows of rows lie as the definition's 36 numbers do.
    pub covariance: [[f64; 6]; 6],
}

/// `geometry_msgs/msg/PoseWithCovarianceStamped`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PoseWithCovarianceStamped {
    /// Time and frame.
    pub header: Header,
    /// The pose and how sure it is.
    pub pose: PoseWithCovariance,
}

/// `nav_msgs/msg/MapMetaData`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct MapMetaData {
    /// When the map was loaded.
    pub map_load_time: Time,
    /// Metres a cell.
    pub resolution: f32,
    /// Cells along x.
    pub width: u32,
    /// Cells along y.
    pub height: u32,
    /// The pose of the corner of cell (0, 0) in the map's frame.
    pub origin: Pose3,
}

/// `nav_msgs/msg/OccupancyGrid`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OccupancyGrid {
    /// Time and frame.
    pub header: Header,
    /// Size and place.
    pub info: MapMetaData,
    /// `[height, width]`, the row at the origin first: 0 free to 100 occupied, -1 unknown.
    pub data: Vec<i8>,
}

/// `map_msgs/msg/OccupancyGridUpdate`: a rectangle of a grid that has changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OccupancyGridUpdate {
    /// Time and frame.
    pub header: Header,
    /// Column of its first cell.
    pub x: i32,
    /// Row of its first cell.
    pub y: i32,
    /// Cells along x.
    pub width: u32,
    /// Cells along y.
    pub height: u32,
    /// `[height, width]`, as in the grid.
    pub data: Vec<i8>,
}

/// `nav_msgs/msg/Path`. Without poses: there is no path.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Path {
    /// Time and frame.
    pub header: Header,
    /// The poses from start to goal, each with a header of its own.
    pub poses: Vec<PoseStamped>,
}
