//! Robots that do not do what they are told, behind a link in memory.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trm_intake::explained;
use trm_link::motion::{DriveOptions, Driven, Kind, Outcome, Route, Speeds, drive, from_robot, to_robot};
use trm_link::{Client, Connector, Link, LinkError, Timeouts, loopback};
use trm_plan::Pose;
use trm_protocol::device::{Board, Device, Odometry};
use trm_protocol::{Capabilities, Command, Firmware, Motion, Refusal};

/// A robot that is at the end of each movement at once, or what it takes for that.
#[derive(Debug, Clone)]
struct Robot {
    pose: Pose,
    /// Share of each drive and turn that it does.
    drives: f64,
    turns: f64,
    /// It says that it moves, for ever.
    restless: bool,
    /// Metres to the left with every look at its wheels while it drives, which then does not end. 0 for none.
    drift: f64,
    /// It does not know where it is.
    lost: bool,
    /// Direction that gets lost for 700 ms after the second movement.
    trouble: Option<Trouble>,
    /// Movements that it was told.
    told: Arc<Mutex<Vec<Motion>>>,
    outgoing: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// The host's messages get lost.
    Deaf,
    /// The robot's messages get lost.
    Mute,
}

impl Robot {
    fn new(drives: f64, turns: f64) -> Self {
        let told = Arc::default();
        Self {
            pose: Pose::default(),
            drives,
            turns,
            drift: 0.0,
            restless: false,
            lost: false,
            trouble: None,
            told,
            outgoing: Vec::new(),
        }
    }
}

impl Board for Robot {
    fn execute(&mut self, command: &Command<'_>) -> Result<(), Refusal> {
        let Command::Motion(motion) = command else { return Err(Refusal::Unsupported) };
        self.told.lock().unwrap().push(*motion);
        let Pose { x, y, yaw } = self.pose;
        match *motion {
            Motion::Drive { distance_mm, .. } => {
                let metres = f64::from(distance_mm) / 1e3 * self.drives;
                self.pose = Pose::new(x + metres * yaw.cos(), y + metres * yaw.sin(), yaw);
            }
            Motion::Turn { degrees, .. } => {
                self.pose = Pose::new(x, y, yaw + f64::from(degrees).to_radians() * self.turns);
            }
            Motion::Stop => {}
            Motion::Waypoint { .. } => return Err(Refusal::Unsupported),
        }
        Ok(())
    }

    fn safe_stop(&mut self) {}

    fn odometry(&mut self) -> Option<Odometry> {
        let drives = matches!(self.told.lock().unwrap().last(), Some(Motion::Drive { .. }));
        let drifts = drives && self.drift != 0.0;
        if drifts {
            self.pose.y += self.drift;
        }
        let pose = to_robot(self.pose).filter(|_| !self.lost)?;
        Some(Odometry { pose, moving: self.restless || drifts })
    }

    fn transmit(&mut self, frame: &[u8]) {
        self.outgoing.extend(frame);
    }
}

impl Connector for Robot {
    fn connect(&mut self) -> trm_link::Result<Box<dyn Link>> {
        let (near, mut far) = loopback::pair();
        let mut robot = self.clone();
        std::thread::spawn(move || {
            let capabilities =
                Capabilities { panel: None, leds: 0, buttons: 0, motors: true, window: 4, silence_ms: 1000 };
            let mut device = Device::new(Firmware { name: "odd", version: [0, 0, 1] }, capabilities);
            let (begin, mut buffer, mut since) = (Instant::now(), [0; 256], None);
            while let Ok(length) = far.read(&mut buffer, Duration::from_millis(2)) {
                let now = begin.elapsed().as_millis() as u32;
                let moves = |motion: &&Motion| matches!(motion, Motion::Drive { .. } | Motion::Turn { .. });
                if since.is_none() && robot.told.lock().unwrap().iter().filter(moves).count() >= 2 {
                    since = Some(Instant::now());
                }
                let until = since.map(|since| since + Duration::from_millis(700));
                let trouble = robot.trouble.filter(|_| until.is_some_and(|until| Instant::now() < until));
                let heard = if trouble == Some(Trouble::Deaf) { 0 } else { length };
                device.receive(&buffer[..heard], now, &mut robot);
                device.tick(now, &mut robot);
                let said = std::mem::take(&mut robot.outgoing);
                if trouble != Some(Trouble::Mute) {
                    let _ = far.write(&said, Duration::ZERO);
                }
            }
        });
        Ok(Box::new(near))
    }

    fn name(&self) -> String {
        "loopback".to_owned()
    }
}

fn run(robot: &Robot, options: &DriveOptions) -> Result<Driven, Box<LinkError>> {
    let timeouts = Timeouts { command: Duration::from_millis(300), ..Timeouts::default() };
    let client = Client::open(robot.clone(), timeouts);
    let path = [[0.0, 0.0, 0.0], [0.7, 0.0, 0.0], [0.7, 0.5, 2.0]].map(|[x, y, yaw]| Pose::new(x, y, yaw));
    let route = Route::new(&path).unwrap();
    let options = DriveOptions { patience: Duration::from_secs(2), ..options.clone() };
    drive(&client, &route, &options, &AtomicBool::new(false), |_| {}).map_err(Box::new)
}

/// Its reports count: a robot that does less than it should is told again.
#[test]
fn a_robot_that_falls_short_still_arrives() {
    for (drives, turns) in [(1.0, 1.0), (0.9, 0.95), (1.02, 1.01)] {
        let robot = Robot::new(drives, turns);
        let driven = run(&robot, &DriveOptions::default()).unwrap();
        assert_eq!((driven.outcome, driven.stops), (Outcome::Arrived, 0), "{drives} {turns} {driven:?}");
        assert!(driven.error <= 0.0031 && driven.yaw_error.to_degrees() < 0.51, "{driven:?}");
        let told = robot.told.lock().unwrap();
        // One that waits for the end of a movement gives no other before it.
        assert_eq!((told[0], told.len()), (Motion::Stop, 1 + refused(&told) + driven.motions as usize));
    }
}

fn refused(told: &[Motion]) -> usize {
    told.iter().filter(|motion| matches!(motion, Motion::Waypoint { .. })).count()
}

#[test]
fn waypoints_are_tried_once() {
    let robot = Robot::new(1.0, 1.0);
    run(&robot, &DriveOptions::default()).unwrap();
    assert_eq!(refused(&robot.told.lock().unwrap()), 1);
    let robot = Robot::new(1.0, 1.0);
    run(&robot, &DriveOptions { kind: Some(Kind::Drives), ..DriveOptions::default() }).unwrap();
    assert_eq!(refused(&robot.told.lock().unwrap()), 0);
}

/// Nobody knows what became of such a command: the next report does.
#[test]
fn a_movement_that_was_not_confirmed_is_neither_repeated_nor_left_out() {
    for trouble in [Trouble::Deaf, Trouble::Mute] {
        let robot = Robot { trouble: Some(trouble), ..Robot::new(1.0, 1.0) };
        let driven = run(&robot, &DriveOptions::default()).unwrap();
        assert_eq!(driven.outcome, Outcome::Arrived, "{trouble:?} {driven:?}");
        let told = robot.told.lock().unwrap();
        let sums = told.iter().fold((0, 0), |(drives, turns), motion| match motion {
            Motion::Drive { distance_mm, .. } => (drives + distance_mm, turns),
            Motion::Turn { degrees, .. } => (drives, turns + degrees),
            _ => (drives, turns),
        });
        assert_eq!(sums, (1200, 115), "{trouble:?} {told:?}");
        // The one that began without a confirmation is not counted as given.
        let begun = told.len() - 1 - refused(&told);
        assert_eq!(begun - driven.motions as usize, usize::from(trouble == Trouble::Mute), "{told:?}");
    }
}

#[test]
fn a_robot_that_does_not_get_on_is_given_up_and_stopped() {
    let stuck = Robot::new(0.0, 1.0);
    let driven = run(&stuck, &DriveOptions::default()).unwrap();
    assert_eq!((driven.outcome, driven.motions), (Outcome::Stuck, 7));
    assert_eq!(stuck.told.lock().unwrap().last(), Some(&Motion::Stop));
    // It turns for ever and does not look where it should.
    let dizzy = Robot::new(1.0, 2.0);
    let driven = run(&dizzy, &DriveOptions::default()).unwrap();
    assert_eq!(driven.outcome, Outcome::Stuck, "{driven:?}");
}

#[test]
fn a_movement_that_does_not_end_is_given_up() {
    let restless = Robot { restless: true, ..Robot::new(1.0, 1.0) };
    let begin = Instant::now();
    let driven = run(&restless, &DriveOptions::default()).unwrap();
    assert_eq!((driven.outcome, driven.motions), (Outcome::Stuck, 0));
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[test]
fn a_robot_that_slips_aside_is_not_sent_on() {
    // It drives half as far again as it should, and is beside the corner then.
    let slippery = Robot::new(1.5, 1.0);
    let driven = run(&slippery, &DriveOptions::default()).unwrap();
    let Outcome::Beside(metres) = driven.outcome else { panic!("{driven:?}") };
    assert!((metres - 0.35).abs() < 0.01, "{driven:?}");
    assert_eq!(from_robot(to_robot(driven.pose).unwrap()), driven.pose);
}

/// It is not waited for the end of a movement that leads away.
#[test]
fn a_robot_that_leaves_its_path_is_stopped_in_the_middle() {
    let drifting = Robot { drift: 0.0005, ..Robot::new(0.5, 1.0) };
    let begin = Instant::now();
    let driven = run(&drifting, &DriveOptions::default()).unwrap();
    let Outcome::Beside(metres) = driven.outcome else { panic!("{driven:?}") };
    assert!(metres > 0.05 && metres < 0.3 && driven.motions == 1, "{driven:?}");
    assert_eq!(drifting.told.lock().unwrap().last(), Some(&Motion::Stop));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn a_robot_without_odometry_is_not_driven() {
    let lost = Robot { lost: true, ..Robot::new(1.0, 1.0) };
    let error = run(&lost, &DriveOptions::default()).unwrap_err();
    assert_eq!(
        explained(&*error),
        "loopback: the device (odd) does not know where it is\nhint: a robot is driven only while it reports its pose: \
         firmware implements `Board::odometry`"
    );
    assert!(error.is_device_failure());
    // It has been told to stand, and nothing else.
    assert!(lost.told.lock().unwrap().iter().all(|motion| *motion == Motion::Stop));
    let options = DriveOptions { set_pose: true, speeds: Speeds::default(), ..DriveOptions::default() };
    assert!(run(&Robot { lost: true, ..lost }, &options).is_err());
}
