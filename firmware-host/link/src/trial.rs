//! Trials of a link: throughput of full-frame updates, and a soak under faults that accounts for every command.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use trm_protocol::{Command, PixelFormat, Rect, RunsEncoder, pixels_in};

use super::serial::{PortName, Serial};
use super::simulator::{FaultCounts, Faults, Simulator, SimulatorOptions};
use super::{Client, CommandError, Panel, Pixels, Stats, Ticket, Timeouts, Update};
use crate::{LinkError, Result};

/// Speed at which full pictures get to a panel.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Throughput {
    /// Full-frame updates.
    pub updates: u32,
    /// Time that they took, seconds.
    pub seconds: f64,
    /// Updates a second.
    pub updates_per_second: f64,
    /// Share of the line's bits that carried pixels of the picture, uncompressed, of 10 bits a byte.
    pub pixel_share: f64,
    /// Share of the line's bits that carried anything, frames' overhead and repeats included.
    pub line_share: f64,
}

/// Draws `updates` full pictures of noise, which no run-length code makes shorter, as fast as they go.
///
/// # Errors
/// [`LinkError::PanelMismatch`] for a device without a panel; [`LinkError::Command`] for an update that failed.
pub fn throughput(client: &Client, updates: u32, baud_rate: u32) -> Result<Throughput> {
    let panel = Panel::new(client)?;
    let info = panel.info();
    let count = pixels_in(info.width, info.format) * usize::from(info.height);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let noise: Vec<u16> = (0..count).map(|_| random.next_u32() as u16).collect();
    let packed: Vec<u8> = noise.iter().map(|&unit| unit as u8).collect();
    let noise = match info.format {
        PixelFormat::Rgb565 => Pixels::Rgb565(&noise),
        PixelFormat::Mono => Pixels::Mono(&packed),
    };
    // The first command waits for nobody; what it takes to get going is not the line's.
    panel.clear(0)?.wait()?;
    let (before, begin) = (client.stats(), Instant::now());
    // One is on its way while the next is given: the line is never idle, and what waits does not pile up.
    let mut before_it: Option<Update> = None;
    for _ in 0..updates {
        let given = panel.draw(0, 0, info.width, info.height, noise)?;
        before_it.replace(given).map_or(Ok(()), Update::wait)?;
    }
    before_it.map_or(Ok(()), Update::wait)?;
    let seconds = begin.elapsed().as_secs_f64();
    let row_bytes = match info.format {
        PixelFormat::Mono => usize::from(info.width).div_ceil(8),
        PixelFormat::Rgb565 => usize::from(info.width) * 2,
    };
    let pixels = (row_bytes * usize::from(info.height)) as f64 * f64::from(updates);
    let sent = (client.stats().bytes_sent - before.bytes_sent) as f64;
    let capacity = f64::from(baud_rate) / 10.0 * seconds;
    Ok(Throughput {
        updates,
        seconds,
        updates_per_second: f64::from(updates) / seconds,
        pixel_share: pixels / capacity,
        line_share: sent / capacity,
    })
}

/// Account of the commands of a soak.
#[derive(Debug, Clone, Serialize)]
pub struct Soak {
    /// Commands given, one frame each.
    pub commands: u32,
    /// Reported as delivered; each of them took effect once.
    pub delivered: u32,
    /// Reported as failed.
    pub failed: u32,
    /// Of those, how many took effect all the same: confirmed too late.
    pub failed_with_effect: u32,
    /// Longest time from the last sign of life before a loss to the next confirmed command, milliseconds.
    pub longest_recovery_ms: u64,
    /// Time that it took, seconds.
    pub seconds: f64,
    /// The host's counts.
    pub link: Stats,
    /// Faults that the simulator made.
    pub faults: FaultCounts,
}

/// Longest time that a link may take to recover.
pub const RECOVERY: Duration = Duration::from_secs(2);

/// Sends `commands` commands, a quarter of them rows of pixels, to a simulator with these faults over a
/// pseudo-terminal, and compares what was reported with what took effect.
///
/// # Errors
/// [`LinkError::Trial`] says which promise was broken: a command delivered twice, never, out of order or without an
/// outcome, or a recovery that took longer than [`RECOVERY`]. Others when the simulator or the link does not start.
pub fn soak(commands: u32, faults: Faults, timeouts: &Timeouts) -> Result<Soak> {
    let options = SimulatorOptions { faults, journal: true, ..SimulatorOptions::default() };
    let baud_rate = options.baud_rate.unwrap_or(super::serial::BAUD_RATE);
    let simulator = Simulator::start(options)?;
    let serial = Serial::new(PortName::Path(simulator.path().to_path_buf()), baud_rate);
    let client = Client::open(serial, timeouts.clone());
    client.wait_connected(Duration::from_secs(5))?;
    let begin = Instant::now();
    let tickets: Vec<Ticket> = (1..=commands).map(|mark| give(&client, mark)).collect::<Result<_, _>>()?;
    let patience = timeouts.command + Duration::from_secs(2);
    let outcomes: Vec<_> = tickets.iter().map(|ticket| ticket.wait_timeout(patience)).collect();
    let seconds = begin.elapsed().as_secs_f64();
    // The last outcomes are told a moment before they are counted.
    let counted = |stats: Stats| stats.delivered + stats.refused + stats.failed >= u64::from(commands);
    let until = Instant::now() + Duration::from_secs(1);
    while !counted(client.stats()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let link = client.stats();
    drop(client);
    let faults = simulator.counts();
    let journal = simulator.journal();
    simulator.stop()?;

    let failed_with_effect = account(&outcomes, &journal).map_err(|reason| LinkError::Trial { reason })?;
    let delivered = outcomes.iter().filter(|outcome| matches!(outcome, Some(Ok(())))).count() as u32;
    if u128::from(link.longest_recovery_ms) >= RECOVERY.as_millis() {
        let reason = format!("a recovery took {} ms, at most {RECOVERY:?} is allowed", link.longest_recovery_ms);
        return Err(LinkError::Trial { reason });
    }
    Ok(Soak {
        commands,
        delivered,
        failed: commands - delivered,
        failed_with_effect,
        longest_recovery_ms: link.longest_recovery_ms,
        seconds,
        link,
        faults,
    })
}

/// A command that the simulator's journal knows by this mark.
fn give(client: &Client, mark: u32) -> Result<Ticket, CommandError> {
    if !mark.is_multiple_of(4) {
        let [_, rgb @ ..] = mark.to_be_bytes();
        return client.send(&Command::Led { index: (mark % 16) as u8, rgb });
    }
    let mut random = ChaCha8Rng::seed_from_u64(u64::from(mark));
    let (mut encoder, mut buffer) = (RunsEncoder::new(PixelFormat::Rgb565), [0; trm_protocol::MAX_PIXEL_DATA]);
    let noise = std::iter::repeat_with(|| random.next_u32() as u16);
    let units = [(mark >> 16) as u16, mark as u16].into_iter().chain(noise).take(240);
    let fits = units.fold(true, |fits, unit| fits & encoder.push(unit, &mut buffer));
    debug_assert!(fits, "a row of noise fits a frame");
    let y = ((mark / 4) % 240) as u16;
    client.send(&Command::Rect(Rect { x: 0, y, width: 240, height: 1, data: encoder.finish(&mut buffer) }))
}

/// Holds what was reported for marks 1, 2, … against the journal of what took effect. Counts those that failed and took
/// effect; the error names the first contradiction.
fn account(outcomes: &[Option<Result<(), CommandError>>], journal: &[u32]) -> Result<u32, String> {
    let mut times: HashMap<u32, u32> = HashMap::new();
    for &mark in journal {
        *times.entry(mark).or_default() += 1;
    }
    if let Some((before, after)) = journal.iter().zip(journal.iter().skip(1)).find(|(before, after)| before > after) {
        return Err(format!("command {after} took effect after command {before}"));
    }
    let mut failed_with_effect = 0;
    for (mark, outcome) in (1..).zip(outcomes) {
        let effects = times.remove(&mark).unwrap_or(0);
        match outcome {
            None => return Err(format!("command {mark} has no outcome: the link hangs")),
            Some(Ok(())) if effects != 1 => {
                return Err(format!("command {mark} was reported as delivered and took effect {effects} times"));
            }
            Some(Err(_)) if effects > 1 => {
                return Err(format!("command {mark} was reported as failed and took effect {effects} times"));
            }
            Some(Ok(())) => {}
            Some(Err(_)) => failed_with_effect += effects,
        }
    }
    match times.keys().min() {
        Some(mark) => Err(format!("command {mark} took effect and was never given")),
        None => Ok(failed_with_effect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A soak that cannot fail proves nothing.
    #[test]
    fn every_broken_promise_is_found() {
        let (done, failed) = (Some(Ok(())), Some(Err(CommandError::Deadline { sent: true })));
        assert_eq!(account(&[done, failed, failed], &[1, 3]), Ok(1));
        let message = |outcomes: &[_], journal: &[u32]| account(outcomes, journal).unwrap_err();
        assert_eq!(message(&[done], &[1, 1]), "command 1 was reported as delivered and took effect 2 times");
        assert_eq!(message(&[done], &[]), "command 1 was reported as delivered and took effect 0 times");
        assert_eq!(message(&[failed], &[1, 1]), "command 1 was reported as failed and took effect 2 times");
        assert_eq!(message(&[done, done], &[2, 1]), "command 1 took effect after command 2");
        assert_eq!(message(&[None], &[]), "command 1 has no outcome: the link hangs");
        assert_eq!(message(&[done], &[1, 2]), "command 2 took effect and was never given");
    }
}
