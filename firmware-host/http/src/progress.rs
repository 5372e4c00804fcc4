//! The progress of a connection, and the side that keeps it waiting.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::HttpLimits;

/// A phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between two requests.
    Idle,
    /// Headers are on their way.
    Head,
    /// The service works.
    Answer,
    /// The service waits for the client's body.
    Body,
    /// The answer is on its way.
    Sending,
    /// Everything was said, and the client has not hung up.
    Closing,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// When the present request began.
    request: Instant,
    requests: u32,
}

/// Shared by a connection's stream, its bodies and whoever looks for one to close.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<State>);

/// The longest time that a client may take to hang up.
const CLOSING: std::time::Duration = std::time::Duration::from_millis(500);

impl Progress {
    /// A connection that was accepted now, and owes a request.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State { phase: Phase::Head, since: now, request: now, requests: 0 }))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn enter(&self, phase: Phase, from: &[Phase]) {
        self.with(|state| {
            if from.contains(&state.phase) {
                (state.phase, state.since) = (phase, Instant::now());
            }
        });
    }

    /// Bytes came.
    pub(crate) fn received(&self) {
        self.with(|state| {
            if state.phase == Phase::Idle {
                let now = Instant::now();
                (state.phase, state.since, state.request) = (Phase::Head, now, now);
            }
        });
    }

    /// The service is asked; the number of the request over this connection.
    pub(crate) fn asked(&self) -> u32 {
        self.with(|state| {
            let now = Instant::now();
            if state.phase != Phase::Head {
                // It lay behind another one, and was not waited for.
                state.request = now;
            }
            (state.phase, state.since) = (Phase::Answer, now);
            state.requests = state.requests.saturating_add(1);
            state.requests
        })
    }

    /// The service waits for the client's body, or does so no longer.
    pub(crate) fn awaits_body(&self, waits: bool) {
        if waits {
            self.enter(Phase::Body, &[Phase::Answer]);
        } else {
            self.enter(Phase::Answer, &[Phase::Body]);
        }
    }

    /// The service has given all of its answer.
    pub(crate) fn answered(&self) {
        self.enter(Phase::Sending, &[Phase::Answer, Phase::Body]);
    }

    /// The operating system has all that was to be sent.
    pub(crate) fn flushed(&self) {
        self.enter(Phase::Idle, &[Phase::Sending]);
    }

    /// Nothing more will be said.
    pub(crate) fn closing(&self) {
        self.enter(Phase::Closing, &[Phase::Idle, Phase::Head, Phase::Answer, Phase::Body, Phase::Sending]);
    }

    /// The connection's phase.
    pub(crate) fn phase(&self) -> Phase {
        self.with(|state| state.phase)
    }

    /// When the connection is closed unless something happens.
    pub(crate) fn deadline(&self, limits: &HttpLimits) -> Instant {
        self.with(|state| match state.phase {
            Phase::Idle => state.since + limits.idle_time,
            Phase::Head => state.since + limits.header_time,
            // The service's own deadline is answered with a status; this is for an answer that is sent too slowly.
            Phase::Answer | Phase::Body => state.request + limits.request_time + CLOSING,
            Phase::Sending => state.request + limits.request_time,
            Phase::Closing => state.since + CLOSING,
        })
    }

    /// Since when the client keeps the server waiting; `None` while the service is at work.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.with(|state| (state.phase != Phase::Answer).then_some(state.since))
    }
}
