//! Driving a route: one movement at a time, each from where the robot reports to stand.
//!
//! Reports decide: a movement is over when a report from after its beginning says that the robot
//! stands. So nothing hangs on a single message, and after a lost link, in which the robot has stopped by itself, the next
//! movement begins where it stands then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use trm_plan::{Pose, normalized};
use trm_protocol::{Command, Motion, PoseReport, Refusal};

use super::{Follower, Kind, Route, Speeds, Step, from_robot, to_robot};
use crate::{Client, CommandError, DeviceInfo, LinkError, Result};

/// Time between the robot's reports, milliseconds.
const REPORT_MS: u16 = 50;
/// Without a report for so long, although the device answers, it is asked again: it may have restarted.
const REPORTS_MISSING: Duration = Duration::from_secs(1);
/// Longest sleep before a request to stop is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for the confirmation that the robot stops, at the end.
const HALT: Duration = Duration::from_millis(500);
/// Movements without getting nearer to the next corner, after which the robot is stuck.
const TRIES: u32 = 8;
/// Time that a device's clock may be behind ours over one outage; more, and it has restarted.
const CLOCK: Duration = Duration::from_secs(1);

/// Settings of a drive.
#[derive(Debug, Clone, PartialEq)]
pub struct DriveOptions {
    /// Speeds of driving and turning.
    pub speeds: Speeds,
    /// Kind of movements to give; `None` for waypoints where the firmware takes them, drives and turns otherwise.
    pub kind: Option<Kind>,
    /// Tell the robot that it stands at the route's start, before anything else.
    pub set_pose: bool,
    /// Metres that the robot may be beside the route. Plan with so much more around the robot.
    pub tolerance: f64,
    /// Longest wait for a lost link.
    pub patience: Duration,
}

impl Default for DriveOptions {
    /// As slow as [`Speeds::default`], 50 mm beside the route, 10 s of patience.
    fn default() -> Self {
        Self {
            speeds: Speeds::default(),
            kind: None,
            set_pose: false,
            tolerance: 0.05,
            patience: Duration::from_secs(10),
        }
    }
}

/// End of a drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// The robot stands at the goal.
    Arrived,
    /// It was so many metres beside the route, and was not sent on: only the route was checked.
    Beside(f64),
    /// It does not get any nearer, or does not come to the end of a movement.
    Stuck,
    /// It was asked to stop.
    Interrupted,
}

/// Result of a drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Driven {
    /// The way it ended.
    pub outcome: Outcome,
    /// Where the robot reports to be.
    pub pose: Pose,
    /// Metres from there to the goal.
    pub error: f64,
    /// Radians from its direction to the goal's, without sign.
    pub yaw_error: f64,
    /// Time that it took.
    pub time: Duration,
    /// Movements given.
    pub motions: u32,
    /// Movements that the robot broke off because it did not hear the host.
    pub stops: u32,
}

/// Progress of a drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Where the robot reports to be.
    pub pose: Pose,
    /// The corner that it drives to.
    pub corner: usize,
    /// Corners of the route.
    pub corners: usize,
    /// Movements broken off so far.
    pub stops: u32,
    /// `true` while the link is up.
    pub connected: bool,
}

/// Drives a route, and returns when the robot stands: at the goal or not. `stop` ends it early; `progress` is told of every
/// movement and of the link's losses.
///
/// The robot is told to stop first: it may still be doing something for another host. Events of the device stay with
/// the client.
///
/// # Errors
/// All leave the robot stopped as far as the link allows. [`LinkError::CannotDrive`] for a device that has no motors,
/// does not know where it is, or has forgotten it on the way; [`LinkError::Command`] for what it refuses;
/// [`LinkError::DeviceSilent`] or the reason why there is no link when that lasts longer than the patience.
pub fn drive(
    client: &Client,
    route: &Route,
    options: &DriveOptions,
    stop: &AtomicBool,
    progress: impl FnMut(&Progress),
) -> Result<Driven> {
    let device = client.wait_connected_unless(options.patience, stop)?;
    if !device.capabilities.motors {
        return Err(cannot(client, &device, "has no motors", "`trm-host link` shows what a device has"));
    }
    let mut driver = Driver {
        client,
        route,
        options,
        stop,
        progress,
        device,
        follower: Follower::new(route, options.speeds, options.tolerance),
        begun: Instant::now(),
        kind: options.kind.unwrap_or(Kind::Waypoints),
        last: None,
        motions: 0,
        stops: 0,
        broken_off: None,
    };
    let driven = driver.prepare().and_then(|()| driver.run());
    if driven.is_err() {
        driver.halt();
    }
    driven
}

fn cannot(client: &Client, device: &DeviceInfo, reason: &'static str, hint: &'static str) -> LinkError {
    LinkError::CannotDrive { port: client.port().to_owned(), firmware: device.firmware.clone(), reason, hint }
}

/// Outcome of a command.
enum Given {
    Done,
    Refused(Refusal),
    /// Not known: the link was lost.
    Lost,
    /// The drive is to end.
    Interrupted,
}

struct Driver<'d, P> {
    client: &'d Client,
    route: &'d Route,
    options: &'d DriveOptions,
    stop: &'d AtomicBool,
    progress: P,
    device: DeviceInfo,
    follower: Follower<'d>,
    begun: Instant,
    kind: Kind,
    /// The newest report, and when it came.
    last: Option<(PoseReport, Instant)>,
    motions: u32,
    stops: u32,
    /// The last movement that was broken off, as the device counts.
    broken_off: Option<u16>,
}

impl<P: FnMut(&Progress)> Driver<'_, P> {
    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Stands still, knows where it is, and says so.
    fn prepare(&mut self) -> Result<()> {
        let pose = to_robot(self.route.start()).filter(|_| self.options.set_pose);
        let commands = [Some(Command::Motion(Motion::Stop)), pose.map(Command::SetPose), Some(REPORT)];
        for command in commands.into_iter().flatten() {
            // Before anything moves, a lost command is simply given again.
            let until = Instant::now() + self.options.patience;
            loop {
                match self.give(&command)? {
                    Given::Done | Given::Interrupted => break,
                    Given::Refused(Refusal::Unsupported) => return Err(self.lost_itself("does not know where it is")),
                    Given::Refused(refusal) => return Err(CommandError::Refused(refusal).into()),
                    Given::Lost if Instant::now() < until => {}
                    Given::Lost => return Err(self.no_link()),
                }
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Result<Driven> {
        // The best that was left, and movements since.
        let (mut best, mut tries) = ((usize::MAX, f64::INFINITY), 0);
        let mut before = None;
        let mut allowed = self.options.patience;
        loop {
            let report = match self.standing(before, allowed)? {
                Stand::Here(report) => report,
                Stand::Beside(metres) => return Ok(self.end(Outcome::Beside(metres))),
                Stand::Never => return Ok(self.end(Outcome::Stuck)),
                Stand::Interrupted => return Ok(self.end(Outcome::Interrupted)),
            };
            let at = from_robot(report.pose);
            let motion = match self.follower.step(at, self.kind) {
                Step::Done => return Ok(self.end(Outcome::Arrived)),
                Step::Beside(metres) => return Ok(self.end(Outcome::Beside(metres))),
                Step::Give(motion) => motion,
            };
            let left = self.follower.left(at);
            // A millimetre, or at the end a twentieth of a degree, is nearer.
            let nearer =
                left.0 < best.0 || (left.0 == best.0 && left.1 < best.1 - if left.0 == 0 { 0.05 } else { 0.001 });
            if nearer {
                (best, tries) = (left, 0);
            }
            tries += 1;
            if tries > TRIES {
                return Ok(self.end(Outcome::Stuck));
            }
            self.tell(at);
            match self.give(&Command::Motion(motion))? {
                Given::Done => {
                    self.motions += 1;
                    (before, allowed) = (Some(report.motions), longest(at, motion));
                }
                Given::Refused(Refusal::Unsupported) if self.options.kind.is_none() && self.kind == Kind::Waypoints => {
                    self.kind = Kind::Drives;
                }
                Given::Refused(refusal) => return Err(CommandError::Refused(refusal).into()),
                // It may have begun or not: the next report from now on tells.
                Given::Lost => (before, allowed) = (None, longest(at, motion)),
                Given::Interrupted => return Ok(self.end(Outcome::Interrupted)),
            }
        }
    }

    /// Gives a command and waits for what comes of it.
    fn give(&self, command: &Command<'_>) -> Result<Given> {
        let ticket = self.client.send(command)?;
        loop {
            match ticket.wait_timeout(LOOK) {
                None if self.interrupted() => return Ok(Given::Interrupted),
                None => {}
                Some(Ok(())) => return Ok(Given::Done),
                Some(Err(CommandError::Refused(refusal))) => return Ok(Given::Refused(refusal)),
                Some(Err(CommandError::Closed)) => return Err(CommandError::Closed.into()),
                Some(Err(_)) => return Ok(Given::Lost),
            }
        }
    }

    /// Waits until the robot stands, after it has begun another movement than the `before`-th; or on any report from now on.
    fn standing(&mut self, before: Option<u16>, allowed: Duration) -> Result<Stand> {
        let mut since = self.last.map_or(self.begun, |(_, came)| came);
        if before.is_none() {
            since = Instant::now();
        }
        let mut heard = Instant::now();
        let mut asked = heard;
        let mut moving_since = None;
        loop {
            if self.interrupted() {
                return Ok(Stand::Interrupted);
            }
            let Some((report, came)) = self.client.pose_since(since, LOOK) else {
                if heard.elapsed() > self.options.patience {
                    return Err(self.no_link());
                }
                if asked.elapsed() > REPORTS_MISSING {
                    asked = Instant::now();
                    if self.client.is_connected() {
                        if let Given::Refused(_) = self.give(&REPORT)? {
                            return Err(self.lost_itself("does not know where it is any more"));
                        }
                    } else {
                        self.tell_last();
                    }
                }
                continue;
            };
            (since, heard, asked) = (came, Instant::now(), Instant::now());
            if self.restarted(&report, came) {
                return Err(self.lost_itself("has restarted and does not know where it is"));
            }
            self.last = Some((report, came));
            let begun = before.is_none_or(|before| report.motions != before);
            if begun && !report.moving {
                // The last movement that was given, or the one that nobody knows about, was broken off.
                if report.stopped && self.broken_off.replace(report.motions) != Some(report.motions) {
                    self.stops += 1;
                }
                return Ok(Stand::Here(report));
            }
            if let Some(metres) = self.follower.too_far_beside(from_robot(report.pose)) {
                return Ok(Stand::Beside(metres));
            }
            // Movements end; what the link is away does not count.
            if moving_since.get_or_insert(came).elapsed() > allowed {
                return Ok(Stand::Never);
            }
        }
    }

    /// A device without power in between has forgotten where it was, and counts from nothing.
    fn restarted(&self, report: &PoseReport, came: Instant) -> bool {
        let Some((last, last_came)) = &self.last else { return false };
        let passed = report.uptime_ms.wrapping_sub(last.uptime_ms).cast_signed();
        let expected = came.saturating_duration_since(*last_came).saturating_sub(CLOCK).as_millis();
        let fewer = report.motions.wrapping_sub(last.motions).cast_signed() < 0;
        fewer || passed < 0 || u128::from(passed.unsigned_abs()) < expected
    }

    /// Stops the robot, as far as there is a link; without one it stops by itself.
    fn halt(&mut self) {
        let Ok(ticket) = self.client.send(&Command::Motion(Motion::Stop)) else { return };
        if let Some(Ok(())) = ticket.wait_timeout(HALT) {
            // Where it has come to stand.
            let wait = Duration::from_millis(u64::from(REPORT_MS) * 4);
            self.last = self.client.pose_since(Instant::now(), wait).or(self.last);
        }
    }

    fn end(&mut self, outcome: Outcome) -> Driven {
        if outcome != Outcome::Arrived {
            self.halt();
        }
        let pose = self.last.map(|(report, _)| from_robot(report.pose)).unwrap_or_default();
        let goal = self.route.goal();
        Driven {
            outcome,
            pose,
            error: pose.distance(&goal),
            yaw_error: normalized(goal.yaw - pose.yaw).abs(),
            time: self.begun.elapsed(),
            motions: self.motions,
            stops: self.stops,
        }
    }

    fn tell_last(&mut self) {
        if let Some((report, _)) = self.last {
            self.tell(from_robot(report.pose));
        }
    }

    fn tell(&mut self, pose: Pose) {
        let (corner, corners) = (self.follower.next_corner(), self.route.corners().len());
        let connected = self.client.is_connected();
        (self.progress)(&Progress { pose, corner, corners, stops: self.stops, connected });
    }

    fn no_link(&self) -> LinkError {
        // The reason, if there is one.
        let Err(error) = self.client.wait_connected(Duration::ZERO) else {
            return self.lost_itself("does not report where it is");
        };
        error
    }

    fn lost_itself(&self, reason: &'static str) -> LinkError {
        let hint = "a robot is driven only while it reports its pose: firmware implements `Board::odometry`";
        let hint =
            if reason.contains("restarted") { "put the robot where it should be, and plan from there" } else { hint };
        cannot(self.client, &self.device, reason, hint)
    }
}

/// Asks for reports.
const REPORT: Command<'static> = Command::ReportPose { every_ms: REPORT_MS };

enum Stand {
    Here(PoseReport),
    /// It left the route while it moved.
    Beside(f64),
    /// A movement does not end.
    Never,
    Interrupted,
}

/// Longest time of a movement: twice what it should take and some seconds, as robots are slower than they are told.
fn longest(at: Pose, motion: Motion) -> Duration {
    let seconds = |way: f64, speed: u16| way / f64::from(speed.max(1));
    let usual = match motion {
        Motion::Drive { distance_mm, speed_mm_s } => seconds(f64::from(distance_mm.unsigned_abs()), speed_mm_s),
        Motion::Turn { degrees, speed_deg_s } => seconds(f64::from(degrees.unsigned_abs()), speed_deg_s),
        Motion::Waypoint { x_mm, y_mm, speed_mm_s, speed_deg_s } => {
            let metres = (f64::from(x_mm) / 1e3 - at.x).hypot(f64::from(y_mm) / 1e3 - at.y);
            seconds(metres * 1e3, speed_mm_s) + seconds(180.0, speed_deg_s)
        }
        Motion::Stop => 0.0,
    };
    Duration::from_secs_f64(usual * 2.0 + 3.0)
}
