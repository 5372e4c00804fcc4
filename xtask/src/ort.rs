//! The pinned ONNX Runtime, taken from the wheel that its makers publish for Python: the shared library inside is the
//! same for every Python.
//!
//! Programs that cargo starts in the checkout find it by `TRM_ORT_CACHE`, which `.cargo/config.toml` sets to the folder it is put
//! into; others do not look there.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::wheel::{self, Wheel};
use crate::workspace;

/// The version that the tests run against.
pub(crate) const VERSION: &str = "1.32.0";

struct Platform {
    os: &'static str,
    arch: &'static str,
    wheel: Wheel,
    library: &'static str,
}

const fn wheel(platform: &'static str, sha256: &'static str) -> Wheel {
    Wheel { package: "onnxruntime", version: VERSION, platform, sha256 }
}

const PLATFORMS: [Platform; 3] = [
    Platform {
        os: "linux",
        arch: "x86_64",
        wheel: wheel("manylinux_2_28_x86_64", "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d"),
        library: "libonnxruntime.so.1.32.0",
    },
    Platform {
        os: "linux",
        arch: "aarch64",
        wheel: wheel("manylinux_2_28_aarch64", "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c"),
        library: "libonnxruntime.so.1.32.0",
    },
    Platform {
        os: "macos",
        arch: "aarch64",
        wheel: wheel("macosx_14_0_arm64", "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c"),
        library: "libonnxruntime.1.32.0.dylib",
    },
];

/// Makes sure that this machine's library is in the cache and returns its path.
pub(crate) fn fetch() -> Result<PathBuf> {
    let folder = workspace::cache().join("onnxruntime").join(VERSION);
    fetch_for(std::env::consts::OS, std::env::consts::ARCH, &folder)
}

/// Makes sure that another machine's library is in `folder` and returns its path.
pub(crate) fn fetch_for(os: &str, arch: &str, folder: &Path) -> Result<PathBuf> {
    let Some(platform) = PLATFORMS.iter().find(|platform| platform.os == os && platform.arch == arch) else {
        bail!(
            "no ONNX Runtime {VERSION} is pinned for {os} on {arch}\n\
             hint: on such a machine, install libonnxruntime yourself and set ORT_DYLIB_PATH"
        );
    };
    let library = folder.join(platform.library);
    if library.is_file() {
        eprintln!("ONNX Runtime {VERSION} is in {} already", workspace::shown(folder));
        return Ok(library);
    }
    wheel::fetch(&platform.wheel, folder, |name| name.starts_with("libonnxruntime"))?;
    ensure!(library.is_file(), "the onnxruntime wheel holds no {}", platform.library);
    Ok(library)
}
