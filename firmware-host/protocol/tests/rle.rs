//! Run-length coded pixels come back as they were.

use proptest::prelude::*;
use trm_protocol::{PixelFormat, Runs, RunsEncoder, pixels};

/// Pixels with and without runs.
fn units(format: PixelFormat) -> impl Strategy<Value = Vec<u16>> {
    let limit = if format == PixelFormat::Mono { 255 } else { u16::MAX };
    let piece = (0..=limit, 1_usize..300).prop_map(|(unit, length)| vec![unit; length]);
    let noise = prop::collection::vec(0..=limit, 1..300);
    prop::collection::vec(prop_oneof![piece, noise], 0..6).prop_map(|pieces| pieces.concat())
}

fn round_trip(units: &[u16], format: PixelFormat) -> Result<(), TestCaseError> {
    let mut buffer = vec![0; units.len() * 3 + 8];
    let mut encoder = RunsEncoder::new(format);
    for &unit in units {
        prop_assert!(encoder.push(unit, &mut buffer));
    }
    let bytes = if format == PixelFormat::Mono { 1 } else { 2 };
    let overhead = if format == PixelFormat::Mono { units.len() / 2 + 1 } else { units.len().div_ceil(128) };
    prop_assert!(encoder.len() <= units.len() * bytes + overhead + 1, "worse than promised: {}", encoder.len());
    let data = encoder.finish(&mut buffer);
    prop_assert_eq!(Runs::new(data, format).checked_count(), Some(units.len()));
    prop_assert_eq!(Runs::new(data, format).collect::<Vec<_>>(), units);
    Ok(())
}

proptest! {
    #[test]
    fn colours_come_back(units in units(PixelFormat::Rgb565)) {
        round_trip(&units, PixelFormat::Rgb565)?;
    }

    #[test]
    fn mono_comes_back(units in units(PixelFormat::Mono)) {
        round_trip(&units, PixelFormat::Mono)?;
    }

    /// As a panel's rows are packed: go back to the last state that was good, then finish there.
    #[test]
    fn an_earlier_state_can_be_finished(units in units(PixelFormat::Rgb565), keep in any::<prop::sample::Index>()) {
        prop_assume!(!units.is_empty());
        let keep = keep.index(units.len());
        let mut buffer = vec![0; units.len() * 3 + 8];
        let mut encoder = RunsEncoder::new(PixelFormat::Rgb565);
        let mut earlier = encoder;
        for (index, &unit) in units.iter().enumerate() {
            if index == keep {
                earlier = encoder;
            }
            prop_assert!(encoder.push(unit, &mut buffer));
        }
        let data = earlier.finish(&mut buffer);
        prop_assert_eq!(Runs::new(data, PixelFormat::Rgb565).collect::<Vec<_>>(), &units[..keep]);
    }

    #[test]
    fn a_full_buffer_loses_nothing_that_was_taken(units in units(PixelFormat::Rgb565), room in 0_usize..400) {
        let mut buffer = vec![0; room];
        let mut encoder = RunsEncoder::new(PixelFormat::Rgb565);
        let taken = units.iter().take_while(|&&unit| encoder.push(unit, &mut buffer)).count();
        let data = encoder.finish(&mut buffer);
        prop_assert_eq!(Runs::new(data, PixelFormat::Rgb565).collect::<Vec<_>>(), &units[..taken]);
    }

    #[test]
    fn any_data_is_read_without_harm(data in prop::collection::vec(any::<u8>(), 0..600)) {
        let runs = Runs::new(&data, PixelFormat::Rgb565);
        let count = runs.checked_count();
        let read = runs.count();
        prop_assert!(count.is_none_or(|count| count == read));
    }
}

#[test]
fn an_empty_panel_is_a_few_bytes() {
    let mut buffer = [0; 1500];
    let mut encoder = RunsEncoder::new(PixelFormat::Rgb565);
    assert!((0..240 * 240).all(|_| encoder.push(0x1234, &mut buffer)));
    // 240 x 240 pixels in runs of 129, 3 bytes each.
    assert_eq!(encoder.len(), (240_usize * 240).div_ceil(129) * 3);
    assert_eq!(pixels(13, 2, PixelFormat::Mono), 4);
}
