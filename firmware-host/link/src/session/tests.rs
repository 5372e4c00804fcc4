//! A session and a device in one thread, with a clock that is turned by hand and a line that does what the test says.

use std::sync::mpsc::{self, Receiver};

use proptest::prelude::*;
use trm_protocol::device::{Board, Device};
use trm_protocol::{Capabilities, Command, Firmware, MAX_COMMAND};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Commands that the device carried out, and frames that it sent.
#[derive(Default)]
struct Log {
    done: Vec<u32>,
    sent: Vec<Vec<u8>>,
}

impl Board for Log {
    fn execute(&mut self, command: &Command<'_>) -> Result<(), Refusal> {
        let Command::Led { rgb: [r, g, b], .. } = command else { return Err(Refusal::Unsupported) };
        self.done.push(u32::from_be_bytes([0, *r, *g, *b]));
        Ok(())
    }

    fn safe_stop(&mut self) {}

    fn transmit(&mut self, frame: &[u8]) {
        self.sent.push(frame.to_vec());
    }
}

struct World {
    session: Session,
    device: Device,
    log: Log,
    now: Instant,
    begin: Instant,
    given: Vec<Receiver<Outcome>>,
}

fn device() -> Device {
    let capabilities = Capabilities { panel: None, leds: 1, buttons: 1, motors: false, window: 8, silence_ms: 1000 };
    Device::new(Firmware { name: "test", version: [0, 0, 1] }, capabilities)
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut session = Session::new(77, Timeouts::default(), now);
        session.connected(now);
        Self { session, device: device(), log: Log::default(), now, begin: now, given: Vec::new() }
    }

    /// Gives commands marked with how many were given before.
    fn give(&mut self, count: usize) {
        for _ in 0..count {
            let [_, rgb @ ..] = (self.given.len() as u32).to_be_bytes();
            let mut buffer = [0; MAX_COMMAND];
            let command = Command::Led { index: 0, rgb }.to_bytes(&mut buffer).unwrap().to_vec();
            let (done, outcome) = mpsc::sync_channel(1);
            let deadline = self.now + self.session.timeouts.command;
            self.session.push(Order { command, deadline, done: Some(done) });
            self.given.push(outcome);
        }
    }

    /// One millisecond, in which frames pass as far as `passes` lets them: up to the device (true) and back (false).
    fn turn(&mut self, mut passes: impl FnMut(bool) -> bool) -> Result<(), Loss> {
        self.now += MS;
        let ms = self.now.duration_since(self.begin).as_millis() as u32;
        let mut frame = [0; MAX_FRAME];
        while let Some(bytes) = self.session.poll(self.now, &mut frame)? {
            if passes(true) {
                self.device.receive(bytes, ms, &mut self.log);
            }
        }
        self.device.tick(ms, &mut self.log);
        for frame in std::mem::take(&mut self.log.sent) {
            if passes(false) {
                self.session.receive(&frame, self.now);
            }
        }
        Ok(())
    }

    fn run(&mut self, turns: usize) {
        for _ in 0..turns {
            self.turn(|_| true).unwrap();
        }
    }

    fn reconnect(&mut self) {
        self.log.sent.clear();
        self.session.disconnected();
        self.now += 50 * MS;
        self.session.connected(self.now);
    }

    /// The outcomes since the last call.
    fn outcomes(&self) -> Vec<Outcome> {
        self.given.iter().filter_map(|outcome| outcome.try_recv().ok()).collect()
    }
}

#[test]
fn numbers_wrap_around() {
    let mut world = World::new();
    world.run(2);
    let count = 70_000;
    while world.log.done.len() < count {
        let missing = count - world.given.len();
        world.give(missing.min(32 - world.session.waiting()));
        world.run(1);
    }
    assert!(world.log.done.iter().copied().eq(0..count as u32), "out of order");
    assert!(world.outcomes().iter().all(Result::is_ok), "not delivered");
    assert_eq!(world.session.stats.repeats, 0);
}

#[test]
fn a_command_that_nobody_confirms_fails_and_is_not_carried_out_later() {
    let mut world = World::new();
    world.run(2);
    world.give(1);
    // Heartbeats and hellos pass, so that the link stays up; commands do not.
    let timeouts = world.session.timeouts.clone();
    let mut outcomes = Vec::new();
    while outcomes.is_empty() {
        let _ = world.turn(|up| !up);
        outcomes = world.outcomes();
        assert!(world.now < world.begin + timeouts.command * 2, "no outcome");
        // The device is heard: only its commands are lost.
        world.session.heard = world.now;
    }
    assert!(matches!(outcomes[..], [Err(CommandError::Deadline { sent: true } | CommandError::Retries { .. })]));
    world.give(1);
    world.run(1000);
    // The second only; the first's number was used up by nothing.
    assert_eq!(world.log.done, [1]);
    assert_eq!(world.outcomes(), [Ok(())]);
}

#[test]
fn a_command_that_was_confirmed_too_late_is_not_repeated() {
    let mut world = World::new();
    world.run(2);
    world.give(1);
    while world.outcomes().is_empty() {
        let _ = world.turn(|up| up);
        world.session.heard = world.now;
    }
    world.give(1);
    world.run(1000);
    assert_eq!(world.log.done, [0, 1], "once each");
    assert_eq!(world.outcomes(), [Ok(())]);
}

#[test]
fn a_restart_fails_what_was_on_its_way_and_nothing_else() {
    let mut world = World::new();
    world.run(2);
    world.give(20);
    // Eight are sent, and lost; then power.
    world.turn(|up| !up).unwrap();
    world.device = device();
    world.run(1000);
    let outcomes = world.outcomes();
    assert_eq!(outcomes[..8], [Err(CommandError::Restarted); 8]);
    assert_eq!(outcomes[8..], [Ok(()); 12]);
    assert_eq!(world.log.done, (8..20).collect::<Vec<_>>());
}

#[test]
fn silence_is_a_loss() {
    let mut world = World::new();
    world.run(10);
    let begin = world.now;
    let loss = std::iter::repeat_with(|| world.turn(|_| false)).find_map(Result::err);
    assert_eq!(loss, Some(Loss::Silent));
    let after = world.now.duration_since(begin);
    let limit = world.session.timeouts.silence;
    assert!(after <= limit && after + Duration::from_millis(250) > limit, "{after:?}");
}

#[test]
fn answers_of_another_session_change_nothing() {
    let mut world = World::new();
    world.run(2);
    world.give(3);
    world.turn(|up| !up).unwrap();
    let ack = Ack { session: 78, next: 3, outcomes: trm_protocol::Outcomes::NONE };
    for next in [3, 9, u16::MAX] {
        for session in [78, 77] {
            let message = FromDevice::Ack(Ack { session, next, ..ack });
            // Of its own session, one that claims more than was sent is as wrong.
            if session == 77 && next == 3 {
                continue;
            }
            let bytes = encode(&message, &mut [0; MAX_FRAME]).unwrap().to_vec();
            world.session.receive(&bytes, world.now);
        }
    }
    assert_eq!(world.outcomes(), []);
    world.run(1000);
    assert_eq!(world.outcomes(), [Ok(()); 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever is lost, and however often the connection breaks and the device restarts: an outcome for every command, at
    /// most one effect, exactly one where it was delivered, in order.
    #[test]
    fn every_command_has_one_outcome(
        fates in prop::collection::vec(0_u8..100, 50..400),
        breaks in prop::collection::vec((10_usize..1500, any::<bool>()), 0..5),
        loss in 0_u8..40,
        count in 1_usize..120,
    ) {
        let mut world = World::new();
        world.give(count);
        let mut fates = fates.into_iter().cycle();
        let mut breaks = breaks.into_iter();
        let mut next_break = breaks.next();
        let mut since = 0;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; count];
        while outcomes.iter().any(Option::is_none) {
            prop_assert!(world.now < world.begin + Duration::from_secs(20), "hangs: {outcomes:?}");
            since += 1;
            let broken = next_break.is_some_and(|(after, _)| since >= after);
            if world.turn(|_| fates.next().is_some_and(|fate| fate >= loss)).is_err() || broken {
                if let (true, Some((_, true))) = (broken, next_break) {
                    world.device = device();
                }
                if broken {
                    next_break = breaks.next();
                    since = 0;
                }
                world.reconnect();
            }
            for (outcome, given) in outcomes.iter_mut().zip(&world.given) {
                if let Ok(told) = given.try_recv() {
                    prop_assert_eq!(outcome.replace(told), None, "told twice");
                }
            }
        }
        for _ in 0..3000 {
            // The silence before may have been long enough to give the connection up now.
            if world.turn(|_| true).is_err() {
                world.reconnect();
            }
        }
        prop_assert!(world.log.done.is_sorted(), "{:?}", world.log.done);
        for (mark, outcome) in outcomes.into_iter().enumerate() {
            let effects = world.log.done.iter().filter(|done| **done == mark as u32).count();
            match outcome {
                Some(Ok(())) => prop_assert_eq!(effects, 1, "command {}", mark),
                _ => prop_assert!(effects <= 1, "command {} took effect {} times", mark, effects),
            }
        }
    }
}
