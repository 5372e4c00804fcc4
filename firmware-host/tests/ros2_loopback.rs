//! `trm-host ros2` at the other end of DDS over this machine's loopback: the test is the robot around it.
//!
//! Each test has a DDS domain of its own.
#![cfg_attr(feature = "ros2", expect(clippy::disallowed_methods, reason = "tests start programs"))]
#![cfg(all(unix, feature = "ros2"))]

mod ros2;

use std::process::Command;
use std::time::{Duration, Instant};

use ros2_client::qos::{Durability, History, QosProfile, WhenFull};
use ros2_client::rcl_interfaces::{SetParametersRequest, SetParametersResponse};
use ros2_client::{
    Context, ContextOptions, MessageTypeName, Name, Node, NodeName, NodeOptions, Parameter, ParameterValue, Publisher,
    ServiceMapping, ServiceTypeName, Subscription,
};
use serde::Serialize;
use trm_firmware_host::ros2::messages::{
    Header, OccupancyGrid, Path, PoseStamped, PoseWithCovariance, PoseWithCovarianceStamped, Time,
};
use trm_plan::Pose;

use self::ros2::{PATIENCE, Planner, domain, wait};

// the other end

/// The robot's side around the planner: it knows the map, the start and the goal, and wants the plan.
struct Robot {
    node: Node,
    map: Publisher<OccupancyGrid>,
    start: Publisher<PoseWithCovarianceStamped>,
    goal: Publisher<PoseStamped>,
    plan: Subscription<Path>,
}

fn topic(node: &Node, name: &str, package: &str, message: &str, qos: &QosProfile) -> ros2_client::dds::rustdds::Topic {
    node.create_topic(&Name::parse(name).unwrap(), MessageTypeName::new(package, message), qos).unwrap()
}

fn publisher<M: Serialize>(
    node: &mut Node,
    name: &str,
    package: &str,
    message: &str,
    qos: &QosProfile,
) -> Publisher<M> {
    let topic = topic(node, name, package, message, qos);
    node.create_publisher(&topic, None).unwrap()
}

fn reliable() -> QosProfile {
    QosProfile::default().reliability_reliable(WhenFull::DEFAULT).history(History::KeepLast { depth: 1 })
}

fn latched() -> QosProfile {
    reliable().durability(Durability::TransientLocal)
}

impl Robot {
    fn start(domain: u16) -> Self {
        Self::start_in(domain, "/")
    }

    fn start_in(domain: u16, namespace: &str) -> Self {
        let context = Context::with_options(ContextOptions::new().domain_id(domain)).unwrap();
        let mut node = context.new_node(NodeName::new(namespace, "robot").unwrap(), NodeOptions::new()).unwrap();
        let in_namespace = |name: &str| format!("{}/{name}", namespace.trim_end_matches('/'));
        let plan = topic(&node, &in_namespace("plan"), "nav_msgs", "Path", &reliable());
        let plan = node.create_subscription(&plan, None).unwrap();
        let map = publisher(&mut node, &in_namespace("map"), "nav_msgs", "OccupancyGrid", &latched());
        let goal = publisher(&mut node, &in_namespace("goal_pose"), "geometry_msgs", "PoseStamped", &reliable());
        let start = in_namespace("initialpose");
        let start = publisher(&mut node, &start, "geometry_msgs", "PoseWithCovarianceStamped", &reliable());
        let spinner = node.spinner().unwrap();
        std::thread::spawn(move || futures::executor::block_on(spinner.spin()));
        Self { node, map, start, goal, plan }
    }

    /// Sets a parameter of a node, as `ros2 param set` does. Returns the reason of a refusal; empty if it was set.
    fn sets(&mut self, node: &str, name: &str, value: ParameterValue) -> Vec<String> {
        let client = self
            .node
            .create_client::<SetParametersRequest, SetParametersResponse>(
                ServiceMapping::Enhanced,
                &Name::new(node, "set_parameters").unwrap(),
                &ServiceTypeName::new("rcl_interfaces", "SetParameters"),
                reliable(),
                reliable(),
            )
            .unwrap();
        futures::executor::block_on(client.wait_for_service(&self.node));
        let parameter = vec![Parameter { name: name.to_owned(), value }.into()];
        let deadline = Instant::now() + PATIENCE;
        let mut answer = None;
        // The other end may not know yet where to send the answer to: asked once more, it does.
        while answer.is_none() {
            assert!(Instant::now() < deadline, "no answer of set_parameters");
            let request = SetParametersRequest { parameter: parameter.clone() };
            let request = client.send_request(request).unwrap();
            let again = Instant::now() + Duration::from_millis(500);
            while answer.is_none() && Instant::now() < again {
                // Answers to earlier requests are still there.
                answer = client.receive_response().unwrap().filter(|(of, _)| *of == request);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let results = answer.unwrap().1.results;
        results.into_iter().map(|result| if result.successful { String::new() } else { result.reason }).collect()
    }

    /// Waits until each is connected to the other. What is sent before the other end knows of it is lost, or repaired slowly.
    fn meets(&self, planner: &mut Planner) {
        wait("the planner's topics", || {
            self.map.get_subscription_count(&self.node) > 0
                && self.goal.get_subscription_count(&self.node) > 0
                && self.plan.get_publisher_count(&self.node) > 0
        });
        // Topics become known in the order in which they were made, and this one was made last.
        wait("the planner to know the robot's topics", || {
            self.start.publish(start("map", f64::NAN, 0.0)).unwrap();
            planner.says_soon("start ignored: position: [NaN, 0] is not finite")
        });
    }

    /// The next plan.
    fn next_plan(&self) -> Path {
        let mut found = None;
        wait("a plan", || {
            found = self.plan.take().unwrap();
            found.is_some()
        });
        found.unwrap().0
    }

    fn no_plan_waits(&self) {
        assert!(self.plan.take().unwrap().is_none());
    }
}

fn header(frame: &str) -> Header {
    Header { stamp: Time::now(), frame_id: frame.into() }
}

/// Metres along a side of the map.
const SIDE: f64 = 50.0;
/// Where the wall across the map lies, and where its door is.
const WALL_Y: f64 = 25.0;
const DOOR_X: f64 = 40.5;

/// A map of 1000 x 1000 cells: a wall across with a door of 1 m, and a room without a door around (11, 31).
fn map(frame: &str) -> OccupancyGrid {
    let mut grid = OccupancyGrid { header: header(frame), data: vec![0; 1_000_000], ..OccupancyGrid::default() };
    (grid.info.width, grid.info.height, grid.info.resolution) = (1000, 1000, 0.05);
    let mut wall = |x: std::ops::Range<usize>, y: std::ops::Range<usize>| {
        for row in y {
            grid.data[row * 1000 + x.start..row * 1000 + x.end].fill(100);
        }
    };
    wall(0..800, 500..502);
    wall(820..1000, 500..502);
    wall(200..240, 600..602);
    wall(200..240, 638..640);
    wall(200..202, 600..640);
    wall(238..240, 600..640);
    grid
}

fn start(frame: &str, x: f64, y: f64) -> PoseWithCovarianceStamped {
    let pose = PoseWithCovariance { pose: Pose::new(x, y, 0.0).into(), ..PoseWithCovariance::default() };
    PoseWithCovarianceStamped { header: header(frame), pose }
}

fn goal(frame: &str, x: f64, y: f64) -> PoseStamped {
    PoseStamped { header: header(frame), pose: Pose::new(x, y, 1.0).into() }
}

/// The path goes from (5, 5) through the door to the goal, no step of it longer than the spacing, none in a wall.
#[track_caller]
fn leads_through_the_door(path: &Path, x: f64, y: f64) {
    assert_eq!(path.header.frame_id, "map");
    let places: Vec<(f64, f64)> = path.poses.iter().map(|pose| (pose.pose.position.x, pose.pose.position.y)).collect();
    assert_eq!((places.first(), places.last()), (Some(&(5.0, 5.0)), Some(&(x, y))));
    let heading = path.poses.last().unwrap().pose.orientation.yaw().unwrap();
    assert!((heading - 1.0).abs() < 1e-9, "{heading}");
    let distance = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).hypot(a.1 - b.1);
    let steps = places.windows(2).map(|pair| distance(pair[0], pair[1]));
    assert!(steps.clone().all(|step| step <= 0.1 + 1e-9));
    let shortest = distance((5.0, 5.0), (DOOR_X, WALL_Y)) + distance((DOOR_X, WALL_Y), (x, y));
    let length: f64 = steps.sum();
    // The door is a metre wide, and the robot less than that.
    assert!((shortest - 1.0..1.1 * shortest).contains(&length), "{length} m, the shortest is {shortest} m");
    let map = map("map");
    for (x, y) in places {
        assert!((0.0..SIDE).contains(&x) && (0.0..SIDE).contains(&y));
        assert_eq!(map.data[(y / 0.05) as usize * 1000 + (x / 0.05) as usize], 0, "({x}, {y}) is in a wall");
    }
}

// the tests

#[test]
fn a_million_cells_are_a_plan_within_a_second() {
    let mut times = Vec::new();
    for round in 0..3 {
        let domain = domain(round);
        let mut planner = Planner::start(domain, &[]);
        let robot = Robot::start(domain);
        robot.meets(&mut planner);
        let map = map("map");
        let started = Instant::now();
        robot.map.publish(map).unwrap();
        robot.start.publish(start("map", 5.0, 5.0)).unwrap();
        robot.goal.publish(goal("map", 5.0, 45.0)).unwrap();
        let path = robot.next_plan();
        times.push(started.elapsed());
        leads_through_the_door(&path, 5.0, 45.0);
        println!("{}", planner.says("map received: 1000 x 1000 cells of 0.05 m in frame `map`"));
        println!("{}", planner.says("plan published: "));
        assert!(planner.interrupt().success());
    }
    println!("from publishing a map of 1000 x 1000 cells, a start and a goal to receiving the plan: {times:?}");
    times.sort_unstable();
    // Where the system does not let a receive buffer hold the map, RustDDS repairs what was lost, slowly.
    let buffer: Option<u64> =
        std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok().and_then(|limit| limit.trim().parse().ok());
    let limit = match buffer {
        Some(bytes) if bytes < 4 << 20 => {
            println!(
                "net.core.rmem_max is {bytes}, a second is asked for from 4194304 on: sysctl -w net.core.rmem_max=4194304"
            );
            Duration::from_secs(30)
        }
        _ => Duration::from_secs(1),
    };
    assert!(times[1] < limit, "{times:?}; net.core.rmem_max is {buffer:?}");
}

#[test]
fn who_comes_late_gets_the_map_and_the_plan() {
    let domain = domain(3);
    let robot = Robot::start(domain);
    robot.map.publish(map("map")).unwrap();
    let mut planner = Planner::start(domain, &["--start", "5,5", "--remap", "plan:=routes/best"]);
    planner.says("map received: 1000 x 1000 cells of 0.05 m in frame `map`");
    for x in [18.0, 20.0] {
        wait("the planner's goal", || {
            robot.goal.publish(goal("map", x, 45.0)).unwrap();
            planner.says_soon("plan published: ")
        });
    }

    // Goals that were sent again are planned to again.
    let mut quiet = 0;
    while quiet < 5 {
        quiet = if planner.says_soon("plan published: ") { 0 } else { quiet + 1 };
    }

    let context = Context::with_options(ContextOptions::new().domain_id(domain)).unwrap();
    let mut late = context.new_node(NodeName::new("/", "late").unwrap(), NodeOptions::new().read_rosout(true)).unwrap();
    // It would keep all that come.
    let route = topic(&late, "/routes/best", "nav_msgs", "Path", &latched().history(History::KeepAll));
    let route = late.create_subscription::<Path>(&route, None).unwrap();
    let mut found = Vec::new();
    wait("the plan made before", || {
        found.extend(route.take().unwrap());
        !found.is_empty()
    });
    std::thread::sleep(Duration::from_secs(1));
    found.extend(route.take().unwrap());
    assert_eq!(found.len(), 1, "the newest plan alone");
    leads_through_the_door(&found[0].0, 20.0, 45.0);

    let rosout = late.rosout_subscription().unwrap();
    wait("the log", || {
        robot.goal.publish(goal("odom", 20.0, 45.0)).unwrap();
        planner.says_soon("frame `odom`");
        let log = rosout.take().unwrap();
        log.is_some_and(|(log, _)| log.msg.contains("frame `odom`, the map in `map`") && log.name == "trm_planner")
    });
}

#[test]
fn bad_messages_leave_the_node_at_work() {
    let domain = domain(4);
    let mut planner = Planner::start(domain, &[]);
    let robot = Robot::start(domain);
    robot.meets(&mut planner);

    robot.goal.publish(goal("map", 20.0, 20.0)).unwrap();
    planner.says("warning: no map so far: the goal waits for one");
    let mut short = map("map");
    short.data.truncate(999_999);
    robot.map.publish(short).unwrap();
    planner.says("warning: map refused: /map: 999999 values, a map of 1000x1000 cells has 1000000");
    robot.map.publish(map("map")).unwrap();
    planner.says("map received");
    robot.no_plan_waits();

    robot.start.publish(start("odom", 5.0, 5.0)).unwrap();
    planner.says("the start is in frame `odom`, the map in `map`");
    let path = robot.next_plan();
    assert!(path.poses.is_empty() && path.header.frame_id == "map", "{path:?}");

    robot.start.publish(start("map", 5.0, 5.0)).unwrap();
    planner.says("start received");
    for (message, why) in [
        (goal("odom", 20.0, 20.0), "the goal is in frame `odom`, the map in `map`"),
        (goal("map", f64::NAN, 20.0), "goal ignored: position: [NaN, 20] is not finite"),
        (goal("map", 11.0, 31.0), "the goal cannot be reached: "),
        (goal("map", 20.0, 25.05), "is in an obstacle; the nearest free place is "),
        (goal("map", 200.0, 20.0), "is outside of the map; "),
    ] {
        robot.goal.publish(message).unwrap();
        let said = planner.says(why);
        assert!(said.starts_with("ros2: warning: "), "{said}");
        let path = robot.next_plan();
        assert!(path.poses.is_empty() && path.header.frame_id == "map", "{why}: {path:?}");
    }

    robot.goal.publish(goal("map", 30.0, 45.0)).unwrap();
    planner.says("plan published: ");
    leads_through_the_door(&robot.next_plan(), 30.0, 45.0);
    assert!(planner.interrupt().success());
}

/// Someone publishes something else under the type's name: too short to be read.
#[test]
fn what_cannot_be_read_is_a_warning() {
    let domain = domain(5);
    let mut planner = Planner::start(domain, &[]);
    let robot = Robot::start(domain);
    robot.meets(&mut planner);
    let context = Context::with_options(ContextOptions::new().domain_id(domain)).unwrap();
    let mut node = context.new_node(NodeName::new("/", "liar").unwrap(), NodeOptions::new()).unwrap();
    let liar: Publisher<Header> = publisher(&mut node, "/map", "nav_msgs", "OccupancyGrid", &latched());
    liar.publish(header("map")).unwrap();
    planner.says("warning: /map: a message cannot be read: ");
    robot.map.publish(map("map")).unwrap();
    planner.says("map received");
    assert!(planner.interrupt().success());
}

#[test]
fn parameters_are_set_while_it_runs() {
    let domain = domain(6);
    let mut planner = Planner::start(domain, &["--name", "guide", "--namespace", "/robot1"]);
    let mut robot = Robot::start_in(domain, "/robot1");
    robot.meets(&mut planner);
    robot.map.publish(map("map")).unwrap();
    planner.says("map received");
    robot.start.publish(start("map", 5.0, 5.0)).unwrap();
    planner.says("start received");

    let guide = "/robot1/guide";
    assert_eq!(robot.sets(guide, "robot_radius", ParameterValue::Double(0.6)), [""]);
    planner.says("map prepared anew in ");
    robot.goal.publish(goal("map", 5.0, 45.0)).unwrap();
    planner.says("the goal cannot be reached");
    assert!(robot.next_plan().poses.is_empty(), "the door is a metre wide, the robot more");

    let refused = robot.sets(guide, "robot_radius", ParameterValue::Double(-1.0));
    assert_eq!(refused, ["robot_radius is -1, expected metres from 0 to 100"]);
    assert_eq!(robot.sets(guide, "robot_radius", ParameterValue::Double(0.3)), [""]);
    planner.says("map prepared anew in ");
    robot.goal.publish(goal("map", 5.0, 45.0)).unwrap();
    leads_through_the_door(&robot.next_plan(), 5.0, 45.0);
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let mut planner = Planner::start(domain(7), &[]);
    planner.says("/trm_planner is in domain ");
    let started = Instant::now();
    assert!(planner.interrupt().success());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn bad_options_are_refused() {
    for (arguments, why) in [
        (["--domain", "233"], "233 is not in 0..=232"),
        (["--radius", "x"], "`x` is no number"),
        (["--start", "1"], "1 numbers, expected x, y or x, y, yaw"),
        (["--unknown", "walls"], "unknown_space is `walls`, expected blocked or free"),
        (["--remap", "scan:=/lidar"], "there is no topic `scan`"),
        (["--remap", "map:=a//b"], "error: `a//b` cannot be the name of a topic"),
        (["--name", "1st"], "error: `1st in /` cannot be the name of a node"),
        (["--model", "sudoku-4"], "planning needs a maze model"),
        (["--nav2", "galactic"], "`galactic` is no layout of the result; expected humble"),
        (["--rmw", "rmw_zenoh_cpp"], "`rmw_zenoh_cpp` is no middleware that this node speaks"),
        (["--costmap", "--radius=0.3"], "cannot be used with"),
        (["--remap", "compute_path_to_pose:=a b"], "error: `a b` cannot be the name of an action"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_trm-host")).arg("ros2").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-host"));
    let output = command.arg("ros2").env("RMW_IMPLEMENTATION", "rmw_zenoh_cpp").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error: RMW_IMPLEMENTATION: `rmw_zenoh_cpp`") && said.contains("hint: --rmw"), "{said}");
}
