//! The link from end to end: a client over serialport, a pseudo-terminal, and the firmware's own state machine.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use trm_intake::explained;
use trm_link::loopback::{self, Loopback};
use trm_link::serial::{BAUD_RATE, PortName, Serial};
use trm_link::simulator::{Faults, Simulator, SimulatorOptions};
use trm_link::{Client, CommandError, Connector, Link, LinkError, Panel, Pixels, Timeouts, trial};
use trm_protocol::{Command, DeviceEvent, FromHost, MAX_FRAME, Motion, PixelFormat, Refusal, VERSION, encode_as};

const SOON: Duration = Duration::from_secs(5);

fn client(path: &Path) -> Client {
    Client::open(Serial::new(PortName::Path(path.to_path_buf()), BAUD_RATE), Timeouts::default())
}

fn fast() -> SimulatorOptions {
    SimulatorOptions { baud_rate: None, ..SimulatorOptions::default() }
}

/// Waits for something that another thread does.
fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !check() {
        assert!(Instant::now() < until, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_picture_arrives_pixel_by_pixel_over_a_bad_line() {
    let folder = tempfile::tempdir().unwrap();
    for format in [PixelFormat::Rgb565, PixelFormat::Mono] {
        let png = folder.path().join(format!("{format:?}.png"));
        let panel = trm_protocol::Panel { width: 100, height: 70, format };
        let faults = Faults { drop: 0.05, corrupt: 0.05, seed: 4, ..Faults::default() };
        let simulator = Simulator::start(SimulatorOptions { panel, faults, png: Some(png.clone()), ..fast() }).unwrap();
        let client = client(simulator.path());
        let device = client.wait_connected(SOON).unwrap();
        assert_eq!((device.firmware.as_str(), device.capabilities.panel), ("trm-host simulator", Some(panel)));
        let lit = |x: u16, y: u16| (x * 7 + y * y) % 5 < 2;
        let colour = |x, y| if lit(x, y) { 0xF800 | x } else { 0 };
        let pixels: Vec<u16> = (0..70).flat_map(|y| (0..100).map(move |x| colour(x, y))).collect();
        let screen = Panel::new(&client).unwrap();
        screen.clear(0x07E0).unwrap().wait().unwrap();
        let bit = |(at, &pixel): (usize, &u16)| u8::from(pixel != 0) << (7 - at);
        let packed =
            |row: &[u16]| row.chunks(8).map(|unit| unit.iter().enumerate().map(bit).sum()).collect::<Vec<u8>>();
        let packed = pixels.chunks(100).flat_map(packed).collect::<Vec<u8>>();
        let (right, other) = match format {
            PixelFormat::Rgb565 => (Pixels::Rgb565(&pixels), Pixels::Mono(&packed)),
            PixelFormat::Mono => (Pixels::Mono(&packed), Pixels::Rgb565(&pixels)),
        };
        let error = screen.draw(0, 0, 100, 70, other).unwrap_err().to_string();
        assert!(error.starts_with("the panel cannot show this: the pixels are of "), "{error}");
        screen.draw(0, 0, 100, 70, right).unwrap().wait().unwrap();
        let shown = |pixel: &u16| if format == PixelFormat::Mono && *pixel != 0 { u16::MAX } else { *pixel };
        assert_eq!(simulator.screen().pixels(), pixels.iter().map(shown).collect::<Vec<_>>());
        // The picture on disk is that of the screen.
        let expected = simulator.screen().picture();
        simulator.stop().unwrap();
        assert_eq!(image::open(&png).unwrap().to_rgb8(), expected);
    }
}

#[test]
fn under_faults_every_command_is_accounted_for() {
    let soak = trial::soak(1500, Faults::soak(3), &Timeouts::default()).unwrap();
    // The line was as bad as it should have been.
    assert!(soak.faults.dropped > 10 && soak.faults.corrupted > 10, "{:?}", soak.faults);
    assert!(soak.faults.disconnects >= 3 && soak.link.reconnects >= 3, "{soak:?}");
    assert_eq!(soak.delivered + soak.failed, 1500);
    assert!(soak.delivered > 1450, "{soak:?}");
}

#[test]
fn a_device_that_loses_power_is_told_from_one_that_does_not() {
    let faults = Faults { disconnect_every: 100, restart: true, drop: 0.01, seed: 5, ..Faults::default() };
    let soak = trial::soak(600, faults, &Timeouts::default()).unwrap();
    // What was on its way when the power went is reported, and nothing else.
    assert!(soak.failed > 0 && u64::from(soak.failed) <= soak.faults.disconnects * 8, "{soak:?}");
}

#[test]
fn full_pictures_keep_the_line_busy() {
    let simulator = Simulator::start(SimulatorOptions::default()).unwrap();
    let client = client(simulator.path());
    client.wait_connected(SOON).unwrap();
    let result = trial::throughput(&client, 3, BAUD_RATE).unwrap();
    assert!(result.pixel_share >= 0.8, "{result:?}");
    // A simulated line that is faster than the real one would prove nothing.
    assert!(result.line_share <= 1.02, "{result:?}");
}

#[test]
fn refused_commands_say_why_and_the_next_one_is_carried_out() {
    let simulator = Simulator::start(fast()).unwrap();
    let client = client(simulator.path());
    client.wait_connected(SOON).unwrap();
    let wrong = client.send(&Command::Led { index: 99, rgb: [1, 2, 3] }).unwrap();
    let right = client.send(&Command::Led { index: 2, rgb: [1, 2, 3] }).unwrap();
    let error = wrong.wait().unwrap_err();
    assert_eq!(error, CommandError::Refused(Refusal::OutOfRange));
    assert_eq!(explained(&error), "the device refused the command: beyond the device's range");
    right.wait().unwrap();
    assert_eq!(simulator.screen().leds[2], [1, 2, 3]);
    let panel = Panel::new(&client).unwrap();
    let error = panel.draw(239, 0, 2, 1, Pixels::Rgb565(&[0, 0])).unwrap_err();
    assert_eq!(explained(&error), "the panel cannot show this: 2x1 pixels at 239,0 reach beyond its 240x240");
}

#[test]
fn buttons_arrive_once_and_in_order_over_a_bad_line() {
    let faults = Faults { drop: 0.2, corrupt: 0.1, seed: 6, ..Faults::default() };
    let simulator = Simulator::start(SimulatorOptions { faults, ..fast() }).unwrap();
    let client = client(simulator.path());
    client.wait_connected(SOON).unwrap();
    for round in 0..8 {
        simulator.button(round % 4, round < 4);
        let expected = DeviceEvent::Button { index: round % 4, pressed: round < 4 };
        assert_eq!(client.next_event(SOON), Some(expected));
    }
    assert_eq!(client.next_event(Duration::from_millis(300)), None);
}

#[test]
fn a_robot_says_when_it_has_arrived() {
    let simulator = Simulator::start(fast()).unwrap();
    let client = client(simulator.path());
    client.wait_connected(SOON).unwrap();
    let give = |motion| client.send(&Command::Motion(motion)).unwrap().wait().unwrap();
    let begin = Instant::now();
    give(Motion::Drive { distance_mm: -60, speed_mm_s: 300 });
    assert_eq!(client.next_event(SOON), Some(DeviceEvent::Arrived));
    assert!(begin.elapsed() >= Duration::from_millis(200));
    // One that was stopped does not arrive.
    give(Motion::Turn { degrees: 90, speed_deg_s: 400 });
    give(Motion::Stop);
    assert_eq!(client.next_event(Duration::from_millis(400)), None);
}

#[test]
fn a_robot_stops_when_its_host_is_gone() {
    let simulator = Simulator::start(fast()).unwrap();
    let client = client(simulator.path());
    client.wait_connected(SOON).unwrap();
    let drive = Motion::Drive { distance_mm: 1800, speed_mm_s: 100 };
    client.send(&Command::Motion(drive)).unwrap().wait().unwrap();
    // Heartbeats alone keep it going.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!((simulator.screen().motion, simulator.screen().safe_stops), (drive, 0));
    drop(client);
    eventually("the robot stops", || simulator.screen().motion == Motion::Stop);
    assert_eq!(simulator.screen().safe_stops, 1);
}

#[test]
fn commands_without_a_device_fail_in_time() {
    let serial = Serial::new(PortName::Path("/dev/no-such-port".into()), BAUD_RATE);
    let timeouts = Timeouts { command: Duration::from_millis(200), ..Timeouts::default() };
    let client = Client::open(serial, timeouts);
    let begin = Instant::now();
    let ticket = client.send(&Command::Clear(0)).unwrap();
    assert_eq!(ticket.wait(), Err(CommandError::Deadline { sent: false }));
    assert!(begin.elapsed() < Duration::from_secs(1));
    let error = client.wait_connected(Duration::from_millis(300)).unwrap_err();
    assert_eq!(
        explained(&error),
        "/dev/no-such-port: no such serial port\nhint: plug the device in, or give its port: \
         ls /dev/serial/by-id /dev/ttyACM* /dev/ttyUSB*"
    );
}

/// A device that has crashed with its line up: the kernel takes bytes, and nobody reads them.
#[test]
fn a_device_that_hangs_does_not_hang_the_host() {
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&device).unwrap();
    let path = ptsname(&device, Vec::new()).unwrap().into_string().unwrap();
    let timeouts = Timeouts { command: Duration::from_millis(300), ..Timeouts::default() };
    let client = Client::open(Serial::new(PortName::Path(path.into()), BAUD_RATE), timeouts);
    let begin = Instant::now();
    let tickets: Vec<_> = (0..100).map(|colour| client.send(&Command::Clear(colour)).unwrap()).collect();
    for ticket in tickets {
        assert_eq!(ticket.wait(), Err(CommandError::Deadline { sent: false }));
    }
    drop(client);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[test]
fn a_device_that_appears_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port");
    let client = client(&path);
    assert!(matches!(client.wait_connected(Duration::from_millis(50)), Err(LinkError::NoPort { .. })));
    let ticket = client.send(&Command::Led { index: 1, rgb: [9, 9, 9] }).unwrap();
    let simulator = Simulator::start(SimulatorOptions { link: Some(path), ..fast() }).unwrap();
    ticket.wait().unwrap();
    assert_eq!(simulator.screen().leds[1], [9, 9, 9]);
}

#[test]
fn a_port_belongs_to_one_program() {
    let simulator = Simulator::start(fast()).unwrap();
    let first = client(simulator.path());
    first.wait_connected(SOON).unwrap();
    let second = client(simulator.path());
    let error = second.wait_connected(Duration::from_millis(300)).unwrap_err();
    let path = simulator.path().display();
    assert_eq!(
        explained(&error),
        format!("{path}: the serial port is in use by another program\nhint: `fuser -v {path}` names it")
    );
    // It does not disturb the first one, and takes over when that is gone.
    first.send(&Command::Clear(1)).unwrap().wait().unwrap();
    drop(first);
    second.wait_connected(SOON).unwrap();
}

#[test]
fn what_is_no_serial_port_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"text").unwrap();
    let error = client(file.path()).wait_connected(Duration::from_millis(100)).unwrap_err();
    assert!(matches!(error, LinkError::Port { .. }), "{error:?}");
    assert!(explained(&error).contains("cannot be opened as a serial port"), "{error}");
}

/// A device behind a loopback, whose thread does this with the far end of each connection.
struct Fake(fn(Loopback));

impl Connector for Fake {
    fn connect(&mut self) -> trm_link::Result<Box<dyn Link>> {
        let (near, far) = loopback::pair();
        let behaviour = self.0;
        std::thread::spawn(move || behaviour(far));
        Ok(Box::new(near))
    }

    fn name(&self) -> String {
        "loopback".to_owned()
    }
}

#[test]
fn another_protocol_version_is_named() {
    let client = Client::open(
        Fake(|mut far| {
            let mut frame = [0; MAX_FRAME];
            let bytes = encode_as(VERSION + 3, &FromHost::Heartbeat, &mut frame).unwrap().to_vec();
            while far.read(&mut [0; 64], Duration::from_millis(20)).is_ok() {
                let _ = far.write(&bytes, Duration::ZERO);
            }
        }),
        Timeouts::default(),
    );
    let begin = Instant::now();
    let error = client.wait_connected(SOON).unwrap_err();
    assert_eq!(
        explained(&error),
        format!(
            "loopback: the device speaks version {} of the protocol, this program version {VERSION}\n\
             hint: flash a firmware built against the same version of trm-protocol",
            VERSION + 3
        )
    );
    assert!(begin.elapsed() < SOON / 2, "waiting changes nothing");
}

#[test]
fn a_device_that_says_nothing_or_nonsense_is_named() {
    let silent: fn(Loopback) = |mut far| while far.read(&mut [0; 64], SOON).is_ok() {};
    let noisy: fn(Loopback) = |mut far| {
        while far.read(&mut [0; 64], Duration::from_millis(10)).is_ok() {
            let _ = far.write(b"login: \0", Duration::ZERO);
        }
    };
    for (behaviour, speaks) in [(silent, false), (noisy, true)] {
        let client = Client::open(Fake(behaviour), Timeouts::default());
        let error = client.wait_connected(Duration::from_millis(1500)).unwrap_err();
        let LinkError::DeviceSilent { unreadable, .. } = error else { panic!("{error:?}") };
        assert_eq!(unreadable > 0, speaks);
        assert!(explained(&error).contains("hint: check that this is the right port, that the baud rate"), "{error}");
    }
}

#[test]
fn the_command_says_hello_and_fails_with_its_codes() {
    let program = || std::process::Command::new(env!("CARGO_BIN_EXE_trm-host"));
    let simulator = Simulator::start(fast()).unwrap();
    let port: PathBuf = simulator.path().to_path_buf();
    let output = program().args(["link", "--json", "--port"]).arg(&port).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let device: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(device["firmware"], "trm-host simulator");
    assert_eq!(device["panel"], serde_json::json!({"width": 240, "height": 240, "format": "rgb565"}));
    drop(simulator);
    let output = program().args(["link", "--timeout", "100", "--port"]).arg(&port).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.starts_with("error: ") && message.contains("no such serial port\nhint: plug"), "{message}");
    assert_eq!(program().arg("link").output().unwrap().status.code(), Some(2));
    let usb = program().args(["link", "--timeout", "50", "--usb", "dead:beef"]).output().unwrap();
    assert_eq!(usb.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&usb.stderr).contains("no serial port of a USB device dead:beef"), "{usb:?}");
}

#[test]
fn the_simulate_command_is_a_device() {
    use std::io::BufRead;
    use std::process::Stdio;
    let folder = tempfile::tempdir().unwrap();
    let png = folder.path().join("panel.png");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_trm-host"))
        .args(["simulate", "--panel", "32x16", "--baud", "0", "--png"])
        .arg(&png)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let client = client(Path::new(port.trim()));
    client.wait_connected(SOON).unwrap();
    Panel::new(&client).unwrap().clear(0xF800).unwrap().wait().unwrap();
    eventually("a red picture", || {
        image::open(&png).is_ok_and(|picture| picture.to_rgb8().pixels().all(|pixel| pixel.0 == [255, 0, 0]))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the loss is noticed", || !client.is_connected());
}
