//! The kiosk's status over MQTT 3.1.1, unencrypted: for a broker on the same machine or network.
//!
//! `TOPIC/status` holds the status as JSON, `TOPIC/online` is `true`, and `false` by the last will when the kiosk is gone.
//! Both are retained, at quality of service 1. Only the latest status counts: while the broker is away nothing piles up, and when it is back
//! it gets the present one. The connection has a thread of its own; the loop never waits for it.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rumqttc::{Client, Connection, Event, LastWill, MqttOptions, Outgoing, Packet, QoS};

use super::config::MqttConfig;
use super::metrics::Metrics;
use super::status::{Status, StatusSink};
use crate::{HostError, Result};

/// Messages on their way to the connection. A status that finds no room is sent when there is some.
const QUEUE: usize = 16;
/// Waits between attempts to connect begin with the first and double up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long a kiosk that ends waits for the broker to take its farewell.
const FAREWELL: Duration = Duration::from_secs(3);

/// Publishes the status until it is dropped.
pub struct MqttStatus {
    shared: Arc<Shared>,
    client: Client,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    topic: String,
    connected: AtomicBool,
    stopping: AtomicBool,
    latest: Mutex<Latest>,
}

#[derive(Default)]
struct Latest {
    status: Option<String>,
    /// It has not been handed to the connection yet.
    unsent: bool,
}

impl std::fmt::Debug for MqttStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttStatus").field("topic", &self.shared.topic).finish_non_exhaustive()
    }
}

impl MqttStatus {
    /// Starts connecting, and goes on trying for as long as it takes. `log` is told when the connection comes and goes.
    ///
    /// # Errors
    /// When the password file cannot be read. A broker that is away is no error.
    pub fn start(config: &MqttConfig, metrics: Arc<Metrics>, log: fn(&str)) -> Result<Self> {
        let online = format!("{}/online", config.topic);
        let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
        options.set_keep_alive(Duration::from_secs(config.keep_alive_s)).set_last_will(LastWill::new(
            online,
            "false",
            QoS::AtLeastOnce,
            true,
        ));
        if let Some(user) = &config.user {
            options.set_credentials(user, password(config)?);
        }
        let (client, connection) = Client::new(options, QUEUE);
        let shared = Arc::new(Shared {
            topic: config.topic.clone(),
            connected: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            latest: Mutex::default(),
        });
        let thread = {
            let (shared, client) = (Arc::clone(&shared), client.clone());
            let broker = format!("MQTT broker {}:{}", config.host, config.port);
            std::thread::Builder::new()
                .name("mqtt".to_owned())
                .spawn(move || serve(connection, &client, &shared, &metrics, &broker, log))
                .map_err(|error| HostError::Part { part: "mqtt", reason: error.to_string() })?
        };
        Ok(Self { shared, client, thread: Some(thread) })
    }
}

impl StatusSink for MqttStatus {
    fn publish(&mut self, status: &Status) {
        let status = status.to_json();
        {
            let mut latest = self.shared.latest();
            if latest.status.as_ref() == Some(&status) {
                return;
            }
            *latest = Latest { status: Some(status), unsent: true };
        }
        if self.shared.connected.load(Ordering::Acquire) {
            self.shared.send_latest(&self.client);
        }
    }
}

impl Drop for MqttStatus {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        let online = format!("{}/online", self.shared.topic);
        // Without a connection there is nobody to say farewell to, and the broker has the last will.
        if self.shared.connected.load(Ordering::Acquire) {
            let _ = self.client.try_publish(online, QoS::AtLeastOnce, true, "false");
        }
        let _ = self.client.try_disconnect();
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + FAREWELL;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        if thread.is_finished() {
            // A panic there was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the latest status to the connection, if that was not done and there is room.
    fn send_latest(&self, client: &Client) {
        let mut latest = self.latest();
        if let (true, Some(status)) = (latest.unsent, &latest.status) {
            let topic = format!("{}/status", self.topic);
            latest.unsent = client.try_publish(topic, QoS::AtLeastOnce, true, status.as_bytes()).is_err();
        }
    }
}

/// The connection's thread: keeps it alive, connects again, ends after the farewell.
fn serve(mut connection: Connection, client: &Client, shared: &Shared, metrics: &Metrics, broker: &str, log: fn(&str)) {
    let mut wait = RETRY.0;
    let mut reported = false;
    loop {
        match connection.recv() {
            Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                (wait, reported) = (RETRY.0, false);
                metrics.mqtt_connected.set(1);
                shared.latest().unsent = true;
                let online = format!("{}/online", shared.topic);
                let _ = client.try_publish(online, QoS::AtLeastOnce, true, "true");
                shared.connected.store(true, Ordering::Release);
                shared.send_latest(client);
                log(&format!("{broker}: connected"));
            }
            // There is room again.
            Ok(Ok(Event::Incoming(Packet::PubAck(_)))) => shared.send_latest(client),
            Ok(Ok(Event::Outgoing(Outgoing::Disconnect))) | Err(_) => return,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                shared.connected.store(false, Ordering::Release);
                metrics.mqtt_connected.set(0);
                if shared.stopping.load(Ordering::Acquire) {
                    return;
                }
                if !reported {
                    log(&format!("{broker}: {error}; trying again"));
                    reported = true;
                }
                let until = Instant::now() + wait;
                while Instant::now() < until {
                    if shared.stopping.load(Ordering::Acquire) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                wait = (wait * 2).min(RETRY.1);
            }
        }
    }
}

/// The first line of the password file; empty without one.
fn password(config: &MqttConfig) -> Result<String> {
    let Some(path) = &config.password_file else { return Ok(String::new()) };
    let text = fs::read_to_string(path).map_err(HostError::io("read", path))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(HostError::io("read", path)(io::Error::new(io::ErrorKind::InvalidData, "its first line is empty"))),
    }
}
