"""A foreign DDS peer of `trm-host ros2`: Eclipse Cyclone DDS, in C, through its Python binding (package cyclonedds).

    check_dds.py PATH_OF_TRM_HOST

Shares no code with the node, which speaks RustDDS: what both agree on is the wire. Names and types are those of ROS 2. It
plays the robot around the planner: it publishes maps, costmaps, starts and goals, listens to /plan as controllers, displays and recorders
do, and asks for paths as nav2's behaviour trees do. Prints one line a check and exits 1 at the first that fails.
"""

import contextlib
import math
import os
import subprocess
import sys
import tempfile
import time
import uuid

DOMAIN = 7
LOOPBACK = (
    '<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="lo" multicast="true"/></Interfaces>'
    "<MaxMessageSize>65500B</MaxMessageSize></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    "<MaxAutoParticipantIndex>40</MaxAutoParticipantIndex></Discovery></Domain></CycloneDDS>"
)
os.environ.setdefault("CYCLONEDDS_URI", LOOPBACK)

from cyclonedds.core import Policy, Qos  # noqa: E402
from cyclonedds.domain import DomainParticipant  # noqa: E402
from cyclonedds.pub import DataWriter, Publisher  # noqa: E402
from cyclonedds.sub import DataReader, Subscriber  # noqa: E402
from cyclonedds.topic import Topic  # noqa: E402
from cyclonedds.util import duration  # noqa: E402

import ros_types as ros  # noqa: E402
from ros_types import (  # noqa: E402
    GoalStatusArray,
    Header,
    MapMetaData,
    OccupancyGrid,
    OccupancyGridUpdate,
    Path,
    Point,
    Pose,
    PoseStamped,
    PoseWithCovariance,
    PoseWithCovarianceStamped,
)

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
        name = name if name.startswith(("rq/", "rr/")) else "rt/" + name
        return self.topics.setdefault(name, Topic(self.participant, name, kind))

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


def costmap():
    """The hall as nav2 sees it: a metre of costs around the wall, and where the robot would touch it, inscribed cells."""
    data = [0] * 10_000
    for cell in range(10_000):
        away = max(abs(cell // 100 - 50), cell % 100 - 79)
        data[cell] = 100 if away == 0 else 99 if away <= 3 else max(0, 98 - 14 * (away - 3))
    return OccupancyGrid(info=MapMetaData(resolution=0.1, width=100, height=100), data=data)


def pose(x, y):
    return Pose(position=Point(x=x, y=y))


def end(path):
    last = path.poses[-1].pose.position if path.poses else None
    return (round(last.x, 6), round(last.y, 6)) if last else None


def start(x, y):
    return PoseWithCovarianceStamped(pose=PoseWithCovariance(pose=pose(x, y)))


def length(path):
    places = [(p.pose.position.x, p.pose.position.y) for p in path.poses]
    return sum(math.dist(a, b) for a, b in zip(places, places[1:]))


@contextlib.contextmanager
def planner(trm_host, *options):
    """The node, as a function of what it has said."""
    log = tempfile.NamedTemporaryFile(mode="r")
    command = [trm_host, "ros2", "--domain", str(DOMAIN), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(log.name, "w"))
    try:
        yield lambda: open(log.name).read()
    finally:
        process.terminate()
        process.wait()


SUCCEEDED, ABORTED = 4, 6
CLIENT = 0x1122334455667788


class ActionClient:
    """A client of ComputePathToPose: three services and the statuses."""

    def __init__(self, participant, action, result, is_framed):
        self.participant, self.is_framed = participant, is_framed
        # Of requests sent, and of replies that had their request's identity.
        self.sequence_number, self.identified = 0, 0
        prefix = f"{action}/_action/"
        own = "nav2_msgs::action::dds_::ComputePathToPose_"
        self.services = {
            "send_goal": self.service(prefix + "send_goal", own + "SendGoal", ros.SendGoal, ros.Accepted),
            "get_result": self.service(prefix + "get_result", own + "GetResult", ros.GetResult, result),
            "cancel_goal": self.service(prefix + "cancel_goal", "action_msgs::srv::dds_::CancelGoal", ros.Cancel, ros.Canceling),
        }
        self.statuses = participant.reader(prefix + "status", GoalStatusArray, quality(RELIABLE, LATCHED, LAST))
        ends = [end for _, *ends in self.services.values() for end in ends]
        wait(
            "the action's services",
            lambda: all(
                len(end.get_matched_subscriptions() if isinstance(end, DataWriter) else end.get_matched_publications())
                for end in [*ends, self.statuses]
            ),
        )

    def service(self, name, kind, request, reply):
        typed = lambda part, content: ros.service_type(f"{kind.removesuffix('_')}_{part}_", content, self.is_framed)
        qos = quality(RELIABLE, VOLATILE, ALL)
        request = typed("Request", request)
        writer = self.participant.writer(f"rq/{name}Request", request, qos)
        return request, writer, self.participant.reader(f"rr/{name}Reply", typed("Response", reply), qos)

    def send(self, service, content):
        """Sends a request without waiting for the reply."""
        kind, writer, _ = self.services[service]
        self.sequence_number += 1
        writer.write(kind(CLIENT, self.sequence_number, content) if self.is_framed else kind(content))

    def replies(self, service):
        """The replies that have come; those with a frame must have their request's identity."""
        _, _, reader = self.services[service]
        found = [sample for sample in reader.take(N=100) if hasattr(sample, "content")]
        for reply in found if self.is_framed else []:
            if reply.guid != CLIENT or not 0 < reply.sequence_number <= self.sequence_number:
                check("a reply has its request's identity", False, reply)
            self.identified += 1
        return [reply.content for reply in found]

    def call(self, service, make):
        """The reply to a request. The other end may not know yet where to send the first one to: asked again, it does."""
        for _ in range(20):
            self.send(service, make())
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                if found := self.replies(service):
                    return found[-1]
                time.sleep(0.005)
        sys.exit(f"no reply of {service}")

    def goal(self, to, origin=None, frame="map"):
        """A goal of a new name; `origin` is where to plan from, if it says that."""
        self.newest = ros.UUID(list(uuid.uuid4().bytes))
        at = lambda place: PoseStamped(header=Header(frame_id=frame), pose=pose(*(place or (0.0, 0.0))))
        return ros.SendGoal(self.newest, at(to), at(origin), "GridBased", origin is not None)

    def result(self, goal_id):
        return self.call("get_result", lambda: ros.GetResult(goal_id))

    def path(self, *arguments, **keywords):
        """The result of a goal, from sending it on."""
        accepted = self.call("send_goal", lambda: self.goal(*arguments, **keywords))
        if not (accepted.accepted and accepted.stamp.sec > 0):
            check("a goal is accepted", False, accepted)
        return self.result(self.newest)

    def cancel(self, goal_id):
        return self.call("cancel_goal", lambda: ros.Cancel(ros.GoalInfo(goal_id=goal_id)))


def check_topics(trm_host):
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
    with planner(trm_host, "--start", "1,1") as said:
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
        plans = [path for path in taken(volatile, 0.2) if end(path) == (5.0, 9.0)]
        shortest = math.dist((1, 1), (8.1, 5)) + math.dist((8.1, 5), (5, 9))
        check("its path goes around the wall", plans and shortest < length(plans[-1]) < 1.1 * shortest, [length(p) for p in plans])
        check_action(robot)
        unkept = Participant().writer("map", OccupancyGrid, quality(RELIABLE, VOLATILE, LAST))
        time.sleep(1.5)
        found = len(unkept.get_matched_subscriptions())
        check("a publisher that keeps no map for late comers is not listened to unless asked for", found == 0, found)


def check_action(robot):
    """The action with the planner's defaults: the layout of Kilted, services as rmw_fastrtps has them."""
    client = ActionClient(robot, "trm_planner/compute_path_to_pose", ros.KiltedResult, is_framed=False)
    found = client.path((5.0, 9.0), origin=(2.0, 1.0))
    first = client.newest
    outcome = (found.status, found.error_code, found.error_msg, end(found.path))
    check("the action plans from where the goal says", outcome == (SUCCEEDED, 0, "", (5.0, 9.0)), found)
    begins = found.path.poses[0].pose.position
    check("and its path begins there", (begins.x, begins.y) == (2.0, 1.0), begins)
    found = client.path((5.0, 9.0))
    begins = found.path.poses[0].pose.position
    check("the action plans from where the robot is", (begins.x, begins.y) == (1.0, 1.0), found)
    for what, arguments, keywords, code in [
        ("a goal in a wall", ((5.0, 5.03),), {}, 206),
        ("a start in a wall", ((5.0, 9.0), (5.0, 5.03)), {}, 205),
        ("a goal outside of the map", ((50.0, 9.0),), {}, 204),
        ("a start outside of the map", ((5.0, 9.0), (-5.0, 1.0)), {}, 203),
        ("a goal in another frame", ((5.0, 9.0),), {"frame": "odom"}, 202),
        ("a goal that is no number", ((math.nan, 9.0),), {}, 200),
    ]:
        found = client.path(*arguments, **keywords)
        outcome = (found.status, found.error_code, len(found.path.poses), found.error_msg != "")
        check(f"{what} is answered by nav2's code {code}", outcome == (ABORTED, code, 0, True), found)
    found = client.result(first)
    check("a result can be asked for again", (found.status, end(found.path)) == (SUCCEEDED, (5.0, 9.0)), found)
    nobody = ros.UUID(list(uuid.uuid4().bytes))
    found = client.result(nobody)
    check("a goal that nobody sent has no result", (found.status, found.path.poses) == (0, []), found)
    codes = [client.cancel(goal).return_code for goal in (nobody, first)]
    check("neither an unknown goal nor one that has ended is canceled", codes == [2, 3], codes)
    names = []
    for x in (2.0, 3.0, 4.0, 5.0):
        client.send("send_goal", client.goal((x, 9.0)))
        names.append(client.newest)
    results = [client.result(name) for name in names]
    found = [(result.status, end(result.path)) for result in results]
    check("of goals in quick succession the last succeeds", found[-1] == (SUCCEEDED, (5.0, 9.0)), found)
    ends = [(SUCCEEDED, (x, 9.0)) for x in (2.0, 3.0, 4.0)]
    check("and each other one too, or is aborted", all(a in (b, (ABORTED, None)) for a, b in zip(found, ends)), found)
    statuses = []

    def told():
        statuses.extend(sample for sample in client.statuses.take(N=100) if isinstance(sample, GoalStatusArray))
        return statuses and {tuple(s.goal_info.goal_id.uuid): s.status for s in statuses[-1].status_list}

    newest = tuple(names[-1].uuid)
    wait("the goals' statuses", lambda: (told() or {}).get(newest) == SUCCEEDED)
    check("statuses are published for who comes late, too", True, None)


def check_costmap(trm_host):
    """Costmaps with updates and a start of AMCL, the layout of Iron, services as rmw_cyclonedds has them, beside nav2."""
    robot = Participant()
    kept = quality(RELIABLE, LATCHED, LAST)
    costmaps = robot.writer("global_costmap/costmap", OccupancyGrid, kept)
    updates = robot.writer("global_costmap/costmap_updates", OccupancyGridUpdate, kept)
    found = robot.writer("amcl_pose", PoseWithCovarianceStamped, kept)
    plans = robot.reader("trm_planner/plan", Path, quality(RELIABLE, VOLATILE, ALL))
    costmaps.write(costmap())
    found.write(start(1.0, 1.0))
    with planner(trm_host, "--costmap", "--beside-nav2", "--nav2", "iron", "--rmw", "cyclonedds", "--spacing", "0.005") as said:
        wait("the costmap to be received", lambda: "costmap received: 100 x 100 cells of 0.1 m" in said())
        wait("AMCL's pose to be received", lambda: "start received from localisation: x 1.00 m" in said())
        check("a costmap and AMCL's pose from before the planner was there are received", True, None)
        client = ActionClient(robot, "trm_planner/compute_path_to_pose", ros.IronResult, is_framed=True)
        answer = client.path((5.0, 9.0))
        check("a costmap is planned on", (answer.status, answer.error_code, end(answer.path)) == (SUCCEEDED, 0, (5.0, 9.0)), answer)
        poses = len(answer.path.poses)
        check("a path of more than a datagram arrives whole under Cyclone DDS", 2000 < poses < 5000, poses)
        beside = [p.pose.position.x for p in answer.path.poses if 4.5 < p.pose.position.y < 5.5]
        check("off the inscribed cells, at their costs", beside and min(beside) > 8.5, beside)
        check("the plan is published beside nav2's", any(end(path) == (5.0, 9.0) for path in taken(plans, 1.0)), None)

        def close(value):
            updates.write(OccupancyGridUpdate(x=80, y=50, width=20, height=1, data=[value] * 20))

        def answered(code):
            return lambda: client.path((5.0, 9.0)).error_code == code

        close(100)
        wait("the update to close the gap", answered(208))
        check("an update of the costmap closes the gap", True, None)
        updates.write(OccupancyGridUpdate(x=90, y=50, width=20, height=1, data=[0] * 20))
        wait("the update beyond the costmap to be refused", lambda: "20x1 cells at 90,50 are not within" in said())
        check("an update beyond the costmap is refused", answered(208)(), None)
        close(0)
        wait("the update to open the gap", answered(0))
        check("the next update opens it again", True, None)
        found.write(start(9.0, 1.0))
        wait("AMCL's next pose", lambda: client.path((5.0, 9.0)).path.poses[0].pose.position.x == 9.0)
        check("the start goes with AMCL's pose", True, None)
        check("all replies had their request's identity", client.identified > 0, client.identified)


def check_volatile_map(trm_host):
    """A map of a publisher that keeps none for late comers, the layout of Humble, in the place of nav2's planner server."""
    robot = Participant()
    maps = robot.writer("map", OccupancyGrid, quality(RELIABLE, VOLATILE, LAST))
    options = ["--spacing", "0.005", "--volatile-map", "--nav2", "humble", "--remap", "compute_path_to_pose:=compute_path_to_pose"]
    with planner(trm_host, *options) as said:
        client = ActionClient(robot, "compute_path_to_pose", ros.HumbleResult, is_framed=False)
        answer = client.path((5.0, 9.0), origin=(1.0, 1.0))
        check("without a map there is no path", (answer.status, answer.path.poses) == (ABORTED, []), answer)
        wait("the planner's topic of the map", maps.get_matched_subscriptions)
        # Whom the writer knows may not know the writer yet, and what is sent then is kept by nobody.
        until = time.monotonic() + 30
        while "map received" not in said():
            if time.monotonic() > until:
                sys.exit("waited 30 s for the map to be received")
            maps.write(hall())
            time.sleep(0.5)
        check("with --volatile-map a map is received of a publisher that keeps none", True, None)
        answer = client.path((5.0, 9.0), origin=(1.0, 1.0))
        check("in nav2's place a path is found", (answer.status, end(answer.path)) == (SUCCEEDED, (5.0, 9.0)), answer)
        poses = len(answer.path.poses)
        check("a path of more than a datagram arrives by its corners under Fast DDS", 2 < poses < 100, poses)
        check("and takes some time", answer.planning_time.sec == 0 and answer.planning_time.nanosec > 0, answer.planning_time)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for checks in (check_topics, check_costmap, check_volatile_map):
        checks(sys.argv[1])
