//! The files of a package, laid out as on the device.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::PROGRAMS;
use crate::{process, workspace};

const DOCUMENTS: &str = "usr/share/doc/trm-edge";
/// The completions of each shell: the file that `manual` wrote, and the path and name that the shell looks for.
const COMPLETIONS: [(&str, &str); 3] = [
    ("{}.bash", "usr/share/bash-completion/completions/{}"),
    ("_{}", "usr/share/zsh/vendor-completions/_{}"),
    ("{}.fish", "usr/share/fish/vendor_completions.d/{}.fish"),
];
/// Files of the sources that are installed as they are.
const AS_THEY_ARE: [(&str, &str); 2] = [
    ("packaging/debian/60-trm-edge.rules", "usr/lib/udev/rules.d/60-trm-edge.rules"),
    ("packaging/debian/lintian-overrides", "usr/share/lintian/overrides/trm-edge"),
];
/// Replacements in the example settings for an installed kiosk.
const SETTINGS: [(&str, &str); 6] = [
    (
        "# Settings of `trm-host kiosk --config kiosk.toml`. Values",
        "# Settings of the service trm-kiosk, which does not run before `systemctl enable --now trm-kiosk`. As they are they\n\
         # solve sample photographs and draw what a display would show into a file: change [camera] and [[display]]. Values",
    ),
    ("state = \"target/kiosk\"", "state = \"/var/lib/trm-kiosk\""),
    ("path = \"firmware-host/tests/fixtures/photos\"", "path = \"/usr/share/doc/trm-edge/examples/photos\""),
    ("repeat = false          # begin", "repeat = true           # begin"),
    ("path = \"target/kiosk.png\"", "path = \"/var/lib/trm-kiosk/display.png\""),
    ("port = \"/dev/ttyACM0\"    # or:", "port = \"/dev/trm-device\"  # by the package's udev rule; or:"),
];

/// Man pages and completions, written by the programs in `native`: they are those of any machine.
pub(super) fn manual(native: &Path, root: &Path) -> Result<()> {
    let written = tempfile::tempdir().context("cannot create a temporary folder")?;
    for program in PROGRAMS {
        process::run(Command::new(native.join(program)).arg("manual").arg(written.path()))?;
        for (from, to) in COMPLETIONS {
            let from = written.path().join("completions").join(from.replace("{}", program));
            copy(&from, &root.join(to.replace("{}", program)))?;
        }
    }
    copy_folder(&written.path().join("man1"), &root.join("usr/share/man/man1"), |_| true)
}

/// Models, examples, documents, settings, the rule for the microcontroller.
pub(super) fn others(root: &Path) -> Result<()> {
    let sources = workspace::root();
    for model in workspace::shipped_bundles()? {
        let name = model.file_name().unwrap_or_default();
        copy_folder(&model, &root.join("usr/share/trm-edge/models").join(name), |_| true)?;
    }
    let examples = root.join(DOCUMENTS).join("examples");
    copy_folder(&sources.join("examples"), &examples, |_| true)?;
    let is_shown = |path: &Path| path.extension().is_some_and(|extension| extension == "jpg" || extension == "md");
    copy_folder(&sources.join("firmware-host/tests/fixtures/photos"), &examples.join("photos"), is_shown)?;
    copy_folder(&sources.join("docs"), &root.join(DOCUMENTS), is_shown)?;
    for (from, to) in AS_THEY_ARE {
        copy(&sources.join(from), &root.join(to))?;
    }
    let example = sources.join("firmware-host/examples/kiosk.toml");
    let example = fs::read_to_string(&example).with_context(|| format!("cannot read {}", example.display()))?;
    write(&root.join("etc/trm-kiosk/kiosk.toml"), &settings(&example)?)
}

/// The example settings, for an installed kiosk.
fn settings(example: &str) -> Result<String> {
    let mut text = example.to_owned();
    for (from, to) in SETTINGS {
        ensure!(text.matches(from).count() == 1, "the example settings do not have `{from}` once: change SETTINGS");
        text = text.replace(from, to);
    }
    Ok(text)
}

pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    make_folder_of(to)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    make_folder_of(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// The files of a folder that are wanted, without the folders in it.
fn copy_folder(from: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        if path.is_file() && wanted(&path) {
            copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_not_generated_is_laid_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        others(root).unwrap();
        for file in [
            "usr/share/trm-edge/models/maze-9/step.onnx",
            "usr/share/trm-edge/models/maze-9/weights.safetensors",
            "usr/share/trm-edge/models/digits/classify.onnx",
            "usr/share/doc/trm-edge/examples/maze.txt",
            "usr/share/doc/trm-edge/examples/photos/image1067.jpg",
            "usr/share/doc/trm-edge/kiosk.md",
            "usr/lib/udev/rules.d/60-trm-edge.rules",
        ] {
            assert!(root.join(file).is_file(), "{file}");
        }
        assert!(!root.join("usr/share/trm-edge/models/runs").exists(), "training runs are no models");
        let settings = fs::read_to_string(root.join("etc/trm-kiosk/kiosk.toml")).unwrap();
        assert!(!settings.contains("target/") && !settings.contains("firmware-host"), "{settings}");
        assert!(settings.contains("\nstate = \"/var/lib/trm-kiosk\"\n"), "{settings}");
    }

    #[test]
    fn settings_that_have_changed_are_noticed() {
        let error = settings("state = \"elsewhere\"\n").unwrap_err();
        assert!(error.to_string().starts_with("the example settings do not have `# Settings of"), "{error}");
    }
}
