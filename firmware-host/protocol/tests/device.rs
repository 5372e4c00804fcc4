//! The firmware's state machine: each command once, in order, whatever is lost, repeated or broken on the way.

use proptest::prelude::*;
use trm_protocol::device::{Board, Device, Odometry};
use trm_protocol::{
    Capabilities, Command, Decoder, DeviceEvent, Firmware, FromDevice, FromHost, Hello, MAX_COMMAND, MAX_FRAME, Motion,
    NakReason, Panel, PixelFormat, PoseReport, Rect, Refusal, RobotPose, encode,
};

const CAPABILITIES: Capabilities = Capabilities {
    panel: Some(Panel { width: 16, height: 8, format: PixelFormat::Rgb565 }),
    leds: 4,
    buttons: 2,
    motors: true,
    window: 8,
    silence_ms: 1000,
};

/// Remembers what it was told.
#[derive(Default)]
struct Log {
    done: Vec<String>,
    stops: usize,
    odometry: Option<Odometry>,
    sent: Vec<u8>,
}

impl Board for Log {
    fn execute(&mut self, command: &Command<'_>) -> Result<(), Refusal> {
        self.done.push(format!("{command:?}"));
        if matches!(command, Command::Brightness(13)) { Err(Refusal::Failed) } else { Ok(()) }
    }

    fn safe_stop(&mut self) {
        self.stops += 1;
        if let Some(odometry) = &mut self.odometry {
            odometry.moving = false;
        }
    }

    fn odometry(&mut self) -> Option<Odometry> {
        self.odometry
    }

    fn transmit(&mut self, frame: &[u8]) {
        self.sent.extend(frame);
    }
}

/// A device and what came out of it.
struct Bench {
    device: Device,
    log: Log,
}

impl Bench {
    fn new() -> Self {
        Self { device: Device::new(Firmware { name: "bench", version: [1, 2, 3] }, CAPABILITIES), log: Log::default() }
    }

    fn send(&mut self, message: &FromHost<'_>, now: u32) {
        let frame = encode(message, &mut [0; MAX_FRAME]).unwrap().to_vec();
        self.device.receive(&frame, now, &mut self.log);
    }

    fn command(&mut self, seq: u16, round: u8, command: &Command<'_>) {
        let mut buffer = [0; MAX_COMMAND];
        self.send(&FromHost::Command { seq, round, command: command.to_bytes(&mut buffer).unwrap() }, 10);
    }

    fn hello(&mut self, session: u32) {
        self.send(&FromHost::Hello(Hello { session }), 10);
    }

    /// The answers since the last call, described.
    fn answers(&mut self) -> Vec<String> {
        let (mut decoder, mut answers) = (Decoder::new(), Vec::new());
        for byte in std::mem::take(&mut self.log.sent) {
            if let Some(packet) = decoder.push(byte) {
                answers.push(match packet.unwrap().message().unwrap() {
                    FromDevice::Ack(ack) => format!("ack {} {:?}", ack.next, ack.outcomes.get(1).unwrap()),
                    FromDevice::Nak { ack, reason, round } => format!("nak {} {reason:?} in round {round}", ack.next),
                    FromDevice::Welcome(welcome) => format!("welcome {} {}", welcome.resumed, welcome.ack.next),
                    FromDevice::Heartbeat { stopped, .. } => format!("heartbeat {stopped}"),
                    FromDevice::Event { seq, event } => format!("event {seq} {event:?}"),
                    FromDevice::Pose(PoseReport { pose, moving, stopped, motions, .. }) => {
                        format!("at {},{},{} {moving} {stopped} {motions}", pose.x_mm, pose.y_mm, pose.yaw_mdeg)
                    }
                });
            }
        }
        answers
    }
}

#[test]
fn a_copy_is_answered_and_not_carried_out_again() {
    let mut bench = Bench::new();
    bench.hello(7);
    bench.command(0, 0, &Command::Clear(1));
    bench.command(0, 1, &Command::Clear(1));
    bench.command(1, 1, &Command::Brightness(13));
    bench.command(1, 2, &Command::Brightness(13));
    assert_eq!(bench.log.done, ["Clear(1)", "Brightness(13)"]);
    assert_eq!(
        bench.answers(),
        ["welcome false 0", "ack 1 Ok(())", "ack 1 Ok(())", "ack 2 Err(Failed)", "ack 2 Err(Failed)"]
    );
}

#[test]
fn a_gap_is_complained_about_once_a_round() {
    let mut bench = Bench::new();
    bench.hello(7);
    bench.answers();
    for seq in 1..4 {
        bench.command(seq, 5, &Command::Clear(seq));
    }
    bench.command(2, 6, &Command::Clear(2));
    assert!(bench.log.done.is_empty());
    assert_eq!(bench.answers(), ["nak 0 Gap in round 5", "nak 0 Gap in round 6"]);
}

#[test]
fn a_broken_frame_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.hello(7);
    bench.answers();
    bench.device.receive(&[3, 1, 2, 0, 9, 9, 9, 0], 20, &mut bench.log);
    assert_eq!(bench.answers(), ["nak 0 Unreadable in round 0"]);
}

#[test]
fn commands_outside_of_a_session_are_not_carried_out() {
    let mut bench = Bench::new();
    bench.command(0, 0, &Command::Clear(1));
    assert!(bench.log.done.is_empty());
    assert_eq!(bench.answers(), [format!("nak 0 {:?} in round 0", NakReason::NoSession)]);
}

#[test]
fn hello_takes_a_session_up_again_and_begins_a_new_one() {
    let mut bench = Bench::new();
    bench.hello(7);
    bench.command(0, 0, &Command::Clear(1));
    bench.hello(7);
    bench.hello(8);
    assert_eq!(bench.answers(), ["welcome false 0", "ack 1 Ok(())", "welcome true 1", "welcome false 0"]);
}

#[test]
fn what_does_not_fit_never_reaches_the_board() {
    let mut bench = Bench::new();
    bench.hello(7);
    bench.answers();
    let rect = |x, y, width, height, data| Command::Rect(Rect { x, y, width, height, data });
    let refused = [
        (rect(10, 0, 7, 1, &[133, 0, 0]), "OutOfRange"),
        (rect(u16::MAX, 0, 2, 1, &[128, 0, 0]), "OutOfRange"),
        (rect(0, 0, 0, 1, &[]), "OutOfRange"),
        (rect(0, 0, 3, 1, &[128, 0, 0]), "BadPixels"),
        (rect(0, 0, 2, 1, &[128, 0]), "BadPixels"),
        (rect(0, 0, 2, 1, &[]), "BadPixels"),
        (Command::Led { index: 4, rgb: [1, 2, 3] }, "OutOfRange"),
    ];
    for (seq, (command, reason)) in refused.iter().enumerate() {
        bench.command(seq as u16, 0, command);
        assert_eq!(bench.answers(), [format!("ack {} Err({reason})", seq + 1)], "{command:?}");
    }
    // A command of a newer host.
    bench.send(&FromHost::Command { seq: 7, round: 0, command: &[200, 1, 2] }, 10);
    assert_eq!(bench.answers(), ["ack 8 Err(Unsupported)"]);
    assert!(bench.log.done.is_empty());
    // The session goes on.
    bench.command(8, 0, &rect(14, 7, 2, 1, &[128, 0, 1]));
    assert_eq!(bench.log.done.len(), 1);
}

#[test]
fn a_silent_host_stops_the_motors_once() {
    let mut bench = Bench::new();
    bench.hello(7);
    let drive = Motion::Drive { distance_mm: 180, speed_mm_s: 200 };
    bench.command(0, 0, &Command::Motion(drive));
    bench.device.tick(1009, &mut bench.log);
    assert_eq!(bench.log.stops, 0);
    for now in [1010, 1500, 9000] {
        bench.device.tick(now, &mut bench.log);
    }
    assert_eq!((bench.log.stops, bench.device.is_stopped()), (1, true));
    // Heartbeats of the host alone keep them running.
    bench.command(1, 0, &Command::Motion(drive));
    for now in (0..20).map(|step| 9000 + step * 500) {
        bench.send(&FromHost::Heartbeat, now);
        bench.device.tick(now, &mut bench.log);
    }
    assert_eq!(bench.log.stops, 1);
    // Noise on the line is not a host.
    for now in (0..20).map(|step| 18500 + step * 100) {
        bench.device.receive(&[1, 2, 3, 0], now, &mut bench.log);
        bench.device.tick(now, &mut bench.log);
    }
    assert_eq!(bench.log.stops, 2);
}

#[test]
fn the_clock_may_wrap_around() {
    let mut bench = Bench::new();
    bench.send(&FromHost::Hello(Hello { session: 7 }), u32::MAX - 100);
    let mut buffer = [0; MAX_COMMAND];
    let command = Command::Motion(Motion::Stop).to_bytes(&mut buffer).unwrap().to_vec();
    bench.send(&FromHost::Command { seq: 0, round: 0, command: &command }, u32::MAX - 100);
    bench.device.tick(800, &mut bench.log);
    assert_eq!(bench.log.stops, 0);
    bench.device.tick(900, &mut bench.log);
    assert_eq!(bench.log.stops, 1);
}

#[test]
fn events_are_repeated_until_they_arrive_one_after_the_other() {
    let mut bench = Bench::new();
    let press = |pressed| DeviceEvent::Button { index: 1, pressed };
    assert!(!bench.device.report(press(true)), "nobody listens yet");
    bench.hello(7);
    bench.answers();
    assert!(bench.device.report(press(true)) && bench.device.report(press(false)));
    for now in [10, 20, 110] {
        bench.device.tick(now, &mut bench.log);
    }
    let first = "event 0 Button { index: 1, pressed: true }";
    assert_eq!(bench.answers(), [first, first]);
    bench.send(&FromHost::EventAck { seq: 0 }, 120);
    bench.send(&FromHost::EventAck { seq: 0 }, 120);
    bench.device.tick(121, &mut bench.log);
    assert_eq!(bench.answers(), ["event 1 Button { index: 1, pressed: false }"]);
    assert!((0..7).all(|_| bench.device.report(press(true))));
    assert!(!bench.device.report(press(true)), "full");
}

#[test]
fn a_robot_reports_its_pose_to_a_host_that_asks() {
    let mut bench = Bench::new();
    let pose = RobotPose { x_mm: 1, y_mm: -2, yaw_mdeg: 90_000 };
    bench.hello(7);
    bench.command(0, 0, &Command::ReportPose { every_ms: 50 });
    bench.log.odometry = Some(Odometry { pose, moving: false });
    bench.device.tick(20, &mut bench.log);
    assert_eq!(bench.answers(), ["welcome false 0", "ack 1 Err(Unsupported)"], "nothing is reported unasked");
    bench.command(1, 0, &Command::ReportPose { every_ms: 50 });
    for now in [20, 69, 70, 119] {
        bench.device.tick(now, &mut bench.log);
    }
    assert_eq!(bench.answers(), ["ack 2 Ok(())", "at 1,-2,90000 false true 0", "at 1,-2,90000 false true 0"]);
    // What it does is said at once.
    bench.command(2, 0, &Command::Motion(Motion::Stop));
    bench.device.tick(119, &mut bench.log);
    assert_eq!(bench.answers(), ["ack 3 Ok(())", "at 1,-2,90000 false false 1"]);
    bench.log.odometry = Some(Odometry { pose, moving: true });
    bench.device.tick(120, &mut bench.log);
    bench.device.tick(121, &mut bench.log);
    assert_eq!(bench.answers(), ["at 1,-2,90000 true false 1"]);
    // The safe stop as well.
    bench.device.tick(1010, &mut bench.log);
    assert_eq!(bench.answers(), ["heartbeat true", "at 1,-2,90000 false true 1"]);
    bench.command(3, 0, &Command::ReportPose { every_ms: 0 });
    bench.device.tick(1100, &mut bench.log);
    assert_eq!(bench.answers(), ["ack 4 Ok(())", "heartbeat true"]);
    // However often it is asked for, and not to a host that has not asked.
    bench.command(4, 0, &Command::ReportPose { every_ms: 1 });
    (1100..1130).for_each(|now| bench.device.tick(now, &mut bench.log));
    assert_eq!(bench.answers().iter().filter(|answer| answer.starts_with("at")).count(), 3);
    bench.hello(8);
    bench.device.tick(1200, &mut bench.log);
    assert_eq!(bench.answers(), ["welcome false 0", "heartbeat true"]);
}

#[test]
fn a_refused_movement_was_not_begun() {
    struct Lame(Log);
    impl Board for Lame {
        fn execute(&mut self, _: &Command<'_>) -> Result<(), Refusal> {
            Err(Refusal::Unsupported)
        }
        fn safe_stop(&mut self) {}
        fn transmit(&mut self, frame: &[u8]) {
            self.0.sent.extend(frame);
        }
        fn odometry(&mut self) -> Option<Odometry> {
            Some(Odometry { pose: RobotPose::default(), moving: false })
        }
    }
    let mut bench = Bench::new();
    let mut lame = Lame(Log::default());
    let waypoint = Motion::Waypoint { x_mm: 1, y_mm: 2, speed_mm_s: 3, speed_deg_s: 4 };
    let mut buffer = [0; MAX_COMMAND];
    for (seq, command) in [Command::ReportPose { every_ms: 100 }, Command::Motion(waypoint)].iter().enumerate() {
        let command = command.to_bytes(&mut buffer).unwrap();
        let hello = FromHost::Hello(Hello { session: 7 });
        for message in [hello, FromHost::Command { seq: seq as u16, round: 0, command }] {
            let frame = encode(&message, &mut [0; MAX_FRAME]).unwrap().to_vec();
            bench.device.receive(&frame, 10, &mut lame);
        }
    }
    bench.device.tick(20, &mut lame);
    bench.log.sent = lame.0.sent;
    assert_eq!(bench.answers().last().unwrap(), "at 0,0,0 false false 0");
}

/// The numbers of what is on the wire: only appended to, never changed, while the version stays.
#[test]
fn bytes_stay_what_they_are() {
    let bytes = |command: Command<'_>| command.to_bytes(&mut [0; MAX_COMMAND]).unwrap().to_vec();
    let motion = |motion| bytes(Command::Motion(motion));
    assert_eq!(bytes(Command::Nothing), [0]);
    assert_eq!(bytes(Command::Brightness(7)), [2, 7]);
    assert_eq!(motion(Motion::Drive { distance_mm: -1, speed_mm_s: 300 }), [5, 0, 1, 0xAC, 2]);
    assert_eq!(motion(Motion::Turn { degrees: 90, speed_deg_s: 45 }), [5, 1, 0xB4, 1, 45]);
    assert_eq!(motion(Motion::Stop), [5, 2]);
    let waypoint = Motion::Waypoint { x_mm: 1, y_mm: -2, speed_mm_s: 3, speed_deg_s: 4 };
    assert_eq!(motion(waypoint), [5, 3, 2, 3, 3, 4]);
    assert_eq!(bytes(Command::ReportPose { every_ms: 50 }), [6, 50]);
    let pose = RobotPose { x_mm: i32::MAX, y_mm: -1, yaw_mdeg: 64 };
    assert_eq!(bytes(Command::SetPose(pose)), [7, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 1, 0x80, 1]);
    let report = PoseReport { pose, moving: true, stopped: false, motions: 9, uptime_ms: 128 };
    let mut frame = [0; MAX_FRAME];
    let mut decoder = Decoder::new();
    let frame = encode(&FromDevice::Pose(report), &mut frame).unwrap();
    // Frame, version, variant 5, the pose's eight bytes, flags, count, two bytes of uptime, checksum, frame.
    assert_eq!(frame.len(), 1 + 1 + 1 + 1 + 8 + 2 + 1 + 2 + 4 + 1);
    assert_eq!(frame[2..12], [1, 5, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 1, 0x80, 1]);
    let messages: Vec<_> = frame
        .iter()
        .filter_map(|&byte| decoder.push(byte).map(|packet| packet.unwrap().message() == Ok(FromDevice::Pose(report))))
        .collect();
    assert_eq!(messages, [true]);
}

proptest! {
    /// A host that repeats from what the device asks for; a line that loses and repeats frames at will.
    #[test]
    fn every_command_takes_effect_once_and_in_order(fates in prop::collection::vec(0_u8..4, 1..200), count in 1_u16..60) {
        let mut bench = Bench::new();
        bench.hello(7);
        let mut fates = fates.into_iter().cycle().take(100_000);
        let (mut next, mut round) = (0, 0_u8);
        for _ in 0..5000 {
            for seq in next..count.min(next + 8) {
                // Lost, sent twice, or fine.
                let copies = match fates.next() { Some(0) => 0, Some(1) => 2, _ => 1 };
                for _ in 0..copies {
                    bench.command(seq, round, &Command::Led { index: 0, rgb: [(seq >> 8) as u8, seq as u8, 0] });
                }
            }
            next = bench.log.done.len() as u16;
            round = round.wrapping_add(1);
            if next == count {
                break;
            }
        }
        let expected: Vec<_> = (0..next).map(|seq| format!("Led {{ index: 0, rgb: [{}, {}, 0] }}", seq >> 8, seq as u8)).collect();
        prop_assert_eq!(bench.log.done, expected);
    }
}
