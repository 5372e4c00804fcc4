//! Python packages at pinned versions, in folders of their own under `target/python/`.
//!
//! `pip install --target` rather than a virtual environment: it needs nothing but pip (Debian
//! packages `ensurepip` apart) and never touches the machine's own packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::{hash, process, workspace};

/// The packages for the check of exported files; a few seconds to install.
pub(crate) const CHECK: &str = "xtask/python/requirements-check.txt";
/// The packages for the foreign DDS peer.
pub(crate) const DDS: &str = "xtask/python/requirements-dds.txt";
/// The packages for the PyTorch baseline of the benches; gigabytes.
pub(crate) const BENCH: &str = "xtask/python/requirements-bench.txt";

/// The Python to use: `$PYTHON`, else `python3`.
pub(crate) fn python() -> Command {
    let program = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// That Python's pip, quiet about its own newer versions.
pub(crate) fn pip() -> Command {
    let mut command = python();
    command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]);
    command
}

/// Python with the packages of a requirements file, installed on the first call.
pub(crate) struct Environment {
    packages: PathBuf,
}

impl Environment {
    /// Installs a requirements file, given by its path from the workspace's root, unless it is installed.
    pub(crate) fn with(requirements: &str) -> Result<Self> {
        let packages = folder_of(requirements)?;
        if packages.is_dir() {
            eprintln!("{requirements} is in {} already", workspace::shown(&packages));
        } else {
            install(&workspace::root().join(requirements), &packages)?;
        }
        Ok(Self { packages })
    }

    /// True if the packages of a requirements file are there already.
    pub(crate) fn is_installed(requirements: &str) -> bool {
        folder_of(requirements).is_ok_and(|packages| packages.is_dir())
    }

    /// This Python running a script, a path from the workspace's root.
    pub(crate) fn script(&self, script: &str) -> Command {
        let mut command = python();
        command.arg(script);
        for (key, value) in self.variables() {
            command.env(key, value);
        }
        command
    }

    /// The variables that make any program's Python see the packages and no user's.
    pub(crate) fn variables(&self) -> [(&'static str, &std::ffi::OsStr); 2] {
        [("PYTHONPATH", self.packages.as_os_str()), ("PYTHONNOUSERSITE", "1".as_ref())]
    }
}

/// A script of the workspace under a Python that has PyTorch and safetensors: the one that `$TORCH_PYTHON` names, or this one
/// with the benches' packages if they are there, or if this is CI, which installs them. `None` where there is none of them:
/// gigabytes are not fetched unasked.
pub(crate) fn torch_script(script: &str) -> Result<Option<Command>> {
    if let Some(program) = std::env::var_os("TORCH_PYTHON") {
        let mut command = Command::new(program);
        command.current_dir(workspace::root()).arg(script);
        return Ok(Some(command));
    }
    if !Environment::is_installed(BENCH) && std::env::var_os("CI").is_none() {
        return Ok(None);
    }
    Ok(Some(Environment::with(BENCH)?.script(script)))
}

/// The folder of the packages of a requirements file, installed or not.
fn folder_of(requirements: &str) -> Result<PathBuf> {
    let list = workspace::root().join(requirements);
    let content = fs::read(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let tag = process::output(python().args(["-c", "import sys; print(sys.implementation.cache_tag)"]))
        .context("Python 3 is needed\nhint: set PYTHON to the one to use")?;
    Ok(workspace::cache().join("python").join(folder_name(&list, &content, &tag)))
}

/// Names the folder after the list and the Python: another of either gets another folder.
fn folder_name(list: &Path, content: &[u8], tag: &str) -> String {
    let stem = list.file_stem().unwrap_or_default().to_string_lossy();
    let digest = hash::hex(&Sha256::digest(content));
    format!("{stem}-{tag}-{}", &digest[..12])
}

fn install(list: &Path, packages: &Path) -> Result<()> {
    let parent = packages.parent().context("the package folder has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let unfinished = tempfile::tempdir_in(parent).context("cannot create a package folder")?;
    process::run(
        pip()
            .args(["install", "--only-binary=:all:", "--target"])
            .arg(unfinished.path())
            .arg("--requirement")
            .arg(list)
            .stdout(io::stderr()),
    )
    .with_context(|| {
        format!(
            "pip could not install {}\nhint: the pinned packages need Python 3.11 or newer; \
             PYTHON names the one to use",
            workspace::shown(list)
        )
    })?;
    fs::rename(unfinished.path(), packages).with_context(|| format!("cannot create {}", packages.display()))?;
    drop(unfinished.keep());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_list_or_python_gets_its_own_folder() {
        let list = Path::new("python/requirements-check.txt");
        let name = folder_name(list, b"onnx==1\n", "cpython-311");
        assert!(name.starts_with("requirements-check-cpython-311-"), "{name}");
        assert_ne!(name, folder_name(list, b"onnx==2\n", "cpython-311"));
        assert_ne!(name, folder_name(list, b"onnx==1\n", "cpython-312"));
    }
}
