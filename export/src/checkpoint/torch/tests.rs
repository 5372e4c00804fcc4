use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;

use trm_intake::{Limits, explained};

use super::*;
use crate::checkpoint::pickle::Storage;

const PLAIN: &[u8] = include_bytes!("../../../tests/fixtures/checkpoint/plain.pt");

const LEGACY: &[u8] = include_bytes!("../../../tests/fixtures/checkpoint/legacy.pt");
/// In pickle protocol 4.
const LEGACY_4: &[u8] = include_bytes!("../../../tests/fixtures/checkpoint/legacy_4.pt");

fn budget(bytes: u64) -> Budget {
    Budget::new(Limits { bytes, items: 1 << 16, depth: 8, time: None })
}

fn read_bytes(bytes: &[u8]) -> Result<Vec<(String, WeightTensor)>> {
    let options = ReadOptions { any_names: true, ..ReadOptions::default() };
    let read = read_from(Cursor::new(bytes), Path::new("checkpoint.pt"), &options, &mut budget(4 << 20));
    read.map(|read| read.tensors)
}

#[test]
fn refuses_every_truncation_of_the_old_format() {
    for file in [LEGACY, LEGACY_4] {
        assert_eq!(read_bytes(file).expect("whole").len(), 1);
        for length in 1..file.len() {
            read_bytes(&file[..length]).expect_err("refused");
        }
    }
}

#[test]
fn refuses_every_truncation() {
    for length in 0..PLAIN.len() {
        let message = explained(&read_bytes(&PLAIN[..length]).expect_err("refused"));
        let expected = match length {
            0 => "empty",
            1..4 => "neither an archive",
            _ => "truncated or damaged",
        };
        assert!(message.contains(expected), "{length} bytes: {message}");
    }
}

/// Some bytes mean nothing; whatever is read in spite of a flip must be what was written.
#[test]
fn never_reads_wrong_numbers_after_a_flip() {
    let original = read_bytes(PLAIN).expect("read");
    for offset in 0..PLAIN.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut flipped = PLAIN.to_vec();
            flipped[offset] ^= mask;
            if let Ok(tensors) = read_bytes(&flipped) {
                assert_eq!(tensors, original, "offset {offset}, mask {mask:#x}");
            }
        }
    }
}

#[test]
fn bounds_what_views_take() {
    let storage = Storage { kind: StorageType::Float, key: "0", len: 4 };
    let bytes = [0; 16];
    let view = |shape: &[usize], strides: &[usize], offset| {
        let tensor = Tensor { storage, offset, shape: shape.to_vec(), strides: strides.to_vec() };
        gather(&tensor, WeightDtype::F32, &bytes, &mut budget(400))
    };
    assert_eq!(view(&[10, 10], &[0, 0], 3), Ok(vec![0.0; 100]));
    assert_eq!(view(&[0, usize::MAX], &[0, 0], usize::MAX), Ok(vec![]));
    assert_eq!(view(&[2, 1, 2], &[1, usize::MAX, 1], 0), Ok(vec![0.0; 4]));
    for shape in [[10, 11], [usize::MAX, usize::MAX]] {
        let message = view(&shape, &[0, 0], 0).expect_err("refused").to_string();
        assert!(message.ends_with("more elements than this file can hold"), "{message}");
    }
    for (strides, offset) in [([3, 2], 0), ([2, 1], 1), ([usize::MAX, 1], 2), ([1, 1], usize::MAX)] {
        let message = view(&[2, 2], &strides, offset).expect_err("refused").to_string();
        assert!(message.starts_with("reaches outside its storage: shape [2, 2]"), "{message}");
    }
    let longer = Tensor { storage: Storage { len: 5, ..storage }, offset: 0, shape: vec![5], strides: vec![1] };
    let message = gather(&longer, WeightDtype::F32, &bytes, &mut budget(400)).expect_err("refused").to_string();
    assert_eq!(message, "is a view of 5 elements, but record data/0 has 4");
}

proptest! {
    #[test]
    fn survives_any_archive(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_bytes(&garbage);
        let _ = read_bytes(&[b"PK\x03\x04".as_slice(), &garbage].concat());
    }

    #[test]
    fn survives_damage(at in 0..PLAIN.len(), bytes in prop::collection::vec(any::<u8>(), 1..16)) {
        let mut damaged = PLAIN.to_vec();
        damaged.splice(at..(at + bytes.len()).min(PLAIN.len()), bytes);
        let _ = read_bytes(&damaged);
    }

    #[test]
    fn gathers_as_nested_loops_do(
        shape in prop::collection::vec(1_usize..4, 0..4),
        strides in prop::collection::vec(0_usize..4, 4),
        offset in 0_usize..4,
    ) {
        let strides = strides[..shape.len()].to_vec();
        let bytes: Vec<u8> = (0_u8..40).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let mut expected = vec![offset];
        for (size, stride) in shape.iter().zip(&strides) {
            expected = expected.iter().flat_map(|start| (0..*size).map(move |i| start + i * stride)).collect();
        }
        let tensor = Tensor { storage: Storage { kind: StorageType::Float, key: "0", len: 40 }, offset, shape, strides };
        let data = gather(&tensor, WeightDtype::F32, &bytes, &mut budget(4000)).expect("inside");
        prop_assert_eq!(data, expected.into_iter().map(|i| i as f32).collect::<Vec<_>>());
    }
}
