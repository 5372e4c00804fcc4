//! The kiosk as a process of its own: killed at random moments, ended by a signal, watched by systemd, running for long.
//!
//! The ignored tests are those processes; the others start them.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what the processes tell the tests that start them")]

mod fakes;

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fakes::{FakeDevice, Kind, Shared, child, child_argument, parts, settings};
use trm_firmware_host::Result;
use trm_firmware_host::kiosk::metrics::Metrics;
use trm_firmware_host::kiosk::models::ModelStore;
use trm_firmware_host::kiosk::parts::{Camera, Frame};
use trm_firmware_host::kiosk::state::{KioskState, StateStore};
use trm_firmware_host::kiosk::{Kiosk, Settings};
use trm_models::ModelBundle;

static NEVER: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);
const STATE: &str = "TEST_STATE";

fn child_kiosk(parts: trm_firmware_host::kiosk::Parts<'static>, settings: Settings) -> Kiosk<'static> {
    let folder = child_argument(STATE);
    Kiosk::start(parts, settings, folder.as_ref(), Arc::new(Metrics::default()), &STOP, fakes::no_log).unwrap()
}

// killed

#[test]
#[ignore = "the process that other tests start"]
fn saves_as_fast_as_it_can() {
    let (store, mut state) = StateStore::open(child_argument(STATE), &mut Vec::new()).unwrap();
    loop {
        state.counters.solved += 1;
        store.save(&mut state).unwrap();
        println!("saved {}", state.counters.solved);
    }
}

#[test]
#[ignore = "the process that other tests start"]
fn works_for_ever() {
    let seen = Shared::default();
    let kiosk = child_kiosk(parts(&[Kind::Good, Kind::Hard, Kind::Blurred], true, &seen), settings());
    println!("running");
    kiosk.run();
}

fn open(folder: &std::path::Path, kill: usize) -> (KioskState, Vec<String>) {
    let mut remarks = Vec::new();
    let (_, state) =
        StateStore::open(folder, &mut remarks).unwrap_or_else(|error| panic!("after kill {kill}: {error}"));
    (state, remarks)
}

/// Moments that are the same in every run of the test and have nothing to do with each other.
fn moment(kill: usize) -> Duration {
    Duration::from_micros((kill as u64 * 7_919 + 13) * 104_729 % 120_000)
}

/// Starts the process and kills it: every fifth time at some moment of its start, else at some moment after it has printed
/// `sign` for the first time. Returns all that it printed.
fn start_and_kill(process: &mut Command, kill: usize, sign: &str) -> Vec<String> {
    let mut process = process.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
    let mut said = Vec::new();
    if kill % 5 != 4 {
        while !said.last().is_some_and(|line: &String| line.contains(sign)) {
            said.push(lines.next().unwrap_or_else(|| panic!("it never said {sign:?}: {said:?}")));
        }
    }
    std::thread::sleep(moment(kill));
    process.kill().unwrap();
    process.wait().unwrap();
    said.extend(lines);
    said
}

/// Does that 50 times, and says what each process has printed.
fn kill_repeatedly(test: &str, sign: &str, mut each: impl FnMut(usize, Vec<String>)) {
    let folder = child_argument_folder(test);
    for kill in 0..50 {
        each(kill, start_and_kill(child(test).env(STATE, &folder), kill, sign));
    }
}

fn child_argument_folder(test: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("trm-kiosk-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn what_was_saved_survives_50_kills() {
    let folder = child_argument_folder("saves_as_fast_as_it_can");
    let (mut before, mut recovered, mut reached) = (0, 0, 0);
    kill_repeatedly("saves_as_fast_as_it_can", "saved ", |kill, lines| {
        let said = lines.iter().filter_map(|line| line.split("saved ").nth(1)?.parse::<u64>().ok()).max();
        reached += usize::from(said.is_some());
        let (state, remarks) = open(&folder, kill);
        recovered += usize::from(!remarks.is_empty());
        let solved = state.counters.solved;
        assert_eq!(solved, state.generation, "kill {kill}");
        // Everything that was said to be saved, and at most the one that was being saved.
        let said = said.unwrap_or(before);
        assert!(solved == said || solved == said + 1, "kill {kill}: {solved} kept, {said} saved");
        before = solved;
    });
    eprintln!("{before} saves; 50 kills, {reached} while saving, {recovered} recovered from a sibling file");
    assert!(reached >= 40, "only {reached} of 50 processes got to save anything");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_kiosk_survives_50_kills() {
    let folder = child_argument_folder("works_for_ever");
    let (mut puzzles, mut starts, mut moved) = (0, 0, 0);
    kill_repeatedly("works_for_ever", "running", |kill, _| {
        let (state, _) = open(&folder, kill);
        let counters = &state.counters;
        assert!(counters.puzzles() >= puzzles && counters.starts >= starts, "kill {kill}: {counters:?}");
        moved += usize::from(counters.puzzles() > puzzles);
        // One of each kind after the other: since each start they can differ by one.
        let (solved, not_solved) = (counters.solved, counters.not_solved);
        assert!(solved >= not_solved && solved - not_solved <= counters.starts, "kill {kill}: {counters:?}");
        assert_eq!(state.last.is_some(), counters.puzzles() > 0);
        (puzzles, starts) = (counters.puzzles(), counters.starts);
    });
    eprintln!("{puzzles} puzzles in {starts} starts; {moved} of 50 kills while solving puzzles");
    assert!(moved >= 30, "only {moved} of 50 processes solved anything");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
#[ignore = "the process that other tests start"]
fn swaps_models_for_ever() {
    let store = ModelStore::open(child_argument(STATE).as_ref()).unwrap();
    let sources = [child_argument("TEST_FIRST"), child_argument("TEST_SECOND")];
    for source in sources.iter().cycle() {
        let done = store.activate(source.as_ref(), &|_: &ModelBundle| Ok(()), &NEVER).unwrap();
        println!("active {}", done.bundle);
    }
}

#[test]
fn model_swaps_survive_50_kills() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sudoku-4");
    // The same model with a remark in its manifest is another bundle.
    let second = folder.path().join("second");
    std::fs::create_dir(&second).unwrap();
    for file in ModelBundle::open(&shipped).unwrap().manifest().file_names().chain(["manifest.json"]) {
        std::fs::copy(shipped.join(file), second.join(file)).unwrap();
    }
    let manifest = std::fs::read_to_string(second.join("manifest.json")).unwrap();
    let name = "\"name\": \"sudoku-4\"";
    assert!(manifest.contains(name));
    std::fs::write(second.join("manifest.json"), manifest.replacen(name, "\"name\": \"other-4\"", 1)).unwrap();

    let state = folder.path().join("state");
    let (mut swaps, mut reached) = (0, 0);
    for kill in 0..50 {
        let mut process = child("swaps_models_for_ever");
        process.env(STATE, &state).env("TEST_FIRST", &shipped).env("TEST_SECOND", &second);
        let lines = start_and_kill(&mut process, kill, "active ");
        let said = lines.iter().filter(|line| line.contains("active ")).count();
        (swaps, reached) = (swaps + said, reached + usize::from(said > 0));
        let mut remarks = Vec::new();
        let active = ModelStore::open(&state).unwrap().check(&|_: &ModelBundle| Ok(()), &NEVER, &mut remarks).unwrap();
        assert_eq!(remarks, Vec::<String>::new(), "kill {kill}: what is active is whole");
        assert!(swaps == 0 || active.folders.contains_key("sudoku-4x4"), "kill {kill}: {active:?}");
    }
    eprintln!("{swaps} swaps; {reached} of 50 kills while swapping");
    assert!(reached >= 40, "only {reached} of 50 processes swapped anything");
    // Active, previous, and at most one that was being copied.
    let left = std::fs::read_dir(state.join("models")).unwrap().filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.join("manifest.json").is_file() || path.join("step.onnx").is_file()
    });
    assert!((1..=3).contains(&left.count()));
}

// ended by a signal

#[test]
#[ignore = "the process that other tests start"]
fn ends_when_asked_to() {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).unwrap();
    let seen = Shared::default();
    // A visitor looks at the answer for a minute: the signal must not wait for that.
    let mut patient = settings();
    patient.timing.show_ms = 60_000;
    patient.timing.frame_ms = 5_000;
    let ended = child_kiosk(parts(&[Kind::Good], true, &seen), patient);
    println!("running");
    println!("{:?}", ended.run());
}

#[test]
fn sigterm_ends_it_at_once_with_the_state_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = child("ends_when_asked_to").env(STATE, folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
    assert!(lines.any(|line| line.ends_with("running")));
    let asked = Instant::now();
    let kill = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert!(lines.any(|line| line.contains("end: Stopped")));
    assert!(process.wait().unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let (state, remarks) = open(folder.path(), 0);
    assert_eq!((state.counters.starts, remarks.len()), (1, 0));
    // Saved at the start and at the end.
    assert!(state.generation >= 2);
}

// watched by systemd

static LIVES: AtomicBool = AtomicBool::new(true);

/// Hangs from its 40th frame on, as a camera does whose cable was pulled.
struct Hanging(fakes::FakeCamera, AtomicUsize);

impl Camera for Hanging {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.1.fetch_add(1, Ordering::Relaxed) >= 40 {
            std::thread::sleep(Duration::from_mins(1));
        }
        self.0.next_frame()
    }
}

#[test]
#[ignore = "the process that other tests start"]
fn is_watched() {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).unwrap();
    let seen = Shared::default();
    let mut watched = parts(&[Kind::Good], true, &seen);
    match child_argument("TEST_FAULT").as_str() {
        "camera" => watched.camera = Box::new(Hanging(fakes::FakeCamera::new(&[Kind::Good], true, &seen), 0.into())),
        "device" => {
            watched.device = Some(Box::new(FakeDevice { seen: Rc::clone(&seen), alive: &LIVES }));
            std::thread::spawn(|| {
                std::thread::sleep(Duration::from_millis(400));
                LIVES.store(false, Ordering::Relaxed);
            });
        }
        _ => {}
    }
    let mut settings = settings();
    settings.timing.frame_ms = 10;
    child_kiosk(watched, settings).run();
}

/// Starts a kiosk under a socket in systemd's place, and returns its messages of 1.2 seconds with their times in
/// milliseconds, then those after SIGTERM.
fn watch(fault: &str) -> (Vec<(u128, String)>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut process = child("is_watched")
        .env(STATE, folder.path().join("state"))
        .env("TEST_FAULT", fault)
        .env("NOTIFY_SOCKET", &path)
        // 100 ms: fed every 50.
        .env("WATCHDOG_USEC", "100000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let receive = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).ok()?;
        Some((started.elapsed().as_millis(), String::from_utf8_lossy(&buffer[..length]).trim().to_owned()))
    };
    let mut messages = Vec::new();
    while started.elapsed() < Duration::from_millis(1_200) {
        messages.extend(receive());
    }
    let after = farewell(&mut process, receive);
    (messages, after)
}

fn farewell(process: &mut Child, receive: impl Fn() -> Option<(u128, String)>) -> Vec<String> {
    Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut messages = Vec::new();
    while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
        messages.extend(receive());
    }
    // A camera that hangs does not let go: that is what systemd's SIGKILL is for.
    let _ = process.kill();
    process.wait().unwrap();
    messages.extend(std::iter::from_fn(receive));
    messages.into_iter().map(|(_, message)| message).collect()
}

#[test]
fn systemd_hears_of_heartbeats_and_of_nothing_else() {
    let (messages, after) = watch("none");
    let (_, first) = &messages[0];
    assert_eq!(first, "READY=1");
    assert!(messages[1..].iter().all(|(_, message)| message == "WATCHDOG=1"), "{messages:?}");
    let fed = messages.len() - 1;
    assert!((10..=26).contains(&fed), "fed {fed} times in 1.2 seconds, expected every 50 ms: {messages:?}");
    assert_eq!(after.last().map(String::as_str), Some("STOPPING=1"));

    for fault in ["camera", "device"] {
        let (messages, after) = watch(fault);
        let (_, first) = &messages[0];
        assert_eq!(first, "READY=1", "{fault}");
        let (last, _) = messages[messages.len() - 1];
        assert!(messages.len() > 3 && last < 900, "{fault}: fed until {last} ms: {messages:?}");
        assert!(!after.contains(&"WATCHDOG=1".to_owned()), "{fault}: {after:?}");
    }
}

// running for long

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Stops after 2,000 puzzles, and notes the memory after 1,000 and 2,000.
struct Measuring(fakes::FakeCamera, Shared);

impl Camera for Measuring {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.1.borrow().done >= 2_000 {
            return Ok(None);
        }
        self.0.next_frame()
    }

    fn puzzle_done(&mut self) {
        self.0.puzzle_done();
        let done = self.1.borrow().done;
        if done == 1_000 || done == 2_000 {
            println!("resident {}", resident_kib());
        }
    }
}

#[test]
#[ignore = "the process that other tests start"]
fn works_on_2000_puzzles() {
    let seen = Shared::default();
    let kinds = [Kind::Good, Kind::Good, Kind::Hard, Kind::Good, Kind::Blurred];
    let mut long = parts(&kinds, true, &seen);
    long.camera = Box::new(Measuring(fakes::FakeCamera::new(&kinds, true, &seen), Rc::clone(&seen)));
    long.device = Some(Box::new(FakeDevice { seen: Rc::clone(&seen), alive: &LIVES }));
    let ended = child_kiosk(long, settings()).run();
    println!("solved {} others {}", ended.solved, ended.others);
}

#[test]
#[cfg(target_os = "linux")]
fn memory_is_steady_over_2000_puzzles() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let output = child("works_on_2000_puzzles").env(STATE, folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("solved 1200 others 800"), "{text}");
    let resident: Vec<u64> = text.lines().filter_map(|line| line.split("resident ").nth(1)?.parse().ok()).collect();
    let [half, end] = resident[..] else { panic!("{text}") };
    eprintln!("2000 puzzles in {:.1?}: {half} KiB resident after 1000, {end} KiB after 2000", started.elapsed());
    assert!(end < half + 1024, "{half} KiB after 1000 puzzles, {end} KiB after 2000");
}
