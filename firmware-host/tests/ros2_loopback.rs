//! The node as a process of its own, at the other end of DDS over this machine's loopback.
//!
//! The ignored test is that process; the others start it. Each pair has a DDS domain of its own.
#![cfg(all(unix, feature = "ros2"))]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ros2_client::qos::{Durability, History, QosProfile, WhenFull};
use ros2_client::{
    Context, ContextOptions, MessageTypeName, Name, Node, NodeName, NodeOptions, Publisher, Subscription,
};
use serde::Serialize;
use trm_firmware_host::Result;
use trm_firmware_host::ros2::messages::{
    Header, OccupancyGrid, Path, PoseStamped, PoseWithCovariance, PoseWithCovarianceStamped, Time,
};
use trm_firmware_host::ros2::{Options, Outcome, Parameters, PathPlanner, Planned, PlannerSettings, PlanningNode};
use trm_solver::plan::{OccupancyMap, Pose};

const DOMAIN: &str = "TEST_DOMAIN";

/// Long enough for a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// A domain that other tests, of this process or of another at the same time, do not have. Beyond 101, Linux may have given
/// the ports away.
fn domain(test: u32) -> u16 {
    1 + u16::try_from((std::process::id() * 7 + test * 23) % 100).unwrap()
}

// the node

/// Goes straight, over free cells only.
#[derive(Default)]
struct Straight(Option<Arc<OccupancyMap>>);

impl PathPlanner for Straight {
    fn set_map(&mut self, map: Arc<OccupancyMap>, _: &PlannerSettings) -> Result<()> {
        self.0 = Some(map);
        Ok(())
    }

    fn plan(&mut self, start: Pose, goal: Pose) -> Result<Outcome> {
        let map = self.0.as_ref().expect("a map");
        let length_m = start.distance(&goal);
        let steps = (length_m / map.resolution()).ceil().max(1.0);
        let path: Vec<Pose> = (0..=steps as usize)
            .map(|step| {
                let part = step as f64 / steps;
                Pose::new(start.x + part * (goal.x - start.x), start.y + part * (goal.y - start.y), goal.yaw)
            })
            .collect();
        if path.iter().any(|pose| map.cell_at(pose.x, pose.y).and_then(|cell| map.get(cell)) != Some(0)) {
            return Ok(Outcome::Unreachable("something is in between".into()));
        }
        Ok(Outcome::Planned(Planned { path, network_share: None, length_m, ms: 0.0 }))
    }
}

#[test]
#[ignore = "the process that other tests start"]
fn plans_until_it_is_stopped() {
    let domain = std::env::var(DOMAIN).expect("started by another test").parse().unwrap();
    let options = Options { domain, ..Options::default() };
    let node = PlanningNode::start(Straight::default(), &options, Parameters::default(), |level, text| {
        eprintln!("{level:?} {text}");
    })
    .unwrap();
    let stopper = node.stopper();
    ctrlc::set_handler(move || stopper.stop()).unwrap();
    node.run();
    eprintln!("ended");
}

/// The process, and what it says.
struct Planner {
    process: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Planner {
    fn start(domain: u16) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "plans_until_it_is_stopped", "--ignored", "--nocapture", "--test-threads", "1"])
            .env(DOMAIN, domain.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(std::result::Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { process, lines, said: Vec::new() }
    }

    /// Waits until it has said something with this in it, from now on.
    #[track_caller]
    fn says(&mut self, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line);
                    if self.said.last().unwrap().contains(wanted) {
                        return self.said.last().unwrap().clone();
                    }
                }
                Err(error) => panic!("it did not say {wanted:?} ({error}), but {:#?}", self.said),
            }
        }
    }

    /// Ctrl-C, and how it ended.
    fn interrupt(mut self) -> ExitStatus {
        let killed = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {:#?}", self.said);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Planner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// the other end

/// What a robot has around the planner: who knows the map, the start and the goal, and who wants the plan.
struct Robot {
    node: Node,
    map: Publisher<OccupancyGrid>,
    start: Publisher<PoseWithCovarianceStamped>,
    goal: Publisher<PoseStamped>,
    plan: Subscription<Path>,
}

fn publisher<M: Serialize>(
    node: &mut Node,
    name: &str,
    package: &str,
    message: &str,
    qos: &QosProfile,
) -> Publisher<M> {
    let topic = node.create_topic(&Name::new("/", name).unwrap(), MessageTypeName::new(package, message), qos).unwrap();
    node.create_publisher(&topic, None).unwrap()
}

impl Robot {
    fn start(domain: u16) -> Self {
        let context = Context::with_options(ContextOptions::new().domain_id(domain)).unwrap();
        let mut node = context.new_node(NodeName::new("/", "robot").unwrap(), NodeOptions::new()).unwrap();
        let reliable =
            QosProfile::default().reliability_reliable(WhenFull::DEFAULT).history(History::KeepLast { depth: 1 });
        let latched = reliable.clone().durability(Durability::TransientLocal);
        let map = publisher(&mut node, "map", "nav_msgs", "OccupancyGrid", &latched);
        let start = publisher(&mut node, "initialpose", "geometry_msgs", "PoseWithCovarianceStamped", &reliable);
        let goal = publisher(&mut node, "goal_pose", "geometry_msgs", "PoseStamped", &reliable);
        let plan = node
            .create_topic(&Name::new("/", "plan").unwrap(), MessageTypeName::new("nav_msgs", "Path"), &reliable)
            .unwrap();
        let plan = node.create_subscription(&plan, None).unwrap();
        let spinner = node.spinner().unwrap();
        std::thread::spawn(move || futures::executor::block_on(spinner.spin()));
        Self { node, map, start, goal, plan }
    }

    /// Waits until the planner is connected on every topic.
    fn meets_the_planner(&self) {
        wait("the planner's topics", || {
            self.map.get_subscription_count(&self.node) > 0
                && self.start.get_subscription_count(&self.node) > 0
                && self.goal.get_subscription_count(&self.node) > 0
                && self.plan.get_publisher_count(&self.node) > 0
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

#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn header(frame: &str) -> Header {
    Header { stamp: Time::now(), frame_id: frame.into() }
}

/// A map of 50 x 50 m, free but for a wall across at y = 40 m, and none of its cells like its neighbours where it is not
/// free, so that nothing of it can be left out unnoticed.
fn map(frame: &str) -> OccupancyGrid {
    let mut grid = OccupancyGrid { header: header(frame), data: vec![0; 1_000_000], ..OccupancyGrid::default() };
    (grid.info.width, grid.info.height, grid.info.resolution) = (1000, 1000, 0.05);
    grid.data[800_000..801_000].fill(100);
    for (index, value) in grid.data[801_000..].iter_mut().enumerate() {
        *value = (index % 101) as i8;
    }
    grid
}

fn start(frame: &str, x: f64, y: f64) -> PoseWithCovarianceStamped {
    let pose = PoseWithCovariance { pose: Pose::new(x, y, 0.0).into(), ..PoseWithCovariance::default() };
    PoseWithCovarianceStamped { header: header(frame), pose }
}

fn goal(frame: &str, x: f64, y: f64) -> PoseStamped {
    PoseStamped { header: header(frame), pose: Pose::new(x, y, 1.0).into() }
}

#[track_caller]
fn leads_to(path: &Path, x: f64, y: f64) {
    assert_eq!(path.header.frame_id, "map");
    let last = path.poses.last().expect("a path with poses");
    assert!((last.pose.position.x - x).abs() < 1e-9 && (last.pose.position.y - y).abs() < 1e-9, "{last:?}");
    assert!((last.pose.orientation.yaw().unwrap() - 1.0).abs() < 1e-9);
}

// the tests

#[test]
fn a_million_cells_are_a_plan_within_a_second() {
    let domain = domain(0);
    let mut planner = Planner::start(domain);
    let robot = Robot::start(domain);
    robot.meets_the_planner();
    let map = map("map");
    let mut times = Vec::new();
    for round in 0..5 {
        let (x, y) = (45.0, 10.0 + f64::from(round));
        let map = map.clone();
        let started = Instant::now();
        robot.map.publish(map).unwrap();
        robot.start.publish(start("map", 1.0, 1.0)).unwrap();
        robot.goal.publish(goal("map", x, y)).unwrap();
        let path = robot.next_plan();
        times.push(started.elapsed());
        leads_to(&path, x, y);
        // In the second round on, the goal may have overtaken the map, which is the same one.
        planner.says("map received: 1000 x 1000 cells of 0.05 m in frame `map`");
    }
    println!("from publishing a map of 1000 x 1000 cells, a start and a goal to the plan: {times:?}");
    assert!(times[0] < Duration::from_secs(1), "{times:?}");
    assert!(planner.interrupt().success());
}

#[test]
fn a_map_published_before_the_planner_was_there_is_used() {
    let domain = domain(1);
    let robot = Robot::start(domain);
    robot.map.publish(map("map")).unwrap();
    let mut planner = Planner::start(domain);
    planner.says("map received: 1000 x 1000 cells of 0.05 m in frame `map`");
    robot.meets_the_planner();
    robot.start.publish(start("map", 1.0, 1.0)).unwrap();
    robot.goal.publish(goal("map", 20.0, 20.0)).unwrap();
    leads_to(&robot.next_plan(), 20.0, 20.0);
}

#[test]
fn bad_messages_leave_the_node_at_work() {
    let domain = domain(2);
    let mut planner = Planner::start(domain);
    let robot = Robot::start(domain);
    robot.meets_the_planner();

    robot.goal.publish(goal("map", 20.0, 20.0)).unwrap();
    planner.says("Warning no map so far: the goal waits for one");
    let mut short = map("map");
    short.data.truncate(999_999);
    robot.map.publish(short).unwrap();
    planner.says("Warning map refused: /map: 999999 values, a map of 1000x1000 cells has 1000000");
    robot.map.publish(map("map")).unwrap();
    planner.says("Info map received");
    robot.no_plan_waits();

    robot.start.publish(start("odom", 1.0, 1.0)).unwrap();
    planner.says("the start is in frame `odom`, the map in `map`");
    let path = robot.next_plan();
    assert!(path.poses.is_empty() && path.header.frame_id == "map", "{path:?}");

    robot.start.publish(start("map", 1.0, 1.0)).unwrap();
    planner.says("Info start received");
    for (message, why) in [
        (goal("odom", 20.0, 20.0), "the goal is in frame `odom`, the map in `map`"),
        (goal("map", f64::NAN, 20.0), "goal ignored: position: [NaN, 20] is not finite"),
        (goal("map", 20.0, 45.0), "the goal cannot be reached: something is in between"),
        (goal("map", 200.0, 20.0), "the goal cannot be reached: something is in between"),
    ] {
        robot.goal.publish(message).unwrap();
        planner.says(why);
        assert!(robot.next_plan().poses.is_empty(), "{why}");
    }

    robot.goal.publish(goal("map", 20.0, 20.0)).unwrap();
    planner.says("Info plan published: ");
    leads_to(&robot.next_plan(), 20.0, 20.0);
    assert!(planner.interrupt().success());
}

/// Someone publishes something else under the type's name: too short to be read.
#[test]
fn what_cannot_be_read_is_a_warning() {
    let domain = domain(3);
    let mut planner = Planner::start(domain);
    let robot = Robot::start(domain);
    robot.meets_the_planner();
    let mut node = {
        let context = Context::with_options(ContextOptions::new().domain_id(domain)).unwrap();
        context.new_node(NodeName::new("/", "liar").unwrap(), NodeOptions::new()).unwrap()
    };
    let latched = QosProfile::default()
        .reliability_reliable(WhenFull::DEFAULT)
        .durability(Durability::TransientLocal)
        .history(History::KeepLast { depth: 1 });
    let liar: Publisher<Header> = publisher(&mut node, "map", "nav_msgs", "OccupancyGrid", &latched);
    liar.publish(header("map")).unwrap();
    planner.says("Warning /map: a message cannot be read: ");
    robot.map.publish(map("map")).unwrap();
    planner.says("Info map received");
    assert!(planner.interrupt().success());
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let mut planner = Planner::start(domain(4));
    planner.says("/trm_planner is in domain ");
    let started = Instant::now();
    let mut stderr = String::new();
    if let Some(mut rest) = planner.process.stderr.take() {
        rest.read_to_string(&mut stderr).unwrap();
    }
    assert!(planner.interrupt().success(), "{stderr}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
