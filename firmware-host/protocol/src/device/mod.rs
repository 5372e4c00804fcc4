//! The firmware's side of the conversation, as a state machine: bytes and milliseconds in, commands and frames out.
//!
//! Firmware implements [`Board`], passes what its UART received to [`Device::receive`] and calls [`Device::tick`] every
//! few milliseconds; `examples/firmware.rs` is such a loop. Nothing here blocks or allocates.

mod check;
mod events;
mod reports;

use events::Outbox;
use reports::Reports;

use crate::{
    Ack, Capabilities, Command, Decoder, DeviceEvent, Firmware, FrameError, FromDevice, FromHost, MAX_FRAME, NakReason,
    Outcomes, Refusal, RobotPose, Welcome, encode,
};

/// Milliseconds between heartbeats of a device in a session.
pub const HEARTBEAT_MS: u32 = 250;
/// Milliseconds after which an event is sent again.
pub const EVENT_RETRY_MS: u32 = 100;
/// Milliseconds between two reports of the pose, at least, unless the robot begins or ends a movement.
pub const MIN_REPORT_MS: u16 = 10;

/// Where a robot believes to be, and whether it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odometry {
    /// Where it believes to be: counted wheel turns, or better.
    pub pose: RobotPose,
    /// A movement is not finished, or the wheels still turn.
    pub moving: bool,
}

/// The hardware, and the way out.
pub trait Board {
    /// Carries out a command. It is called once a command, in order, with commands that fit the capabilities: a
    /// rectangle is within the panel and its data complete. [`Command::Nothing`] and [`Command::ReportPose`] do not come
    /// here.
    ///
    /// # Errors
    /// A [`Refusal`], which the host is told as the command's outcome.
    fn execute(&mut self, command: &Command<'_>) -> Result<(), Refusal>;

    /// Stops everything that moves: the host has fallen silent.
    fn safe_stop(&mut self);

    /// Where the robot is; `None` if there is no robot or it does not know. Asked for with every tick while the host wants
    /// to know.
    fn odometry(&mut self) -> Option<Odometry> {
        None
    }

    /// Sends a frame to the host. A frame that cannot be sent may be dropped: everything is repeated.
    fn transmit(&mut self, frame: &[u8]);
}

/// The device's side of the conversation. Milliseconds are of any clock that counts up, modulo 2^32.
#[derive(Debug)]
pub struct Device {
    firmware: Firmware<'static>,
    capabilities: Capabilities,
    decoder: Decoder,
    /// The host's session, 0 for none.
    session: u32,
    next: u16,
    /// A command of the session was taken.
    taken: bool,
    outcomes: Outcomes,
    /// The host's round, of the last command.
    round: u8,
    /// Number and round of the last complaint. Once is enough.
    complained: Option<(u16, u8)>,
    outbox: Outbox,
    reports: Reports,
    /// When the host was heard last.
    heard: u32,
    /// When something was sent last.
    sent: u32,
    stopped: bool,
}

impl Device {
    /// A device that has just started.
    #[must_use]
    pub const fn new(firmware: Firmware<'static>, capabilities: Capabilities) -> Self {
        Self {
            firmware,
            capabilities,
            decoder: Decoder::new(),
            session: 0,
            next: 0,
            taken: false,
            outcomes: Outcomes::NONE,
            round: 0,
            complained: None,
            outbox: Outbox::new(),
            reports: Reports::new(),
            heard: 0,
            sent: 0,
            stopped: true,
        }
    }

    /// `true` while the motors are stopped because the host was silent (or has not spoken yet) and no motor command
    /// came since.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes bytes from the host, in any pieces; carries out what is new, answers what was heard.
    pub fn receive(&mut self, bytes: &[u8], now_ms: u32, board: &mut impl Board) {
        for &byte in bytes {
            // What a frame needs besides the decoder, which the message borrows.
            let Some(packet) = self.decoder.push(byte) else { continue };
            let mut state = State {
                capabilities: &self.capabilities,
                firmware: self.firmware,
                session: &mut self.session,
                next: &mut self.next,
                taken: &mut self.taken,
                outcomes: &mut self.outcomes,
                round: &mut self.round,
                complained: &mut self.complained,
                outbox: &mut self.outbox,
                reports: &mut self.reports,
                stopped: &mut self.stopped,
            };
            match packet.and_then(|packet| packet.message::<FromHost<'_>>()) {
                Ok(message) => {
                    self.heard = now_ms;
                    state.message(message, now_ms, board);
                    self.sent = now_ms;
                }
                // The answer carries our own version, which tells the host.
                Err(FrameError::Version(_)) => send(&state.heartbeat(now_ms), board),
                Err(_) => state.unreadable(board),
            }
        }
    }

    /// Does what is due: the safe stop, heartbeats, events that were not acknowledged, reports of the pose. To be called at least every
    /// 20 ms or so.
    pub fn tick(&mut self, now_ms: u32, board: &mut impl Board) {
        let silent = now_ms.wrapping_sub(self.heard);
        if !self.stopped && silent >= u32::from(self.capabilities.silence_ms) {
            self.stopped = true;
            board.safe_stop();
        }
        // Without a session nobody listens; after a long silence neither.
        if self.session == 0 {
            return;
        }
        if now_ms.wrapping_sub(self.sent) >= HEARTBEAT_MS {
            self.sent = now_ms;
            let ack = Ack { session: self.session, next: self.next, outcomes: self.outcomes };
            send(&FromDevice::Heartbeat { ack, uptime_ms: now_ms, stopped: self.stopped }, board);
        }
        if let Some((seq, event)) = self.outbox.due(now_ms) {
            send(&FromDevice::Event { seq, event }, board);
        }
        if self.reports.wanted()
            && let Some(odometry) = board.odometry()
            && let Some(report) = self.reports.due(odometry, self.stopped, now_ms)
        {
            send(&FromDevice::Pose(report), board);
        }
    }

    /// Tells the host of an event, as soon as possible and until it has it. `false` if eight are waiting already: the
    /// event is lost.
    pub fn report(&mut self, event: DeviceEvent) -> bool {
        self.session != 0 && self.outbox.push(event)
    }
}

/// A device without its decoder.
struct State<'d> {
    capabilities: &'d Capabilities,
    firmware: Firmware<'static>,
    session: &'d mut u32,
    next: &'d mut u16,
    taken: &'d mut bool,
    outcomes: &'d mut Outcomes,
    round: &'d mut u8,
    complained: &'d mut Option<(u16, u8)>,
    outbox: &'d mut Outbox,
    reports: &'d mut Reports,
    stopped: &'d mut bool,
}

impl State<'_> {
    fn ack(&self) -> Ack {
        Ack { session: *self.session, next: *self.next, outcomes: *self.outcomes }
    }

    fn heartbeat(&self, now_ms: u32) -> FromDevice<'static> {
        FromDevice::Heartbeat { ack: self.ack(), uptime_ms: now_ms, stopped: *self.stopped }
    }

    fn message(&mut self, message: FromHost<'_>, now_ms: u32, board: &mut impl Board) {
        match message {
            FromHost::Hello(hello) => {
                let known = hello.session == *self.session;
                // Without a command taken there is nothing to go on with, and a device that has restarted must not look as
                // if it went on when its first welcome is lost.
                let resumed = known && *self.taken;
                if !known {
                    *self.session = hello.session;
                    *self.next = 0;
                    *self.taken = false;
                    *self.outcomes = Outcomes::NONE;
                    self.outbox.clear();
                    self.reports.stop();
                }
                *self.complained = None;
                let (firmware, capabilities) = (self.firmware, *self.capabilities);
                send(&FromDevice::Welcome(Welcome { firmware, capabilities, resumed, ack: self.ack() }), board);
            }
            FromHost::Heartbeat => send(&self.heartbeat(now_ms), board),
            FromHost::EventAck { seq } => self.outbox.acknowledge(seq),
            FromHost::Command { seq, round, command } => {
                *self.round = round;
                if *self.session == 0 {
                    self.nak(NakReason::NoSession, board);
                } else if seq == *self.next {
                    let outcome = self.execute(command, board);
                    *self.next = seq.wrapping_add(1);
                    *self.taken = true;
                    *self.outcomes = self.outcomes.with(outcome);
                    send(&FromDevice::Ack(self.ack()), board);
                } else if seq.wrapping_sub(*self.next) < u16::MAX / 2 {
                    self.complain(NakReason::Gap, board);
                } else {
                    // A copy of one that was carried out: its acknowledgement was lost.
                    send(&FromDevice::Ack(self.ack()), board);
                }
            }
        }
    }

    fn execute(&mut self, command: &[u8], board: &mut impl Board) -> Result<(), Refusal> {
        let command = Command::from_bytes(command).ok_or(Refusal::Unsupported)?;
        check::fits(&command, self.capabilities)?;
        match command {
            Command::Nothing => Ok(()),
            Command::ReportPose { every_ms } => {
                board.odometry().ok_or(Refusal::Unsupported)?;
                self.reports.ask(every_ms);
                Ok(())
            }
            Command::Motion(_) => {
                *self.stopped = false;
                board.execute(&command)?;
                self.reports.begun();
                Ok(())
            }
            _ => board.execute(&command),
        }
    }

    fn unreadable(&mut self, board: &mut impl Board) {
        if *self.session != 0 {
            self.complain(NakReason::Unreadable, board);
        }
    }

    /// Asks for what is missing, once a round: everything behind a gap arrives out of order.
    fn complain(&mut self, reason: NakReason, board: &mut impl Board) {
        let about = (*self.next, *self.round);
        if *self.complained != Some(about) {
            *self.complained = Some(about);
            self.nak(reason, board);
        }
    }

    fn nak(&self, reason: NakReason, board: &mut impl Board) {
        send(&FromDevice::Nak { ack: self.ack(), round: *self.round, reason }, board);
    }
}

fn send(message: &FromDevice<'_>, board: &mut impl Board) {
    let mut frame = [0; MAX_FRAME];
    // Messages of a device are far shorter than a frame, unless its name is not.
    if let Ok(bytes) = encode(message, &mut frame) {
        board.transmit(bytes);
    }
}
