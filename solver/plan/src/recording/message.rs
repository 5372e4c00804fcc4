//! ROS 2's messages that hold poses, read as far as places on the ground are concerned. The order of fields is that of the
//! definitions in `common_interfaces` (`geometry_msgs`, `nav_msgs`) and `rcl_interfaces` (`builtin_interfaces`).

use trm_intake::Fault;

use super::cdr::CdrReader;

/// A type of messages that hold poses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageType {
    /// `nav_msgs/msg/Path`: a whole path in a message.
    Path,
    /// `nav_msgs/msg/Odometry`.
    Odometry,
    /// `geometry_msgs/msg/PoseStamped`.
    PoseStamped,
    /// `geometry_msgs/msg/PoseWithCovarianceStamped`.
    PoseWithCovarianceStamped,
}

/// The part of a message about the ground: heights and directions are left out.
#[derive(Debug)]
pub(super) struct Message {
    /// Seconds since 1970 or the simulation's beginning; `None` where the stamp was left at zero.
    pub(super) stamp: Option<f64>,
    pub(super) frame: String,
    /// One place, or the places of a path.
    pub(super) places: Vec<[f64; 2]>,
}

/// Bytes of three coordinates and four numbers of a quaternion.
const POSE: usize = 7 * size_of::<f64>();

impl MessageType {
    const ALL: [Self; 4] = [Self::Path, Self::Odometry, Self::PoseStamped, Self::PoseWithCovarianceStamped];

    /// The name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "nav_msgs/msg/Path",
            Self::Odometry => "nav_msgs/msg/Odometry",
            Self::PoseStamped => "geometry_msgs/msg/PoseStamped",
            Self::PoseWithCovarianceStamped => "geometry_msgs/msg/PoseWithCovarianceStamped",
        }
    }

    /// The type of a name, which may be without `/msg`.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name || kind.name().replace("/msg/", "/") == name)
    }

    /// Reads a message of this type.
    pub(super) fn read(self, message: &[u8]) -> Result<Message, Fault> {
        let mut reader = CdrReader::new(message)?;
        let (stamp, frame) = header(&mut reader)?;
        let places = match self {
            Self::PoseStamped | Self::PoseWithCovarianceStamped => vec![place(&mut reader)?],
            Self::Odometry => {
                let _child_frame = reader.text()?;
                vec![place(&mut reader)?]
            }
            Self::Path => {
                // A pose with the shortest of headers.
                let count = reader.count(POSE + 12)?;
                let pose = |_| {
                    header(&mut reader)?;
                    place(&mut reader)
                };
                (0..count).map(pose).collect::<Result<_, _>>()?
            }
        };
        Ok(Message { stamp, frame, places })
    }
}

/// `std_msgs/msg/Header`.
fn header(reader: &mut CdrReader) -> Result<(Option<f64>, String), Fault> {
    let (seconds, nanoseconds) = (reader.i32()?, reader.u32()?);
    let stamp = f64::from(seconds) + f64::from(nanoseconds) / 1e9;
    let frame = reader.text()?.into_owned();
    Ok(((stamp != 0.0).then_some(stamp), frame))
}

/// `geometry_msgs/msg/Pose`.
fn place(reader: &mut CdrReader) -> Result<[f64; 2], Fault> {
    let place = [reader.f64()?, reader.f64()?];
    reader.skip(POSE - 2 * size_of::<f64>())?;
    Ok(place)
}
