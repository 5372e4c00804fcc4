//! `cargo xtask test deny`: licences, unwanted crates and sources, by cargo-deny. Advisories are left out: they change by the
//! day, and a tree that passes today could fail tomorrow.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{process, workspace};

/// The version that is fetched.
const VERSION: &str = "0.20.2";

/// Runs cargo-deny: the one that is installed, else one of our own in `target/tools/`, if that is there already; building it
/// takes longer than all that is asked of it, so only `cargo xtask deny` does.
pub(crate) fn check() -> Result<()> {
    let own = own_program();
    let mut command = if own.is_file() {
        Command::new(own)
    } else if process::answers("cargo-deny", "--version") {
        Command::new("cargo-deny")
    } else {
        eprintln!(
            "\n!! NOT TESTED: licences, unwanted crates and sources (deny.toml): there is no cargo-deny here; \
             `cargo xtask deny` builds one into target/tools, which takes minutes, once\n"
        );
        return Ok(());
    };
    // Crates of two versions are known, and a page of them hides what is new.
    command.args(["--workspace", "check", "--hide-inclusion-graph", "-A", "duplicate", "licenses", "bans", "sources"]);
    process::run(command.current_dir(workspace::root()))
}

/// Builds cargo-deny, if it is not there yet, and runs it.
pub(crate) fn fetch_and_check() -> Result<()> {
    if !own_program().is_file() {
        let mut install = process::cargo(&["install", "--locked", "cargo-deny", "--version", VERSION, "--root"]);
        process::run(install.arg(folder()))?;
    }
    check()
}

fn folder() -> PathBuf {
    workspace::cache().join("tools").join(format!("cargo-deny-{VERSION}"))
}

fn own_program() -> PathBuf {
    folder().join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX))
}
