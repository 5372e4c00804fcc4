//! A kiosk starts as it runs: whatever is missing but its camera and reader is a trouble, said in the log and on
//! `/healthz`, and over when it is there.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]

mod kiosks;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use kiosks::{Feeder, Place, Running, eventually, get, kiosk, quoted};
use trm_firmware_host::kiosk::StateStore;

fn photos() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photos")
}

/// A kiosk on a pipe, working, with that in its settings.
fn start(place: &Place, more: &str) -> (Running, Feeder) {
    let (settings, pipe) = place.on_a_pipe(more);
    let feeder = Feeder::start(&pipe);
    let running = Running::start(&mut kiosk(&settings));
    running.works();
    (running, feeder)
}

#[cfg(feature = "mqtt")]
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_state_folder_that_cannot_be_made_is_a_trouble_until_it_can() {
    let place = Place::new();
    // A file where the folder should be.
    std::fs::write(place.path("state"), "in the way").unwrap();
    let (running, _feeder) = start(&place, "");
    assert!(running.is_troubled("state", "not-found") || running.is_troubled("state", "input-output"));
    running.says("state: ");
    running.says("the counters begin at nothing, in memory");
    running.says("the built-in models are used");
    std::fs::remove_file(place.path("state")).unwrap();
    running.says("state: works again");
    eventually("no trouble is left", || running.health()["troubles"].as_array().unwrap().is_empty());
    let (status, _, log) = running.end("-TERM");
    assert!(status.success(), "{log}");
    let (_, kept) = StateStore::open(place.path("state"), &mut Vec::new()).unwrap();
    assert_eq!(kept.counters.starts, 1);
}

#[test]
fn a_models_folder_that_cannot_be_made_is_a_trouble_until_it_can() {
    let place = Place::new();
    let models = place.path("state").join("models");
    std::fs::create_dir(place.path("state")).unwrap();
    // A file where the folder should be.
    std::fs::write(&models, "in the way").unwrap();
    let (running, _feeder) = start(&place, "");
    eventually("the models are missed", || running.health()["troubles"][0]["part"] == "models");
    running.says("the built-in models are used");
    std::fs::remove_file(&models).unwrap();
    running.says("models: works again");
    eventually("no trouble is left", || running.health()["troubles"] == serde_json::json!([]));
    assert!(models.join("incoming").is_dir());
}

#[test]
fn counters_in_memory_are_added_to_those_on_disk() {
    let place = Place::new();
    let hidden = place.path("hidden");
    {
        let (store, mut kept) = StateStore::open(&hidden, &mut Vec::new()).unwrap();
        (kept.counters.starts, kept.counters.solved) = (41, 7);
        store.save(&mut kept).unwrap();
    }
    std::fs::write(place.path("state"), "in the way").unwrap();
    let (running, _feeder) = start(&place, "");
    std::fs::remove_file(place.path("state")).unwrap();
    std::fs::rename(&hidden, place.path("state")).unwrap();
    running.says("state: works again");
    running.end("-TERM");
    let (_, kept) = StateStore::open(place.path("state"), &mut Vec::new()).unwrap();
    assert_eq!((kept.counters.starts, kept.counters.solved), (42, 7));
}

/// A kiosk on a disk of its own, prepared by a script in a namespace. Tells what it logged and answered.
fn on_a_disk(prepare: &str) -> String {
    const SCRIPT: &str = r#"
        mount -t tmpfs -o size=1m none "$DISK" || exit 99
        mkdir "$DISK/state" || exit 98
    "#;
    const RUN: &str = r#"
        "$KIOSK" kiosk --config "$SETTINGS" --state "$DISK/state" --once 2>&1
        echo "code $?"
    "#;
    let place = Place::new();
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let camera = format!("[camera]\nsource = \"pictures\"\npath = {}\n", quoted(&photos().join("image8.jpg")));
    let settings = place.settings(&camera, "");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &format!("{SCRIPT}{prepare}{RUN}")])
        .env("DISK", &disk)
        .env("KIOSK", env!("CARGO_BIN_EXE_trm-host"))
        .env("SETTINGS", &settings)
        .output()
        .expect("unshare, of util-linux");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "this test needs user namespaces, or root: {output:?}");
    said
}

#[test]
fn a_full_state_folder_keeps_no_kiosk_from_answering() {
    let said = on_a_disk("head -c 2097152 /dev/zero >\"$DISK/fill\" 2>/dev/null\n");
    assert!(said.contains("state: ") && said.contains("No space left on device"), "{said}");
    assert!(said.contains(": solved in ") && said.ends_with("code 0\n"), "{said}");
}

#[test]
fn a_read_only_state_folder_keeps_no_kiosk_from_answering() {
    let said = on_a_disk("mount -o remount,ro \"$DISK\" || exit 97\n");
    assert!(said.contains("state: ") && said.contains("Read-only file system"), "{said}");
    assert!(said.contains("the built-in models are used"), "{said}");
    assert!(said.contains(": solved in ") && said.ends_with("code 0\n"), "{said}");
}

#[test]
fn two_kiosks_on_one_state_folder_stay_refused() {
    let place = Place::new();
    let (running, _feeder) = start(&place, "");
    let output = kiosk(&place.path("kiosk.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("another kiosk is running with this state folder"), "{said}");
    running.works();
}

#[test]
fn a_metrics_port_in_use_is_a_trouble_until_it_is_free() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (settings, pipe) = place.on_a_pipe(&format!("[metrics]\nlisten = \"{address}\"\n"));
    let _feeder = Feeder::start(&pipe);
    let running = Running::start(&mut kiosk(&settings));
    running.says(&format!("metrics: cannot listen on {address} for metrics: Address already in use"));
    drop(taken);
    running.says("metrics: works again");
    assert_eq!(running.pages(), address);
    running.works();
    assert_eq!(get(address, "/healthz").0, 200);
    assert_eq!(running.health()["troubles"], serde_json::json!([]));
}

#[cfg(feature = "mqtt")]
#[test]
fn a_broker_that_is_away_is_a_trouble() {
    let place = Place::new();
    let mqtt = format!("[mqtt]\nhost = \"127.0.0.1\"\nport = {}\ntopic = \"hall/kiosk\"\n", free_port());
    let (running, _feeder) = start(&place, &mqtt);
    eventually("the broker is missed", || running.is_troubled("mqtt", "unreachable"));
    running.works();
    let (status, took, log) = running.end("-TERM");
    assert!(status.success() && took.as_secs_f64() < 1.0, "{took:?}\n{log}");
    assert_eq!(log.matches("mqtt: ").count(), 1, "{log}");
}

#[cfg(feature = "mqtt")]
#[test]
fn a_password_file_that_is_missing_is_a_trouble() {
    let place = Place::new();
    let file = quoted(&place.path("password"));
    let mqtt = format!(
        "[mqtt]\nhost = \"127.0.0.1\"\nport = {}\ntopic = \"hall/kiosk\"\nuser = \"kiosk\"\npassword_file = {file}\n",
        free_port()
    );
    let (running, _feeder) = start(&place, &mqtt);
    eventually("the password is missed", || running.is_troubled("mqtt", "not-found"));
    let (status, took, log) = running.end("-INT");
    assert!(status.success() && took.as_secs_f64() < 1.0, "{took:?}\n{log}");
}

#[test]
fn pictures_that_are_not_there_yet_are_waited_for() {
    let place = Place::new();
    let folder = place.path("pictures");
    let camera = format!("[camera]\nsource = \"pictures\"\npath = {}\nrepeat = true\n", quoted(&folder));
    let running = Running::start(&mut kiosk(&place.settings(&camera, "")));
    eventually("the folder is missed", || running.is_troubled("camera", "not-found"));
    std::fs::create_dir(&folder).unwrap();
    eventually("the folder is empty", || running.is_troubled("camera", "source"));
    std::fs::copy(photos().join("image8.jpg"), folder.join("new.jpg")).unwrap();
    running.says(": solved in ");
    eventually("the trouble is over", || running.health()["troubles"] == serde_json::json!([]));
}

#[test]
fn a_camera_is_essential() {
    let place = Place::new();
    for camera in [
        format!("[camera]\nsource = \"mjpeg\"\npath = {}\n", quoted(&place.path("nowhere"))),
        // Nobody waits for pictures of a kiosk that is to deal with one.
        format!("[camera]\nsource = \"pictures\"\npath = {}\n", quoted(&place.path("nowhere"))),
    ] {
        let output = kiosk(&place.settings(&camera, "")).arg("--once").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("error: ") && said.contains("nowhere"), "{said}");
    }
}

#[test]
fn displays_that_are_not_there_are_troubles() {
    let place = Place::new();
    let missing = place.path("not yet");
    let displays =
        format!("[[display]]\ntarget = \"png\"\npath = {}\ntheme = \"128x64\"\n", quoted(&missing.join("shown.png")));
    let (running, _feeder) = start(&place, &displays);
    assert!(running.is_troubled("screen", "not-found"), "{}", running.health());
    std::fs::create_dir(&missing).unwrap();
    running.says("screen: works again");
    assert!(missing.join("shown.png").is_file());
    drop(running);

    let place = Place::new();
    let framebuffer = quoted(&place.path("fb7"));
    let display = format!("[[display]]\ntarget = \"framebuffer\"\npath = {framebuffer}\ntheme = \"320x240\"\n");
    let (running, _feeder) = start(&place, &display);
    assert!(running.health()["troubles"][0]["part"] == "screen", "{}", running.health());
}

#[test]
fn a_microcontroller_that_is_not_there_is_a_trouble() {
    let place = Place::new();
    let device = format!("[device]\nport = {}\nheartbeat_ms = 50\n", quoted(&place.path("ttyACM7")));
    let panel = "[[display]]\ntarget = \"panel\"\ntheme = \"240x240\"\n";
    let (running, _feeder) = start(&place, &format!("{panel}{device}"));
    running.says("the device does not answer yet");
    eventually("the device is missed", || running.is_troubled("device", "no-port"));
    running.works();
}

#[test]
fn names_of_files_are_logged_without_what_a_terminal_obeys() {
    let place = Place::new();
    let folder = place.path("pictures");
    std::fs::create_dir(&folder).unwrap();
    for k in 0..50 {
        std::fs::write(folder.join(format!("{k}\nkiosk: all is well\x1b[2J.jpg")), "no picture").unwrap();
    }
    std::fs::copy(photos().join("image8.jpg"), folder.join("a\nkiosk: forged\x1b[31m.jpg")).unwrap();
    let camera = format!("[camera]\nsource = \"pictures\"\npath = {}\nrepeat = true\n", quoted(&folder));
    let running = Running::start(&mut kiosk(&place.settings(&camera, "")));
    running.says(": solved in ");
    running.says("camera: ");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let (_, _, log) = running.end("-TERM");
    assert!(!log.contains('\x1b') && !log.contains("\nkiosk: all") && !log.contains("\nkiosk: forged"), "{log}");
    assert!(log.contains("a\\nkiosk: forged\\u{1b}[31m.jpg: solved in "), "{log}");
    // Fifty files that are no pictures, in every round, are worth a line or two.
    assert!(log.matches("not a picture").count() <= 2, "{log}");
}
