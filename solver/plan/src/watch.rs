//! A stop watch.

/// Measures the time of one stage after the other.
#[derive(Debug, Clone, Copy)]
pub struct StopWatch(std::time::Instant);

impl StopWatch {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the last call, or the start.
    pub fn lap(&mut self) -> std::time::Duration {
        let now = std::time::Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now))
    }
}
