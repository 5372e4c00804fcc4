//! Figures for Prometheus on `/metrics` (text format 0.0.4) and health on `/healthz`, over HTTP on loopback.
//!
//! `/healthz` answers 200 while the last end-to-end heartbeat is young, 503 otherwise, with the age as JSON. Another
//! address than loopback is refused unless the settings say `public`.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tiny_http::{Header, Method, Response, Server};

use super::config::{MetricsConfig, ms};
use super::machine::Outcome;
use super::parts::Reading;
use crate::{HostError, Result};

/// One label with its value.
type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// Bounds of the latency histograms in seconds: one millisecond to a minute.
const SECONDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 1.0, 2.5, 5.0, 15.0, 60.0];
/// Bounds of the histogram of ACT steps.
const STEPS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What is counted and measured. The loop writes, the HTTP server reads.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
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

    /// How often an outcome's counters stand at, refusals of all reasons and solves of all verdicts taken together;
    /// for tests and summaries.
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

    /// Whether the heartbeat is young enough, and the answer of `/healthz`.
    fn health(&self, max_age: Duration) -> (bool, String) {
        let age = self.heartbeat_age();
        let healthy = age <= max_age;
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let age = age.as_secs_f64();
        let max_age = max_age.as_secs_f64();
        let fields = serde_json::json!({
            "healthy": healthy, "state": state, "heartbeat_age_s": age, "max_heartbeat_age_s": max_age,
        });
        (healthy, format!("{fields}\n"))
    }
}

/// The HTTP server, on a thread of its own until it is dropped.
pub struct MetricsServer {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    address: std::net::SocketAddr,
}

impl std::fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl MetricsServer {
    /// Listens and answers.
    ///
    /// # Errors
    /// [`HostError::NotLoopback`], [`HostError::Listen`].
    pub fn start(config: &MetricsConfig, metrics: Arc<Metrics>) -> Result<Self> {
        let wanted = config.listen;
        if !config.public && !wanted.ip().is_loopback() {
            return Err(HostError::NotLoopback { address: wanted });
        }
        let failed = |reason: String| HostError::Listen { address: wanted, reason };
        let listener = TcpListener::bind(wanted).map_err(|error| failed(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        let server = Server::from_listener(listener, None).map_err(|error| failed(error.to_string()))?;
        let server = Arc::new(server);
        let (answering, max_age) = (Arc::clone(&server), ms(config.max_heartbeat_age_ms));
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            // Ends when the server is unblocked.
            while let Ok(request) = answering.recv() {
                let response = answer(&metrics, max_age, request.method(), request.url());
                // The client may be gone; that is its business.
                let _ = request.respond(response);
            }
        });
        let thread = thread.map_err(|error| failed(error.to_string()))?;
        Ok(Self { server, thread: Some(thread), address })
    }

    /// Where it listens: with port 0 in the settings, the port that was free.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed when it happened.
            let _ = thread.join();
        }
    }
}

fn answer(metrics: &Metrics, max_age: Duration, method: &Method, url: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    let path = url.split('?').next().unwrap_or_default();
    let (status, kind, text) = match (method, path) {
        (Method::Get | Method::Head, "/metrics") => {
            (200, "text/plain; version=0.0.4; charset=utf-8", metrics.to_text())
        }
        (Method::Get | Method::Head, "/healthz") => {
            let (healthy, text) = metrics.health(max_age);
            (if healthy { 200 } else { 503 }, "application/json", text)
        }
        (Method::Get | Method::Head, _) => (404, "text/plain", "there are /metrics and /healthz\n".to_owned()),
        _ => (405, "text/plain", "only GET\n".to_owned()),
    };
    let response = Response::from_string(text).with_status_code(status);
    match Header::from_bytes("Content-Type", kind) {
        Ok(header) => response.with_header(header),
        Err(()) => response,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};

    use super::*;

    fn config(listen: &str, max_heartbeat_age_ms: u64) -> MetricsConfig {
        MetricsConfig { listen: listen.parse().unwrap(), public: false, max_heartbeat_age_ms }
    }

    fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    #[test]
    fn figures_are_what_was_counted() {
        let metrics = Arc::new(Metrics::default());
        metrics.frames.inc_by(7);
        metrics.read(true, ms(20));
        metrics.read(false, ms(30));
        metrics.read(false, ms(30));
        metrics.refused(None);
        metrics.solved("verified", 3, ms(90));
        metrics.solved("wrong", 64, ms(900));
        metrics.link_errors.inc();
        let server = MetricsServer::start(&config("127.0.0.1:0", 60_000), Arc::clone(&metrics)).unwrap();
        let (status, text) = get(server.address(), "/metrics");
        assert_eq!(status, 200);
        for line in [
            "Content-Type: text/plain; version=0.0.4; charset=utf-8",
            "# TYPE trm_kiosk_frames_total counter",
            "trm_kiosk_frames_total 7",
            "trm_kiosk_reads_total{trusted=\"true\"} 1",
            "trm_kiosk_reads_total{trusted=\"false\"} 2",
            "trm_kiosk_refusals_total{reason=\"not-read\"} 1",
            "trm_kiosk_solves_total{verdict=\"verified\"} 1",
            "trm_kiosk_solves_total{verdict=\"wrong\"} 1",
            "trm_kiosk_act_steps_bucket{le=\"4\"} 1",
            "trm_kiosk_act_steps_sum 67.0",
            "trm_kiosk_solve_seconds_count 2",
            "trm_kiosk_link_errors_total 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("\ntrm_kiosk_heartbeat_age_seconds 0."), "{text}");
        assert_eq!(metrics.outcomes(Outcome::NotSolved), 1);
        let (status, _) = get(server.address(), "/");
        assert_eq!(status, 404);
    }

    #[test]
    fn health_follows_the_heartbeat() {
        let metrics = Arc::new(Metrics::default());
        let server = MetricsServer::start(&config("127.0.0.1:0", 300), Arc::clone(&metrics)).unwrap();
        std::thread::sleep(ms(400));
        let (status, text) = get(server.address(), "/healthz");
        assert!(status == 503 && text.contains("\"healthy\":false"), "{text}");
        metrics.heartbeat();
        let (status, text) = get(server.address(), "/healthz");
        assert!(status == 200 && text.contains("\"healthy\":true") && text.contains("\"state\":\"idle\""), "{text}");
        std::thread::sleep(ms(400));
        assert_eq!(get(server.address(), "/healthz").0, 503);
    }

    #[test]
    fn other_machines_see_nothing_unless_asked_for() {
        let metrics = Arc::new(Metrics::default());
        let open = config("0.0.0.0:0", 60_000);
        let message = MetricsServer::start(&open, Arc::clone(&metrics)).unwrap_err().to_string();
        assert!(message.starts_with("metrics.listen is 0.0.0.0:0, expected a loopback address\nhint: "), "{message}");
        MetricsServer::start(&MetricsConfig { public: true, ..open }, Arc::clone(&metrics)).unwrap();
        let first = MetricsServer::start(&config("127.0.0.1:0", 60_000), Arc::clone(&metrics)).unwrap();
        let second = MetricsServer::start(&config(&first.address().to_string(), 60_000), metrics);
        let message = second.unwrap_err().to_string();
        assert!(message.contains(" for metrics: Address") && message.contains("hint: is another kiosk"), "{message}");
    }
}
