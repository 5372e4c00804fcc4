//! ONNX Runtime with its training API, for the tests that need it.
//!
//! Training was dropped from the releases after 1.19.2, whose builds are Python wheels without a `libonnxruntime.so`. The
//! wheel's extension module, Python's shared library and the shim that makes the two look like ONNX Runtime's
//! library (`xtask/ort-training-shim`) are put side by side into `target/onnxruntime-training/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::wheel::{self, Wheel};
use crate::{process, python, workspace};

const WHEEL: Wheel = Wheel {
    package: "onnxruntime-training-cpu",
    version: "1.19.2",
    platform: "manylinux_2_28_x86_64",
    sha256: "9b3cde497eb76af75ecae2eb2a4e3a8b2477da0b833315a3d5e2c63f0dc8d5d6",
};
const MODULE: &str = "onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so";
const PYTHON: &str = "libpython3.11.so.1.0";
/// Name of the library, like those of ONNX Runtime's own files: the version is read off the end.
const LIBRARY: &str = "libonnxruntime_training.so.1.19.2";

/// True if there is a build for this platform.
pub(crate) fn available() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64"))
}

/// Makes sure that wheel, Python's library and shim are in the cache, and returns the shim's path.
pub(crate) fn fetch() -> Result<PathBuf> {
    if !available() {
        bail!("{} {} is published for Linux on x86_64 only", WHEEL.package, WHEEL.version);
    }
    let folder = workspace::cache().join("onnxruntime-training").join(WHEEL.version);
    if folder.join(MODULE).is_file() {
        eprintln!("{} {} is in {} already", WHEEL.package, WHEEL.version, workspace::shown(&folder));
    } else {
        wheel::fetch(&WHEEL, &folder, |name| name == MODULE)?;
    }
    link_python(&folder)?;
    process::run(&mut process::cargo(&["build", "--release", "--package", "ort-training-shim"]))?;
    let built = workspace::cargo_target()?.join("release/libort_training_shim.so");
    let library = folder.join(LIBRARY);
    // Copied under another name first: a process may have the present file loaded.
    let fresh = folder.join(format!("{LIBRARY}.new"));
    fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&fresh, &library).with_context(|| format!("cannot create {}", library.display()))?;
    Ok(library)
}

/// Links Python 3.11's shared library into the folder: its exact version does not matter, since it is never started.
fn link_python(folder: &Path) -> Result<()> {
    let link = folder.join(PYTHON);
    if link.is_file() {
        return Ok(());
    }
    let folders = library_folders();
    let Some(found) = folders.iter().map(|folder| folder.join(PYTHON)).find(|path| path.is_file()) else {
        let searched = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        bail!(
            "no {PYTHON} in {searched}\n\
             hint: `apt-get install libpython3.11`, `uv python install 3.11` or `PYTHON_CONFIGURE_OPTS=--enable-shared \
             pyenv install 3.11`, then PYTHON=path/to/python3.11 cargo xtask ort-training"
        );
    };
    // What is left of a link to a Python that is gone.
    let _ = fs::remove_file(&link);
    symlink(&found, &link).with_context(|| format!("cannot link {} to {}", link.display(), found.display()))
}

/// Folders of Python's library: the ones that Python itself names, then those of distributions.
fn library_folders() -> Vec<PathBuf> {
    let script = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))";
    let own = process::output(python::python().args(["-c", script])).ok().map(PathBuf::from);
    let usual = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/lib", "/usr/lib"].map(PathBuf::from);
    own.into_iter().chain(usual).collect()
}

#[cfg(unix)]
fn symlink(original: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(original, link)
}

#[cfg(not(unix))]
fn symlink(original: &Path, link: &Path) -> std::io::Result<()> {
    fs::copy(original, link).map(|_| ())
}
