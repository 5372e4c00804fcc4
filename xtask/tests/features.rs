//! A crate of other people is built once, with the same features, whichever of the README's commands comes first.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::disallowed_methods, reason = "asks cargo")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Features by crate and version, for the computer that is built for and for macros apart, as cargo lists them.
fn features(edges: &str, arguments: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--offline", "--edges", edges, "--prefix", "none", "--format", "{p} {f}"]);
    let output = command.args(arguments).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut crates = BTreeMap::<String, BTreeSet<String>>::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        // `serde v1.0.229 default,derive`; our own crates and macros have more words, and a star stands for what was listed.
        let words: Vec<&str> =
            line.trim_end_matches(" (*)").split_whitespace().filter(|word| *word != "(proc-macro)").collect();
        if let [name, version, features @ ..] = &words[..]
            && !name.starts_with("trm-")
            && !features.iter().any(|word| word.starts_with("(/"))
        {
            crates.entry(format!("{name} {version}")).or_default().insert(features.join(" "));
        }
    }
    assert!(crates.len() > 100, "{} crates", crates.len());
    crates
}

#[test]
fn no_crate_is_built_again_for_other_features() {
    let tests = features("normal,build,dev", &["--workspace", "--features", "trm-firmware-host/ros2"]);
    for program in ["trm-cli", "trm-firmware-host"] {
        let alone = features("normal,build", &["--package", program]);
        let again: Vec<String> = alone
            .iter()
            .filter(|(name, sets)| !sets.is_subset(&tests[*name]))
            .map(|(name, sets)| format!("{name}: {sets:?} for {program}, {:?} for the tests", tests[name]))
            .collect();
        assert!(again.is_empty(), "xtask/features/Cargo.toml lacks features of these:\n{}", again.join("\n"));
    }
}
