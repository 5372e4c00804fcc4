//! The authors and licences of the crates that are linked into the programs: most licences ask for their text beside a
//! program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Architecture, FEATURES};
use crate::process;

const INTRODUCTION: &str =
    "The crates that are linked into trm and trm-host, with their licences, and then the texts that they come with.\n";
/// The beginnings of names of files that hold a licence or a copyright.
const TEXTS: [&str; 5] = ["license", "licence", "copying", "copyright", "notice"];

/// The crates, and the licences' texts, each once.
pub(super) fn collected(architecture: Architecture) -> Result<String> {
    let mut command = process::cargo(&["tree", "--edges", "normal", "--prefix", "none", "--no-dedupe"]);
    command.args(["--package", "trm-cli", "--package", "trm-firmware-host", "--target", architecture.triple()]);
    command.args(FEATURES);
    let linked = linked(&process::output(command.args(["--format", "{p}"]))?);
    let mut command = process::cargo(&["metadata", "--format-version", "1", "--filter-platform"]);
    let metadata = process::output(command.arg(architecture.triple()).args(FEATURES))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata printed something else")?;
    let mut list = INTRODUCTION.to_owned();
    // A text, and the crates that have it.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let field = |name: &str| package[name].as_str().unwrap_or_default();
        let name = format!("{} {}", field("name"), field("version"));
        if !linked.contains(&name) {
            continue;
        }
        writeln!(list, "\n{name}\n    {}\n    {}", field("license"), field("repository"))?;
        for text in texts_in(Path::new(field("manifest_path")).parent().context("a manifest has a folder")?)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (text, crates) in texts {
        write!(list, "\n{}\n{}\n\n{text}\n", "-".repeat(80), crates.join(", "))?;
    }
    Ok(list)
}

/// Name and version of each crate of a registry, from `cargo tree`'s lines. Procedural macros are not linked.
fn linked(tree: &str) -> BTreeSet<String> {
    let is_linked = |line: &&str| !line.contains(" (proc-macro)") && !line.contains(" (/");
    let crates = tree.lines().filter(is_linked).filter_map(|line| line.split_once(" v"));
    crates.map(|(name, version)| format!("{name} {}", version.split(' ').next().unwrap_or_default())).collect()
}

/// The texts in a crate's folder, without blanks at their ends.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_file() && TEXTS.iter().any(|begin| name.starts_with(begin)) {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push(String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim().to_owned());
        }
    }
    texts.sort();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_crates_are_those_of_registries() {
        let tree = "trm-solver v0.1.0 (/x/solver)\n\nserde v1.0.0\nanyhow v1.0.0 (*)\nserde v1.0.0\nserde_derive v1.0.0 (proc-macro)";
        let expected = ["anyhow 1.0.0", "serde 1.0.0"].map(str::to_owned);
        assert_eq!(linked(tree), BTreeSet::from(expected));
    }

    #[test]
    fn texts_are_found_whatever_their_case() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [("LICENSE-MIT", "mine\r\nyours\r\n"), ("Copying.md", "both"), ("lib.rs", "code")] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        assert_eq!(texts_in(folder.path()).unwrap(), ["both", "mine\nyours"]);
    }
}
