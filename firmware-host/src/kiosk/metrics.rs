//! Counters, measurements and troubles of a kiosk, and the text that tells of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::config::ms;
use super::machine::Outcome;
use super::parts::Reading;
use super::troubles::Troubles;

/// One label with its value.
type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// Bounds of the latency histograms in seconds: one millisecond to a minute.
const SECONDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 1.0, 2.5, 5.0, 15.0, 60.0];
/// Bounds of the histogram of ACT steps.
const STEPS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Counters and measurements of the kiosk. The loop writes, the HTTP server reads.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The present troubles.
    pub troubles: Troubles,
    /// Frames taken.
    pub frames: Counter,
    reads: Labelled,
    refusals: Labelled,
    solves: Labelled,
    failures: Labelled,
    /// ACT steps of each puzzle.
    pub act_steps: Histogram,
    /// Seconds to look for a board in a frame.
    pub locate_seconds: Histogram,
    /// Seconds to read a frame.
    pub read_seconds: Histogram,
    /// Seconds to solve a puzzle, what is shown on the way included.
    pub solve_seconds: Histogram,
    /// Seconds from a board that lies still to its outcome on display.
    pub puzzle_seconds: Histogram,
    /// Failed exchanges with the microcontroller.
    pub link_errors: Counter,
    /// Models activated at run time.
    pub model_swaps: Counter,
    /// 1 while the MQTT broker is connected.
    pub mqtt_connected: Gauge,
    heartbeat_age: Gauge<f64, AtomicU64>,
    started: Instant,
    /// Milliseconds from `started` to the last end-to-end heartbeat.
    heartbeat: AtomicU64,
    state: Mutex<&'static str>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("trm_kiosk");
        let histogram = |bounds: &[f64]| Histogram::new(bounds.iter().copied());
        let metrics = Self {
            troubles: Troubles::default(),
            frames: Counter::default(),
            reads: Family::default(),
            refusals: Family::default(),
            solves: Family::default(),
            failures: Family::default(),
            act_steps: histogram(&STEPS),
            locate_seconds: histogram(&SECONDS),
            read_seconds: histogram(&SECONDS),
            solve_seconds: histogram(&SECONDS),
            puzzle_seconds: histogram(&SECONDS),
            link_errors: Counter::default(),
            model_swaps: Counter::default(),
            mqtt_connected: Gauge::default(),
            heartbeat_age: Gauge::default(),
            started: Instant::now(),
            heartbeat: AtomicU64::new(0),
            state: Mutex::new("idle"),
            registry: Registry::default(),
        };
        registry.register("frames", "Frames taken from the camera", metrics.frames.clone());
        registry.register("reads", "Readings, trusted or not", metrics.reads.clone());
        registry.register("refusals", "Boards refused, by reason", metrics.refusals.clone());
        registry.register("solves", "Puzzles given to the solver, by verdict", metrics.solves.clone());
        registry.register("failures", "Failures, by part", metrics.failures.clone());
        registry.register("act_steps", "ACT steps of a puzzle", metrics.act_steps.clone());
        registry.register("locate_seconds", "Looking for a board in a frame", metrics.locate_seconds.clone());
        registry.register("read_seconds", "Reading a frame", metrics.read_seconds.clone());
        registry.register("solve_seconds", "Solving a puzzle, step by step on display", metrics.solve_seconds.clone());
        let help = "From a board that lies still to its outcome on display";
        registry.register("puzzle_seconds", help, metrics.puzzle_seconds.clone());
        registry.register("link_errors", "Failed exchanges with the microcontroller", metrics.link_errors.clone());
        registry.register("model_swaps", "Models activated at run time", metrics.model_swaps.clone());
        registry.register("mqtt_connected", "1 while the broker is connected", metrics.mqtt_connected.clone());
        let help = "Age of the last turn of the loop that took a frame and heard from the device";
        registry.register("heartbeat_age_seconds", help, metrics.heartbeat_age.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a reading.
    pub fn read(&self, trusted: bool, took: Duration) {
        self.reads.get_or_create(&[("trusted", if trusted { "true" } else { "false" })]).inc();
        self.read_seconds.observe(took.as_secs_f64());
    }

    /// Counts a board refused, by what its last reading lacks.
    pub fn refused(&self, reading: Option<&Reading>) {
        let reason = match reading {
            None => "not-read",
            Some(reading) if reading.corners.is_none() => "no-board",
            Some(reading) if !reading.doubtful.is_empty() => "doubtful-cells",
            Some(_) => "other",
        };
        self.refusals.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts an answer by its verdict: `verified`, `wrong`, `unsolved`, `unverifiable`.
    pub fn solved(&self, verdict: &'static str, steps: usize, took: Duration) {
        self.solves.get_or_create(&[("verdict", verdict)]).inc();
        self.act_steps.observe(steps as f64);
        self.solve_seconds.observe(took.as_secs_f64());
    }

    /// Counts a failure of a part.
    pub fn failed(&self, part: &'static str) {
        self.failures.get_or_create(&[("part", part)]).inc();
    }

    /// Returns an outcome's counters, refusals of all reasons and solves of all verdicts taken together; for tests and
    /// summaries.
    #[must_use]
    pub fn outcomes(&self, outcome: Outcome) -> u64 {
        let sum = |family: &Labelled, labels: &[[(&'static str, &'static str); 1]]| {
            labels.iter().filter_map(|label| family.get(label).map(|counter| counter.get())).sum()
        };
        match outcome {
            Outcome::Solved => sum(&self.solves, &[[("verdict", "verified")]]),
            Outcome::NotSolved => {
                sum(&self.solves, &["wrong", "unsolved", "unverifiable"].map(|verdict| [("verdict", verdict)]))
            }
            Outcome::Refused => sum(
                &self.refusals,
                &["not-read", "no-board", "doubtful-cells", "other"].map(|reason| [("reason", reason)]),
            ),
        }
    }

    /// A turn of the loop went from end to end.
    pub fn heartbeat(&self) {
        self.heartbeat.store(self.started.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// The age of the last heartbeat; before the first one, of this object.
    #[must_use]
    pub fn heartbeat_age(&self) -> Duration {
        self.started.elapsed().saturating_sub(ms(self.heartbeat.load(Ordering::Relaxed)))
    }

    /// The machine's state, for `/healthz`.
    pub fn set_state(&self, state: &'static str) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// All figures in Prometheus' text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.heartbeat_age.set(self.heartbeat_age().as_secs_f64());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }

    /// Returns `true` if the heartbeat is young enough, and the answer of `/healthz`.
    #[must_use]
    pub fn health(&self, max_age: Duration) -> (bool, String) {
        let age = self.heartbeat_age();
        let healthy = age <= max_age;
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let age = age.as_secs_f64();
        let max_age = max_age.as_secs_f64();
        let fields = serde_json::json!({
            "healthy": healthy, "state": state, "heartbeat_age_s": age, "max_heartbeat_age_s": max_age,
            "troubles": self.troubles.list(),
        });
        (healthy, format!("{fields}\n"))
    }
}
