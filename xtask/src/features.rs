//! `cargo xtask test features`: combinations of features that no other check compiles, and the oldest compiler.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{process, workspace};

/// Combinations beside the one that all other checks build, which is the defaults with `ros2`. Of the whole workspace, so that the
/// engines have the features that they have everywhere, and little of them is read again.
const COMBINATIONS: [(&str, &[&str]); 3] = [
    ("without MQTT", &["--no-default-features"]),
    ("without MQTT, with Linux cameras", &["--no-default-features", "--features", "trm-firmware-host/v4l2"]),
    ("everything", &["--all-features"]),
];

/// Built-in engines, with each of which `trm` compiles, and with none: ONNX Runtime is enough.
const ENGINES: [(&str, &[&str]); 3] = [
    ("without built-in engines", &[]),
    ("rten alone", &["--features", "rten"]),
    ("tract alone", &["--features", "tract"]),
];

/// Compiles each combination with warnings as errors, and holds everything to the oldest compiler of the workspace.
pub(crate) fn check() -> Result<()> {
    let oldest = oldest_compiler()?;
    for (what, arguments) in COMBINATIONS {
        eprintln!("{what}");
        let mut clippy = process::cargo(&["clippy", "--release", "--all-targets", "--workspace"]);
        // The fuzz targets want the defaults, and with them everybody would have these.
        clippy.args(["--exclude", "trm-fuzz"]).args(arguments).args(["--", "-D", "warnings"]);
        process::run(&mut clippy)?;
    }
    for (what, arguments) in ENGINES {
        eprintln!("{what}");
        let mut clippy = process::cargo(&["clippy", "--release", "--package", "trm-cli", "--lib", "--bins"]);
        clippy.arg("--no-default-features").args(arguments).args(["--", "-D", "warnings"]);
        process::run(&mut clippy)?;
    }
    let version = Command::new("rustup").args(["run", &oldest, "rustc", "--version"]).output();
    if version.is_ok_and(|output| output.status.success()) {
        let mut check = Command::new("rustup");
        check.args(["run", &oldest, "cargo", "check", "--release", "--workspace", "--target-dir", "target/oldest"]);
        return process::run(check.current_dir(workspace::root()));
    }
    eprintln!(
        "\n!! NOT TESTED: that Rust {oldest} compiles the workspace: it is not installed; `rustup toolchain install {oldest}`. \
         No dependency says that it needs a later one, and clippy has found no later function of the standard library\n"
    );
    Ok(())
}

/// The workspace's `rust-version`; an error if a dependency needs a later one.
fn oldest_compiler() -> Result<String> {
    let metadata = process::output(&mut process::cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata printed something else")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let own = packages.iter().find(|package| package["name"] == "xtask").context("xtask is no package")?;
    let oldest = own["rust_version"].as_str().context("the workspace has no rust-version")?;
    let later: Vec<String> = packages
        .iter()
        .filter(|package| package["rust_version"].as_str().is_some_and(|needed| number(needed) > number(oldest)))
        .map(|package| format!("{} {} needs {}", package["name"], package["version"], package["rust_version"]))
        .collect();
    ensure!(later.is_empty(), "the workspace promises Rust {oldest}, but {}", later.join(", "));
    eprintln!("{} packages, none of which needs a later compiler than Rust {oldest}", packages.len());
    Ok(oldest.to_owned())
}

/// `1.92` as numbers that compare as versions do.
fn number(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(
            number("1.100") > number("1.92") && number("1.92.1") > number("1.92") && number("1.9") < number("1.92")
        );
        assert_eq!(number("1.92"), number("1.92.0"));
    }
}
