//! Frames arrive whatever is done to the stream around them, and nothing else does.

use proptest::prelude::*;
use trm_protocol::{Decoder, FrameError, FromHost, Hello, MAX_COMMAND, MAX_FRAME, VERSION, encode, encode_as};

/// Every message of a stream that is cut into pieces of `piece` bytes, and the number of bad frames.
fn decode(stream: &[u8]) -> (Vec<(u16, Vec<u8>)>, usize) {
    let (mut decoder, mut messages, mut bad) = (Decoder::new(), Vec::new(), 0);
    for &byte in stream {
        match decoder.push(byte) {
            None => {}
            Some(Ok(packet)) => match packet.message() {
                Ok(FromHost::Command { seq, command, .. }) => messages.push((seq, command.to_vec())),
                other => panic!("not what was sent: {other:?}"),
            },
            Some(Err(_)) => bad += 1,
        }
    }
    (messages, bad)
}

fn frame(seq: u16, command: &[u8]) -> Vec<u8> {
    encode(&FromHost::Command { seq, round: 3, command }, &mut [0; MAX_FRAME]).unwrap().to_vec()
}

proptest! {
    #[test]
    fn frames_survive_garbage_between_them(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..MAX_COMMAND), 1..8),
        garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1500), 8),
    ) {
        let mut stream = Vec::new();
        for (seq, payload) in payloads.iter().enumerate() {
            stream.extend(&garbage[seq]);
            stream.extend(frame(seq as u16, payload));
        }
        let (messages, _) = decode(&stream);
        let expected: Vec<_> = payloads.into_iter().enumerate().map(|(seq, payload)| (seq as u16, payload)).collect();
        prop_assert_eq!(messages, expected);
    }

    #[test]
    fn one_flipped_byte_costs_its_frame_and_no_other(
        payload in prop::collection::vec(any::<u8>(), 0..MAX_COMMAND), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let (before, mut hit, after) = (frame(1, &[7; 30]), frame(2, &payload), frame(3, &[]));
        let at = at.index(hit.len());
        hit[at] ^= flip;
        let (messages, _) = decode(&[before, hit.clone(), after].concat());
        // A delimiter may be the byte that was hit: the neighbour's own one then stands in for it.
        let intact = hit[1..hit.len() - 1] == frame(2, &payload)[1..hit.len() - 1] && at == 0;
        let survivors: Vec<_> = messages.iter().map(|(seq, _)| *seq).collect();
        prop_assert!(survivors == [1, 3] || (intact && survivors == [1, 2, 3]) || survivors == [1, 2, 3] && at + 1 == hit.len(),
            "{survivors:?} after byte {at} of {} was hit", hit.len());
        for (seq, content) in messages.iter().filter(|(seq, _)| *seq == 2) {
            prop_assert_eq!((*seq, content), (2, &payload));
        }
    }

    #[test]
    fn any_bytes_at_all_are_taken(stream in prop::collection::vec(any::<u8>(), 0..4000)) {
        let mut decoder = Decoder::new();
        for byte in stream {
            if let Some(Ok(packet)) = decoder.push(byte) {
                let _ = packet.message::<FromHost<'_>>();
            }
        }
    }
}

#[test]
fn a_stream_without_an_end_is_skipped_to_the_next_frame() {
    let stream = [vec![0xFF; 100_000], frame(5, b"here")].concat();
    assert_eq!(decode(&stream), (vec![(5, b"here".to_vec())], 1));
}

#[test]
fn another_version_is_told_apart_from_noise() {
    let mut out = [0; MAX_FRAME];
    let bytes = encode_as(VERSION + 1, &FromHost::Hello(Hello { session: 9 }), &mut out).unwrap();
    let mut decoder = Decoder::new();
    let errors: Vec<_> = bytes.iter().filter_map(|&byte| decoder.push(byte)?.err()).collect();
    assert_eq!(errors, [FrameError::Version(VERSION + 1)]);
}

#[test]
fn what_is_too_long_is_refused() {
    let message = FromHost::Command { seq: 0, round: 0, command: &[1; MAX_COMMAND + 20] };
    assert_eq!(encode(&message, &mut [0; MAX_FRAME]), Err(FrameError::TooLong));
    // The longest that is allowed does fit, whatever its numbers.
    let message = FromHost::Command { seq: u16::MAX, round: u8::MAX, command: &[1; MAX_COMMAND] };
    assert!(encode(&message, &mut [0; MAX_FRAME]).is_ok());
}
