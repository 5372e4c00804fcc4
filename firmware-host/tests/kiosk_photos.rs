//! The kiosk with all of its real parts: photographs in, answers on displays and at a microcontroller.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "figures for whoever looks at the test")]

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use trm_firmware_host::Result;
use trm_firmware_host::kiosk::parts::{Parts, Scene, Screen};
use trm_firmware_host::kiosk::state::StateStore;
use trm_firmware_host::kiosk::{End, Ended, Kiosk, KioskConfig, Metrics, Settings, real};
use trm_link::simulator::{Simulator, SimulatorOptions};

/// Timings at their least.
const FAST: &str = "[timing]\nframe_ms = 0\nstill_frames = 1\nread_frames = 2\nstep_ms = 0\nshow_ms = 0\n\
                    error_ms = 0\nno_board_ms = 1\n";

fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photos")
}

/// A path as TOML has it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// A folder with settings, state, pictures and what is shown.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Settings over pictures, with a picture file as display and what else is wanted.
    fn settings(&self, pictures: &Path, repeat: bool, theme: &str, more: &str) -> PathBuf {
        let (state, shown, pictures) = (quoted(&self.path("state")), quoted(&self.path("shown.png")), quoted(pictures));
        let text = format!(
            "state = {state}\n[camera]\nsource = \"pictures\"\npath = {pictures}\nrepeat = {repeat}\n\
             [[display]]\ntarget = \"png\"\npath = {shown}\ntheme = \"{theme}\"\n{more}{FAST}"
        );
        let path = self.path("kiosk.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A folder with copies of photographs.
    fn folder(&self, names: &[&str]) -> PathBuf {
        let folder = self.path("pictures");
        std::fs::create_dir(&folder).unwrap();
        for name in names {
            std::fs::copy(photos().join(name), folder.join(name)).unwrap();
        }
        folder
    }
}

fn kiosk(settings: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-host"));
    command.args(["kiosk", "--config"]).arg(settings).env_remove("STATE_DIRECTORY").env_remove("NOTIFY_SOCKET");
    command
}

fn once(settings: &Path) -> (Output, String) {
    let output = kiosk(settings).arg("--once").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[test]
fn a_photograph_is_read_solved_and_shown() {
    let place = Place::new();
    for (theme, size) in [("320x240", (320, 240)), ("128x64", (128, 64))] {
        let (output, said) = once(&place.settings(&photos().join("image8.jpg"), false, theme, ""));
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("image8.jpg: solved in ") && said.contains("1 solved, 0 not"), "{said}");
        assert_eq!(image::open(place.path("shown.png")).unwrap().to_rgb8().dimensions(), size);
    }
}

#[test]
fn a_board_in_a_stream_of_pictures_is_solved_once() {
    let place = Place::new();
    let stream = place.path("stream.mjpeg");
    std::fs::write(&stream, std::fs::read(photos().join("image8.jpg")).unwrap().repeat(12)).unwrap();
    let settings = place.settings(&stream, false, "240x240", "");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("\"pictures\"", "\"mjpeg\"").replace("repeat = false\n", "")).unwrap();
    let output = kiosk(&settings).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    // It stays on the table: solved again and again it is not.
    assert_eq!(said.matches(": solved in ").count(), 1, "{said}");
    assert!(said.contains("the camera has no more frames; 1 solved, 0 not"), "{said}");
}

#[test]
fn a_picture_without_a_board_is_not_solved() {
    let place = Place::new();
    let blank = place.path("blank.png");
    image::RgbImage::from_pixel(640, 480, image::Rgb([240, 238, 230])).save(&blank).unwrap();
    let (output, said) = once(&place.settings(&blank, false, "240x240", ""));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("0 solved, 0 not"), "{said}");

    // Two boards side by side: one may not be taken for the other.
    let one = image::open(photos().join("image8.jpg")).unwrap().to_rgb8();
    let mut both = image::RgbImage::new(2 * one.width(), one.height());
    image::imageops::replace(&mut both, &one, 0, 0);
    image::imageops::replace(&mut both, &one, i64::from(one.width()), 0);
    let two = place.path("two.png");
    both.save(&two).unwrap();
    let (output, said) = once(&place.settings(&two, false, "240x240", ""));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("two.png: not read: more than one board in the picture"), "{said}");
}

#[test]
fn a_camera_that_is_not_there_is_said_at_once() {
    let place = Place::new();
    let (output, said) = once(&place.settings(&place.path("nowhere"), false, "240x240", ""));
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nowhere: list failed"), "{said}");
    let settings = place.settings(&photos(), false, "tiny", "");
    let (output, said) = once(&settings);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("display.theme: `tiny`, expected the display's size"), "{said}");
}

// at the microcontroller

/// Looks at panel, lights and picture file while the kiosk shows something.
struct Watcher<'a> {
    screen: Box<dyn Screen>,
    simulator: &'a Simulator,
    shown: PathBuf,
    scenes: Vec<&'static str>,
    compared: usize,
}

/// Waits for something that another thread does.
fn wait(what: &str, mut check: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < until, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Screen for &mut Watcher<'_> {
    fn show(&mut self, scene: &Scene<'_>) -> Result<()> {
        self.screen.show(scene)?;
        if self.scenes.last() != Some(&scene.name()) {
            self.scenes.push(scene.name());
        }
        if matches!(scene, Scene::Solved(_) | Scene::Aim { .. } | Scene::Idle) {
            let expected = image::open(&self.shown).unwrap().to_rgb8();
            wait("the panel shows the picture", || self.simulator.screen().picture() == expected);
            self.compared += 1;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<bool> {
        if self.scenes.last() == Some(&"solved") {
            wait("green lights", || self.simulator.screen().leds.iter().all(|led| *led == [0, 255, 64]));
        }
        self.screen.tick()
    }
}

/// Nobody asks this kiosk to end.
static RUNS: AtomicBool = AtomicBool::new(false);

#[test]
fn panel_and_lights_of_the_microcontroller_follow() {
    let place = Place::new();
    let simulator = Simulator::start(SimulatorOptions { baud_rate: None, ..SimulatorOptions::default() }).unwrap();
    let device = format!(
        "[[display]]\ntarget = \"panel\"\ntheme = \"240x240\"\n[device]\nport = {}\nheartbeat_ms = 50\n",
        quoted(simulator.path())
    );
    let settings = place.settings(&place.folder(&["image8.jpg"]), false, "240x240", &device);
    let mut config = KioskConfig::read(&settings).unwrap();
    config.timing.show_ms = 50;
    let metrics = Arc::new(Metrics::default());
    let parts = real::parts(&config, Box::new(()), &metrics, false, &RUNS).unwrap();
    let Parts { camera, reader, solver, screen, device, self_test, status } = parts;
    let shown = place.path("shown.png");
    let mut watcher = Watcher { screen, simulator: &simulator, shown, scenes: Vec::new(), compared: 0 };
    let screen = Box::new(&mut watcher);
    let parts = Parts { camera, reader, solver, screen, device, self_test, status };
    let settings = Settings::new(&config, false);
    let kiosk = Kiosk::start(parts, settings, &place.path("state"), metrics.clone(), &RUNS, |line| eprintln!("{line}"));
    let ended = kiosk.unwrap().run();
    assert_eq!(ended, Ended { end: End::SourceEnded, solved: 1, others: 0 });
    assert_eq!(watcher.scenes, ["idle", "aim", "reading", "solving", "solved", "idle"]);
    // Idle, aim, solved and idle again; in between, an idle panel moves while the picture file stays.
    assert!(watcher.compared >= 4, "{}", watcher.compared);
    assert_eq!(metrics.link_errors.get(), 0);
}

// processes

/// A process that ends with its test.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lines that a process logs.
type Log = Lines<BufReader<ChildStderr>>;

fn logged(process: &mut Process) -> Log {
    BufReader::new(process.0.stderr.take().unwrap()).lines()
}

/// Reads until a puzzle has been solved.
fn until_solved(log: &mut Log) {
    let line = log.map(|line| line.unwrap()).find(|line| line.contains(": solved in "));
    assert!(line.is_some(), "the kiosk ended");
}

/// Kills a kiosk `kills` times at moments that have nothing to do with what it does, and looks at what it kept.
fn survives(kills: u64) {
    let place = Place::new();
    let settings = place.settings(&place.folder(&["image8.jpg"]), true, "128x64", "");
    let (mut solved, mut working) = (0, 0);
    for kill in 0..kills {
        let mut process = Process::start(kiosk(&settings).stderr(Stdio::piped()));
        let mut log = logged(&mut process);
        // Every fifth time while it starts.
        if kill % 5 != 4 {
            until_solved(&mut log);
        }
        std::thread::sleep(Duration::from_micros((kill * 7_919 + 13) * 104_729 % 400_000));
        drop(process);
        let folder = place.path("state");
        if kill == 0 || folder.exists() {
            let mut remarks = Vec::new();
            let (_, state) = StateStore::open(&folder, &mut remarks).unwrap();
            let counters = &state.counters;
            assert!(counters.solved >= solved && counters.starts <= kill + 1, "kill {kill}: {counters:?}");
            assert_eq!((counters.not_solved, counters.refused), (0, 0), "kill {kill}: {counters:?}");
            assert_eq!(state.last.is_some(), counters.solved > 0);
            working += u64::from(counters.solved > solved);
            solved = counters.solved;
            // The picture is whole or not there.
            let shown = place.path("shown.png");
            assert!(!shown.exists() || image::open(&shown).is_ok(), "kill {kill}");
        }
    }
    eprintln!("{solved} solved; {working} of {kills} kills while puzzles were solved");
    assert!(working >= kills * 7 / 10, "only {working} of {kills} processes solved anything");
}

#[test]
fn what_is_kept_survives_kills() {
    survives(10);
}

#[test]
#[ignore = "takes minutes; the same with 10 kills is always run"]
fn what_is_kept_survives_50_kills() {
    survives(50);
}

fn resident_kib(process: &Process, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// Lets a kiosk work on photographs, with a simulated microcontroller as another process. Returns its resident memory, in
/// KiB, after half of the cycles and after all of them.
fn cycles(count: usize) -> [u64; 2] {
    let place = Place::new();
    let port = place.path("tty");
    let mut simulator = Command::new(env!("CARGO_BIN_EXE_trm-host"));
    simulator.args(["simulate", "--link"]).arg(&port).arg("--png").arg(place.path("panel.png"));
    let mut simulator = Process::start(simulator.stdout(Stdio::piped()).stderr(Stdio::null()));
    // It names its port when it is there.
    let line = BufReader::new(simulator.0.stdout.take().unwrap()).lines().next();
    assert!(line.is_some_and(|line| line.is_ok()));
    let device = format!("[[display]]\ntarget = \"panel\"\ntheme = \"240x240\"\n[device]\nport = {}\n", quoted(&port));
    let pictures = place.folder(&["image8.jpg", "image109.jpg", "image1036.jpg"]);
    let settings = place.settings(&pictures, true, "320x240", &device);
    let mut process = Process::start(kiosk(&settings).stderr(Stdio::piped()));
    let mut log = logged(&mut process);
    let started = Instant::now();
    // A tenth at a time, so that one can see where it goes.
    let resident: Vec<u64> = (1..=10)
        .map(|tenth| {
            let some = tenth * count / 10 - (tenth - 1) * count / 10;
            (0..some).for_each(|_| until_solved(&mut log));
            let resident = resident_kib(&process, "VmRSS");
            eprintln!("{:.0?}: {} cycles, {resident} KiB resident", started.elapsed(), tenth * count / 10);
            resident
        })
        .collect();
    eprintln!("{} KiB at most", resident_kib(&process, "VmHWM"));
    let ended = Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status().unwrap();
    assert!(ended.success());
    // Else a full pipe would keep it from ending.
    log.for_each(drop);
    assert!(process.0.wait().unwrap().success());
    [resident[4], resident[9]]
}

#[test]
fn memory_is_steady() {
    let [half, end] = cycles(30);
    // So early the allocator still settles; one leaked photograph a cycle would be 20 MB.
    assert!(end < half + 6 * 1024, "{half} KiB after 15 cycles, {end} KiB after 30");
}

#[test]
#[ignore = "takes a quarter of an hour or more"]
fn memory_is_steady_over_2000_cycles() {
    let [half, end] = cycles(2_000);
    assert!(end < half + 1024, "{half} KiB after 1000 cycles, {end} KiB after 2000");
}
