//! A kiosk ends within two seconds of the signal, whatever its parts hang at, with its state saved. The other commands of
//! `trm-host` do as well.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]

mod kiosks;
#[path = "kiosks/device.rs"]
mod silent_device;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiosks::{Feeder, Place, Running, eventually, kiosk, quoted};
use trm_firmware_host::kiosk::StateStore;

const LIMIT: Duration = Duration::from_secs(2);
/// The line in the log when a part was given up: an end in order says nothing of the kind.
const LAST_RESORT: &str = "does not let go";

/// Ends a kiosk by both signals, each on a fresh one, in order and in time.
fn ends_in_order(start: impl Fn(&Place) -> Running) {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        let (status, took, log) = start(&place).end(signal);
        assert!(status.success() && took < LIMIT && !log.contains(LAST_RESORT), "{signal}: {took:?}\n{log}");
        assert!(log.contains("kiosk: stopped; "), "{log}");
        let mut remarks = Vec::new();
        let (_, kept) = StateStore::open(place.path("state"), &mut remarks).unwrap();
        assert_eq!((kept.counters.starts, remarks.len()), (1, 0), "{log}");
    }
}

#[test]
fn with_a_pipe_that_nobody_writes_to() {
    ends_in_order(|place| {
        let (settings, _) = place.on_a_pipe("");
        let running = Running::start(&mut kiosk(&settings));
        eventually("it waits for a picture", || running.health()["state"] == "idle" && place.path("state").exists());
        std::thread::sleep(Duration::from_millis(300));
        running
    });
}

#[test]
fn with_raw_video_that_stalls_within_a_picture() {
    ends_in_order(|place| {
        let (settings, pipe) = place.on_a_pipe("");
        let running = Running::start(&mut kiosk(&settings));
        let mut writer = File::options().write(true).open(pipe).unwrap();
        writer.write_all(&[200; 64 * 64 + 100]).unwrap();
        eventually("a picture was taken", || running.frames() == 1);
        // The pipe stays open, and nothing more comes.
        std::mem::forget(writer);
        running
    });
}

#[test]
fn with_jpeg_that_stalls_within_a_picture() {
    ends_in_order(|place| {
        let pipe = place.pipe();
        let camera = format!("[camera]\nsource = \"mjpeg\"\npath = {}\n", quoted(&pipe));
        let running = Running::start(&mut kiosk(&place.settings(&camera, "")));
        let mut writer = File::options().write(true).open(pipe).unwrap();
        let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photos/image8.jpg");
        let jpeg = std::fs::read(photo).unwrap();
        writer.write_all(&jpeg).unwrap();
        writer.write_all(&jpeg[..jpeg.len() / 2]).unwrap();
        eventually("a picture was taken", || running.frames() == 1);
        std::mem::forget(writer);
        running
    });
}

#[test]
fn a_pipe_that_stalls_is_a_trouble_and_comes_back() {
    let place = Place::new();
    let (settings, pipe) = place.on_a_pipe("");
    let running = Running::start(&mut kiosk(&settings));
    eventually("the camera is missed", || running.is_troubled("camera", "source"));
    running.says("no picture came within 5 s");
    let _feeder = Feeder::start(&pipe);
    running.says("camera: works again");
    running.works();
    assert_eq!(running.health()["troubles"], serde_json::json!([]));
}

#[test]
fn with_a_device_that_confirms_nothing() {
    ends_in_order(|place| {
        let port = silent_device::start("silent", (240, 240));
        let device = format!(
            "[[display]]\ntarget = \"panel\"\ntheme = \"240x240\"\n[device]\nport = {}\nheartbeat_ms = 50\n",
            quoted(&port)
        );
        let (settings, pipe) = place.on_a_pipe(&device);
        let feeder = Feeder::start(&pipe);
        std::mem::forget(feeder);
        let running = Running::start(&mut kiosk(&settings));
        running.says("silent 1.2.3");
        eventually("it works", || running.frames() > 20);
        eventually("commands fail", || running.log().contains("device: "));
        running
    });
}

#[test]
fn with_a_picture_that_takes_long() {
    // 39 million pixels: as large as they may be, and all of them noise.
    let (width, height) = (7_800_u32, 5_000_u32);
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take((width * height) as usize)
    .collect();
    let picture = image::GrayImage::from_raw(width, height, noise).unwrap();
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        let folder = place.path("pictures");
        std::fs::create_dir(&folder).unwrap();
        picture.save(folder.join("large.png")).unwrap();
        let camera = format!("[camera]\nsource = \"pictures\"\npath = {}\nrepeat = true\n", quoted(&folder));
        let settings = place.settings(&camera, "");
        for moment in [200, 700, 1_500, 3_000] {
            let running = Running::start(&mut kiosk(&settings));
            running.pages();
            std::thread::sleep(Duration::from_millis(moment));
            let (status, took, log) = running.end(signal);
            assert!(status.success() && took < LIMIT, "{signal} after {moment} ms: {took:?}\n{log}");
            eprintln!(
                "{signal} after {moment} ms: {took:?}{}",
                if log.contains(LAST_RESORT) { ", given up" } else { "" }
            );
        }
    }
}

// the other commands

/// The time that a command takes to end that was started and has said `sign` on stdout or stderr.
fn ends(mut command: Command, sign: &str, signal: &str) -> (Option<i32>, Duration) {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let streams: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(process.stdout.take().unwrap()), Box::new(process.stderr.take().unwrap())];
    for stream in streams {
        let tell = tell.clone();
        std::thread::spawn(move || {
            BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| drop(tell.send(line)));
        });
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut said = String::new();
    while !said.contains(sign) {
        said += &told.recv_timeout(deadline - Instant::now()).unwrap_or_else(|_| panic!("never {sign:?}:\n{said}"));
        said.push('\n');
    }
    std::thread::sleep(Duration::from_millis(200));
    let asked = Instant::now();
    assert!(Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap().success());
    while process.try_wait().unwrap().is_none() {
        if asked.elapsed() > Duration::from_secs(20) {
            let _ = process.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    (process.wait().unwrap().code(), asked.elapsed())
}

fn trm_host(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-host"));
    command.args(arguments);
    command
}

#[test]
fn driving_a_robot_that_confirms_nothing_ends() {
    let place = Place::new();
    let port = silent_device::start("silent", (240, 240));
    let path = place.path("path.json");
    std::fs::write(&path, r#"{"status": "planned", "path": [[0, 0, 0], [5, 0, 0]]}"#).unwrap();
    for signal in ["-TERM", "-INT"] {
        let drive = trm_host(&["drive", "--path", path.to_str().unwrap(), "--port", port.to_str().unwrap()]);
        let (code, took) = ends(drive, "5.00 m", signal);
        assert!(code.is_some() && took < LIMIT, "{signal}: {code:?} after {took:?}");
    }
    // Before it has answered, with patience.
    let nowhere = place.path("nowhere");
    let mut drive = trm_host(&["drive", "--path", path.to_str().unwrap(), "--port", nowhere.to_str().unwrap()]);
    drive.args(["--timeout", "60000"]);
    let mut process = drive.stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
    let code = process.wait().unwrap().code();
    assert!(code == Some(1) && asked.elapsed() < LIMIT, "{code:?} after {:?}", asked.elapsed());
}

#[test]
fn simulating_a_device_ends() {
    let place = Place::new();
    for signal in ["-TERM", "-INT"] {
        let link = place.path("tty");
        let simulate = trm_host(&["simulate", "--link", link.to_str().unwrap()]);
        let (code, took) = ends(simulate, "tty", signal);
        assert!(code == Some(0) && took < LIMIT, "{signal}: {code:?} after {took:?}");
    }
}

#[test]
fn measuring_a_link_ends() {
    for arguments in [["link", "--soak", "1000000"], ["link", "--bench", "--updates=10000"]] {
        let mut process = trm_host(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert!(process.try_wait().unwrap().is_none(), "{arguments:?} ended by itself");
        let asked = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
        process.wait().unwrap();
        assert!(asked.elapsed() < LIMIT, "{arguments:?}: {:?}", asked.elapsed());
    }
}

#[cfg(feature = "ros2")]
#[test]
fn a_node_of_ros_2_ends() {
    for signal in ["-TERM", "-INT"] {
        let node = trm_host(&["ros2", "--domain", "83"]);
        let (code, took) = ends(node, "listens to", signal);
        assert!(code == Some(0) && took < LIMIT, "{signal}: {code:?} after {took:?}");
    }
}

#[test]
fn the_name_of_a_firmware_is_shown_without_what_a_terminal_obeys() {
    let place = Place::new();
    let port = silent_device::start("x\x1b[2J\nerror: y\u{202e}", (240, 240));
    let output = trm_host(&["link", "--port", port.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains(": x\\u{1b}[2J\\nerror: y\\u{202e} 1.2.3, protocol 1\n"), "{said:?}");
    let output = trm_host(&["link", "--json", "--port", port.to_str().unwrap()]).output().unwrap();
    let device: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(device["firmware"], "x\\u{1b}[2J\\nerror: y\\u{202e}");
    let device = format!("[device]\nport = {}\n", quoted(&port));
    let (settings, pipe) = place.on_a_pipe(&device);
    let _feeder = Feeder::start(&pipe);
    let running = Running::start(&mut kiosk(&settings));
    running.says("x\\u{1b}[2J\\nerror: y\\u{202e} 1.2.3");
    assert!(!running.log().contains(['\x1b', '\u{202e}']));
}
