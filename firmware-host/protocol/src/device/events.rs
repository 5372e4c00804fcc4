//! Events on their way to the host: one at a time, until it says that it has it.

use crate::DeviceEvent;

/// Events that wait.
const CAPACITY: usize = 8;

#[derive(Debug)]
pub(super) struct Outbox {
    waiting: [Option<DeviceEvent>; CAPACITY],
    /// The number of the first that waits.
    seq: u16,
    /// When it was sent last.
    sent: Option<u32>,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self { waiting: [None; CAPACITY], seq: 0, sent: None }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { seq: self.seq, ..Self::new() };
    }

    pub(super) fn push(&mut self, event: DeviceEvent) -> bool {
        let free = self.waiting.iter_mut().find(|slot| slot.is_none());
        free.map(|slot| *slot = Some(event)).is_some()
    }

    /// The event to send now, if it is its first time or the last is long ago.
    pub(super) fn due(&mut self, now_ms: u32) -> Option<(u16, DeviceEvent)> {
        let event = self.waiting[0]?;
        if self.sent.is_some_and(|sent| now_ms.wrapping_sub(sent) < super::EVENT_RETRY_MS) {
            return None;
        }
        self.sent = Some(now_ms);
        Some((self.seq, event))
    }

    pub(super) fn acknowledge(&mut self, seq: u16) {
        if seq == self.seq && self.sent.is_some() {
            self.waiting.rotate_left(1);
            self.waiting[CAPACITY - 1] = None;
            self.seq = self.seq.wrapping_add(1);
            self.sent = None;
        }
    }
}
