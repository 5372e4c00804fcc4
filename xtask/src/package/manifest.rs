//! The files that cargo-deb reads: its manifest, the maintainer scripts and the service they are for, the changelog.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::files;
use crate::cross::Glibc;
use crate::workspace;

/// The package's version is the programs'.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes it into `folder`, beside the files of the package.
pub(super) fn write(folder: &Path, glibc: Glibc) -> Result<()> {
    let debian = workspace::root().join("packaging/debian");
    let template = debian.join("Cargo.toml.in");
    let template = std::fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    files::write(&folder.join("Cargo.toml"), &filled(&template, glibc))?;
    for file in ["copyright", "changelog"] {
        files::copy(&debian.join(file), &folder.join(file))?;
    }
    for script in ["postinst", "postrm"] {
        files::copy(&debian.join(script), &folder.join("scripts").join(script))?;
    }
    // cargo-deb looks for services beside the scripts, installs them and adds to the scripts what they need.
    let unit = "trm-kiosk.service";
    files::copy(&workspace::root().join("firmware-host/systemd").join(unit), &folder.join("scripts").join(unit))?;
    // A manifest needs something to build, though it is not built.
    files::write(&folder.join("none.rs"), "")
}

fn filled(template: &str, glibc: Glibc) -> String {
    template.replace("@version@", VERSION).replace("@glibc@", &glibc.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &str) -> String {
        std::fs::read_to_string(workspace::root().join("packaging/debian").join(file)).unwrap()
    }

    #[test]
    fn the_manifest_has_the_version_and_what_is_needed() {
        let manifest = filled(&text("Cargo.toml.in"), Glibc::OLDEST);
        assert!(manifest.contains(&format!("\nversion = \"{VERSION}\"\n")), "{manifest}");
        assert!(manifest.contains("\ndepends = \"libc6 (>= 2.31), adduser\"\n"), "{manifest}");
        assert!(!manifest.contains('@') || manifest.matches('@').count() == manifest.matches("authors@").count());
    }

    #[test]
    fn the_changelog_begins_with_this_version() {
        let changelog = text("changelog");
        let first = changelog.lines().next().unwrap();
        assert!(first.starts_with(&format!("trm-edge ({VERSION}-1) ")), "{first}");
    }

    #[test]
    fn scripts_stop_at_a_failure() {
        for script in ["postinst", "postrm"] {
            let text = text(script);
            assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{script}");
            // Where cargo-deb puts what a service needs.
            assert!(text.contains("\n#DEBHELPER#\n"), "{script}");
        }
    }
}
