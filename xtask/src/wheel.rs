//! Wheels of the Python package index, fetched by pip, checked against a pinned hash and unpacked.
//!
//! Always the `cp311` wheel: one wheel a platform means one hash to pin.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::{hash, process, python, workspace};

/// One file of the package index.
pub(crate) struct Wheel {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// pip's platform tag.
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
}

/// Downloads the wheel and unpacks the files whose names `wanted` accepts into `folder`, which does not exist yet: all
/// or nothing.
pub(crate) fn fetch(wheel: &Wheel, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let (package, version) = (wheel.package, wheel.version);
    let parent = folder.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    // Removed when dropped, so that a failure leaves nothing behind.
    let downloads = tempfile::tempdir_in(parent).context("cannot create a download folder")?;
    process::run(
        python::pip()
            .args(["download", "--no-deps", "--only-binary=:all:", "--python-version=3.11"])
            .args(["--implementation=cp", "--platform", wheel.platform, "--dest"])
            .arg(downloads.path())
            .arg(format!("{package}=={version}"))
            .stdout(io::stderr()),
    )
    .with_context(|| format!("pip could not download {package} {version}"))?;
    install(&only_wheel(downloads.path())?, wheel.sha256, folder, wanted)?;
    eprintln!("{package} {version} is now in {}", workspace::shown(folder));
    Ok(())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    bail!("pip left no wheel in {}", folder.display())
}

/// Checks the wheel's hash, then unpacks the files whose names are wanted into `folder`, all or nothing.
fn install(wheel: &Path, sha256: &str, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let bytes = fs::read(wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
    let found = hash::hex(&Sha256::digest(&bytes));
    ensure!(
        found == sha256,
        "{} has SHA-256 {found}, expected {sha256}\n\
         hint: the package index served another file than the one pinned in xtask/src",
        wheel.file_name().unwrap_or_default().to_string_lossy(),
    );

    let parent = folder.parent().context("the cache folder has no parent")?;
    let unpacked = tempfile::tempdir_in(parent).context("cannot create a folder to unpack in")?;
    let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes))
        .with_context(|| format!("{} is not a zip file", wheel.display()))?;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let name = member.name()?.rsplit('/').next().unwrap_or_default().to_owned();
        if member.is_file() && wanted(&name) {
            let mut target = File::create(unpacked.path().join(&name))?;
            io::copy(&mut member, &mut target).with_context(|| format!("cannot unpack {name}"))?;
            target.sync_all()?;
        }
    }
    match fs::rename(unpacked.path(), folder) {
        // It lives on under its final name.
        Ok(()) => drop(unpacked.keep()),
        // Another call was faster.
        Err(_) if folder.is_dir() => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create {}", folder.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn is_library(name: &str) -> bool {
        name.starts_with("libonnxruntime")
    }

    fn write_wheel(path: &Path) -> String {
        let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (name, content) in [
            ("onnxruntime/capi/libonnxruntime.so.1.32.0", "the library"),
            ("onnxruntime/capi/../../libonnxruntime_providers_shared.so", "providers"),
            ("onnxruntime/__init__.py", "python"),
        ] {
            archive.start_file(name, options).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        hash::hex(&Sha256::digest(fs::read(path).unwrap()))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_is_wanted_is_unpacked_and_never_outside() {
        let temporary = tempfile::tempdir().unwrap();
        let wheel = temporary.path().join("a.whl");
        let sha256 = write_wheel(&wheel);
        let folder = temporary.path().join("1.32.0");
        install(&wheel, &sha256, &folder, is_library).unwrap();
        assert_eq!(names(&folder), ["libonnxruntime.so.1.32.0", "libonnxruntime_providers_shared.so"]);
        assert_eq!(fs::read_to_string(folder.join("libonnxruntime.so.1.32.0")).unwrap(), "the library");
        assert_eq!(names(temporary.path()), ["1.32.0", "a.whl"]);
    }

    #[test]
    fn another_hash_is_an_error_and_leaves_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let wheel = temporary.path().join("a.whl");
        let found = write_wheel(&wheel);
        let error = install(&wheel, "00ff", &temporary.path().join("1.32.0"), is_library).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("a.whl has SHA-256 {found}, expected 00ff\nhint: ")), "{text}");
        assert_eq!(names(temporary.path()), ["a.whl"]);
    }

    #[test]
    fn a_wheel_that_is_cut_short_leaves_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let wheel = temporary.path().join("a.whl");
        write_wheel(&wheel);
        let bytes = fs::read(&wheel).unwrap();
        fs::write(&wheel, &bytes[..bytes.len() / 2]).unwrap();
        let sha256 = hash::hex(&Sha256::digest(&bytes[..bytes.len() / 2]));
        let error = install(&wheel, &sha256, &temporary.path().join("1.32.0"), is_library).unwrap_err();
        assert!(error.to_string().ends_with("is not a zip file"), "{error}");
        assert_eq!(names(temporary.path()), ["a.whl"]);
    }
}
