//! A plan as a recording that Foxglove, Rerun and `RViz` show: the map, its costs, the path, and the network's windows.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cdr::CdrWriter;
use super::definitions::{MARKER_ARRAY, OCCUPANCY_GRID, PATH, POSE_STAMPED, definition};
use super::mcap_writer::McapWriter;
use crate::map::{MapCell, UNKNOWN};
use crate::{OccupancyMap, PlannedPath, Pose, Segment, SegmentPlanner, Terrain};

/// Metres above the ground of what lies on the map, so that viewers do not mix it with the map.
const COSTS_ABOVE: f64 = 0.01;
const LINES_ABOVE: f64 = 0.02;
/// Metres across a window's line.
const LINE_WIDTH: f64 = 0.03;
/// The value of the dearest ground, of cells too close to an obstacle, and of obstacles, as nav2's costmaps have them.
const DEAREST: f64 = 98.0;
const INFLATED: i8 = 99;
const LETHAL: i8 = 100;
/// The value of `visualization_msgs/Marker.LINE_STRIP`.
const LINE_STRIP: i32 = 4;
/// Red, green, blue, opacity: what the network found, and what the exact route filled in.
const NETWORK: [f32; 4] = [0.1, 0.44, 0.76, 1.0];
const FALLBACK: [f32; 4] = [0.88, 0.19, 0.19, 1.0];

/// Writes a plan as an MCAP file of ROS 2 messages: `/map`, `/costs` where there are costs, `/plan` and `/windows` where there
/// is a path, `/start` and `/goal`. Poses are `spacing` metres apart at most, if it is given.
///
/// # Errors
/// Those of the file.
pub fn write_mcap(
    file: &mut impl Write,
    terrain: &Terrain,
    path: Option<&PlannedPath>,
    (start, goal): (Pose, Pose),
    spacing: Option<f64>,
) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let map = terrain.map();
    let header = Header { now, frame: map.frame() };
    let mut writer = McapWriter::new(now.as_nanos() as u64);
    let mut add = |topic: &str, type_name: &'static str, message: CdrWriter| {
        let channel = writer.channel(topic, type_name, &definition(type_name));
        writer.message(channel, &message.finish());
    };
    add("/map", OCCUPANCY_GRID, grid(&header, map, 0.0, |cell| map.get(cell).unwrap_or(UNKNOWN)));
    if let Some(value) = cost_values(terrain) {
        add("/costs", OCCUPANCY_GRID, grid(&header, map, COSTS_ABOVE, value));
    }
    if let Some(path) = path {
        let poses = match spacing {
            Some(spacing) => path.divided(spacing).into_iter().map(|(pose, _)| pose).collect(),
            None => path.poses.clone(),
        };
        add("/plan", PATH, header.path(&poses));
        if !path.segments.is_empty() {
            add("/windows", MARKER_ARRAY, header.windows(map, &path.segments));
        }
    }
    for (topic, pose) in [("/start", start), ("/goal", goal)] {
        let mut message = CdrWriter::new();
        header.pose_stamped(&mut message, pose);
        add(topic, POSE_STAMPED, message);
    }
    writer.write(file)
}

/// The value of each cell's costs: 0 free to 98 the dearest ground there is, then as nav2's costmaps have it.
fn cost_values(terrain: &Terrain) -> Option<impl Fn(MapCell) -> i8> {
    let (map, costs) = (terrain.map(), terrain.costs()?);
    let cells = (0..map.height()).flat_map(|y| (0..map.width()).map(move |x| MapCell { x, y }));
    let dearest =
        cells.filter(|&cell| terrain.free_space().is_free(cell)).map(|cell| costs.weight(cell)).fold(1.0, f64::max);
    let per_weight = if dearest > 1.0 { DEAREST / (dearest - 1.0) } else { 0.0 };
    Some(move |cell| match map.get(cell) {
        _ if terrain.free_space().is_free(cell) => ((costs.weight(cell) - 1.0) * per_weight).round() as i8,
        None | Some(UNKNOWN) => UNKNOWN,
        Some(value) if terrain.robot().is_obstacle(value) => LETHAL,
        Some(_) => INFLATED,
    })
}

/// `nav_msgs/msg/OccupancyGrid`.
fn grid(header: &Header, map: &OccupancyMap, above: f64, value: impl Fn(MapCell) -> i8) -> CdrWriter {
    let mut message = CdrWriter::new();
    header.write(&mut message);
    header.time(&mut message);
    message.f32(map.resolution() as f32);
    message.u32(map.width() as u32);
    message.u32(map.height() as u32);
    pose(&mut message, map.origin(), above);
    let cells = (0..map.height()).flat_map(|y| (0..map.width()).map(move |x| MapCell { x, y }));
    let values: Vec<u8> = cells.map(|cell| value(cell).to_le_bytes()[0]).collect();
    message.u32(values.len() as u32);
    message.bytes(&values);
    message
}

/// `geometry_msgs/msg/Pose`.
fn pose(message: &mut CdrWriter, pose: Pose, above: f64) {
    let (sin, cos) = (pose.yaw / 2.0).sin_cos();
    for number in [pose.x, pose.y, above, 0.0, 0.0, sin, cos] {
        message.f64(number);
    }
}

/// `std_msgs/msg/Header`.
struct Header<'m> {
    now: Duration,
    frame: &'m str,
}

impl Header<'_> {
    fn time(&self, message: &mut CdrWriter) {
        message.i32(self.now.as_secs() as i32);
        message.u32(self.now.subsec_nanos());
    }

    fn write(&self, message: &mut CdrWriter) {
        self.time(message);
        message.text(self.frame);
    }

    fn pose_stamped(&self, message: &mut CdrWriter, at: Pose) {
        self.write(message);
        pose(message, at, LINES_ABOVE);
    }

    fn path(&self, poses: &[Pose]) -> CdrWriter {
        let mut message = CdrWriter::new();
        self.write(&mut message);
        message.u32(poses.len() as u32);
        for &pose in poses {
            self.pose_stamped(&mut message, pose);
        }
        message
    }

    /// A line around each window, in the namespace of who found the way through it.
    fn windows(&self, map: &OccupancyMap, segments: &[Segment]) -> CdrWriter {
        let mut message = CdrWriter::new();
        message.u32(segments.len() as u32);
        for (number, segment) in (0..).zip(segments) {
            let (namespace, colour) = match segment.planner {
                SegmentPlanner::Network => ("network", NETWORK),
                SegmentPlanner::AStar(_) => ("astar", FALLBACK),
            };
            self.write(&mut message);
            message.text(namespace);
            // Type and action: add a line.
            for number in [number, LINE_STRIP, 0] {
                message.i32(number);
            }
            pose(&mut message, Pose::default(), 0.0);
            for scale in [LINE_WIDTH, 0.0, 0.0] {
                message.f64(scale);
            }
            for channel in colour {
                message.f32(channel);
            }
            // Lifetime: for ever.
            message.i32(0);
            message.u32(0);
            message.bytes(&[0]);
            let [(left, bottom), (right, top)] = segment.corners;
            let corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)];
            message.u32(corners.len() as u32);
            for (column, row) in corners {
                let (x, y) = map.to_frame(column as f64, row as f64);
                for number in [x, y, LINES_ABOVE] {
                    message.f64(number);
                }
            }
            // Colours of points, and a texture: its name, header, format, data, coordinates.
            message.u32(0);
            message.text("");
            self.write(&mut message);
            message.text("");
            message.u32(0);
            message.u32(0);
            // Text, and a mesh: its name, file, data, materials.
            message.text("");
            message.text("");
            message.text("");
            message.u32(0);
            message.bytes(&[0]);
        }
        message
    }
}
