//! Paths of the workspace, whatever the current directory.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process;

/// The options of every build: the whole workspace with what is off by default. One set of features for all checks,
/// since another one builds what is common again, which is minutes.
pub(crate) const EVERYTHING: [&str; 4] = ["--workspace", "--release", "--features", "trm-firmware-host/ros2"];

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir)
}

/// The folder of fetched things: always the workspace's own `target/`, so that the solver finds
/// them there even when `CARGO_TARGET_DIR` moves cargo's output.
pub(crate) fn cache() -> PathBuf {
    root().join("target")
}

/// Cargo's target directory, read off this program's own path: `<target>/debug/xtask`.
pub(crate) fn cargo_target() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell the path of this program")?;
    let target = exe.ancestors().nth(2);
    Ok(target.with_context(|| format!("{} is not in a target directory", exe.display()))?.to_path_buf())
}

/// A program of the workspace, built as the other checks build it.
pub(crate) fn built_program(name: &str) -> Result<PathBuf> {
    process::run(process::cargo(&["build", "--bins"]).args(EVERYTHING))?;
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(cargo_target()?.join("release").join(file))
}

/// The bundle folders of `models/`.
pub(crate) fn shipped_bundles() -> Result<Vec<PathBuf>> {
    let models = root().join("models");
    let mut bundles = Vec::new();
    for entry in std::fs::read_dir(&models).context("cannot read models/")? {
        let folder = entry?.path();
        if folder.join("manifest.json").is_file() {
            bundles.push(folder);
        }
    }
    bundles.sort();
    Ok(bundles)
}

/// A path as shown to people: relative to the root where it is inside it.
pub(crate) fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(root()).unwrap_or(path).display()
}
