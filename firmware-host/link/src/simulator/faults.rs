//! Faults that are made on purpose, and the dice that decide when.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Faults of a simulated line and device. The same seed gives the same dice; what they hit depends on timing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// Share of frames that are lost, in both directions, 0 to 1.
    pub drop: f64,
    /// Share of frames in which one byte is flipped, in both directions, 0 to 1.
    pub corrupt: f64,
    /// Time that the device stands still when it does.
    pub stall: Duration,
    /// It stands still once in this many frames from the host, on average; 0 for never.
    pub stall_every: u32,
    /// The line is unplugged with every so many frames from the host; 0 for never.
    pub disconnect_every: u32,
    /// Time that it stays unplugged.
    pub offline: Duration,
    /// The device loses power when it is unplugged, and all memory with it.
    pub restart: bool,
    /// Seed of the dice.
    pub seed: u64,
}

impl Default for Faults {
    /// A perfect line.
    fn default() -> Self {
        Self {
            drop: 0.0,
            corrupt: 0.0,
            stall: Duration::ZERO,
            stall_every: 0,
            disconnect_every: 0,
            offline: Duration::from_millis(300),
            restart: false,
            seed: 1,
        }
    }
}

impl Faults {
    /// The line of the fault soak: one frame in a hundred with a flipped byte, one in a hundred lost, both ways; 300 ms of
    /// standstill once in 200 frames; unplugged with every 500th.
    #[must_use]
    pub fn soak(seed: u64) -> Self {
        Self {
            drop: 0.01,
            corrupt: 0.01,
            stall: Duration::from_millis(300),
            stall_every: 200,
            disconnect_every: 500,
            seed,
            ..Self::default()
        }
    }
}

/// Counts of faults by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct FaultCounts {
    /// Frames from the host that reached the line's end.
    pub frames: u64,
    /// Frames lost, both ways.
    pub dropped: u64,
    /// Frames with a flipped byte, both ways.
    pub corrupted: u64,
    /// Standstills.
    pub stalls: u64,
    /// Disconnects.
    pub disconnects: u64,
}

/// The dice.
#[derive(Debug)]
pub(super) struct Dice {
    pub(super) faults: Faults,
    random: ChaCha8Rng,
}

impl Dice {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, random: ChaCha8Rng::seed_from_u64(faults.seed) }
    }

    /// Sends a frame over the bad line; `None` if it is lost.
    pub(super) fn carry(&mut self, mut frame: Vec<u8>, counts: &mut FaultCounts) -> Option<Vec<u8>> {
        if self.random.random_bool(self.faults.drop.clamp(0.0, 1.0)) {
            counts.dropped += 1;
            return None;
        }
        if !frame.is_empty() && self.random.random_bool(self.faults.corrupt.clamp(0.0, 1.0)) {
            let at = self.random.random_range(0..frame.len());
            frame[at] ^= self.random.random_range(1..=u8::MAX);
            counts.corrupted += 1;
        }
        Some(frame)
    }

    /// Returns the time that the device stands still now, if it does.
    pub(super) fn stall(&mut self) -> Option<Duration> {
        let every = self.faults.stall_every;
        (every > 0 && self.random.random_ratio(1, every)).then_some(self.faults.stall)
    }
}
