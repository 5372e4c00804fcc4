//! A pseudo-terminal: the device's end of a serial port that is not there, under a name that stays the same.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The device's end. Dropping it is unplugging: the host's end hangs up.
#[derive(Debug)]
pub(super) struct Pty {
    device: File,
    /// The host's end, kept open so that the line stays up while no host is there.
    _host: OwnedFd,
}

impl Pty {
    /// Opens a new pseudo-terminal and lets `link` point to it, as udev does for what is plugged in.
    pub(super) fn open(link: &Path) -> io::Result<Self> {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&device)?;
        unlockpt(&device)?;
        let name = ptsname(&device, Vec::new())?;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let host = rustix::fs::open(&path, flags, rustix::fs::Mode::empty())?;
        // No echo and no line editing, before a host opens it.
        let mut settings = tcgetattr(&host)?;
        settings.make_raw();
        tcsetattr(&host, OptionalActions::Now, &settings)?;
        rustix::fs::fcntl_setfl(&device, OFlags::RDWR | OFlags::NONBLOCK)?;
        // Renamed over the old one: there is no moment with half a link.
        let new = link.with_extension("new");
        let _ = std::fs::remove_file(&new);
        std::os::unix::fs::symlink(&path, &new)?;
        std::fs::rename(&new, link)?;
        Ok(Self { device: device.into(), _host: host })
    }

    /// Waits up to `timeout` for bytes; 0 if none came.
    pub(super) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let limit = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        let ready = match poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        if ready == 0 {
            return Ok(0);
        }
        match self.device.read(buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
            other => other,
        }
    }

    /// Sends what the line takes now; the rest is lost, as on a device whose host does not read.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let _ = self.device.write(bytes);
    }
}
