//! Kiosks as processes, fed by a pipe, asked over HTTP, ended by signals.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![allow(dead_code, reason = "each test takes what it needs")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Timings at their least.
pub(crate) const FAST: &str = "[timing]\nframe_ms = 10\nstill_frames = 1\nread_frames = 2\nstep_ms = 0\nshow_ms = 0\n\
                               error_ms = 0\nno_board_ms = 1\n";

/// A path as TOML has it.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with a kiosk's settings and all that belongs to them.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A named pipe.
    pub(crate) fn pipe(&self) -> PathBuf {
        let path = self.path("camera");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// Settings whose camera is raw video on a named pipe, of 64x64 pixels.
    pub(crate) fn on_a_pipe(&self, more: &str) -> (PathBuf, PathBuf) {
        let pipe = self.pipe();
        let camera = format!(
            "[camera]\nsource = \"raw\"\npath = {}\nwidth = 64\nheight = 64\npixels = \"gray8\"\n",
            quoted(&pipe)
        );
        (self.settings(&camera, more), pipe)
    }

    /// Settings with that camera, the state in a folder beside them, and metrics on any free port.
    pub(crate) fn settings(&self, camera: &str, more: &str) -> PathBuf {
        let state = quoted(&self.path("state"));
        let metrics = if more.contains("[metrics]") { "" } else { "[metrics]\nlisten = \"127.0.0.1:0\"\n" };
        let path = self.path("kiosk.toml");
        std::fs::write(&path, format!("state = {state}\n{camera}{more}{metrics}{FAST}")).unwrap();
        path
    }
}

/// Writes raw pictures of 64x64 gray pixels into a pipe, as fast as they are taken, until it is dropped.
pub(crate) struct Feeder {
    stop: Arc<AtomicBool>,
}

impl Feeder {
    pub(crate) fn start(pipe: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ends, pipe) = (Arc::clone(&stop), pipe.to_owned());
        std::thread::spawn(move || {
            let Ok(mut pipe) = File::options().write(true).open(pipe) else { return };
            while !ends.load(Ordering::Relaxed) && pipe.write_all(&[200; 64 * 64]).is_ok() {}
        });
        Self { stop }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A running kiosk and what it logs.
pub(crate) struct Running {
    pub(crate) process: Child,
    log: Arc<Mutex<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn kiosk(settings: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm-host"));
    command.args(["kiosk", "--config"]).arg(settings).env_remove("STATE_DIRECTORY").env_remove("NOTIFY_SOCKET");
    command
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, written) = (BufReader::new(process.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { process, log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged this.
    pub(crate) fn says(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "it never said {text:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where its pages are, as it has logged.
    pub(crate) fn pages(&self) -> SocketAddr {
        self.says("metrics and health on http://");
        let log = self.log();
        log.split("metrics and health on http://").nth(1).unwrap().lines().next().unwrap().parse().unwrap()
    }

    pub(crate) fn health(&self) -> serde_json::Value {
        let (_, body) = get(self.pages(), "/healthz");
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"))
    }

    /// True if `/healthz` lists such a trouble.
    pub(crate) fn is_troubled(&self, part: &str, kind: &str) -> bool {
        let health = self.health();
        let troubles = health["troubles"].as_array().unwrap();
        troubles.iter().any(|trouble| trouble["part"] == part && trouble["kind"] == kind)
    }

    /// Frames that it has taken.
    pub(crate) fn frames(&self) -> u64 {
        let (_, text) = get(self.pages(), "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix("trm_kiosk_frames_total "));
        line.unwrap_or_else(|| panic!("{text}")).trim().parse().unwrap()
    }

    /// Waits until it takes frames.
    pub(crate) fn works(&self) {
        let before = self.frames();
        eventually("the kiosk takes frames", || self.frames() > before + 5);
    }

    /// Sends a signal, and returns how the kiosk ended, how long that took, and what it had logged.
    pub(crate) fn end(mut self, signal: &str) -> (ExitStatus, Duration, String) {
        let asked = Instant::now();
        let kill = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
        while self.process.try_wait().unwrap().is_none() {
            assert!(asked.elapsed() < Duration::from_secs(30), "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = asked.elapsed();
        // The last lines may still be on their way.
        std::thread::sleep(Duration::from_millis(50));
        (self.process.wait().unwrap(), took, self.log())
    }

    /// A figure of `/proc/PID/status` in KiB.
    pub(crate) fn kib(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Status and body of a page; tries again for five seconds when the connection is given up for others.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let started = Instant::now();
    loop {
        if let Some(answer) = try_get(address, path) {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{path} is not answered");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn try_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
