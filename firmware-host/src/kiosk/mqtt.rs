//! The kiosk's status over MQTT 3.1.1, unencrypted: for a broker on the same machine or network.
//!
//! `TOPIC/status` holds the status as JSON, `TOPIC/online` is `true`, and `false` by the last will when the kiosk is gone.
//! Both are retained, at quality of service 1. Only the latest status counts: while the broker is away nothing piles up, and when it is back
//! it gets the present one. The connection has a thread of its own; the loop never waits for it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rumqttc::{Client, Connection, ConnectionError, Event, LastWill, MqttOptions, Outgoing, Packet, QoS};
use trm_link::ended_within;

use super::config::MqttConfig;
use super::metrics::Metrics;
use super::status::{Status, StatusSink};
use super::troubles::kind_of_io;
use crate::{HostError, Result};

/// Messages on their way to the connection. A status that finds no room is sent when there is some.
const QUEUE: usize = 16;
/// Waits between attempts to connect begin with the first and double up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Longest wait of a kiosk that ends for the broker to take its farewell.
const FAREWELL: Duration = Duration::from_millis(700);
/// Time between looks at a password file that cannot be read.
const PASSWORD: Duration = Duration::from_secs(5);
/// The connection's thread looks this often whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Publishes the status until it is dropped.
pub struct MqttStatus {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    topic: String,
    /// Set when the password is known.
    client: OnceLock<Client>,
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
    /// Starts connecting, and goes on trying for as long as it takes. A broker that is away, and a password file that cannot be
    /// read, are troubles; the log is told when the connection comes.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(config: &MqttConfig, metrics: Arc<Metrics>) -> Result<Self> {
        let shared = Arc::new(Shared {
            topic: config.topic.clone(),
            client: OnceLock::new(),
            connected: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            latest: Mutex::default(),
        });
        let thread = {
            let (shared, config) = (Arc::clone(&shared), config.clone());
            std::thread::Builder::new()
                .name("mqtt".to_owned())
                .spawn(move || {
                    let Some(options) = options(&config, &shared, &metrics) else { return };
                    let (client, connection) = Client::new(options, QUEUE);
                    let client = shared.client.get_or_init(|| client);
                    let broker = format!("MQTT broker {}:{}", config.host, config.port);
                    serve(connection, client, &shared, &metrics, &broker);
                })
                .map_err(|error| HostError::Part { part: "mqtt", reason: error.to_string() })?
        };
        Ok(Self { shared, thread: Some(thread) })
    }
}

/// Options for connecting, as soon as the password can be read; `None` when the kiosk ends before that.
fn options(config: &MqttConfig, shared: &Shared, metrics: &Metrics) -> Option<MqttOptions> {
    let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
    options.set_keep_alive(Duration::from_secs(config.keep_alive_s)).set_last_will(LastWill::new(
        format!("{}/online", config.topic),
        "false",
        QoS::AtLeastOnce,
        true,
    ));
    if let Some(user) = &config.user {
        loop {
            match password(config) {
                Ok(password) => {
                    options.set_credentials(user, password);
                    break;
                }
                Err(error) => metrics.troubles.report_error("mqtt", &error),
            }
            shared.pause(PASSWORD)?;
        }
    }
    Some(options)
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
        if self.shared.connected.load(Ordering::Acquire)
            && let Some(client) = self.shared.client.get()
        {
            self.shared.send_latest(client);
        }
    }
}

impl Drop for MqttStatus {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return };
        // Without a connection there is nobody to say farewell to, and the broker has the last will.
        let connected = self.shared.connected.load(Ordering::Acquire);
        if let Some(client) = self.shared.client.get() {
            if connected {
                let online = format!("{}/online", self.shared.topic);
                let _ = client.try_publish(online, QoS::AtLeastOnce, true, "false");
            }
            let _ = client.try_disconnect();
        }
        if ended_within(&thread, if connected { FAREWELL } else { LOOK }) {
            // A panic there was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits; `None` when the kiosk ends meanwhile.
    fn pause(&self, time: Duration) -> Option<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.stopping.load(Ordering::Acquire) {
                return None;
            }
            std::thread::sleep(LOOK);
        }
        Some(())
    }

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
fn serve(mut connection: Connection, client: &Client, shared: &Shared, metrics: &Metrics, broker: &str) {
    let mut wait = RETRY.0;
    loop {
        match connection.recv() {
            Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                wait = RETRY.0;
                metrics.mqtt_connected.set(1);
                shared.latest().unsent = true;
                let online = format!("{}/online", shared.topic);
                let _ = client.try_publish(online, QoS::AtLeastOnce, true, "true");
                shared.connected.store(true, Ordering::Release);
                shared.send_latest(client);
                metrics.troubles.works("mqtt");
                metrics.troubles.say(&format!("{broker}: connected"));
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
                metrics.troubles.report("mqtt", kind_of_connection(&error), &format!("{broker}: {error}"));
                if shared.pause(wait).is_none() {
                    return;
                }
                wait = (wait * 2).min(RETRY.1);
            }
        }
    }
}

fn kind_of_connection(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::Io(source) => kind_of_io(source),
        ConnectionError::ConnectionRefused(_) => "refused",
        _ => "connection",
    }
}

/// The first line of the password file; empty without one.
fn password(config: &MqttConfig) -> Result<String> {
    let Some(path) = &config.password_file else { return Ok(String::new()) };
    let text = crate::intake::read_text(path, crate::intake::SMALL)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(HostError::io("read", path)(io::Error::new(io::ErrorKind::InvalidData, "its first line is empty"))),
    }
}
