//! The crate is fit for a microcontroller: it brings no std along, and builds for one where the target is installed.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MICROCONTROLLER: &str = "thumbv7em-none-eabi";

/// A firmware: no std, its own panic handler. Linking std as well would define that a second time, which is an error.
const FIRMWARE: &str = r"
#![no_std]
use trm_protocol::device::{Board, Device};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

struct Nothing;

impl Board for Nothing {
    fn execute(&mut self, _: &trm_protocol::Command<'_>) -> Result<(), trm_protocol::Refusal> {
        Ok(())
    }
    fn safe_stop(&mut self) {}
    fn transmit(&mut self, _: &[u8]) {}
}

pub fn step(device: &mut Device, bytes: &[u8], now: u32) {
    device.receive(bytes, now, &mut Nothing);
    device.tick(now, &mut Nothing);
}
";

/// Builds a crate that consists of this code and depends on the protocol crate, with the versions of the workspace.
fn build(name: &str, code: &str, target: Option<&str>) -> Output {
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"staticlib\"]\n\n\
         [dependencies]\ntrm-protocol = {{ path = '{}' }}\n\n\
         [profile.dev]\npanic = \"abort\"\n\n[workspace]\n",
        protocol.display()
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), code).unwrap();
    fs::copy(protocol.join("../../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--offline", "--target-dir"]).arg(folder.join("../no-std-target")).current_dir(&folder);
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    command.output().unwrap()
}

fn installed(target: &str) -> bool {
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    libraries.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

#[test]
fn firmware_links_without_std() {
    let output = build("firmware", FIRMWARE, None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What the test relies on: with std somewhere in it, the same firmware does not build.
    let output = build("firmware-with-std", &FIRMWARE.replace("#![no_std]", "#![no_std]\nextern crate std;"), None);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("panic_impl"), "{errors}");
    // On the real thing there is no std to link.
    if installed(MICROCONTROLLER) {
        let output = build("firmware", FIRMWARE, Some(MICROCONTROLLER));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    } else {
        eprintln!("{MICROCONTROLLER} is not installed: built for this machine only");
    }
}
