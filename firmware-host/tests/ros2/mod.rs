//! `trm-host ros2` as a process, for tests that are the robot around it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Long enough for a machine that does other things as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A domain that other tests, of this process or of another at the same time, do not have. Beyond 101, Linux may have given
/// the ports away.
pub(crate) fn domain(test: u32) -> u16 {
    1 + u16::try_from((std::process::id() * 7 + test * 23) % 100).unwrap()
}

/// The process, and what it says.
pub(crate) struct Planner {
    process: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Planner {
    pub(crate) fn start(domain: u16, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_trm-host"))
            .args(["ros2", "--domain", &domain.to_string()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(std::result::Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { process, lines, said: Vec::new() }
    }

    /// Waits until it has said something with this in it, from now on.
    #[track_caller]
    pub(crate) fn says(&mut self, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line);
                    if self.said.last().unwrap().contains(wanted) {
                        return self.said.last().unwrap().clone();
                    }
                }
                Err(error) => panic!("it did not say {wanted:?} ({error}), but {:#?}", self.said),
            }
        }
    }

    /// Returns `true` if it says something with this in it within 100 ms.
    pub(crate) fn says_soon(&mut self, wanted: &str) -> bool {
        let deadline = Instant::now() + Duration::from_millis(100);
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.said.push(line);
            if self.said.last().unwrap().contains(wanted) {
                return true;
            }
        }
        false
    }

    /// Ctrl-C, and how it ended.
    pub(crate) fn interrupt(mut self) -> ExitStatus {
        let killed = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {:#?}", self.said);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Planner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
