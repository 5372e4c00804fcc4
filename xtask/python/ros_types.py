"""Messages of ROS 2 as DDS has them, for the check with a foreign peer: names and fields of the published definitions."""

from dataclasses import dataclass, field

from cyclonedds.idl import IdlStruct
from cyclonedds.idl.annotations import final
from cyclonedds.idl.types import array, float32, float64, int8, int32, int64, sequence, uint8, uint16, uint32, uint64


@dataclass
@final
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: int32 = 0
    nanosec: uint32 = 0


@dataclass
@final
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time = field(default_factory=Time)
    frame_id: str = "map"


@dataclass
@final
class Point(IdlStruct, typename="geometry_msgs::msg::dds_::Point_"):
    x: float64 = 0.0
    y: float64 = 0.0
    z: float64 = 0.0


@dataclass
@final
class Quaternion(IdlStruct, typename="geometry_msgs::msg::dds_::Quaternion_"):
    x: float64 = 0.0
    y: float64 = 0.0
    z: float64 = 0.0
    w: float64 = 1.0


@dataclass
@final
class Pose(IdlStruct, typename="geometry_msgs::msg::dds_::Pose_"):
    position: Point = field(default_factory=Point)
    orientation: Quaternion = field(default_factory=Quaternion)


@dataclass
@final
class PoseStamped(IdlStruct, typename="geometry_msgs::msg::dds_::PoseStamped_"):
    header: Header = field(default_factory=Header)
    pose: Pose = field(default_factory=Pose)


@dataclass
@final
class PoseWithCovariance(IdlStruct, typename="geometry_msgs::msg::dds_::PoseWithCovariance_"):
    pose: Pose = field(default_factory=Pose)
    covariance: array[float64, 36] = field(default_factory=lambda: [0.0] * 36)


@dataclass
@final
class PoseWithCovarianceStamped(IdlStruct, typename="geometry_msgs::msg::dds_::PoseWithCovarianceStamped_"):
    header: Header = field(default_factory=Header)
    pose: PoseWithCovariance = field(default_factory=PoseWithCovariance)


@dataclass
@final
class MapMetaData(IdlStruct, typename="nav_msgs::msg::dds_::MapMetaData_"):
    map_load_time: Time = field(default_factory=Time)
    resolution: float32 = 0.0
    width: uint32 = 0
    height: uint32 = 0
    origin: Pose = field(default_factory=Pose)


@dataclass
@final
class OccupancyGrid(IdlStruct, typename="nav_msgs::msg::dds_::OccupancyGrid_"):
    header: Header = field(default_factory=Header)
    info: MapMetaData = field(default_factory=MapMetaData)
    data: sequence[int8] = field(default_factory=list)


@dataclass
@final
class OccupancyGridUpdate(IdlStruct, typename="map_msgs::msg::dds_::OccupancyGridUpdate_"):
    header: Header = field(default_factory=Header)
    x: int32 = 0
    y: int32 = 0
    width: uint32 = 0
    height: uint32 = 0
    data: sequence[int8] = field(default_factory=list)


@dataclass
@final
class Path(IdlStruct, typename="nav_msgs::msg::dds_::Path_"):
    header: Header = field(default_factory=Header)
    poses: sequence[PoseStamped] = field(default_factory=list)


# The action nav2_msgs/action/ComputePathToPose.


@dataclass
@final
class Duration(IdlStruct, typename="builtin_interfaces::msg::dds_::Duration_"):
    sec: int32 = 0
    nanosec: uint32 = 0


@dataclass
@final
class UUID(IdlStruct, typename="unique_identifier_msgs::msg::dds_::UUID_"):
    uuid: array[uint8, 16] = field(default_factory=lambda: [0] * 16)


@dataclass
@final
class GoalInfo(IdlStruct, typename="action_msgs::msg::dds_::GoalInfo_"):
    goal_id: UUID = field(default_factory=UUID)
    stamp: Time = field(default_factory=Time)


@dataclass
@final
class GoalStatus(IdlStruct, typename="action_msgs::msg::dds_::GoalStatus_"):
    goal_info: GoalInfo = field(default_factory=GoalInfo)
    status: int8 = 0


@dataclass
@final
class GoalStatusArray(IdlStruct, typename="action_msgs::msg::dds_::GoalStatusArray_"):
    status_list: sequence[GoalStatus] = field(default_factory=list)


@dataclass
@final
class SendGoal(IdlStruct, typename="SendGoal"):
    goal_id: UUID
    goal: PoseStamped
    start: PoseStamped
    planner_id: str
    use_start: bool


@dataclass
@final
class Accepted(IdlStruct, typename="Accepted"):
    accepted: bool
    stamp: Time


@dataclass
@final
class GetResult(IdlStruct, typename="GetResult"):
    goal_id: UUID


@dataclass
@final
class HumbleResult(IdlStruct, typename="HumbleResult"):
    status: int8
    path: Path
    planning_time: Duration


@dataclass
@final
class IronResult(IdlStruct, typename="IronResult"):
    status: int8
    path: Path
    planning_time: Duration
    error_code: uint16


@dataclass
@final
class KiltedResult(IdlStruct, typename="KiltedResult"):
    status: int8
    path: Path
    planning_time: Duration
    error_code: uint16
    error_msg: str


@dataclass
@final
class Cancel(IdlStruct, typename="Cancel"):
    goal_info: GoalInfo


@dataclass
@final
class Canceling(IdlStruct, typename="Canceling"):
    return_code: int8
    goals_canceling: sequence[GoalInfo]


def service_type(name, kind, is_framed):
    """A request or a reply under its name: as rmw_fastrtps sends it, or framed by rmw_cyclonedds' header."""
    if is_framed:

        @dataclass
        @final
        class Framed(IdlStruct, typename=name):
            guid: uint64
            sequence_number: int64
            content: kind

        return Framed

    @dataclass
    @final
    class Plain(IdlStruct, typename=name):
        content: kind

    return Plain
