//! The messages of ROS 2, byte by byte against layouts derived by hand from the published definitions.
//!
//! CDR in short: a number lies at a multiple of its size, counted from the first byte after the encapsulation header; a
//! string is its length with the closing NUL, then its bytes and the NUL; a sequence is its length, then its elements; an
//! array of fixed length is its elements alone. Offsets are in the comments.
#![cfg(feature = "ros2")]

use serde::Serialize;
use serde::de::DeserializeOwned;
use trm_firmware_host::ros2::cdr::{decode, encode};
use trm_firmware_host::ros2::messages::{
    Header, MapMetaData, OccupancyGrid, OccupancyGridUpdate, Path, Point, Pose3, PoseStamped, PoseWithCovariance,
    PoseWithCovarianceStamped, Quaternion, Time,
};
use trm_firmware_host::ros2::nav2::{
    HumbleResult, IronResult, KiltedResult, PathAnswer, PathError, PathFeedback, PathGoal, RosDuration,
};

/// Puts a layout together, and checks that the writer of the test is where the comment says.
#[derive(Default)]
struct Layout(Vec<u8>);

impl Layout {
    fn at(mut self, offset: usize, bytes: impl AsRef<[u8]>) -> Self {
        assert!(offset >= self.0.len(), "the layout of the test goes backwards at {offset}");
        assert!(offset < self.0.len() + 8, "the layout of the test has a hole before {offset}");
        self.0.resize(offset, 0);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }
}

/// The message has these bytes, and these bytes are the message; cut anywhere, they are an error and no panic.
#[track_caller]
fn lies_as<M: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(message: &M, layout: &Layout) {
    let bytes = encode(message).unwrap();
    assert_eq!(bytes, layout.0);
    assert_eq!(&decode::<M>(&layout.0).unwrap(), message);
    for length in 0..layout.0.len() {
        let error = decode::<M>(&layout.0[..length]).expect_err("a part of a message");
        assert!(error.to_string().starts_with("CDR: "), "{error}");
    }
    // Some implementations fill the last four bytes up.
    let mut padded = bytes;
    padded.extend([0; 3]);
    assert_eq!(&decode::<M>(&padded).unwrap(), message);
}

fn header(frame: &str) -> Header {
    Header { stamp: Time { sec: 0x0102_0304, nanosec: 0x3B9A_C9FF }, frame_id: frame.to_owned() }
}

fn pose(x: f64, y: f64, z: f64, turn: [f64; 4]) -> Pose3 {
    let [qx, qy, qz, qw] = turn;
    Pose3 { position: Point { x, y, z }, orientation: Quaternion { x: qx, y: qy, z: qz, w: qw } }
}

/// 1.0, 2.0, -0.5: sign, exponent, fraction of a double by hand, low byte first.
const ONE: [u8; 8] = [0, 0, 0, 0, 0, 0, 0xF0, 0x3F];
const TWO: [u8; 8] = [0, 0, 0, 0, 0, 0, 0x00, 0x40];
const MINUS_HALF: [u8; 8] = [0, 0, 0, 0, 0, 0, 0xE0, 0xBF];
const ZERO: [u8; 8] = [0; 8];

#[test]
fn time() {
    // int32 sec, uint32 nanosec
    let layout = Layout::default().at(0, [0xFE, 0xFF, 0xFF, 0xFF]).at(4, [0x00, 0x65, 0xCD, 0x1D]);
    lies_as(&Time { sec: -2, nanosec: 500_000_000 }, &layout);
}

#[test]
fn header_with_its_string() {
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01]) // stamp.sec
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B]) // stamp.nanosec, 999,999,999
        .at(8, [4, 0, 0, 0]) // length of frame_id with its NUL
        .at(12, b"map\0");
    lies_as(&header("map"), &layout);
}

#[test]
fn an_empty_string_is_a_nul() {
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01])
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B])
        .at(8, [1, 0, 0, 0])
        .at(12, [0]);
    lies_as(&header(""), &layout);
}

#[test]
fn a_string_counts_bytes_and_not_characters() {
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01])
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B])
        .at(8, [8, 0, 0, 0])
        .at(12, b"str\xC3\xB6me\0");
    lies_as(&header("ströme"), &layout);
}

#[test]
fn pose_stamped() {
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01]) // header.stamp.sec
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B]) // header.stamp.nanosec
        .at(8, [5, 0, 0, 0]) // length of header.frame_id
        .at(12, b"odom\0") // to 17; doubles lie at multiples of 8
        .at(24, ONE) // pose.position.x
        .at(32, TWO) // .y
        .at(40, ZERO) // .z
        .at(48, ZERO) // pose.orientation.x
        .at(56, ZERO) // .y
        .at(64, MINUS_HALF) // .z
        .at(72, ONE); // .w
    lies_as(&PoseStamped { header: header("odom"), pose: pose(1.0, 2.0, 0.0, [0.0, 0.0, -0.5, 1.0]) }, &layout);
}

#[test]
fn pose_with_covariance_stamped() {
    let mut covariance = [[0.0; 6]; 6];
    covariance[0][0] = 1.0; // number 0
    covariance[1][1] = 2.0; // number 7
    covariance[5][4] = -0.5; // number 34
    let message = PoseWithCovarianceStamped {
        header: header("map"),
        pose: PoseWithCovariance { pose: pose(2.0, 1.0, -0.5, [0.0, 0.0, 0.0, 1.0]), covariance },
    };
    let mut layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01]) // header.stamp.sec
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B]) // header.stamp.nanosec
        .at(8, [4, 0, 0, 0]) // length of header.frame_id
        .at(12, b"map\0") // to 16, a multiple of 8
        .at(16, TWO) // pose.pose.position.x
        .at(24, ONE) // .y
        .at(32, MINUS_HALF) // .z
        .at(40, ZERO) // pose.pose.orientation.x
        .at(48, ZERO) // .y
        .at(56, ZERO) // .z
        .at(64, ONE); // .w
    // pose.covariance: float64[36] has no length, 36 numbers from 72 on
    for number in 0..36 {
        let value = match number {
            0 => ONE,
            7 => TWO,
            34 => MINUS_HALF,
            _ => ZERO,
        };
        layout = layout.at(72 + 8 * number, value);
    }
    assert_eq!(layout.0.len(), 360);
    lies_as(&message, &layout);
}

#[test]
fn occupancy_grid() {
    let message = OccupancyGrid {
        header: header("map"),
        info: MapMetaData {
            map_load_time: Time { sec: 7, nanosec: 8 },
            resolution: 0.05,
            width: 3,
            height: 2,
            origin: pose(1.0, -0.5, 0.0, [0.0, 0.0, 0.0, 1.0]),
        },
        data: vec![0, 100, -1, 50, 0, 1],
    };
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01]) // header.stamp.sec
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B]) // header.stamp.nanosec
        .at(8, [4, 0, 0, 0]) // length of header.frame_id
        .at(12, b"map\0")
        .at(16, [7, 0, 0, 0]) // info.map_load_time.sec
        .at(20, [8, 0, 0, 0]) // info.map_load_time.nanosec
        .at(24, [0xCD, 0xCC, 0x4C, 0x3D]) // info.resolution, float32: 1.6 / 32
        .at(28, [3, 0, 0, 0]) // info.width
        .at(32, [2, 0, 0, 0]) // info.height, to 36; doubles lie at multiples of 8
        .at(40, ONE) // info.origin.position.x
        .at(48, MINUS_HALF) // .y
        .at(56, ZERO) // .z
        .at(64, ZERO) // info.origin.orientation.x
        .at(72, ZERO) // .y
        .at(80, ZERO) // .z
        .at(88, ONE) // .w
        .at(96, [6, 0, 0, 0]) // length of data
        .at(100, [0, 100, 0xFF, 50, 0, 1]); // int8 each
    lies_as(&message, &layout);
}

#[test]
fn occupancy_grid_update() {
    let message = OccupancyGridUpdate { header: header("map"), x: -2, y: 3, width: 2, height: 1, data: vec![99, -1] };
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01]) // header.stamp.sec
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B]) // header.stamp.nanosec
        .at(8, [4, 0, 0, 0]) // length of header.frame_id
        .at(12, b"map\0")
        .at(16, [0xFE, 0xFF, 0xFF, 0xFF]) // x, int32
        .at(20, [3, 0, 0, 0]) // y
        .at(24, [2, 0, 0, 0]) // width, uint32
        .at(28, [1, 0, 0, 0]) // height
        .at(32, [2, 0, 0, 0]) // length of data
        .at(36, [99, 0xFF]); // int8 each
    lies_as(&message, &layout);
}

#[test]
fn path() {
    let message = Path {
        header: header("map"),
        poses: vec![
            PoseStamped { header: header("map"), pose: pose(1.0, 2.0, 0.0, [0.0, 0.0, 0.0, 1.0]) },
            PoseStamped { header: header("a"), pose: pose(2.0, 1.0, 0.0, [0.0, 0.0, 1.0, 0.0]) },
        ],
    };
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01]) // header.stamp.sec
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B]) // header.stamp.nanosec
        .at(8, [4, 0, 0, 0]) // length of header.frame_id
        .at(12, b"map\0")
        .at(16, [2, 0, 0, 0]) // length of poses
        .at(20, [0x04, 0x03, 0x02, 0x01]) // poses[0].header.stamp.sec
        .at(24, [0xFF, 0xC9, 0x9A, 0x3B]) // .nanosec
        .at(28, [4, 0, 0, 0]) // length of its frame_id
        .at(32, b"map\0") // to 36
        .at(40, ONE) // poses[0].pose.position.x
        .at(48, TWO)
        .at(56, ZERO)
        .at(64, ZERO) // poses[0].pose.orientation.x
        .at(72, ZERO)
        .at(80, ZERO)
        .at(88, ONE)
        .at(96, [0x04, 0x03, 0x02, 0x01]) // poses[1].header.stamp.sec
        .at(100, [0xFF, 0xC9, 0x9A, 0x3B]) // .nanosec
        .at(104, [2, 0, 0, 0]) // length of its frame_id
        .at(108, b"a\0") // to 110
        .at(112, TWO) // poses[1].pose.position.x
        .at(120, ONE)
        .at(128, ZERO)
        .at(136, ZERO) // poses[1].pose.orientation.x
        .at(144, ZERO)
        .at(152, ONE)
        .at(160, ZERO);
    lies_as(&message, &layout);
}

#[test]
fn a_path_without_poses() {
    let layout = Layout::default()
        .at(0, [0x04, 0x03, 0x02, 0x01])
        .at(4, [0xFF, 0xC9, 0x9A, 0x3B])
        .at(8, [4, 0, 0, 0])
        .at(12, b"map\0")
        .at(16, [0, 0, 0, 0]);
    lies_as(&Path { header: header("map"), poses: Vec::new() }, &layout);
}

#[test]
fn lengths_that_cannot_be_true_are_errors_and_allocate_nothing() {
    let mut grid = encode(&OccupancyGrid { data: vec![0; 4], ..OccupancyGrid::default() }).unwrap();
    let length = grid.len() - 8;
    grid[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(decode::<OccupancyGrid>(&grid).unwrap_err().to_string().starts_with("CDR: "));
    let mut header = encode(&header("map")).unwrap();
    header[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(decode::<Header>(&header).unwrap_err().to_string().starts_with("CDR: "));
}

#[test]
fn a_frame_that_is_not_utf_8_is_an_error() {
    let mut bytes = encode(&header("map")).unwrap();
    bytes[12] = 0xFF;
    assert!(decode::<Header>(&bytes).unwrap_err().to_string().starts_with("CDR: "));
}

// The action ComputePathToPose, and what ROS 2 makes of it: unique_identifier_msgs/UUID goal_id (uint8[16]) before the goal, the
// feedback and in the request for a result; int8 status before the result.

const ID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

fn path_goal() -> PathGoal {
    PathGoal {
        goal: PoseStamped { header: header("map"), pose: pose(1.0, 2.0, 0.0, [0.0, 0.0, 0.0, 1.0]) },
        start: PoseStamped { header: header(""), pose: pose(-0.5, 0.0, 0.0, [0.0, 0.0, 1.0, 0.0]) },
        planner_id: "Grid".into(),
        use_start: true,
    }
}

/// The goal, whose alignment counts from a multiple of 8.
fn path_goal_at(from: usize, layout: Layout) -> Layout {
    layout
        .at(from, [0x04, 0x03, 0x02, 0x01]) // goal.header.stamp.sec
        .at(from + 4, [0xFF, 0xC9, 0x9A, 0x3B])
        .at(from + 8, [4, 0, 0, 0])
        .at(from + 12, b"map\0")
        .at(from + 16, ONE) // goal.pose.position.x
        .at(from + 24, TWO)
        .at(from + 32, ZERO)
        .at(from + 40, ZERO) // goal.pose.orientation.x
        .at(from + 48, ZERO)
        .at(from + 56, ZERO)
        .at(from + 64, ONE)
        .at(from + 72, [0x04, 0x03, 0x02, 0x01]) // start.header.stamp.sec
        .at(from + 76, [0xFF, 0xC9, 0x9A, 0x3B])
        .at(from + 80, [1, 0, 0, 0])
        .at(from + 84, [0]) // to 85
        .at(from + 88, MINUS_HALF) // start.pose.position.x
        .at(from + 96, ZERO)
        .at(from + 104, ZERO)
        .at(from + 112, ZERO) // start.pose.orientation.x
        .at(from + 120, ZERO)
        .at(from + 128, ONE)
        .at(from + 136, ZERO)
        .at(from + 144, [5, 0, 0, 0]) // length of planner_id
        .at(from + 148, b"Grid\0")
        .at(from + 153, [1]) // use_start
}

/// Path, planning time, and the code: what results of all releases begin with. Offsets are counted from a multiple of 8; the path's
/// first byte is at `from`.
fn result_from(from: usize, layout: Layout) -> Layout {
    layout
        .at(from, [0x04, 0x03, 0x02, 0x01]) // path.header.stamp.sec
        .at(from + 4, [0xFF, 0xC9, 0x9A, 0x3B])
        .at(from + 8, [2, 0, 0, 0])
        .at(from + 12, b"m\0") // to 14
        .at(from + 16, [0, 0, 0, 0]) // length of path.poses
        .at(from + 20, [3, 0, 0, 0]) // planning_time.sec, int32
        .at(from + 24, [0x00, 0x65, 0xCD, 0x1D]) // planning_time.nanosec, uint32: 500,000,000
}

fn answer() -> PathAnswer {
    PathAnswer {
        path: Path { header: header("m"), poses: Vec::new() },
        planning_time: std::time::Duration::from_millis(3500),
        error: PathError::NoValidPath,
        message: "no".into(),
    }
}

#[test]
fn a_goal_of_the_action() {
    lies_as(&path_goal(), &path_goal_at(0, Layout::default()));
}

#[test]
fn results_of_the_releases_differ_at_their_end() {
    lies_as(&HumbleResult::from(answer()), &result_from(0, Layout::default()));
    let code = || result_from(0, Layout::default()).at(28, [208, 0]); // error_code, uint16
    lies_as(&IronResult::from(answer()), &code());
    let layout = code().at(32, [3, 0, 0, 0]).at(36, b"no\0"); // error_msg
    lies_as(&KiltedResult::from(answer()), &layout);
}

#[test]
fn error_codes_are_nav2s() {
    let codes = [
        (PathError::None, 0),
        (PathError::Unknown, 200),
        (PathError::Tf, 202),
        (PathError::StartOutsideMap, 203),
        (PathError::GoalOutsideMap, 204),
        (PathError::StartOccupied, 205),
        (PathError::GoalOccupied, 206),
        (PathError::Timeout, 207),
        (PathError::NoValidPath, 208),
    ];
    for (error, code) in codes {
        assert_eq!(IronResult::from(PathAnswer { error, ..answer() }).error_code, code);
    }
}

#[test]
fn a_planning_time_of_ages_saturates() {
    let ages = RosDuration::from(std::time::Duration::from_secs(u64::MAX));
    assert_eq!(ages, RosDuration { sec: i32::MAX, nanosec: 0 });
}

/// The bytes of a message that has no equality, both ways.
#[track_caller]
fn is_laid_out_as<M: Serialize + DeserializeOwned>(message: &M, layout: &Layout) {
    assert_eq!(encode(message).unwrap(), layout.0);
    assert_eq!(encode(&decode::<M>(&layout.0).unwrap()).unwrap(), layout.0);
}

#[test]
fn what_ros_2_puts_around_the_action() {
    use ros2_client::action::{
        FeedbackMessage, GetResultRequest, GetResultResponse, GoalInfo, GoalStatusEnum, SendGoalRequest,
        SendGoalResponse,
    };
    use ros2_client::action_msgs::{
        CancelGoalRequest, CancelGoalResponse, CancelGoalResponseEnum, GoalStatus, GoalStatusArray,
    };
    use ros2_client::builtin_interfaces::Time;

    let goal_id = decode(&ID).unwrap();
    let stamp = Time::new(7, 8);
    // SendGoal: goal_id, goal; accepted (bool), stamp.
    let request = SendGoalRequest { goal_id, goal: path_goal() };
    is_laid_out_as(&request, &path_goal_at(16, Layout::default().at(0, ID)));
    let layout = Layout::default().at(0, [1]).at(4, [7, 0, 0, 0]).at(8, [8, 0, 0, 0]);
    is_laid_out_as(&SendGoalResponse { accepted: true, stamp }, &layout);
    // GetResult: goal_id; status (int8), result.
    is_laid_out_as(&GetResultRequest { goal_id }, &Layout::default().at(0, ID));
    let response = GetResultResponse { status: GoalStatusEnum::Aborted, result: KiltedResult::from(answer()) };
    let layout = result_from(4, Layout::default().at(0, [6])).at(32, [208, 0]).at(36, [3, 0, 0, 0]).at(40, b"no\0");
    is_laid_out_as(&response, &layout);
    // FeedbackMessage: goal_id, feedback, which has no fields and so a byte.
    let layout = Layout::default().at(0, ID).at(16, [0]);
    is_laid_out_as(&FeedbackMessage { goal_id, feedback: PathFeedback::default() }, &layout);
    // CancelGoal: goal_info (goal_id, stamp); return_code (int8), goals_canceling.
    let info = Layout::default().at(0, ID).at(16, [7, 0, 0, 0]).at(20, [8, 0, 0, 0]);
    is_laid_out_as(&decode::<CancelGoalRequest>(&info.0).unwrap(), &info);
    let response = CancelGoalResponse {
        return_code: CancelGoalResponseEnum::GoalTerminated,
        goals_canceling: vec![GoalInfo { goal_id, stamp }],
    };
    let layout = Layout::default().at(0, [3]).at(4, [1, 0, 0, 0]).at(8, &info.0);
    is_laid_out_as(&response, &layout);
    // GoalStatusArray: status_list of goal_info and status (int8).
    let status = |status| GoalStatus { goal_info: GoalInfo { goal_id, stamp }, status };
    let statuses = vec![status(GoalStatusEnum::Executing), status(GoalStatusEnum::Canceled)];
    let layout = Layout::default()
        .at(0, [2, 0, 0, 0])
        .at(4, &info.0)
        .at(28, [2])
        .at(29, ID)
        .at(48, [7, 0, 0, 0])
        .at(52, [8, 0, 0, 0])
        .at(56, [5]);
    is_laid_out_as(&GoalStatusArray { status_list: statuses }, &layout);
}
