//! Paths from end to end: the `drive` command, a serial line, and a robot whose track is held against the path.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![expect(clippy::print_stdout, reason = "figures for whoever looks at the test")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use trm_link::motion::Route;
use trm_link::simulator::{Faults, RobotOptions, Simulator, SimulatorOptions};
use trm_plan::Pose;

const SOON: Duration = Duration::from_secs(20);
/// Farthest that a robot may be from its path, metres.
const ASIDE: f64 = 0.005;

/// After which the simulated device stops its motors.
const SILENCE: Duration = Duration::from_secs(1);

/// Watches for times in which this machine stands still, and the host with it: a virtual machine that is moved, a busy one.
/// A robot rightly stops in those.
struct Naps {
    over: Arc<AtomicBool>,
    watcher: JoinHandle<Duration>,
}

impl Naps {
    fn watch() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let watcher = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let begin = Instant::now();
                std::thread::sleep(Duration::from_millis(10));
                longest = longest.max(begin.elapsed());
            }
            longest
        });
        Self { over, watcher }
    }

    fn longest(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

/// A folder with a path and a robot that stands at its start.
struct World {
    folder: TempDir,
    poses: Vec<Pose>,
    simulator: Simulator,
}

impl World {
    fn new(poses: &[Pose], faults: Faults, robot: Option<RobotOptions>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let robot = robot.map(|robot| RobotOptions { track: Some(folder.path().join("track.csv")), ..robot });
        let simulator = Simulator::start(SimulatorOptions { faults, robot, ..SimulatorOptions::default() }).unwrap();
        std::fs::write(folder.path().join("plan.json"), plan(poses)).unwrap();
        Self { folder, poses: poses.to_vec(), simulator }
    }

    fn drive(&self) -> Command {
        self.drive_at("1")
    }

    fn drive_at(&self, speed: &str) -> Command {
        let mut command = drive(&self.folder.path().join("plan.json"), self.simulator.path());
        command.args(["--json", "--speed", speed, "--turn-speed", "720"]);
        command
    }

    /// Stops the device and reads where the robot was: seconds, pose.
    fn track(self) -> Vec<(f64, Pose)> {
        self.simulator.stop().unwrap();
        read_track(&self.folder.path().join("track.csv"))
    }

    fn route(&self) -> Route {
        Route::new(&self.poses).unwrap()
    }
}

/// As `trm plan --json` prints it, with what is not looked at.
fn plan(poses: &[Pose]) -> String {
    let path: Vec<_> = poses.iter().map(|pose| [pose.x, pose.y, pose.yaw]).collect();
    json!({"status": "planned", "path": path, "length_m": 1.0, "network_share": 1.0, "steps": 3, "ms": 2.5}).to_string()
}

fn drive(path: &Path, port: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-host"));
    command.arg("drive").arg("--path").arg(path).arg("--port").arg(port);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn read_track(path: &Path) -> Vec<(f64, Pose)> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("seconds,x_m,y_m,yaw_rad"));
    let numbers = lines.map(|line| line.split(',').map(|number| number.parse().unwrap()).collect::<Vec<f64>>());
    numbers.map(|numbers| (numbers[0], Pose::new(numbers[1], numbers[2], numbers[3]))).collect()
}

fn result(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A path of 31 poses that winds through a room, in a map frame that begins elsewhere.
fn winding() -> Vec<Pose> {
    let mut at = Pose::new(-2.35, 4.1, 1.0);
    let mut poses = vec![at];
    for step in 0..30 {
        let turn = [1.3, -0.4, -1.1, 0.0, 0.7, -2.0, 0.25][step % 7];
        let metres = [0.35, 0.08, 0.42, 0.2, 0.6][step % 5];
        let yaw = at.yaw + turn;
        at = Pose::new(at.x + metres * yaw.cos(), at.y + metres * yaw.sin(), yaw);
        poses.push(at);
    }
    poses
}

/// A straight line of some metres, and a corner at its end.
fn straight(metres: f64) -> Vec<Pose> {
    [[0.0, 0.0, 0.0], [metres, 0.0, 0.0], [metres, 0.3, 1.5]].map(|[x, y, yaw]| Pose::new(x, y, yaw)).to_vec()
}

fn at(pose: Pose) -> RobotOptions {
    RobotOptions { pose, ..RobotOptions::default() }
}

/// The robot was on the path all the way, in order, and not on any piece twice.
fn assert_on_path(route: &Route, track: &[(f64, Pose)]) {
    let farthest = track.iter().map(|(_, pose)| route.distance(pose.x, pose.y)).fold(0.0, f64::max);
    let driven: f64 = track.windows(2).map(|pair| pair[0].1.distance(&pair[1].1)).sum();
    println!("{} points, farthest {:.2} mm, {driven:.3} of {:.3} m", track.len(), farthest * 1e3, route.length());
    assert!(farthest <= ASIDE, "{farthest} m beside the path");
    assert!((driven - route.length()).abs() < 0.02 * route.length() + 0.01, "{driven} m of {}", route.length());
    let mut rest = track.iter();
    for corner in route.corners() {
        let place = Pose::new(corner[0], corner[1], 0.0);
        assert!(rest.any(|(_, pose)| pose.distance(&place) <= ASIDE), "never at {corner:?}");
    }
    let longest = track.windows(2).map(|pair| pair[0].1.distance(&pair[1].1)).fold(0.0, f64::max);
    assert!(longest < 0.05, "a track with holes shows nothing: {longest} m");
}

fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !check() {
        assert!(Instant::now() < until, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_path_is_driven_with_waypoints_and_without() {
    for (waypoints, motions) in [(true, "auto"), (false, "auto"), (true, "drives")] {
        let poses = winding();
        let robot = RobotOptions { pose: poses[0], waypoints, track: None };
        let world = World::new(&poses, Faults::default(), Some(robot));
        let naps = Naps::watch();
        let output = world.drive().args(["--motions", motions]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let result = result(&output);
        println!("{result}");
        assert_eq!((&result["status"], &result["beside_mm"]), (&json!("arrived"), &Value::Null));
        assert!(result["stops"] == 0 || naps.longest() > SILENCE / 2, "{result} {}", stderr(&output));
        assert!(
            result["error_mm"].as_f64().unwrap() <= 3.0 && result["error_deg"].as_f64().unwrap() <= 0.51,
            "{result}"
        );
        let goal = *poses.last().unwrap();
        let really = world.simulator.screen().robot.pose();
        assert!(really.distance(&goal) <= 0.004, "{really:?}");
        assert!(stderr(&output).contains("line 1 of 2"), "{}", stderr(&output));
        let route = world.route();
        assert_on_path(&route, &world.track());
    }
}

#[test]
fn a_killed_host_leaves_a_robot_that_stops_within_its_time() {
    let world = World::new(&straight(20.0), Faults::default(), Some(at(Pose::default())));
    let naps = Naps::watch();
    let mut child = world.drive().spawn().unwrap();
    eventually("the robot drives", || world.simulator.screen().robot.pose().x > 0.3);
    // Killed, not asked to end.
    child.kill().unwrap();
    let (killed, at_kill) = (Instant::now(), world.simulator.screen().robot.pose().x);
    child.wait().unwrap();
    eventually("the robot stands", || !world.simulator.screen().robot.is_moving());
    let (stood, at_stop) = (killed.elapsed(), world.simulator.screen().robot.pose());
    println!("stood {stood:?} after the kill, {:.3} m on", at_stop.x - at_kill);
    // A second of silence, counted from the last frame that arrived.
    let late = Duration::from_millis(300) + naps.longest();
    assert!(stood < SILENCE + late, "{stood:?}");
    let limit = (SILENCE + late).as_secs_f64();
    assert!(at_stop.x - at_kill > 0.5 && at_stop.x - at_kill < limit, "{at_kill} {at_stop:?}");
    assert_eq!(world.simulator.screen().safe_stops, 1);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(world.simulator.screen().robot.pose(), at_stop);
}

#[test]
fn after_a_lost_link_the_robot_goes_on_from_where_it_stopped() {
    for waypoints in [true, false] {
        let mut poses = winding();
        poses.truncate(8);
        // There and back on one line: where it is does not say how far it is.
        poses.extend([6, 7].map(|index| poses[index]));
        let robot = RobotOptions { pose: poses[0], waypoints, track: None };
        // Longer than the silence after which it stops; a bad line besides.
        let faults = Faults {
            disconnect_every: 12,
            offline: Duration::from_millis(1400),
            drop: 0.03,
            corrupt: 0.03,
            seed: 9,
            ..Faults::default()
        };
        let world = World::new(&poses, faults, Some(robot));
        let output = world.drive_at("0.2").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let result = result(&output);
        println!("{result} {:?}", world.simulator.counts());
        assert!(result["stops"].as_u64().unwrap() >= 1, "{result}");
        assert!(world.simulator.screen().safe_stops >= 1 && world.simulator.counts().disconnects >= 2);
        assert!(stderr(&output).contains(", the link is down"), "{}", stderr(&output));
        let route = world.route();
        // Nothing twice, nothing left out.
        assert_on_path(&route, &world.track());
    }
}

#[test]
fn a_robot_that_loses_its_memory_is_not_driven_on() {
    let faults =
        Faults { disconnect_every: 25, offline: Duration::from_millis(200), restart: true, ..Faults::default() };
    let world = World::new(&straight(20.0), faults, Some(at(Pose::default())));
    let output = world.drive().output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let message = stderr(&output);
    assert!(
        message.contains(
            "the device (trm-host simulator) has restarted and does not know where it is\nhint: put the robot"
        ),
        "{message}"
    );
    let pose = world.simulator.screen().robot.pose();
    assert!(pose.x > 0.1 && !world.simulator.screen().robot.is_moving(), "{pose:?}");
}

#[test]
fn a_request_to_end_stops_the_robot_at_once() {
    let world = World::new(&straight(20.0), Faults::default(), Some(at(Pose::default())));
    let naps = Naps::watch();
    let child = world.drive().spawn().unwrap();
    eventually("the robot drives", || world.simulator.screen().robot.pose().x > 0.3);
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    eventually("the robot stands", || !world.simulator.screen().robot.is_moving());
    assert!(asked.elapsed() < SILENCE / 2 + naps.longest(), "{:?}", asked.elapsed());
    let output = child.wait_with_output().unwrap();
    let told = result(&output);
    assert_eq!((output.status.code(), &told["status"]), (Some(1), &json!("interrupted")));
    // It says where it has come to stand.
    let stands = world.simulator.screen().robot.pose();
    assert!((told["pose"][0].as_f64().unwrap() - stands.x).abs() <= 0.001, "{told} {stands:?}");
    assert_eq!(world.simulator.screen().safe_stops, 0);
}

#[test]
fn a_robot_that_is_elsewhere_stays_there() {
    let elsewhere = Pose::new(0.5, 0.4, 2.0);
    let world = World::new(&straight(1.0), Faults::default(), Some(at(elsewhere)));
    let output = world.drive().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = result(&output);
    assert_eq!((&told["status"], &told["motions"]), (&json!("beside_path"), &json!(0)));
    assert!((told["beside_mm"].as_f64().unwrap() - 400.0).abs() < 1.0, "{told}");
    assert_eq!(world.simulator.screen().robot.pose(), elsewhere);
    // Told that this is the path's start, it drives as if it were.
    let output = world.drive().arg("--set-pose").output().unwrap();
    assert_eq!((output.status.code(), &result(&output)["status"]), (Some(0), &json!("arrived")));
    let (goal, turned) = (world.simulator.screen().robot.pose(), 2.0_f64);
    let (x, y) = (turned.cos() - 0.3 * turned.sin() + 0.5, turned.sin() + 0.3 * turned.cos() + 0.4);
    assert!(goal.distance(&Pose::new(x, y, 0.0)) < ASIDE, "{goal:?}");
}

#[test]
fn a_device_that_cannot_drive_is_named() {
    let world = World::new(&straight(1.0), Faults::default(), None);
    let output = world.drive().output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let expected = format!(
        "error: {}: the device (trm-host simulator) has no motors\nhint: `trm-host link` shows what a device has",
        world.simulator.path().display()
    );
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    let world = World::new(
        &straight(1.0),
        Faults::default(),
        Some(RobotOptions { waypoints: false, ..RobotOptions::default() }),
    );
    let output = world.drive().args(["--motions", "waypoints"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(stderr(&output).contains("the device refused the command: the device has no such thing"), "{output:?}");
}

#[test]
fn bad_input_is_refused_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    let run = |file: &Path, more: &[&str]| {
        // There is no such port, and nobody gets so far as to ask for it.
        let output = drive(file, Path::new("/dev/no-such-port")).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
        stderr(&output)
    };
    for (text, expected) in [
        (
            "",
            "plan.json: not a path: EOF while parsing a value at line 1 column 0\nhint: expected what `trm plan --json` prints",
        ),
        (
            r#"{"status":"planned","path":[[0,0,0],[1,NaN,0]]}"#,
            "plan.json: not a path: expected value at line 1 column 40",
        ),
        (r#"{"status":"planned","path":[]}"#, "plan.json: the path has no poses\nhint: "),
        (
            r#"{"status":"unreachable"}"#,
            "plan.json: the status is `unreachable`, not `planned`\nhint: there is no path",
        ),
        (
            r#"{"status":"planned","path":[[0,0,0],[9e9,0,0]]}"#,
            "plan.json: the path has pose 1 at 9000000000, 0 metres\nhint: ",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let message = run(&file, &[]);
        assert!(message.starts_with("error: ") && message.contains(expected), "{message}");
    }
    assert!(run(&folder.path().join("none.json"), &[]).contains("none.json: open failed: No such file"));
    std::fs::write(&file, plan(&straight(1.0))).unwrap();
    assert!(run(&file, &["--speed", "NaN"]).contains("the speed is NaN metres a second\nhint: 0.01 to 3 m/s"));
    assert!(run(&file, &["--turn-speed", "9000"]).contains("the turning speed is 9000 degrees a second\nhint: "));
    assert!(run(&file, &["--tolerance=-1"]).contains("the tolerance is -1 m\nhint: 0.005 to 10"));
    let output = drive(&file, Path::new("/dev/no-such-port")).args(["--timeout", "100"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(stderr(&output).contains("/dev/no-such-port: no such serial port"));
}

/// The commands of the documentation: a simulated robot in a process of its own, a path from standard input.
#[test]
fn the_simulate_command_is_a_robot() {
    use std::io::{BufRead, BufReader, Write};
    let folder = tempfile::tempdir().unwrap();
    let track: PathBuf = folder.path().join("track.csv");
    let poses = winding();
    let mut robot = Command::new(env!("CARGO_BIN_EXE_trm-host"))
        .args(["simulate", "--pose=-2.35,4.1,1.0", "--no-waypoints", "--track"])
        .arg(&track)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(robot.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let port = Path::new(port.trim());
    let mut host = drive(Path::new("-"), port)
        .args(["--speed", "2", "--turn-speed", "720", "--patience", "1"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    host.stdin.take().unwrap().write_all(plan(&poses).as_bytes()).unwrap();
    let output = host.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("arrived; at ") && text.ends_with(" 0 stops\n"), "{text}");
    let killed = |mut child: Child| {
        child.kill().unwrap();
        child.wait().unwrap();
    };
    // The robot goes back, and is switched off on its way.
    let back: Vec<Pose> = poses.iter().rev().copied().collect();
    std::fs::write(folder.path().join("back.json"), plan(&back)).unwrap();
    let host = drive(&folder.path().join("back.json"), port).args(["--patience", "1"]).spawn().unwrap();
    let until_now = read_track(&track).len();
    eventually("the robot drives back", || read_track(&track).len() > until_now + 100);
    killed(robot);
    let output = host.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    // Killed, it leaves the track so far.
    let track = read_track(&track);
    assert_on_path(&Route::new(&poses).unwrap(), &track[..until_now]);
}
