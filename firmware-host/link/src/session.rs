//! The host's side of the conversation, without a clock or a port: bytes and instants in, frames out.
//!
//! Commands wait in one queue. The first `flying` of them are on their way, numbered from `base`; the device takes them in
//! order (go back N), so what it has not taken is sent again from there on.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use trm_protocol::{
    Ack, Decoder, DeviceEvent, FrameError, FromDevice, FromHost, Hello, MAX_FRAME, NakReason, PoseReport, Refusal,
    WINDOW, Welcome, encode,
};

use super::DeviceInfo;
use super::panel::is_believable;

/// Times and limits of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Without an answer to hello, it is repeated.
    pub hello: Duration,
    /// Without progress, the commands on their way are sent again.
    pub ack: Duration,
    /// The host says something at least this often; more often where the device wants it.
    pub heartbeat: Duration,
    /// Without a sign of life, the link is taken for dead and opened again.
    pub silence: Duration,
    /// A command that is not confirmed this long after it was given has failed.
    pub command: Duration,
    /// Times that the commands on their way are sent again before the first of them has failed.
    pub retries: u32,
    /// First pause before a lost link is opened again; it doubles up to `reconnect_most`.
    pub reconnect: Duration,
    /// Longest pause before a lost link is opened again.
    pub reconnect_most: Duration,
    /// Longest wait for a busy line to take a frame.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            hello: ms(150),
            ack: ms(200),
            heartbeat: ms(200),
            silence: ms(1000),
            command: ms(5000),
            retries: 12,
            reconnect: ms(25),
            reconnect_most: ms(400),
            write: ms(200),
        }
    }
}

/// The reason why a command is not known to have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The device did not carry it out and will not.
    #[error("the device refused the command: {0}")]
    Refused(Refusal),
    /// Not confirmed in time.
    #[error("the command was not confirmed in time, {}", if *sent { "it may have taken effect" } else { "it was never sent" })]
    Deadline {
        /// `true` if it was sent at least once.
        sent: bool,
    },
    /// Sent again and again without an answer.
    #[error("the command was sent {tries} times without an answer, it may have taken effect")]
    Retries {
        /// Times that it was sent.
        tries: u32,
    },
    /// The device restarted while the command was on its way.
    #[error("the device restarted while the command was on its way, it may have taken effect")]
    Restarted,
    /// The client was closed first.
    #[error("the link was closed before the command was confirmed")]
    Closed,
    /// Too many others wait to be sent.
    #[error("the line does not keep up: too many commands wait for it")]
    Busy,
    /// More pixels than a frame can hold.
    #[error("the command does not fit into a frame")]
    TooLong,
}

/// Outcome of a command.
pub(super) type Outcome = Result<(), CommandError>;

/// Counts of a link since the client was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Stats {
    /// Frames sent, repeated ones included.
    pub frames_sent: u64,
    /// Bytes sent, delimiters included.
    pub bytes_sent: u64,
    /// Frames received intact.
    pub frames_received: u64,
    /// Frames received that could not be read.
    pub unreadable: u64,
    /// Times that the commands on their way were sent again.
    pub repeats: u64,
    /// Commands that the device confirmed.
    pub delivered: u64,
    /// Commands that it refused.
    pub refused: u64,
    /// Commands that failed otherwise.
    pub failed: u64,
    /// Times that the link was opened again.
    pub reconnects: u64,
    /// Longest time between the last sign of life before a loss and the first command confirmed after it (or the
    /// device's hello, if no command waits), milliseconds. It includes the time that the device was away.
    pub longest_recovery_ms: u64,
    /// Events of the device that nobody fetched in time.
    pub events_lost: u64,
}

/// A command on its way.
#[derive(Debug)]
pub(super) struct Order {
    /// The command, encoded.
    pub(super) command: Vec<u8>,
    pub(super) deadline: Instant,
    /// Where the outcome goes; `None` once it was told.
    pub(super) done: Option<SyncSender<Outcome>>,
}

/// The reason why a link has to be opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// No sign of life.
    Silent,
    /// The device speaks another version.
    Version(u8),
    /// It says that its panel is of a size that no panel has.
    Panel(u16, u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    /// Hello was or will be sent.
    Greeting {
        sent: Option<Instant>,
    },
    Open,
}

/// `Command::Nothing`, encoded.
const NOTHING: &[u8] = &[0];

/// The host's side of a session, over any number of connections.
#[derive(Debug)]
pub(super) struct Session {
    timeouts: Timeouts,
    decoder: Decoder,
    phase: Phase,
    id: u32,
    /// The session was open, so commands may have been sent in it.
    opened: bool,
    orders: VecDeque<Order>,
    /// Number of the first order.
    base: u16,
    /// Orders that were sent at least once.
    flying: usize,
    /// The next order to send, first time or again.
    cursor: usize,
    round: u8,
    tries: u32,
    window: usize,
    heartbeat: Duration,
    /// Last progress of the first order.
    progress: Instant,
    heard: Instant,
    said: Instant,
    /// Last sign of life before the link was lost.
    lost: Option<Instant>,
    loss: Option<Loss>,
    event_ack: Option<u16>,
    last_event: Option<u16>,
    pub(super) events: Vec<DeviceEvent>,
    /// The newest report of the pose, and when it came.
    pub(super) report: Option<(PoseReport, Instant)>,
    pub(super) device: Option<DeviceInfo>,
    pub(super) stats: Stats,
}

impl Session {
    /// A session that is not connected yet. `id` is random and not 0.
    pub(super) fn new(id: u32, timeouts: Timeouts, now: Instant) -> Self {
        Self {
            heartbeat: timeouts.heartbeat,
            timeouts,
            decoder: Decoder::new(),
            phase: Phase::Closed,
            id,
            opened: false,
            orders: VecDeque::new(),
            base: 0,
            flying: 0,
            cursor: 0,
            round: 0,
            tries: 0,
            window: 1,
            progress: now,
            heard: now,
            said: now,
            lost: None,
            loss: None,
            event_ack: None,
            last_event: None,
            events: Vec::new(),
            report: None,
            device: None,
            stats: Stats::default(),
        }
    }

    /// A new link is open.
    pub(super) fn connected(&mut self, now: Instant) {
        self.decoder.reset();
        self.phase = Phase::Greeting { sent: None };
        (self.heard, self.said, self.loss) = (now, now, None);
    }

    /// The link is gone.
    pub(super) fn disconnected(&mut self) {
        if self.device.is_some() && self.lost.is_none() {
            self.lost = Some(self.heard);
        }
        self.phase = Phase::Closed;
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Orders that are not done.
    pub(super) fn waiting(&self) -> usize {
        self.orders.len()
    }

    pub(super) fn push(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// Takes what came over the link.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        // The decoder lends its buffer to the message; it comes back in a moment.
        let mut decoder = std::mem::take(&mut self.decoder);
        for &byte in bytes {
            match decoder.push(byte) {
                None => {}
                Some(Ok(packet)) => match packet.message::<FromDevice<'_>>() {
                    Ok(message) => {
                        self.stats.frames_received += 1;
                        self.heard = now;
                        self.message(message, now);
                    }
                    Err(_) => self.stats.unreadable += 1,
                },
                Some(Err(FrameError::Version(version))) => self.loss = Some(Loss::Version(version)),
                Some(Err(_)) => self.stats.unreadable += 1,
            }
        }
        self.decoder = decoder;
    }

    fn message(&mut self, message: FromDevice<'_>, now: Instant) {
        match message {
            FromDevice::Welcome(welcome) => self.welcome(&welcome, now),
            FromDevice::Ack(ack) | FromDevice::Heartbeat { ack, .. } => self.acknowledge(&ack, now),
            FromDevice::Nak { reason: NakReason::NoSession, .. } if self.is_open() => {
                self.phase = Phase::Greeting { sent: None };
            }
            FromDevice::Nak { ack, round, .. } => {
                self.acknowledge(&ack, now);
                if ack.session == self.id && round == self.round && self.is_open() {
                    self.go_back(now);
                }
            }
            FromDevice::Event { seq, event } => {
                self.event_ack = Some(seq);
                if self.last_event.replace(seq) != Some(seq) {
                    self.events.push(event);
                }
            }
            FromDevice::Pose(report) => self.report = Some((report, now)),
        }
    }

    fn welcome(&mut self, welcome: &Welcome<'_>, now: Instant) {
        if welcome.ack.session != self.id || self.phase == Phase::Closed {
            return;
        }
        let nothing_sent = self.base == 0 && self.flying == 0;
        if self.phase == Phase::Open && (welcome.resumed || nothing_sent) {
            // The answer to a hello that was repeated.
            return;
        }
        if self.opened && !welcome.resumed && !nothing_sent {
            // It has restarted, or nothing of what was sent has ever reached it: what was on its way is gone, or was done
            // before. Its next welcome would look as if it went on, so a new session says where counting begins.
            for _ in 0..self.flying {
                self.finish_first(Err(CommandError::Restarted));
            }
            (self.flying, self.base, self.last_event) = (0, 0, None);
            self.id = self.id.wrapping_add(1).max(1);
            self.opened = false;
            self.phase = Phase::Greeting { sent: None };
            return;
        }
        let capabilities = welcome.capabilities;
        // Pictures are made as large as the device says.
        if let Some(panel) = capabilities.panel.filter(|panel| !is_believable(*panel)) {
            self.loss = Some(Loss::Panel(panel.width, panel.height));
            return;
        }
        self.window = usize::from(capabilities.window).clamp(1, usize::from(WINDOW));
        let wanted = Duration::from_millis(u64::from(capabilities.silence_ms) / 4).max(Duration::from_millis(10));
        self.heartbeat = self.timeouts.heartbeat.min(wanted);
        self.device = Some(DeviceInfo {
            firmware: trm_intake::Printable(welcome.firmware.name).to_string(),
            version: welcome.firmware.version,
            capabilities,
        });
        if welcome.resumed {
            self.acknowledge(&welcome.ack, now);
        }
        (self.flying, self.cursor, self.tries) = (self.flying.min(self.orders.len()), 0, 0);
        self.round = self.round.wrapping_add(1);
        self.progress = now;
        self.phase = Phase::Open;
        self.opened = true;
        if self.lost.is_some() {
            self.stats.reconnects += 1;
        }
        if self.orders.is_empty() {
            self.recovered(now);
        }
    }

    /// Commands get through again, or would if there were any.
    fn recovered(&mut self, now: Instant) {
        if let Some(lost) = self.lost.take() {
            let recovery = now.saturating_duration_since(lost).as_millis() as u64;
            self.stats.longest_recovery_ms = self.stats.longest_recovery_ms.max(recovery);
        }
    }

    fn acknowledge(&mut self, ack: &Ack, now: Instant) {
        let count = ack.next.wrapping_sub(self.base);
        if ack.session != self.id || usize::from(count) > self.flying || count == 0 {
            return;
        }
        for ago in (1..=count).rev() {
            // The window is no longer than what an acknowledgement has outcomes for.
            let outcome = ack.outcomes.get(ago).unwrap_or(Err(Refusal::Other));
            self.finish_first(outcome.map_err(CommandError::Refused));
        }
        self.base = ack.next;
        self.flying -= usize::from(count);
        self.cursor = self.cursor.saturating_sub(usize::from(count));
        (self.progress, self.tries) = (now, 0);
        // A heartbeat before hello was answered is not enough.
        if self.is_open() {
            self.recovered(now);
        }
    }

    /// Tells the outcome of the first order and forgets it.
    fn finish_first(&mut self, outcome: Outcome) {
        if let Some(mut order) = self.orders.pop_front() {
            self.tell(&mut order, outcome);
        }
    }

    fn tell(&mut self, order: &mut Order, outcome: Outcome) {
        let Some(done) = order.done.take() else { return };
        match outcome {
            Ok(()) => self.stats.delivered += 1,
            Err(CommandError::Refused(_)) => self.stats.refused += 1,
            Err(_) => self.stats.failed += 1,
        }
        // Nobody has to wait for it.
        let _ = done.try_send(outcome);
    }

    /// Sends again what was not taken.
    fn go_back(&mut self, now: Instant) {
        if self.flying == 0 {
            return;
        }
        (self.cursor, self.progress) = (0, now);
        self.round = self.round.wrapping_add(1);
        self.tries += 1;
        self.stats.repeats += 1;
        if self.tries > self.timeouts.retries {
            let tries = self.tries;
            self.tries = 0;
            self.give_up(0, CommandError::Retries { tries });
        }
    }

    /// Tells that an order has failed. One that is on its way keeps its number, with nothing to do under it.
    fn give_up(&mut self, index: usize, error: CommandError) {
        let Some(mut order) = self.orders.remove(index) else { return };
        self.tell(&mut order, Err(error));
        if index < self.flying {
            order.command = NOTHING.to_vec();
            self.orders.insert(index, order);
        }
    }

    /// Gives up what is overdue.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(order) = self.orders.get(index) {
            let sent = index < self.flying;
            let overdue = order.done.is_some() && order.deadline <= now;
            if overdue {
                self.give_up(index, CommandError::Deadline { sent });
            }
            // One that was never sent is gone from the queue.
            index += usize::from(sent || !overdue);
        }
    }

    /// Gives up everything.
    pub(super) fn close(&mut self) {
        while !self.orders.is_empty() {
            self.finish_first(Err(CommandError::Closed));
        }
        (self.flying, self.cursor) = (0, 0);
    }

    /// Returns the link's next frame to send (there may be more), `None` for now, or the reason to open it again.
    pub(super) fn poll<'a>(&mut self, now: Instant, frame: &'a mut [u8; MAX_FRAME]) -> Result<Option<&'a [u8]>, Loss> {
        self.expire(now);
        if let Some(loss) = self.loss.take() {
            return Err(loss);
        }
        if now.saturating_duration_since(self.heard) >= self.timeouts.silence {
            return Err(Loss::Silent);
        }
        let overdue = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        match self.phase {
            Phase::Closed => return Ok(None),
            Phase::Greeting { sent } => {
                if sent.is_some_and(|sent| !overdue(sent, self.timeouts.hello)) {
                    return Ok(None);
                }
                self.phase = Phase::Greeting { sent: Some(now) };
                return Ok(self.encode(&FromHost::Hello(Hello { session: self.id }), now, frame));
            }
            Phase::Open => {}
        }
        if let Some(seq) = self.event_ack.take() {
            return Ok(self.encode(&FromHost::EventAck { seq }, now, frame));
        }
        // Slower every time, so that a line that is slow is not filled with copies.
        let patience = self.timeouts.ack * (1 << self.tries.min(2));
        if self.flying > 0 && overdue(self.progress, patience) {
            self.go_back(now);
        }
        if self.cursor < self.orders.len().min(self.window) {
            if self.flying == 0 {
                self.progress = now;
            }
            let command = std::mem::take(&mut self.orders[self.cursor].command);
            let seq = self.base.wrapping_add(self.cursor as u16);
            let sent = self.encode(&FromHost::Command { seq, round: self.round, command: &command }, now, frame);
            self.orders[self.cursor].command = command;
            self.cursor += 1;
            self.flying = self.flying.max(self.cursor);
            return Ok(sent);
        }
        if overdue(self.said, self.heartbeat) {
            return Ok(self.encode(&FromHost::Heartbeat, now, frame));
        }
        Ok(None)
    }

    fn encode<'a>(&mut self, message: &FromHost<'_>, now: Instant, frame: &'a mut [u8; MAX_FRAME]) -> Option<&'a [u8]> {
        self.said = now;
        // Commands were measured when they were given.
        let bytes = encode(message, frame).ok()?;
        self.stats.frames_sent += 1;
        self.stats.bytes_sent += bytes.len() as u64;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests;
