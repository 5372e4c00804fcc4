//! A connection that is kept up by a thread of its own, and the handle that a program sends commands through.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use trm_protocol::{Command, DeviceEvent, MAX_COMMAND, MAX_FRAME, PoseReport, VERSION};

use super::session::{Loss, Order, Outcome, Session};
use super::{CommandError, Connector, DeviceInfo, Link, Stats, Timeouts};
use crate::{LinkError, Result};

/// Commands that wait to be given to the session, and that wait within it.
const QUEUE: usize = 32;
/// Events that wait to be fetched.
const EVENTS: usize = 64;
/// Longest sleep on an idle line: what a new command waits at most until it is sent.
const IDLE: Duration = Duration::from_millis(5);

/// Whoever waits for a device looks this often whether to give up.
const LOOK: Duration = Duration::from_millis(50);
/// The longest time that closing a link may take: a frame on a busy line, or a port being opened.
const CLOSING: Duration = Duration::from_millis(500);

/// A device behind a link, whether it is connected at the moment or not. Dropping it closes the link; commands that are
/// still on their way then fail.
#[derive(Debug)]
pub struct Client {
    orders: Option<SyncSender<Order>>,
    events: Mutex<Receiver<DeviceEvent>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    port: String,
    timeouts: Timeouts,
}

/// Shared state of the client and its thread.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    status: Mutex<Status>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Status {
    connected: bool,
    device: Option<DeviceInfo>,
    /// The newest report of the pose, and when it came.
    report: Option<(PoseReport, Instant)>,
    stats: Stats,
    /// The reason why there is no connection, as far as it is known.
    error: Option<LinkError>,
}

impl Shared {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that was given and what becomes of it.
#[derive(Debug)]
#[must_use = "a command that nobody waits for may have failed"]
pub struct Ticket {
    outcome: Receiver<Outcome>,
}

impl Ticket {
    /// Waits until the device has confirmed the command or it has failed: no longer than the command timeout, and a
    /// little.
    ///
    /// # Errors
    /// The [`CommandError`] of a command that was refused, not confirmed in time, or given up.
    pub fn wait(self) -> Result<(), CommandError> {
        self.outcome.recv().unwrap_or(Err(CommandError::Closed))
    }

    /// As [`wait`](Self::wait), up to `timeout`; then `None`.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<(), CommandError>> {
        match self.outcome.recv_timeout(timeout) {
            Ok(outcome) => Some(outcome),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(CommandError::Closed)),
        }
    }
}

impl Client {
    /// Starts to connect, and to connect again whenever the link is lost.
    #[must_use]
    pub fn open(connector: impl Connector + 'static, timeouts: Timeouts) -> Self {
        let (orders, receiver) = mpsc::sync_channel(QUEUE);
        let (event_sender, events) = mpsc::sync_channel(EVENTS);
        let shared = Arc::new(Shared::default());
        let port = connector.name();
        let mut driver = Driver {
            session: Session::new(random_id(), timeouts.clone(), Instant::now()),
            timeouts: timeouts.clone(),
            connector: Box::new(connector),
            orders: receiver,
            events: event_sender,
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new().name("link".to_owned()).spawn(move || driver.run()).ok();
        Self { orders: Some(orders), events: Mutex::new(events), shared, thread, port, timeouts }
    }

    /// Waits until the device has said hello; the error says what is in the way.
    ///
    /// # Errors
    /// [`LinkError::DeviceSilent`], or what is known to be in the way: a port that cannot be opened, another protocol
    /// version, a panel of an impossible size.
    pub fn wait_connected(&self, timeout: Duration) -> Result<DeviceInfo> {
        self.wait_connected_unless(timeout, &AtomicBool::new(false))
    }

    /// As [`wait_connected`](Self::wait_connected), but also gives up soon after `stop` has become true.
    ///
    /// # Errors
    /// As [`wait_connected`](Self::wait_connected); also when `stop` becomes true.
    pub fn wait_connected_unless(&self, timeout: Duration, stop: &AtomicBool) -> Result<DeviceInfo> {
        let until = Instant::now() + timeout;
        let mut status = self.shared.status();
        loop {
            if let (true, Some(device)) = (status.connected, &status.device) {
                return Ok(device.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            // Waiting does not change a firmware.
            let hopeless =
                matches!(status.error, Some(LinkError::ProtocolVersion { .. } | LinkError::PanelSize { .. }));
            if left.is_zero() || hopeless || stop.load(Ordering::Relaxed) {
                return Err(status.error.take().unwrap_or_else(|| LinkError::DeviceSilent {
                    port: self.port.clone(),
                    waited_ms: timeout.as_millis() as u64,
                    unreadable: status.stats.unreadable,
                }));
            }
            let waited = self.shared.changed.wait_timeout(status, left.min(LOOK));
            status = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives a command. Waits while many others are before it; what became of it is told by the ticket.
    ///
    /// # Errors
    /// [`CommandError::TooLong`] for a command that no frame can hold; [`CommandError::Closed`] on a closed client.
    pub fn send(&self, command: &Command<'_>) -> Result<Ticket, CommandError> {
        let (order, ticket) = self.order(command)?;
        let orders = self.orders.as_ref().ok_or(CommandError::Closed)?;
        orders.send(order).map_err(|_| CommandError::Closed)?;
        Ok(ticket)
    }

    /// As [`send`](Self::send), but never waits: [`CommandError::Busy`] while too many others are before it.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`CommandError::Busy`].
    pub fn offer(&self, command: &Command<'_>) -> Result<Ticket, CommandError> {
        let (order, ticket) = self.order(command)?;
        let orders = self.orders.as_ref().ok_or(CommandError::Closed)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => CommandError::Busy,
            TrySendError::Disconnected(_) => CommandError::Closed,
        })?;
        Ok(ticket)
    }

    fn order(&self, command: &Command<'_>) -> Result<(Order, Ticket), CommandError> {
        let mut buffer = [0; MAX_COMMAND];
        let command = command.to_bytes(&mut buffer).ok_or(CommandError::TooLong)?.to_vec();
        let (done, outcome) = mpsc::sync_channel(1);
        let order = Order { command, deadline: Instant::now() + self.timeouts.command, done: Some(done) };
        Ok((order, Ticket { outcome }))
    }

    /// Begins to close the link: commands on their way, and those given from now on, fail with
    /// [`CommandError::Closed`], and whoever waits for one is let go. Does not wait.
    pub fn close(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// The device that answered last, connected or not.
    #[must_use]
    pub fn device(&self) -> Option<DeviceInfo> {
        self.shared.status().device.clone()
    }

    /// `true` if the device answers at the moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.status().connected
    }

    /// Counts since the client was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.status().stats
    }

    /// The next event of the device, waiting for it up to `timeout`. The last 64 are kept until they are fetched.
    #[must_use]
    pub fn next_event(&self, timeout: Duration) -> Option<DeviceEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(timeout).ok()
    }

    /// The newest report of the pose that came after `since`, waiting for it up to `timeout`. A device reports after
    /// [`Command::ReportPose`] asks for it.
    #[must_use]
    pub fn pose_since(&self, since: Instant, timeout: Duration) -> Option<(PoseReport, Instant)> {
        let until = Instant::now() + timeout;
        let mut status = self.shared.status();
        loop {
            if let Some(report) = status.report.filter(|(_, came)| *came > since) {
                return Some(report);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            status = self.shared.changed.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The port, for messages.
    #[must_use]
    pub fn port(&self) -> &str {
        &self.port
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
        self.orders = None;
        let Some(thread) = self.thread.take() else { return };
        // A driver that does not let go of its port is left to it.
        if ended_within(&thread, CLOSING) {
            // It does not panic; if it did, there is nothing left to do.
            let _ = thread.join();
        }
    }
}

/// Waits for a thread to end, but no longer than that.
#[must_use]
pub fn ended_within(thread: &JoinHandle<()>, time: Duration) -> bool {
    let until = Instant::now() + time;
    while !thread.is_finished() && Instant::now() < until {
        thread::sleep(Duration::from_millis(2));
    }
    thread.is_finished()
}

/// A session's id: random, so that the device tells programs apart, and not 0.
fn random_id() -> u32 {
    (RandomState::new().build_hasher().finish() as u32).max(1)
}

/// The thread's side.
struct Driver {
    session: Session,
    timeouts: Timeouts,
    connector: Box<dyn Connector>,
    orders: Receiver<Order>,
    events: SyncSender<DeviceEvent>,
    shared: Arc<Shared>,
}

impl Driver {
    fn run(&mut self) {
        let mut pause = self.timeouts.reconnect;
        while !self.stopping() {
            match self.connector.connect() {
                Ok(mut link) => {
                    self.session.connected(Instant::now());
                    let opened = Instant::now();
                    let error = self.serve(&mut *link);
                    self.session.disconnected();
                    self.publish(error);
                    // A link that worked is tried again at once.
                    if opened.elapsed() > self.timeouts.silence {
                        pause = self.timeouts.reconnect;
                    }
                }
                Err(error) => self.publish(Some(error)),
            }
            self.wait(pause);
            pause = (pause * 2).min(self.timeouts.reconnect_most);
            if self.session.device.is_some() && self.shared.status().error.is_none() {
                pause = self.timeouts.reconnect;
            }
        }
        self.session.close();
        // What is given from now on fails, because nobody receives it.
        while let Ok(mut order) = self.orders.try_recv() {
            if let Some(done) = order.done.take() {
                let _ = done.try_send(Err(CommandError::Closed));
            }
        }
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Talks over a link until it is gone. The error is for those who wait for the connection.
    fn serve(&mut self, link: &mut dyn Link) -> Option<LinkError> {
        let (mut frame, mut buffer) = ([0; MAX_FRAME], [0; 1024]);
        let opened = Instant::now();
        while !self.stopping() {
            self.collect();
            let now = Instant::now();
            let busy = match self.session.poll(now, &mut frame) {
                Ok(None) => false,
                Ok(Some(bytes)) => match link.write(bytes, self.timeouts.write) {
                    Ok(()) => true,
                    // The line is busy: the frame is lost, and repeated later.
                    Err(error) if error.kind() == std::io::ErrorKind::TimedOut => true,
                    Err(_) => return None,
                },
                Err(Loss::Silent) => {
                    return Some(LinkError::DeviceSilent {
                        port: self.connector.name(),
                        waited_ms: opened.elapsed().as_millis() as u64,
                        unreadable: self.session.stats.unreadable,
                    });
                }
                Err(Loss::Version(device)) => {
                    let port = self.connector.name();
                    return Some(LinkError::ProtocolVersion { port, device, host: VERSION });
                }
                Err(Loss::Panel(width, height)) => {
                    return Some(LinkError::PanelSize { port: self.connector.name(), width, height });
                }
            };
            match link.read(&mut buffer, if busy { Duration::ZERO } else { IDLE }) {
                Ok(length) => self.session.receive(&buffer[..length], Instant::now()),
                Err(_) => return None,
            }
            self.publish(None);
        }
        None
    }

    /// Takes new orders, as many as the session should hold.
    fn collect(&mut self) {
        while self.session.waiting() < QUEUE {
            match self.orders.try_recv() {
                Ok(order) => self.session.push(order),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
    }

    /// Passes time without a link: orders still come, and become overdue.
    fn wait(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.stopping() {
            let now = Instant::now();
            self.session.expire(now);
            self.publish_progress();
            if now >= until {
                return;
            }
            let left = (until - now).min(IDLE * 4);
            if self.session.waiting() < QUEUE {
                match self.orders.recv_timeout(left) {
                    Ok(order) => self.session.push(order),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => thread::sleep(left),
                }
            } else {
                thread::sleep(left);
            }
        }
    }

    /// Tells those who hold the client how things are.
    fn publish(&mut self, error: Option<LinkError>) {
        let connected = self.session.is_open();
        {
            let mut status = self.shared.status();
            if error.is_some() || connected {
                status.error = error;
            }
        }
        self.publish_progress();
    }

    fn publish_progress(&mut self) {
        for event in std::mem::take(&mut self.session.events) {
            if self.events.try_send(event).is_err() {
                self.session.stats.events_lost += 1;
            }
        }
        let connected = self.session.is_open();
        let mut status = self.shared.status();
        let changed = status.connected != connected || status.error.is_some() || status.report != self.session.report;
        status.connected = connected;
        status.stats = self.session.stats;
        status.report = self.session.report;
        if status.device != self.session.device {
            status.device.clone_from(&self.session.device);
        }
        drop(status);
        if changed {
            self.shared.changed.notify_all();
        }
    }
}
