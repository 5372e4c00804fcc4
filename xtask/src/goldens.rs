//! Golden numbers of the reference, copied into the tests that compare with them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::everything::EVERYTHING;
use crate::{process, workspace};

const FIXTURES: &str = "export/tests/fixtures/golden";
/// The files of a golden folder: those that training saves, and the numbers that the reference computed from them.
const FILES: [&str; 4] = ["all_config.yaml", "manifest.json", "outputs.safetensors", "step_1000"];

/// Copies the named golden folders, or every one in `from`, byte for byte; then the manifests that do not say what is
/// judged of their recording are given that section.
pub(crate) fn copy(from: &Path, names: &[String]) -> Result<()> {
    let names = if names.is_empty() { all_in(from)? } else { names.to_vec() };
    ensure!(!names.is_empty(), "{} holds no golden folder (one with {})", from.display(), FILES.join(", "));
    let mut copied = Vec::new();
    for name in &names {
        let (source, target) = (from.join(name), workspace::root().join(FIXTURES).join(name));
        let missing = FILES.iter().find(|file| !source.join(file).is_file());
        ensure!(missing.is_none(), "{} is no golden folder: it has no {}", source.display(), missing.unwrap_or(&""));
        fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
        let mut bytes = 0;
        for file in FILES {
            // Read and written rather than copied: the source's read-only mode is not wanted here.
            let content =
                fs::read(source.join(file)).with_context(|| format!("cannot read {}", source.join(file).display()))?;
            bytes += content.len();
            fs::write(target.join(file), content)
                .with_context(|| format!("cannot write {}", target.join(file).display()))?;
        }
        println!("{} {} KiB", workspace::shown(&target), bytes / 1024);
        copied.push(target);
    }
    process::run(process::cargo(&["build", "--example", "record"]).args(EVERYTHING))?;
    let recorder = workspace::cargo_target()?.join("release/examples/record");
    process::run(Command::new(recorder).arg("--judge").args(&copied))
}

fn all_in(from: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if FILES.iter().all(|file| entry.path().join(file).is_file()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
