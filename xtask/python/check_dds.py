"""A foreign DDS peer of `trm-host ros2`: Eclipse Cyclone DDS, in C, through its Python binding (package cyclonedds).

    check_dds.py PATH_OF_TRM_HOST

Shares no code with the node, which speaks RustDDS: what both agree on is the wire. Names and types are those of ROS 2. It
plays the robot around the planner: it publishes a map, a start and goals, and listens to /plan as controllers, displays and recorders do.
Prints one line a check and exits 1 at the first that fails.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

DOMAIN = 7
LOOPBACK = (
    '<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="lo" multicast="true"/></Interfaces>'
    "<MaxMessageSize>65500B</MaxMessageSize></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    "<MaxAutoParticipantIndex>40</MaxAutoParticipantIndex></Discovery></Domain></CycloneDDS>"
)
os.environ.setdefault("CYCLONEDDS_URI", LOOPBACK)

from cyclonedds.core import Policy, Qos  # noqa: E402
from cyclonedds.domain import DomainParticipant  # noqa: E402
from cyclonedds.idl import IdlStruct  # noqa: E402
from cyclonedds.idl.annotations import final  # noqa: E402
from cyclonedds.idl.types import array, float32, float64, int8, int32, sequence, uint32  # noqa: E402
from cyclonedds.pub import DataWriter, Publisher  # noqa: E402
from cyclonedds.sub import DataReader, Subscriber  # noqa: E402
from cyclonedds.topic import Topic  # noqa: E402
from cyclonedds.util import duration  # noqa: E402


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
class Path(IdlStruct, typename="nav_msgs::msg::dds_::Path_"):
    header: Header = field(default_factory=Header)
    poses: sequence[PoseStamped] = field(default_factory=list)


RELIABLE = Policy.Reliability.Reliable(duration(seconds=1))
BEST_EFFORT = Policy.Reliability.BestEffort
LATCHED = Policy.Durability.TransientLocal
VOLATILE = Policy.Durability.Volatile
LAST, ALL = Policy.History.KeepLast(1), Policy.History.KeepAll


def quality(reliability, durability, history):
    return Qos(reliability, durability, history, Policy.DataRepresentation(use_cdrv0_representation=True))


class Participant:
    def __init__(self):
        self.participant = DomainParticipant(DOMAIN)
        self.topics = {}

    def topic(self, name, kind):
        return self.topics.setdefault(name, Topic(self.participant, "rt/" + name, kind))

    def writer(self, name, kind, qos):
        return DataWriter(Publisher(self.participant), self.topic(name, kind), qos=qos)

    def reader(self, name, kind, qos):
        return DataReader(Subscriber(self.participant), self.topic(name, kind), qos=qos)


def wait(what, done, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = done()
        if found:
            return found
        time.sleep(0.01)
    sys.exit(f"waited {seconds} s for {what}")


def taken(reader, seconds):
    """All that a reader gets within some seconds."""
    until, found = time.monotonic() + seconds, []
    while time.monotonic() < until:
        found += [sample for sample in reader.take(N=100) if isinstance(sample, Path)]
        time.sleep(0.01)
    return found


def check(what, right, found):
    print(("ok      " if right else "FAILED  ") + what + ("" if right else f": {found}"), flush=True)
    if not right:
        sys.exit(1)


def hall():
    """10 m x 10 m in cells of 0.1 m, with a wall across that leaves its right end open."""
    data = [0] * 10_000
    data[5_000:5_080] = [100] * 80
    return OccupancyGrid(info=MapMetaData(resolution=0.1, width=100, height=100), data=data)


def pose(x, y):
    return Pose(position=Point(x=x, y=y))


def end(path):
    last = path.poses[-1].pose.position if path.poses else None
    return (round(last.x, 6), round(last.y, 6)) if last else None


def main(trm_host):
    robot = Participant()
    maps = robot.writer("map", OccupancyGrid, quality(RELIABLE, LATCHED, LAST))
    starts = robot.writer("initialpose", PoseWithCovarianceStamped, quality(RELIABLE, VOLATILE, LAST))
    goals = robot.writer("goal_pose", PoseStamped, quality(RELIABLE, VOLATILE, LAST))
    listeners = {
        "reliable, latched": robot.reader("plan", Path, quality(RELIABLE, LATCHED, ALL)),
        "reliable, volatile": robot.reader("plan", Path, quality(RELIABLE, VOLATILE, ALL)),
        "best effort, volatile": robot.reader("plan", Path, quality(BEST_EFFORT, VOLATILE, ALL)),
    }
    # Before the planner is there.
    maps.write(hall())
    log = tempfile.NamedTemporaryFile(mode="r")
    command = [trm_host, "ros2", "--domain", str(DOMAIN), "--start", "1,1"]
    planner = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(log.name, "w"))
    said = lambda: open(log.name).read()

    try:
        wait("the map to be received", lambda: "map received: 100 x 100 cells of 0.1 m" in said())
        check("a map published before the planner was there is received", True, None)
        meets = lambda: all(len(w.get_matched_subscriptions()) for w in (goals, starts)) and all(
            len(r.get_matched_publications()) >= 4 for r in listeners.values()
        )
        wait("the planner's topics", meets)
        ends = [(2.0 + number, 9.0) for number in range(6)]
        for x, y in ends:
            goals.write(PoseStamped(pose=pose(x, y)))
            wait(f"the plan to {x}, {y}", lambda: said().count("plan published") > ends.index((x, y)))
            time.sleep(0.3)
        for name, reader in listeners.items():
            found = [end(path) for path in taken(reader, 0.5)]
            check(f"who listens all the time gets each plan once ({name})", found == ends, found)
        for name, history in (("keeps one", LAST), ("keeps all", ALL)):
            late = Participant().reader("plan", Path, quality(RELIABLE, LATCHED, history))
            found = [end(path) for path in taken(late, 3.0)]
            check(f"who comes late gets the newest plan alone ({name})", found == ends[-1:], found)
        volatile = Participant().reader("plan", Path, quality(RELIABLE, VOLATILE, ALL))
        found = [end(path) for path in taken(volatile, 1.5)]
        check("who comes late and wants no old ones gets none", found == [], found)
        goals.write(PoseStamped(pose=pose(5.0, 5.03)))
        found = wait("an answer to a goal in the wall", lambda: taken(listeners["reliable, latched"], 0.5))
        check("a goal in the wall is answered by a path without poses", [len(path.poses) for path in found] == [0], found)
        for x in (3.0, 4.0, 5.0):
            goals.write(PoseStamped(pose=pose(x, 9.0)))
            time.sleep(0.02)
        found = [end(path) for path in taken(listeners["reliable, volatile"], 2.0)]
        check("of goals in quick succession the last is planned to", found and found[-1] == (5.0, 9.0), found)
        length = lambda path: sum(
            math.dist((a.pose.position.x, a.pose.position.y), (b.pose.position.x, b.pose.position.y))
            for a, b in zip(path.poses, path.poses[1:])
        )
        plans = [path for path in taken(volatile, 0.2) if end(path) == (5.0, 9.0)]
        shortest = math.dist((1, 1), (8.1, 5)) + math.dist((8.1, 5), (5, 9))
        check("its path goes around the wall", plans and shortest < length(plans[-1]) < 1.1 * shortest, [length(p) for p in plans])
    finally:
        planner.terminate()
        planner.wait()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
