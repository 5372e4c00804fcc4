//! The unit file says what the program counts on, and systemd takes it where it is installed.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn unit() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/trm-kiosk.service");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// (section, key, value) of every line.
fn keys(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("neither section nor key: {line}"));
            keys.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    keys
}

#[test]
fn the_unit_has_what_the_program_counts_on() {
    let (_, text) = unit();
    let keys = keys(&text);
    let value = |key: &str| {
        let found: Vec<_> =
            keys.iter().filter(|(_, name, _)| name == key).map(|(_, _, value)| value.as_str()).collect();
        found.join(" ")
    };
    for (key, expected) in [
        ("Type", "notify"),
        ("StateDirectory", "trm-kiosk"),
        ("Restart", "always"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("Environment", "ORT_DISABLE_TELEMETRY=1"),
        ("OOMPolicy", "continue"),
        ("DevicePolicy", "closed"),
        ("DeviceAllow", "char-video4linux rw char-fb rw char-ttyACM rw char-ttyUSB rw"),
        ("WantedBy", "multi-user.target"),
    ] {
        assert_eq!(value(key), expected, "{key}");
    }
    // There is no heartbeat while the solver works.
    let watchdog: u64 = value("WatchdogSec").parse().unwrap();
    let defaults = trm_firmware_host::kiosk::config::SolverConfig::default();
    assert!(watchdog * 1_000 > 2 * defaults.timeout_ms, "WatchdogSec={watchdog}");
    // The test of an active model comes before the first heartbeat.
    let start: u64 = value("TimeoutStartSec").parse().unwrap();
    assert!(start > 2 * trm_firmware_host::kiosk::tester::TestLimits::default().time.as_secs());
    assert!(keys.iter().all(|(section, ..)| ["Unit", "Service", "Install"].contains(&section.as_str())));
}

#[test]
fn systemd_takes_the_unit() {
    let (path, text) = unit();
    let folder = tempfile::tempdir().unwrap();
    // systemd looks for the program and complains of one that is not installed; this one is on every machine.
    let installed = folder.path().join("trm-kiosk.service");
    let text = text.replace("/usr/bin/trm-host", "/bin/true");
    std::fs::write(&installed, &text).unwrap();
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&installed).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {said}", path.display());
            // Unknown keys and bad values are warnings that name the file.
            assert!(!said.contains("trm-kiosk.service"), "{}: {said}", path.display());
            // And they would be seen.
            std::fs::write(&installed, text.replace("WatchdogSec=60", "WatchdogSecs=60")).unwrap();
            let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&installed).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("WatchdogSecs"), "{said}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("NOT TESTED: no systemd-analyze here; only the unit's keys were looked at");
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}
