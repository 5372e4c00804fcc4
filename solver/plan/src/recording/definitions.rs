//! Definitions of ROS 2's messages that are written, as rosbag2 stores them: the type's own fields, then those of the types in
//! it. They are those of `common_interfaces` and `rcl_interfaces` of Jazzy, without comments.

/// A type, its fields, and the types in them.
type Definition = (&'static str, &'static str, &'static [&'static str]);

/// The types of messages.
pub(super) const OCCUPANCY_GRID: &str = "nav_msgs/msg/OccupancyGrid";
pub(super) const PATH: &str = "nav_msgs/msg/Path";
pub(super) const POSE_STAMPED: &str = "geometry_msgs/msg/PoseStamped";
pub(super) const MARKER_ARRAY: &str = "visualization_msgs/msg/MarkerArray";

const DEFINITIONS: &[Definition] = &[
    (
        "nav_msgs/OccupancyGrid",
        "std_msgs/Header header\nnav_msgs/MapMetaData info\nint8[] data\n",
        &["std_msgs/Header", "nav_msgs/MapMetaData"],
    ),
    (
        "nav_msgs/MapMetaData",
        "builtin_interfaces/Time map_load_time\nfloat32 resolution\nuint32 width\nuint32 height\ngeometry_msgs/Pose origin\n",
        &["builtin_interfaces/Time", "geometry_msgs/Pose"],
    ),
    (
        "nav_msgs/Path",
        "std_msgs/Header header\ngeometry_msgs/PoseStamped[] poses\n",
        &["std_msgs/Header", "geometry_msgs/PoseStamped"],
    ),
    (
        "geometry_msgs/PoseStamped",
        "std_msgs/Header header\ngeometry_msgs/Pose pose\n",
        &["std_msgs/Header", "geometry_msgs/Pose"],
    ),
    (
        "geometry_msgs/Pose",
        "geometry_msgs/Point position\ngeometry_msgs/Quaternion orientation\n",
        &["geometry_msgs/Point", "geometry_msgs/Quaternion"],
    ),
    ("geometry_msgs/Point", "float64 x\nfloat64 y\nfloat64 z\n", &[]),
    ("geometry_msgs/Quaternion", "float64 x\nfloat64 y\nfloat64 z\nfloat64 w\n", &[]),
    ("geometry_msgs/Vector3", "float64 x\nfloat64 y\nfloat64 z\n", &[]),
    ("std_msgs/Header", "builtin_interfaces/Time stamp\nstring frame_id\n", &["builtin_interfaces/Time"]),
    ("builtin_interfaces/Time", "int32 sec\nuint32 nanosec\n", &[]),
    ("builtin_interfaces/Duration", "int32 sec\nuint32 nanosec\n", &[]),
    ("std_msgs/ColorRGBA", "float32 r\nfloat32 g\nfloat32 b\nfloat32 a\n", &[]),
    ("sensor_msgs/CompressedImage", "std_msgs/Header header\nstring format\nuint8[] data\n", &["std_msgs/Header"]),
    ("visualization_msgs/MarkerArray", "visualization_msgs/Marker[] markers\n", &["visualization_msgs/Marker"]),
    (
        "visualization_msgs/Marker",
        "int32 LINE_STRIP=4\nint32 ADD=0\nstd_msgs/Header header\nstring ns\nint32 id\nint32 type\nint32 action\n\
         geometry_msgs/Pose pose\ngeometry_msgs/Vector3 scale\nstd_msgs/ColorRGBA color\n\
         builtin_interfaces/Duration lifetime\nbool frame_locked\ngeometry_msgs/Point[] points\n\
         std_msgs/ColorRGBA[] colors\nstring texture_resource\nsensor_msgs/CompressedImage texture\n\
         visualization_msgs/UVCoordinate[] uv_coordinates\nstring text\nstring mesh_resource\n\
         visualization_msgs/MeshFile mesh_file\nbool mesh_use_embedded_materials\n",
        &[
            "std_msgs/Header",
            "geometry_msgs/Pose",
            "geometry_msgs/Vector3",
            "std_msgs/ColorRGBA",
            "builtin_interfaces/Duration",
            "geometry_msgs/Point",
            "sensor_msgs/CompressedImage",
            "visualization_msgs/UVCoordinate",
            "visualization_msgs/MeshFile",
        ],
    ),
    ("visualization_msgs/UVCoordinate", "float32 u\nfloat32 v\n", &[]),
    ("visualization_msgs/MeshFile", "string filename\nuint8[] data\n", &[]),
];

/// The definition of a type with those of the types in it; empty for one that is not in the table.
pub(super) fn definition(type_name: &str) -> String {
    let name = type_name.replace("/msg/", "/");
    let mut order: Vec<&Definition> = Vec::new();
    let mut wanted = vec![&*name];
    while let Some(name) = wanted.pop() {
        if order.iter().any(|known| known.0 == name) {
            continue;
        }
        if let Some(found) = DEFINITIONS.iter().find(|known| known.0 == name) {
            order.push(found);
            wanted.extend(found.2.iter().rev());
        }
    }
    let mut text = String::new();
    for (number, (name, fields, _)) in order.into_iter().enumerate() {
        if number > 0 {
            text.extend([&*"=".repeat(80), "\nMSG: ", name, "\n"]);
        }
        text.push_str(fields);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_has_every_type_once() {
        for name in [OCCUPANCY_GRID, PATH, POSE_STAMPED, MARKER_ARRAY] {
            let text = definition(name);
            let primitive = ["int8", "uint8", "int32", "uint32", "float32", "float64", "string", "bool"];
            let is_field = |line: &&str| !line.starts_with(['=', 'M']);
            for line in text.lines().filter(is_field) {
                let kind = line.split(' ').next().unwrap_or_default().trim_end_matches("[]");
                let defined = text.matches(&format!("MSG: {kind}\n")).count();
                assert!(primitive.contains(&kind) || defined == 1, "{name}: {line} is defined {defined} times");
            }
        }
        assert_eq!(
            definition(POSE_STAMPED).lines().take(4).collect::<Vec<_>>()[..2],
            ["std_msgs/Header header", "geometry_msgs/Pose pose"]
        );
    }
}
