//! Every program that listens for Ctrl-C listens for SIGTERM as well, as it is built by itself: a feature that another
//! package of the workspace turns on is not in what users install.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::process::Command;

/// Features of a dependency when this package is built alone, as `cargo install` builds it.
fn features(package: &str, dependency: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal,features", "--prefix", "none", "--offline"])
        .args(["--format", "{p}|{f}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{dependency} v")));
    let line = line.unwrap_or_else(|| panic!("{package} does not use {dependency}:\n{text}"));
    line.rsplit('|').next().unwrap().trim_end_matches(" (*)").split(',').map(str::to_owned).collect()
}

#[test]
fn sigterm_is_listened_for_in_each_package_by_itself() {
    for package in ["trm-cli", "trm-firmware-host"] {
        let features = features(package, "ctrlc");
        assert!(features.iter().any(|feature| feature == "termination"), "{package}: ctrlc has {features:?}");
    }
    // The test can fail: a feature that nobody asked for is not there.
    assert!(!features("trm-cli", "ctrlc").iter().any(|feature| feature == "no-such-feature"));
}
