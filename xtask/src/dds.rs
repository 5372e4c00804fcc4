//! `cargo xtask test dds`: the ROS 2 node with a foreign DDS peer, Cyclone DDS.

use std::process::Command;

use anyhow::Result;

use crate::everything::built_program;
use crate::process;
use crate::python::{self, Environment};

/// A loopback with multicast, as the peers need it, in a network namespace of their own: other nodes on this machine do not
/// hear them.
const LOOPBACK: &str =
    "ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo && exec \"$@\"";

/// Runs the peer, where it can be had.
pub(crate) fn check() -> Result<()> {
    let environment = match unavailable() {
        Some(why) => Err(why.to_owned()),
        None => Environment::with(python::DDS).map_err(|error| format!("{error:#}")),
    };
    let environment = match environment {
        Ok(environment) => environment,
        Err(why) => {
            eprintln!("\n!! NOT TESTED: the ROS 2 node with a foreign DDS peer (xtask/python/check_dds.py): {why}\n");
            return Ok(());
        }
    };
    let host = built_program("trm-host")?;
    let script = environment.script("xtask/python/check_dds.py");
    let mut command = alone();
    command.arg(script.get_program()).args(script.get_args()).arg(host).envs(environment.variables());
    process::run(&mut command)
}

/// A command that runs its arguments in a network namespace of its own.
fn alone() -> Command {
    let mut command = Command::new("unshare");
    command.current_dir(crate::workspace::root()).args(["--map-root-user", "--net", "sh", "-c", LOOPBACK, "sh"]);
    command
}

/// The reason that it cannot run here, if there is one.
fn unavailable() -> Option<&'static str> {
    if !cfg!(target_os = "linux") {
        return Some("that needs Linux' network namespaces");
    }
    let works = alone().arg("true").output().is_ok_and(|output| output.status.success());
    (!works).then_some("that needs `unshare` with user namespaces, and `ip`; `apt-get install util-linux iproute2`")
}
