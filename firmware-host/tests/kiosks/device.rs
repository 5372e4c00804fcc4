//! A device that says who it is and is alive, and never confirms a command.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use trm_protocol::{
    Ack, Capabilities, Decoder, Firmware, FromDevice, FromHost, MAX_FRAME, Outcomes, Panel, PixelFormat, Welcome,
    encode,
};

/// Starts it, with a panel of this size, on a pseudo-terminal, whose path is returned. It runs until the test ends.
pub(crate) fn start(name: &'static str, (width, height): (u16, u16)) -> PathBuf {
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&device).unwrap();
    unlockpt(&device).unwrap();
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(ptsname(&device, Vec::new()).unwrap().as_bytes()));
    let host = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut settings = tcgetattr(&host).unwrap();
    settings.make_raw();
    tcsetattr(&host, OptionalActions::Now, &settings).unwrap();
    std::thread::spawn(move || {
        // Kept open, so that the line stays up while no host is there.
        let _host = host;
        answer(File::from(device), name, Panel { width, height, format: PixelFormat::Rgb565 });
    });
    path
}

fn answer(mut device: File, name: &'static str, panel: Panel) {
    let (mut decoder, mut buffer, mut session) = (Decoder::new(), [0; 256], 0);
    while let Ok(length @ 1..) = device.read(&mut buffer) {
        for &byte in &buffer[..length] {
            let Some(Ok(packet)) = decoder.push(byte) else { continue };
            let ack = |session| Ack { session, next: 0, outcomes: Outcomes::default() };
            let reply = match packet.message() {
                Ok(FromHost::Hello(hello)) => {
                    session = hello.session;
                    FromDevice::Welcome(Welcome {
                        firmware: Firmware { name, version: [1, 2, 3] },
                        capabilities: Capabilities {
                            panel: Some(panel),
                            leds: 16,
                            buttons: 1,
                            motors: true,
                            window: 8,
                            silence_ms: 1000,
                        },
                        resumed: false,
                        ack: ack(session),
                    })
                }
                // Alive, and no further than before.
                Ok(FromHost::Heartbeat | FromHost::Command { .. }) => {
                    FromDevice::Heartbeat { ack: ack(session), uptime_ms: 1, stopped: false }
                }
                _ => continue,
            };
            let mut frame = [0; MAX_FRAME];
            if let Ok(bytes) = encode(&reply, &mut frame) {
                let _ = device.write_all(bytes);
            }
        }
    }
}
