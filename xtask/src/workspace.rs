//! Paths of the workspace, whatever the current directory.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

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
