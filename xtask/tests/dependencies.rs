//! The packages depend on each other one way only, and share the workspace's lints.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// For each package, the packages of this workspace that it may use (tests and build scripts included).
const ALLOWED: [(&str, &[&str]); 20] = [
    ("trm-intake", &[]),
    ("trm-pictures", &["trm-intake"]),
    ("trm-puzzles", &["trm-intake"]),
    ("trm-models", &["trm-intake"]),
    ("trm-onnx", &["trm-intake"]),
    ("trm-export", &["trm-intake", "trm-models", "trm-onnx"]),
    ("trm-plan", &["trm-intake", "trm-pictures", "trm-puzzles"]),
    ("trm-engine", &["trm-intake", "trm-models", "trm-onnx"]),
    (
        "trm-solver",
        &["trm-engine", "trm-export", "trm-intake", "trm-models", "trm-pictures", "trm-plan", "trm-puzzles"],
    ),
    (
        "trm-train",
        &[
            "trm-engine",
            "trm-export",
            "trm-intake",
            "trm-models",
            "trm-pictures",
            "trm-plan",
            "trm-puzzles",
            "trm-solver",
        ],
    ),
    (
        "trm-cli",
        &[
            "trm-engine",
            "trm-export",
            "trm-features",
            "trm-intake",
            "trm-models",
            "trm-pictures",
            "trm-plan",
            "trm-puzzles",
            "trm-solver",
            "trm-train",
        ],
    ),
    // Features of other people's crates, for programs.
    ("trm-features", &[]),
    ("trm-protocol", &[]),
    ("trm-http", &[]),
    // A robot that only drives: no model, no engine.
    ("trm-link", &["trm-intake", "trm-pictures", "trm-plan", "trm-protocol"]),
    (
        "trm-firmware-host",
        &[
            "trm-cli",
            "trm-engine",
            "trm-export",
            "trm-features",
            "trm-http",
            "trm-intake",
            "trm-link",
            "trm-models",
            "trm-pictures",
            "trm-plan",
            "trm-protocol",
            "trm-puzzles",
            "trm-solver",
            "trm-train",
        ],
    ),
    (
        "trm-benches",
        &[
            "trm-cli",
            "trm-engine",
            "trm-export",
            "trm-intake",
            "trm-models",
            "trm-plan",
            "trm-puzzles",
            "trm-solver",
            "trm-train",
        ],
    ),
    (
        "trm-fuzz",
        &[
            "trm-cli",
            "trm-engine",
            "trm-export",
            "trm-firmware-host",
            "trm-link",
            "trm-models",
            "trm-pictures",
            "trm-plan",
            "trm-protocol",
            "trm-puzzles",
            "trm-solver",
            "trm-train",
        ],
    ),
    ("xtask", &[]),
    ("ort-training-shim", &[]),
];

/// Packages that a robot's program, or a library, must not bring with it.
const ABSENT: [(&str, &[&str]); 5] = [
    ("trm-plan", &["tract-onnx", "ort", "clap", "indicatif", "ctrlc", "anyhow"]),
    ("trm-link", &["tract-onnx", "ort", "clap", "indicatif", "ctrlc", "anyhow"]),
    ("trm-engine", &["clap", "indicatif", "ctrlc"]),
    ("trm-solver", &["clap", "indicatif", "ctrlc"]),
    ("trm-train", &["clap", "indicatif", "ctrlc"]),
];

/// The workspace's packages by name, from `cargo metadata`.
fn members() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (text(&package["name"]).to_owned(), package.clone())).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Dependencies of a package that are folders of this workspace, whatever their kind.
fn internal<'a>(package: &'a Value, members: &BTreeMap<String, Value>) -> Vec<&'a str> {
    let dependencies = package["dependencies"].as_array().unwrap();
    let names = dependencies.iter().map(|dependency| text(&dependency["name"]));
    names.filter(|name| members.contains_key(*name)).collect()
}

#[test]
fn dependencies_point_one_way() {
    let members = members();
    for (name, package) in &members {
        let allowed = ALLOWED.iter().find(|(member, _)| member == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name} is not in this test's table: add it"));
        for dependency in internal(package, &members) {
            assert!(allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
    for (name, _) in ALLOWED {
        assert!(members.contains_key(name), "{name} is in this test's table, but not in the workspace");
    }
}

#[test]
fn a_forbidden_dependency_would_be_seen() {
    let members = members();
    // What the first test relies on: dependencies inside the workspace show up under their package names.
    let mut seen = internal(&members["trm-solver"], &members);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        seen,
        ["trm-engine", "trm-export", "trm-intake", "trm-models", "trm-pictures", "trm-plan", "trm-puzzles"]
    );
}

/// Names of the packages that a package is built of.
fn built_of(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn who_only_drives_builds_no_engine_and_no_library_brings_a_command_line() {
    for (package, absent) in ABSENT {
        let built = built_of(package);
        assert!(built.iter().any(|name| name == package), "{package} is built of itself");
        for name in absent {
            assert!(!built.iter().any(|built| built == name), "{package} brings {name} with it");
        }
    }
    // The test can fail.
    assert!(built_of("trm-cli").iter().any(|name| name == "clap"));
    assert!(built_of("trm-engine").iter().any(|name| name == "rten"));
}

#[test]
fn every_package_takes_the_workspace_s_lints_and_versions() {
    for (name, package) in members() {
        let path = Path::new(text(&package["manifest_path"]));
        let manifest = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            section(&manifest, "lints"),
            ["workspace = true"],
            "{name}: [lints] must hold `workspace = true` and nothing else"
        );
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            // Of `trm-features` they are crates that nothing here uses itself, at whatever version those have that do.
            for line in
                section(&manifest, table).into_iter().filter(|line| line.contains('=') && name != "trm-features")
            {
                assert!(line.contains("workspace = true"), "{name}: `{line}` must take its version from the workspace");
            }
        }
        assert!(!text(&package["description"]).is_empty(), "{name} has no description");
        assert_eq!(text(&package["license"]), "MIT OR Apache-2.0", "{name}");
        assert_eq!(package["publish"], Value::Array(Vec::new()), "{name} must not be published by mistake");
    }
}

/// The lines of a manifest's table, without blanks and comments.
fn section<'a>(manifest: &'a str, table: &str) -> Vec<&'a str> {
    let header = format!("[{table}]");
    let lines = manifest.lines().map(str::trim).skip_while(move |line| *line != header).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}
