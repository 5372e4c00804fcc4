//! A process that answers each line with one line of JSON, so that rounds can be interleaved.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;

/// The process; it ends when this is dropped.
pub struct LineProcess {
    name: &'static str,
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl LineProcess {
    /// Starts it; `name` is for messages.
    ///
    /// # Errors
    ///
    /// If the program cannot be started.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().with_context(|| format!("the {name} process has no stdout"))?;
        Ok(Self { name, process, stdin, stdout: BufReader::new(stdout) })
    }

    /// Sends a line and waits for the answer.
    ///
    /// # Errors
    ///
    /// If the process is gone; otherwise those of [`LineProcess::receive`].
    pub fn ask<T: DeserializeOwned>(&mut self, line: &str) -> Result<T> {
        let stdin = self.stdin.as_mut().with_context(|| format!("the {} process has no stdin", self.name))?;
        let sent = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        sent.with_context(|| format!("the {} process is gone", self.name))?;
        self.receive()
    }

    /// Waits for an answer.
    ///
    /// # Errors
    ///
    /// If the process has ended, or its line cannot be read as a `T`.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        let length =
            self.stdout.read_line(&mut line).with_context(|| format!("cannot read from the {} process", self.name))?;
        ensure!(length > 0, "the {} process ended early; its own message is above", self.name);
        serde_json::from_str(&line).with_context(|| format!("{} answered {:?}", self.name, line.trim()))
    }

    /// The most memory that it held since it started, in bytes, where the system tells (Linux: `VmHWM`). Its own child
    /// processes, such as compilers, are not counted.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        trm_engine::machine::peak_memory(self.process.id())
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        // The end of its stdin ends the process.
        self.stdin = None;
        let _ = self.process.wait();
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests start programs")]
mod tests {
    use super::*;

    #[test]
    fn lines_are_answered_and_an_early_end_is_said() {
        let mut cat = LineProcess::start("cat", &mut Command::new("cat")).unwrap();
        assert_eq!(cat.ask::<Vec<u32>>("[1, 2]").unwrap(), [1, 2]);
        assert!(cat.peak_memory().is_none_or(|bytes| bytes > 0));
        assert!(cat.ask::<u32>("words").unwrap_err().to_string().contains("cat answered \"words\""));
        let mut done = LineProcess::start("true", &mut Command::new("true")).unwrap();
        assert!(done.receive::<u32>().unwrap_err().to_string().contains("ended early"));
    }
}
