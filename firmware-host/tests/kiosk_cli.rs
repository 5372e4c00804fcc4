//! `trm-host kiosk` and `trm-host model` as a user meets them before anything runs.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::Path;
use std::process::{Command, Output};

use trm_firmware_host::kiosk::KioskConfig;
use trm_firmware_host::kiosk::config::CameraConfig;
use trm_models::ModelBundle;

fn trm_host(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trm-host")).args(arguments).env_remove("STATE_DIRECTORY").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn settings_are_checked_without_running() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kiosk.toml");
    let output = trm_host(&["kiosk", "--check", "--config", example.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    // It runs as it stands from the repository's root: its pictures are there.
    let config = KioskConfig::read(&example).unwrap();
    let CameraConfig::Pictures { path, .. } = config.camera else { panic!("{:?}", config.camera) };
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    assert!(pictures.join("image1036.jpg").is_file(), "{}", pictures.display());

    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("kiosk.toml");
    std::fs::write(&bad, "[camera]\nsource = \"pictures\"\npath = \"x\"\nrepeating = true\n").unwrap();
    let output = trm_host(&["kiosk", "--config", bad.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("kiosk.toml: ") && said.contains("unknown field `repeating`, expected"), "{said}");
    assert!(said.trim_end().ends_with("hint: examples/kiosk.toml has every key with what it means"), "{said}");
}

#[test]
fn a_kiosk_without_a_state_folder_is_told_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("kiosk.toml");
    std::fs::write(&settings, "[camera]\nsource = \"pictures\"\npath = \"x\"\n").unwrap();
    let output = trm_host(&["kiosk", "--config", settings.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: no folder for the state\nhint: --state DIR, or state = "));
}

#[test]
fn models_of_a_new_state_folder_are_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let output = trm_host(&["model", "list", "--state", state]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
    let output = trm_host(&["model", "roll-back", "sudoku-9x9", "--state", state]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no model was activated for sudoku-9x9"), "{}", stderr(&output));
}

#[test]
fn a_bundle_that_passes_its_self_test_becomes_active() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sudoku-4");
    let output = trm_host(&["model", "activate", shipped.to_str().unwrap(), "--state", state]);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = trm_host(&["model", "list", "--state", state]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("sudoku-4x4\t"), "{output:?}");

    // A damaged one does not.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let bundle = ModelBundle::open(&shipped).unwrap();
    for file in bundle.manifest().file_names().chain(["manifest.json"]) {
        std::fs::copy(shipped.join(file), other.join(file)).unwrap();
    }
    let weights = bundle.manifest().file_names().find(|name| name.contains(".onnx")).unwrap().to_owned();
    let mut bytes = std::fs::read(other.join(&weights)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(other.join(&weights), bytes).unwrap();
    let output = trm_host(&["model", "activate", other.to_str().unwrap(), "--state", state]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("not activated: "), "{}", stderr(&output));
}
