//! `trm-host kiosk` and `trm-host model` as a user meets them before anything runs.

use std::path::Path;
use std::process::{Command, Output};

use trm_firmware_host::kiosk::KioskConfig;
use trm_firmware_host::kiosk::config::CameraConfig;

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
