//! The kiosk's pages, over HTTP on loopback: figures for Prometheus on `/metrics` (text format 0.0.4), health on `/healthz`.
//!
//! `/healthz` answers 200 while the last end-to-end heartbeat is young, 503 otherwise; either way with its age and the list of
//! troubles as JSON. Another address than loopback is refused unless the settings say `public`. A port in use is a trouble:
//! it is tried again.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trm_http::header::{ALLOW, HeaderValue};
use trm_http::{HttpError, HttpLimits, HttpServer, Method, Request, Response, StatusCode, reply, service_fn};

use super::config::{MetricsConfig, ms};
use super::metrics::Metrics;
use crate::{HostError, Result};

/// Time between attempts to have the port.
const AGAIN: Duration = Duration::from_secs(2);
/// The thread that tries again looks this often whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Limits of clients: pages are asked for without bodies.
const LIMITS: HttpLimits = HttpLimits {
    connections: 256,
    header_bytes: 8 << 10,
    body_bytes: 1 << 10,
    requests: 1_000,
    header_time: Duration::from_secs(5),
    request_time: Duration::from_secs(10),
    idle_time: Duration::from_secs(30),
};

/// The pages, served until this is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    server: Arc<Mutex<Option<HttpServer>>>,
    stop: Arc<AtomicBool>,
    trying: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Listens and answers. An address that cannot be had now is tried again until it can, and is one of the `metrics`'
    /// troubles meanwhile.
    ///
    /// # Errors
    /// [`HostError::NotLoopback`].
    pub fn start(config: &MetricsConfig, metrics: &Arc<Metrics>) -> Result<Self> {
        let address = config.listen;
        if !config.public && !address.ip().is_loopback() {
            return Err(HostError::NotLoopback { address });
        }
        let (server, stop) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
        let max_age = ms(config.max_heartbeat_age_ms);
        if try_to_listen(address, max_age, metrics, &server) {
            return Ok(Self { server, stop, trying: None });
        }
        let trying = {
            let (metrics, server, stop) = (Arc::clone(metrics), Arc::clone(&server), Arc::clone(&stop));
            std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
                let mut tried = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    if tried.elapsed() >= AGAIN {
                        if try_to_listen(address, max_age, &metrics, &server) {
                            return;
                        }
                        tried = Instant::now();
                    }
                    std::thread::sleep(LOOK);
                }
            })
        };
        // Without a thread the port stays a trouble.
        Ok(Self { server, stop, trying: trying.ok() })
    }

    /// Where it listens: with port 0 in the settings, the port that was free. `None` while the address cannot be had.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(HttpServer::address)
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.trying.take() {
            // A panic there was printed when it happened.
            let _ = thread.join();
        }
    }
}

fn try_to_listen(
    address: SocketAddr,
    max_age: Duration,
    metrics: &Arc<Metrics>,
    server: &Mutex<Option<HttpServer>>,
) -> bool {
    let answering = Arc::clone(metrics);
    let pages = service_fn(move |request: Request| {
        let answer = answer(&answering, max_age, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    match HttpServer::start("http", address, LIMITS, pages) {
        Ok(started) => {
            metrics.troubles.works("metrics");
            metrics.troubles.say(&format!("metrics and health on http://{}", started.address()));
            *server.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
            true
        }
        Err(error) => {
            metrics.failed("metrics");
            metrics.troubles.report_error("metrics", &unable(address, error));
            false
        }
    }
}

fn unable(address: SocketAddr, error: HttpError) -> HostError {
    let reason = match error {
        HttpError::Listen { source, .. } | HttpError::Thread { source, .. } => source,
        other => io::Error::other(other),
    };
    HostError::Listen { address, reason }
}

fn answer(metrics: &Metrics, max_age: Duration, method: &Method, path: &str) -> Response {
    match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics.to_text())
        }
        (&Method::GET | &Method::HEAD, "/healthz") => {
            let (healthy, text) = metrics.health(max_age);
            let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            reply(status, "application/json", text)
        }
        (&Method::GET | &Method::HEAD, _) => {
            reply(StatusCode::NOT_FOUND, "text/plain", "there are /metrics and /healthz\n")
        }
        _ => {
            let mut refusal = reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD\n");
            // RFC 9110, 15.5.6: such an answer says what is allowed.
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            refusal
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use trm_intake::explained;

    use super::*;
    use crate::kiosk::Outcome;

    fn config(listen: &str, max_heartbeat_age_ms: u64) -> MetricsConfig {
        MetricsConfig { listen: listen.parse().unwrap(), public: false, max_heartbeat_age_ms }
    }

    fn get(address: SocketAddr, path: &str) -> (u16, String) {
        ask(address, "GET", path)
    }

    fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
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
        let server = MetricsServer::start(&config("127.0.0.1:0", 60_000), &metrics).unwrap();
        let (status, text) = get(server.address().unwrap(), "/metrics");
        assert_eq!(status, 200);
        for line in [
            "content-type: text/plain; version=0.0.4; charset=utf-8",
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
        let (status, _) = get(server.address().unwrap(), "/");
        assert_eq!(status, 404);
    }

    #[test]
    fn health_follows_the_heartbeat() {
        let metrics = Arc::new(Metrics::default());
        let server = MetricsServer::start(&config("127.0.0.1:0", 300), &metrics).unwrap();
        std::thread::sleep(ms(400));
        let (status, text) = get(server.address().unwrap(), "/healthz");
        assert!(status == 503 && text.contains("\"healthy\":false"), "{text}");
        metrics.heartbeat();
        let (status, text) = get(server.address().unwrap(), "/healthz");
        assert!(status == 200 && text.contains("\"healthy\":true") && text.contains("\"state\":\"idle\""), "{text}");
        std::thread::sleep(ms(400));
        assert_eq!(get(server.address().unwrap(), "/healthz").0, 503);
    }

    #[test]
    fn other_methods_are_told_what_is_allowed() {
        let server = MetricsServer::start(&config("127.0.0.1:0", 60_000), &Arc::new(Metrics::default())).unwrap();
        for (method, path) in [("POST", "/metrics"), ("DELETE", "/healthz"), ("PUT", "/nowhere")] {
            let (status, text) = ask(server.address().unwrap(), method, path);
            assert!(status == 405 && text.contains("\r\nallow: GET, HEAD\r\n"), "{method} {path}: {text}");
        }
        assert_eq!(ask(server.address().unwrap(), "HEAD", "/metrics").0, 200);
    }

    #[test]
    fn other_machines_see_nothing_unless_asked_for() {
        let metrics = Arc::new(Metrics::default());
        let open = config("0.0.0.0:0", 60_000);
        let message = explained(&MetricsServer::start(&open, &metrics).unwrap_err());
        assert!(message.starts_with("metrics.listen is 0.0.0.0:0, expected a loopback address\nhint: "), "{message}");
        MetricsServer::start(&MetricsConfig { public: true, ..open }, &metrics).unwrap();
    }

    #[test]
    fn a_port_in_use_is_a_trouble_until_it_is_free() {
        let first = MetricsServer::start(&config("127.0.0.1:0", 60_000), &Arc::new(Metrics::default())).unwrap();
        let address = first.address().unwrap();
        let metrics = Arc::new(Metrics::default());
        let second = MetricsServer::start(&config(&address.to_string(), 60_000), &metrics).unwrap();
        let troubles = metrics.troubles.list();
        assert_eq!((troubles.len(), troubles[0].part, troubles[0].kind), (1, "metrics", "in-use"), "{troubles:?}");
        let message = &troubles[0].message;
        assert!(message.contains(" for metrics: Address") && message.contains("hint: is another kiosk"), "{message}");
        assert_eq!(second.address(), None);
        drop(first);
        let deadline = Instant::now() + Duration::from_secs(10);
        while second.address().is_none() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        assert_eq!(second.address(), Some(address));
        assert_eq!(get(address, "/healthz").0, 200);
        assert!(metrics.troubles.list().is_empty());
    }

    #[test]
    fn health_lists_what_is_wrong() {
        let metrics = Arc::new(Metrics::default());
        let server = MetricsServer::start(&config("127.0.0.1:0", 60_000), &metrics).unwrap();
        metrics.troubles.report("state", "full", "state/kiosk-state.new: write failed: no space left");
        let (status, text) = get(server.address().unwrap(), "/healthz");
        let body: serde_json::Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let trouble = &body["troubles"][0];
        assert_eq!((status, &trouble["part"], &trouble["kind"]), (200, &"state".into(), &"full".into()), "{text}");
        metrics.troubles.works("state");
        assert!(get(server.address().unwrap(), "/healthz").1.contains("\"troubles\":[]"));
    }
}
